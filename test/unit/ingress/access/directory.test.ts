import { afterEach, describe, expect, it, vi } from 'vitest';
import { Directory, type DirectoryAnswer } from '../../../../ingress/access/directory.ts';
import { ingressOptionsSchema } from '../../../../ingress/options.ts';
import { silentLog } from '../../../../ingress/log.ts';

const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

interface Rig {
  readonly directory: Directory;
  readonly asked: string[];
  readonly pass: (ms: number) => void;
  /** Settles the oldest question. */
  readonly answer: (answer: boolean | Error) => Promise<void>;
}

function rig(given: object = {}): Rig {
  let nowMs = 1_000;
  const asked: string[] = [];
  const open: { resolve: (answer: boolean) => void; reject: (error: Error) => void }[] = [];
  const options = ingressOptionsSchema.parse({ auth: { ldap: { cache_seconds: 100, refused_cache_seconds: 10, cache_max: 3, connections_max: 2, ...given } } }).auth.ldap;
  const directory = new Directory({
    options,
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    log: silentLog,
    isMember: (user, password) => {
      asked.push(`${user}:${password}`);
      return new Promise((resolve, reject) => open.push({ resolve, reject }));
    },
  });
  return {
    directory,
    asked,
    pass: (ms) => (nowMs += ms),
    answer: async (answer) => {
      const question = open.shift();
      if (answer instanceof Error) question?.reject(answer);
      else question?.resolve(answer);
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    },
  };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a directory of senders', () => {
  it('is asked once for all requests of one credential, and what it said is kept for its time', async () => {
    const { directory, asked, answer, pass } = rig();
    const answers: DirectoryAnswer[] = [];
    const value = basic('anna', 'secret:with colon');
    expect(directory.known(value)).toBe('unknown');
    for (let request = 0; request < 3; request++) expect(directory.ask(value, (told) => answers.push(told))).toBe(true);
    expect(answers).toEqual([]);
    await answer(true);
    expect(asked).toEqual(['anna:secret:with colon']);
    expect(answers).toEqual([{ user: 'anna' }, { user: 'anna' }, { user: 'anna' }]);
    pass(49_999);
    expect(directory.known(value)).toMatchObject({ user: 'anna' });
    expect(asked).toHaveLength(1);
    // In the second half it is asked about again, beside the requests.
    pass(1);
    expect(directory.known(value)).toMatchObject({ user: 'anna' });
    expect(directory.known(value)).toMatchObject({ user: 'anna' });
    expect(asked).toHaveLength(2);
    await answer(false);
    expect(directory.known(value)).toBe('refused');
    pass(10_000);
    expect(directory.known(value)).toBe('unknown');
  });

  it('that gives no answer changes nothing: who is known counts until the time is over', async () => {
    const { directory, answer, pass } = rig();
    const value = basic('anna', 'secret');
    directory.ask(value, () => undefined);
    await answer(true);
    pass(60_000);
    directory.known(value);
    await answer(new Error('down'));
    pass(39_999);
    expect(directory.known(value)).toMatchObject({ user: 'anna' });
    pass(1);
    expect(directory.known(value)).toBe('unknown');
    let told: DirectoryAnswer | null = null;
    directory.ask(value, (given) => (told = given));
    await answer(new Error('down'));
    await answer(new Error('down'));
    expect(told).toBe('unavailable');
    expect(directory.known(value)).toBe('unknown');
  });

  it('is asked so many questions at once, a bounded number wait, and who counts goes before them', async () => {
    const { directory, asked, answer, pass } = rig();
    const good = basic('anna', 'secret');
    directory.ask(good, () => undefined);
    await answer(true);
    for (let wrong = 0; wrong < 2 + 256; wrong++) expect(directory.ask(basic('anna', `wrong-${wrong}`), () => undefined)).toBe(true);
    expect(asked).toHaveLength(3);
    expect(directory.ask(basic('anna', 'one-too-many'), () => undefined)).toBe(false);
    pass(50_000);
    expect(directory.known(good)).toMatchObject({ user: 'anna' });
    await answer(false);
    expect(asked.at(-1)).toBe('anna:secret');
  });

  it('keeps a bounded number of answers, and refused ones never push out the others', async () => {
    const { directory, answer } = rig();
    const good = basic('anna', 'secret');
    directory.ask(good, () => undefined);
    await answer(true);
    for (let wrong = 0; wrong < 10; wrong++) {
      directory.ask(basic('anna', `wrong-${wrong}`), () => undefined);
      await answer(false);
    }
    expect(directory.known(basic('anna', 'wrong-0'))).toBe('unknown');
    expect(directory.known(basic('anna', 'wrong-9'))).toBe('refused');
    expect(directory.known(good)).toMatchObject({ user: 'anna' });
  });

  it.each([
    ['no credential', ''],
    ['no password', basic('anna', '')],
    ['no user', basic('', 'secret')],
    ['no colon', `Basic ${Buffer.from('anna').toString('base64')}`],
    ['a name that is part of a DN', basic('anna,ou=people', 'secret')],
    ['a filter', basic('*)(uid=*', 'secret')],
    ['a zero byte', basic('anna', 'sec\0ret')],
    ['another scheme', 'Digest username="anna"'],
    ['no base64', 'Basic a:b'],
    ['too much', `Basic ${'QUFB'.repeat(1_000)}`],
  ])('is not asked about %s', (_, value) => {
    const { directory, asked } = rig();
    expect(directory.known(value)).toBe('refused');
    expect(asked).toEqual([]);
  });

  it('reads what AppsFlyer can send: base64 for URLs, after Bearer', () => {
    const { directory, asked } = rig();
    directory.ask(`Bearer ${Buffer.from('anna:se?>cret').toString('base64url')}`, () => undefined);
    expect(asked).toEqual(['anna:se?>cret']);
  });
});

describe('settings of a directory', () => {
  const good = { url: 'ldaps://ipa.example.com', user_dn: 'uid={user},dc=x', group_dn: 'cn=senders,dc=x' };
  const parse = (ldap: object): unknown => ingressOptionsSchema.parse({ auth: { ldap } });

  it.each([[{}], [{ url: 'ldaps://ipa.example.com:636/' }], [{ url: 'ldap://ipa.example.com', start_tls: true }], [{ url: 'ldap://127.0.0.1:389' }], [{ url: 'ldap://127.0.0.53' }], [{ url: 'ldap://[::1]' }]])('take %j', (given) => {
    expect(() => parse({ ...good, ...given })).not.toThrow();
  });

  it.each([
    [{ url: 'ldap://ipa.example.com' }, /clear/],
    [{ url: 'https://ipa.example.com' }, /ldaps:/],
    [{ url: 'ldaps://user:password@ipa.example.com' }, /ldaps:/],
    [{ url: 'ldaps://h', start_tls: true }, /ldap:/],
    [{ user_dn: 'uid=anna' }, /\{user\}/],
    [{ group_dn: '' }, /everybody/],
  ])('refuse %j', (given, reason) => {
    expect(() => parse({ ...good, ...given })).toThrow(reason);
  });
});
