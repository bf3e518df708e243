/**
 * Bounds on what a day may hold: distinct values per dimension, and distinct cells. What goes beyond counts as `other`.
 *
 * What a day has admitted is what its day cells hold, no more: a book is made from them when the day is first touched and may
 * be forgotten at any time, so restarts and evictions change no verdict. Values enter in the order of the log. Pure; owned by the partition.
 */

import { DIMENSION_SEPARATOR, OTHER } from '../../engine/core/cell.ts';

/** Values over all books in memory; the day that was touched longest ago goes first. Chosen: some 20 MB at worst. */
const BOOK_VALUES_MAX = 200_000;

export interface DayLimitsSource {
  /** Dimensions of every day cell of the day, each once. */
  cellsOf(dayStartMs: number): Iterable<string>;
  hasCell(dayStartMs: number, values: readonly string[]): boolean;
}

export interface Limits {
  /** By dimension, in the pipeline's order. */
  readonly values: readonly number[];
  readonly cells: number;
}

interface Book {
  readonly values: readonly Set<string>[];
  cells: number;
}

export class DayLimits {
  readonly #dimensionCount: number;
  readonly #source: DayLimitsSource;
  readonly #allOther: readonly string[];
  readonly #valuesMax: number;
  /** By day; the last touched is last. */
  readonly #books = new Map<number, Book>();
  #limits: Limits = { values: [], cells: 0 };

  constructor(dimensionCount: number, source: DayLimitsSource, valuesMax = BOOK_VALUES_MAX) {
    this.#dimensionCount = dimensionCount;
    this.#source = source;
    this.#valuesMax = valuesMax;
    this.#allOther = new Array<string>(dimensionCount).fill(OTHER);
  }

  set limits(limits: Limits) {
    this.#limits = limits;
  }

  /**
   * The values under which a record with these counts on that day; they are admitted with it. The caller makes the day's cell before it
   * asks again.
   */
  admit(dayStartMs: number, values: readonly string[]): readonly string[] {
    const book = this.#book(dayStartMs);
    const { values: valuesMax, cells } = this.#limits;
    const mapped = values.map((value, index) => {
      const known = book.values[index] as Set<string>;
      return value === OTHER || known.has(value) || known.size < (valuesMax[index] as number) ? value : OTHER;
    });
    if (mapped.every((value) => value === OTHER) || this.#source.hasCell(dayStartMs, mapped)) return mapped;
    // The cell of all others is beside the limit: it is where everything beyond goes.
    if (book.cells >= cells) return this.#allOther;
    enter(book, mapped);
    return mapped;
  }

  forgetBefore(dayStartMs: number): void {
    for (const day of this.#books.keys()) if (day < dayStartMs) this.#books.delete(day);
  }

  /** For each bound that a day in memory has reached, what it is: -1 for cells, else the dimension's index. */
  reached(): Set<number> {
    const reached = new Set<number>();
    for (const book of this.#books.values()) {
      if (book.cells >= this.#limits.cells) reached.add(-1);
      book.values.forEach((known, index) => {
        if (known.size >= (this.#limits.values[index] as number)) reached.add(index);
      });
    }
    return reached;
  }

  #book(dayStartMs: number): Book {
    const known = this.#books.get(dayStartMs);
    if (known !== undefined) {
      if (this.#books.size > 1) {
        this.#books.delete(dayStartMs);
        this.#books.set(dayStartMs, known);
      }
      return known;
    }
    const book: Book = { values: Array.from({ length: this.#dimensionCount }, () => new Set<string>()), cells: 0 };
    for (const dimensions of this.#source.cellsOf(dayStartMs)) {
      const values = dimensions.split(DIMENSION_SEPARATOR);
      if (values.some((value) => value !== OTHER)) enter(book, values);
    }
    this.#books.set(dayStartMs, book);
    this.#forgetOldest();
    return book;
  }

  #forgetOldest(): void {
    let total = 0;
    for (const book of this.#books.values()) total += weight(book);
    for (const [day, book] of this.#books) {
      if (total <= this.#valuesMax || this.#books.size === 1) return;
      this.#books.delete(day);
      total -= weight(book);
    }
  }
}

function enter(book: Book, values: readonly string[]): void {
  book.cells++;
  values.forEach((value, index) => {
    if (value !== OTHER) (book.values[index] as Set<string>).add(value);
  });
}

const weight = (book: Book): number => book.values.reduce((sum, known) => sum + known.size, 0);
