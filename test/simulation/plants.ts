/** Bugs planted at the seams of the simulated daemon: each must be found, or the checker that should find it proves nothing. */

import type { MergeOutput } from '../../engine/core/feed.ts';
import { CellKind, cellMapKey } from '../../engine/core/cell.ts';
import type { Sink } from '../../engine/core/feed.ts';
import type { OrderedStore } from '../../engine/core/store.ts';
import type { MemorySink, MemorySystem } from '../conformance/memory-sink.ts';

export interface Plant {
  /** A failed commit is acknowledged all the same. */
  readonly acknowledgesFailures?: boolean;
  /** Nothing is recognised as sent before. */
  readonly forgetsRepeats?: boolean;
  /** Changes what the merge hands to the live store. */
  readonly output?: (output: MergeOutput) => MergeOutput;
  readonly store?: (store: OrderedStore) => OrderedStore;
  readonly sink?: (sink: MemorySink, system: MemorySystem) => Sink;
}

const withoutTable = (store: OrderedStore, table: string): OrderedStore => ({
  get: (from, key) => store.get(from, key),
  range: (from, range) => store.range(from, range),
  commit: (operations) => store.commit(operations.filter((operation) => operation.table !== table)),
  flushed: () => store.flushed(),
  copyTo: (path) => store.copyTo(path),
  sizeBytes: () => store.sizeBytes(),
  close: () => store.close(),
});

export const PLANTS: Readonly<Record<string, Plant>> = {
  'acknowledged-not-durable': { acknowledgesFailures: true },
  'repeats-count': { forgetsRepeats: true },
  /** A checkpoint whose offset covers cells that are not in it. */
  'checkpoint-without-cells': { store: (store) => withoutTable(store, 'cells') },
  'checkpoint-without-fingerprints': { store: (store) => withoutTable(store, 'dedupe') },
  'checkpoint-without-outbox': { store: (store) => withoutTable(store, 'outbox') },
  'merged-cell-lost': {
    output: (output) => ({ ...output, changed: output.changed.filter((cell) => !(cell.kind === CellKind.day && cell.revision % 5 === 0)) }),
  },
  'sink-takes-lower-revisions': {
    sink: (sink, system) => ({
      ...sinkOf(sink),
      write: async (changed, feed) => {
        await sink.write({ ...changed, cells: [] }, feed);
        for (const cell of changed.cells) if (cell.revision % 3 !== 0) system.cells.set(cellMapKey(cell), { cell, generation: feed.generation });
      },
    }),
  },
};

const sinkOf = (sink: MemorySink): Sink => ({
  name: sink.name,
  intervalMs: sink.intervalMs,
  open: () => sink.open(),
  write: (changed, feed) => sink.write(changed, feed),
  mark: (marker) => sink.mark(marker),
  check: () => sink.check(),
  close: () => sink.close(),
});
