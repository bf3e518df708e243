/**
 * The selective decoder: validates a whole message as JSON in one pass over its bytes and remembers where the wanted fields lie.
 *
 * It is either sure, and then verdict and fields are those of the reference decoder, or in doubt, and then the reference
 * decides: nested objects and arrays, escaped keys, `\u` in a wanted value, and everything that looks wrong are left to it.
 * Never raises. Hot path on the actor threads, once per record; bench/micro/decode.ts. One instance per decoder.
 *
 * Strings are read four bytes at a time: a word is looked at closely only when one of its bytes is a quote, a backslash, a control
 * character or above 0x7f (the tests for such bytes: Sean Anderson, "Bit Twiddling Hacks", `haszero` and `hasless`; their lowest hit is exact).
 */

import { isUtf8 } from 'node:buffer';
import type { FieldTable } from './field-table.ts';
import type { Field } from './fields.ts';
import { fieldOfKey, UNWANTED } from './key-lookup.ts';

const SPACE = 0x20;
const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const LETTER_U = 0x75;

const ONES = 0x01010101;
const QUOTES = 0x22222222;
const BACKSLASHES = 0x5c5c5c5c;
const SPACES = 0x20202020;
const HIGH_BITS = 0x80808080 | 0;

/** Not a position: the scanner is in doubt. */
const DOUBT = -1;

/** What the character after a backslash stands for; 0 for what JSON does not know, and for `u`. */
const UNESCAPED = new Uint8Array(256);
for (const [letter, meaning] of ['""', '\\\\', '//', 'b\b', 'f\f', 'n\n', 'r\r', 't\t'].map((pair) => [pair.charCodeAt(0), pair.charCodeAt(1)])) {
  UNESCAPED[letter as number] = meaning as number;
}

export class SelectiveDecoder {
  #bytes: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** Facts about the string that was read last. */
  #escaped = false;
  #hasUnicodeEscape = false;
  /** Some string of this record holds bytes above 0x7f. */
  #wide = false;

  /** Fills `table` from `bytes[start, end)`; false when in doubt, and then the table holds nothing of use. */
  decode(bytes: Buffer, start: number, end: number, table: FieldTable): boolean {
    table.begin(bytes, end - start);
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.#wide = false;
    let last = end - 1;
    while (last > start && isSpace(bytes[last] as number)) last--;
    // The brace at `last` ends every scan outside of strings; strings are bounded by it. So nothing beyond the record is read.
    if (last <= start || bytes[last] !== CLOSE_BRACE) return false;
    const first = skipSpace(bytes, start);
    if (bytes[first] !== OPEN_BRACE || !this.#members(first + 1, last, table)) return false;
    if (!this.#wide) return true;
    table.wide = true;
    return isUtf8(bytes.subarray(start, end));
  }

  /** Reads members up to the brace at `last`; false when in doubt. */
  #members(from: number, last: number, table: FieldTable): boolean {
    const bytes = this.#bytes;
    const view = this.#view;
    let at = from;
    for (;;) {
      if (bytes[at] !== QUOTE) {
        at = skipSpace(bytes, at);
        if (bytes[at] !== QUOTE) return false;
      }
      const keyStart = at + 1;
      let keyEnd = nextSpecial(view, keyStart, last);
      if (bytes[keyEnd] !== QUOTE) {
        keyEnd = this.#oddStringEnd(keyEnd, last);
        if (keyEnd === DOUBT || this.#escaped) return false;
      }
      const field = fieldOfKey(view, keyStart, keyEnd);
      at = keyEnd + 1;
      if (bytes[at] !== COLON) {
        at = skipSpace(bytes, at);
        if (bytes[at] !== COLON) return false;
      }
      at++;
      if (bytes[at] === SPACE) at = skipSpace(bytes, at);
      if (bytes[at] === QUOTE) {
        const end = nextSpecial(view, at + 1, last);
        if (bytes[end] === QUOTE) {
          if (field !== UNWANTED) table.setRange(field as Field, at + 1, end);
          at = end + 1;
        } else at = this.#oddStringMember(field, at + 1, end, last, table);
      } else at = this.#otherMember(field, skipSpace(bytes, at), table);
      if (at === DOUBT) return false;
      if (bytes[at] !== COMMA) {
        at = skipSpace(bytes, at);
        if (at === last) return true;
        if (bytes[at] !== COMMA) return false;
      }
      at++;
    }
  }

  /** A string value that holds something else than plain characters, first at `special`; the position after its closing quote. */
  #oddStringMember(field: number, from: number, special: number, last: number, table: FieldTable): number {
    const end = this.#oddStringEnd(special, last);
    if (end === DOUBT) return DOUBT;
    if (field !== UNWANTED) {
      if (!this.#escaped) table.setRange(field as Field, from, end);
      else if (this.#hasUnicodeEscape) return DOUBT;
      else this.#unescape(field as Field, from, end, table);
    }
    return end + 1;
  }

  /** A number, `true`, `false` or `null`; the position after it. */
  #otherMember(field: number, from: number, table: FieldTable): number {
    const bytes = this.#bytes;
    const byte = bytes[from] as number;
    let end: number;
    if (byte === 0x74) end = isWord(bytes, from, 0x72, 0x75, 0x65) ? from + 4 : DOUBT;
    else if (byte === 0x66) end = bytes[from + 1] === 0x61 && isWord(bytes, from + 1, 0x6c, 0x73, 0x65) ? from + 5 : DOUBT;
    else if (byte === 0x6e) {
      if (!isWord(bytes, from, 0x75, 0x6c, 0x6c)) return DOUBT;
      if (field !== UNWANTED) table.setAbsent(field as Field);
      return from + 4;
    } else end = numberEnd(bytes, from);
    if (end !== DOUBT && field !== UNWANTED) table.setRange(field as Field, from, end);
    return end;
  }

  /** The position of the quote that closes a string, before `last`, from its first special byte on. Sets the facts about it. */
  #oddStringEnd(special: number, last: number): number {
    const bytes = this.#bytes;
    this.#escaped = false;
    this.#hasUnicodeEscape = false;
    let at = special;
    while (at < last) {
      const byte = bytes[at] as number;
      if (byte === QUOTE) return at;
      if (byte < SPACE) return DOUBT;
      if (byte === BACKSLASH) {
        at = this.#escapeEnd(at + 1);
        if (at === DOUBT) return DOUBT;
      } else {
        if (byte >= 0x80) this.#wide = true;
        at++;
      }
    }
    return DOUBT;
  }

  /** The position after the escape whose letter stands at `at`. */
  #escapeEnd(at: number): number {
    const bytes = this.#bytes;
    this.#escaped = true;
    if (UNESCAPED[bytes[at] as number] !== 0) return at + 1;
    if (bytes[at] !== LETTER_U) return DOUBT;
    this.#hasUnicodeEscape = true;
    for (let digit = at + 1; digit <= at + 4; digit++) {
      if (!isHexDigit(bytes[digit] as number)) return DOUBT;
    }
    return at + 5;
  }

  /** Writes the string in `bytes[from, end)`, whose escapes are known to be simple, to the table's side buffer. */
  #unescape(field: Field, from: number, end: number, table: FieldTable): void {
    const bytes = this.#bytes;
    const side = table.side;
    const start = table.sideLength;
    let to = start;
    for (let at = from; at < end; at++) {
      let byte = bytes[at] as number;
      if (byte === BACKSLASH) byte = UNESCAPED[bytes[++at] as number] as number;
      side[to++] = byte;
    }
    table.sideLength = to;
    table.setSide(field, start);
  }
}

/**
 * The first position in `[from, last)` of a quote, a backslash, a control character or a byte above 0x7f; else `last`, where a brace stands.
 */
function nextSpecial(view: DataView, from: number, last: number): number {
  let at = from;
  for (; at + 4 <= last; at += 4) {
    const word = view.getInt32(at, true);
    const quotes = word ^ QUOTES;
    const backslashes = word ^ BACKSLASHES;
    const hits = (((quotes - ONES) & ~quotes) | ((backslashes - ONES) & ~backslashes) | (word - SPACES) | word) & HIGH_BITS;
    if (hits !== 0) return at + ((31 - Math.clz32(hits & -hits)) >>> 3);
  }
  for (; at < last; at++) {
    const byte = view.getUint8(at);
    if (byte === QUOTE || byte === BACKSLASH || byte < SPACE || byte >= 0x80) return at;
  }
  return last;
}

const isSpace = (byte: number): boolean => byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09;
const isDigit = (byte: number): boolean => byte >= ZERO && byte <= NINE;
const isHexDigit = (byte: number): boolean => isDigit(byte) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);

function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  while ((bytes[at] as number) <= SPACE && isSpace(bytes[at] as number)) at++;
  return at;
}

const isWord = (bytes: Buffer, at: number, second: number, third: number, fourth: number): boolean =>
  bytes[at + 1] === second && bytes[at + 2] === third && bytes[at + 3] === fourth;

/** The position after the JSON number at `from`: `-? (0 | [1-9] digits) [. digits] [(e|E) [+|-] digits]`. */
function numberEnd(bytes: Buffer, from: number): number {
  let at = from;
  if (bytes[at] === MINUS) at++;
  if (bytes[at] === ZERO) at++;
  else if ((at = digitsEnd(bytes, at)) === DOUBT) return DOUBT;
  if (bytes[at] === DOT && (at = digitsEnd(bytes, at + 1)) === DOUBT) return DOUBT;
  if (((bytes[at] as number) | 0x20) === 0x65) {
    at++;
    if (bytes[at] === PLUS || bytes[at] === MINUS) at++;
    return digitsEnd(bytes, at);
  }
  return at;
}

/** The position after at least one digit. */
function digitsEnd(bytes: Buffer, from: number): number {
  let at = from;
  while (isDigit(bytes[at] as number)) at++;
  return at === from ? DOUBT : at;
}
