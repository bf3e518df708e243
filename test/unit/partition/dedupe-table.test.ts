import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Found } from '../../../engine/core/dedupe-key.ts';
import { FingerprintLog } from '../../../actors/partition/dedupe-log.ts';
import { PagePool } from '../../../actors/partition/dedupe-pages.ts';
import { DedupeTable } from '../../../actors/partition/dedupe-table.ts';

/** Spread over the table by the first word. */
const spread = (n: number): Uint32Array => Uint32Array.of(Math.imul(n, 0x9e3779b1) >>> 0, n, ~n >>> 0, n * 7);
/** Very many with one home, and at the end of the table. */
const alike = (n: number): Uint32Array => Uint32Array.of(n % 3 === 0 ? 0xffffffff : n & 1, n, 0, n & 3);
const PAGE_WORDS = 64;
const NUMBER_BITS = 12;

/** A table over its log, and a set of what must be found. */
class Pair {
  readonly pool = new PagePool(PAGE_WORDS);
  readonly log: FingerprintLog;
  readonly table: DedupeTable;
  readonly here = new Set<number>();
  readonly #of: (n: number) => Uint32Array;

  constructor(capacity: number, of: (n: number) => Uint32Array = spread, numberBits = NUMBER_BITS) {
    this.#of = of;
    this.log = new FingerprintLog(this.pool, numberBits);
    this.table = new DedupeTable(this.pool, this.log, capacity);
  }

  add(n: number, bucket: number): void {
    const isHere = this.table.find(this.#of(n)) === Found.same;
    if (isHere !== this.here.has(n)) throw new Error(`fingerprint ${n}: ${isHere ? 'found' : 'missed'}`);
    if (isHere) return;
    this.table.place(this.#of(n), this.log.append(this.#of(n), bucket));
    this.here.add(n);
  }

  check(numbers: Iterable<number>): void {
    for (const n of numbers) if ((this.table.find(this.#of(n)) === Found.same) !== this.here.has(n)) throw new Error(`fingerprint ${n}: ${this.here.has(n) ? 'missed' : 'found'}`);
  }
}

describe('the table of fingerprints', () => {
  it('moves its border no further at a time than it is told while it grows, and forgets nothing', () => {
    const capacity = 4_096;
    const pair = new Pair(capacity, spread, 20);
    for (let n = 0; n < 2_400; n++) pair.add(n, 0);
    pair.table.beginRewrite(6_144);
    let pieces = 0;
    let moved = 0;
    for (let isDone = false; !isDone; pieces++) {
      isDone = pair.table.rewrite(64);
      // To the next free place, which is near.
      expect(pair.table.used - moved).toBeLessThanOrEqual(2 * 64);
      moved = pair.table.used;
      pair.check([0, 1, pieces, 2_399, 2_400]);
    }
    expect([pair.table.isRewriting, pair.table.used, pair.table.capacity]).toEqual([false, 2_400, 6_144]);
    expect(pieces).toBeGreaterThan(capacity / 128);
    pair.check(Array.from({ length: 3_000 }, (_, n) => n));
  });

  it('takes while it grows little more than the larger of both', () => {
    const pair = new Pair(4_096, spread, 20);
    for (let n = 0; n < 3_000; n++) pair.add(n, 0);
    pair.table.beginRewrite(6_144);
    let most = 0;
    while (!pair.table.rewrite(64)) most = Math.max(most, pair.table.byteLength);
    expect(most).toBeLessThanOrEqual((6_144 + 4 * PAGE_WORDS) * 4);
    expect(pair.table.byteLength).toBeLessThanOrEqual((6_144 + 2 * PAGE_WORDS) * 4);
  });

  it('agrees with a set under arrivals, expiry and rewriting, well spread or all alike, while numbers begin anew many times', () => {
    const action = fc.oneof(
      { weight: 5, arbitrary: fc.record({ do: fc.constant('add' as const), count: fc.integer({ min: 1, max: 60 }) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('expire' as const), keep: fc.integer({ min: 0, max: 4 }) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('begin' as const), capacity: fc.integer({ min: 16, max: 700 }) }) },
      { weight: 5, arbitrary: fc.record({ do: fc.constant('rewrite' as const), limit: fc.integer({ min: 1, max: 300 }) }) },
    );
    fc.assert(
      fc.property(fc.constantFrom(spread, alike), fc.array(action, { minLength: 20, maxLength: 150, size: 'max' }), (of, actions) => {
        const pair = new Pair(64, of);
        const byBucket: number[][] = [];
        let next = 0;
        let expired = 0;
        let sinceRewrite = 0;
        for (const step of actions) {
          if (step.do === 'add') {
            const added: number[] = [];
            for (let index = 0; index < step.count; index++) {
              added.push(next);
              pair.add(next++, byBucket.length);
            }
            sinceRewrite += step.count;
            byBucket.push(added);
          } else if (step.do === 'expire') {
            while (byBucket.length - expired > step.keep) for (const n of byBucket[expired++] as number[]) pair.here.delete(n);
            pair.log.expireBefore(expired);
          } else if (step.do === 'begin' && !pair.table.isRewriting) {
            pair.table.beginRewrite(step.capacity);
          } else if (step.do === 'rewrite') {
            if (pair.table.rewrite(step.limit)) sinceRewrite = 0;
          }
          // Dead places go before their numbers come again: the owner's part.
          if (pair.log.count + sinceRewrite > 1_200) {
            if (pair.table.isRewriting) pair.table.rewrite(10_000);
            pair.table.beginRewrite(700);
            pair.table.rewrite(10_000);
            sinceRewrite = 0;
          }
          if (pair.log.count > 1_000) {
            while (byBucket.length > expired) for (const n of byBucket[expired++] as number[]) pair.here.delete(n);
            pair.log.expireBefore(expired);
          }
          pair.check(Array.from({ length: 80 }, (_, back) => next - back * 5));
        }
        pair.check(Array.from({ length: next + 10 }, (_, n) => n));
        expect(pair.log.count).toBe(pair.here.size);
      }),
      { numRuns: 150 },
    );
  });
});

describe('the pages of a thread', () => {
  it('go from what has expired to what arrives, and back to the system when nobody needs them', () => {
    const pool = new PagePool(PAGE_WORDS);
    const logs = [new FingerprintLog(pool, 20), new FingerprintLog(pool, 20)];
    const fill = (log: FingerprintLog | undefined, bucket: number): void => {
      for (let n = 0; n < 60_000; n++) log?.append(spread(n), bucket);
    };
    fill(logs[0], 0);
    const bytes = pool.byteLength;
    logs[0]?.expireBefore(1);
    fill(logs[1], 0);
    expect(pool.byteLength).toBeLessThanOrEqual(bytes);
    logs[1]?.expireBefore(1);
    expect(pool.byteLength).toBeLessThan(bytes / 4);
    expect(pool.used).toBeLessThanOrEqual(2);
  });

  it('are zero for whoever asks for zeros, whatever stood in them', () => {
    const pool = new PagePool(PAGE_WORDS);
    const page = pool.take();
    pool.slabOf(page).fill(7, pool.wordsAt(page), pool.wordsAt(page) + PAGE_WORDS);
    pool.give(page);
    const again = pool.takeZeroed();
    expect(again).toBe(page);
    expect([...pool.slabOf(again).subarray(pool.wordsAt(again), pool.wordsAt(again) + PAGE_WORDS)].every((word) => word === 0)).toBe(true);
  });
});
