/**
 * The merge's cells, by window: a two-step map, so that a cell is found by its dimensions alone (no key is built per
 * lookup) and an hour can be made final as a whole. Main thread.
 */

import { CellKind } from '../../engine/core/cell.ts';
import type { CellName } from '../../engine/core/cell.ts';
import { MS_PER_HOUR } from '../../engine/core/types.ts';
import type { MergeEntry } from './entry.ts';

/** All known cells of one kind and window. */
export class CellTable {
  readonly kind: CellKind;
  readonly windowStartMs: number;
  readonly cells = new Map<string, MergeEntry>();
  /** The hour has closed in all partitions. */
  final = false;

  constructor(kind: CellKind, windowStartMs: number) {
    this.kind = kind;
    this.windowStartMs = windowStartMs;
  }

  /** Only hours are ever final: day and late cells take late records while they are retained. */
  closesBy(closedUpToMs: number): boolean {
    return this.kind === CellKind.hour && this.windowStartMs + MS_PER_HOUR <= closedUpToMs;
  }
}

export class CellTables {
  readonly #tables = new Map<number, CellTable>();
  /** Cells of one report mostly share a window. */
  #recent: CellTable | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  find(name: CellName): MergeEntry | undefined {
    return this.#find(name.kind, name.windowStartMs)?.cells.get(name.dimensions);
  }

  /** The table for a window, made when there is none. */
  at(name: CellName): CellTable {
    const known = this.#find(name.kind, name.windowStartMs);
    if (known !== null) return known;
    const table = new CellTable(name.kind, name.windowStartMs);
    this.#tables.set(tableKey(name.kind, name.windowStartMs), table);
    this.#recent = table;
    return table;
  }

  add(entry: MergeEntry): void {
    entry.table.cells.set(entry.dimensions, entry);
    this.#size++;
  }

  remove(entry: MergeEntry): void {
    if (!entry.table.cells.delete(entry.dimensions)) return;
    this.#size--;
    if (entry.table.cells.size > 0) return;
    this.#tables.delete(tableKey(entry.kind, entry.windowStartMs));
    if (this.#recent === entry.table) this.#recent = null;
  }

  /** Marks the hours that end at or before `closedUpToMs` as final and returns those that were not. */
  close(closedUpToMs: number): CellTable[] {
    const closed: CellTable[] = [];
    for (const table of this.#tables.values()) {
      if (table.final || !table.closesBy(closedUpToMs)) continue;
      table.final = true;
      closed.push(table);
    }
    return closed;
  }

  #find(kind: CellKind, windowStartMs: number): CellTable | null {
    const recent = this.#recent;
    if (recent !== null && recent.windowStartMs === windowStartMs && recent.kind === kind) return recent;
    const table = this.#tables.get(tableKey(kind, windowStartMs)) ?? null;
    if (table !== null) this.#recent = table;
    return table;
  }
}

/** Kinds are below 4, and window starts below 2^48: the product is a safe integer. */
const tableKey = (kind: CellKind, windowStartMs: number): number => windowStartMs * 4 + kind;
