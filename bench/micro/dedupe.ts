/**
 * Question: what does one admit cost, and how long is the longest, with 1 M and 5 M fingerprints in memory and with most of them
 * spilled? Expected limit: memory latency (one or two cache misses in memory; one per filter layer once spilled).
 *
 * Run: `npm run build && node dist/bench/micro/dedupe.js [--small]`. Prints one JSON line per case.
 */

import { performance } from 'node:perf_hooks';
import { openDedupe, type DedupeIndex } from '../../actors/partition/dedupe.ts';
import type { KeyRange, OrderedStore, StoreEntry, StoreOperation } from '../../engine/core/store.ts';
import { isProgram } from '../harness/program.ts';

const HOUR_MS = 3_600_000;
const HORIZON_BUCKETS = 24;
/** Admits per measured batch. CPU time, not wall time, is taken: a busy machine then changes the figures little. */
const BATCH = 10_000;
/** Admits timed one by one for the longest; the clock makes each of them dearer, so they count for nothing else. */
const SINGLES = 300_000;

export interface DedupeCase {
  readonly name: string;
  readonly entries: number;
  readonly memoryBytesMax: number;
  readonly checkpointEvery: number;
}

export interface DedupeResult extends DedupeCase {
  /** CPU ns per admit of a new fingerprint: while filling, and with the horizon full (expiry, spilling), checkpoints not counted. */
  readonly fillNs: number;
  readonly newNs: number;
  readonly newNsP99: number;
  /** Repeats of the last hundred thousand, and of the oldest half of the horizon. */
  readonly repeatNs: number;
  readonly oldRepeatNs: number;
  readonly readsPerNew: number;
  readonly readsPerOldRepeat: number;
  /** Wall time of the longest single admit in a batch during which the kernel did not take the CPU away. */
  readonly longestAdmitUs: number;
  readonly checkpointMsMean: number;
  readonly checkpointMsMax: number;
  readonly memoryMiB: number;
  readonly restoreMs: number;
}

/** Values by key text, unsorted: only what the bench needs of a store. Reads copy, as LMDB's do. */
class BenchStore implements OrderedStore {
  readonly #entries = new Map<string, StoreEntry>();
  gets = 0;

  get(_table: string, key: Uint8Array): Uint8Array | null {
    this.gets++;
    return this.#entries.get(Buffer.from(key).toString('latin1'))?.value.slice() ?? null;
  }

  *range(_table: string, { from, reverse }: KeyRange): Iterable<StoreEntry> {
    const keys = [...this.#entries.keys()].filter((key) => from === undefined || Buffer.compare(Buffer.from(key, 'latin1'), from) >= 0).sort();
    if (reverse === true) keys.reverse();
    for (const key of keys) yield this.#entries.get(key) as StoreEntry;
  }

  async commit(operations: readonly StoreOperation[]): Promise<void> {
    for (const { key, value } of operations) {
      const name = Buffer.from(key).toString('latin1');
      if (value === null) this.#entries.delete(name);
      else this.#entries.set(name, { key, value: value.slice() });
    }
  }

  async flushed(): Promise<void> {}
  async copyTo(): Promise<void> {}
  sizeBytes(): number {
    return 0;
  }
  async close(): Promise<void> {}
}

/** Fingerprint number `n`: four rounds of a 32-bit mixer, so that any of them can be made again without being kept. */
export function fingerprintOf(n: number, out: Uint32Array): void {
  let state = n >>> 0;
  for (let word = 0; word < 4; word++) {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) + n;
    out[word] = Math.imul(mixed ^ (mixed >>> 16), 0x297a2d39);
  }
}

const median = (values: readonly number[], share = 0.5): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
};

const cpuNs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1_000;
};

/** Drives one index and checks every answer. */
class Driver {
  readonly store = new BenchStore();
  readonly checkpointsMs: number[] = [];
  readonly #options: DedupeCase;
  readonly #perBucket: number;
  readonly #fingerprint = new Uint32Array(4);
  #index: DedupeIndex;
  #epoch = 0;
  reads = 0;
  next = 0;

  constructor(options: DedupeCase) {
    this.#options = options;
    this.#perBucket = Math.ceil(options.entries / HORIZON_BUCKETS);
    this.#index = this.#open();
  }

  get index(): DedupeIndex {
    return this.#index;
  }

  #open(): DedupeIndex {
    return openDedupe({ store: this.store, table: 'dedupe', memoryBytesMax: this.#options.memoryBytesMax });
  }

  admit(n: number, expected: boolean): void {
    fingerprintOf(n, this.#fingerprint);
    const runningTimeMs = Math.floor(this.next / this.#perBucket) * HOUR_MS;
    if (this.#index.admit(this.#fingerprint, runningTimeMs, HORIZON_BUCKETS * HOUR_MS) !== expected) throw new Error(`fingerprint ${n} is not ${expected}`);
  }

  /** CPU ns per admit of one batch. */
  batch(from: number, step: number, expected: boolean, count: number): number {
    const readsBefore = this.store.gets;
    const before = cpuNs();
    for (let index = 0; index < count; index++) {
      this.admit(from + index * step, expected);
      if (expected) this.next++;
    }
    const took = cpuNs() - before;
    this.reads += this.store.gets - readsBefore;
    return took / count;
  }

  async fresh(count: number): Promise<number[]> {
    const size = Math.min(BATCH, this.#options.checkpointEvery);
    const batches: number[] = [];
    for (let done = 0; done < count; done += size) {
      batches.push(this.batch(this.next, 1, true, size));
      if (this.next % this.#options.checkpointEvery < size) await this.checkpoint();
    }
    return batches;
  }

  repeats(from: number, to: number): number[] {
    const step = Math.max(1, Math.floor((to - from) / (10 * BATCH)));
    const size = Math.min(BATCH, Math.floor((to - from) / step));
    const batches: number[] = [];
    for (let at = from; at + size * step <= to; at += size * step) batches.push(this.batch(at, step, false, size));
    return batches;
  }

  async checkpoint(): Promise<void> {
    const startMs = performance.now();
    const operations = this.#index.checkpoint(++this.#epoch);
    this.checkpointsMs.push(performance.now() - startMs);
    await this.store.commit(operations);
    this.#index.checkpointCommitted(this.#epoch);
  }

  async longestAdmitUs(count: number): Promise<number> {
    let longestUs = 0;
    for (let done = 0; done < count; done += 1_000) {
      let longestOfBatchUs = 0;
      const switchesBefore = process.resourceUsage().involuntaryContextSwitches;
      for (let index = 0; index < 1_000; index++) {
        const startMs = performance.now();
        this.admit(this.next, true);
        longestOfBatchUs = Math.max(longestOfBatchUs, (performance.now() - startMs) * 1_000);
        this.next++;
      }
      if (process.resourceUsage().involuntaryContextSwitches === switchesBefore) longestUs = Math.max(longestUs, longestOfBatchUs);
      if (this.next % this.#options.checkpointEvery < 1_000) await this.checkpoint();
    }
    return longestUs;
  }

  restoreMs(): number {
    const before = cpuNs();
    this.#index = this.#open();
    return (cpuNs() - before) / 1e6;
  }
}

export async function measureDedupe(options: DedupeCase): Promise<DedupeResult> {
  const driver = new Driver(options);
  const { entries } = options;
  const fill = await driver.fresh(entries);
  driver.reads = 0;
  const fresh = await driver.fresh(Math.min(entries, 500_000));
  const freshReads = driver.reads / (fresh.length * Math.min(BATCH, options.checkpointEvery));
  const longestAdmitUs = await driver.longestAdmitUs(Math.min(entries, SINGLES));
  const recent = driver.repeats(driver.next - Math.min(100_000, Math.floor(entries / HORIZON_BUCKETS)), driver.next);
  driver.reads = 0;
  const old = driver.repeats(Math.ceil(driver.next - entries * 0.9), Math.floor(driver.next - entries / 2));
  const oldReads = driver.reads / (old.length * Math.min(BATCH, entries * 0.4));
  const memoryMiB = driver.index.memoryBytes / 2 ** 20;
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  return {
    ...options,
    fillNs: Math.round(sum(fill) / fill.length),
    newNs: median(fresh),
    newNsP99: median(fresh, 0.99),
    repeatNs: median(recent),
    oldRepeatNs: median(old),
    readsPerNew: Number(freshReads.toFixed(3)),
    readsPerOldRepeat: Number(oldReads.toFixed(3)),
    longestAdmitUs: Math.round(longestAdmitUs),
    checkpointMsMean: Number((sum(driver.checkpointsMs) / driver.checkpointsMs.length).toFixed(2)),
    checkpointMsMax: Number(Math.max(...driver.checkpointsMs).toFixed(2)),
    memoryMiB: Number(memoryMiB.toFixed(1)),
    restoreMs: Math.round(driver.restoreMs()),
  };
}

const MIB = 2 ** 20;
export const DEDUPE_CASES: readonly DedupeCase[] = [
  { name: '1 M in memory', entries: 1_000_000, memoryBytesMax: 1_024 * MIB, checkpointEvery: 20_000 },
  { name: '5 M in memory', entries: 5_000_000, memoryBytesMax: 1_024 * MIB, checkpointEvery: 20_000 },
  { name: '5 M, 32 MiB of memory', entries: 5_000_000, memoryBytesMax: 32 * MIB, checkpointEvery: 20_000 },
];

if (isProgram(import.meta.url)) {
  const cases = process.argv.includes('--small') ? DEDUPE_CASES.map((one) => ({ ...one, entries: one.entries / 10, memoryBytesMax: one.memoryBytesMax / 10 })) : DEDUPE_CASES;
  for (const one of cases) process.stdout.write(`${JSON.stringify(await measureDedupe(one))}\n`);
}
