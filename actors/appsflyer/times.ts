/**
 * Reads AppsFlyer's times: `yyyy-mm-dd hh:mm:ss[.s…]`, UTC without a zone. `T` between date and time and a zone at the end (`Z`,
 * `±hhmm`, `±hh:mm`) are understood too, because forwarders write them.
 *
 * Years 1970 to 9999. Fractions are cut to milliseconds. A leap second is no readable time, nor is a day that its month lacks.
 * Hot path: 100 K records a second, at most 700 ns a record with the other derivations; bench/micro/decode.ts. No strings, no Date.
 */

import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from '../../engine/core/types.ts';

/** What stands for a text that is no time. */
export const NO_TIME = -1;
const YEAR_MIN = 1970;
/** `yyyy-mm-dd hh:mm:ss` */
const LENGTH_MIN = 19;

const DASH = 0x2d;
const PLUS = 0x2b;
const COLON = 0x3a;
const DOT = 0x2e;
const BLANK = 0x20;
const CAPITAL_T = 0x54;
const CAPITAL_Z = 0x5a;

/** Epoch milliseconds of the time in `bytes[start, end)`, at least 0, or {@link NO_TIME}. */
export function readTimeMs(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < LENGTH_MIN) return NO_TIME;
  const separator = bytes[start + 10] as number;
  if (bytes[start + 4] !== DASH || bytes[start + 7] !== DASH || (separator !== BLANK && separator !== CAPITAL_T)) return NO_TIME;
  if (bytes[start + 13] !== COLON || bytes[start + 16] !== COLON) return NO_TIME;
  const year = twoDigits(bytes, start) * 100 + twoDigits(bytes, start + 2);
  const month = twoDigits(bytes, start + 5);
  const day = twoDigits(bytes, start + 8);
  const hour = twoDigits(bytes, start + 11);
  const minute = twoDigits(bytes, start + 14);
  const second = twoDigits(bytes, start + 17);
  // Comparisons with NaN, which twoDigits gives for what is no digit, are false: each must be written to hold for good values.
  const fits = year >= YEAR_MIN && month >= 1 && month <= 12 && day >= 1 && hour <= 23 && minute <= 59 && second <= 59;
  if (!fits || day > daysInMonth(year, month)) return NO_TIME;
  let at = start + LENGTH_MIN;
  let ms = 0;
  if (at < end && bytes[at] === DOT) {
    let scale = 100;
    const first = ++at;
    for (; at < end && isDigit(bytes[at] as number); at++) {
      ms += Math.floor(scale) * ((bytes[at] as number) - 0x30);
      scale /= 10;
    }
    if (at === first) return NO_TIME;
  }
  const offsetMs = at === end ? 0 : zoneOffsetMs(bytes, at, end);
  const timeMs =
    daysSinceEpoch(year, month, day) * MS_PER_DAY + hour * MS_PER_HOUR + minute * MS_PER_MINUTE + second * MS_PER_SECOND + ms - offsetMs;
  return timeMs >= 0 ? timeMs : NO_TIME;
}

/** Milliseconds east of UTC, or NaN for what is no zone. */
function zoneOffsetMs(bytes: Uint8Array, start: number, end: number): number {
  const sign = bytes[start] as number;
  if (sign === CAPITAL_Z) return end - start === 1 ? 0 : NaN;
  if (sign !== PLUS && sign !== DASH) return NaN;
  const withColon = end - start === 6 && bytes[start + 3] === COLON;
  if (end - start !== 5 && !withColon) return NaN;
  const hours = twoDigits(bytes, start + 1);
  const minutes = twoDigits(bytes, end - 2);
  if (!(hours <= 14 && minutes <= 59)) return NaN;
  const offsetMs = hours * MS_PER_HOUR + minutes * MS_PER_MINUTE;
  return sign === PLUS ? offsetMs : -offsetMs;
}

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;

function twoDigits(bytes: Uint8Array, at: number): number {
  const high = bytes[at] as number;
  const low = bytes[at + 1] as number;
  return isDigit(high) && isDigit(low) ? (high - 0x30) * 10 + low - 0x30 : NaN;
}

const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;
const isLeap = (year: number): boolean => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
const daysInMonth = (year: number, month: number): number => (month === 2 && isLeap(year) ? 29 : (MONTH_DAYS[month - 1] as number));

/** Days from 1970-01-01; Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". The year begins in March. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468;
}
