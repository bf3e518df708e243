/**
 * What a partition tells the merge: cells that changed, cells that were asked for, and after a restart all that is not settled.
 *
 * A report may take several pieces, so that no step on main is long. Its head is taken when it begins and claimed by the last piece, when
 * all that had changed by then has been told: what is settled, closed or counted never runs ahead of the cells. Pieces hold the cells
 * as they are when they go; a cell that changes again while it waits goes once. A thread that dies between two pieces has claimed
 * nothing of them, and its replacement tells all of it again. Hour cells that are closed and settled leave the partition here. Owned by
 * the partition.
 */

import { CellKind, cellMapKey, type CellName, type PartialCell, type PartitionReport } from '../../engine/core/cell.ts';
import { nothingReported, type PartitionProgress } from '../../engine/core/feed.ts';
import type { CellChanges } from './cell-changes.ts';
import { Mark } from './cell-slots.ts';
import type { CellTable } from './cell-table.ts';
import type { PartitionTime } from './partition-time.ts';
import { toPartial } from './stored-cell.ts';
import { NONE } from './value-table.ts';

/**
 * `changed`: cells changed since the last report. `all`: every hour cell, and the day and late cells that are not settled. `asked`: none of
 * these, so that the head stays as it was. All begin with the cells that were asked for, and go on with a report that has begun.
 */
export type ReportScope = 'changed' | 'all' | 'asked';

/** Stored cells looked at for one piece, as a multiple of those that it may hold. Chosen: some 20 ms at 2,000. */
const LOOKS_PER_CELL = 5;
/** Stored cells read at once. */
const STORED_PAGE_CELLS = 1_000;

/** A report whose last piece is still to come. */
interface Begun {
  readonly scope: 'changed' | 'all';
  readonly head: PartitionProgress;
  /** Held until they are passed, or, where the store is told of too, until that is done. */
  readonly cells: readonly number[];
  /** How many of `cells` have been passed. */
  passed: number;
  /** What of the store is to be told once `cells` are passed; null for nothing. */
  stored: { readonly known: ReadonlySet<number>; after: Uint8Array | null } | null;
}

export class Reports {
  readonly #table: CellTable;
  readonly #changes: CellChanges;
  readonly #time: PartitionTime;
  readonly #hourMs: number;
  readonly #asked = new Map<string, CellName>();
  /** What the live store has of this partition: every change up to this sequence number. */
  #settledSequence = -1;
  #claimed: PartitionProgress;
  #begun: Begun | null = null;

  constructor(partition: number, table: CellTable, changes: CellChanges, time: PartitionTime, hourMs: number) {
    this.#table = table;
    this.#changes = changes;
    this.#time = time;
    this.#hourMs = hourMs;
    this.#claimed = nothingReported(partition);
  }

  /** The head of the last report, as far as all its pieces have gone. */
  get claimed(): PartitionProgress {
    return this.#claimed;
  }

  get isDue(): boolean {
    return this.#begun !== null || this.#changes.changedCount > 0 || this.owesAnswer;
  }

  /** A report has begun, and its last piece is still to come. */
  get hasBegun(): boolean {
    return this.#begun !== null;
  }

  /** Cells were asked for that have not gone yet. */
  get owesAnswer(): boolean {
    return this.#asked.size > 0;
  }

  request(names: readonly CellName[]): void {
    for (const name of names) this.#asked.set(cellMapKey(name), name);
  }

  /** `sequence` never goes back, except that a live store which lost power may ask again from lower down. */
  settled(sequence: number, finalUpToMs: number): void {
    this.#settledSequence = sequence;
    const upToMs = Math.min(finalUpToMs, this.#time.closedUpToMs);
    for (const windowStartMs of this.#table.windowStarts(CellKind.hour)) {
      if (windowStartMs + this.#hourMs > upToMs) continue;
      const cells = this.#table.window(CellKind.hour, windowStartMs);
      for (let at = cells.length - 1; at >= 0; at--) {
        const cell = cells[at] as number;
        if (this.#table.slots.revision(cell) <= sequence) this.#changes.dropSettled(cell);
      }
    }
  }

  /** The next piece, of at most `cellsMax` cells. `now`: how far the partition is. `storedSequence`: of the newest checkpoint in the store. */
  next(scope: ReportScope, cellsMax: number, now: PartitionProgress, storedSequence: number): PartitionReport {
    const cells: PartialCell[] = [];
    this.#takeAsked(cells, cellsMax);
    if (scope !== 'asked') {
      if (this.#begun === null || (scope === 'all' && this.#begun.scope !== 'all')) this.#begun = scope === 'all' ? this.#beginAll(now, storedSequence) : this.#beginChanged(now);
      if (this.#takeBegun(this.#begun, cells, cellsMax)) {
        this.#claimed = this.#begun.head;
        if (this.#begun.stored !== null) this.#letGo(this.#begun.cells, 0);
        this.#begun = null;
      }
    }
    return { ...this.#claimed, cells };
  }

  #beginChanged(head: PartitionProgress): Begun {
    return { scope: 'changed', head, cells: this.#changes.takeChanged(), passed: 0, stored: null };
  }

  #beginAll(head: PartitionProgress, storedSequence: number): Begun {
    const { slots } = this.#table;
    this.#letGo(this.#changes.takeChanged(), 0);
    if (this.#begun !== null) this.#letGo(this.#begun.cells, this.#begun.passed);
    const cells: number[] = [];
    for (const cell of this.#table.all()) {
      // Until it has gone it counts as changed: so it stays in memory, and is not listed a second time. Replay changes what is settled, too.
      if (slots.kind(cell) !== CellKind.hour && slots.revision(cell) <= this.#settledSequence) {
        slots.unmark(cell, Mark.changed);
        continue;
      }
      slots.mark(cell, Mark.changed);
      slots.hold(cell);
      cells.push(cell);
    }
    // Only a live store that is behind the checkpoint needs what memory does not hold.
    const stored = storedSequence > this.#settledSequence ? { known: new Set(cells), after: null } : null;
    return { scope: 'all', head, cells, passed: 0, stored };
  }

  /** True when nothing of it is left. */
  #takeBegun(begun: Begun, into: PartialCell[], cellsMax: number): boolean {
    const { slots } = this.#table;
    while (begun.passed < begun.cells.length) {
      if (into.length >= cellsMax) return false;
      const cell = begun.cells[begun.passed++] as number;
      // Else it has gone meanwhile, because it was asked for.
      if (slots.is(cell, Mark.changed) && !slots.is(cell, Mark.gone)) this.#tell(cell, into);
      if (begun.stored === null) this.#table.letGo(cell);
    }
    return begun.stored === null || this.#takeStored(begun.stored, into, cellsMax);
  }

  #takeStored(stored: NonNullable<Begun['stored']>, into: PartialCell[], cellsMax: number): boolean {
    for (let looks = 0; ; ) {
      const room = Math.min(cellsMax - into.length, LOOKS_PER_CELL * cellsMax - looks);
      if (room <= 0) return false;
      const { cells, last } = this.#table.storedAfter(stored.after, this.#time.goneUpToMs, Math.min(room, STORED_PAGE_CELLS));
      for (const found of cells) {
        if (typeof found !== 'number') {
          if (found.cell.revision > this.#settledSequence) into.push(toPartial(found.name, found.cell));
        } else if (this.#table.slots.revision(found) > this.#settledSequence && !stored.known.has(found)) this.#tell(found, into);
      }
      if (last === null) return true;
      looks += cells.length;
      stored.after = last;
    }
  }

  #takeAsked(into: PartialCell[], cellsMax: number): void {
    for (const [key, name] of this.#asked) {
      if (into.length >= cellsMax) return;
      this.#asked.delete(key);
      const inMemory = this.#table.inMemory(name);
      if (inMemory !== NONE) {
        this.#tell(inMemory, into);
        continue;
      }
      const stored = this.#storedUnlessGone(name);
      if (stored !== null) into.push(toPartial(name, stored));
    }
  }

  #tell(cell: number, into: PartialCell[]): void {
    this.#table.slots.unmark(cell, Mark.changed);
    into.push(toPartial(this.#table.name(cell), this.#table.slots.read(cell)));
  }

  /** The list that named these cells, from one place on, is no more. */
  #letGo(cells: readonly number[], from: number): void {
    for (let at = from; at < cells.length; at++) this.#table.letGo(cells[at] as number);
  }

  #storedUnlessGone(name: CellName): ReturnType<CellTable['stored']> {
    return name.kind === CellKind.hour || name.windowStartMs < this.#time.goneUpToMs ? null : this.#table.stored(name);
  }
}
