/** One user erased from dead letters and from the lake, by the command line, over kills: what stays, what goes, and what comes afterwards. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { appsflyerTime, message, runCli, type TestDaemon } from '../../support/daemon.ts';
import { duckdb } from '../../support/duckdb.ts';
import { useDaemons } from './harness.ts';

const { scratch, started } = useDaemons();

const APP = 'com.example.shop';
const GONE = 'gone-4711-0815';
const OTHER = 'stays-1234-5678';
const day = Date.now() - 3_600_000;
let events = 0;
/** Each event is one of its own. */
const event = (user: string, more: object = {}): object => message({ app_id: APP, appsflyer_id: user, event_time: appsflyerTime(day + 1_000 * events++), event_revenue_usd: '1.5', ...more });
/** Of another life's rules: whatever the slot was, it ends where the rules of the lake change. */
const life = (number: number): Record<string, string> => ({ MILLRACE_LAKE_URL: `file:${join(scratch.path, 'lake')}`, MILLRACE_APPS_TEST: `life${number}`, MILLRACE_DATA_DIR: join(scratch.path, 'data') });
const start = (number: number, more: Record<string, string> = {}): Promise<TestDaemon> => started({ dataDir: scratch.path, env: { ...life(number), ...more } });

async function send(daemon: TestDaemon, records: readonly (object | string)[]): Promise<void> {
  const body = records.map((record) => (typeof record === 'string' ? record : JSON.stringify(record))).join('\n');
  expect((await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body, headers: { 'content-type': 'application/x-ndjson' } })).status).toBe(200);
}

interface Receipt {
  readonly id: string;
  readonly done: boolean;
  readonly user: string;
  readonly dead_letters: { readonly removed: number };
  readonly lake: { readonly files_rewritten: number; readonly rows_removed: number; readonly rewritten: readonly object[] };
}

const cli = async (daemon: TestDaemon, ...args: string[]): Promise<Receipt> => {
  const { code, stdout, stderr } = await runCli(['erase', ...args, '--admin', daemon.admin]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout) as Receipt;
};

const rowsOf = async (where: string): Promise<number> => Number((await duckdb(`select count(*)::int as n from read_parquet('${scratch.path}/lake/events/**/*.parquet') where ${where}`))[0]?.['n']);
const filesBelow = (path: string): string[] => (existsSync(path) ? readdirSync(path, { recursive: true, withFileTypes: true }).flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : [])) : []);
const lakeFiles = (): string[] => filesBelow(join(scratch.path, 'lake', 'events'));
const uploaded = (daemon: TestDaemon, files: number): Promise<void> => daemon.until(() => lakeFiles().length >= files, 30_000, `${files} files in the lake`);

describe('a user who is erased', () => {
  it('is in no row and no dead letter, whatever dies in between, and everybody and everything else stays as it was', { timeout: 180_000 }, async () => {
    let daemon = await start(1);
    await send(daemon, [event(GONE), event(OTHER), event(GONE), event('other-app', { app_id: 'id5' }), event(GONE, { app_id: 'id5' })]);
    await send(daemon, [`{"app_id":"${APP}","appsflyer_id":"${GONE}","event_name":"cut`, event(GONE, { event_name: '' }), event(OTHER, { event_name: '' }), `{"customer_user_id":"${GONE}"`]).catch(() => undefined);
    await daemon.settled(9);
    expect(await daemon.stop()).toBe(0);

    daemon = await start(2);
    await uploaded(daemon, 1);
    await send(daemon, [event(GONE), event(OTHER), event('by-customer', { customer_user_id: GONE })]);
    await daemon.settled(12);
    expect(await rowsOf(`user_id = '${GONE}' and app_id = '${APP}'`)).toBe(2);
    const before = await daemon.hourly('group_by=app_id&late=include');
    const asked = await fetch(`${daemon.admin}/v1/erasures`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ app_id: APP, user: GONE }) });
    expect(asked.status).toBe(202);
    const { id } = (await asked.json()) as { id: string };
    await daemon.kill();

    // Each of these lives goes on with it for a moment.
    for (const delayMs of [0, 300]) {
      daemon = await start(2);
      await new Promise((settle) => setTimeout(settle, delayMs));
      await daemon.kill();
    }
    daemon = await start(3);
    const receipt = await cli(daemon, '--receipt', id, '--wait');
    expect(receipt).toMatchObject({ id, done: true, lake: { rows_removed: 2, files_rewritten: 1 }, dead_letters: { removed: 3 } });
    expect(JSON.stringify(receipt)).not.toContain(GONE);
    await uploaded(daemon, 2);
    expect(await rowsOf(`user_id = '${GONE}' and app_id = '${APP}'`)).toBe(0);
    expect(await rowsOf("user_id = 'by-customer'")).toBe(0);
    expect(await rowsOf(`user_id = '${OTHER}'`)).toBe(2);
    expect(await rowsOf("app_id = 'id5'")).toBe(2);

    // Totals, conservation and the other's letter are as they were; the tail shows no byte.
    const after = await daemon.hourly('group_by=app_id&late=include');
    expect(after.rows).toEqual(before.rows);
    const { conservation } = await daemon.pipeline();
    expect(conservation).toMatchObject({ received: 12, accepted: 8, rejected: 4 });
    const letters = await daemon.get<{ letters: { bytes: string }[] }>('/v1/dead-letters');
    expect(letters.letters.map(({ bytes }) => bytes.includes(OTHER))).toEqual([true]);

    const savepoint = join(scratch.path, 'savepoint');
    expect((await runCli(['savepoint', 'take', savepoint, '--admin', daemon.admin])).code).toBe(0);
    expect(statSync(join(savepoint, 'erasure-secret')).mode & 0o777).toBe(0o600);

    // What comes after it is stored as ever, and a resent event of before is a duplicate still.
    await send(daemon, [event(GONE)]);
    await daemon.settled(13);
    const tail = await daemon.get<{ records: { bytes: string }[] }>('/v1/tail?limit=100');
    expect(tail.records.filter(({ bytes }) => bytes.includes(GONE)).length).toBe(1);
    const again = await cli(daemon, '--app', APP, '--user', 'nobody-at-all', '--wait');
    expect(again).toMatchObject({ done: true, lake: { rows_removed: 0, files_rewritten: 0 }, dead_letters: { removed: 0 } });
    expect(await daemon.stop()).toBe(0);

    daemon = await start(4);
    await uploaded(daemon, 3);
    expect(await rowsOf(`user_id = '${GONE}' and app_id = '${APP}'`)).toBe(1);
    expect(await daemon.stop()).toBe(0);

    const data = join(scratch.path, 'data');
    const lake = filesBelow(join(scratch.path, 'lake'));
    expect(lake.filter((file) => file.endsWith('.json') && file.includes('erasures')).length).toBe(2);
    for (const file of [...lake.filter((one) => one.endsWith('.json')), join(data, 'erasures.json'), join(data, 'erasure-secret')]) expect(readFileSync(file).includes(GONE), file).toBe(false);
    expect(statSync(join(data, 'erasure-secret')).mode & 0o777).toBe(0o600);

    const replayed = join(scratch.path, 'replayed');
    const replay = await runCli(['replay', '--from', data, '--into', replayed, '--threads', '2']);
    expect(replay.stderr).toBe('');
    const [own, other] = (await Promise.all([data, replayed].map((path) => runCli(['inspect', '--state-hash'], { MILLRACE_DATA_DIR: path })))).map(({ stdout }) => stdout.trim());
    expect(own).toMatch(/^[0-9a-f]{64}$/);
    expect(other).toBe(own);
  });

  it('must be named as the route says', { timeout: 60_000 }, async () => {
    const daemon = await start(1);
    const post = async (body: string, type = 'application/json'): Promise<string> => {
      const response = await fetch(`${daemon.admin}/v1/erasures`, { method: 'POST', headers: { 'content-type': type }, body });
      return `${response.status} ${((await response.json()) as { error: { code: string } }).error.code}`;
    };
    expect(await post('{"app_id":')).toBe('400 BODY_REFUSED');
    expect(await post('{}')).toBe('400 QUERY_INVALID');
    expect(await post('{"app_id":"a","user":"0000-00","x":1}')).toBe('400 QUERY_INVALID');
    expect(await post(JSON.stringify({ app_id: 'a', user: 'x'.repeat(20_000) }))).toBe('413 BODY_REFUSED');
    expect(await post('app_id=a', 'application/x-www-form-urlencoded')).toBe('415 BODY_REFUSED');
    expect((await fetch(`${daemon.admin}/v1/erasures/..%2f..%2fx`)).status).toBe(400);
    expect((await fetch(`${daemon.admin}/v1/erasures/0123456789abcdef`)).status).toBe(404);
    const { code, stderr } = await runCli(['erase', '--app', APP, '--admin', daemon.admin]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('--user')]);
  });
});
