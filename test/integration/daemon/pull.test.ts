/** Pull reports through the built daemon: rows meet Push in the journal, a killed daemon resumes, and old days are looked for in the lake. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PullPeer, type PullRow } from '../../peers/appsflyer-pull.ts';
import { appsflyerTime, message, runCli, TestDaemon, temporaryDirectory, type HourlyAnswer } from '../../support/daemon.ts';
import { SLOT_BYTES } from '../../support/feed.ts';

const APP = 'com.example.shop';
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

let peer: PullPeer;
let directory: ReturnType<typeof temporaryDirectory>;

beforeEach(async () => {
  directory = temporaryDirectory();
  peer = await PullPeer.start();
});

afterEach(async () => {
  await TestDaemon.endAll();
  await peer.stop();
  directory.remove();
});

afterAll(() => TestDaemon.endAll());

const environment = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  MILLRACE_DEDUPE_MODE: 'push+pull-seconds',
  MILLRACE_PULL_APPS: APP,
  MILLRACE_PULL_REPORTS: 'installs_report,in_app_events_report',
  MILLRACE_PULL_TOKEN: peer.token,
  MILLRACE_PULL_URL: peer.url,
  MILLRACE_PULL_CALLS_PER_DAY: '100',
  MILLRACE_PULL_INTERVAL_SECONDS: '86400',
  ...more,
});

const csvTime = (timeMs: number): string => appsflyerTime(timeMs).slice(0, 19);

/** The row that AppsFlyer's report has of a message. */
function rowOf(pushed: Readonly<Record<string, unknown>>): PullRow {
  const text = (name: string): string => (pushed[name] === undefined ? '' : typeof pushed[name] === 'string' ? pushed[name] : JSON.stringify(pushed[name]));
  return {
    'Event Time': text('event_time').slice(0, 19),
    'Event Name': text('event_name'),
    'Event Value': text('event_value'),
    'Event Revenue USD': text('event_revenue_usd'),
    'AppsFlyer ID': text('appsflyer_id'),
    'App ID': text('app_id'),
    'Media Source': text('media_source'),
    Campaign: text('campaign'),
    'Campaign ID': text('af_c_id'),
    'Country Code': text('country_code'),
    Platform: text('platform'),
    'Is Primary Attribution': text('is_primary_attribution'),
    'Is Retargeting': text('is_retargeting'),
    'Conversion Type': text('conversion_type'),
    'Campaign Type': text('campaign_type'),
    'Device Category': text('device_category'),
  };
}

const purchase = (number: number, timeMs: number): Record<string, unknown> => message({ event_time: appsflyerTime(timeMs), event_value: `{"af_content_id":"sku-${number}"}`, event_revenue_usd: '1.25', appsflyer_id: `1718000000123-${number}` });
const totals = async (daemon: TestDaemon): Promise<{ events: number; installs: number; uninstalls: number; revenue: number }> => {
  const { rows } = await daemon.get<HourlyAnswer>('/v1/metrics/daily?group_by=none');
  const sum = (name: string): number => rows.reduce((total, row) => total + Number(row[name]), 0);
  return { events: sum('events'), installs: sum('installs'), uninstalls: sum('uninstalls'), revenue: sum('revenue_micros') };
};
/** What was folded is shown within moments; no more than that may come. */
async function totalsBecome(daemon: TestDaemon, expected: Awaited<ReturnType<typeof totals>>): Promise<void> {
  await daemon.until(async () => (await totals(daemon)).events >= expected.events, 60_000, 'all events to be shown').catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(await totals(daemon)).toEqual(expected);
}
const metric = async (daemon: TestDaemon, name: string): Promise<string[]> => (await (await fetch(`${daemon.admin}/metrics`)).text()).split('\n').filter((line) => line.startsWith(name));

describe('rows of Pull reports', () => {
  it('that Push has brought already count once, and what Push missed is filled in', async () => {
    const start = Date.now() - 3 * HOUR;
    const pushed = Array.from({ length: 300 }, (_, index) => purchase(index, start + index * 1_000 + 123));
    peer.add(APP, 'in_app_events_report', [...pushed, ...Array.from({ length: 50 }, (_, index) => purchase(1_000 + index, start + index * 1_000))].map(rowOf));
    peer.add(APP, 'installs_report', [rowOf(message({ event_name: 'install', event_value: '', event_time: appsflyerTime(start), appsflyer_id: '1718000000123-9' }))]);
    const daemon = await TestDaemon.start({ dataDir: directory.path, env: environment({ MILLRACE_PULL_APPS: '', MILLRACE_PULL_TOKEN: '' }) });
    for (const event of pushed) await daemon.push(event);
    await daemon.settled(300);
    await daemon.stop();
    const second = await TestDaemon.start({ dataDir: directory.path, env: environment() });
    await second.settled(651);
    expect((await second.pipeline()).conservation).toMatchObject({ received: 651, duplicate: 300, rejected: 0 });
    await totalsBecome(second, { events: 350, installs: 1, uninstalls: 0, revenue: 350 * 1_250_000 });
    expect([peer.tokensLeaked, peer.calls.length]).toEqual([0, 2]);
    expect(JSON.stringify(second.logs) + second.stderr).not.toContain(peer.token);
    const appended = `millrace_pull_rows_total{app="${APP}",report="in_app_events_report",outcome="appended"} 350`;
    await second.until(async () => (await metric(second, 'millrace_pull_rows_total{')).includes(appended), 5_000, 'the figures of the poller');
    expect(await metric(second, 'millrace_pull_calls_left{')).toContain(`millrace_pull_calls_left{app="${APP}",report="installs_report"} 99`);
    expect(Number((await metric(second, 'millrace_pull_lag_seconds{'))[0]?.split(' ').at(-1))).toBeLessThan(120);
    expect(await second.stop()).toBe(0);
  });

  it('of a kind with a measure of its own touch no other', async () => {
    const time = Date.now() - 2 * HOUR;
    peer.add(APP, 'uninstall_events_report', [rowOf(message({ event_name: 'uninstall', event_time: appsflyerTime(time) }))]);
    const daemon = await TestDaemon.start({ dataDir: directory.path, env: environment({ MILLRACE_PULL_REPORTS: 'uninstall_events_report' }) });
    await daemon.settled(1);
    await totalsBecome(daemon, { events: 0, installs: 0, uninstalls: 1, revenue: 0 });
  });

  it('with too few cells are counted and kept as dead letters', async () => {
    const time = Date.now() - 2 * HOUR;
    peer.add(APP, 'in_app_events_report', [purchase(1, time), purchase(2, time), purchase(3, time)].map(rowOf));
    peer.faults.push({ kind: 'columns', fromRow: 2, rows: 1 });
    const daemon = await TestDaemon.start({ dataDir: directory.path, env: environment({ MILLRACE_PULL_REPORTS: 'in_app_events_report' }) });
    const { accepted, late, rejected } = (await daemon.settled(3)).conservation;
    expect([accepted + late, rejected]).toEqual([2, 1]);
    const letters = await daemon.get<{ dead_letters?: unknown[] }>('/v1/dead-letters');
    expect(JSON.stringify(letters)).toMatch(/"source":"pull".*row of in_app_events_report of com\.example\.shop with 83 cells/);
  });

  it('are read to the exact total by a daemon that is killed again and again', { timeout: 240_000 }, async () => {
    const count = 60_000;
    const start = Date.now() - 40 * HOUR;
    peer.add(APP, 'in_app_events_report', Array.from({ length: count }, (_, index) => rowOf(purchase(index, start + index * 2_000))));
    const env = environment({ MILLRACE_PULL_REPORTS: 'in_app_events_report' });
    let kills = 0;
    for (;;) {
      const daemon = await TestDaemon.start({ dataDir: directory.path, env });
      const before = (await daemon.pipeline()).conservation.received;
      await daemon.until(async () => (await daemon.pipeline()).conservation.received > before + 5_000 || isPollDone(directory.path), 60_000, 'rows');
      if (isPollDone(directory.path) || kills === 3) {
        await daemon.stop();
        break;
      }
      await daemon.kill();
      kills++;
    }
    expect(kills).toBeGreaterThan(0);
    const last = await TestDaemon.start({ dataDir: directory.path, env });
    await last.until(() => isPollDone(directory.path), 120_000, 'the report to be read');
    await totalsBecome(last, { events: count, installs: 0, uninstalls: 0, revenue: count * 1_250_000 });
    // What was fetched is kept over a crash: calls are few.
    expect(peer.calls.length).toBeLessThanOrEqual(2);
  });

  it('stop with the token, and go on with another one in its file', async () => {
    const file = join(directory.path, 'token');
    writeFileSync(file, 'no-longer-good\n');
    peer.add(APP, 'in_app_events_report', [rowOf(purchase(1, Date.now() - HOUR))]);
    const daemon = await TestDaemon.start({ dataDir: directory.path, env: environment({ MILLRACE_PULL_TOKEN: '', MILLRACE_PULL_TOKEN_FILE: file }) });
    await daemon.until(async () => ((await daemon.pipeline())['alarms'] as string[]).some((alarm) => alarm.startsWith('pull: AppsFlyer refuses the token')), 20_000, 'the alarm');
    writeFileSync(file, `${peer.token}\n`);
    await daemon.settled(1);
    await daemon.until(async () => ((await daemon.pipeline())['alarms'] as string[]).length === 0, 20_000, 'no alarm');
    expect(JSON.stringify(daemon.logs)).not.toContain('no-longer-good');
  });
});

describe('millrace backfill', () => {
  const old = (): Record<string, unknown>[] => Array.from({ length: 40 }, (_, index) => purchase(index, Math.floor(Date.now() / DAY) * DAY - 9 * DAY + index * HOUR));

  it('reads old days once: what the lake has already is left out', { timeout: 240_000 }, async () => {
    const env = environment({ MILLRACE_LAKE_SLOT_BYTES_MAX: String(SLOT_BYTES), MILLRACE_PULL_REPORTS: 'in_app_events_report', MILLRACE_PULL_OVERLAP_HOURS: '1' });
    const events = old();
    const daemon = await TestDaemon.start({ dataDir: directory.path, env });
    // As another life would have taken them: by Push, nine days late. The last one fills a slot of the lake, which so ends without a wait for the clock.
    for (const event of events.slice(0, 25)) await daemon.push({ ...event, af_sub5: 'x'.repeat(Math.ceil(SLOT_BYTES / 25)) });
    await daemon.settled(25);
    await daemon.until(async () => Number((await metric(daemon, 'millrace_lake_slots_spooled_total'))[0]?.split(' ').at(-1)) > 0 && (await metric(daemon, 'millrace_lake_spool_bytes '))[0]?.endsWith(' 0') === true, 150_000, 'a slot in the lake');
    peer.add(APP, 'in_app_events_report', events.map(rowOf));
    const day = (index: number): string => new Date(Math.floor(Date.now() / DAY) * DAY - index * DAY).toISOString().slice(0, 10);
    const args = ['backfill', '--from', day(10), '--to', day(6), '--admin', daemon.admin];
    const dry = await runCli([...args, '--dry-run'], { ...env, MILLRACE_DATA_DIR: directory.path });
    expect([dry.code, dry.stderr]).toEqual([0, '']);
    expect(dry.stdout).toMatch(new RegExp(`in_app_events_report of ${APP.replaceAll('.', '\\.')}: 1 calls; \\d+ of the 100 of today may be spent on it, all of it today\n  ${day(10)} 00:00 to ${day(6)} 00:00\n1 calls in all`));
    const done = await runCli(args, { ...env, MILLRACE_DATA_DIR: directory.path });
    expect([done.code, done.stdout]).toEqual([0, '15 rows read in, 25 were in the lake already, 0 malformed, 0 left out\n']);
    await daemon.settled(40);
    expect((await daemon.pipeline()).conservation).toMatchObject({ received: 40, duplicate: 0, rejected: 0 });
    await totalsBecome(daemon, { events: 40, installs: 0, uninstalls: 0, revenue: 40 * 1_250_000 });
  });

  it('refuses what cannot be done, by name', async () => {
    const daemon = await TestDaemon.start({ dataDir: directory.path, env: environment() });
    const env = { ...environment(), MILLRACE_DATA_DIR: directory.path };
    const answers = await Promise.all([
      runCli(['backfill', '--from', '2020-01-01', '--admin', daemon.admin], env),
      runCli(['backfill', '--from', 'yesterday', '--admin', daemon.admin], env),
      runCli(['backfill', '--from', csvTime(Date.now() - DAY).replace(' ', 'T'), '--app', 'another', '--admin', daemon.admin], env),
      runCli(['backfill', '--from', '2026-11-01'], { MILLRACE_DATA_DIR: directory.path }),
    ]);
    expect(answers.map(({ code }) => code)).toEqual([2, 2, 2, 2]);
    expect(answers.map(({ stderr }) => stderr.trim())).toEqual([
      expect.stringMatching(/QUERY_INVALID: from: 2020-01-01 00:00: AppsFlyer keeps 90 days/),
      expect.stringMatching(/CONFIG_INVALID: --from yesterday: use an ISO time/),
      expect.stringMatching(/QUERY_INVALID: app: another: not among pull\.apps/),
      expect.stringMatching(/CONFIG_INVALID: pull\.apps is empty/),
    ]);
    const route = await fetch(`${daemon.admin}/v1/backfills?from=nonsense`, { method: 'POST' });
    expect([route.status, await route.text()]).toEqual([400, expect.stringContaining('from')]);
  });
});

/** Nothing of the poll under way is left in what the poller remembers. */
function isPollDone(dataDir: string): boolean {
  try {
    const { jobs } = JSON.parse(readFileSync(join(dataDir, 'pull.json'), 'utf8')) as { jobs: Record<string, { succeededMs: number }> };
    return Object.values(jobs).every(({ succeededMs }) => succeededMs > 0);
  } catch {
    return false;
  }
}
