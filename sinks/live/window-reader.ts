/**
 * Reads one window of the live store: from memory where it is whole there, else from memory and the tables together. Retention is the caller's.
 *
 * Main thread. Hot path: 20 K reads a second, at most 1 µs a read of a few cells in memory; bench/load/scenarios/steady.ts. By the Redis sink.
 */

import type { CellKind, MergedCell } from '../../engine/core/cell.ts';
import { sortByKey } from './order.ts';
import type { LiveTables } from './tables.ts';
import type { LiveWindows } from './windows.ts';

/** One window, or those of its cells whose first dimension is `resultKey`. */
export interface WindowName {
  readonly kind: CellKind;
  readonly windowStartMs: number;
  readonly resultKey: string | null;
}

export class WindowReader {
  readonly #windows: LiveWindows;
  readonly #tables: LiveTables;
  /** Windows asked for since the last change that neither memory nor the tables have, by kind. */
  readonly #nowhere = new Map<CellKind, Set<number>>();

  constructor(windows: LiveWindows, tables: LiveTables) {
    this.#windows = windows;
    this.#tables = tables;
  }

  /** The tables or the windows in memory are others than before. */
  changed(): void {
    this.#nowhere.clear();
  }

  /** At most `limit`, in key order. */
  cells(name: WindowName, limit: number): readonly MergedCell[] {
    const { kind, windowStartMs, resultKey } = name;
    const window = this.#windows.get(kind, windowStartMs);
    if (window === undefined && this.#isNowhere(kind, windowStartMs)) return [];
    const cells = window?.complete === true ? window.select(resultKey) : [...this.pages(name)].flat();
    if (cells.length > 1) sortByKey(cells);
    return cells.length > limit ? cells.slice(0, limit) : cells;
  }

  /** Each cell once, in no order. */
  *pages({ kind, windowStartMs, resultKey }: WindowName): Generator<readonly MergedCell[]> {
    const window = this.#windows.get(kind, windowStartMs);
    const here = window?.select(resultKey) ?? [];
    if (here.length > 0) yield here;
    if (window?.complete === true) return;
    const known = new Set(here.map((cell) => cell.dimensions));
    for (const page of this.#tables.pages(kind, windowStartMs, resultKey)) {
      const cells = page.filter(({ cell }) => !known.has(cell.dimensions));
      if (cells.length > 0) yield cells.map(({ cell }) => cell);
    }
  }

  /** Most hours have no late cells, and every value of an hour asks for them: the tables are looked at once. */
  #isNowhere(kind: CellKind, windowStartMs: number): boolean {
    const known = this.#nowhere.get(kind) ?? new Set<number>();
    if (known.has(windowStartMs)) return true;
    if (this.#tables.hasWindow(kind, windowStartMs)) return false;
    this.#nowhere.set(kind, known.add(windowStartMs));
    return true;
  }
}
