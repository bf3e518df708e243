/** What every implementation of the state port must do; run on memory here and on LMDB in test/integration/state. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KeyRange, OrderedStore } from '../../../engine/core/store.ts';

export const key = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);
const keysOf = (store: OrderedStore, range: KeyRange): string[] => [...store.range('a', range)].map((entry) => Array.from(entry.key).join('.'));

export function storeSuite(name: string, open: () => Promise<OrderedStore>): void {
  describe(name, () => {
    let store: OrderedStore;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store.close());

    it('shows nothing of a transaction before it has settled, and all of it after', async () => {
      const done = store.commit([
        { table: 'a', key: key(1), value: key(10) },
        { table: 'b', key: key(1), value: key(20) },
      ]);
      expect(store.get('a', key(1))).toBeNull();
      await done;
      expect([store.get('a', key(1)), store.get('b', key(1))].map((value) => value?.[0])).toEqual([10, 20]);
    });

    it('applies commits in call order, removals among them', async () => {
      const first = store.commit([{ table: 'a', key: key(1), value: key(1) }]);
      const second = store.commit([{ table: 'a', key: key(1), value: null }]);
      const third = store.commit([{ table: 'a', key: key(1), value: key(3) }]);
      await Promise.all([first, second, third]);
      expect(store.get('a', key(1))?.[0]).toBe(3);
      await store.commit([{ table: 'a', key: key(1), value: null }]);
      expect(store.get('a', key(1))).toBeNull();
    });

    it('walks ranges in unsigned byte order, from inclusive, to exclusive, both ways and with a limit', async () => {
      await store.commit([key(0), key(0, 0), key(1), key(127), key(128), key(128, 0), key(255), key(255, 255)].map((at) => ({ table: 'a', key: at, value: at })));
      expect(keysOf(store, {})).toEqual(['0', '0.0', '1', '127', '128', '128.0', '255', '255.255']);
      expect(keysOf(store, { from: key(1), to: key(128, 0) })).toEqual(['1', '127', '128']);
      expect(keysOf(store, { from: key(1), to: key(128, 0), reverse: true })).toEqual(['128', '127', '1']);
      expect(keysOf(store, { from: key(2), to: key(200), reverse: true, limit: 2 })).toEqual(['128.0', '128']);
      expect(keysOf(store, { reverse: true, limit: 3 })).toEqual(['255.255', '255', '128.0']);
      expect(keysOf(store, { to: key(1), reverse: true })).toEqual(['0.0', '0']);
      expect(keysOf(store, { from: key(255), limit: 1 })).toEqual(['255']);
      expect(keysOf(store, { from: key(3), to: key(2) })).toEqual([]);
    });

    it('iterates one snapshot while commits go on, and stops early without harm', async () => {
      await store.commit([1, 2, 3].map((at) => ({ table: 'a', key: key(at), value: key(at) })));
      const seen: number[] = [];
      for (const entry of store.range('a', {})) {
        seen.push(entry.value[0] as number);
        if (seen.length === 1) await store.commit([{ table: 'a', key: key(2), value: null }, { table: 'a', key: key(4), value: key(4) }]);
      }
      expect(seen).toEqual([1, 2, 3]);
      for (const entry of store.range('a', {})) if (entry.key[0] === 3) break;
      expect(keysOf(store, {})).toEqual(['1', '3', '4']);
    });

    it('hands out copies that later writes and reads leave alone', async () => {
      await store.commit([{ table: 'a', key: key(1), value: new Uint8Array(100_000).fill(1) }, { table: 'a', key: key(2), value: key(2) }]);
      const big = store.get('a', key(1)) as Uint8Array;
      const entries = [...store.range('a', {})];
      await store.commit([{ table: 'a', key: key(1), value: new Uint8Array(100_000).fill(9) }]);
      store.get('a', key(2));
      expect(big.every((byte) => byte === 1)).toBe(true);
      expect(entries[0]?.value.every((byte) => byte === 1)).toBe(true);
      big.fill(7);
      expect(store.get('a', key(1))?.[0]).toBe(9);
    });

    it('keeps empty and large values, and keys of the greatest length', async () => {
      const longest = new Uint8Array(1_978).fill(255);
      await store.commit([
        { table: 'a', key: key(1), value: new Uint8Array(0) },
        { table: 'a', key: key(2), value: new Uint8Array(3_000_000).fill(5) },
        { table: 'a', key: longest, value: key(6) },
      ]);
      expect([store.get('a', key(1))?.byteLength, store.get('a', key(2))?.byteLength, store.get('a', longest)?.[0]]).toEqual([0, 3_000_000, 6]);
    });

    it('applies nothing when one operation of a transaction is a bug', async () => {
      const tooLong = new Uint8Array(1_979);
      for (const bad of [tooLong, key()]) {
        await expect(store.commit([{ table: 'a', key: key(1), value: key(1) }, { table: 'a', key: bad, value: key(1) }])).rejects.toThrow('bug');
      }
      await expect(store.commit([{ table: 'a', key: key(1), value: key(1) }, { table: 'nowhere', key: key(1), value: key(1) }])).rejects.toThrow('no table nowhere');
      await store.commit([{ table: 'b', key: key(1), value: key(1) }]);
      expect(store.get('a', key(1))).toBeNull();
    });
  });
}
