/**
 * The cells of one partition in memory: each has a slot of fixed size, side by side in blocks of typed arrays, without an object of its own.
 *
 * ```
 * words     marks, kind and holds | series | next of the series | place in its window | epoch | breakdown | text of each label
 * doubles   window start | revision | records | time of each label | measures
 * ```
 * A cell with the AppsFlyer pipeline takes 224 bytes, and the two cache lines that most events touch come first. Garbage collection has
 * nothing to look at, however many cells there are.
 *
 * Lists name cells by their slots. One that a list holds is not given to another cell before the list has let it go ({@link CellSlots.hold}).
 *
 * Hot path: 200 K changes a second, at most 1 µs a record with both of its cells; bench/micro/cells.ts. {@link CellSlots.add} and {@link CellSlots.change}. Owned by the partition.
 */

import { CellKind } from '../../engine/core/cell.ts';
import { assert } from '../../engine/core/types.ts';
import { Breakdowns } from './breakdowns.ts';
import type { PackWriter } from './pack-writer.ts';
import type { StoredCell } from './stored-cell.ts';
import { NONE, type ValueTable } from './value-table.ts';

/** What one event adds, computed once and added to each of its cells. Reused from event to event. */
export interface Contribution {
  timeMs: number;
  /** By measure. */
  readonly amounts: Float64Array;
  /** Indexes of the amounts that are not 0: the first `touchedCount` entries. */
  readonly touched: Int32Array;
  touchedCount: number;
  breakdownName: string | null;
  readonly labels: string[];
}

export const Mark = {
  /** Changed since it was last reported. */
  changed: 4,
  /** Changed since the last checkpoint was encoded. */
  dirty: 8,
  /** Part of the checkpoint in flight. */
  saving: 16,
  /** Some version of it is in the store. */
  stored: 32,
  /** No longer in memory, or no longer part of the partition; lists that still hold it skip it. */
  gone: 64,
} as const;

const KIND_MASK = 3;
const HOUR = CellKind.hour;
/** Lists that hold the cell are counted above the marks. */
const HOLD = 256;

/** Cells in a block: chosen, 28 KiB. */
const BLOCK_BITS = 7;
const BLOCK_CELLS = 1 << BLOCK_BITS;
const BLOCK_MASK = BLOCK_CELLS - 1;

/** Parts of a stored value. */
const STORED_PARTS = 8;

const MARKS = 0;
const SERIES = 1;
const NEXT = 2;
const PLACE = 3;
const EPOCH = 4;
const BREAKDOWN = 5;
const LABEL_TEXTS = 6;

/** Doubles behind the words. */
const WINDOW_START = 0;
const REVISION = 1;
const RECORDS = 2;
const LABEL_TIMES = 3;

interface Block {
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  /** Free slots of the block. */
  readonly free: number[];
}

export interface CellSlotsOptions {
  readonly values: ValueTable;
  readonly measureCount: number;
  readonly labelCount: number;
}

export class CellSlots {
  readonly #values: ValueTable;
  readonly #breakdowns: Breakdowns;
  readonly #measureCount: number;
  readonly #labelCount: number;
  /** Of a cell, in doubles; where its doubles begin, and its measures. */
  readonly #stride: number;
  readonly #doublesAt: number;
  readonly #measuresAt: number;
  /** Null where all cells of a block have gone. */
  readonly #blocks: (Block | null)[] = [];
  /** No block before this one has a free slot. */
  #firstFree = 0;

  constructor({ values, measureCount, labelCount }: CellSlotsOptions) {
    this.#values = values;
    this.#breakdowns = new Breakdowns(values);
    this.#measureCount = measureCount;
    this.#labelCount = labelCount;
    this.#doublesAt = Math.ceil((LABEL_TEXTS + labelCount) / 2);
    this.#measuresAt = this.#doublesAt + LABEL_TIMES + labelCount;
    this.#stride = this.#measuresAt + measureCount;
  }

  /** Slots are below this. */
  get end(): number {
    return this.#blocks.length * BLOCK_CELLS;
  }

  /** A slot for a cell without records. */
  create(kind: CellKind, windowStartMs: number, series: number): number {
    const slot = this.#take();
    const { words, doubles } = this.#block(slot);
    const at = this.#at(slot);
    const word = at * 2;
    words[word + MARKS] = kind;
    words[word + SERIES] = series;
    words.fill(NONE, word + NEXT, word + LABEL_TEXTS + this.#labelCount);
    words[word + EPOCH] = 0;
    const double = at + this.#doublesAt;
    doubles[double + WINDOW_START] = windowStartMs;
    doubles.fill(0, double + REVISION, at + this.#stride);
    doubles.fill(-1, double + LABEL_TIMES, double + LABEL_TIMES + this.#labelCount);
    return slot;
  }

  /** Counts an event. */
  add(slot: number, event: Contribution): void {
    const { words, doubles } = this.#block(slot);
    const at = this.#at(slot);
    const double = at + this.#doublesAt;
    const measures = at + this.#measuresAt;
    (doubles[double + RECORDS] as number)++;
    for (let touched = 0; touched < event.touchedCount; touched++) {
      const index = event.touched[touched] as number;
      (doubles[measures + index] as number) += event.amounts[index] as number;
    }
    if (event.breakdownName !== null) words[at * 2 + BREAKDOWN] = this.#breakdowns.count(words[at * 2 + BREAKDOWN] as number, event.breakdownName);
    const { timeMs, labels } = event;
    for (let index = 0; index < labels.length; index++) {
      if (timeMs >= (doubles[double + LABEL_TIMES + index] as number)) this.#relabel(slot, index, timeMs, labels[index] as string);
    }
  }

  /** The cell has a new revision; returns the marks it did not have yet, of changed and dirty. */
  change(slot: number, revision: number): number {
    const { words, doubles } = this.#block(slot);
    const at = this.#at(slot);
    doubles[at + this.#doublesAt + REVISION] = revision;
    const marks = words[at * 2 + MARKS] as number;
    words[at * 2 + MARKS] = marks | Mark.changed | Mark.dirty;
    return ~marks & (Mark.changed | Mark.dirty);
  }

  measure(slot: number, index: number): number {
    return this.#block(slot).doubles[this.#at(slot) + this.#measuresAt + index] as number;
  }

  windowStartMs(slot: number): number {
    return this.#block(slot).doubles[this.#at(slot) + this.#doublesAt + WINDOW_START] as number;
  }

  revision(slot: number): number {
    return this.#block(slot).doubles[this.#at(slot) + this.#doublesAt + REVISION] as number;
  }

  /** 0 for a free slot. */
  kind(slot: number): CellKind | 0 {
    return (this.#word(slot, MARKS) & KIND_MASK) as CellKind | 0;
  }

  /** Whether the slot holds a day or late cell that is in memory. */
  isResting(slot: number): boolean {
    const marks = this.#blocks[slot >> BLOCK_BITS]?.words[this.#at(slot) * 2 + MARKS] ?? 0;
    return (marks & KIND_MASK) > HOUR && (marks & Mark.gone) === 0;
  }

  /** Whether it has any of the marks. */
  is(slot: number, marks: number): boolean {
    return (this.#word(slot, MARKS) & marks) !== 0;
  }

  mark(slot: number, marks: number): void {
    this.#setWord(slot, MARKS, this.#word(slot, MARKS) | marks);
  }

  unmark(slot: number, marks: number): void {
    this.#setWord(slot, MARKS, this.#word(slot, MARKS) & ~marks);
  }

  /** A list names the slot: it keeps its cell until as many lists have let go. */
  hold(slot: number): void {
    this.#setWord(slot, MARKS, this.#word(slot, MARKS) + HOLD);
  }

  /** True when the cell has gone and no other list names it: then its slot is to be freed. */
  letGo(slot: number): boolean {
    const marks = this.#word(slot, MARKS) - HOLD;
    this.#setWord(slot, MARKS, marks);
    return marks < HOLD && (marks & Mark.gone) !== 0;
  }

  isHeld(slot: number): boolean {
    return this.#word(slot, MARKS) >= HOLD;
  }

  series(slot: number): number {
    return this.#word(slot, SERIES);
  }

  /** The next cell of its series, or NONE. */
  next(slot: number): number {
    return this.#word(slot, NEXT);
  }

  setNext(slot: number, next: number): void {
    this.#setWord(slot, NEXT, next);
  }

  /** Where it stands in the list of its window. */
  place(slot: number): number {
    return this.#word(slot, PLACE);
  }

  setPlace(slot: number, place: number): void {
    this.#setWord(slot, PLACE, place);
  }

  /** Of the last checkpoint at which it was dirty. */
  epoch(slot: number): number {
    return this.#word(slot, EPOCH);
  }

  setEpoch(slot: number, epoch: number): void {
    this.#setWord(slot, EPOCH, epoch);
  }

  /** What the cell holds, as plain data. */
  read(slot: number): StoredCell {
    const { words, doubles } = this.#block(slot);
    const at = this.#at(slot);
    const double = at + this.#doublesAt;
    const first = words[at * 2 + BREAKDOWN] as number;
    const measures: number[] = [];
    for (let index = 0; index < this.#measureCount; index++) measures.push(doubles[at + this.#measuresAt + index] as number);
    const labelTimesMs: number[] = [];
    const labelTexts: string[] = [];
    for (let index = 0; index < this.#labelCount; index++) {
      const text = words[at * 2 + LABEL_TEXTS + index] as number;
      labelTimesMs.push(doubles[double + LABEL_TIMES + index] as number);
      labelTexts.push(text === NONE ? '' : this.#values.text(text));
    }
    return {
      revision: doubles[double + REVISION] as number,
      records: doubles[double + RECORDS] as number,
      measures,
      breakdownNames: first === NONE ? null : this.#breakdowns.names(first),
      breakdownCounts: first === NONE ? null : this.#breakdowns.counts(first),
      labelTimesMs,
      labelTexts,
    };
  }

  /** As a stored value (cell-codec.ts), which names its shape: the same bytes as those of {@link read} by the general encoder. */
  pack(slot: number, shape: number, into: PackWriter): void {
    const { words, doubles } = this.#block(slot);
    const at = this.#at(slot);
    const double = at + this.#doublesAt;
    into.array(STORED_PARTS);
    into.number(shape);
    into.number(doubles[double + REVISION] as number);
    into.number(doubles[double + RECORDS] as number);
    into.array(this.#measureCount);
    for (let index = 0; index < this.#measureCount; index++) into.number(doubles[at + this.#measuresAt + index] as number);
    this.#breakdowns.pack(words[at * 2 + BREAKDOWN] as number, into);
    into.array(this.#labelCount);
    for (let index = 0; index < this.#labelCount; index++) into.number(doubles[double + LABEL_TIMES + index] as number);
    into.array(this.#labelCount);
    for (let index = 0; index < this.#labelCount; index++) {
      const text = words[at * 2 + LABEL_TEXTS + index] as number;
      into.text(text === NONE ? '' : this.#values.text(text));
    }
  }

  /** Fills a new cell with what one held. */
  fill(slot: number, cell: StoredCell): void {
    const { words, doubles } = this.#block(slot);
    const at = this.#at(slot);
    const double = at + this.#doublesAt;
    doubles[double + REVISION] = cell.revision;
    doubles[double + RECORDS] = cell.records;
    for (let index = 0; index < this.#measureCount; index++) doubles[at + this.#measuresAt + index] = cell.measures[index] as number;
    if (cell.breakdownNames !== null && cell.breakdownCounts !== null) words[at * 2 + BREAKDOWN] = this.#breakdowns.chain(cell.breakdownNames, cell.breakdownCounts);
    for (let index = 0; index < this.#labelCount; index++) {
      const text = cell.labelTexts[index] as string;
      doubles[double + LABEL_TIMES + index] = cell.labelTimesMs[index] as number;
      if (text !== '') words[at * 2 + LABEL_TEXTS + index] = this.#values.take(text);
    }
  }

  /** Nobody names the slot any more. */
  free(slot: number): void {
    const index = slot >> BLOCK_BITS;
    const { words, free } = this.#block(slot);
    const word = this.#at(slot) * 2;
    assert((words[word + MARKS] as number) < HOLD, `cell ${slot} is freed while a list holds it`);
    words[word + MARKS] = 0;
    this.#breakdowns.free(words[word + BREAKDOWN] as number);
    for (let label = 0; label < this.#labelCount; label++) {
      const text = words[word + LABEL_TEXTS + label] as number;
      if (text !== NONE) this.#values.release(text);
    }
    free.push(slot);
    if (free.length === BLOCK_CELLS) this.#blocks[index] = null;
    this.#firstFree = Math.min(this.#firstFree, index);
  }

  #take(): number {
    while (this.#firstFree < this.#blocks.length && this.#blocks[this.#firstFree]?.free.length === 0) this.#firstFree++;
    const index = this.#firstFree;
    const block = (this.#blocks[index] ??= this.#newBlock(index));
    return block.free.pop() as number;
  }

  #newBlock(index: number): Block {
    // Of the shared kind, though no thread shares it: dedupe-pages.ts says why.
    const buffer = new SharedArrayBuffer(this.#stride * 8 * BLOCK_CELLS);
    const free = Array.from({ length: BLOCK_CELLS }, (_, at) => (index << BLOCK_BITS) | (BLOCK_MASK - at));
    return { words: new Int32Array(buffer), doubles: new Float64Array(buffer), free };
  }

  /** An event without a text says nothing about it. Ties go to the greater text, so that the order of events does not matter. */
  #relabel(slot: number, index: number, timeMs: number, text: string): void {
    if (text === '') return;
    const { words, doubles } = this.#block(slot);
    const at = this.#at(slot);
    const word = at * 2 + LABEL_TEXTS + index;
    const time = at + this.#doublesAt + LABEL_TIMES + index;
    const before = words[word] as number;
    const number = this.#values.find(text);
    if (number !== before || number === NONE) {
      if (timeMs === doubles[time] && before !== NONE && text <= this.#values.text(before)) return;
      words[word] = this.#values.take(text);
      if (before !== NONE) this.#values.release(before);
    }
    doubles[time] = timeMs;
  }

  #block(slot: number): Block {
    return this.#blocks[slot >> BLOCK_BITS] as Block;
  }

  /** Where the slot begins in its block, in doubles. */
  #at(slot: number): number {
    return (slot & BLOCK_MASK) * this.#stride;
  }

  #word(slot: number, word: number): number {
    return this.#block(slot).words[this.#at(slot) * 2 + word] as number;
  }

  #setWord(slot: number, word: number, value: number): void {
    this.#block(slot).words[this.#at(slot) * 2 + word] = value;
  }
}
