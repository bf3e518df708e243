/**
 * Dedupe alone, far beyond its memory: fingerprints straight into the 32 indexes of a thread, on LMDB files, with the daemon's checkpoints.
 * Old ones are asked for again throughout, and each answer is checked. For bench/micro/memory.ts.
 */

import { join } from 'node:path';
import { openDedupe, type DedupeIndex } from '../../actors/partition/dedupe.ts';
import { PagePool } from '../../actors/partition/index.ts';
import type { KeyRange, OrderedStore, StoreEntry, StoreOperation } from '../../engine/core/store.ts';
import { MS_PER_HOUR } from '../../engine/core/types.ts';
import { partitionFile } from '../../engine/runtime/actor-loop.ts';
import { openStore } from '../../engine/state/index.ts';
import { BENCH_PARTITIONS } from './bench-partition.ts';
import { fingerprintOf } from './dedupe.ts';
import { Pauses, Stalls, type StallFigures } from './stalls.ts';

const TABLE = 'dedupe';
const BATCH = 64;
/** One in so many is asked for again, from anywhere in the horizon. */
const REPEAT_EVERY = 64;
const HOURS = 24;

export interface SpillOptions {
  readonly directory: string;
  readonly entries: number;
  readonly dedupeMemoryBytesMax: number;
  readonly checkpointEvery: number;
  readonly sampleEvery: number;
}

export interface SpillSample {
  readonly entries: number;
  readonly inMemory: number;
  readonly dedupeMib: number;
  readonly heapMib: number;
  readonly seconds: number;
  /** Old ones that were asked for again, and found, from anywhere in the horizon. */
  readonly repeats: number;
  readonly admitsPerSecond: number;
  readonly storeMib: number;
  /** The longest batch of 64 admits, and the longest encoding of a checkpoint, so far. */
  readonly longestBatchMs: number;
  readonly longestCheckpointMs: number;
}

export interface SpillResult extends SpillSample {
  /** Without checkpoints. */
  readonly admitUs: number;
  /** Of a batch of 64 admits into one index. */
  readonly batch: StallFigures;
  /** Of the same, without what the store took to read. */
  readonly batchBesideReads: StallFigures;
  /** Of the garbage collector, and the longest batch without it and without reads. */
  readonly pauses: ReturnType<Pauses['figures']>;
  readonly checkpoint: StallFigures;
}

interface Spilling {
  readonly index: DedupeIndex;
  readonly store: TimedStore;
  readonly id: number;
  epoch: number;
  count: number;
}

export async function spillDedupe(options: SpillOptions, onSample: (sample: SpillSample) => void): Promise<SpillResult> {
  const pages = new PagePool();
  const memoryBytesMax = Math.floor(options.dedupeMemoryBytesMax / BENCH_PARTITIONS);
  const all = Array.from({ length: BENCH_PARTITIONS }, (_, id): Spilling => {
    const store = new TimedStore(openStore({ path: join(options.directory, partitionFile(id)), tables: [TABLE] }));
    return { index: openDedupe({ store, table: TABLE, memoryBytesMax, pages }), store, id, epoch: 0, count: 0 };
  });
  const batches = new Stalls();
  const besideReads = new Stalls();
  const pauses = new Pauses();
  const checkpoints = new Stalls();
  const startMs = performance.now();
  let admitMs = 0;
  let entries = 0;
  let repeats = 0;
  let turn = 0;
  const sample = (): SpillSample => ({
    entries,
    inMemory: all.reduce((sum, { index }) => sum + index.entriesInMemory, 0),
    dedupeMib: all.reduce((sum, { index }) => sum + index.memoryBytes, 0) / 2 ** 20,
    heapMib: process.memoryUsage().heapUsed / 2 ** 20,
    seconds: (performance.now() - startMs) / 1_000,
    repeats,
    admitsPerSecond: ((entries + repeats) * 1_000) / (performance.now() - startMs),
    storeMib: all.reduce((sum, { store }) => sum + store.sizeBytes(), 0) / 2 ** 20,
    longestBatchMs: batches.figures().maxMs,
    longestCheckpointMs: checkpoints.figures().maxMs,
  });
  const checkpointEach = options.checkpointEvery / BENCH_PARTITIONS;
  let checkpointAt = checkpointEach;
  let sampleAt = options.sampleEvery;
  while (entries < options.entries) {
    const runningTimeMs = Math.floor((entries / options.entries) * HOURS * MS_PER_HOUR * 0.9999);
    for (const one of all) {
      const switches = process.resourceUsage().involuntaryContextSwitches;
      const readBeforeMs = one.store.readMs;
      const beganMs = performance.now();
      repeats += admitBatch(one, runningTimeMs);
      const tookMs = performance.now() - beganMs;
      admitMs += tookMs;
      if (process.resourceUsage().involuntaryContextSwitches !== switches) continue;
      batches.add(tookMs);
      const ownMs = tookMs - (one.store.readMs - readBeforeMs);
      besideReads.add(ownMs);
      pauses.add(beganMs, ownMs);
    }
    entries += BATCH * BENCH_PARTITIONS;
    for (; entries >= checkpointAt; checkpointAt += checkpointEach) await checkpoint(all[turn++ % BENCH_PARTITIONS] as Spilling, checkpoints);
    if (entries < sampleAt) continue;
    sampleAt += options.sampleEvery;
    onSample(sample());
  }
  const last = sample();
  const result = {
    ...last,
    admitUs: (admitMs * 1_000) / (entries + repeats),
    batch: batches.figures(),
    batchBesideReads: besideReads.figures(),
    pauses: pauses.figures(),
    checkpoint: checkpoints.figures(),
  };
  for (const { store } of all) await store.close();
  return result;
}

const fingerprint = new Uint32Array(4);

/** Returns how many old ones it asked for. */
function admitBatch(one: Spilling, runningTimeMs: number): number {
  let asked = 0;
  for (let at = 0; at < BATCH; at++) {
    admit(one, one.count, runningTimeMs, true);
    one.count++;
    if (one.count % REPEAT_EVERY !== 0) continue;
    admit(one, Math.floor((Math.imul(one.count, 0x9e3779b1) >>> 0) / 2 ** 32 * one.count), runningTimeMs, false);
    asked++;
  }
  return asked;
}

function admit({ index, id }: Spilling, n: number, runningTimeMs: number, isNew: boolean): void {
  fingerprintOf(n * BENCH_PARTITIONS + id, fingerprint);
  if (index.admit(fingerprint, runningTimeMs, HOURS * MS_PER_HOUR) !== isNew) throw new Error(`bug: fingerprint ${n} of index ${id} counts as ${isNew ? 'a repeat' : 'new'}`);
}

async function checkpoint(one: Spilling, stalls: Stalls): Promise<void> {
  const beganMs = performance.now();
  const operations = one.index.checkpoint(++one.epoch);
  const encodedMs = performance.now();
  await one.store.commit(operations);
  const committedMs = performance.now();
  one.index.checkpointCommitted(one.epoch);
  stalls.add(encodedMs - beganMs + performance.now() - committedMs);
  await one.store.flushed();
}

/** A store, and how long it took to read by key. */
class TimedStore implements OrderedStore {
  readonly #store: OrderedStore;
  readMs = 0;

  constructor(store: OrderedStore) {
    this.#store = store;
  }

  get(table: string, key: Uint8Array): Uint8Array | null {
    const startMs = performance.now();
    const value = this.#store.get(table, key);
    this.readMs += performance.now() - startMs;
    return value;
  }

  range(table: string, range: KeyRange): Iterable<StoreEntry> {
    return this.#store.range(table, range);
  }

  commit(operations: readonly StoreOperation[]): Promise<void> {
    return this.#store.commit(operations);
  }

  flushed(): Promise<void> {
    return this.#store.flushed();
  }

  copyTo(path: string): Promise<void> {
    return this.#store.copyTo(path);
  }

  sizeBytes(): number {
    return this.#store.sizeBytes();
  }

  close(): Promise<void> {
    return this.#store.close();
  }
}
