/**
 * The series of one partition: a series is one set of dimension values, and all cells in memory that have them hang on it.
 *
 * ```
 * record  values (one number each) | uses | first cell | hour cell touched last | day cell touched last     words on a block
 * index   hash | series + 1        open addressing, linear probing; 0 in the second word: free
 * ```
 * Values are numbers of the thread's ValueTable, so that a series is found without building a text. A series lives as long as somebody
 * uses it. Hot path: 100 K look-ups a second, at most 500 ns a look-up; bench/micro/cells.ts. {@link SeriesTable.find}. Owned by the partition.
 */

import { DIMENSION_SEPARATOR } from '../../engine/core/cell.ts';
import { NONE, type ValueTable } from './value-table.ts';

/** Series in a block: chosen, 11 KiB with seven dimensions. */
const BLOCK_BITS = 8;
const BLOCK_MASK = (1 << BLOCK_BITS) - 1;
const INDEX_CAPACITY_MIN = 64;
const MULTIPLIER = 0x9e3779b1;

/** Words of a record behind its values. */
const USES = 0;
const FIRST = 1;
const HOUR = 2;
const DAY = 3;
const BESIDE_VALUES = 4;

export class SeriesTable {
  readonly #values: ValueTable;
  readonly #dimensionCount: number;
  readonly #stride: number;
  readonly #blocks: Int32Array[] = [];
  /** By series: its values joined, as keys and reports have them. */
  readonly #names: string[] = [];
  readonly #free: number[] = [];
  #index = new Int32Array(INDEX_CAPACITY_MIN * 2);
  #count = 0;
  /** Numbers of the values searched last. */
  readonly #numbers: Int32Array;

  constructor(values: ValueTable, dimensionCount: number) {
    this.#values = values;
    this.#dimensionCount = dimensionCount;
    this.#stride = dimensionCount + BESIDE_VALUES;
    this.#numbers = new Int32Array(dimensionCount);
  }

  get count(): number {
    return this.#count;
  }

  /** The series of these values, or NONE. */
  find(values: readonly string[]): number {
    const numbers = this.#numbers;
    let hash = 0;
    for (let at = 0; at < numbers.length; at++) {
      const number = this.#values.find(values[at] as string);
      // A value that no series has.
      if (number === NONE) return NONE;
      numbers[at] = number;
      hash = mix(hash, number);
    }
    return this.#search(finish(hash));
  }

  /** The series of these values, made where it is new. Whoever makes a cell of it has a use: {@link retain}. */
  make(values: readonly string[]): number {
    const known = this.find(values);
    if (known !== NONE) return known;
    if (this.#count * 2 >= this.#index.length / 2) this.#grow();
    const series = this.#free.pop() ?? this.#names.length;
    const block = (this.#blocks[series >> BLOCK_BITS] ??= new Int32Array(this.#stride << BLOCK_BITS));
    const at = (series & BLOCK_MASK) * this.#stride;
    let hash = 0;
    for (let index = 0; index < this.#dimensionCount; index++) {
      const number = this.#values.take(values[index] as string);
      block[at + index] = number;
      hash = mix(hash, number);
    }
    block[at + this.#dimensionCount + USES] = 0;
    block.fill(NONE, at + this.#dimensionCount + FIRST, at + this.#stride);
    this.#names[series] = values.join(DIMENSION_SEPARATOR);
    enter(this.#index, finish(hash), series);
    this.#count++;
    return series;
  }

  /** Its values joined by the separator. */
  dimensions(series: number): string {
    return this.#names[series] as string;
  }

  retain(series: number): void {
    this.#add(series, USES, 1);
  }

  /** The last one who lets go takes it out. */
  release(series: number): void {
    if (this.#add(series, USES, -1) === 0) this.#remove(series);
  }

  first(series: number): number {
    return this.#get(series, FIRST);
  }

  setFirst(series: number, cell: number): void {
    this.#set(series, FIRST, cell);
  }

  /** The hour cell touched last, or NONE. */
  hour(series: number): number {
    return this.#get(series, HOUR);
  }

  setHour(series: number, cell: number): void {
    this.#set(series, HOUR, cell);
  }

  /** The day cell touched last, or NONE. */
  day(series: number): number {
    return this.#get(series, DAY);
  }

  setDay(series: number, cell: number): void {
    this.#set(series, DAY, cell);
  }

  #get(series: number, word: number): number {
    return (this.#blocks[series >> BLOCK_BITS] as Int32Array)[(series & BLOCK_MASK) * this.#stride + this.#dimensionCount + word] as number;
  }

  #set(series: number, word: number, value: number): void {
    (this.#blocks[series >> BLOCK_BITS] as Int32Array)[(series & BLOCK_MASK) * this.#stride + this.#dimensionCount + word] = value;
  }

  #add(series: number, word: number, change: number): number {
    const value = this.#get(series, word) + change;
    this.#set(series, word, value);
    return value;
  }

  /** The series whose values stand in `#numbers`. */
  #search(hash: number): number {
    const index = this.#index;
    const mask = index.length / 2 - 1;
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const entry = index[place * 2 + 1] as number;
      if (entry === 0) return NONE;
      if (index[place * 2] === hash && this.#hasNumbers(entry - 1)) return entry - 1;
    }
  }

  #hasNumbers(series: number): boolean {
    const block = this.#blocks[series >> BLOCK_BITS] as Int32Array;
    const at = (series & BLOCK_MASK) * this.#stride;
    const numbers = this.#numbers;
    for (let index = 0; index < numbers.length; index++) if (block[at + index] !== numbers[index]) return false;
    return true;
  }

  #remove(series: number): void {
    const block = this.#blocks[series >> BLOCK_BITS] as Int32Array;
    const at = (series & BLOCK_MASK) * this.#stride;
    let hash = 0;
    for (let index = 0; index < this.#dimensionCount; index++) {
      const number = block[at + index] as number;
      hash = mix(hash, number);
      this.#values.release(number);
    }
    leave(this.#index, finish(hash), series);
    this.#names[series] = '';
    this.#free.push(series);
    this.#count--;
  }

  #grow(): void {
    const grown = new Int32Array(this.#index.length * 2);
    for (let at = 0; at < this.#index.length; at += 2) {
      const entry = this.#index[at + 1] as number;
      if (entry !== 0) enter(grown, this.#index[at] as number, entry - 1);
    }
    this.#index = grown;
  }
}

const mix = (hash: number, number: number): number => (Math.imul(hash ^ number, MULTIPLIER) + (hash >>> 15)) | 0;
const finish = (hash: number): number => (hash ^ (hash >>> 16)) | 0;

function enter(index: Int32Array, hash: number, series: number): void {
  const mask = index.length / 2 - 1;
  let place = hash & mask;
  while (index[place * 2 + 1] !== 0) place = (place + 1) & mask;
  index[place * 2] = hash;
  index[place * 2 + 1] = series + 1;
}

/** Those behind move up where a gap would cut them off from their home. */
function leave(index: Int32Array, hash: number, series: number): void {
  const mask = index.length / 2 - 1;
  let gap = hash & mask;
  while (index[gap * 2 + 1] !== series + 1) gap = (gap + 1) & mask;
  for (let place = (gap + 1) & mask; index[place * 2 + 1] !== 0; place = (place + 1) & mask) {
    const home = (index[place * 2] as number) & mask;
    if (((place - home) & mask) < ((place - gap) & mask)) continue;
    index[gap * 2] = index[place * 2] as number;
    index[gap * 2 + 1] = index[place * 2 + 1] as number;
    gap = place;
  }
  index[gap * 2 + 1] = 0;
}
