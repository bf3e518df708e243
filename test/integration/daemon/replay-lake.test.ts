/** Other conversion events tried on the rows of the lake through the built program, promoted, and tried again: to the unit, and nothing told twice. */

import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MS_PER_HOUR } from '../../../engine/core/types.ts';
import { awayFromBoundary } from '../../support/boundaries.ts';
import { appsflyerTime, message, runCli, type TestDaemon } from '../../support/daemon.ts';
import { conserved } from '../../support/load.ts';
import { MIB, useDaemons } from './harness.ts';

const { scratch, directory, started } = useDaemons();

interface Told {
  readonly summary: Readonly<Record<string, unknown>> & { readonly lake: Readonly<Record<string, unknown>> };
  readonly cells: readonly (Readonly<Record<string, unknown>> & { readonly changes: Readonly<Record<string, readonly [number, number]>> })[];
}

const hourText = (timeMs: number): string => new Date(Math.floor(timeMs / MS_PER_HOUR) * MS_PER_HOUR).toISOString();
const FIGURES = ['window_start', 'events', 'conversions', 'secondary_conversions', 'revenue', 'by_event'];

it('other conversion events are tried on the lake, told by cell, promoted into hours, late cells and days, and tried again without a difference', { timeout: 120_000 }, async () => {
  await awayFromBoundary(MS_PER_HOUR, 60_000);
  const dataDir = directory('data');
  const lake = join(scratch.path, 'lake');
  // Rules that the lake obeys end a slot where they change, whatever it was: so its rows are written without waiting for the clock.
  const life = (number: number, events: string): Record<string, string> => ({
    MILLRACE_PARTITIONS: '2',
    MILLRACE_WINDOWS_IDLE_AFTER_SECONDS: '1',
    MILLRACE_LAKE_URL: `file:${lake}`,
    MILLRACE_APPS_TEST: `life${number}`,
    MILLRACE_METRICS_CONVERSION_EVENTS: events,
  });
  const command = (args: readonly string[], env: Readonly<Record<string, string>>) => runCli(['replay', ...args], { ...env, MILLRACE_DATA_DIR: dataDir, MILLRACE_DISK_RESERVE_BYTES: String(64 * MIB) });
  const fromLake = async (name: string, daemon: TestDaemon, env: Readonly<Record<string, string>>, ...args: string[]): Promise<Told> => {
    const { code, stdout, stderr } = await command(['--source', 'lake', '--into', name, '--format', 'json', '--admin', daemon.admin, ...args], env);
    expect([code, stderr]).toEqual([0, '']);
    return JSON.parse(stdout) as Told;
  };
  const figures = async (daemon: TestDaemon): Promise<{ hours: unknown[]; days: unknown[] }> => {
    const picked = (rows: readonly Readonly<Record<string, unknown>>[]): unknown[] => rows.map((row) => Object.fromEntries(FIGURES.map((name) => [name, row[name]])));
    const { rows } = await daemon.get<{ rows: Readonly<Record<string, unknown>>[] }>('/v1/metrics/daily?group_by=none');
    return { hours: picked((await daemon.hourly('group_by=none&late=include')).rows), days: picked(rows) };
  };
  const daysOf = (rows: readonly unknown[], figure: string): number => (rows as Readonly<Record<string, unknown>>[]).reduce((sum, row) => sum + Number(row[figure]), 0);

  const [nowMs, oldMs] = [Date.now(), Date.now() - 3 * MS_PER_HOUR];
  let sent = 0;
  const send = async (daemon: TestDaemon, event: string, timeMs: number, fields: object = {}): Promise<void> => {
    const body = message({ appsflyer_id: `user-${sent++}`, event_name: event, event_time: appsflyerTime(timeMs), ...(event === 'af_purchase' && { event_revenue_usd: '2.5' }), ...fields });
    expect((await daemon.push(body)).status).toBe(200);
  };
  let daemon = await started({ dataDir, env: life(1, 'af_purchase') });
  for (const event of ['af_purchase', 'af_purchase', 'af_purchase', 'af_level', 'af_level', 'af_other']) await send(daemon, event, oldMs);
  for (const event of ['af_purchase', 'af_level']) await send(daemon, event, oldMs, { is_primary_attribution: false });
  await send(daemon, 'af_level', oldMs, { af_c_id: 'another', event_revenue: '7', event_revenue_currency: 'EUR', event_revenue_usd: '' });
  await daemon.until(async () => (await daemon.hourly('group_by=none')).rows[0]?.['final'] === true, 30_000, 'the old hour to be final');
  await send(daemon, 'af_level', oldMs);
  await send(daemon, 'af_purchase', nowMs);
  expect((await daemon.settled(11)).conservation).toMatchObject({ accepted: 10, late: 1 });
  expect(await daemon.stop()).toBe(0);

  daemon = await started({ dataDir, env: life(2, 'af_purchase') });
  await send(daemon, 'af_level', nowMs);
  await daemon.settled(12);
  const folder = join(lake, 'events', `event_date=${hourText(oldMs).slice(0, 10)}`);
  await daemon.until(() => Promise.resolve(existsSync(folder) && readdirSync(folder).some((name) => name.endsWith('.parquet'))), 30_000, 'the first slot to be in the lake');
  const before = await figures(daemon);

  const env = life(2, 'af_purchase');
  const file = join(scratch.path, 'pipeline.yaml');
  writeFileSync(file, 'metrics:\n  conversion_events: [af_level, af_other]\n');
  const told = await fromLake('tried', daemon, env, '--pipeline', file);
  const old = hourText(oldMs);
  expect(told.cells.map(({ window_start, kind, campaign_id, changes }) => ({ window_start, kind, campaign_id, changes }))).toEqual([
    { window_start: old, kind: 'hour', campaign_id: '21421952087', changes: { 'by_event.af_level': [0, 2], 'by_event.af_other': [0, 1], 'by_event.af_purchase': [3, 0] } },
    { window_start: old, kind: 'hour', campaign_id: 'another', changes: { conversions: [0, 1], 'by_event.af_level': [0, 1] } },
    { window_start: old, kind: 'late', campaign_id: '21421952087', changes: { conversions: [0, 1], 'by_event.af_level': [0, 1] } },
  ]);
  expect(told.summary).toMatchObject({ compared_cells: 3, differing_cells: 3, left_out: { hours: 1, first: hourText(nowMs) }, totals: { conversions: [0, 2] } });
  expect(told.summary.lake).toMatchObject({ kept_from: old, missing_files: 0, foreign_files: 0, left_out: { open: 1 }, disagreeing_cells: 0 });
  expect(Number(told.summary.lake['rows'])).toBeGreaterThanOrEqual(10);
  expect(await figures(daemon)).toEqual(before);
  expect((await command(['ls'], env)).stdout).toMatch(/^tried {2}ready .* from the lake, hours .*3 cells differed\n$/);

  // What rows cannot tell, and what is no file of the lake, is refused by name, and leaves nothing behind.
  writeFileSync(file, 'metrics:\n  conversion_events: [af_level, af_other]\nwindows:\n  allowed_lateness_seconds: 86400\n');
  expect((await command(['--source', 'lake', '--into', 'other', '--pipeline', file], env)).stderr).toMatch(/CONFIG_INVALID: windows\.allowed_lateness_seconds: the rows of the lake do not carry/);
  expect((await command(['--source', 'bucket', '--into', 'other'], env)).stderr).toMatch(/--source bucket: use journal or lake/);
  const [first = ''] = readdirSync(folder).filter((name) => name.endsWith('.parquet'));
  const garbage = join(folder, first.replace('part0000', 'part0002'));
  writeFileSync(garbage, 'PAR1');
  expect((await command(['--source', 'lake', '--into', 'other', '--admin', daemon.admin], env)).stderr).toMatch(new RegExp(`SINK_REFUSED: events/event_date=${old.slice(0, 10)}/.*part0002\\.parquet of the lake cannot be read`));
  rmSync(garbage);
  expect(readdirSync(join(dataDir, 'shadows'))).toEqual(['tried']);

  // A late record that comes after the shadow was made keeps what it counted; the cell that it is in is corrected all the same.
  await send(daemon, 'af_purchase', oldMs);
  await daemon.settled(13);
  expect(await daemon.stop()).toBe(0);
  const promoted = life(2, 'af_level,af_other');
  expect((await command(['promote', 'tried'], env)).stderr).toMatch(/does not have the rules of the shadow: conversionEvents/);
  const promotion = await command(['promote', 'tried'], promoted);
  expect(promotion.stderr).toBe('');
  expect(promotion.stdout).toMatch(/^promoted tried: 5 cells of 1 hours and their days/);

  daemon = await started({ dataDir, env: promoted });
  const shown = await figures(daemon);
  expect(shown.hours[0]).toEqual({ window_start: old, events: 9, conversions: 6, secondary_conversions: 1, revenue: '10.00', by_event: { af_level: 4, af_other: 1, af_purchase: 1 } });
  expect(shown.hours.slice(1)).toEqual(before.hours.slice(1));
  await daemon.until(async () => daysOf((await figures(daemon)).days, 'events') === 11, 30_000, 'days of 11 events');
  const { days } = await figures(daemon);
  expect(['conversions', 'secondary_conversions', 'revenue'].map((figure) => daysOf(days, figure))).toEqual([7, 1, 12.5]);
  expect(conserved((await daemon.pipeline()).conservation)).toBe(true);

  const again = await fromLake('again', daemon, promoted);
  expect(again.cells).toEqual([]);
  // Of the late record no row is in the lake yet.
  expect(again.summary).toMatchObject({ compared_cells: 3, differing_cells: 0, lake: { left_out: { open: 1 }, disagreeing_cells: 1, disagreement: { records: [2, 1], events: [2, 1], 'by_event.af_purchase': [1, 0] } } });
  expect((await command(['drop', 'again'], promoted)).stdout).toBe('dropped again\n');
});
