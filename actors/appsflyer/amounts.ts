/**
 * Reads amounts of money as integer micros, exactly: from decimal text, never through a binary fraction.
 *
 * Accepts `[+-]digits[.digits][e[+-]digits]`, with a leading or trailing point too; nothing else (no thousands marks, no blanks).
 * More than six decimals are rounded half to even. Beyond ±AMOUNT_MICROS_MAX an amount counts as unreadable: one million units in one
 * event is a mistake or an attack, and the bound keeps the sums of nine thousand such events exact.
 */

/** Largest magnitude of one amount: one million units. Sums stay safe integers for 9,007 events of this size in one cell. */
export const AMOUNT_MICROS_MAX = 1e12;
const DECIMALS = 6;
/** Longer texts are no amounts; 18 digits and an exponent fit many times. */
const LENGTH_MAX = 64;

const DOT = 0x2e;
const MINUS = 0x2d;
const PLUS = 0x2b;

/** Micros of the amount in `bytes[start, end)`, or NaN when it is unreadable or out of bounds. */
export function readMicros(bytes: Uint8Array, start: number, end: number): number {
  if (end - start > LENGTH_MAX) return NaN;
  let at = start;
  const negative = bytes[at] === MINUS;
  if (negative || bytes[at] === PLUS) at++;
  const first = at;
  let point = -1;
  for (; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === DOT && point < 0) point = at;
    else if (byte < 0x30 || byte > 0x39) break;
  }
  const last = at;
  const digits = last - first - (point < 0 ? 0 : 1);
  if (digits === 0) return NaN;
  const exponent = at === end ? 0 : readExponent(bytes, at, end);
  const wholeDigits = (point < 0 ? last : point) - first;
  const micros = scaleDigits(bytes, first, last, wholeDigits + exponent);
  // `|| 0` makes one zero of the two: -0 would differ in a sum of nothing else.
  return micros <= AMOUNT_MICROS_MAX ? (negative ? -micros : micros) || 0 : NaN;
}

/** The exponent after `e`, or NaN. */
function readExponent(bytes: Uint8Array, start: number, end: number): number {
  if (((bytes[start] as number) | 0x20) !== 0x65) return NaN;
  let at = start + 1;
  const negative = bytes[at] === MINUS;
  if (negative || bytes[at] === PLUS) at++;
  // Past it where the text ends with `e`: the sign is somebody else's.
  if (at >= end) return NaN;
  let value = 0;
  for (; at < end; at++) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) return NaN;
    value = Math.min(value * 10 + digit, 1_000);
  }
  return negative ? -value : value;
}

/**
 * The digits of `bytes[first, last)` (a point among them is skipped) as micros, the decimal point after `wholeDigits` of them; above the
 * bound some number above the bound.
 */
function scaleDigits(bytes: Uint8Array, first: number, last: number, wholeDigits: number): number {
  if (Number.isNaN(wholeDigits)) return NaN;
  let micros = 0;
  // Power of ten of the coming digit, in micros.
  let place = wholeDigits - 1 + DECIMALS;
  let half = 0;
  let beyondHalf = false;
  for (let at = first; at < last; at++) {
    const byte = bytes[at] as number;
    if (byte === DOT) continue;
    const digit = byte - 0x30;
    if (place >= 0) {
      micros = micros * 10 + digit;
      if (micros > AMOUNT_MICROS_MAX) return micros;
    } else if (place === -1) half = digit;
    else if (digit !== 0) beyondHalf = true;
    place--;
  }
  for (; place >= 0 && micros !== 0; place--) {
    micros *= 10;
    if (micros > AMOUNT_MICROS_MAX) return micros;
  }
  return half > 5 || (half === 5 && (beyondHalf || micros % 2 === 1)) ? micros + 1 : micros;
}
