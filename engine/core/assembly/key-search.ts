/**
 * The loops of the door's key search, in AssemblyScript: what a body holds that would bring the search in doubt, and where one key and its string
 * value lie, 16 bytes at a time. `npm run wasm` makes ../key-search-wasm.ts of it. ../partition-key.ts says why the search can be trusted, and
 * decides; here is nothing but looking.
 *
 * Nothing here allocates: whoever calls has put a body at RECORD with {@link PADDING} bytes to spare behind it.
 */

import { isSame } from './bytes';

export const KEYS_MAX: i32 = 32;
export const KEY_BYTES_MAX: i32 = 64;
/** Keys in their quotes, 64 bytes each, the rest zero; their lengths, i32; the positions of the two bytes that are looked for first, i32 each. */
export const KEYS: i32 = 1024;
export const KEY_LENGTHS: i32 = KEYS + KEYS_MAX * KEY_BYTES_MAX;
export const KEY_ANCHORS: i32 = KEY_LENGTHS + 4 * KEYS_MAX;
/** Where the value found last lies, from and to; i32. */
export const VALUE: i32 = KEY_ANCHORS + 8 * KEYS_MAX;
/** A search reads 16 bytes at each of its two anchors, which lie within a key. */
export const PADDING: i32 = KEY_BYTES_MAX + 16;
export const RECORD: i32 = 8192;
export const RECORD_BYTES_MAX: i32 = 1_048_576;
export const MEMORY_BYTES: i32 = RECORD + RECORD_BYTES_MAX + PADDING;

/** What {@link survey} says, added up. */
export const HAS_INNER_KEYS: i32 = 1;
export const HAS_ESCAPED_ASCII: i32 = 2;
export const HAS_WIDE: i32 = 4;

/** What {@link find} says. */
export const ABSENT: i32 = 0;
export const VALUE_FOUND: i32 = 1;
export const TWICE: i32 = 2;
/** No key of an object, or one whose value is no string. */
export const NO_STRING_MEMBER: i32 = 3;
/** The value has an escape, a control character or more than ASCII. */
export const ODD_VALUE: i32 = 4;

const SPACE: i32 = 0x20;
const QUOTE: i32 = 0x22;
const COMMA: i32 = 0x2c;
const COLON: i32 = 0x3a;
const OPEN_BRACE: i32 = 0x7b;
/** `\u00` as a word. */
const ESCAPED_ASCII: u32 = 0x3030755c;

/** Looks through the body of `length` bytes, its first one aside, which is a brace. */
export function survey(length: i32): i32 {
  const braces = i8x16.splat(<i8>OPEN_BRACE);
  const backslashes = i8x16.splat(0x5c);
  const end = <usize>(RECORD + length);
  let facts = 0;
  let wide = i8x16.splat(0);
  for (let at: usize = RECORD + 1; at < end; at += 16) {
    const block = v128.load(at);
    wide = v128.or(wide, at + 16 <= end ? block : upTo(block, <i32>(end - at)));
    let hits = i8x16.bitmask(v128.or(i8x16.eq(block, braces), i8x16.eq(block, backslashes)));
    for (; hits != 0; hits &= hits - 1) {
      const hit = at + ctz(hits);
      if (hit >= end) break;
      if (load<u8>(hit) == OPEN_BRACE) {
        const next = <i32>load<u8>(hit + 1);
        if (next == QUOTE || next <= SPACE) facts |= HAS_INNER_KEYS;
      } else if (load<u32>(hit) == ESCAPED_ASCII) facts |= HAS_ESCAPED_ASCII;
    }
  }
  return i8x16.bitmask(wide) != 0 ? facts | HAS_WIDE : facts;
}

/** The first `count` bytes of a block, the others zero. */
function upTo(block: v128, count: i32): v128 {
  const positions = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return v128.and(block, i8x16.lt_u(positions, i8x16.splat(<i8>count)));
}

/** Looks for a key in the body whose last brace is its `last`-th byte; what stands between is at or above a blank, or white space. */
export function find(key: i32, last: i32): i32 {
  const quoted = <usize>(KEYS + key * KEY_BYTES_MAX);
  const length = load<i32>(KEY_LENGTHS + (key << 2));
  const one = load<i32>(KEY_ANCHORS + (key << 3));
  const other = load<i32>(KEY_ANCHORS + (key << 3) + 4);
  const ones = i8x16.splat(load<i8>(quoted + one));
  const others = i8x16.splat(load<i8>(quoted + other));
  const lastAt = <usize>(RECORD + last);
  let found: usize = 0;
  for (let at: usize = RECORD + 1; at < lastAt; at += 16) {
    let hits = i8x16.bitmask(v128.and(i8x16.eq(v128.load(at + one), ones), i8x16.eq(v128.load(at + other), others)));
    for (; hits != 0; hits &= hits - 1) {
      const hit = at + ctz(hits);
      if (hit + length > lastAt || !isSame(hit, quoted, length)) continue;
      if (found != 0) return TWICE;
      found = hit;
    }
  }
  return found == 0 ? ABSENT : readMember(found, length, lastAt);
}

function readMember(at: usize, length: i32, last: usize): i32 {
  let before = at - 1;
  while (<i32>load<u8>(before) <= SPACE) before--;
  const colon = skipSpace(at + length);
  if ((load<u8>(before) != COMMA && load<u8>(before) != OPEN_BRACE) || load<u8>(colon) != COLON) return NO_STRING_MEMBER;
  const value = skipSpace(colon + 1);
  if (load<u8>(value) != QUOTE) return NO_STRING_MEMBER;
  const from = value + 1;
  for (let to = from; to < last; to++) {
    const byte = <i32>load<u8>(to);
    if (byte == QUOTE) {
      store<i32>(VALUE, <i32>from);
      store<i32>(VALUE + 4, <i32>to);
      return VALUE_FOUND;
    }
    if (byte == 0x5c || byte < 0x20 || byte > 0x7e) return ODD_VALUE;
  }
  return ODD_VALUE;
}

/** In valid JSON, whatever is at or below a blank outside of a string is white space; a brace ends it. */
function skipSpace(from: usize): usize {
  let at = from;
  while (<i32>load<u8>(at) <= SPACE) at++;
  return at;
}

/** MurmurHash3's 32-bit form of `[start, end)`, as in ../hash.ts. */
export function hash(start: usize, end: usize, seed: u32): u32 {
  let h = seed;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    h ^= rotl(load<u32>(at) * 0xcc9e2d51, 15) * 0x1b873593;
    h = rotl(h, 13) * 5 + 0xe6546b64;
  }
  if (at < end) {
    const rest = load<u32>(at) & ((1 << (<u32>(end - at) << 3)) - 1);
    h ^= rotl(rest * 0xcc9e2d51, 15) * 0x1b873593;
  }
  h ^= <u32>(end - start);
  h ^= h >> 16;
  h *= 0x85ebca6b;
  h ^= h >> 13;
  h *= 0xc2b2ae35;
  return h ^ (h >> 16);
}
