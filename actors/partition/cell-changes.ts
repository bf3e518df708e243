/**
 * Which cells have changed since the last report and since the last checkpoint, and which stored ones must go.
 *
 * A cell is in each list at most once, and each holds it (cell-slots.ts). What a failed checkpoint held counts as changed again. Hot path: 200 K changes a
 * second, at most 1 µs a record with the rest of its cells; bench/micro/partition.ts. {@link CellChanges.touch}. Owned by the partition.
 */

import { CellKind } from '../../engine/core/cell.ts';
import type { StoreOperation } from '../../engine/core/store.ts';
import type { CellCodec } from './cell-codec.ts';
import { Mark } from './cell-slots.ts';
import type { CellTable } from './cell-table.ts';
import { TABLES } from './options.ts';

/** Expired cells removed per checkpoint. Chosen: tens of milliseconds. */
const EXPIRED_PER_CHECKPOINT_MAX = 20_000;

export class CellChanges {
  readonly #table: CellTable;
  readonly #codec: CellCodec;
  readonly #measureCount: number;
  #changed: number[] = [];
  #dirty: number[] = [];
  #dirtyBytes = 0;
  /** Stored hour cells that have been dropped. */
  #removed: number[] = [];
  #saving: readonly number[] = [];
  #removing: readonly number[] = [];
  /** Expired cells before this have left the store. */
  #purgedUpToMs = 0;

  constructor(table: CellTable, codec: CellCodec, measureCount: number) {
    this.#table = table;
    this.#codec = codec;
    this.#measureCount = measureCount;
  }

  get changedCount(): number {
    return this.#changed.length;
  }

  get dirtyBytes(): number {
    return this.#dirtyBytes;
  }

  get hasRemovals(): boolean {
    return this.#removed.length > 0;
  }

  touch(cell: number, revision: number): void {
    const marks = this.#table.slots.change(cell, revision);
    if (marks !== 0) this.#enlist(cell, marks);
  }

  /** The cells changed since the last call. They count as changed until the caller has told of them, who lets go of each. */
  takeChanged(): readonly number[] {
    const changed = this.#changed;
    this.#changed = [];
    return changed;
  }

  /** An hour cell that the live store has settled leaves the partition. */
  dropSettled(cell: number): void {
    const { slots } = this.#table;
    if (slots.is(cell, Mark.stored | Mark.saving)) {
      slots.hold(cell);
      this.#removed.push(cell);
    }
    this.#table.drop(cell);
  }

  /** Day and late cells of days that are gone leave memory; the store's own go with the next checkpoints. */
  dropWindowsBefore(goneUpToMs: number): void {
    for (const kind of [CellKind.day, CellKind.late]) {
      for (const windowStartMs of this.#table.windowStarts(kind)) {
        if (windowStartMs >= goneUpToMs) continue;
        const cells = this.#table.window(kind, windowStartMs);
        for (let at = cells.length - 1; at >= 0; at--) this.#table.drop(cells[at] as number);
      }
    }
  }

  checkpoint(operations: StoreOperation[], epoch: number, goneUpToMs: number): void {
    const table = this.#table;
    const { slots } = table;
    const saving: number[] = [];
    for (const cell of this.#dirty) {
      slots.unmark(cell, Mark.dirty);
      if (slots.is(cell, Mark.gone)) {
        table.letGo(cell);
        continue;
      }
      slots.mark(cell, Mark.saving);
      slots.setEpoch(cell, epoch);
      saving.push(cell);
      operations.push({ table: TABLES.cells, ...this.#codec.encode(table, cell) });
    }
    this.#saving = saving;
    this.#dirty = [];
    this.#dirtyBytes = 0;
    for (const cell of this.#removed) operations.push({ table: TABLES.cells, key: this.#codec.key(table, cell), value: null });
    this.#removing = this.#removed;
    this.#removed = [];
    this.#purge(operations, goneUpToMs);
  }

  /** How many cells it saved. */
  checkpointCommitted(): number {
    const { slots } = this.#table;
    const savedCount = this.#saving.length;
    for (const cell of this.#saving) {
      slots.unmark(cell, Mark.saving);
      slots.mark(cell, Mark.stored);
      this.#table.letGo(cell);
    }
    for (const cell of this.#removing) this.#table.letGo(cell);
    this.#saving = [];
    this.#removing = [];
    return savedCount;
  }

  checkpointFailed(): void {
    const { slots } = this.#table;
    for (const cell of this.#saving) {
      slots.unmark(cell, Mark.saving);
      if (!slots.is(cell, Mark.dirty | Mark.gone)) {
        slots.mark(cell, Mark.dirty);
        this.#enlist(cell, Mark.dirty);
      }
      this.#table.letGo(cell);
    }
    for (const cell of this.#removing) this.#removed.push(cell);
    this.#saving = [];
    this.#removing = [];
  }

  #enlist(cell: number, marks: number): void {
    const { slots } = this.#table;
    if ((marks & Mark.changed) !== 0) {
      slots.hold(cell);
      this.#changed.push(cell);
    }
    if ((marks & Mark.dirty) !== 0) {
      slots.hold(cell);
      this.#dirty.push(cell);
      this.#dirtyBytes += this.#weight(cell);
    }
  }

  /** Rough bytes of its stored form. */
  #weight(cell: number): number {
    return 64 + this.#table.dimensions(cell).length + 3 * this.#measureCount;
  }

  /** Done only when a look finds nothing: removals of a failed checkpoint are found again. */
  #purge(operations: StoreOperation[], goneUpToMs: number): void {
    if (this.#purgedUpToMs >= goneUpToMs) return;
    const keys = this.#table.expiredKeys(goneUpToMs, EXPIRED_PER_CHECKPOINT_MAX);
    if (keys.length === 0) this.#purgedUpToMs = goneUpToMs;
    for (const key of keys) operations.push({ table: TABLES.cells, key, value: null });
  }
}
