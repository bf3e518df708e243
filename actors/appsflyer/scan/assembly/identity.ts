/** The text that tells an event from all others, and its fingerprint; ../../identity.ts says what it is made of. */

import { ABSENT, ENDS, FINGERPRINT, IDENTITY, PREFIX, RECIPE_NUMBER, RECIPE_TRUTH, RECIPE_USER, STARTS } from './layout';

const COMMA: i32 = 0x2c;
const ZERO: i32 = 0x30;
const COLON: i32 = 0x3a;

let identityEnd: usize = 0;

/**
 * Writes an identity to IDENTITY and its fingerprint to FINGERPRINT, and returns the identity's length. Its parts are the `prefixBytes` bytes that
 * stand at PREFIX, as they are, and then what the `count` bytes at `recipe` say: a field by its number, or one of the values below.
 */
export function identity(recipe: i32, count: i32, prefixBytes: i32, user: i32, number: f64, isTrue: bool): i32 {
  identityEnd = IDENTITY;
  memory.copy(identityEnd, PREFIX, prefixBytes);
  identityEnd += prefixBytes;
  for (let at = 0; at < count; at++) {
    const part = <i32>load<u8>(recipe + at);
    if (part == RECIPE_NUMBER) addNumber(number);
    else if (part == RECIPE_TRUTH) addTruth(isTrue);
    else addField(part == RECIPE_USER ? user : part);
  }
  hashIdentity();
  return <i32>(identityEnd - IDENTITY);
}

/** `<length>:<text>,` of a field, or `-,` where it is not there. */
function addField(field: i32): void {
  const start = load<i32>(STARTS + (field << 2));
  if (start == ABSENT) {
    store<u16>(identityEnd, 0x2c2d);
    identityEnd += 2;
    return;
  }
  const length = load<i32>(ENDS + (field << 2)) - start;
  addDigits(length);
  store<u8>(identityEnd++, COLON);
  copy(identityEnd, start, length);
  identityEnd += length;
  store<u8>(identityEnd++, COMMA);
}

/** A whole number that is at least 0, in digits. */
function addNumber(value: f64): void {
  const number = <u64>value;
  addDigits(digitCount(number));
  store<u8>(identityEnd++, COLON);
  addDigits(number);
  store<u8>(identityEnd++, COMMA);
}

/** `4:true,` or `5:false,`. */
function addTruth(isTrue: bool): void {
  store<u64>(identityEnd, isTrue ? 0x002c657572743a34 : 0x2c65736c61663a35);
  identityEnd += isTrue ? 7 : 8;
}

/** Short texts cost less in words than in a call; writes up to 15 bytes too many, which the next part overwrites. */
// @ts-ignore: decorator
@inline function copy(to: usize, from: usize, length: i32): void {
  if (length > 64) memory.copy(to, from, length);
  else for (let at = 0; at < length; at += 16) v128.store(to + at, v128.load(from + at));
}

function addDigits(value: u64): void {
  const count = digitCount(value);
  let rest = value;
  for (let at = identityEnd + count - 1; at >= identityEnd; at--) {
    const tenth = rest / 10;
    store<u8>(at, ZERO + <i32>(rest - tenth * 10));
    rest = tenth;
  }
  identityEnd += count;
}

function digitCount(value: u64): i32 {
  let count = 1;
  for (let rest = value; rest >= 10; rest /= 10) count++;
  return count;
}

/** MurmurHash3's 128-bit x86 form, seed 0: as in engine/core/hash.ts, where its source is named. */
function hashIdentity(): void {
  const c1: u32 = 0x239b961b;
  const c2: u32 = 0xab0e9789;
  const c3: u32 = 0x38b34ae5;
  const c4: u32 = 0xa1e38b93;
  let h1: u32 = 0;
  let h2: u32 = 0;
  let h3: u32 = 0;
  let h4: u32 = 0;
  // What lies behind the end counts as zeros.
  v128.store(identityEnd, i32x4.splat(0));
  let at: usize = IDENTITY;
  for (; at + 16 <= identityEnd; at += 16) {
    h1 ^= rotl(load<u32>(at) * c1, 15) * c2;
    h1 = (rotl(h1, 19) + h2) * 5 + 0x561ccd1b;
    h2 ^= rotl(load<u32>(at + 4) * c2, 16) * c3;
    h2 = (rotl(h2, 17) + h3) * 5 + 0x0bcaa747;
    h3 ^= rotl(load<u32>(at + 8) * c3, 17) * c4;
    h3 = (rotl(h3, 15) + h4) * 5 + 0x96cd1c35;
    h4 ^= rotl(load<u32>(at + 12) * c4, 18) * c1;
    h4 = (rotl(h4, 13) + h1) * 5 + 0x32ac3b17;
  }
  // A word of zeros leaves its sum as it is.
  h4 ^= rotl(load<u32>(at + 12) * c4, 18) * c1;
  h3 ^= rotl(load<u32>(at + 8) * c3, 17) * c4;
  h2 ^= rotl(load<u32>(at + 4) * c2, 16) * c3;
  h1 ^= rotl(load<u32>(at) * c1, 15) * c2;
  const length = <u32>(identityEnd - IDENTITY);
  h1 ^= length;
  h2 ^= length;
  h3 ^= length;
  h4 ^= length;
  h1 += h2 + h3 + h4;
  h2 += h1;
  h3 += h1;
  h4 += h1;
  h1 = mix(h1);
  h2 = mix(h2);
  h3 = mix(h3);
  h4 = mix(h4);
  h1 += h2 + h3 + h4;
  store<u32>(FINGERPRINT, h1);
  store<u32>(FINGERPRINT + 4, h2 + h1);
  store<u32>(FINGERPRINT + 8, h3 + h1);
  store<u32>(FINGERPRINT + 12, h4 + h1);
}

function mix(value: u32): u32 {
  let h = value ^ (value >> 16);
  h *= 0x85ebca6b;
  h ^= h >> 13;
  h *= 0xc2b2ae35;
  return h ^ (h >> 16);
}
