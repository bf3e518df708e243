/** What must be exact after a run: the books, every hourly row, the lake read with DuckDB, and the state hash against an undisturbed replay. */

import type { ModelSummary } from '../model/model.ts';
import { runCli, type PipelineAnswer, type TestDaemon } from './daemon.ts';
import { countEvents, hourlyDifference } from './lake-check.ts';
import { pause } from './load.ts';

/** Where the lake is read: itself, or a copy that is brought up to date before each look. */
export interface LakeView {
  readonly path: string;
  readonly refresh: () => Promise<void>;
}

/** Waits until everything is folded, the last repeat of an event too, and resends of what was acknowledged already have come through. */
export async function settleTotals(daemon: TestDaemon, expected: ModelSummary): Promise<PipelineAnswer> {
  const { counted, duplicate: repeated, rejected: refused } = expected;
  let pipeline = await daemon.pipeline();
  await daemon.until(
    async () => {
      pipeline = await daemon.pipeline();
      const { received, accepted, late } = pipeline.conservation;
      return accepted + late >= counted && received >= counted + repeated + refused;
    },
    120_000,
    () => `${counted} records to be counted, ${repeated} repeats and ${refused} rejected ones to be received; have ${JSON.stringify(pipeline.conservation)}`,
  );
  // Resends of what was acknowledged already may still be on their way through the partitions.
  let last = -1;
  while (pipeline.conservation.received !== last) {
    last = pipeline.conservation.received;
    await pause(1_500);
    pipeline = await daemon.pipeline();
  }
  return pipeline;
}

export function checkConservation(pipeline: PipelineAnswer, expected: ModelSummary): void {
  const { received, accepted, duplicate, late, rejected } = pipeline.conservation;
  if (received !== accepted + duplicate + late + rejected) throw new Error(`conservation is broken: ${JSON.stringify(pipeline.conservation)}`);
  if (accepted + late !== expected.counted) throw new Error(`counted ${accepted + late}, expected ${expected.counted}`);
  // What was sent again after a death may have been received twice: more duplicates and rejects, never fewer.
  if (duplicate < expected.duplicate || rejected < expected.rejected) throw new Error(`duplicate ${duplicate} of ${expected.duplicate}, rejected ${rejected} of ${expected.rejected}`);
}

/** Every measure of every hour, campaign and country, late records included; resolves with the number of rows. */
export async function checkRows(daemon: TestDaemon, expected: ModelSummary): Promise<number> {
  const rows = new Map<string, Record<string, unknown>>();
  let cursor = '';
  do {
    const answer = await daemon.get<{ rows: Record<string, unknown>[]; next_cursor?: string | null }>(`/v1/metrics/hourly?from=0&late=include&group_by=campaign_id,country&limit=10000${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`);
    for (const row of answer.rows) rows.set(`${String(row['window_start'])}|${String(row['campaign_id'])}|${String(row['country'])}`, row);
    cursor = answer.next_cursor ?? '';
  } while (cursor !== '');
  for (const want of expected.byHourCampaignCountry) {
    const key = `${want.windowStart}|${want.dimensions.campaign_id}|${want.dimensions.country}`;
    const row = rows.get(key);
    if (row === undefined) throw new Error(`no row for ${key}`);
    for (const [measure, value] of Object.entries(want.measures)) {
      if (String(row[measure]) !== String(value)) throw new Error(`${key}: ${measure} is ${String(row[measure])}, expected ${value}`);
    }
    for (const [name, value] of Object.entries(row)) {
      if (typeof value === 'number' && value !== 0 && want.measures[name] === undefined && MEASURES.has(name)) throw new Error(`${key}: ${name} is ${value}, expected none`);
    }
    const byEvent = (row['by_event'] ?? {}) as Record<string, number>;
    for (const [name, value] of Object.entries(want.byEvent)) if (String(byEvent[name]) !== String(value)) throw new Error(`${key}: by_event.${name} is ${byEvent[name]}, expected ${value}`);
  }
  if (rows.size !== expected.byHourCampaignCountry.length) throw new Error(`${rows.size} rows, expected ${expected.byHourCampaignCountry.length}`);
  return rows.size;
}

/** A cell that waits for the shares of other partitions becomes visible a moment after the counters, in a sink after that. */
export async function soon<Value>(check: () => Promise<Value>, limitMs = 10_000): Promise<Value> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await pause(100);
    }
  }
}

const MEASURES = new Set(['installs', 'reinstalls', 're_engagements', 're_attributions', 'events', 'conversions', 'revenue_micros', 'unpriced_events', 'secondary_conversions', 'secondary_revenue_micros']);

/** A slot ends after a minute of log time at most in these runs, and its files are to be seen soon after. */
const LAKE_STILL_MS_MAX = 150_000;

export interface LakeCheck {
  readonly daemon: TestDaemon;
  readonly lake: LakeView;
  readonly expected: ModelSummary;
  readonly lateRecords: number;
}

/** `hourly/` equals the model and `events/` holds every counted event once; resolves with its rows. */
export async function checkLake({ daemon, lake, expected, lateRecords }: LakeCheck): Promise<number> {
  let difference: string | null = '';
  const hours = { rows: expected.byHourCampaignCountry, lateRecords };
  await daemon.until(
    async () => {
      await pause(200);
      await lake.refresh();
      difference = await hourlyDifference(lake.path, hours);
      return difference === null;
    },
    60_000,
    () => `hourly/ to equal the model: ${difference}`,
  );
  // A busy machine may take minutes over what is still to be encoded: it is late once nothing more comes.
  let seen = await countEvents(lake.path);
  for (let movedMs = performance.now(); seen.rows < expected.counted; ) {
    await pause(200);
    await lake.refresh();
    const before = seen.rows;
    seen = await countEvents(lake.path);
    if (seen.rows > before) movedMs = performance.now();
    else if (performance.now() - movedMs > LAKE_STILL_MS_MAX) throw new Error(`no more rows came to events/ for ${LAKE_STILL_MS_MAX / 1_000} s: ${JSON.stringify(seen)} of ${expected.counted}`);
  }
  await pause(1_000);
  await lake.refresh();
  seen = await countEvents(lake.path);
  if (seen.rows !== expected.counted || seen.distinct !== expected.counted) throw new Error(`events/ holds ${seen.rows} rows, ${seen.distinct} distinct, expected ${expected.counted}`);
  return seen.rows;
}

/** Of a directory whose daemon has ended; resolves with the hash that both have. The journal must be there from its first record. */
export async function compareWithReplay(directories: { readonly dataDir: string; readonly replayDir: string }, threads: number): Promise<string> {
  const own = await runCli(['inspect', '--state-hash'], { MILLRACE_DATA_DIR: directories.dataDir });
  if (own.code !== 0) throw new Error(`inspect: ${own.stderr}`);
  const replay = await runCli(['replay', '--from', directories.dataDir, '--into', directories.replayDir, '--threads', String(threads)]);
  if (replay.code !== 0) throw new Error(`replay: ${replay.stderr}`);
  const again = await runCli(['inspect', '--state-hash'], { MILLRACE_DATA_DIR: directories.replayDir });
  if (again.code !== 0) throw new Error(`inspect: ${again.stderr}`);
  if (own.stdout !== again.stdout) throw new Error(`the state hash ${own.stdout.trim()} differs from the replay's ${again.stdout.trim()}`);
  return own.stdout.trim();
}
