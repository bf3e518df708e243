/**
 * The cells of one partition: hot ones in memory, the others in the store until they are asked for.
 *
 * Open and unsettled hour cells are always in memory; day and late cells leave it once they are stored and have not changed for a
 * while, or at once where there are very many. What is in memory never changes a total: a cell comes back from the store the moment it is needed.
 *
 * Hot path: 100 K records a second, at most 1 µs a record with its two cells; bench/micro/cells.ts. {@link CellTable.hourCell} and
 * {@link CellTable.dayCell} once per record. Owned by the partition.
 */

import { CellKind, cellStoreKey, cellStorePrefix, DIMENSION_SEPARATOR, parseCellStoreKey, type CellName } from '../../engine/core/cell.ts';
import { EngineError } from '../../engine/core/errors.ts';
import type { OrderedStore } from '../../engine/core/store.ts';
import type { CellCodec } from './cell-codec.ts';
import { Mark, type CellSlots } from './cell-slots.ts';
import { TABLES } from './options.ts';
import type { SeriesTable } from './series-table.ts';
import type { StoredCell } from './stored-cell.ts';
import { NONE } from './value-table.ts';

/** Cells looked at per committed checkpoint for leaving memory, at least: chosen, well under a millisecond ... */
const EVICTION_STEPS_MIN = 5_000;
/** ... and per cell that the checkpoint saved, so that more may leave than came. */
const EVICTION_STEPS_PER_SAVED = 2;
/** Day and late cells in memory beyond which one need not be idle to leave. Chosen: two days at the default limit of cells and 32 partitions. */
const RESTING_CELLS_MAX = 65_536;

/** The cells of one kind and window that are in memory. */
interface CellWindow {
  readonly slots: number[];
  /** The store has no cell of it that is not here: who is not found need not be looked for there. */
  isWhole: boolean;
}

/** A cell that is in the store alone. */
export interface RestingCell {
  readonly name: CellName;
  readonly cell: StoredCell;
}

export interface CellTableOptions {
  readonly store: OrderedStore;
  readonly codec: CellCodec;
  readonly slots: CellSlots;
  readonly series: SeriesTable;
  readonly dimensionCount: number;
}

export class CellTable {
  readonly slots: CellSlots;
  readonly series: SeriesTable;
  readonly #store: OrderedStore;
  readonly #codec: CellCodec;
  readonly #dimensionCount: number;
  /** By kind, then by window. */
  readonly #windows: Readonly<Record<CellKind, Map<number, CellWindow>>> = { 1: new Map(), 2: new Map(), 3: new Map() };
  #count = 0;
  /** Day and late cells in memory, and where the next look for idle ones begins. */
  #restingCount = 0;
  #evictionCursor = 0;

  constructor({ store, codec, slots, series, dimensionCount }: CellTableOptions) {
    this.#store = store;
    this.#codec = codec;
    this.slots = slots;
    this.series = series;
    this.#dimensionCount = dimensionCount;
    for (const { key, value } of store.range(TABLES.cells, { from: cellStorePrefix(CellKind.hour, 0), to: cellStorePrefix(CellKind.day, 0) })) {
      const name = parseCellStoreKey(key);
      this.#load(name, codec.decode(name, value));
    }
  }

  get count(): number {
    return this.#count;
  }

  /** The series' hour cell, made when it is not there. Only for hours that are not closed. */
  hourCell(series: number, windowStartMs: number): number {
    const latest = this.series.hour(series);
    if (latest !== NONE && this.slots.windowStartMs(latest) === windowStartMs) return latest;
    let slot = this.#search(series, CellKind.hour, windowStartMs);
    if (slot === NONE) slot = this.#create(series, CellKind.hour, windowStartMs);
    this.series.setHour(series, slot);
    return slot;
  }

  /** The series' day cell when it is in memory, or NONE. */
  dayCell(series: number, windowStartMs: number): number {
    const latest = this.series.day(series);
    if (latest !== NONE && this.slots.windowStartMs(latest) === windowStartMs) return latest;
    const slot = this.#search(series, CellKind.day, windowStartMs);
    if (slot !== NONE) this.series.setDay(series, slot);
    return slot;
  }

  /** From memory, from the store, or new. */
  cell(kind: CellKind, windowStartMs: number, values: readonly string[]): number {
    const found = this.find(kind, windowStartMs, values);
    return found === NONE ? this.#create(this.series.make(values), kind, windowStartMs) : found;
  }

  /** The series' late cell: from memory, from the store, or new. */
  lateCell(series: number, windowStartMs: number): number {
    const inMemory = this.#search(series, CellKind.late, windowStartMs);
    return inMemory === NONE ? this.cell(CellKind.late, windowStartMs, this.series.dimensions(series).split(DIMENSION_SEPARATOR)) : inMemory;
  }

  /** From memory or the store (then it is in memory); NONE when there is none. */
  find(kind: CellKind, windowStartMs: number, values: readonly string[]): number {
    const series = this.series.find(values);
    const inMemory = series === NONE ? NONE : this.#search(series, kind, windowStartMs);
    // Hour cells that are not in memory have been dropped.
    if (inMemory !== NONE || kind === CellKind.hour || this.#window(kind, windowStartMs).isWhole) return inMemory;
    const name = { kind, windowStartMs, dimensions: values.join(DIMENSION_SEPARATOR) };
    const stored = this.stored(name);
    return stored === null ? NONE : this.#load(name, stored);
  }

  /** NONE when it is not in memory. */
  inMemory({ kind, windowStartMs, dimensions }: CellName): number {
    const values = dimensions.split(DIMENSION_SEPARATOR);
    const series = values.length === this.#dimensionCount ? this.series.find(values) : NONE;
    return series === NONE ? NONE : this.#search(series, kind, windowStartMs);
  }

  /** As the store has it, without keeping it; null when there is none. */
  stored(name: CellName): StoredCell | null {
    const value = this.#store.get(TABLES.cells, cellStoreKey(name));
    return value === null ? null : this.#codec.decode(name, value);
  }

  /** Stored day and late cells that are not in memory, of windows at or after `fromMs`. */
  *storedOnly(fromMs: number): Generator<RestingCell> {
    for (const kind of [CellKind.day, CellKind.late]) {
      for (const { key, value } of this.#store.range(TABLES.cells, { from: cellStorePrefix(kind, fromMs), to: prefixAfter(kind) })) {
        const name = parseCellStoreKey(key);
        if (this.inMemory(name) === NONE) yield { name, cell: this.#codec.decode(name, value) };
      }
    }
  }

  /**
   * Stored day and late cells behind the key `after` (null: from the first on), of windows at or after `fromMs`, as they are now: the slot of one that
   * is in memory. At most `limit`; `last` is where to go on, null at the end.
   */
  storedAfter(after: Uint8Array | null, fromMs: number, limit: number): { readonly cells: readonly (number | RestingCell)[]; readonly last: Uint8Array | null } {
    const cells: (number | RestingCell)[] = [];
    for (const kind of [CellKind.day, CellKind.late]) {
      const first = cellStorePrefix(kind, fromMs);
      const from = after === null || Buffer.compare(after, first) < 0 ? first : keyBehind(after);
      const to = prefixAfter(kind);
      if (Buffer.compare(from, to) >= 0) continue;
      for (const { key, value } of this.#store.range(TABLES.cells, { from, to, limit: limit - cells.length })) {
        const name = parseCellStoreKey(key);
        const inMemory = this.inMemory(name);
        cells.push(inMemory === NONE ? { name, cell: this.#codec.decode(name, value) } : inMemory);
        if (cells.length === limit) return { cells, last: key };
      }
    }
    return { cells, last: null };
  }

  /** Dimensions of every cell of one window, in memory and in the store, each once. */
  *dimensionsOf(kind: CellKind, windowStartMs: number): Generator<string> {
    for (const slot of this.window(kind, windowStartMs)) yield this.dimensions(slot);
    for (const { key } of this.#store.range(TABLES.cells, { from: cellStorePrefix(kind, windowStartMs), to: cellStorePrefix(kind, windowStartMs + 1) })) {
      const name = parseCellStoreKey(key);
      if (this.inMemory(name) === NONE) yield name.dimensions;
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

  dimensions(slot: number): string {
    return this.series.dimensions(this.slots.series(slot));
  }

  name(slot: number): CellName {
    return { kind: this.slots.kind(slot) as CellKind, windowStartMs: this.slots.windowStartMs(slot), dimensions: this.dimensions(slot) };
  }

  /** Cells in memory of one kind and window. Who drops some of them goes from the last to the first. */
  window(kind: CellKind, windowStartMs: number): readonly number[] {
    return this.#windows[kind].get(windowStartMs)?.slots ?? [];
  }

  /** Window starts in memory of one kind; the cells of each may be dropped meanwhile. */
  windowStarts(kind: CellKind): number[] {
    return [...this.#windows[kind].keys()];
  }

  *all(): Generator<number> {
    for (const windows of Object.values(this.#windows)) for (const { slots } of windows.values()) yield* slots;
  }

  /** Takes the cell out of memory: out of the partition, or because the store has it. */
  drop(slot: number): void {
    const { slots } = this;
    const [kind, windowStartMs] = [slots.kind(slot) as CellKind, slots.windowStartMs(slot)];
    slots.mark(slot, Mark.gone);
    this.#unchain(slot);
    const windows = this.#windows[kind];
    const { slots: own } = windows.get(windowStartMs) as CellWindow;
    const last = own.pop() as number;
    if (last !== slot) {
      own[slots.place(slot)] = last;
      slots.setPlace(last, slots.place(slot));
    }
    if (own.length === 0) windows.delete(windowStartMs);
    if (kind !== CellKind.hour) this.#restingCount--;
    this.#count--;
    if (!slots.isHeld(slot)) this.#free(slot);
  }

  /** A list that named the cell does so no more. */
  letGo(slot: number): void {
    if (this.slots.letGo(slot)) this.#free(slot);
  }

  /** Lets go of some idle day and late cells that the store has, after a checkpoint that saved so many. */
  evict(savedCount: number, idleEpoch: number): void {
    const { slots } = this;
    const { end } = slots;
    let steps = Math.min(Math.max(EVICTION_STEPS_MIN, EVICTION_STEPS_PER_SAVED * savedCount), this.#restingCount);
    for (let looked = 0; looked < end && steps > 0; looked++) {
      const slot = this.#evictionCursor < end ? this.#evictionCursor : 0;
      this.#evictionCursor = slot + 1;
      if (!slots.isResting(slot)) continue;
      steps--;
      if (!slots.is(slot, Mark.stored) || slots.is(slot, Mark.dirty | Mark.saving | Mark.changed)) continue;
      if (this.#restingCount > RESTING_CELLS_MAX || slots.epoch(slot) <= idleEpoch) this.#evict(slot);
    }
  }

  #evict(slot: number): void {
    const window = this.#windows[this.slots.kind(slot) as CellKind].get(this.slots.windowStartMs(slot)) as CellWindow;
    window.isWhole = false;
    this.drop(slot);
  }

  #search(series: number, kind: CellKind, windowStartMs: number): number {
    const { slots } = this;
    for (let slot = this.series.first(series); slot !== NONE; slot = slots.next(slot)) {
      if (slots.windowStartMs(slot) === windowStartMs && slots.kind(slot) === kind) return slot;
    }
    return NONE;
  }

  #create(series: number, kind: CellKind, windowStartMs: number): number {
    const { slots } = this;
    const slot = slots.create(kind, windowStartMs, series);
    this.series.retain(series);
    slots.setNext(slot, this.series.first(series));
    this.series.setFirst(series, slot);
    const { slots: own } = this.#window(kind, windowStartMs);
    slots.setPlace(slot, own.length);
    own.push(slot);
    if (kind !== CellKind.hour) this.#restingCount++;
    this.#count++;
    return slot;
  }

  /** Brings a stored cell into memory. */
  #load(name: CellName, cell: StoredCell): number {
    const values = name.dimensions.split(DIMENSION_SEPARATOR);
    if (values.length !== this.#dimensionCount) throw new EngineError('STATE_CORRUPT', 'the key of a stored cell has another number of dimensions', { where: { window: name.windowStartMs, kind: name.kind }, fix: 'restore the state from a savepoint' });
    const slot = this.#create(this.series.make(values), name.kind, name.windowStartMs);
    this.slots.fill(slot, cell);
    this.slots.mark(slot, Mark.stored);
    return slot;
  }

  #window(kind: CellKind, windowStartMs: number): CellWindow {
    const windows = this.#windows[kind];
    const known = windows.get(windowStartMs);
    if (known !== undefined) return known;
    const window = { slots: [], isWhole: kind === CellKind.hour || !this.#isStored(kind, windowStartMs) };
    windows.set(windowStartMs, window);
    return window;
  }

  /** Whether the store has any cell of the window. */
  #isStored(kind: CellKind, windowStartMs: number): boolean {
    for (const _ of this.#store.range(TABLES.cells, { from: cellStorePrefix(kind, windowStartMs), to: cellStorePrefix(kind, windowStartMs + 1), limit: 1 })) return true;
    return false;
  }

  #unchain(slot: number): void {
    const { slots, series: table } = this;
    const series = slots.series(slot);
    const next = slots.next(slot);
    let before = table.first(series);
    if (before === slot) table.setFirst(series, next);
    else {
      while (slots.next(before) !== slot) before = slots.next(before);
      slots.setNext(before, next);
    }
    if (table.hour(series) === slot) table.setHour(series, NONE);
    if (table.day(series) === slot) table.setDay(series, NONE);
  }

  #free(slot: number): void {
    const series = this.slots.series(slot);
    this.slots.free(slot);
    this.series.release(series);
  }
}

const keyBehind = (key: Uint8Array): Uint8Array => {
  const behind = new Uint8Array(key.byteLength + 1);
  behind.set(key);
  return behind;
};

const prefixAfter = (kind: CellKind): Uint8Array => Uint8Array.of(kind + 1);
