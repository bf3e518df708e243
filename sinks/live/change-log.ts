/**
 * The change log: what changed lately, in order of change, as blocks of up to 512 cells that are written once.
 *
 * A hot cell changes many times a second. Writing it to the tables each time costs a cell, an index entry and the removal of the former
 * one (9 µs by LMDB); here it costs its share of one value (1.5 µs). A block leaves the log when it is old, or when the
 * log is full; only those of its cells that have not changed since are then written to the tables. So the tables and the log together
 * have one current entry for each cell, and the log is read whole when the store is opened. The idea is that of an LSM tree's
 * write-ahead log and memory table. Main thread.
 */

import type { LiveCell } from './windows.ts';

/** Cells of a block: about 60 KB, so that LMDB finds room for it between other values. Chosen. */
export const BLOCK_CELLS_MAX = 512;

export interface LogBlock {
  readonly firstNumber: number;
  readonly writtenAtMs: number;
  /** Cell `i` was changed by change `firstNumber + i`, and has not changed since if it still has that number. */
  readonly cells: readonly LiveCell[];
}

/** The cells of a block that have not changed since, with their numbers. */
export function* currentCells({ firstNumber, cells }: LogBlock): Generator<LiveCell> {
  for (let at = 0; at < cells.length; at++) {
    const live = cells[at] as LiveCell;
    if (live.changeNumber === firstNumber + at) yield live;
  }
}

const currentCount = ({ firstNumber, cells }: LogBlock): number => cells.reduce((count, live, at) => (live.changeNumber === firstNumber + at ? count + 1 : count), 0);

export class ChangeLog {
  #blocks: LogBlock[] = [];
  #cellCount = 0;

  get cellCount(): number {
    return this.#cellCount;
  }

  /** The number of the oldest change in the log; `latest + 1` when it is empty. */
  startAfter(latest: number): number {
    return this.#blocks[0]?.firstNumber ?? latest + 1;
  }

  append(block: LogBlock): void {
    this.#blocks.push(block);
    this.#cellCount += block.cells.length;
  }

  /**
   * The oldest blocks that should leave the log: those written before `beforeMs`, and those above `cellsMax` once `added` changes
   * have come. Stops when about `survivorsMax` cells would have to be written.
   */
  leaving(beforeMs: number, cellsMax: number, added: number, survivorsMax: number): LogBlock[] {
    const blocks: LogBlock[] = [];
    let left = this.#cellCount + added;
    let survivors = 0;
    for (const block of this.#blocks) {
      if (survivors >= survivorsMax || (block.writtenAtMs >= beforeMs && left <= cellsMax)) break;
      blocks.push(block);
      left -= block.cells.length;
      survivors += currentCount(block);
    }
    return blocks;
  }

  remove(count: number): void {
    for (const block of this.#blocks.slice(0, count)) this.#cellCount -= block.cells.length;
    this.#blocks = this.#blocks.slice(count);
  }

  /** Current cells changed after `mark`, in order of change. */
  *since(mark: number): Generator<LiveCell> {
    for (let index = this.#firstAfter(mark); index < this.#blocks.length; index++) {
      for (const live of currentCells(this.#blocks[index] as LogBlock)) if (live.changeNumber > mark) yield live;
    }
  }

  /** Index of the first block that has a change after `mark`. */
  #firstAfter(mark: number): number {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const block = this.#blocks[middle] as LogBlock;
      if (block.firstNumber + block.cells.length - 1 > mark) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
