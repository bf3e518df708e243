/**
 * One run that must come out exact: generated messages sent to the built daemon while it is killed, then every figure compared with the
 * independent model, the lake read with DuckDB, and the state hash with that of an undisturbed replay.
 */

import { join } from 'node:path';
import { createGenerator } from '../../actors/appsflyer/generate/index.ts';
import { Sender } from '../../engine/commands/sender.ts';
import { Model, type ModelSummary } from '../model/model.ts';
import { TestDaemon, runCli, type PipelineAnswer } from './daemon.ts';
import { countEvents, hourlyDifference } from './lake-check.ts';
import { freePort } from './ports.ts';
import { killOnce } from './thread-deaths.ts';

export interface ExactRunOptions {
  readonly dataDir: string;
  readonly replayDir: string;
  readonly count: number;
  readonly seed: number;
  /** kill -9 of the process, at random times under load. */
  readonly kills: number;
  /** Actor threads ended as by a bug, at random times under load, any of them. */
  readonly threadKills?: number;
  /** Where no life says otherwise; by default MILLRACE_TEST_ACTORS, or one. */
  readonly actorThreads?: number;
  /** Settings of each life of the daemon, in turn. */
  readonly lives?: readonly Readonly<Record<string, string>>[];
  readonly replayThreads: number;
  /** Waits for the lake's last slot, up to a minute and a half. */
  readonly lake: boolean;
  readonly batch?: number;
  readonly say?: (text: string) => void;
}

export interface ExactRunReport {
  readonly received: number;
  readonly counted: number;
  readonly lateRecords: number;
  readonly hourlyRows: number;
  readonly lakeRows: number | null;
  /** Those that were seen to be done. */
  readonly processKills: number;
  readonly threadKills: number;
  readonly resent: number;
  readonly stateHash: string;
  readonly replayHash: string;
  readonly seconds: number;
}

/** Messages made after the moment chosen for a death: enough to keep the load on until it happens. */
const SENT_BEYOND_DEATH = 5_000;

/** Deterministic choice of the moments of death; the run's own timing varies all the same. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Raises with the first difference it finds. */
export async function exactRun(options: ExactRunOptions): Promise<ExactRunReport> {
  const startedMs = performance.now();
  const say = options.say ?? (() => undefined);
  const [ingestPort, adminPort] = [await freePort(), await freePort()];
  const lives = options.lives ?? [{}];
  let life = 0;
  let actorThreads = 0;
  const start = (): Promise<TestDaemon> => {
    const env = {
      MILLRACE_INGEST_PORT: String(ingestPort),
      MILLRACE_ADMIN_PORT: String(adminPort),
      MILLRACE_LAKE_SLOT_MINUTES: '1',
      MILLRACE_LAKE_SLOT_BYTES_MAX: String(32 * 1024 * 1024),
      MILLRACE_LAKE_HOURLY_INTERVAL_SECONDS: '2',
      MILLRACE_CHECKPOINT_INTERVAL_MS: '2000',
      MILLRACE_FAULT_INJECTION: 'true',
      MILLRACE_THREADS_ACTORS: String(options.actorThreads ?? process.env['MILLRACE_TEST_ACTORS'] ?? 1),
      ...lives[life++ % lives.length],
    };
    actorThreads = Number(env.MILLRACE_THREADS_ACTORS);
    return TestDaemon.start({ dataDir: options.dataDir, env });
  };
  let daemon = await start();
  const model = new Model();
  const sending = { done: false, made: 0, upTo: Infinity };
  const sender = new Sender({ url: `http://127.0.0.1:${ingestPort}`, inFlightMax: 16, batch: options.batch ?? 100, signal: new AbortController().signal });
  const feeding = (async () => {
    const generator = createGenerator({ seed: options.seed, ratePerMinute: 600_000, startMs: Date.now(), garbageShare: 0.01, resendShare: 0.03, followsClock: true });
    for (; sending.made < options.count; sending.made++) {
      while (sending.made >= sending.upTo) await pause(2);
      const message = generator.next(Date.now());
      model.deliver({ body: message.body, method: message.method, receivedAtMs: Date.now() });
      await sender.send(message);
    }
    await sender.finish();
    sending.done = true;
  })();
  const dice = random(options.seed);
  const planned = [...Array.from({ length: options.kills }, () => 'process' as const), ...Array.from({ length: options.threadKills ?? 0 }, () => 'thread' as const)];
  const deaths = planned.map((what) => ({ what, at: dice() * 0.97 * options.count })).sort((left, right) => left.at - right.at);
  const done = { process: 0, thread: 0 };
  for (const death of deaths) {
    // The next death waits for it, or a fast sender would be done before the last ones.
    sending.upTo = death.at + SENT_BEYOND_DEATH;
    while (sending.made < death.at && !sending.done) await pause(3);
    await pause(dice() * 150);
    if (death.what === 'process') {
      await daemon.kill();
      const { code, signal } = await daemon.exited;
      if (signal !== 'SIGKILL') throw new Error(`the daemon had ended by itself, with ${code ?? signal}`);
      daemon = await start();
    } else await killOnce(daemon, String(Math.floor(dice() * actorThreads)));
    done[death.what]++;
    say(`${death.what} killed at ${sending.made} of ${options.count}`);
  }
  sending.upTo = Infinity;
  await feeding;
  const expected = model.summarise();
  say(`all acknowledged, ${sender.resent} requests sent again`);
  const pipeline = await settleTotals(daemon, expected);
  checkConservation(pipeline, expected);
  const hourlyRows = await soon(() => checkRows(daemon, expected));
  const { conservation } = await daemon.pipeline();
  const lakeRows = options.lake ? await checkLake({ daemon, lake: join(options.dataDir, 'lake'), expected, lateRecords: conservation.late, say }) : null;
  const code = await daemon.stop();
  if (code !== 0) throw new Error(`the daemon ended with ${code}`);
  const { stateHash, replayHash } = await compareWithReplay(options);
  return {
    received: conservation.received,
    counted: expected.counted,
    lateRecords: conservation.late,
    hourlyRows,
    lakeRows,
    processKills: done.process,
    threadKills: done.thread,
    resent: sender.resent,
    stateHash,
    replayHash,
    seconds: (performance.now() - startedMs) / 1_000,
  };
}

async function settleTotals(daemon: TestDaemon, expected: ModelSummary): Promise<PipelineAnswer> {
  let pipeline = await daemon.pipeline();
  await daemon.until(
    async () => {
      pipeline = await daemon.pipeline();
      const { accepted, late } = pipeline.conservation;
      return accepted + late >= expected.counted;
    },
    120_000,
    () => `${expected.counted} records to be counted; have ${JSON.stringify(pipeline.conservation)}`,
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

function checkConservation(pipeline: PipelineAnswer, expected: ModelSummary): void {
  const { received, accepted, duplicate, late, rejected } = pipeline.conservation;
  if (received !== accepted + duplicate + late + rejected) throw new Error(`conservation is broken: ${JSON.stringify(pipeline.conservation)}`);
  if (accepted + late !== expected.counted) throw new Error(`counted ${accepted + late}, expected ${expected.counted}`);
  // What was sent again after a death may have been received twice: more duplicates and rejects, never fewer.
  if (duplicate < expected.duplicate || rejected < expected.rejected) throw new Error(`duplicate ${duplicate} of ${expected.duplicate}, rejected ${rejected} of ${expected.rejected}`);
}

async function checkRows(daemon: TestDaemon, expected: ModelSummary): Promise<number> {
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

/** A cell that waits for the shares of other partitions becomes visible a moment after the counters. */
async function soon<Value>(check: () => Promise<Value>): Promise<Value> {
  const deadline = performance.now() + 10_000;
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

interface LakeCheck {
  readonly daemon: TestDaemon;
  readonly lake: string;
  readonly expected: ModelSummary;
  readonly lateRecords: number;
  readonly say: (text: string) => void;
}

async function checkLake({ daemon, lake, expected, lateRecords, say }: LakeCheck): Promise<number> {
  let difference: string | null = '';
  const hours = { rows: expected.byHourCampaignCountry, lateRecords };
  await daemon.until(
    async () => {
      await pause(500);
      difference = await hourlyDifference(lake, hours);
      return difference === null;
    },
    60_000,
    () => `hourly/ to equal the model: ${difference}`,
  );
  let seen = await countEvents(lake);
  say(`hourly/ is exact; events/ holds ${seen.rows} rows, waiting for ${expected.counted}`);
  await daemon.until(
    async () => {
      await pause(1_000);
      seen = await countEvents(lake);
      return seen.rows >= expected.counted;
    },
    150_000,
    () => `${expected.counted} rows in events/; have ${JSON.stringify(seen)}`,
  );
  await pause(1_500);
  seen = await countEvents(lake);
  if (seen.rows !== expected.counted || seen.distinct !== expected.counted) throw new Error(`events/ holds ${seen.rows} rows, ${seen.distinct} distinct, expected ${expected.counted}`);
  return seen.rows;
}

async function compareWithReplay(options: ExactRunOptions): Promise<{ stateHash: string; replayHash: string }> {
  const own = await runCli(['inspect', '--state-hash'], { MILLRACE_DATA_DIR: options.dataDir });
  if (own.code !== 0) throw new Error(`inspect: ${own.stderr}`);
  const replay = await runCli(['replay', '--from', options.dataDir, '--into', options.replayDir, '--threads', String(options.replayThreads)]);
  if (replay.code !== 0) throw new Error(`replay: ${replay.stderr}`);
  options.say?.(replay.stdout.trim());
  const again = await runCli(['inspect', '--state-hash'], { MILLRACE_DATA_DIR: options.replayDir });
  if (again.code !== 0) throw new Error(`inspect: ${again.stderr}`);
  if (own.stdout !== again.stdout) throw new Error(`the state hash ${own.stdout.trim()} differs from the replay's ${again.stdout.trim()}`);
  return { stateHash: own.stdout.trim(), replayHash: again.stdout.trim() };
}

const pause = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));
