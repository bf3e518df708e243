/**
 * What does an event cost where events meet many cells: 600 K records of the generator in thousands of combinations of dimensions, so that few
 * share a partition's cell; alone, and with reports and checkpoints in rotation?
 *
 * Expected limit: decoding (bench/micro/decode.ts) and a few cache misses for each of two cells. Goal: 3 times Flink's heap state
 * (bench/peers/flink.ts). Run: `npm run build && node dist/bench/micro/cells.js [--events 600000] [--rounds 5]`. CPU time, garbage collection
 * included; each round is checked for conservation.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PARTITION_TABLES, PagePool, ValueTable } from '../../actors/partition/index.ts';
import type { OrderedStore } from '../../engine/core/store.ts';
import { directoriesOf, readInstance } from '../../engine/runtime/data-directory.ts';
import { memoryStore } from '../../engine/state/index.ts';
import { figureOf } from '../harness/figures.ts';
import { isProgram, numberArgument } from '../harness/program.ts';
import { writeReplayData } from '../peers/replay-data.ts';
import { BENCH_PARTITIONS, openBenchPartition, type BenchPartition } from './bench-partition.ts';
import { printTimings, type Timing } from './measure.ts';
import { endOfJournal, foldJournal } from './replay.ts';

const LANE = { first: 0, count: BENCH_PARTITIONS };
/** Cells in a piece of a report: as many as an actor thread tells at once. */
const REPORT_CELLS_MAX = 2_000;
/** Batches after which each partition has reported once and saved once. Derived: 100 K records, as a busy second has. */
const ROTATION_BATCHES = 200;

export interface CellsBenchOptions {
  readonly events: number;
  readonly rounds: number;
}

export interface CellsBench {
  readonly timings: readonly Timing[];
  /** In memory at the end of a round. */
  readonly cells: number;
}

export async function benchCells({ events, rounds }: CellsBenchOptions): Promise<CellsBench> {
  const root = mkdtempSync(join(tmpdir(), 'millrace-bench-cells-'));
  try {
    const [data] = await writeReplayData(root, [events], 1);
    const dataDirectory = data?.dataDirectory ?? '';
    const alone: number[] = [];
    const saving: number[] = [];
    let cells = 0;
    // The first round warms up.
    for (let round = 0; round <= rounds; round++) {
      const plain = await fold(dataDirectory, events, false);
      const rotated = await fold(dataDirectory, events, true);
      if (round > 0) alone.push(plain.ns);
      if (round > 0) saving.push(rotated.ns);
      ({ cells } = plain);
    }
    const timing = (name: string, ns: readonly number[]): Timing => ({ name, medianNs: figureOf(ns).median, minNs: figureOf(ns).low, maxNs: figureOf(ns).high });
    return { timings: [timing('one event', alone), timing('one event, its share of reports and checkpoints', saving)], cells };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Folds all of it into new partitions. `isSaving`: reports and checkpoints are taken meanwhile. */
async function fold(dataDirectory: string, events: number, isSaving: boolean): Promise<{ readonly ns: number; readonly cells: number }> {
  const directory = directoriesOf(dataDirectory).journal;
  const end = endOfJournal(directory);
  const stores = Array.from({ length: BENCH_PARTITIONS }, () => memoryStore(PARTITION_TABLES));
  const shared = { instance: readInstance(dataDirectory)?.instance ?? '', dedupePages: new PagePool(), values: new ValueTable() };
  const actors = stores.map((store, id) => openBenchPartition(id, { ...shared, store }));
  const startUs = process.cpuUsage();
  await foldJournal({ directory, end, actors, lane: LANE, ...(isSaving && { afterBatch: ({ sequence }) => rotate(actors, stores, sequence % ROTATION_BATCHES) }) });
  const { user, system } = process.cpuUsage(startUs);
  const stats = actors.map((actor) => actor.stats());
  const judged = stats.reduce((sum, { accepted, late, duplicate }) => sum + accepted + late + duplicate, 0);
  if (judged !== events) throw new Error(`bug: ${judged} of ${events} records were judged`);
  return { ns: ((user + system) * 1_000) / events, cells: stats.reduce((sum, { cellsInMemory }) => sum + cellsInMemory, 0) };
}

/** A few partitions after each batch, so that each has its turn once in a rotation. */
async function rotate(actors: readonly BenchPartition[], stores: readonly OrderedStore[], turn: number): Promise<void> {
  for (const [id, actor] of actors.entries()) {
    if (Math.floor((id * ROTATION_BATCHES) / BENCH_PARTITIONS) !== turn) continue;
    do actor.report('changed', REPORT_CELLS_MAX); while (actor.isMidReport);
    const checkpoint = actor.checkpoint();
    if (checkpoint === null) continue;
    await stores[id]?.commit(checkpoint.operations);
    actor.checkpointCommitted(checkpoint.epoch);
  }
}

if (isProgram(import.meta.url)) {
  const { timings, cells } = await benchCells({ events: numberArgument('events', 600_000), rounds: numberArgument('rounds', 5) });
  printTimings(`Many cells: ${cells} in 32 partitions`, timings);
}
