/**
 * Turns bytes into dimension values without making a new string each time: few values repeat over and over.
 *
 * A direct-mapped table of fixed size: a value that falls into a taken slot replaces what was there, so that a million
 * campaign names cost time and no memory. Only what is plain ASCII and short is kept. Hot path, about eight times per record;
 * bench/micro/decode.ts. One instance per decoder.
 */

import { dimensionValue } from '../../engine/core/dimension-value.ts';

/** Chosen: a few thousand campaigns, sources, countries and event names per actor thread. */
const SLOTS = 8_192;
/** Longer values are rare and not worth comparing. */
const CACHED_LENGTH_MAX = 64;

export class TextCache {
  readonly #texts = new Array<string>(SLOTS).fill('');

  /** The dimension value of the UTF-8 text in `bytes[start, end)`. The string holds on to nothing else. */
  value(bytes: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length > CACHED_LENGTH_MAX) return dimensionValue(bytes.toString('utf8', start, end));
    let hash = length;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
    const cached = this.#texts[slot] as string;
    if (cached.length === length && sameText(cached, bytes, start)) return cached;
    const text = bytes.toString('utf8', start, end);
    const value = dimensionValue(text);
    // A value that was changed, or has other than ASCII characters, must not be found by its bytes.
    if (value === text && text.length === length) this.#texts[slot] = text;
    return value;
  }
}

function sameText(text: string, bytes: Buffer, start: number): boolean {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) !== bytes[start + at]) return false;
  }
  return true;
}
