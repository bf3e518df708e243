/**
 * One pass over a message, 16 bytes at a time, and places for texts that repeat. Sixteen bytes are read at once past the end of what counts,
 * and what was read too much is cut off by position: {@link PADDING} bytes are to spare behind a record.
 */

import { isSame } from '../../../../engine/core/assembly/bytes';
import { ABSENT, ENDS, FIELDS_MAX, KEPT_BYTES_MAX, KEPT_LENGTHS, KEPT_TEXTS, LENGTHS, NAME_BYTES_MAX, NAMES, NOT_KEPT, NOWHERE, PLACES, RECORD, REPEATING, SIDE, SLOTS, STARTS } from './layout';

/** What {@link scan} says. */
const IN_DOUBT: i32 = 0;
const SURE: i32 = 1;
const SURE_AND_WIDE: i32 = 3;
const DOUBT: usize = usize.MAX_VALUE;
const UNWANTED: i32 = -1;
/** Objects and arrays in one another, a bit each. */
const DEPTH_MAX: i32 = 64;

const QUOTE: i32 = 0x22;
const PLUS: i32 = 0x2b;
const COMMA: i32 = 0x2c;
const MINUS: i32 = 0x2d;
const DOT: i32 = 0x2e;
const ZERO: i32 = 0x30;
const COLON: i32 = 0x3a;
const OPEN_BRACKET: i32 = 0x5b;
const BACKSLASH: i32 = 0x5c;
const CLOSE_BRACKET: i32 = 0x5d;
const OPEN_BRACE: i32 = 0x7b;
const CLOSE_BRACE: i32 = 0x7d;

let multiplier: i32 = 0;
let repeatingCount: i32 = 0;
/** The one name of two bytes, low byte first, and its field: the table tells names by four bytes and more. */
let shortName: i32 = -1;
let shortField: i32 = UNWANTED;
/** Some string of this record holds bytes above 0x7f. */
let wide: bool = false;
/** Facts about the string that was read last. */
let escaped: bool = false;
let unicode: bool = false;
/** A value was left at {@link DEPTH_MAX}. */
let tooDeep: bool = false;
let sideEnd: usize = 0;

export function setMultiplier(value: i32): void {
  multiplier = value;
}

export function setRepeatingCount(count: i32): void {
  repeatingCount = count;
}

export function setShortName(name: i32, field: i32): void {
  shortName = name;
  shortField = field;
}

/**
 * Reads the record of `length` bytes at RECORD. 0: in doubt, nothing of use was left; 1: sure, STARTS, ENDS and PLACES tell of its fields; 3: the
 * same, and it holds bytes above 0x7f, whose UTF-8 nobody has looked at.
 */
export function scan(length: i32): i32 {
  const start: usize = RECORD;
  memory.fill(STARTS, 0xff, 4 * FIELDS_MAX);
  wide = false;
  sideEnd = SIDE;
  let last = start + length - 1;
  while (last > start && isSpace(load<u8>(last))) last--;
  // The brace at `last` ends every scan outside of strings; strings are bounded by it.
  if (last <= start || load<u8>(last) != CLOSE_BRACE) return IN_DOUBT;
  const first = skipSpace(start);
  if (load<u8>(first) != OPEN_BRACE || !members(first + 1, last)) return IN_DOUBT;
  findKept();
  return wide ? SURE_AND_WIDE : SURE;
}

/** Reads members up to the brace at `last`; false when in doubt. */
function members(from: usize, last: usize): bool {
  let at = from;
  while (true) {
    if (load<u8>(at) != QUOTE) {
      at = skipSpace(at);
      if (load<u8>(at) != QUOTE) return false;
    }
    const keyStart = at + 1;
    let keyEnd = nextSpecial(keyStart, last);
    if (load<u8>(keyEnd) != QUOTE) {
      keyEnd = oddStringEnd(keyEnd, last);
      if (keyEnd == DOUBT || escaped) return false;
    }
    const field = fieldOf(keyStart, keyEnd);
    at = keyEnd + 1;
    if (load<u8>(at) != COLON) {
      at = skipSpace(at);
      if (load<u8>(at) != COLON) return false;
    }
    at++;
    if (load<u8>(at) == 0x20) at = skipSpace(at);
    if (load<u8>(at) == QUOTE) {
      const end = nextSpecial(at + 1, last);
      if (load<u8>(end) == QUOTE) {
        if (field != UNWANTED) setRange(field, at + 1, end);
        at = end + 1;
      } else at = oddStringMember(field, at + 1, end, last);
    } else at = otherMember(field, skipSpace(at), last);
    if (at == DOUBT) return false;
    if (load<u8>(at) != COMMA) {
      at = skipSpace(at);
      if (at == last) return true;
      if (load<u8>(at) != COMMA) return false;
    }
    at++;
  }
}

/** A string value that holds something else than plain characters, first at `special`; the position after its closing quote. */
function oddStringMember(field: i32, from: usize, special: usize, last: usize): usize {
  const end = oddStringEnd(special, last);
  if (end == DOUBT) return DOUBT;
  if (field != UNWANTED) {
    if (!escaped) setRange(field, from, end);
    else if (unicode) return DOUBT;
    else unescape(field, from, end);
  }
  return end + 1;
}

/** A number, `true`, `false` or `null`, or an object or array that nobody wants; the position after it. */
function otherMember(field: i32, from: usize, last: usize): usize {
  const byte = <i32>load<u8>(from);
  if (field == UNWANTED && (byte == OPEN_BRACE || byte == OPEN_BRACKET)) return valueEnd(from, last);
  const end = plainEnd(from);
  if (byte == 0x6e) {
    if (end != DOUBT && field != UNWANTED) store<i32>(STARTS + (field << 2), ABSENT);
    return end;
  }
  if (end != DOUBT && field != UNWANTED) setRange(field, from, end);
  return end;
}

/** 1 where `[start, end)` is JSON, 0 where it is not, 2 where it is deeper than {@link DEPTH_MAX}: JSON.parse says the same, if it is UTF-8. */
export function isJson(start: usize, end: usize): i32 {
  tooDeep = false;
  // A byte that belongs to no value ends every scan; it may be another text's, and is put back.
  const behind = load<u8>(end);
  store<u8>(end, 0);
  const at = valueEnd(skipSpace(start), end);
  const isWhole = at != DOUBT && skipSpace(at) == end;
  store<u8>(end, behind);
  return isWhole ? 1 : tooDeep ? 2 : 0;
}

/** The position after the value at `from`, which ends before `last`. In doubt where it is none, or deeper than {@link DEPTH_MAX}. */
function valueEnd(from: usize, last: usize): usize {
  // Of the objects and arrays that are open, the innermost in the low bit: 1 for an object.
  let kinds: u64 = 0;
  let depth = 0;
  let at = from;
  while (true) {
    const byte = <i32>load<u8>(at);
    if (byte == OPEN_BRACE || byte == OPEN_BRACKET) {
      const isObject = byte == OPEN_BRACE;
      at = skipSpace(at + 1);
      if (load<u8>(at) == (isObject ? CLOSE_BRACE : CLOSE_BRACKET)) at++;
      else {
        if (depth++ == DEPTH_MAX) {
          tooDeep = true;
          return DOUBT;
        }
        kinds = (kinds << 1) | (isObject ? 1 : 0);
        if (isObject && (at = nestedKeyEnd(at, last)) == DOUBT) return DOUBT;
        continue;
      }
    } else if ((at = byte == QUOTE ? stringEnd(at + 1, last) : plainEnd(at)) == DOUBT) return DOUBT;
    while (true) {
      if (depth == 0) return at;
      at = skipSpace(at);
      const isObject = (kinds & 1) == 1;
      const next = <i32>load<u8>(at);
      if (next == COMMA) {
        at = skipSpace(at + 1);
        if (isObject && (at = nestedKeyEnd(at, last)) == DOUBT) return DOUBT;
        break;
      }
      // The brace at `last` belongs to the record.
      if (at >= last || next != (isObject ? CLOSE_BRACE : CLOSE_BRACKET)) return DOUBT;
      at++;
      kinds >>= 1;
      depth--;
    }
  }
}

/** The position of the value whose key begins at `at`. */
function nestedKeyEnd(at: usize, last: usize): usize {
  if (load<u8>(at) != QUOTE) return DOUBT;
  const end = stringEnd(at + 1, last);
  if (end == DOUBT) return DOUBT;
  const colon = skipSpace(end);
  return load<u8>(colon) == COLON ? skipSpace(colon + 1) : DOUBT;
}

/** The position after the quote that closes the string whose text begins at `from`. */
function stringEnd(from: usize, last: usize): usize {
  let end = nextSpecial(from, last);
  if (load<u8>(end) != QUOTE && (end = oddStringEnd(end, last)) == DOUBT) return DOUBT;
  return end + 1;
}

/** The position after a number, `true`, `false` or `null`. */
function plainEnd(from: usize): usize {
  const byte = <i32>load<u8>(from);
  if (byte == 0x74) return load<u32>(from) == 0x65757274 ? from + 4 : DOUBT;
  if (byte == 0x66) return load<u32>(from + 1) == 0x65736c61 ? from + 5 : DOUBT;
  if (byte == 0x6e) return load<u32>(from) == 0x6c6c756e ? from + 4 : DOUBT;
  return numberEnd(from);
}

/** The position of the quote that closes a string, before `last`, from its first special byte on. Sets the facts about it. */
function oddStringEnd(special: usize, last: usize): usize {
  escaped = false;
  unicode = false;
  let at = special;
  while (at < last) {
    const byte = <i32>load<u8>(at);
    if (byte == QUOTE) return at;
    if (byte < 0x20) return DOUBT;
    if (byte == BACKSLASH) {
      at = escapeEnd(at + 1);
      if (at == DOUBT) return DOUBT;
    } else {
      wide = true;
      at = nextHard(at + 1, last);
      continue;
    }
    at = nextSpecial(at, last);
  }
  return DOUBT;
}

/** The position after the escape whose letter stands at `at`. */
function escapeEnd(at: usize): usize {
  escaped = true;
  const letter = <i32>load<u8>(at);
  if (unescaped(letter) != 0) return at + 1;
  if (letter != 0x75) return DOUBT;
  unicode = true;
  for (let digit = at + 1; digit <= at + 4; digit++) {
    if (!isHexDigit(load<u8>(digit))) return DOUBT;
  }
  return at + 5;
}

/** What the letter after a backslash stands for; 0 for what JSON does not know, and for `u`. */
function unescaped(letter: i32): i32 {
  switch (letter) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f:
      return letter;
    case 0x62:
      return 0x08;
    case 0x66:
      return 0x0c;
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
    default:
      return 0;
  }
}

/** Writes the string in `[from, end)`, whose escapes are known to be simple, beside the record. */
function unescape(field: i32, from: usize, end: usize): void {
  const start = sideEnd;
  let to = start;
  for (let at = from; at < end; at++) {
    let byte = <i32>load<u8>(at);
    if (byte == BACKSLASH) byte = unescaped(load<u8>(++at));
    store<u8>(to++, byte);
  }
  sideEnd = to;
  setRange(field, start, to);
}

/** A later one of the same name replaces it, as in JSON.parse; nothing, `N/A` and `NULL` count as not there. */
// @ts-ignore: decorator
@inline function setRange(field: i32, start: usize, end: usize): void {
  const length = end - start;
  let absent = length == 0;
  if (length <= 4 && load<u8>(start) == 0x4e) {
    const word = load<u32>(start);
    absent = (length == 3 && (word & 0xffffff) == 0x412f4e) || (length == 4 && word == 0x4c4c554e);
  }
  store<i32>(STARTS + (field << 2), absent ? ABSENT : <i32>start);
  store<i32>(ENDS + (field << 2), <i32>end);
}

/** The first position in `[from, last)` of a quote, a backslash, a control character or a byte above 0x7f; else `last`. */
// @ts-ignore: decorator
@inline function nextSpecial(from: usize, last: usize): usize {
  const quotes = i8x16.splat(<i8>QUOTE);
  const backslashes = i8x16.splat(<i8>BACKSLASH);
  const spaces = i8x16.splat(0x20);
  for (let at = from; at < last; at += 16) {
    const block = v128.load(at);
    // As signed bytes, those above 0x7f are below the space too.
    const hits = i8x16.bitmask(v128.or(v128.or(i8x16.eq(block, quotes), i8x16.eq(block, backslashes)), i8x16.lt_s(block, spaces)));
    if (hits != 0) return min(at + ctz(hits), last);
  }
  return last;
}

/** The same without bytes above 0x7f. */
function nextHard(from: usize, last: usize): usize {
  const quotes = i8x16.splat(<i8>QUOTE);
  const backslashes = i8x16.splat(<i8>BACKSLASH);
  const spaces = i8x16.splat(0x20);
  for (let at = from; at < last; at += 16) {
    const block = v128.load(at);
    const hits = i8x16.bitmask(v128.or(v128.or(i8x16.eq(block, quotes), i8x16.eq(block, backslashes)), i8x16.lt_u(block, spaces)));
    if (hits != 0) return min(at + ctz(hits), last);
  }
  return last;
}

/** The field that `[start, end)` names, or UNWANTED: one multiplication, one table, one comparison. */
// @ts-ignore: decorator
@inline function fieldOf(start: usize, end: usize): i32 {
  const length = <i32>(end - start);
  if (length < 4) return length == 2 && <i32>load<u16>(start) == shortName ? shortField : UNWANTED;
  if (length > NAME_BYTES_MAX) return UNWANTED;
  const first = load<i32>(start);
  const last = load<i32>(end - 4);
  const field = <i32>load<i8>(SLOTS + slotOf(first, last, length, multiplier));
  if (field < 0 || load<i32>(LENGTHS + (field << 2)) != length) return UNWANTED;
  return isSame(start, NAMES + NAME_BYTES_MAX * field, length) ? field : UNWANTED;
}

// @ts-ignore: decorator
@inline function slotOf(first: i32, last: i32, length: i32, by: i32): i32 {
  return ((first ^ (last << 3) ^ (last >>> 17) ^ length) * by) >>> 22;
}

/** The slot of a name of `length` bytes at RECORD, at least 4, for a multiplier to be tried. */
export function slotOfName(length: i32, by: i32): i32 {
  return slotOf(load<i32>(RECORD), load<i32>(RECORD + length - 4), length, by);
}

/** Looks up each text that is likely to have come before; so that nobody need make a string of it again. */
function findKept(): void {
  for (let index = 0; index < repeatingCount; index++) {
    const field = <i32>load<u8>(REPEATING + index);
    const start = load<i32>(STARTS + (field << 2));
    let place = NOWHERE;
    if (start != ABSENT) {
      const length = load<i32>(ENDS + (field << 2)) - start;
      if (length <= KEPT_BYTES_MAX) {
        place = placeOf(start, length);
        const isKept = <i32>load<u8>(KEPT_LENGTHS + place) == length && isSame(start, KEPT_TEXTS + place * KEPT_BYTES_MAX, length);
        if (!isKept) place = NOT_KEPT - place;
      }
    }
    store<i32>(PLACES + (field << 2), place);
  }
}

/** Keeps the text of a field that was not kept, in place of what was there. Returns the place. */
export function keep(field: i32): i32 {
  const place = NOT_KEPT - load<i32>(PLACES + (field << 2));
  const start = load<i32>(STARTS + (field << 2));
  const length = load<i32>(ENDS + (field << 2)) - start;
  store<u8>(KEPT_LENGTHS + place, length);
  memory.copy(KEPT_TEXTS + place * KEPT_BYTES_MAX, start, length);
  return place;
}

/** From all of its bytes: campaigns may differ anywhere. */
function placeOf(start: usize, length: i32): i32 {
  const factor: u64 = 0x9e3779b97f4a7c15;
  let hash: u64 = length;
  if (length >= 8) {
    const tail = start + length - 8;
    for (let at = start; at < tail; at += 8) hash = rotl(hash ^ load<u64>(at), 29) * factor;
    hash = rotl(hash ^ load<u64>(tail), 29) * factor;
  } else if (length >= 4) hash = (hash ^ load<u32>(start) ^ (<u64>load<u32>(start + length - 4) << 32)) * factor;
  else if (length >= 2) hash = (hash ^ load<u16>(start) ^ (<u64>load<u16>(start + length - 2) << 32)) * factor;
  else hash = (hash ^ load<u8>(start)) * factor;
  return <i32>((hash ^ (hash >> 29)) * factor >> 51);
}

// @ts-ignore: decorator
@inline function isSpace(byte: i32): bool {
  return byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09;
}

function isHexDigit(byte: i32): bool {
  return isDigit(byte) || <u32>((byte | 0x20) - 0x61) < 6;
}

// @ts-ignore: decorator
@inline function isDigit(byte: i32): bool {
  return <u32>(byte - ZERO) < 10;
}

function skipSpace(from: usize): usize {
  let at = from;
  while (isSpace(load<u8>(at))) at++;
  return at;
}

/** The position after the JSON number at `from`: `-? (0 | [1-9] digits) [. digits] [(e|E) [+|-] digits]`. */
function numberEnd(from: usize): usize {
  let at = from;
  if (load<u8>(at) == MINUS) at++;
  if (load<u8>(at) == ZERO) at++;
  else if ((at = digitsEnd(at)) == DOUBT) return DOUBT;
  if (load<u8>(at) == DOT && (at = digitsEnd(at + 1)) == DOUBT) return DOUBT;
  if ((<i32>load<u8>(at) | 0x20) == 0x65) {
    at++;
    if (load<u8>(at) == PLUS || load<u8>(at) == MINUS) at++;
    return digitsEnd(at);
  }
  return at;
}

/** The position after at least one digit. */
function digitsEnd(from: usize): usize {
  let at = from;
  while (isDigit(load<u8>(at))) at++;
  return at == from ? DOUBT : at;
}
