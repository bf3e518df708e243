/**
 * Columns under construction: one growing set of buffers per column, in Arrow's layout, so that no cell ever becomes an object.
 *
 * ```
 * text        offsets i32[rows + 1] | UTF-8 bytes          dictionary   index i32[rows] + a text column of the distinct values
 * timestamp   i64 micros            | integer i64           decimal      i128, scale 6            boolean   one bit a row
 * ```
 * Every type carries one validity bit a row. Growth doubles.
 * Hot path: 2 million cells a second and thread (bench/micro/lake.ts). Used by the pool's encoder and by the hourly sink on the main thread.
 */

import type { LakeColumnType } from '../../engine/core/pipeline.ts';
import { assert } from '../../engine/core/types.ts';

/** What a lake file can hold; `integer` (BIGINT) is used by result tables alone. */
export type ColumnType = LakeColumnType | 'integer';
export type CellValue = string | number | boolean | null;

export interface TextData {
  readonly offsets: Int32Array;
  readonly bytes: Uint8Array;
}

/** One finished column; plain arrays that can be sent to another thread. */
export interface ColumnData {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullCount: number;
  /** One bit a row, the first in the low bit; set where there is a value. */
  readonly validity: Uint8Array;
  /** Fixed-width values or dictionary indexes; null for text. */
  readonly values: Int32Array | Uint8Array | null;
  /** The text itself, or the distinct values of a dictionary; null for other types. */
  readonly text: TextData | null;
}

export interface TableData {
  readonly rowCount: number;
  readonly columns: readonly ColumnData[];
}

export interface ColumnBuilder {
  readonly name: string;
  readonly type: ColumnType;
  /** Returns the bytes of content added: a function of the values so far, whatever the buffers' capacity. */
  append(value: CellValue): number;
  /** Views of the builder's buffers: valid until the next `append`. */
  finish(): ColumnData;
}

const ROWS_INITIAL = 32;
const TEXT_BYTES_INITIAL = 256;
/** Up to this many characters a loop in JavaScript beats the call into C++ (bench/micro/lake.ts: 2 to 3 times at 16). */
const INLINE_CHARACTERS_MAX = 40;
const OFFSET_BYTES = 4;
const WORD = 0x1_0000_0000;
const MICROS_PER_MS = 1_000;

export function createColumnBuilder(name: string, type: ColumnType): ColumnBuilder {
  switch (type) {
    case 'text':
      return new TextColumn(name);
    case 'dictionary':
      return new DictionaryColumn(name);
    case 'boolean':
      return new BooleanColumn(name);
    case 'timestamp_micros':
      return new WideColumn(name, type, 2, MICROS_PER_MS);
    case 'integer':
      return new WideColumn(name, type, 2, 1);
    case 'decimal_micros':
      return new WideColumn(name, type, 4, 1);
  }
}

/** Bits in row order. */
class Bitmap {
  bytes = new Uint8Array(ROWS_INITIAL / 8);
  clear = 0;

  push(row: number, set: boolean): void {
    const at = row >>> 3;
    if (at >= this.bytes.byteLength) this.bytes = grown(this.bytes, at + 1);
    if (set) this.bytes[at] = (this.bytes[at] as number) | (1 << (row & 7));
    else this.clear++;
  }

  view(rows: number): Uint8Array {
    return this.bytes.subarray(0, (rows + 7) >>> 3);
  }
}

/** UTF-8 texts end to end, with the offset at which each one ends. */
class TextBuffer {
  #offsets = new Int32Array(ROWS_INITIAL + 1);
  #bytes = Buffer.allocUnsafeSlow(TEXT_BYTES_INITIAL);
  #length = 0;
  count = 0;

  /** An ill-formed string keeps its place: lone surrogates become U+FFFD. */
  push(text: string): number {
    const start = this.#length;
    const worst = start + text.length * 3;
    if (worst > this.#bytes.byteLength) this.#bytes = grownBuffer(this.#bytes, start, worst);
    this.#length = text.length <= INLINE_CHARACTERS_MAX ? this.#writeShort(text) : start + this.#bytes.write(text, start, 'utf8');
    return this.#length - start + this.pushEnd();
  }

  /** Ends a text where the last one ended: what a null leaves. */
  pushEnd(): number {
    if (++this.count >= this.#offsets.length) this.#offsets = grown(this.#offsets, this.count + 1);
    this.#offsets[this.count] = this.#length;
    return OFFSET_BYTES;
  }

  view(): TextData {
    return { offsets: this.#offsets.subarray(0, this.count + 1), bytes: this.#bytes.subarray(0, this.#length) };
  }

  #writeShort(text: string): number {
    const bytes = this.#bytes;
    const start = this.#length;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code >= 0x80) return start + bytes.write(text, start, 'utf8');
      bytes[start + index] = code;
    }
    return start + text.length;
  }
}

class TextColumn implements ColumnBuilder {
  readonly name: string;
  readonly type = 'text';
  readonly #text = new TextBuffer();
  readonly #validity = new Bitmap();

  constructor(name: string) {
    this.name = name;
  }

  append(value: CellValue): number {
    this.#validity.push(this.#text.count, value !== null);
    return value === null ? this.#text.pushEnd() : this.#text.push(value as string);
  }

  finish(): ColumnData {
    const { name, type } = this;
    return { name, type, nullCount: this.#validity.clear, validity: this.#validity.view(this.#text.count), values: null, text: this.#text.view() };
  }
}

class DictionaryColumn implements ColumnBuilder {
  readonly name: string;
  readonly type = 'dictionary';
  readonly #indexOf = new Map<string, number>();
  readonly #distinct = new TextBuffer();
  readonly #validity = new Bitmap();
  #indexes = new Int32Array(ROWS_INITIAL);
  #rows = 0;

  constructor(name: string) {
    this.name = name;
  }

  append(value: CellValue): number {
    const row = this.#rows++;
    if (row >= this.#indexes.length) this.#indexes = grown(this.#indexes, row + 1);
    this.#validity.push(row, value !== null);
    this.#indexes[row] = 0;
    if (value === null) return OFFSET_BYTES;
    const known = this.#indexOf.get(value as string);
    this.#indexes[row] = known ?? this.#distinct.count;
    return known === undefined ? OFFSET_BYTES + this.#intern(value as string) : OFFSET_BYTES;
  }

  finish(): ColumnData {
    const { name, type } = this;
    const values = this.#indexes.subarray(0, this.#rows);
    return { name, type, nullCount: this.#validity.clear, validity: this.#validity.view(this.#rows), values, text: this.#distinct.view() };
  }

  #intern(value: string): number {
    this.#indexOf.set(value, this.#distinct.count);
    return this.#distinct.push(value);
  }
}

/** Signed integers of 64 or 128 bits, little-endian 32-bit words: whole numbers without a BigInt per cell. */
class WideColumn implements ColumnBuilder {
  readonly name: string;
  readonly type: ColumnType;
  readonly #wordsPerRow: 2 | 4;
  readonly #scale: number;
  readonly #validity = new Bitmap();
  #words: Int32Array;
  #rows = 0;

  constructor(name: string, type: ColumnType, wordsPerRow: 2 | 4, scale: number) {
    this.name = name;
    this.type = type;
    this.#wordsPerRow = wordsPerRow;
    this.#scale = scale;
    this.#words = new Int32Array(ROWS_INITIAL * wordsPerRow);
  }

  append(value: CellValue): number {
    const row = this.#rows++;
    const at = row * this.#wordsPerRow;
    if (at >= this.#words.length) this.#words = grown(this.#words, at + this.#wordsPerRow);
    this.#validity.push(row, value !== null);
    const given = value === null ? 0 : (value as number);
    // No message is built where there is nothing to say: as an argument of `assert` it cost more than the cell.
    if (!Number.isSafeInteger(given)) assert(false, `${this.name}: ${given} is no whole number`);
    // Exact: the product has 53 significant bits at most for every millisecond of the years 1 to 9999 (1000 = 8 x 125).
    const whole = given * this.#scale;
    const high = Math.floor(whole / WORD);
    this.#words[at] = whole - high * WORD;
    this.#words[at + 1] = high;
    if (this.#wordsPerRow === 4) {
      this.#words[at + 2] = high < 0 ? -1 : 0;
      this.#words[at + 3] = high < 0 ? -1 : 0;
    }
    return this.#wordsPerRow * 4;
  }

  finish(): ColumnData {
    const { name, type } = this;
    const values = this.#words.subarray(0, this.#rows * this.#wordsPerRow);
    return { name, type, nullCount: this.#validity.clear, validity: this.#validity.view(this.#rows), values, text: null };
  }
}

class BooleanColumn implements ColumnBuilder {
  readonly name: string;
  readonly type = 'boolean';
  readonly #values = new Bitmap();
  readonly #validity = new Bitmap();
  #rows = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Counts a byte for a bit: this bounds memory, it does not measure it. */
  append(value: CellValue): number {
    const row = this.#rows++;
    this.#validity.push(row, value !== null);
    this.#values.push(row, value === true);
    return 1;
  }

  finish(): ColumnData {
    const { name, type } = this;
    return { name, type, nullCount: this.#validity.clear, validity: this.#validity.view(this.#rows), values: this.#values.view(this.#rows), text: null };
  }
}

function grown<Numbers extends Int32Array | Uint8Array>(numbers: Numbers, atLeast: number): Numbers {
  const larger = new (numbers.constructor as new (length: number) => Numbers)(Math.max(numbers.length * 2, atLeast));
  larger.set(numbers);
  return larger;
}

function grownBuffer(bytes: Buffer, used: number, atLeast: number): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafeSlow(Math.max(bytes.byteLength * 2, atLeast));
  bytes.copy(larger, 0, 0, used);
  return larger;
}
