/** Reads of the live store's tables: what the change log has handed over. Pages, so that no caller holds a snapshot for long. Main thread. */

import type { CellKind, CellName } from '../../engine/core/cell.ts';
import { cellStoreKey, cellStorePrefix, parseCellStoreKey } from '../../engine/core/cell.ts';
import type { OrderedStore, StoreOperation } from '../../engine/core/store.ts';
import { changeKey, decodeCell, encodeCell, LIVE_TABLE, parseChangeKey } from './encode.ts';
import type { NumberedCell } from './encode.ts';

/** Entries read at once. Chosen: about 5 ms. */
export const PAGE_CELLS = 1_000;

export interface ChangeEntry {
  readonly changeNumber: number;
  readonly key: Uint8Array;
}

export class LiveTables {
  readonly #store: OrderedStore;
  readonly #measureCount: number;

  constructor(store: OrderedStore, measureCount: number) {
    this.#store = store;
    this.#measureCount = measureCount;
  }

  find(name: CellName): NumberedCell | null {
    return this.read(cellStoreKey(name));
  }

  read(key: Uint8Array): NumberedCell | null {
    const value = this.#store.get(LIVE_TABLE.cells, key);
    return value === null ? null : decodeCell(key, value, this.#measureCount);
  }

  hasWindow(kind: CellKind, windowStartMs: number): boolean {
    return this.nextWindow(kind, windowStartMs) === windowStartMs;
  }

  nextWindow(kind: CellKind, fromMs: number): number | null {
    const [first] = this.#store.range(LIVE_TABLE.cells, { from: cellStorePrefix(kind, fromMs), to: endOf(kind), limit: 1 });
    return first === undefined ? null : parseCellStoreKey(first.key).windowStartMs;
  }

  /** The newest window that starts before `beforeMs`, or of all; null for none. */
  newestWindow(kind: CellKind, beforeMs: number | null): number | null {
    const to = beforeMs === null ? endOf(kind) : cellStorePrefix(kind, beforeMs);
    const [last] = this.#store.range(LIVE_TABLE.cells, { from: cellStorePrefix(kind, 0), to, limit: 1, reverse: true });
    return last === undefined ? null : parseCellStoreKey(last.key).windowStartMs;
  }

  /** Cells of a window, or those whose first dimension is `resultKey`, in key order. */
  *pages(kind: CellKind, windowStartMs: number, resultKey: string | null): Generator<readonly NumberedCell[]> {
    const prefix = cellStorePrefix(kind, windowStartMs);
    let from = resultKey === null ? prefix : joined(prefix, resultKey);
    // Values have no character below the space: up to it, only the separator and what follows it can come after the result key.
    const to = resultKey === null ? cellStorePrefix(kind, windowStartMs + 1) : joined(prefix, `${resultKey} `);
    for (;;) {
      const page: NumberedCell[] = [];
      let lastKey: Uint8Array = from;
      for (const { key, value } of this.#store.range(LIVE_TABLE.cells, { from, to, limit: PAGE_CELLS })) {
        page.push(decodeCell(key, value, this.#measureCount));
        lastKey = key;
      }
      if (page.length > 0) yield page;
      if (page.length < PAGE_CELLS) return;
      from = joined(lastKey, '\u0000');
    }
  }

  /** Entries of the change index from one number up to below another, in order. */
  *changes(fromNumber: number, toNumber: number): Generator<ChangeEntry> {
    let from = fromNumber;
    while (from < toNumber) {
      const page = [...this.#store.range(LIVE_TABLE.changes, { from: changeKey(from), to: changeKey(toNumber), limit: PAGE_CELLS })];
      for (const { key, value } of page) {
        const changeNumber = parseChangeKey(key);
        from = changeNumber + 1;
        yield { changeNumber, key: value };
      }
      if (page.length < PAGE_CELLS) return;
    }
  }

  /** Adds what puts a cell into the tables in place of its entry `indexedNumber` (0: it has none). */
  static put(cell: NumberedCell, indexedNumber: number, operations: StoreOperation[]): void {
    const key = cellStoreKey(cell.cell);
    operations.push({ table: LIVE_TABLE.cells, key, value: encodeCell(cell) });
    operations.push({ table: LIVE_TABLE.changes, key: changeKey(cell.changeNumber), value: key });
    if (indexedNumber > 0) operations.push({ table: LIVE_TABLE.changes, key: changeKey(indexedNumber), value: null });
  }

  /** Adds the removal of up to `limit` cells of windows that start at or before `upToMs`; returns how many. */
  remove(kind: CellKind, upToMs: number, limit: number, operations: StoreOperation[]): number {
    let count = 0;
    for (const { key, value } of this.#store.range(LIVE_TABLE.cells, { from: cellStorePrefix(kind, 0), to: cellStorePrefix(kind, upToMs + 1), limit })) {
      count++;
      operations.push({ table: LIVE_TABLE.cells, key, value: null });
      operations.push({ table: LIVE_TABLE.changes, key: changeKey(decodeCell(key, value, 0).changeNumber), value: null });
    }
    return count;
  }
}

const endOf = (kind: CellKind): Uint8Array => cellStorePrefix((kind + 1) as CellKind, 0);

const joined = (bytes: Uint8Array, text: string): Uint8Array => new Uint8Array(Buffer.concat([bytes, Buffer.from(text)]));
