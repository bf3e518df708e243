/**
 * How fast does one actor core fold a journal: read, CRC, decode, dedupe, windows, over all 32 partitions, from the page cache?
 *
 * What recovery does, and all that an actor thread does but reports and checkpoints. Expected limit: one event in one partition
 * (bench/micro/partition.ts) and its bytes read once; small batches cost more, for each is a slice of few records in many partitions.
 * Goal: 300 K events a second, and a hot campaign costs under 5 %. Run: `npm run build && node dist/bench/micro/replay.js [--events 100000] [--rounds 9]`. CPU time, garbage
 * collection included; every round is checked for conservation.
 */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogBatch } from '../../engine/core/log.ts';
import { offset, type Offset } from '../../engine/core/types.ts';
import { createRecordCursor, inspectJournal, openLogReader, type Lane } from '../../engine/log/index.ts';
import { figureOf, writeFigures, type Figures } from '../harness/figures.ts';
import { isProgram, numberArgument } from '../harness/program.ts';
import { openBenchJournal } from './bench-journal.ts';
import { BENCH_PARTITIONS, openBenchPartitions, type BenchPartition } from './bench-partition.ts';
import { buildMessages, type MessageBuffer } from './messages.ts';
import { printTimings, type Timing } from './measure.ts';

const LANE = { first: 0, count: BENCH_PARTITIONS };

export interface ReplayBenchOptions {
  readonly events: number;
  readonly rounds: number;
}

interface Case {
  readonly name: string;
  readonly batchRecords: number;
  readonly skewed: boolean;
}

/** As many as a busy door puts into one. */
const USUAL: Case = { name: 'one event, batches of 128', batchRecords: 128, skewed: false };
const SKEWED: Case = { name: 'the same, 90 % on one campaign', batchRecords: 128, skewed: true };
const CASES: readonly Case[] = [{ name: 'one event, batches of 16', batchRecords: 16, skewed: false }, USUAL, SKEWED, { name: 'one event, batches of 1024', batchRecords: 1_024, skewed: false }];

/** CPU nanoseconds per event of each round, by case; the cases take turns. */
export async function benchReplay({ events, rounds }: ReplayBenchOptions): Promise<ReadonlyMap<Case, readonly number[]>> {
  const even = buildMessages({ count: events });
  const skewed = buildMessages({ count: events, skewed: true });
  const root = mkdtempSync(join(tmpdir(), 'millrace-bench-replay-'));
  try {
    const journals: { readonly of: Case; readonly directory: string; readonly end: Offset; readonly ns: number[] }[] = [];
    for (const [index, of] of CASES.entries()) {
      const directory = join(root, String(index));
      mkdirSync(directory);
      journals.push({ of, directory, end: await writeJournal({ directory, messages: of.skewed ? skewed : even, batchRecords: of.batchRecords, nowMs: Date.UTC(2026, 4, 3, 10, 16, 5) }), ns: [] });
    }
    // The first round warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const { directory, end, ns } of journals) {
        const took = await replay(directory, end, events);
        if (round > 0) ns.push(took);
      }
    }
    return new Map(journals.map(({ of, ns }) => [of, ns]));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Events a second, and what skew costs in percent, round by round. */
export function replayFigures(results: ReadonlyMap<Case, readonly number[]>): Figures {
  const usual = results.get(USUAL) as readonly number[];
  const skewed = results.get(SKEWED) as readonly number[];
  return { 'replay.rate': figureOf(usual.map((ns) => 1e9 / ns)), 'skew.cost': figureOf(skewed.map((ns, round) => (ns / (usual[round] as number) - 1) * 100)) };
}

export interface WriteOptions {
  readonly directory: string;
  readonly messages: MessageBuffer;
  readonly batchRecords: number;
  /** When all of them are received. */
  readonly nowMs: number;
}

/** Returns where it ends. */
export async function writeJournal({ directory, messages: { bytes, starts, ends }, batchRecords, nowMs }: WriteOptions): Promise<Offset> {
  const journal = await openBenchJournal({ directory, batchRecords, nowMs: () => nowMs });
  for (let index = 0; index < starts.length; index++) await journal.append(bytes, starts[index] as number, ends[index] as number);
  return journal.close();
}

/** Folds the whole journal into new partitions; returns CPU nanoseconds per event. */
async function replay(directory: string, end: Offset, events: number): Promise<number> {
  const actors = openBenchPartitions(0, BENCH_PARTITIONS);
  const startUs = process.cpuUsage();
  await foldJournal({ directory, end, actors, lane: LANE });
  const { user, system } = process.cpuUsage(startUs);
  const accepted = actors.reduce((sum, actor) => sum + actor.stats().accepted, 0);
  if (accepted !== events) throw new Error(`bug: ${accepted} of ${events} records were accepted`);
  return ((user + system) * 1_000) / events;
}

export interface FoldOptions {
  readonly directory: string;
  readonly end: Offset;
  /** Those of the lane, in order. */
  readonly actors: readonly BenchPartition[];
  readonly lane: Lane;
  /** Called once all of them have folded it. */
  readonly afterBatch?: (batch: LogBatch) => Promise<void>;
}

/** Where a journal ends that nobody writes. */
export const endOfJournal = (directory: string): Offset => inspectJournal({ directory }).segments.at(-1)?.endOffset ?? offset(0);

/** Folds one lane of a journal, whole, as an actor thread does in recovery. */
export async function foldJournal({ directory, end, actors, lane, afterBatch }: FoldOptions): Promise<void> {
  const reader = openLogReader({ directory, lane, from: offset(4_096) });
  const cursor = createRecordCursor();
  for (let batch = reader.read(end); batch !== null; batch = reader.read(end)) {
    let slice = 0;
    for (const actor of actors) {
      const candidate = batch.slices[slice];
      const own = candidate !== undefined && candidate.partition === actor.id ? candidate : null;
      if (own !== null) slice++;
      actor.fold(batch, own, cursor);
    }
    if (afterBatch !== undefined) await afterBatch(batch);
  }
  reader.close();
}

if (isProgram(import.meta.url)) {
  const results = await benchReplay({ events: numberArgument('events', 100_000), rounds: numberArgument('rounds', 9) });
  const timings = [...results].map(([{ name }, ns]): Timing => {
    const { median, low, high } = figureOf(ns);
    return { name, medianNs: median, minNs: low, maxNs: high };
  });
  printTimings('Replay of a journal by one core, 32 partitions, messages of about 1.6 KB', timings);
  writeFigures(replayFigures(results));
}
