/**
 * Columns under construction: one growing set of buffers per column, in Arrow's layout, so that no cell ever becomes an object.
 *
 * ```
 * text        offsets i32[rows + 1] | UTF-8 bytes          dictionary   index i32[rows] + a text column of the distinct values
 * timestamp   i64 micros            | integer i64           decimal      i128, scale 6            boolean   one bit a row
 * ```
 * Every type carries one validity bit a row. Growth doubles.
 * Hot path: 300 K rows a second, at most 1.2 µs a row of 21 columns; bench/micro/lake.ts. Used by the pool's encoder and by the hourly sink on the main thread.
 */

import type { LakeColumnType, TextBytes } from '../../engine/core/pipeline.ts';
import { assert } from '../../engine/core/types.ts';

/** What a lake file can hold; `integer` (BIGINT) is used by result tables alone. */
export type ColumnType = LakeColumnType | 'integer';
export type CellValue = string | TextBytes | number | boolean | null;

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
  /** Views of the builder's buffers: valid until the next `append` or `reset`. */
  finish(): ColumnData;
  /** Begins again without a row. Keeps its buffers: fresh memory costs about as much as what is written to it. */
  reset(): void;
}

const ROWS_INITIAL = 32;
const TEXT_BYTES_INITIAL = 256;
/** Up to this many characters a loop in JavaScript beats the call into C++ (bench/micro/lake.ts: 2 to 3 times at 16). */
const INLINE_CHARACTERS_MAX = 40;
/** The same for a copy of bytes, word by word. */
const INLINE_BYTES_MAX = 256;
/** A power of two: enough that the usual values of a column of few rarely share a slot. */
const RECENT_SLOTS = 256;
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

  set(row: number): void {
    const at = row >>> 3;
    if (at >= this.bytes.byteLength) this.bytes = grown(this.bytes, at + 1);
    this.bytes[at] = (this.bytes[at] as number) | (1 << (row & 7));
  }

  view(rows: number): Uint8Array {
    const bytes = (rows + 7) >>> 3;
    if (bytes > this.bytes.byteLength) this.bytes = grown(this.bytes, bytes);
    return this.bytes.subarray(0, bytes);
  }

  reset(): void {
    this.bytes.fill(0);
  }
}

/** Which rows hold a value. Only nulls cost anything. */
class Validity {
  readonly #nulls = new Bitmap();
  nullCount = 0;

  clear(row: number): void {
    this.#nulls.set(row);
    this.nullCount++;
  }

  view(rows: number): Uint8Array {
    return this.#nulls.view(rows).map((byte) => ~byte);
  }

  reset(): void {
    if (this.nullCount > 0) this.#nulls.reset();
    this.nullCount = 0;
  }
}

/** UTF-8 texts end to end, with the offset at which each one ends. */
class TextBuffer {
  #offsets = new Int32Array(ROWS_INITIAL + 1);
  #bytes = Buffer.allocUnsafeSlow(TEXT_BYTES_INITIAL);
  #view = viewOf(this.#bytes);
  #length = 0;
  count = 0;

  /** An ill-formed string keeps its place: lone surrogates become U+FFFD. */
  push(text: string): number {
    const start = this.#length;
    const worst = start + text.length * 3;
    if (worst > this.#bytes.byteLength) this.#grow(worst);
    this.#length = text.length <= INLINE_CHARACTERS_MAX ? this.#writeShort(text) : start + this.#bytes.write(text, start, 'utf8');
    return this.#length - start + this.pushEnd();
  }

  pushBytes({ view, start, end }: TextBytes): number {
    const length = end - start;
    const at = this.#length;
    if (at + length > this.#bytes.byteLength) this.#grow(at + length);
    if (length > INLINE_BYTES_MAX) this.#bytes.set(new Uint8Array(view.buffer, view.byteOffset + start, length), at);
    else copyShort(view, start, end, this.#view, at);
    this.#length = at + length;
    return length + this.pushEnd();
  }

  /** Ends a text where the last one ended: what a null leaves. */
  pushEnd(): number {
    if (++this.count >= this.#offsets.length) this.#offsets = grown(this.#offsets, this.count + 1);
    this.#offsets[this.count] = this.#length;
    return OFFSET_BYTES;
  }

  reset(): void {
    this.#length = 0;
    this.count = 0;
  }

  view(): TextData {
    return { offsets: this.#offsets.subarray(0, this.count + 1), bytes: this.#bytes.subarray(0, this.#length) };
  }

  #grow(atLeast: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.byteLength * 2, atLeast));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
    this.#view = viewOf(larger);
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
  readonly #validity = new Validity();

  constructor(name: string) {
    this.name = name;
  }

  append(value: CellValue): number {
    if (value === null) {
      this.#validity.clear(this.#text.count);
      return this.#text.pushEnd();
    }
    return typeof value === 'string' ? this.#text.push(value) : this.#text.pushBytes(value as TextBytes);
  }

  finish(): ColumnData {
    const { name, type } = this;
    return { name, type, nullCount: this.#validity.nullCount, validity: this.#validity.view(this.#text.count), values: null, text: this.#text.view() };
  }

  reset(): void {
    this.#text.reset();
    this.#validity.reset();
  }
}

class DictionaryColumn implements ColumnBuilder {
  readonly name: string;
  readonly type = 'dictionary';
  readonly #indexOf = new Map<string, number>();
  /** Values by a hash of a few characters, and their indexes: finds what repeats in half of the map's time. */
  readonly #recent = new Array<string | null>(RECENT_SLOTS).fill(null);
  readonly #recentIndexes = new Int32Array(RECENT_SLOTS);
  readonly #distinct = new TextBuffer();
  readonly #validity = new Validity();
  #indexes = new Int32Array(ROWS_INITIAL);
  #rows = 0;

  constructor(name: string) {
    this.name = name;
  }

  append(value: CellValue): number {
    const row = this.#rows++;
    if (row >= this.#indexes.length) this.#indexes = grown(this.#indexes, row + 1);
    if (value === null) {
      this.#validity.clear(row);
      this.#indexes[row] = 0;
      return OFFSET_BYTES;
    }
    const text = value as string;
    const slot = slotOf(text);
    if (this.#recent[slot] === text) {
      this.#indexes[row] = this.#recentIndexes[slot] as number;
      return OFFSET_BYTES;
    }
    const known = this.#indexOf.get(text);
    const index = known ?? this.#distinct.count;
    this.#indexes[row] = index;
    this.#recent[slot] = text;
    this.#recentIndexes[slot] = index;
    return known === undefined ? OFFSET_BYTES + this.#intern(text) : OFFSET_BYTES;
  }

  finish(): ColumnData {
    const { name, type } = this;
    const values = this.#indexes.subarray(0, this.#rows);
    return { name, type, nullCount: this.#validity.nullCount, validity: this.#validity.view(this.#rows), values, text: this.#distinct.view() };
  }

  reset(): void {
    this.#indexOf.clear();
    this.#recent.fill(null);
    this.#distinct.reset();
    this.#validity.reset();
    this.#rows = 0;
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
  readonly #validity = new Validity();
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
    if (value === null) this.#validity.clear(row);
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
    return { name, type, nullCount: this.#validity.nullCount, validity: this.#validity.view(this.#rows), values, text: null };
  }

  reset(): void {
    this.#validity.reset();
    this.#rows = 0;
  }
}

class BooleanColumn implements ColumnBuilder {
  readonly name: string;
  readonly type = 'boolean';
  readonly #values = new Bitmap();
  readonly #validity = new Validity();
  #rows = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Counts a byte for a bit: this bounds memory, it does not measure it. */
  append(value: CellValue): number {
    const row = this.#rows++;
    if (value === true) this.#values.set(row);
    else if (value === null) this.#validity.clear(row);
    return 1;
  }

  finish(): ColumnData {
    const { name, type } = this;
    return { name, type, nullCount: this.#validity.nullCount, validity: this.#validity.view(this.#rows), values: this.#values.view(this.#rows), text: null };
  }

  reset(): void {
    this.#values.reset();
    this.#validity.reset();
    this.#rows = 0;
  }
}

function grown<Numbers extends Int32Array | Uint8Array>(numbers: Numbers, atLeast: number): Numbers {
  const larger = new (numbers.constructor as new (length: number) => Numbers)(Math.max(numbers.length * 2, atLeast));
  larger.set(numbers);
  return larger;
}

const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A DataView reads and writes words at any address. The last word may overlap the one before. */
function copyShort(from: DataView, start: number, end: number, to: DataView, at: number): void {
  const length = end - start;
  if (length < 4) {
    for (let index = 0; index < length; index++) to.setUint8(at + index, from.getUint8(start + index));
    return;
  }
  for (let index = 0; index < length - 4; index += 4) to.setInt32(at + index, from.getInt32(start + index, true), true);
  to.setInt32(at + length - 4, from.getInt32(end - 4, true), true);
}

function slotOf(text: string): number {
  const { length } = text;
  if (length === 0) return 0;
  const mixed = length ^ (text.charCodeAt(0) << 3) ^ (text.charCodeAt(length >>> 1) << 6) ^ (text.charCodeAt(length - 1) << 1);
  return (mixed ^ (mixed >>> 8)) & (RECENT_SLOTS - 1);
}
