/**
 * The cells of one partition: hot ones in memory, the others in the store until they are asked for.
 *
 * Open and unsettled hour cells are always in memory; day and late cells leave it once they are stored and have not changed for a
 * while, or at once where there are very many. What is in memory never changes a total: a cell comes back from the store the moment it is needed.
 *
 * Hot path: 100 K records a second, at most 1 µs a record with its two cells; bench/micro/partition.ts. {@link CellTable.series},
 * {@link CellTable.hourCell}, {@link CellTable.dayCell}. Owned by the partition.
 */

import { CellKind, cellStoreKey, cellStorePrefix, parseCellStoreKey, type CellName } from '../../engine/core/cell.ts';
import type { OrderedStore } from '../../engine/core/store.ts';
import type { Cell } from './cell.ts';
import type { CellCodec } from './cell-codec.ts';
import { TABLES } from './options.ts';

/** Cells looked at per committed checkpoint for leaving memory, at least: chosen, well under a millisecond ... */
const EVICTION_STEPS_MIN = 5_000;
/** ... and per cell that the checkpoint saved, so that more may leave than came. */
const EVICTION_STEPS_PER_SAVED = 2;
/** Day and late cells in memory beyond which one need not be idle to leave. Chosen: two days at the default limit of cells and 32 partitions. */
const RESTING_CELLS_MAX = 65_536;

/** The cells in memory of one set of dimension values. */
export class Series {
  readonly dimensions: string;
  /** The ones touched last, to be found without a look-up. */
  hour: Cell | null = null;
  day: Cell | null = null;
  /** All of them; few, but for late ones. A map would take 220 bytes before it holds five. */
  cells: readonly Cell[] = [];

  constructor(dimensions: string) {
    this.dimensions = dimensions;
  }

  cell(kind: CellKind, windowStartMs: number): Cell | null {
    for (const cell of this.cells) if (cell.windowStartMs === windowStartMs && cell.kind === kind) return cell;
    return null;
  }
}

export class CellTable {
  readonly #store: OrderedStore;
  readonly #codec: CellCodec;
  readonly #series = new Map<string, Series>();
  /** By kind, then by window. */
  readonly #windows: Readonly<Record<CellKind, Map<number, Set<Cell>>>> = { 1: new Map(), 2: new Map(), 3: new Map() };
  /** Day and late cells in memory, and where the next look for idle ones begins. */
  readonly #evictable = new Set<Cell>();
  #evictionCursor: Iterator<Cell> = this.#evictable.values();
  #count = 0;

  constructor(store: OrderedStore, codec: CellCodec) {
    this.#store = store;
    this.#codec = codec;
    for (const { key, value } of store.range(TABLES.cells, { from: cellStorePrefix(CellKind.hour, 0), to: cellStorePrefix(CellKind.day, 0) })) {
      const name = parseCellStoreKey(key);
      this.#keep(this.#seriesOf(name.dimensions), codec.decode(name, value));
    }
  }

  get count(): number {
    return this.#count;
  }

  /** The series in memory, or undefined. */
  series(dimensions: string): Series | undefined {
    return this.#series.get(dimensions);
  }

  /** The series' hour cell, made when it is not there. Only for hours that are not closed. */
  hourCell(series: Series, windowStartMs: number): Cell {
    const latest = series.hour;
    if (latest !== null && latest.windowStartMs === windowStartMs) return latest;
    const cell = series.cell(CellKind.hour, windowStartMs) ?? this.#create(series, CellKind.hour, windowStartMs);
    series.hour = cell;
    return cell;
  }

  /** The series' day cell when it is in memory. */
  dayCellInMemory(series: Series, windowStartMs: number): Cell | null {
    const latest = series.day;
    if (latest !== null && latest.windowStartMs === windowStartMs) return latest;
    const cell = series.cell(CellKind.day, windowStartMs);
    if (cell !== null) series.day = cell;
    return cell;
  }

  /** From memory, from the store, or new. The series is made when it is not there. */
  cell(kind: CellKind, windowStartMs: number, dimensions: string): Cell {
    const found = this.find({ kind, windowStartMs, dimensions });
    return found ?? this.#create(this.#seriesOf(dimensions), kind, windowStartMs);
  }

  /** From memory or the store (then it is in memory); null when there is none. */
  find(name: CellName): Cell | null {
    const inMemory = this.inMemory(name);
    // Hour cells that are not in memory have been dropped.
    if (inMemory !== null || name.kind === CellKind.hour) return inMemory;
    const stored = this.stored(name);
    if (stored !== null) this.#keep(this.#seriesOf(name.dimensions), stored);
    return stored;
  }

  inMemory(name: CellName): Cell | null {
    return this.#series.get(name.dimensions)?.cell(name.kind, name.windowStartMs) ?? null;
  }

  /** As the store has it, without keeping it; null when there is none. */
  stored(name: CellName): Cell | null {
    const value = this.#store.get(TABLES.cells, cellStoreKey(name));
    return value === null ? null : this.#codec.decode(name, value);
  }

  /** Stored day and late cells that are not in memory, of windows at or after `fromMs`. */
  *storedOnly(fromMs: number): Generator<Cell> {
    for (const kind of [CellKind.day, CellKind.late]) {
      for (const { key, value } of this.#store.range(TABLES.cells, { from: cellStorePrefix(kind, fromMs), to: prefixAfter(kind) })) {
        const name = parseCellStoreKey(key);
        if (this.inMemory(name) === null) yield this.#codec.decode(name, value);
      }
    }
  }

  /**
   * Stored day and late cells behind the key `after` (null: from the first on), of windows at or after `fromMs`, as they are now: in memory, if
   * there. At most `limit`; `last` is where to go on, null at the end.
   */
  storedAfter(after: Uint8Array | null, fromMs: number, limit: number): { readonly cells: readonly Cell[]; readonly last: Uint8Array | null } {
    const cells: Cell[] = [];
    for (const kind of [CellKind.day, CellKind.late]) {
      const first = cellStorePrefix(kind, fromMs);
      const from = after === null || Buffer.compare(after, first) < 0 ? first : keyBehind(after);
      const to = prefixAfter(kind);
      if (Buffer.compare(from, to) >= 0) continue;
      for (const { key, value } of this.#store.range(TABLES.cells, { from, to, limit: limit - cells.length })) {
        const name = parseCellStoreKey(key);
        cells.push(this.inMemory(name) ?? this.#codec.decode(name, value));
        if (cells.length === limit) return { cells, last: key };
      }
    }
    return { cells, last: null };
  }

  /** Dimensions of every cell of one window, in memory and in the store, each once. */
  *dimensionsOf(kind: CellKind, windowStartMs: number): Generator<string> {
    for (const cell of this.window(kind, windowStartMs)) yield cell.dimensions;
    for (const { key } of this.#store.range(TABLES.cells, { from: cellStorePrefix(kind, windowStartMs), to: cellStorePrefix(kind, windowStartMs + 1) })) {
      const name = parseCellStoreKey(key);
      if (this.inMemory(name) === null) yield name.dimensions;
    }
  }

  /** Keys of stored day and late cells of windows before `beforeMs`, at most `limit`. */
  expiredKeys(beforeMs: number, limit: number): Uint8Array[] {
    const keys: Uint8Array[] = [];
    for (const kind of [CellKind.day, CellKind.late]) {
      for (const { key } of this.#store.range(TABLES.cells, { from: cellStorePrefix(kind, 0), to: cellStorePrefix(kind, beforeMs), limit: limit - keys.length })) keys.push(key);
      if (keys.length >= limit) break;
    }
    return keys;
  }

  /** Cells in memory of one kind and window. */
  window(kind: CellKind, windowStartMs: number): Iterable<Cell> {
    return this.#windows[kind].get(windowStartMs) ?? [];
  }

  /** Window starts in memory of one kind; the cells of each may be dropped meanwhile. */
  windowStarts(kind: CellKind): number[] {
    return [...this.#windows[kind].keys()];
  }

  *all(): Generator<Cell> {
    for (const windows of Object.values(this.#windows)) for (const cells of windows.values()) yield* cells;
  }

  /** Takes the cell out of the partition. What the store has of it is the caller's to remove. */
  drop(cell: Cell): void {
    cell.isDropped = true;
    this.#forget(cell);
  }

  /** Lets go of some idle day and late cells that the store has, after a checkpoint that saved so many. */
  evict(savedCount: number, isIdle: (cell: Cell) => boolean): void {
    for (let steps = Math.min(Math.max(EVICTION_STEPS_MIN, EVICTION_STEPS_PER_SAVED * savedCount), this.#evictable.size); steps > 0; steps--) {
      let next = this.#evictionCursor.next();
      if (next.done === true) {
        this.#evictionCursor = this.#evictable.values();
        next = this.#evictionCursor.next();
        if (next.done === true) return;
      }
      const cell = next.value;
      if (!cell.isStored || cell.isDirty || cell.isSaving || cell.isChanged) continue;
      if (this.#evictable.size > RESTING_CELLS_MAX || isIdle(cell)) this.#forget(cell);
    }
  }

  #create(series: Series, kind: CellKind, windowStartMs: number): Cell {
    const cell = this.#codec.create({ kind, windowStartMs, dimensions: series.dimensions });
    this.#keep(series, cell);
    return cell;
  }

  #seriesOf(dimensions: string): Series {
    let series = this.#series.get(dimensions);
    if (series === undefined) {
      series = new Series(dimensions);
      this.#series.set(dimensions, series);
    }
    return series;
  }

  #keep(series: Series, cell: Cell): void {
    // Takes what is needed, where push takes 17 places at once.
    series.cells = series.cells.concat(cell);
    const windows = this.#windows[cell.kind];
    const cells = windows.get(cell.windowStartMs);
    if (cells === undefined) windows.set(cell.windowStartMs, new Set([cell]));
    else cells.add(cell);
    if (cell.kind !== CellKind.hour) this.#evictable.add(cell);
    this.#count++;
  }

  #forget(cell: Cell): void {
    const series = this.#series.get(cell.dimensions) as Series;
    const at = series.cells.indexOf(cell);
    series.cells = series.cells.slice(0, at).concat(series.cells.slice(at + 1));
    if (series.hour === cell) series.hour = null;
    if (series.day === cell) series.day = null;
    if (series.cells.length === 0) this.#series.delete(cell.dimensions);
    const cells = this.#windows[cell.kind].get(cell.windowStartMs) as Set<Cell>;
    cells.delete(cell);
    if (cells.size === 0) this.#windows[cell.kind].delete(cell.windowStartMs);
    this.#evictable.delete(cell);
    this.#count--;
  }
}

const keyBehind = (key: Uint8Array): Uint8Array => {
  const behind = new Uint8Array(key.byteLength + 1);
  behind.set(key);
  return behind;
};

const prefixAfter = (kind: CellKind): Uint8Array => Uint8Array.of(kind + 1);
