/**
 * What a partition tells the merge: cells that changed, cells that were asked for, and after a restart all that is not settled.
 *
 * Hour cells that are closed and settled leave the partition here. Owned by the partition.
 */

import { CellKind, cellMapKey, type CellName, type PartialCell } from '../../engine/core/cell.ts';
import type { CellChanges } from './cell-changes.ts';
import type { CellTable } from './cell-table.ts';
import type { PartitionTime } from './partition-time.ts';

export class Reports {
  readonly #table: CellTable;
  readonly #changes: CellChanges;
  readonly #time: PartitionTime;
  readonly #hourMs: number;
  #requested: CellName[] = [];
  /** What the live store has of this partition: every change up to this sequence number. */
  #settledSequence = -1;

  constructor(table: CellTable, changes: CellChanges, time: PartitionTime, hourMs: number) {
    this.#table = table;
    this.#changes = changes;
    this.#time = time;
    this.#hourMs = hourMs;
  }

  get isDue(): boolean {
    return this.#changes.changedCount > 0 || this.#requested.length > 0;
  }

  request(names: readonly CellName[]): void {
    this.#requested.push(...names);
  }

  /** `sequence` never goes back, except that a live store which lost power may ask again from lower down. */
  settled(sequence: number, finalUpToMs: number): void {
    this.#settledSequence = sequence;
    const upToMs = Math.min(finalUpToMs, this.#time.closedUpToMs);
    for (const windowStartMs of this.#table.windowStarts(CellKind.hour)) {
      if (windowStartMs + this.#hourMs > upToMs) continue;
      for (const cell of this.#table.window(CellKind.hour, windowStartMs)) if (cell.revision <= sequence) this.#changes.dropSettled(cell);
    }
  }

  /** Cells changed since the last report and those asked for. */
  changed(): PartialCell[] {
    const cells = this.#changes.takeChanged().map((cell) => cell.toPartial());
    this.#addRequested(cells);
    return cells;
  }

  /** Every hour cell, and the day and late cells that are not settled. `storedSequence`: of the newest checkpoint in the store. */
  all(storedSequence: number): PartialCell[] {
    this.#changes.takeChanged();
    const cells: PartialCell[] = [];
    for (const cell of this.#table.all()) {
      if (cell.kind === CellKind.hour || cell.revision > this.#settledSequence) cells.push(cell.toPartial());
    }
    // Only a live store that is behind the checkpoint needs what memory does not hold.
    if (storedSequence > this.#settledSequence) {
      for (const cell of this.#table.storedOnly(this.#time.droppedUpToMs)) if (cell.revision > this.#settledSequence) cells.push(cell.toPartial());
    }
    this.#addRequested(cells);
    return cells;
  }

  #addRequested(cells: PartialCell[]): void {
    if (this.#requested.length === 0) return;
    const known = new Set(cells.map(cellMapKey));
    for (const name of this.#requested) {
      const key = cellMapKey(name);
      if (known.has(key)) continue;
      known.add(key);
      const cell = this.#table.inMemory(name) ?? this.#storedUnlessDropped(name);
      if (cell !== null) cells.push(cell.toPartial());
    }
    this.#requested = [];
  }

  #storedUnlessDropped(name: CellName): ReturnType<CellTable['stored']> {
    return name.kind === CellKind.hour || name.windowStartMs < this.#time.droppedUpToMs ? null : this.#table.stored(name);
  }
}
