/**
 * All sorted runs of one partition in its store: look-up, what a checkpoint writes, compacts and removes, and the way back.
 *
 * Only what a settled checkpoint wrote is ever read, but for one case: a checkpoint whose last step of a merge is in the store already,
 * before its thread was told, has moved the inputs into the target, which is whole then and stands in for them. A failed checkpoint leaves no
 * trace. Removal of expired buckets is bounded per checkpoint and may lag: whoever asks names the oldest bucket that counts. Actor thread.
 *
 * ```
 * key 0   meta: version, oldest bucket that counts, a merge target that is not whole: unfinished, or not yet removed, newest bucket of version 1 (JSON)
 * key 1…  runs (dedupe-run.ts)
 * ```
 */

import { decodeStored } from '../../engine/core/codec.ts';
import { Found } from '../../engine/core/dedupe-key.ts';
import { EngineError } from '../../engine/core/errors.ts';
import type { OrderedStore, StoreOperation } from '../../engine/core/store.ts';
import { assert } from '../../engine/core/types.ts';
import { chooseMerge, chunkMissing, findChunk, mergeStep, readChunk, writeChunks, type Merge, type MergeStep } from './dedupe-compaction.ts';
import {
  ALL_RUNS,
  FINGERPRINT_WORDS,
  RunLevel,
  chunkWords,
  findInChunk,
  lastFenceAtMost,
  parseRunKey,
  runKey,
  sameRun,
  sortFingerprints,
  type Run,
  type RunName,
} from './dedupe-run.ts';

const META_KEY = Uint8Array.of(0);
/** Of version 1 are fingerprints by mode, where there are now keys with a variant (engine/core/dedupe-key.ts); they stay until they expire. */
const META_VERSION = 2;
const META_VERSION_FORMER = 1;
const NO_BUCKET = -1;
/** Keys removed per checkpoint at most, and of one piece of a removal (chosen: 4,096 keys are a million fingerprints). */
const PURGE_KEYS_MAX = 4_096;
const PURGE_PIECE_KEYS = 512;
/** Fingerprints compacted per checkpoint at least (chosen: 1 to 2 ms of reading, sorting and writing) ... */
const MERGE_ENTRIES_MIN = 16_384;
/** ... and per fingerprint that the checkpoint writes, so that compaction keeps pace: three tiers and the final run. */
const MERGE_ENTRIES_PER_NEW = 4;

interface Meta {
  readonly version: number;
  readonly bucketMin: number;
  readonly merging: RunName | null;
  /** The newest bucket in which fingerprints of version 1 lie; -1 for none. */
  readonly formerBucketMax: number;
}

/** Bounds that tests lower. */
export interface DedupeBounds {
  /** Fingerprints that a checkpoint compacts at least. */
  readonly mergeEntriesMin?: number;
  /** Keys that a checkpoint removes at most. */
  readonly purgeKeysMax?: number;
  /** Places of the smallest table in memory. */
  readonly capacityMin?: number;
  /** Of the numbers that entries in memory have: an eighth of 2^bits of them fit, evicted beyond. */
  readonly numberBits?: number;
}

/** Fingerprints of one bucket that no settled checkpoint holds yet: `count` of them, in arrival order. */
export interface NewFingerprints {
  readonly bucket: number;
  readonly count: number;
  readonly words: Uint32Array;
}

/** Chunks [from, to) of a run that is to be removed. */
interface Purge {
  readonly name: RunName;
  readonly from: number;
  readonly to: number;
}

/** What a checkpoint will have changed once it settles. `purged`: pieces from the front of the list of removals. */
interface Plan {
  readonly epoch: number;
  readonly bucketMin: number;
  readonly written: readonly Run[];
  readonly step: MergeStep | null;
  readonly purged: number;
}

/** A run as far as a restore has read it, from its last chunk backwards. */
interface RestoredRun {
  readonly name: RunName;
  readonly counts: boolean;
  readonly fences: number[];
  count: number;
  chunkFirst: number;
  readonly chunkLast: number;
}

/** Given fingerprints that count, some of one bucket at a time. */
export type Visit = (words: Uint32Array, bucket: number) => void;

export class DedupeRuns {
  readonly #store: OrderedStore;
  readonly #table: string;
  readonly #mergeEntriesMin: number;
  readonly #purgeKeysMax: number;
  #buckets = new Map<number, Run[]>();
  #merge: Merge | null = null;
  /** Target of a merge that a restart cut off. Meta names it until its last chunk is gone: what is left of it is no run. */
  #abandoned: RunName | null = null;
  #purges: Purge[] = [];
  #plan: Plan | null = null;
  /** The oldest bucket that counts: now, and as the last settled checkpoint has it. */
  #bucketMin = 0;
  #bucketMinSettled = 0;
  #formerBucketMax = NO_BUCKET;
  #fenceBytes = 0;

  constructor(store: OrderedStore, table: string, { mergeEntriesMin = MERGE_ENTRIES_MIN, purgeKeysMax = PURGE_KEYS_MAX }: DedupeBounds = {}) {
    this.#store = store;
    this.#table = table;
    this.#mergeEntriesMin = mergeEntriesMin;
    this.#purgeKeysMax = purgeKeysMax;
  }

  /** Bytes of the fences in memory. */
  get byteLength(): number {
    return this.#fenceBytes;
  }

  /** Fingerprints of version 1 lie within the horizon. */
  get holdsFormer(): boolean {
    return this.#formerBucketMax >= this.#bucketMin;
  }

  /** The oldest bucket that counts. */
  get bucketMin(): number {
    return this.#bucketMin;
  }

  get runCount(): number {
    let count = 0;
    for (const runs of this.#buckets.values()) count += runs.length;
    return count;
  }

  /** How the settled runs of the bucket hold the fingerprint. */
  find(fingerprint: Uint32Array, bucket: number): Found {
    const runs = this.#buckets.get(bucket);
    let found: Found = Found.nowhere;
    if (runs === undefined) return found;
    for (const run of runs) {
      const one = this.#findInRun(run, fingerprint);
      if (one === Found.same) return one;
      if (one > found) found = one;
    }
    return found;
  }

  #findInRun(run: Run, fingerprint: Uint32Array): Found {
    let found: Found = Found.nowhere;
    const word = fingerprint[0] as number;
    for (let chunk = lastFenceAtMost(run.fences, word); chunk >= 0; chunk--) {
      const words = findChunk(this.#store, this.#table, run, chunk);
      if (words === null) {
        const standIn = this.#standIn(run);
        if (standIn === null) throw chunkMissing(run, chunk);
        return this.#findInRun(standIn, fingerprint);
      }
      const one = findInChunk(words, fingerprint);
      if (one === Found.same) return one;
      if (one > found) found = one;
      // The chunk before can hold it only if this one begins with the same first word.
      if (run.fences[chunk] !== word) break;
    }
    return found;
  }

  /** The run that stands in for `run` once the checkpoint under way is in the store; null where it moves `run` nowhere. */
  #standIn(run: Run): Run | null {
    const step = this.#plan?.step;
    return step?.after.inputs.includes(run) === true ? step.finished : null;
  }

  /** Reads the store, newest bucket first: lists the runs and tells of every fingerprint that counts. */
  restore(restored: Visit): void {
    const { version, bucketMin, merging, formerBucketMax } = this.#readMeta();
    this.#bucketMin = bucketMin;
    this.#bucketMinSettled = bucketMin;
    this.#abandoned = merging;
    let run: RestoredRun | null = null;
    for (const { key, value } of this.#store.range(this.#table, { ...ALL_RUNS, reverse: true })) {
      const { name, chunk } = parseRunKey(key);
      if (run === null || !sameRun(run.name, name)) {
        if (run !== null) this.#restoreRun(run);
        // Chunks of a merge that never finished repeat what its inputs hold.
        const counts = name.bucket >= bucketMin && !(merging !== null && sameRun(name, merging));
        run = { name, counts, count: 0, fences: [], chunkFirst: chunk, chunkLast: chunk };
      }
      run.chunkFirst = chunk;
      if (!run.counts) continue;
      const words = chunkWords(value);
      run.fences.push(words[0] as number);
      run.count += words.length / FINGERPRINT_WORDS;
      restored(words, name.bucket);
    }
    if (run !== null) this.#restoreRun(run);
    this.#formerBucketMax = version === META_VERSION_FORMER ? Math.max(NO_BUCKET, ...this.#buckets.keys()) : formerBucketMax;
  }

  #restoreRun({ name, counts, count, fences, chunkFirst, chunkLast }: RestoredRun): void {
    if (!counts) {
      this.#purge(name, chunkFirst, chunkLast + 1);
      return;
    }
    if (chunkFirst !== 0 || fences.length !== chunkLast + 1) {
      throw new EngineError('STATE_CORRUPT', `a dedupe run has ${fences.length} chunks of ${chunkLast + 1}`, {
        where: { bucket: name.bucket, epoch: name.epoch },
        fix: 'restore this partition from a savepoint',
      });
    }
    this.#addRun({ ...name, count, fences: Uint32Array.from(fences.reverse()) });
  }

  /** Visits every fingerprint of the settled runs that counts. */
  forEach(visit: Visit): void {
    for (const [bucket, runs] of this.#buckets) {
      // All inputs of a merge have one stand-in: it is visited once.
      const there = new Set(runs.map((run) => (findChunk(this.#store, this.#table, run, 0) === null ? (this.#standIn(run) ?? run) : run)));
      for (const run of there) {
        for (let chunk = 0; chunk < run.fences.length; chunk++) {
          visit(readChunk(this.#store, this.#table, run, chunk), bucket);
        }
      }
    }
  }

  /** Buckets before `bucketMin` no longer count: dropped here at once, removed from the store by later checkpoints. */
  expireBefore(bucketMin: number): void {
    this.#bucketMin = bucketMin;
    const merge = this.#merge;
    if (merge !== null && merge.target.bucket < bucketMin) {
      // A step under way may write more of the target than has settled; removing a key that is not there harms nothing.
      this.#purge(merge.target, 0, Math.max(merge.fences.length, this.#plan?.step?.after.fences.length ?? 0));
      this.#merge = null;
    }
    for (const [bucket, runs] of this.#buckets) {
      if (bucket >= bucketMin) continue;
      for (const run of [...runs]) {
        this.#dropRun(run);
        this.#purge(run, 0, run.fences.length);
      }
    }
  }

  /** What this checkpoint writes: new runs, one slice of compaction, removals. Buckets before `bucketOpen` get no new runs. */
  checkpoint(epoch: number, fresh: readonly NewFingerprints[], bucketOpen: number): StoreOperation[] {
    assert(this.#plan === null, `dedupe checkpoint ${epoch} begins before ${this.#plan?.epoch} has settled`);
    const operations: StoreOperation[] = [];
    const written = fresh.map(({ bucket, count, words }) => this.#writeRun({ bucket, epoch, level: RunLevel.written }, words, count, operations));
    const freshCount = written.reduce((sum, run) => sum + run.count, 0);
    // A bucket whose last run is only now being written has not ended yet.
    const bucketGrowing = Math.min(bucketOpen, written[0]?.bucket ?? bucketOpen);
    // Meta has room for one target: the next merge waits for the removal of the last, a checkpoint or a few.
    if (this.#abandonedAfter(0) === null) {
      this.#merge ??= chooseMerge(this.#buckets, bucketGrowing, epoch, Math.max(this.#mergeEntriesMin, freshCount * MERGE_ENTRIES_PER_NEW));
    }
    const step = this.#merge === null ? null : mergeStep(this.#store, this.#table, this.#merge);
    for (const operation of step?.operations ?? []) operations.push(operation);
    const purged = this.#removePurges(operations);
    const unfinished = step === null || step.finished !== null ? null : step.after.target;
    const merging = this.#abandonedAfter(purged) ?? unfinished;
    const meta: Meta = { version: META_VERSION, bucketMin: this.#bucketMin, merging, formerBucketMax: this.#formerBucketMax };
    if (operations.length > 0 || meta.bucketMin !== this.#bucketMinSettled) {
      operations.push({ table: this.#table, key: META_KEY, value: new TextEncoder().encode(JSON.stringify(meta)) });
    }
    this.#plan = { epoch, bucketMin: meta.bucketMin, written, step, purged };
    return operations;
  }

  committed(epoch: number): void {
    const { bucketMin, written, step, purged } = this.#settle(epoch);
    this.#bucketMinSettled = bucketMin;
    this.#abandoned = this.#abandonedAfter(purged);
    this.#purges = this.#purges.slice(purged);
    for (const run of written) this.#addRun(run);
    // No merge any more: its bucket expired meanwhile, and what the step wrote is on the list of removals.
    if (step !== null && this.#merge !== null) {
      this.#merge = step.finished === null ? step.after : null;
      if (step.finished !== null) {
        for (const input of step.after.inputs) this.#dropRun(input);
        this.#addRun(step.finished);
      }
    }
    this.expireBefore(this.#bucketMin);
  }

  failed(epoch: number): void {
    this.#settle(epoch);
  }

  #settle(epoch: number): Plan {
    const plan = this.#plan;
    assert(plan !== null && plan.epoch === epoch, `dedupe checkpoint ${epoch} settles, but ${plan?.epoch ?? 'none'} is under way`);
    this.#plan = null;
    return plan;
  }

  #writeRun(name: RunName, words: Uint32Array, count: number, operations: StoreOperation[]): Run {
    const fences: number[] = [];
    writeChunks(this.#table, name, sortFingerprints(words, count), fences, operations);
    return { ...name, count, fences: Uint32Array.from(fences) };
  }

  #addRun(run: Run): void {
    const runs = this.#buckets.get(run.bucket);
    if (runs === undefined) this.#buckets.set(run.bucket, [run]);
    else runs.push(run);
    this.#fenceBytes += run.fences.byteLength;
  }

  #dropRun(run: Run): void {
    const runs = (this.#buckets.get(run.bucket) ?? []).filter((other) => other !== run);
    if (runs.length === 0) this.#buckets.delete(run.bucket);
    else this.#buckets.set(run.bucket, runs);
    this.#fenceBytes -= run.fences.byteLength;
  }

  /** Lists chunks [from, to) for removal, in pieces that a checkpoint can take whole. */
  #purge(name: RunName, from: number, to: number): void {
    const pieceKeys = Math.min(PURGE_PIECE_KEYS, this.#purgeKeysMax);
    for (let at = from; at < to; at += pieceKeys) this.#purges.push({ name, from: at, to: Math.min(to, at + pieceKeys) });
  }

  /** The abandoned target, if some of it still stands once `purged` pieces are removed. */
  #abandonedAfter(purged: number): RunName | null {
    const target = this.#abandoned;
    return target !== null && this.#purges.slice(purged).some(({ name }) => sameRun(name, target)) ? target : null;
  }

  /** How many pieces, from the front of the list, `operations` now remove. */
  #removePurges(operations: StoreOperation[]): number {
    let pieces = 0;
    let keys = 0;
    for (const { name, from, to } of this.#purges) {
      if (keys + to - from > this.#purgeKeysMax) break;
      for (let chunk = from; chunk < to; chunk++) operations.push({ table: this.#table, key: runKey(name, chunk), value: null });
      pieces++;
      keys += to - from;
    }
    return pieces;
  }

  #readMeta(): Meta {
    const stored = this.#store.get(this.#table, META_KEY);
    if (stored === null) return { version: META_VERSION, bucketMin: 0, merging: null, formerBucketMax: NO_BUCKET };
    const meta = decodeStored('the dedupe state', () => {
      const parsed = JSON.parse(new TextDecoder().decode(stored)) as Meta | null;
      if (parsed === null || typeof parsed.version !== 'number') throw new TypeError('it has no version');
      return parsed;
    });
    if (meta.version !== META_VERSION && meta.version !== META_VERSION_FORMER) {
      throw new EngineError('DATA_VERSION', `the dedupe state has version ${meta.version}; this program reads ${META_VERSION} and ${META_VERSION_FORMER}`, {
        fix: 'start the program version that wrote it, or a newer one',
      });
    }
    return meta;
  }
}
