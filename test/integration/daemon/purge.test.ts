/** An app's day purged through the built program, from a lake in a bucket, over kills of the command and of the daemon: what goes from every place, and that all the rest is as it was, to the micro. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { MS_PER_DAY, MS_PER_HOUR } from '../../../engine/core/types.ts';
import { describeWithRedis, eventually, startRedis, type RedisServer } from '../../peers/redis.ts';
import { describeWithS3 } from '../../peers/s3.ts';
import { awayFromBoundary } from '../../support/boundaries.ts';
import { appsflyerTime, message, runCli, TestDaemon } from '../../support/daemon.ts';
import { duckdb, type Row } from '../../support/duckdb.ts';
import { killedAtRename } from '../../support/kill.ts';
import { conserved } from '../../support/load.ts';
import { compareWithQueries } from '../../support/redis-check.ts';
import { startS3Lake, type S3Lake } from '../../support/s3-lake.ts';
import { canTrace } from '../../support/strace.ts';
import { useDaemons } from './harness.ts';

const { scratch, directory, started } = useDaemons();
let redis: RedisServer | null = null;
let bucket: S3Lake | null = null;
afterEach(async () => {
  await redis?.stop();
  await bucket?.stop();
  redis = null;
  bucket = null;
});

const GONE = 'com.example.test';
const STAYS = 'com.example.shop';
const dateOf = (timeMs: number): string => new Date(timeMs).toISOString().slice(0, 10);

interface Receipt {
  readonly id: string;
  readonly done: boolean;
  readonly from: string;
  readonly to: string;
  readonly cells: { readonly removed: number; readonly days: readonly { readonly date: string; readonly cells: number; readonly records: number; readonly sums: Readonly<Record<string, number>> }[] };
  readonly dead_letters: { readonly removed: number };
  readonly lake: { readonly rows_removed: number; readonly files_rewritten: number };
}

/** Rows of one app and day are told from the others; of a row what may move on by itself is left out. */
const isGone = (row: Row, date: string): boolean => row['app_id'] === GONE && String(row['window_start']).startsWith(date);
const picked = (row: Row): Row => Object.fromEntries(Object.entries(row).filter(([name]) => name !== 'final' && name !== 'revision'));

describeWithRedis('with Redis', () => describeWithS3('minio', 'a purged day of an app', () => {
  it('is in no result, sink, letter or file, whatever dies on the way, does not come back, and nothing else has changed', { timeout: 120_000 }, async () => {
    await awayFromBoundary(MS_PER_HOUR, 60_000);
    const todayMs = Math.floor(Date.now() / MS_PER_DAY) * MS_PER_DAY;
    const middayMs = todayMs + Math.floor((Date.now() - todayMs) / 2);
    const [yesterday, today, tomorrow] = [dateOf(todayMs - 1), dateOf(todayMs), dateOf(todayMs + MS_PER_DAY)];
    redis = await startRedis();
    const server = redis;
    const s3 = await startS3Lake(join(scratch.path, 'lake'));
    bucket = s3;
    const lake = s3.path;
    const dataDir = directory('data');
    // Rules of the lake that differ end a slot, whatever it was.
    const life = (number: number): Record<string, string> => ({
      MILLRACE_PARTITIONS: '2',
      MILLRACE_WINDOWS_IDLE_AFTER_SECONDS: '1',
      MILLRACE_REDIS_URL: server.url,
      ...s3.env,
      MILLRACE_APPS_TEST: `life${number}`,
      MILLRACE_DISK_RESERVE_BYTES: '1000000',
    });
    const start = (number: number): Promise<TestDaemon> => started({ dataDir, env: life(number) });
    const purge = async (...args: string[]): Promise<Receipt> => {
      const { code, stdout, stderr } = await runCli(['purge', ...args], { ...life(2), MILLRACE_DATA_DIR: dataDir });
      expect([code, stderr.includes('millrace:')], stderr).toEqual([0, false]);
      return JSON.parse(stdout) as Receipt;
    };
    const rowsIn = async (folder: string, columns: string, where: string): Promise<Row> => {
      await s3.refresh();
      return (await duckdb(`select ${columns} from read_parquet('${lake}/${folder}/**/*.parquet', hive_partitioning = true) where ${where}`))[0] as Row;
    };
    const eventRows = async (where: string): Promise<number> => Number((await rowsIn('events', 'count(*)::int as n', where))['n']);

    let sent = 0;
    const bodies: string[] = [];
    const event = (app: string, campaign: string, timeMs: number): string => JSON.stringify(message({ app_id: app, appsflyer_id: `user-${sent++}`, af_c_id: campaign, event_time: appsflyerTime(timeMs), event_revenue_usd: '1.234567' }));
    const send = async (daemon: TestDaemon, lines: readonly string[]): Promise<void> => {
      const response = await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body: lines.join('\n'), headers: { 'content-type': 'application/x-ndjson' } });
      expect(response.status).toBe(200);
    };
    const counted = async (daemon: TestDaemon, lines: readonly string[]): Promise<void> => {
      bodies.push(...lines);
      await send(daemon, lines);
    };
    const letter = (app: string): string => JSON.stringify(message({ app_id: app, appsflyer_id: `user-${sent++}`, event_name: '' }));
    const figures = async (daemon: TestDaemon): Promise<Row[]> => {
      const by = 'group_by=app_id,campaign_id&limit=1000';
      const daily = await daemon.get<{ rows: Row[] }>(`/v1/metrics/daily?${by}`);
      return [...(await daemon.hourly(`${by}&late=include`)).rows, ...daily.rows].map(picked);
    };

    let daemon = await start(1);
    await counted(daemon, [event(GONE, 'shared', todayMs - MS_PER_DAY / 2), event(STAYS, 'shared', todayMs - MS_PER_DAY / 2), event(GONE, 'own', middayMs), event(GONE, 'own', middayMs + 1), event(GONE, 'shared', middayMs + 2), event(STAYS, 'shared', Date.now())]);
    await send(daemon, [letter(GONE), letter(STAYS)]);
    await daemon.settled(8);
    // So that, but shortly after midnight, an hour of the day is final.
    await new Promise((settle) => setTimeout(settle, 2_500));
    expect(await daemon.stop()).toBe(0);
    daemon = await start(2);
    await counted(daemon, [event(GONE, 'own', middayMs + 3), event(GONE, 'shared', Date.now()), event(STAYS, 'own', Date.now()), event(STAYS, 'shared', Date.now())]);
    await daemon.settled(12);
    await daemon.until(async () => (await eventRows('true').catch(() => 0)) === 6, 30_000, 'the first slot to be in the lake');
    await eventually(async () => {
      expect(await compareWithQueries(daemon, server)).toBeGreaterThan(3);
    });
    const before = await figures(daemon);
    const { conservation } = await daemon.pipeline();
    const locked = await runCli(['purge', '--app', GONE, '--from', today, '--to', tomorrow], { ...life(2), MILLRACE_DATA_DIR: dataDir });
    expect(locked.stderr).toMatch(/DATA_DIR_LOCKED/);
    expect(await daemon.stop()).toBe(0);

    const asked = ['--app', GONE, '--from', today, '--to', tomorrow];
    const would = await purge(...asked, '--dry-run');
    const { cells } = would;
    const [decided, erasures] = [join(dataDir, 'promotion.json'), join(dataDir, 'erasures.json')];
    const killedAt = (call: number, ...more: string[]): Promise<unknown> => killedAtRename(call, ['purge', ...asked, ...more], { ...life(2), MILLRACE_DATA_DIR: dataDir });
    if (canTrace) {
      // Before its erasures.json is whole, and before it is decided: nothing has gone.
      for (const call of [1, 2]) expect([await killedAt(call), existsSync(decided)]).toEqual(['SIGKILL', false]);
      expect([await purge(...asked, '--dry-run'), existsSync(erasures)]).toEqual([would, false]);
      // Decided, and one file replaced; then whoever goes on with it dies too, before the next one. The daemon does the rest.
      expect([await killedAt(4), existsSync(decided)]).toEqual(['SIGKILL', true]);
      expect([await killedAt(1, '--dry-run'), existsSync(decided)]).toEqual(['SIGKILL', true]);
    } else expect((await purge(...asked)).cells).toEqual(cells);
    expect(cells.days).toMatchObject([{ date: today, records: 5, sums: { events: 5, revenue_micros: 5 * 1_234_567 } }]);

    // Dies as soon as the control record is known to be there.
    const dying = TestDaemon.spawn({ dataDir, env: life(3) });
    while (!existsSync(erasures) || !readFileSync(erasures, 'utf8').includes('"isJournaled":true')) await new Promise((settle) => setTimeout(settle, 1));
    dying.child.kill('SIGKILL');
    await dying.exited;
    const { open } = JSON.parse(readFileSync(erasures, 'utf8')) as { open: { erasure: { id: string } }[] };
    expect(open.length).toBe(1);
    const id = open[0]?.erasure.id ?? '';
    // The bucket writes a file anew and does not come to say so: its rows are counted once all the same.
    const [mixed = '?'] = readdirSync(join(lake, 'events', `event_date=${today}`));
    let silenced = 0;
    const { decide } = s3.proxy;
    s3.proxy.decide = (method, path) => (method === 'PUT' && path.includes(mixed) && silenced++ === 0 ? { type: 'lose_answer' } : decide(method, path));
    daemon = await start(3);
    const receipt = JSON.parse((await runCli(['purge', '--receipt', id, '--wait', '--admin', daemon.admin])).stdout) as Receipt;
    expect(receipt).toMatchObject({ id, done: true, from: today, to: tomorrow, cells, dead_letters: { removed: 1 }, lake: { rows_removed: 3, files_rewritten: 1 } });
    expect(silenced).toBe(1);
    await s3.refresh();
    expect(JSON.parse(readFileSync(join(lake, 'millrace/erasures', `${id}.json`), 'utf8'))).toMatchObject({ id, done: true });

    const isKept = (row: Row): boolean => !isGone(row, today);
    expect(before.some((row) => isGone(row, today))).toBe(true);
    const kept = before.filter(isKept);
    expect(await figures(daemon)).toEqual(kept);
    expect((await daemon.pipeline()).conservation).toEqual(conservation);
    const letters = await daemon.get<{ letters: { bytes: string }[] }>('/v1/dead-letters');
    expect(letters.letters.map(({ bytes }) => bytes.includes(STAYS))).toEqual([true]);
    const metrics = await (await fetch(`${daemon.admin}/metrics`)).text();
    expect(metrics.match(/^millrace_merge_refused_total.* [1-9]\d*$/gm)).toBeNull();

    const sumOf = (rows: readonly Row[], name: string): number => rows.reduce((sum, row) => sum + Number(row[name]), 0);
    await eventually(async () => {
      await compareWithQueries(daemon, server);
      const hourly = await rowsIn('hourly', "coalesce(sum(revenue_micros), 0)::int as revenue, sum(records)::int as records, count(*) filter (where records = 0)::int as empty, count(*) filter (where app_id = '" + GONE + "' and event_date = '" + today + "')::int as gone", 'true');
      expect(hourly).toMatchObject({ revenue: 5 * 1_234_567, records: 5, empty: 0, gone: 0 });
      const valueOf = async (key: string): Promise<unknown> => {
        const { events, revenue, cells: rows } = JSON.parse((await server.client.get(`metrics:${key}`)) ?? '{}') as { events: number; revenue: number; cells: { app_id: string }[] };
        return [events, revenue, rows.map(({ app_id }) => app_id)];
      };
      expect(await valueOf(`daily:own:${today}`)).toEqual([1, 1.234567, [STAYS]]);
      // An hour that had nobody else, unless midnight was a moment ago.
      if (Date.now() - middayMs > MS_PER_HOUR) expect(await valueOf(`hourly:own:${new Date(middayMs).toISOString().slice(0, 13)}`)).toEqual([0, 0, []]);
    });

    // The slot that was open, and holds rows of both, ends with the next life's rules.
    await daemon.until(async () => (await eventRows('true')) === 5, 30_000, 'the second slot to be in the lake');
    expect(await eventRows(`app_id = '${GONE}' and event_date = '${today}'`)).toBe(0);
    expect(await eventRows(`app_id = '${GONE}' and event_date = '${yesterday}'`)).toBe(1);
    expect(await eventRows(`app_id = '${STAYS}'`)).toBe(4);

    // What is sent again is known; what is new counts.
    await send(daemon, bodies);
    await daemon.settled(22);
    const again = (await daemon.pipeline()).conservation;
    expect(again.duplicate).toBe(10);
    expect(conserved(again)).toBe(true);
    expect(await figures(daemon)).toEqual(kept);
    await send(daemon, [event(GONE, 'own', Date.now())]);
    await daemon.settled(23);
    // In its hour and, a little later, its day.
    await daemon.until(async () => sumOf((await figures(daemon)).filter((row) => isGone(row, today)), 'events') === 2, 30_000, 'the new event to be shown');
    expect(await daemon.stop()).toBe(0);
    expect((await purge(...asked, '--dry-run')).cells.days).toMatchObject([{ date: today, records: 1, sums: { events: 1 } }]);
  });
}));

it('a purge is refused what is no app, no day and no span', async () => {
  const env = { MILLRACE_DATA_DIR: join(scratch.path, 'none') };
  const told = async (...args: string[]): Promise<string> => (await runCli(['purge', ...args], env)).stderr;
  expect(await told()).toMatch(/--app <app_id>/);
  expect(await told('--app', 'a', '--from', '2026-02-30', '--to', '2026-03-02')).toMatch(/--from: "2026-02-30" is no day/);
  expect(await told('--app', 'a', '--from', '2026-03-02', '--to', '2026-03-02')).toMatch(/is not 1 to 400 days after/);
});
