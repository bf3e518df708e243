/**
 * Shadows through the built program: other rules tried on what the journal holds while the daemon runs, the difference told to the unit, promoted into
 * every sink through kills, and dropped.
 */

import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { MS_PER_HOUR } from '../../../engine/core/types.ts';
import { describeWithRedis, eventually, startRedis, type RedisServer } from '../../peers/redis.ts';
import { awayFromBoundary } from '../../support/boundaries.ts';
import { CLI, NODE, appsflyerTime, message, runCli, type TestDaemon } from '../../support/daemon.ts';
import { conserved } from '../../support/load.ts';
import { compareWithQueries } from '../../support/redis-check.ts';
import { canTrace } from '../../support/strace.ts';
import { MIB, useDaemons } from './harness.ts';

const { scratch, directory, started } = useDaemons();
let redis: RedisServer | null = null;
afterEach(async () => {
  await redis?.stop();
  redis = null;
});

/** Two partitions whose watermarks follow the clock within a second, so that an old hour becomes final while one watches. */
const FEW = { MILLRACE_PARTITIONS: '2', MILLRACE_WINDOWS_IDLE_AFTER_SECONDS: '1' };
const TRIED = { MILLRACE_METRICS_CONVERSION_EVENTS: 'af_level', MILLRACE_WINDOWS_ALLOWED_LATENESS_SECONDS: '86400' };
const PIPELINE = 'metrics:\n  conversion_events: [af_level]\nwindows:\n  allowed_lateness_seconds: 86400\n';

interface Told {
  readonly summary: Readonly<Record<string, unknown>> & { readonly differing_cells: number };
  readonly cells: readonly (Readonly<Record<string, unknown>> & { readonly changes: Readonly<Record<string, readonly [number, number]>> })[];
}

const hourText = (timeMs: number): string => new Date(Math.floor(timeMs / MS_PER_HOUR) * MS_PER_HOUR).toISOString();
const FIGURES = ['window_start', 'events', 'conversions', 'revenue', 'by_event', 'late_records'];
const picked = (rows: readonly Readonly<Record<string, unknown>>[]): unknown[] => rows.map((row) => Object.fromEntries(FIGURES.map((name) => [name, row[name]])));

async function figures(daemon: TestDaemon): Promise<{ hours: unknown[]; withLate: unknown[]; days: unknown[] }> {
  const { rows } = await daemon.get<{ rows: Readonly<Record<string, unknown>>[] }>('/v1/metrics/daily?group_by=none');
  return { hours: picked((await daemon.hourly('group_by=none')).rows), withLate: picked((await daemon.hourly('group_by=none&late=include')).rows), days: picked(rows) };
}

const sumOf = (rows: readonly unknown[], figure: 'events' | 'conversions' | 'revenue'): number => (rows as Readonly<Record<string, unknown>>[]).reduce((sum, row) => sum + Number(row[figure]), 0);

/** Day cells that were stored already follow their hours a little later: their other shares are asked for first. */
async function whenDaysHave(daemon: TestDaemon, events: number): Promise<Awaited<ReturnType<typeof figures>>> {
  await daemon.until(async () => sumOf((await figures(daemon)).days, 'events') === events, 30_000, `days of ${events} events`);
  return figures(daemon);
}

const filesOf = (path: string): string[] => readdirSync(join(path, 'shadows'));
const generationOf = (path: string): number => (JSON.parse(readFileSync(join(path, 'instance.json'), 'utf8')) as { generation: number }).generation;

/** So that each rename can be seen from outside before the program goes on; the program stays the child. */
const SLOW_RENAMES = ['strace', '-D', '-f', '-o', '/dev/null', '-e', 'trace=rename', '-e', 'inject=rename:delay_exit=100000'];

/** Runs until `isTime`, and then dies by signal 9; resolves with how it ended. */
async function killedWhen(isTime: () => boolean, args: readonly string[], env: Readonly<Record<string, string>>, wrap: readonly string[] = []): Promise<NodeJS.Signals | number | null> {
  const [program, ...rest] = [...wrap, NODE, CLI, ...args];
  const child = spawn(program as string, rest, { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: 'ignore' });
  const timer = setInterval(() => {
    if (isTime()) child.kill('SIGKILL');
  }, 1);
  return new Promise((settle) => {
    child.once('close', (code, signal) => {
      clearInterval(timer);
      settle(signal ?? code);
    });
  });
}

describeWithRedis('a shadow', () => {
  it('tells the difference that other rules make, and promoted is what every sink shows, whole through kills', async () => {
    await awayFromBoundary(MS_PER_HOUR, 60_000);
    redis = await startRedis();
    const server = redis;
    const dataDir = directory('data');
    const env = { ...FEW, MILLRACE_REDIS_URL: server.url };
    const daemon = await started({ dataDir, env });
    const command = (args: readonly string[], changes: Readonly<Record<string, string>> = {}) => runCli(['replay', ...args], { ...env, MILLRACE_DATA_DIR: dataDir, MILLRACE_DISK_RESERVE_BYTES: String(64 * MIB), ...changes });

    const [nowMs, oldMs] = [Date.now(), Date.now() - 3 * MS_PER_HOUR];
    let user = 0;
    const send = async (event: string, timeMs: number, own = `user-${user++}`): Promise<void> => {
      const body = message({ appsflyer_id: own, event_name: event, event_time: appsflyerTime(timeMs), ...(event === 'af_purchase' && { event_revenue_usd: '2.5' }) });
      expect((await daemon.push(body)).status).toBe(200);
    };
    for (const event of ['af_purchase', 'af_purchase', 'af_purchase', 'af_level']) await send(event, oldMs);
    await send('af_purchase', oldMs, 'twice');
    await send('af_purchase', oldMs, 'twice');
    await daemon.until(async () => (await daemon.hourly('group_by=none')).rows[0]?.['final'] === true, 30_000, 'the old hour to be final');
    await send('af_purchase', oldMs);
    for (const event of ['af_purchase', 'af_level', 'af_level']) await send(event, nowMs);
    const { conservation } = await daemon.settled(10);
    expect(conservation).toEqual({ received: 10, accepted: 8, duplicate: 1, late: 1, rejected: 0 });
    const before = await whenDaysHave(daemon, 9);

    const file = join(scratch.path, 'pipeline.yaml');
    writeFileSync(file, PIPELINE);
    const made = await command(['--into', 'tried', '--pipeline', file, '--format', 'json', '--admin', daemon.admin]);
    expect(made.stderr).toBe('');
    expect(made.code).toBe(0);
    const told = JSON.parse(made.stdout) as Told;
    const old = hourText(oldMs);
    expect(told.cells.map(({ window_start, kind, campaign_id, changes }) => ({ window_start, kind, campaign_id, changes }))).toEqual([
      { window_start: old, kind: 'hour', campaign_id: '21421952087', changes: { records: [5, 6], events: [5, 6], conversions: [4, 1], revenue_micros: [10_000_000, 12_500_000], 'by_event.af_level': [0, 1], 'by_event.af_purchase': [4, 0] } },
      { window_start: old, kind: 'late', campaign_id: '21421952087', changes: { records: [1, 0], events: [1, 0], conversions: [1, 0], revenue_micros: [2_500_000, 0], 'by_event.af_purchase': [1, 0] } },
      { window_start: hourText(nowMs), kind: 'hour', campaign_id: '21421952087', changes: { conversions: [1, 2], 'by_event.af_level': [0, 2], 'by_event.af_purchase': [1, 0] } },
    ]);
    expect(told.summary).toMatchObject({ compared_cells: 3, differing_cells: 3, printed_cells: 3, journal_complete_from: null, left_out: null, totals: { conversions: [6, 3] } });
    expect((await command(['ls'])).stdout).toMatch(/^tried {2}ready .*3 cells differed\n$/);
    // The daemon has seen nothing of it.
    expect(await figures(daemon)).toEqual(before);
    const span = await command(['--into', 'span', '--pipeline', file, '--from', hourText(nowMs), '--limit', '0', '--admin', daemon.admin]);
    expect(span.stdout).toMatch(/^… and 1 more \(--limit\)\n1 of 1 cells differ\n/);
    expect((await command(['drop', 'span'])).stdout).toBe('dropped span\n');
    expect(filesOf(dataDir)).toEqual(['tried']);

    // What comes after the shadow was made is in it when it is promoted.
    await send('af_level', nowMs);
    await daemon.settled(11);
    expect((await command(['promote', 'tried'], TRIED)).stderr).toMatch(/DATA_DIR_LOCKED/);
    expect(await daemon.stop()).toBe(0);
    expect((await command(['promote', 'tried'])).stderr).toMatch(/CONFIG_INVALID: the configuration does not have the rules of the shadow: allowedLatenessMs, conversionEvents/);
    expect((await command(['promote', 'other'], TRIED)).stderr).toMatch(/there is no shadow other/);
    const generation = generationOf(dataDir);

    const promoting = { ...env, ...TRIED, MILLRACE_DATA_DIR: dataDir, MILLRACE_DISK_RESERVE_BYTES: String(64 * MIB) };
    // Nothing was decided: all is as it was.
    expect(await killedWhen(() => existsSync(join(dataDir, 'shadows/tried/next/live')), ['replay', 'promote', 'tried'], promoting)).toBe('SIGKILL');
    expect(existsSync(join(dataDir, 'promotion.json'))).toBe(false);
    expect(generationOf(dataDir)).toBe(generation);
    if (canTrace) {
      // It was decided, and one file at most has been replaced: the daemon goes on with it.
      expect(await killedWhen(() => existsSync(join(dataDir, 'promotion.json')), ['replay', 'promote', 'tried'], promoting, SLOW_RENAMES)).toBe('SIGKILL');
      expect(existsSync(join(dataDir, 'promotion.json'))).toBe(true);
    } else expect((await command(['promote', 'tried'], TRIED)).stdout).toMatch(/^promoted tried: /);

    const after = await started({ dataDir, env: { ...env, ...TRIED } });
    expect(existsSync(join(dataDir, 'promotion.json'))).toBe(false);
    expect(generationOf(dataDir)).toBeGreaterThan(generation);
    const shown = await figures(after);
    expect(shown.hours).toEqual([
      { window_start: old, events: 6, conversions: 1, revenue: '12.50', by_event: { af_level: 1 }, late_records: 0 },
      { window_start: hourText(nowMs), events: 4, conversions: 3, revenue: '2.50', by_event: { af_level: 3 }, late_records: 0 },
    ]);
    expect(shown.withLate).toEqual(shown.hours);
    expect(['events', 'conversions', 'revenue'].map((figure) => sumOf(shown.days, figure as 'events'))).toEqual([10, 4, 15]);
    expect(conserved((await after.pipeline()).conservation)).toBe(true);
    await eventually(async () => {
      expect(await compareWithQueries(after, server)).toBeGreaterThan(2);
    });
    const value = JSON.parse((await server.client.get('metrics:hourly:21421952087')) ?? '{}') as { generation: number; conversions: number };
    expect(value).toMatchObject({ generation: generationOf(dataDir), conversions: 3 });

    // It counts on: the open hour, a late record's day, and what it knows already.
    for (const own of ['on', 'on']) expect((await after.push(message({ appsflyer_id: own, event_name: 'af_level', event_time: appsflyerTime(nowMs) }))).status).toBe(200);
    expect((await after.push(message({ appsflyer_id: 'twice', event_name: 'af_purchase', event_time: appsflyerTime(oldMs), event_revenue_usd: '2.5' }))).status).toBe(200);
    expect((await after.push(message({ appsflyer_id: 'later', event_name: 'af_level', event_time: appsflyerTime(oldMs) }))).status).toBe(200);
    const counted = await after.settled(15);
    expect(counted.conservation).toMatchObject({ received: 15, duplicate: 3 });
    await whenDaysHave(after, 12);
    await eventually(async () => {
      expect((await figures(after)).hours).toMatchObject([{ events: 6, late_records: 1 }, { events: 5, conversions: 4, late_records: 0 }]);
    });
    const alarms = await (await fetch(`${after.admin}/metrics`)).text();
    expect(alarms.match(/^millrace_merge_refused_total.* [1-9]\d*$/gm)).toBeNull();
    await eventually(async () => {
      expect(await compareWithQueries(after, server)).toBeGreaterThan(2);
    });
    // The same rules over the same journal: what was promoted is what they make of it, but for the record that came after its hour was final.
    const again = JSON.parse((await command(['--into', 'again', '--format', 'json', '--admin', after.admin], TRIED)).stdout) as Told;
    expect(again.cells.map(({ window_start, kind, changes }) => [window_start, kind, changes['events']])).toEqual([[old, 'hour', [6, 7]], [old, 'late', [1, 0]]]);
    expect((await command(['drop', 'tried'])).stderr).toMatch(/there is no shadow tried/);
    expect((await command(['drop', 'again'])).code).toBe(0);
    expect(filesOf(dataDir)).toEqual([]);
  });
});

describe('a shadow of a journal that has lost its beginning', () => {
  it('compares the hours that it has whole, and names the others', async () => {
    const dataDir = directory('data');
    const daemon = await started({ dataDir, env: FEW });
    const nowMs = Date.now();
    const line = JSON.stringify(message({ event_value: JSON.stringify({ text: 'x'.repeat(3_000) }), event_time: appsflyerTime(nowMs) }));
    let records = 0;
    // Three segments of 16 MiB.
    for (let request = 0; request < 24; request++) {
      const body = Array.from({ length: 500 }, () => line.replace('1718000000123-4500123456789012345', `user-${records++}`)).join('\n');
      expect((await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body, headers: { 'content-type': 'application/x-ndjson' } })).status).toBe(200);
    }
    await daemon.settled(records);
    expect(await daemon.stop()).toBe(0);
    const segments = readdirSync(join(dataDir, 'journal')).filter((name) => /^\d+\.segment$/.test(name)).sort();
    rmSync(join(dataDir, 'journal', segments[0] as string));

    const made = await runCli(['replay', '--into', 'part', '--format', 'json'], { ...FEW, MILLRACE_DATA_DIR: dataDir, MILLRACE_DISK_RESERVE_BYTES: String(64 * MIB), MILLRACE_METRICS_CONVERSION_EVENTS: 'af_level' });
    expect(made.stderr).toBe('');
    const { summary, cells } = JSON.parse(made.stdout) as Told;
    expect(cells).toEqual([]);
    const next = new Date(Math.floor(nowMs / MS_PER_HOUR) * MS_PER_HOUR + MS_PER_HOUR).toISOString();
    expect(summary).toMatchObject({ differing_cells: 0, left_out: { hours: 1, first: hourText(nowMs), last: hourText(nowMs) } });
    expect(Date.parse(String(summary['journal_complete_from']))).toBeGreaterThanOrEqual(Date.parse(next));
    const refused = await runCli(['replay', '--into', 'large'], { ...FEW, MILLRACE_DATA_DIR: dataDir, MILLRACE_DISK_RESERVE_BYTES: String(2 ** 52) });
    expect(refused.stderr).toMatch(/DISK_FULL: a shadow takes up to/);
    expect(filesOf(dataDir)).toEqual(['part']);
  });
});

it('a shadow is refused a name that is none, a time between two hours, and what is no rule', async () => {
  const env = { MILLRACE_DATA_DIR: directory('data') };
  expect((await runCli(['replay', '--into', 'a_b'], env)).stderr).toMatch(/holds no data directory/);
  expect((await runCli(['replay', 'drop', '..'], env)).stderr).toMatch(/no name of a shadow/);
  expect((await runCli(['replay', '--into', 'a', '--from', '2026-11-01T10:30Z'], env)).stderr).toMatch(/whole hour in UTC/);
  expect((await runCli(['replay', '--into', 'a', '--format', 'xml'], env)).stderr).toMatch(/table, csv, json/);
  expect((await runCli(['replay', '--into', '/tmp/x'], env)).stderr).toMatch(/--from is missing/);
  expect((await runCli(['replay'], env)).stderr).toMatch(/--into is missing/);
});
