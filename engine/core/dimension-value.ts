/**
 * Makes any text fit to be a dimension value: one that keys, paths and other systems can carry, and that never grows without bound.
 *
 * Guarantees: no control characters (hence no separator), no lone surrogates, never more than DIMENSION_VALUE_BYTES_MAX UTF-8
 * bytes; a fit value is returned as it is, and two different long values stay different. Pure; about 15 ns for ordinary text.
 */

import { DIMENSION_VALUE_BYTES_MAX } from './cell.ts';
import { fingerprintHex, hash128Text } from './hash.ts';

/** Stands for each character that cannot be kept. */
const REPLACEMENT = '\ufffd';
const CUT_MARK = '~';
/** Hex digits after the mark: enough for billions of values of one prefix. */
const CUT_HASH_DIGITS = 16;
const UNFIT = /[\u0000-\u001f\u007f-\u009f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** The value itself where it is fit, else the nearest fit one. */
export function dimensionValue(text: string): string {
  if (text.length > DIMENSION_VALUE_BYTES_MAX) return makeFit(text);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code > 0x7e) return makeFit(text);
  }
  return text;
}

function makeFit(text: string): string {
  const clean = text.replace(UNFIT, REPLACEMENT);
  if (Buffer.byteLength(clean) <= DIMENSION_VALUE_BYTES_MAX) return clean;
  const words = new Uint32Array(4);
  hash128Text(text, words);
  const mark = CUT_MARK + fingerprintHex(words).slice(0, CUT_HASH_DIGITS);
  return cutToBytes(clean, DIMENSION_VALUE_BYTES_MAX - mark.length) + mark;
}

/** The longest beginning of at most `bytesMax` UTF-8 bytes that ends between two characters. */
function cutToBytes(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text);
  let end = bytesMax;
  while (((bytes[end] as number) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
