import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openDedupe, type DedupeIndex, type DedupeOptions } from '../../../actors/partition/dedupe.ts';
import { PagePool } from '../../../actors/partition/dedupe-pages.ts';
import { DedupeTestStore } from './dedupe-test-store.ts';

const HOUR = 3_600_000;
const TABLE = 'dedupe';
const HUGE = 1 << 28;

/** Deterministic 128-bit fingerprint number `n`. */
function fingerprint(n: number, out = new Uint32Array(4)): Uint32Array {
  let state = (n * 2 + 1) >>> 0;
  for (let word = 0; word < 4; word++) {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 12), 0x297a2d39);
    mixed ^= mixed >>> 15;
    out[word] = mixed >>> 0;
  }
  return out;
}

/** The contract in its plainest form. */
class Model {
  buckets = new Map<number, number>();
  bucketMin = 0;

  admit(n: number, runningTimeMs: number, horizonMs: number): boolean {
    const bucket = Math.floor(runningTimeMs / HOUR);
    this.bucketMin = Math.max(this.bucketMin, bucket - Math.ceil(horizonMs / HOUR));
    const before = this.buckets.get(n);
    if (before !== undefined && before >= this.bucketMin) return false;
    this.buckets.set(n, bucket);
    return true;
  }

  live(): [number, number][] {
    return [...this.buckets].filter(([, bucket]) => bucket >= this.bucketMin).sort(([, a], [, b]) => a - b);
  }

  copy(): Model {
    const copy = new Model();
    copy.buckets = new Map(this.buckets);
    copy.bucketMin = this.bucketMin;
    return copy;
  }

  /** The digest of an index that never spilled, never wrote and was told only what counts. */
  digest(): string {
    const plain = openDedupe({ store: new DedupeTestStore(), table: TABLE, memoryBytesMax: HUGE });
    for (const [n, bucket] of this.live()) plain.admit(fingerprint(n), bucket * HOUR, 1e12);
    return plain.digest();
  }
}

/** An index and the model, driven together; checkpoints settle when told. */
class Pair {
  readonly store = new DedupeTestStore();
  readonly #options: Omit<DedupeOptions, 'store' | 'table'>;
  #index: DedupeIndex;
  #model = new Model();
  #durable = new Model();
  #inFlight: { epoch: number; model: Model; operations: ReturnType<DedupeIndex['checkpoint']>; hasLanded: boolean } | null = null;
  #epoch = 0;
  nowMs = 0;
  #durableNowMs = 0;
  horizonMs = 3 * HOUR;

  constructor(memoryBytesMax: number, mergeEntriesMin: number, purgeKeysMax = 4_096, more: Partial<DedupeOptions> = {}) {
    this.#options = { memoryBytesMax, mergeEntriesMin, purgeKeysMax, ...more };
    this.#index = this.#open();
  }

  #open(): DedupeIndex {
    return openDedupe({ store: this.store, table: TABLE, ...this.#options });
  }

  get index(): DedupeIndex {
    return this.#index;
  }

  admit(n: number): void {
    const expected = this.#model.admit(n, this.nowMs, this.horizonMs);
    const admitted = this.#index.admit(fingerprint(n), this.nowMs, this.horizonMs);
    if (admitted !== expected) throw new Error(`fingerprint ${n} at ${this.nowMs / HOUR} h: admitted ${admitted}, the model says ${expected}`);
  }

  begin(): void {
    if (this.#inFlight !== null) return;
    this.#epoch++;
    this.#inFlight = { epoch: this.#epoch, model: this.#model.copy(), operations: this.#index.checkpoint(this.#epoch), hasLanded: false };
    this.#durableNowMs = this.nowMs;
  }

  /** The store has the checkpoint under way, and its thread has not been told yet. */
  land(): void {
    if (this.#inFlight === null || this.#inFlight.hasLanded) return;
    this.store.apply(this.#inFlight.operations);
    this.#inFlight.hasLanded = true;
  }

  settle(ok: boolean): void {
    if (this.#inFlight === null) return;
    const { epoch, model, operations, hasLanded } = this.#inFlight;
    this.#inFlight = null;
    if (!ok && !hasLanded) return this.#index.checkpointFailed(epoch);
    if (!hasLanded) this.store.apply(operations);
    this.#durable = model;
    this.#index.checkpointCommitted(epoch);
  }

  checkpoint(): void {
    this.begin();
    this.settle(true);
  }

  /** The process dies; `committed`: the store had the checkpoint under way, although no one was told. */
  crash(committed: boolean): void {
    if (this.#inFlight !== null && (committed || this.#inFlight.hasLanded)) {
      if (!this.#inFlight.hasLanded) this.store.apply(this.#inFlight.operations);
      this.#durable = this.#inFlight.model;
    }
    this.#inFlight = null;
    this.nowMs = Math.max(this.#durableNowMs, this.nowMs - HOUR / 2);
    this.#model = this.#durable.copy();
    this.#index = this.#open();
    this.check();
  }

  check(): void {
    expect(this.#index.entries).toBe(this.#model.live().length);
    expect(this.#index.digest()).toBe(this.#model.digest());
  }
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('fresh' as const), count: fc.integer({ min: 1, max: 1_500 }) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('repeat' as const), back: fc.integer({ min: 1, max: 8_000 }), count: fc.integer({ min: 1, max: 600 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('time' as const), minutes: fc.integer({ min: 1, max: 150 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('horizon' as const), minutes: fc.integer({ min: 0, max: 420 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('begin' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('land' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('settle' as const), ok: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('checkpoint' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), committed: fc.boolean() }) },
);

describe('the dedupe index', () => {
  it('agrees with a plain map under spills, failed checkpoints, restores and changing horizons', () => {
    fc.assert(
      fc.property(fc.constantFrom(30_000, 120_000, 400_000, HUGE), fc.constantFrom(64, 1_000, 16_384), fc.constantFrom(1, 8, 4_096), fc.constantFrom(64, 4_096), fc.array(step, { minLength: 10, maxLength: 80, size: 'max' }), (memory, merge, purge, pageWords, steps) => {
        const pair = new Pair(memory, merge, purge, { pages: new PagePool(pageWords), capacityMin: pageWords });
        let next = 0;
        for (const action of steps) {
          if (action.do === 'fresh') for (let n = 0; n < action.count; n++) pair.admit(next++);
          else if (action.do === 'repeat') for (let n = 0; n < action.count; n++) pair.admit(Math.max(0, next - action.back + n * 7));
          else if (action.do === 'time') pair.nowMs += action.minutes * 60_000;
          else if (action.do === 'horizon') pair.horizonMs = action.minutes * 60_000;
          else if (action.do === 'begin') pair.begin();
          else if (action.do === 'land') pair.land();
          else if (action.do === 'settle') pair.settle(action.ok);
          else if (action.do === 'checkpoint') pair.checkpoint();
          else pair.crash(action.committed);
        }
        pair.check();
      }),
      { numRuns: 100 },
    );
  });

  it('still finds what a merge has moved when its last step is in the store and its thread has not been told', () => {
    const pair = new Pair(30_000, 100_000);
    pair.horizonMs = 24 * HOUR;
    for (let n = 0; n < 8_000; n++) {
      pair.admit(n);
      if (n % 1_000 !== 999) continue;
      pair.begin();
      pair.land();
      for (let old = 0; old <= n; old += 5) pair.admit(old);
      pair.check();
      pair.settle(true);
    }
    pair.nowMs += HOUR;
    pair.admit(8_000);
    pair.begin();
    pair.land();
    for (let old = 0; old < 8_000; old += 5) pair.admit(old);
    pair.check();
    pair.settle(true);
    pair.check();
  });

  it('stays exact and within its budget while a long stream of repeats and new ones spills', () => {
    const memoryBytesMax = 600_000;
    const pair = new Pair(memoryBytesMax, 2_000);
    pair.horizonMs = 24 * HOUR;
    let largest = 0;
    for (let n = 0; n < 60_000; n++) {
      pair.admit(n);
      if (n % 3 === 0) pair.admit(Math.floor(n * 0.37));
      if (n % 1_000 === 999) pair.checkpoint();
      if (n % 2_500 === 2_499) pair.nowMs += HOUR;
      largest = Math.max(largest, pair.index.memoryBytes);
    }
    pair.check();
    expect(largest).toBeLessThanOrEqual(memoryBytesMax * 1.05);
    pair.crash(false);
    expect(pair.index.memoryBytes).toBeLessThanOrEqual(memoryBytesMax * 1.05);
  });

  it('stays exact while the numbers of its entries begin anew, sharing its pages with another', () => {
    const pages = new PagePool(64);
    const pairs = [new Pair(HUGE, 2_000, 4_096, { pages, numberBits: 14, capacityMin: 64 }), new Pair(40_000, 2_000, 4_096, { pages, numberBits: 14, capacityMin: 64 })] as const;
    for (const pair of pairs) pair.horizonMs = 6 * HOUR;
    for (let n = 0; n < 60_000; n++) {
      for (const pair of pairs) {
        pair.admit(n);
        if (n % 3 === 0) pair.admit(Math.max(0, n - (n % 14_000)));
        if (n % 500 === 499) pair.checkpoint();
        if (n % 2_500 === 2_499) pair.nowMs += HOUR;
      }
    }
    for (const pair of pairs) pair.check();
    expect(pairs[0].index.memoryBytes).toBeGreaterThan(40_000);
    expect(pairs[1].index.memoryBytes).toBeLessThan(60_000);
  });

  it('removes expired buckets from the store and ends each finished bucket as one run', () => {
    const pair = new Pair(HUGE, 500);
    for (let hour = 0; hour < 12; hour++) {
      for (let round = 0; round < 20; round++) {
        for (let n = 0; n < 50; n++) pair.admit(hour * 1_000 + round * 50 + n);
        pair.checkpoint();
      }
      pair.nowMs += HOUR;
    }
    pair.admit(1_000_000);
    for (let round = 0; round < 40; round++) pair.checkpoint();
    // Horizon 3 h: hours 9, 10, 11 (1,000 each: two slices of two chunks each) and the last one; and the meta key.
    expect(pair.index.entries).toBe(3_001);
    expect(pair.store.keyCount(TABLE)).toBe(3 * 4 + 1 + 1);
    pair.crash(false);
  });

  it('opens after a crash between any two checkpoints that remove an unfinished merge', () => {
    for (const crashesEvery of [1, 2, 3, 7]) {
      const pair = new Pair(HUGE, 300, 3);
      for (let n = 0; n < 6_000; n++) pair.admit(n);
      pair.checkpoint();
      for (let n = 6_000; n < 12_000; n++) pair.admit(n);
      pair.checkpoint();
      // Hour 0 ends as two runs of 24 chunks; three quarters of their merge are written when the first crash comes.
      pair.nowMs = HOUR;
      for (let n = 12_000; n < 12_030; n++) {
        pair.admit(n);
        pair.checkpoint();
      }
      expect(pair.store.keyCount(TABLE)).toBeGreaterThan(2 * 24 + 40);
      pair.crash(false);
      for (let round = 1; round <= 60; round++) {
        pair.admit(20_000 + round);
        pair.checkpoint();
        if (round % crashesEvery === 0) pair.crash(round % 2 === 0);
      }
      pair.admit(30_000);
      for (let round = 0; round < 100; round++) pair.checkpoint();
      pair.check();
      // Hour 0 is one run after all: 40 slices of two chunks.
      expect([...pair.store.range(TABLE, { from: Uint8Array.of(1), to: Uint8Array.of(1, 0, 0, 0, 1) })]).toHaveLength(80);
      pair.crash(false);
    }
  });

  it('neither counts nor keeps a bucket that expires while its checkpoint is under way', () => {
    const pair = new Pair(HUGE, 500);
    for (let n = 0; n < 300; n++) pair.admit(n);
    pair.begin();
    pair.nowMs = 4 * HOUR;
    pair.admit(1_000);
    pair.settle(true);
    pair.check();
    pair.checkpoint();
    expect(pair.store.keyCount(TABLE)).toBe(2);
    const meta = pair.store.get(TABLE, Uint8Array.of(0)) ?? new Uint8Array();
    expect(JSON.parse(new TextDecoder().decode(meta))).toEqual({ version: 2, bucketMin: 1, merging: null, formerBucketMax: -1 });
    for (let n = 0; n < 300; n++) pair.admit(n);
  });

  it('loses and doubles nothing where equal first words meet the border of a merge', () => {
    const store = new DedupeTestStore();
    const open = (): DedupeIndex => openDedupe({ store, table: TABLE, memoryBytesMax: 30_000, mergeEntriesMin: 1_500 });
    const index = open();
    const border = (n: number): Uint32Array => Uint32Array.of(n % 3 === 0 ? 0x7fffffff : 0x80000000, n, n * 3, n * 5);
    for (let n = 0; n < 3_000; n++) {
      index.admit(border(n), 0, HOUR);
      if (n % 1_000 === 999) {
        store.apply(index.checkpoint(n));
        index.checkpointCommitted(n);
      }
    }
    const digest = index.digest();
    index.admit(fingerprint(1), HOUR, HOUR);
    for (let epoch = 3_000; epoch < 3_006; epoch++) {
      store.apply(index.checkpoint(epoch));
      index.checkpointCommitted(epoch);
    }
    expect(store.keyCount(TABLE)).toBeLessThan(17);
    const restored = open();
    expect(restored.digest()).toBe(index.digest());
    expect(restored.digest().slice(0, 8)).toBe((3_001).toString(16).padStart(8, '0'));
    expect(digest.slice(0, 8)).toBe((3_000).toString(16).padStart(8, '0'));
    for (let n = 0; n < 3_000; n++) expect(restored.admit(border(n), HOUR, HOUR)).toBe(false);
  });

  it('writes nothing when nothing has changed', () => {
    const pair = new Pair(HUGE, 500);
    pair.admit(1);
    pair.checkpoint();
    expect(pair.index.checkpoint(99)).toEqual([]);
  });

  it('does not bring expired fingerprints back when the horizon grows again', () => {
    const pair = new Pair(HUGE, 500);
    pair.admit(1);
    pair.nowMs = 2 * HOUR;
    pair.horizonMs = HOUR;
    pair.admit(2);
    pair.horizonMs = 10 * HOUR;
    pair.admit(1);
    pair.check();
  });

  it('counts a repeat at exactly the horizon and not one bucket later', () => {
    const index = openDedupe({ store: new DedupeTestStore(), table: TABLE, memoryBytesMax: HUGE });
    expect(index.admit(fingerprint(1), 10 * HOUR, 24 * HOUR)).toBe(true);
    expect(index.admit(fingerprint(1), 35 * HOUR - 1, 24 * HOUR)).toBe(false);
    expect(index.admit(fingerprint(1), 35 * HOUR, 24 * HOUR)).toBe(true);
  });

  it('tells apart fingerprints that share all but one word, in memory and in the store', () => {
    const store = new DedupeTestStore();
    const index = openDedupe({ store, table: TABLE, memoryBytesMax: 30_000 });
    const variant = (n: number): Uint32Array => Uint32Array.of(n >>> 8 === 0 ? 7 : n, n & 3, (n >> 2) & 3, n);
    for (let n = 0; n < 6_000; n++) {
      expect(index.admit(variant(n), 0, HOUR)).toBe(true);
      if (n % 500 === 499) {
        store.apply(index.checkpoint(n));
        index.checkpointCommitted(n);
      }
    }
    for (let n = 0; n < 6_000; n++) expect(index.admit(variant(n), 0, HOUR)).toBe(false);
    for (let n = 0; n < 200; n++) expect(index.admit(Uint32Array.of(7, 0, 0, n + 90_000), 0, HOUR)).toBe(true);
  });

  it('refuses a store of a newer version and a damaged run', () => {
    const store = new DedupeTestStore();
    store.apply([{ table: TABLE, key: Uint8Array.of(0), value: new TextEncoder().encode('{"version":3,"bucketMin":0,"merging":null}') }]);
    expect(() => openDedupe({ store, table: TABLE, memoryBytesMax: HUGE })).toThrow(expect.objectContaining({ code: 'DATA_VERSION' }));
    const damaged = new DedupeTestStore();
    damaged.apply([{ table: TABLE, key: Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0), value: new Uint8Array(17) }]);
    expect(() => openDedupe({ store: damaged, table: TABLE, memoryBytesMax: HUGE })).toThrow(expect.objectContaining({ code: 'STATE_CORRUPT' }));
  });
});
