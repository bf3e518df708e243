/**
 * Compaction of sorted runs, a bounded slice per checkpoint: which runs to merge, and one step of merging them.
 *
 * A finished bucket ends as one run; in the running bucket eight runs of like size become one. A merge goes through the first
 * word's range slice by slice, writing the target while its inputs stay what look-ups read; the step that writes the last
 * slice removes the inputs, in the same transaction. Pure but for reads of the store; actor thread.
 */

import type { OrderedStore, StoreOperation } from '../../engine/core/store.ts';
import { EngineError } from '../../engine/core/errors.ts';
import {
  CHUNK_FINGERPRINTS_MAX,
  FINGERPRINT_BYTES,
  FINGERPRINT_WORDS,
  RunLevel,
  chunkWords,
  runKey,
  sortFingerprints,
  type Run,
  type RunName,
} from './dedupe-run.ts';

/** Runs of like size that are merged while their bucket still grows; each fingerprint is rewritten about log8(runs) times. */
const TIER_RUNS = 8;
const TIER_BITS = 3;
const WORD_RANGE = 2 ** 32;

/** A merge under way. A step makes the next one; the old one stands if the checkpoint fails. */
export interface Merge {
  readonly target: RunName;
  readonly inputs: readonly Run[];
  readonly slices: number;
  readonly nextSlice: number;
  readonly count: number;
  readonly fences: readonly number[];
}

/** The merge most worth starting, or null. `buckets`: complete runs by bucket; buckets below `bucketOpen` get no new runs. */
export function chooseMerge(buckets: ReadonlyMap<number, readonly Run[]>, bucketOpen: number, epoch: number, sliceEntries: number): Merge | null {
  let inputs: readonly Run[] | null = null;
  for (const [bucket, runs] of buckets) {
    if (runs.length < 2) continue;
    if (bucket < bucketOpen) {
      if (inputs === null || bucket < (inputs[0] as Run).bucket) inputs = runs;
    } else {
      inputs ??= fullTier(runs);
    }
  }
  if (inputs === null) return null;
  const total = inputs.reduce((sum, run) => sum + run.count, 0);
  const target = { bucket: (inputs[0] as Run).bucket, epoch, level: RunLevel.merged };
  // A copy: the bucket's list may gain a run while the merge goes on.
  return { target, inputs: [...inputs], slices: Math.max(1, Math.ceil(total / sliceEntries)), nextSlice: 0, count: 0, fences: [] };
}

/** The smallest runs of like size that are eight or more, or null. */
function fullTier(runs: readonly Run[]): readonly Run[] | null {
  const tiers = new Map<number, Run[]>();
  for (const run of runs) {
    const tier = Math.floor(Math.log2(run.count) / TIER_BITS);
    const members = tiers.get(tier) ?? [];
    members.push(run);
    tiers.set(tier, members);
  }
  const full = [...tiers].filter(([, members]) => members.length >= TIER_RUNS).sort(([a], [b]) => a - b);
  return full[0]?.[1] ?? null;
}

export interface MergeStep {
  readonly operations: readonly StoreOperation[];
  readonly after: Merge;
  /** The finished run, once the last slice is written. */
  readonly finished: Run | null;
}

/** Merges the next slice. */
export function mergeStep(store: OrderedStore, table: string, merge: Merge): MergeStep {
  const low = Math.floor((merge.nextSlice * WORD_RANGE) / merge.slices);
  const high = Math.floor(((merge.nextSlice + 1) * WORD_RANGE) / merge.slices);
  const gathered = new Gathered(Math.ceil(merge.inputs.reduce((sum, run) => sum + run.count, 0) / merge.slices));
  for (const run of merge.inputs) gather(store, table, run, low, high, gathered);
  const operations: StoreOperation[] = [];
  const fences = [...merge.fences];
  writeChunks(table, merge.target, sortFingerprints(gathered.words, gathered.count), fences, operations);
  const after = { ...merge, nextSlice: merge.nextSlice + 1, count: merge.count + gathered.count, fences };
  if (after.nextSlice < merge.slices) return { operations, after, finished: null };
  for (const run of merge.inputs) for (let chunk = 0; chunk < run.fences.length; chunk++) operations.push({ table, key: runKey(run, chunk), value: null });
  return { operations, after, finished: { ...merge.target, count: after.count, fences: Uint32Array.from(fences) } };
}

/** Appends sorted fingerprints to a run as chunks after those that `fences` lists already. */
export function writeChunks(table: string, name: RunName, sorted: Uint32Array, fences: number[], operations: StoreOperation[]): void {
  const chunkSize = CHUNK_FINGERPRINTS_MAX * FINGERPRINT_BYTES;
  for (let from = 0; from < sorted.byteLength; from += chunkSize) {
    const value = new Uint8Array(sorted.buffer, sorted.byteOffset + from, Math.min(chunkSize, sorted.byteLength - from));
    operations.push({ table, key: runKey(name, fences.length), value });
    fences.push(sorted[from / 4] as number);
  }
}

/** One chunk of a run that must be there. */
export function readChunk(store: OrderedStore, table: string, name: RunName, chunk: number): Uint32Array {
  const words = findChunk(store, table, name, chunk);
  if (words === null) throw chunkMissing(name, chunk);
  return words;
}

export const chunkMissing = (name: RunName, chunk: number): EngineError =>
  new EngineError('STATE_CORRUPT', `chunk ${chunk} of a dedupe run is missing`, { where: { bucket: name.bucket, epoch: name.epoch }, fix: 'restore this partition from a savepoint' });

/** Null where it is not there. */
export function findChunk(store: OrderedStore, table: string, name: RunName, chunk: number): Uint32Array | null {
  const value = store.get(table, runKey(name, chunk));
  return value === null ? null : chunkWords(value);
}

function gather(store: OrderedStore, table: string, run: Run, low: number, high: number, into: Gathered): void {
  // Equal first words may begin in the chunk before, so reading starts at the last chunk that begins below `low`.
  let chunk = run.fences.length - 1;
  while (chunk > 0 && (run.fences[chunk] as number) >= low) chunk--;
  for (; chunk < run.fences.length && (run.fences[chunk] as number) < high; chunk++) {
    const words = readChunk(store, table, run, chunk);
    for (let at = 0; at < words.length; at += FINGERPRINT_WORDS) {
      const word = words[at] as number;
      if (word >= low && word < high) into.append(words, at);
    }
  }
}

/** Fingerprints collected for sorting; grows by half, and seldom, as first words spread evenly. */
class Gathered {
  words: Uint32Array;
  count = 0;

  constructor(expected: number) {
    this.words = new Uint32Array((expected + (expected >>> 3) + 64) * FINGERPRINT_WORDS);
  }

  append(from: Uint32Array, fromAt: number): void {
    let at = this.count * FINGERPRINT_WORDS;
    if (at === this.words.length) {
      const grown = new Uint32Array(Math.ceil(at / FINGERPRINT_WORDS * 1.5) * FINGERPRINT_WORDS);
      grown.set(this.words);
      this.words = grown;
    }
    for (let word = 0; word < FINGERPRINT_WORDS; word++) this.words[at++] = from[fromAt + word] as number;
    this.count++;
  }
}
