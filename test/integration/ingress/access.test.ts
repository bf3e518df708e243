/** Who may send: addresses, tokens and rates, alike on both doors. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../engine/core/clock.ts';
import { watchTokens } from '../../../ingress/access/tokens-file.ts';
import { ingressOptionsSchema, type IngressOptions } from '../../../ingress/index.ts';
import { silentLog } from '../../../ingress/log.ts';
import { DOORS, EVENTS, PUSH, ask, client, closeAll, message, open, pause, until, untilQuiet, type Rig } from './harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-access-'));
afterEach(closeAll);
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

const TOKEN = 'token-0123456789.of-appsflyer';
const auth = (given: Partial<IngressOptions['auth']> = {}): Partial<IngressOptions> => ({ auth: { ...ingressOptionsSchema.parse({}).auth, tokens: [`appsflyer=${TOKEN}`], grace_seconds: 0, ...given } });
const limits = (given: Partial<IngressOptions['limits']>): Partial<IngressOptions> => ({ limits: { per_credential_per_second: 0, per_app_per_second: 0, burst_seconds: 1, ...given } });

async function told(url: string, init: RequestInit): Promise<{ status: number; code: string | undefined; retryAfter: string | null }> {
  const { status, code, headers } = await ask(url, init);
  return { status, code, retryAfter: headers.get('retry-after') };
}
const push = (rig: Rig, headers: Record<string, string> = {}, body = message('anna')): ReturnType<typeof told> => told(rig.url + PUSH, { method: 'POST', body, headers });
const events = (rig: Rig, body: string, headers: Record<string, string> = {}): ReturnType<typeof told> => told(rig.url + EVENTS, { method: 'POST', body, headers: { 'content-type': 'application/x-ndjson', ...headers } });
const recordsOf = (rig: Rig): number => rig.log.records.length;

describe.each(DOORS)('on the %s door', (door) => {
  describe('with tokens', () => {
    it('whoever sends one may send, on every route, and nobody else: nothing of theirs is received', async () => {
      const rig = await open(door, auth());
      expect(await push(rig, { authorization: TOKEN })).toMatchObject({ status: 200 });
      expect(await push(rig, { Authorization: `Bearer ${TOKEN}` })).toMatchObject({ status: 200 });
      expect(await events(rig, `${message(1)}\n${message(2)}`, { authorization: TOKEN })).toMatchObject({ status: 200 });
      expect(await ask(`${rig.url}${PUSH}?app_id=id1&appsflyer_id=7`, { headers: { authorization: TOKEN } })).toMatchObject({ status: 200 });
      expect(recordsOf(rig)).toBe(5);
      for (const headers of [{}, { authorization: `${TOKEN}x` }, { authorization: '' }, { authorization: 'Basic YTpi' }, { 'x-token': TOKEN }] as Record<string, string>[]) {
        expect(await push(rig, headers)).toMatchObject({ status: 401, code: 'UNAUTHORIZED' });
        expect(await events(rig, message(3), headers)).toMatchObject({ status: 401, code: 'UNAUTHORIZED' });
        expect(await ask(`${rig.url}${PUSH}?app_id=id1&appsflyer_id=7`, { headers })).toMatchObject({ status: 401, code: 'UNAUTHORIZED' });
      }
      await untilQuiet(rig);
      expect(recordsOf(rig)).toBe(5);
      expect(rig.ingress.stats().refusals['UNAUTHORIZED']).toBe(15);
    });

    it('the header may be another one', async () => {
      const rig = await open(door, auth({ header: 'X-AF-V2-Token' }));
      expect(await push(rig, { 'x-af-v2-token': TOKEN })).toMatchObject({ status: 200 });
      expect(await push(rig, { authorization: TOKEN })).toMatchObject({ status: 401 });
    });

    it('a refused sender is answered before its body is there', async () => {
      const rig = await open(door, { ...auth(), linger_timeout_ms: 200 });
      const sender = client(rig.port).send(`POST ${EVENTS} HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n`);
      await sender.untilClosed();
      expect(sender.received).toMatch(/^HTTP\/1\.1 401 /);
    });

    it('those of a file count once it has them, and until their grace is over once it has not', async () => {
      const file = join(directory, `tokens-${door}`);
      writeFileSync(file, `# senders\nold=${TOKEN}\n`);
      const rig = await open(door, auth({ tokens: [], tokens_file: file, grace_seconds: 2 }));
      expect(await push(rig, { authorization: TOKEN })).toMatchObject({ status: 200 });
      const next = 'another-token-0123456789';
      writeFileSync(file, `new=${next}\n`);
      const statusOf = async (token: string): Promise<number> => (await push(rig, { authorization: token })).status;
      while ((await statusOf(next)) === 401) await pause(50);
      expect(await statusOf(TOKEN)).toBe(200);
      while ((await statusOf(TOKEN)) === 200) await pause(50);
      expect(await statusOf(TOKEN)).toBe(401);
      // A file that is broken changes nothing.
      writeFileSync(file, 'short\n');
      await pause(2_500);
      expect(await statusOf(next)).toBe(200);
    }, 30_000);
  });

  it('notices a token file that changes at the very moment of the start', async () => {
    const file = join(directory, 'at-once');
    const next = 'another-token-0123456789';
    writeFileSync(file, `old=${TOKEN}\n`);
    const watched = watchTokens({ ...ingressOptionsSchema.parse({}).auth, tokens_file: file }, systemClock, silentLog);
    writeFileSync(file, `new=${next}\n`);
    try {
      await until(() => watched?.set.nameOf(next, systemClock.nowMs()) === 'new', 'the new token to count', 8_000);
    } finally {
      watched?.stop();
    }
  }, 15_000);

  it('does not open with a token file that holds nothing or cannot be read', async () => {
    const empty = join(directory, 'empty');
    writeFileSync(empty, '# nobody yet\n');
    await expect(open(door, auth({ tokens: [], tokens_file: empty }))).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('nobody could send') as unknown });
    await expect(open(door, auth({ tokens: [], tokens_file: join(directory, 'none') }))).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  describe('with addresses', () => {
    it('takes what comes from them and refuses others with 403', async () => {
      const inside = await open(door, { allow_from: ['127.0.0.0/8', 'appsflyer'] });
      expect(await push(inside)).toMatchObject({ status: 200 });
      const outside = await open(door, { allow_from: ['appsflyer'] });
      expect(await push(outside)).toMatchObject({ status: 403, code: 'FORBIDDEN' });
      expect(recordsOf(outside)).toBe(0);
    });

    it('believes X-Forwarded-For of a trusted proxy alone', async () => {
      const behind = await open(door, { allow_from: ['appsflyer'], trusted_proxies: ['loopback'] });
      expect(await push(behind, { 'x-forwarded-for': '45.92.116.9' })).toMatchObject({ status: 200 });
      expect(await push(behind, { 'x-forwarded-for': '45.92.116.9, 198.51.100.1' })).toMatchObject({ status: 403 });
      expect(await push(behind)).toMatchObject({ status: 403 });
      const bare = await open(door, { allow_from: ['appsflyer'] });
      expect(await push(bare, { 'x-forwarded-for': '45.92.116.9' })).toMatchObject({ status: 403 });
    });
  });

  describe('with rate limits', () => {
    it('answers 503 to pushes and 429 to /v1/events, both with Retry-After, and takes nothing of them', async () => {
      const rig = await open(door, limits({ per_credential_per_second: 2, burst_seconds: 1 }));
      expect(await push(rig)).toMatchObject({ status: 200 });
      expect(await push(rig)).toMatchObject({ status: 200 });
      expect(await push(rig)).toMatchObject({ status: 503, code: 'RATE_LIMIT', retryAfter: '1' });
      expect(await events(rig, message(1))).toMatchObject({ status: 429, code: 'RATE_LIMIT', retryAfter: '1' });
      expect(recordsOf(rig)).toBe(2);
      await pause(1_100);
      expect(await push(rig)).toMatchObject({ status: 200 });
    });

    it('counts the records of a request, not requests', async () => {
      const rig = await open(door, limits({ per_credential_per_second: 10, burst_seconds: 1 }));
      expect(await events(rig, Array.from({ length: 40 }, (_, user) => message(user)).join('\n'))).toMatchObject({ status: 200 });
      expect(await events(rig, message(1))).toMatchObject({ status: 429, retryAfter: expect.stringMatching(/^[34]$/) as unknown });
    });

    it('holds each token to its own', async () => {
      const other = 'another-token-0123456789';
      const rig = await open(door, { ...auth({ tokens: [`a=${TOKEN}`, `b=${other}`] }), ...limits({ per_credential_per_second: 1 }) });
      expect(await push(rig, { authorization: TOKEN })).toMatchObject({ status: 200 });
      expect(await push(rig, { authorization: TOKEN })).toMatchObject({ status: 503 });
      expect(await push(rig, { authorization: other })).toMatchObject({ status: 200 });
    });

    it('holds each app to its own, whatever its messages look like', async () => {
      const rig = await open(door, limits({ per_app_per_second: 1 }));
      const of = (app: string, user: string): string => `{"app_id":"${app}","appsflyer_id":"${user}"}`;
      expect(await push(rig, {}, of('id1', '1'))).toMatchObject({ status: 200 });
      expect(await push(rig, {}, of('id1', '2'))).toMatchObject({ status: 503, code: 'RATE_LIMIT' });
      // White space and escapes make the door parse the whole: it is the same app all the same.
      expect(await push(rig, {}, '{ "app_id" : "\\u0069d1", "appsflyer_id": "3" }')).toMatchObject({ status: 503, code: 'RATE_LIMIT' });
      expect(await push(rig, {}, of('id2', '1'))).toMatchObject({ status: 200 });
      // A request is not refused for what it holds itself.
      expect(await events(rig, [of('id3', '1'), of('id4', '1'), of('id3', '2'), of('id4', '2')].join('\n'))).toMatchObject({ status: 200 });
      expect(await events(rig, [of('id5', '1'), of('id3', '3')].join('\n'))).toMatchObject({ status: 429, code: 'RATE_LIMIT' });
    });
  });
});
