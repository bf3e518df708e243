/**
 * Values that stand for nothing: the null convention of all fields, and ids that many devices share.
 *
 * A user id counts as absent when it is made of zeros, dashes and blanks only (all-zero advertising ids under privacy limits,
 * `0`), when it is a word that SDKs and forwarders write for "none", or the one android_id that a whole generation of phones
 * shared. Such values would put strangers into one partition and take their events for duplicates. Two forms of each test,
 * over text for the door and over bytes for the decoder; a test holds them equal.
 */

const PLACEHOLDER_WORDS: ReadonlySet<string> = new Set([
  'n/a',
  'na',
  'nan',
  'nil',
  'none',
  'null',
  '(null)',
  'undefined',
  'unknown',
  'true',
  'false',
  // Android 2.2's defect: the same android_id on every device of some makers.
  '9774d56d682e549c',
]);
const WORD_LENGTH_MAX = 16;
const IS_ASCII = /^[\u0000-\u007f]*$/;
const ZERO = 0x30;
const DASH = 0x2d;
const BLANK = 0x20;
const isFiller = (code: number): boolean => code === ZERO || code === DASH || code === BLANK;

/** True for a user id that names nobody. The empty text is one. */
export function isPlaceholder(value: string): boolean {
  let at = 0;
  while (at < value.length && isFiller(value.charCodeAt(at))) at++;
  if (at === value.length) return true;
  // ASCII alone: some other letters lower to ASCII ones (the Kelvin sign to k), which bytes would not.
  return value.length <= WORD_LENGTH_MAX && IS_ASCII.test(value) && PLACEHOLDER_WORDS.has(value.toLowerCase());
}

/** {@link isPlaceholder} over the UTF-8 bytes of a value. */
export function isPlaceholderBytes(bytes: Buffer, start: number, end: number): boolean {
  let at = start;
  while (at < end && isFiller(bytes[at] as number)) at++;
  if (at === end) return true;
  return end - start <= WORD_LENGTH_MAX && PLACEHOLDER_WORDS.has(bytes.toString('latin1', start, end).toLowerCase());
}

const CAPITAL_N = 0x4e;
/** Length of the longest text that counts as not there. */
export const NULL_TEXT_LENGTH_MAX = 4;

/** Whether a field's text counts as not there: empty, `N/A` or `NULL`, as AppsFlyer's reports write it. */
export function isNullText(bytes: Buffer, start: number, end: number): boolean {
  const length = end - start;
  if (length === 0) return true;
  if (bytes[start] !== CAPITAL_N || length > NULL_TEXT_LENGTH_MAX) return false;
  const text = bytes.toString('latin1', start, end);
  return text === 'N/A' || text === 'NULL';
}
