/**
 * Which cells have changed since the last report and since the last checkpoint, and which stored ones must go.
 *
 * A cell is in each list at most once. What a failed checkpoint held counts as changed again. Hot path: 200 K changes a second, at most 1 µs a record with
 * the rest of its cells; bench/micro/partition.ts. {@link CellChanges.touch}. Owned by the partition.
 */

import { cellStoreKey, CellKind } from '../../engine/core/cell.ts';
import type { StoreOperation } from '../../engine/core/store.ts';
import type { Cell } from './cell.ts';
import type { CellCodec } from './cell-codec.ts';
import type { CellTable } from './cell-table.ts';
import { TABLES } from './options.ts';

/** Expired cells removed per checkpoint. Chosen: tens of milliseconds. */
const EXPIRED_PER_CHECKPOINT_MAX = 20_000;

export class CellChanges {
  readonly #table: CellTable;
  readonly #codec: CellCodec;
  #changed: Cell[] = [];
  #dirty: Cell[] = [];
  #dirtyBytes = 0;
  /** Stored hour cells that have been dropped. */
  #removed: Cell[] = [];
  #saving: readonly Cell[] = [];
  #removing: readonly Cell[] = [];
  /** Expired cells before this have left the store. */
  #purgedUpToMs = 0;

  constructor(table: CellTable, codec: CellCodec) {
    this.#table = table;
    this.#codec = codec;
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

  touch(cell: Cell, revision: number): void {
    cell.revision = revision;
    if (!cell.isChanged) {
      cell.isChanged = true;
      this.#changed.push(cell);
    }
    if (!cell.isDirty) {
      cell.isDirty = true;
      this.#dirty.push(cell);
      this.#dirtyBytes += cell.weight;
    }
  }

  /** The cells changed since the last call. They count as changed until the caller has told of them. */
  takeChanged(): readonly Cell[] {
    const changed = this.#changed;
    this.#changed = [];
    return changed;
  }

  /** An hour cell that the live store has settled leaves the partition. */
  dropSettled(cell: Cell): void {
    this.#table.drop(cell);
    if (cell.isStored || cell.isSaving) this.#removed.push(cell);
  }

  /** Day and late cells of days that are gone leave memory; the store's own go with the next checkpoints. */
  dropWindowsBefore(goneUpToMs: number): void {
    for (const kind of [CellKind.day, CellKind.late]) {
      for (const windowStartMs of this.#table.windowStarts(kind)) {
        if (windowStartMs >= goneUpToMs) continue;
        for (const cell of this.#table.window(kind, windowStartMs)) this.#table.drop(cell);
      }
    }
  }

  checkpoint(operations: StoreOperation[], epoch: number, goneUpToMs: number): void {
    for (const cell of this.#dirty) {
      cell.isDirty = false;
      if (cell.isDropped) continue;
      cell.isSaving = true;
      cell.dirtyEpoch = epoch;
      operations.push({ table: TABLES.cells, key: cellStoreKey(cell), value: this.#codec.encode(cell) });
    }
    this.#saving = this.#dirty;
    this.#dirty = [];
    this.#dirtyBytes = 0;
    for (const cell of this.#removed) operations.push({ table: TABLES.cells, key: cellStoreKey(cell), value: null });
    this.#removing = this.#removed;
    this.#removed = [];
    this.#purge(operations, goneUpToMs);
  }

  /** How many cells it saved. */
  checkpointCommitted(): number {
    const savedCount = this.#saving.length;
    for (const cell of this.#saving) {
      if (cell.isSaving) cell.isStored = true;
      cell.isSaving = false;
    }
    this.#saving = [];
    this.#removing = [];
    return savedCount;
  }

  checkpointFailed(): void {
    for (const cell of this.#saving) {
      cell.isSaving = false;
      if (cell.isDirty || cell.isDropped) continue;
      cell.isDirty = true;
      this.#dirty.push(cell);
      this.#dirtyBytes += cell.weight;
    }
    this.#removed.push(...this.#removing);
    this.#saving = [];
    this.#removing = [];
  }

  /** Done only when a look finds nothing: removals of a failed checkpoint are found again. */
  #purge(operations: StoreOperation[], goneUpToMs: number): void {
    if (this.#purgedUpToMs >= goneUpToMs) return;
    const keys = this.#table.expiredKeys(goneUpToMs, EXPIRED_PER_CHECKPOINT_MAX);
    if (keys.length === 0) this.#purgedUpToMs = goneUpToMs;
    for (const key of keys) operations.push({ table: TABLES.cells, key, value: null });
  }
}
