/**
 * Spend as integer micros, exactly, from decimal text.
 *
 * Unlike the amounts of events (actors/appsflyer/amounts.ts), a day of a campaign in rupiah may have billions of units, and a decimal that
 * cannot be kept is refused rather than rounded: a sender who states micros finds them again. Files of doubles ask for rounding.
 */

/** Beyond it sums would not be exact in JSON: nine billion units of currency in one row. */
export const COST_MICROS_MAX = Number.MAX_SAFE_INTEGER;
const DECIMALS = 6;
const LENGTH_MAX = 64;
/** A JSON number up to here has its six decimals in its double; a larger one may have lost them, and must come as text. */
const NUMBER_MAX = 1e9;
const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/;

export type MoreDecimals = 'refuse' | 'round';

/** Micros of a decimal text or a JSON number; null when it is none, is too large, or has more than six decimals and these are refused. */
export function costMicros(value: unknown, moreDecimals: MoreDecimals): number | null {
  if (typeof value === 'number') return Number.isFinite(value) && Math.abs(value) <= NUMBER_MAX ? microsOf(String(value), moreDecimals) : null;
  return typeof value === 'string' ? microsOf(value.trim(), moreDecimals) : null;
}

function microsOf(text: string, moreDecimals: MoreDecimals): number | null {
  const match = text.length <= LENGTH_MAX ? DECIMAL.exec(text) : null;
  if (match === null) return null;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  const digits = whole + fraction;
  if (digits === '') return null;
  // The decimal point in micros stands so many digits from the left.
  const places = whole.length + Number(exponent) + DECIMALS;
  const kept = places >= 0 ? digits.slice(0, places).padEnd(Math.min(places, LENGTH_MAX), '0') : '';
  const rest = places >= 0 ? digits.slice(places) : digits.padStart(digits.length - places, '0');
  if (places > LENGTH_MAX && /[1-9]/.test(digits)) return null;
  const isExact = !/[1-9]/.test(rest);
  if (!isExact && moreDecimals === 'refuse') return null;
  let micros = BigInt(kept === '' ? '0' : kept);
  if (!isExact && isRoundedUp(rest, micros)) micros += 1n;
  if (micros > BigInt(COST_MICROS_MAX)) return null;
  // `|| 0`: there is one zero.
  return (sign === '-' ? -Number(micros) : Number(micros)) || 0;
}

/** Half to even. */
function isRoundedUp(rest: string, micros: bigint): boolean {
  const first = rest.charCodeAt(0) - 0x30;
  if (first !== 5) return first > 5;
  return /[1-9]/.test(rest.slice(1)) || micros % 2n === 1n;
}
