/**
 * Question: what does one admit cost, and how long is the longest, with 1 M and 5 M fingerprints in memory and with most of them
 * spilled? Expected limit: memory latency (one or two cache misses in memory; one per filter layer once spilled).
 *
 * Run: `npm run build && node dist/bench/micro/dedupe.js [--small]`. Prints one JSON line per case.
 */

import { performance } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { openDedupe } from '../../actors/partition/dedupe.ts';
import type { KeyRange, OrderedStore, StoreEntry, StoreOperation } from '../../engine/core/store.ts';

const HOUR_MS = 3_600_000;
const HORIZON_BUCKETS = 24;
/** Cost of asking the clock twice would hide what is measured: only every batch of this size is timed for the mean. */
const BATCH = 1_000;

export interface DedupeCase {
  readonly name: string;
  readonly entries: number;
  readonly memoryBytesMax: number;
  readonly checkpointEvery: number;
}

export interface DedupeResult extends DedupeCase {
  readonly fillNsMean: number;
  /** New fingerprints with the horizon full: expiry, spilling and compaction included, checkpoints not. */
  readonly newNsP50: number;
  readonly newNsP99: number;
  readonly repeatNsP50: number;
  readonly oldRepeatNsP50: number;
  readonly longestAdmitUs: number;
  readonly checkpointMsMean: number;
  readonly checkpointMsMax: number;
  readonly storeReadsPerNew: number;
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
function fingerprintOf(n: number, out: Uint32Array): void {
  let state = n >>> 0;
  for (let word = 0; word < 4; word++) {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) + n;
    out[word] = Math.imul(mixed ^ (mixed >>> 16), 0x297a2d39);
  }
}

const quantile = (sorted: readonly number[], share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

export async function measureDedupe(options: DedupeCase): Promise<DedupeResult> {
  const store = new BenchStore();
  const open = () => openDedupe({ store, table: 'dedupe', memoryBytesMax: options.memoryBytesMax });
  const index = open();
  const fingerprint = new Uint32Array(4);
  const perBucket = Math.ceil(options.entries / HORIZON_BUCKETS);
  const checkpointsMs: number[] = [];
  let next = 0;
  let epoch = 0;
  let longestUs = 0;

  const admit = (n: number, expected: boolean): void => {
    fingerprintOf(n, fingerprint);
    const startMs = performance.now();
    const admitted = index.admit(fingerprint, Math.floor(next / perBucket) * HOUR_MS, HORIZON_BUCKETS * HOUR_MS);
    const tookUs = (performance.now() - startMs) * 1_000;
    if (tookUs > longestUs) longestUs = tookUs;
    if (admitted !== expected) throw new Error(`fingerprint ${n} answered ${admitted}`);
  };
  const checkpoint = async (): Promise<void> => {
    const startMs = performance.now();
    const operations = index.checkpoint(++epoch);
    checkpointsMs.push(performance.now() - startMs);
    await store.commit(operations);
    index.checkpointCommitted(epoch);
  };
  const stream = async (count: number): Promise<number[]> => {
    const batchesNs: number[] = [];
    for (let done = 0; done < count; done += BATCH) {
      const startMs = performance.now();
      for (let index = 0; index < BATCH; index++) admit(next++, true);
      batchesNs.push(((performance.now() - startMs) * 1e6) / BATCH);
      if (next % options.checkpointEvery < BATCH) await checkpoint();
    }
    return batchesNs.sort((a, b) => a - b);
  };
  const repeats = (from: number, to: number): number => {
    const batchesNs: number[] = [];
    const step = Math.max(1, Math.floor((to - from) / 100_000));
    for (let at = from; at + BATCH * step < to; at += BATCH * step) {
      const startMs = performance.now();
      for (let index = 0; index < BATCH; index++) admit(at + index * step, false);
      batchesNs.push(((performance.now() - startMs) * 1e6) / BATCH);
    }
    return quantile(batchesNs.sort((a, b) => a - b), 0.5);
  };

  const fill = await stream(options.entries);
  const getsBefore = store.gets;
  // Reads of the store by compaction count too, but lie within checkpoints: subtracted by measuring between them is not worth it.
  const fresh = await stream(Math.min(options.entries, 500_000));
  const storeReads = store.gets - getsBefore;
  const recent = repeats(next - Math.min(100_000, perBucket), next);
  const old = repeats(next - options.entries + perBucket, next - options.entries / 2);
  const memoryMiB = index.memoryBytes / 2 ** 20;
  const restoreStartMs = performance.now();
  open();
  const clockNs = clockCostNs();
  return {
    ...options,
    fillNsMean: Math.round(fill.reduce((sum, ns) => sum + ns, 0) / fill.length - clockNs),
    newNsP50: Math.round(quantile(fresh, 0.5) - clockNs),
    newNsP99: Math.round(quantile(fresh, 0.99) - clockNs),
    repeatNsP50: Math.round(recent - clockNs),
    oldRepeatNsP50: Math.round(old - clockNs),
    longestAdmitUs: Math.round(longestUs),
    checkpointMsMean: Number((checkpointsMs.reduce((sum, ms) => sum + ms, 0) / checkpointsMs.length).toFixed(2)),
    checkpointMsMax: Number(Math.max(...checkpointsMs).toFixed(2)),
    storeReadsPerNew: Number((storeReads / Math.min(options.entries, 500_000)).toFixed(3)),
    memoryMiB: Math.round(memoryMiB),
    restoreMs: Math.round(performance.now() - restoreStartMs),
  };
}

/** What the measuring itself costs per admit: making the fingerprint and two looks at the clock. */
function clockCostNs(): number {
  const fingerprint = new Uint32Array(4);
  const startMs = performance.now();
  let sum = 0;
  for (let n = 0; n < 200_000; n++) {
    fingerprintOf(n, fingerprint);
    const beforeMs = performance.now();
    sum += performance.now() - beforeMs + (fingerprint[0] as number);
  }
  return sum === -1 ? 0 : ((performance.now() - startMs) * 1e6) / 200_000;
}

const MIB = 2 ** 20;
export const DEDUPE_CASES: readonly DedupeCase[] = [
  { name: '1 M in memory', entries: 1_000_000, memoryBytesMax: 1_024 * MIB, checkpointEvery: 20_000 },
  { name: '5 M in memory', entries: 5_000_000, memoryBytesMax: 1_024 * MIB, checkpointEvery: 20_000 },
  { name: '5 M, 32 MiB of memory', entries: 5_000_000, memoryBytesMax: 32 * MIB, checkpointEvery: 20_000 },
];

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const cases = process.argv.includes('--small') ? DEDUPE_CASES.map((one) => ({ ...one, entries: one.entries / 10, memoryBytesMax: one.memoryBytesMax / 10 })) : DEDUPE_CASES;
  for (const one of cases) process.stdout.write(`${JSON.stringify(await measureDedupe(one))}\n`);
}
