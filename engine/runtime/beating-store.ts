/**
 * A store whose reads beat: restoring a partition is nothing but reads, and one that takes minutes must not look like one that is stuck.
 * The call that hangs is the one after which no beat comes.
 */

import type { KeyRange, OrderedStore, StoreEntry } from '../core/store.ts';
import type { Progress } from '../threads/progress.ts';

export function beatingStore(store: OrderedStore, progress: Progress): OrderedStore {
  return {
    get(table: string, key: Uint8Array): Uint8Array | null {
      progress.beat();
      return store.get(table, key);
    },
    *range(table: string, range: KeyRange): Generator<StoreEntry> {
      for (const entry of store.range(table, range)) {
        progress.beat();
        yield entry;
      }
    },
    commit: (operations) => store.commit(operations),
    flushed: () => store.flushed(),
    copyTo: (path) => store.copyTo(path),
    sizeBytes: () => store.sizeBytes(),
    close: () => store.close(),
  };
}
