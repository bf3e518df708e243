/**
 * Reads of the store during a fold, taken off the record that is being folded: a disk that fails under a read must not make that
 * record poison. `current[2]` is 0 while the store works, and stays 0 when it raises.
 */

import type { KeyRange, OrderedStore, StoreEntry } from '../../engine/core/store.ts';

/** The reading half of a store. Commits go around the partition. */
export function guardedStore(store: OrderedStore, current: Float64Array): OrderedStore {
  return {
    get(table: string, key: Uint8Array): Uint8Array | null {
      const folding = current[2] as number;
      current[2] = 0;
      const value = store.get(table, key);
      current[2] = folding;
      return value;
    },
    *range(table: string, range: KeyRange): Generator<StoreEntry> {
      let folding = current[2] as number;
      current[2] = 0;
      try {
        yield* store.range(table, range);
      } catch (error) {
        folding = 0;
        throw error;
      } finally {
        current[2] = folding;
      }
    },
    commit: (operations) => store.commit(operations),
    flushed: () => store.flushed(),
    copyTo: (path) => store.copyTo(path),
    sizeBytes: () => store.sizeBytes(),
    close: () => store.close(),
  };
}
