/** Keys with variants: of AppsFlyer's events the milliseconds, which one mode looks at and the other does not. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Match, openDedupe, type DedupeIndex } from '../../../actors/partition/dedupe.ts';
import { NO_VARIANT, withVariant } from '../../../engine/core/dedupe-key.ts';
import { hash128Text } from '../../../engine/core/hash.ts';
import { MS_PER_HOUR } from '../../../engine/core/types.ts';
import { DedupeTestStore } from './dedupe-test-store.ts';

const TABLE = 'dedupe';
const HUGE = 1 << 28;
/** So little that all but the newest few hundred are in the store. */
const TINY = 30_000;
const HORIZON_MS = 24 * MS_PER_HOUR;

function key(n: number, variant: number): Uint32Array {
  const out = new Uint32Array(4);
  hash128Text(`event ${n}`, out);
  out[3] = withVariant(out[3] as number, variant);
  return out;
}

const open = (store: DedupeTestStore, memoryBytesMax = HUGE): DedupeIndex => openDedupe({ store, table: TABLE, memoryBytesMax });

function save(index: DedupeIndex, store: DedupeTestStore, epoch: number): void {
  store.apply(index.checkpoint(epoch));
  index.checkpointCommitted(epoch);
}

const answer = (index: DedupeIndex, n: number, variant: number, match: Match): string => {
  if (index.admit(key(n, variant), 0, HORIZON_MS, match)) return 'new';
  return index.differs ? 'differs' : 'repeat';
};

describe('keys with variants', () => {
  it('count each variant where variants count, and forget none when they no longer do, nor when they do again', () => {
    const index = open(new DedupeTestStore());
    expect(answer(index, 1, 318, Match.same)).toBe('new');
    expect(answer(index, 1, 400, Match.same)).toBe('new');
    expect(answer(index, 1, 400, Match.same)).toBe('repeat');
    expect(answer(index, 1, 400, Match.anyVariant)).toBe('repeat');
    expect(answer(index, 1, NO_VARIANT, Match.anyVariant)).toBe('repeat');
    expect(answer(index, 1, 7, Match.anyVariant)).toBe('differs');
    expect(answer(index, 1, 318, Match.same)).toBe('repeat');
    expect(answer(index, 1, 7, Match.same)).toBe('new');
  });

  it('take a record without a variant for any of its second, whichever of the two comes first', () => {
    const index = open(new DedupeTestStore());
    expect(answer(index, 1, NO_VARIANT, Match.anyVariant)).toBe('new');
    for (const variant of [0, 1, 999]) expect(answer(index, 1, variant, Match.anyVariant)).toBe('repeat');
    expect(answer(index, 1, 5, Match.same)).toBe('repeat');
    expect(answer(index, 2, 0, Match.anyVariant)).toBe('new');
    expect(answer(index, 2, NO_VARIANT, Match.anyVariant)).toBe('repeat');
  });

  it('are told apart alike wherever they lie: in memory, in the store, on both sides of a border between chunks', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ n: fc.integer({ min: 0, max: 40 }), variant: fc.constantFrom(0, 1, 2, 3, NO_VARIANT), any: fc.boolean(), saves: fc.boolean(), restarts: fc.integer({ min: 0, max: 20 }) }), { minLength: 50, maxLength: 400 }),
        (steps) => {
          const large = open(new DedupeTestStore());
          const store = new DedupeTestStore();
          let small = open(store, TINY);
          steps.forEach(({ n, variant, any, saves, restarts }, at) => {
            const match = any ? Match.anyVariant : Match.same;
            expect(answer(small, n, variant, match)).toBe(answer(large, n, variant, match));
            // Others between them, so that they leave memory.
            for (let other = 0; other < 40; other++) for (const index of [small, large]) answer(index, 1_000 + at * 40 + other, other, Match.same);
            if (saves || restarts === 0) save(small, store, at + 1);
            if (restarts === 0) small = open(store, TINY);
          });
          expect(small.digest()).toBe(large.digest());
          expect(steps.length < 200 || small.entriesInMemory < small.entries).toBe(true);
        },
      ),
      { numRuns: 15, seed: 6 },
    );
  });

  it('find all variants of one key where they fill several chunks', () => {
    const store = new DedupeTestStore();
    const index = open(store, TINY);
    for (let variant = 0; variant < 1_000; variant++) expect(answer(index, 1, variant, Match.same)).toBe('new');
    save(index, store, 1);
    for (let n = 2; n < 4_000; n++) answer(index, n, 0, Match.same);
    save(index, store, 2);
    const restored = open(store, TINY);
    expect(restored.entriesInMemory).toBeLessThan(3_000);
    for (let variant = 0; variant < 1_000; variant += 37) {
      expect(answer(index, 1, variant, Match.anyVariant)).toBe('repeat');
      expect(answer(restored, 1, variant, Match.same)).toBe('repeat');
    }
  });
});

describe('a state of version 1', () => {
  const META_KEY = Uint8Array.of(0);
  const metaOf = (store: DedupeTestStore): Record<string, unknown> => JSON.parse(new TextDecoder().decode(store.get(TABLE, META_KEY) ?? new Uint8Array())) as Record<string, unknown>;

  /** As the former program wrote it: whole fingerprints, meta without what came since. */
  function formerStore(): DedupeTestStore {
    const store = new DedupeTestStore();
    const index = open(store);
    for (let n = 0; n < 500; n++) index.admit(former(n), 5 * MS_PER_HOUR, HORIZON_MS);
    save(index, store, 1);
    store.apply([{ table: TABLE, key: META_KEY, value: new TextEncoder().encode('{"version":1,"bucketMin":0,"merging":null}') }]);
    return store;
  }

  const former = (n: number): Uint32Array => {
    const out = new Uint32Array(4);
    hash128Text(`former ${n}`, out);
    return out;
  };

  it('is read, says so while it is within the horizon, and through every restart', () => {
    const store = formerStore();
    let index = open(store);
    expect(index.holdsFormer).toBe(true);
    for (let n = 0; n < 500; n++) expect(index.knows(former(n), 6 * MS_PER_HOUR, HORIZON_MS)).toBe(true);
    expect(index.knows(former(500), 6 * MS_PER_HOUR, HORIZON_MS)).toBe(false);
    expect(index.admit(key(1, 3), 6 * MS_PER_HOUR, HORIZON_MS)).toBe(true);
    save(index, store, 2);
    expect(metaOf(store)).toMatchObject({ version: 2, formerBucketMax: 5 });
    index = open(store);
    expect(index.holdsFormer).toBe(true);
    expect(index.knows(former(7), 30 * MS_PER_HOUR - 1, HORIZON_MS)).toBe(true);
    expect(index.knows(former(7), 30 * MS_PER_HOUR, HORIZON_MS)).toBe(false);
    expect(index.holdsFormer).toBe(false);
  });
});
