/**
 * Which wanted field a key in a buffer is: one multiplication, one table look-up and a comparison, four bytes at a time.
 *
 * The table has no collisions: a multiplier for which none of the wanted names share a slot is searched when it is built.
 * Guarantee: a field is found exactly when the key's bytes are its name's. Hot path, about 55 times per record.
 */

import { assert } from '../../engine/core/types.ts';
import { FIELD_NAMES } from './fields.ts';

/** No field. */
export const UNWANTED = -1;
const NAME_LENGTH_MIN = 4;
const SLOT_BITS = 10;
const WORD = 4;
/** Words kept per name, enough for the longest. */
const WORDS_PER_NAME = 8;
const ATTEMPTS_MAX = 100_000;

const names = FIELD_NAMES.map((name) => Buffer.from(name));
const nameLengthMax = Math.max(...names.map((name) => name.byteLength));
assert(
  names.every((name) => name.byteLength >= NAME_LENGTH_MIN) && nameLengthMax <= WORDS_PER_NAME * WORD,
  'a field name is too short or too long for the key table',
);

const lengths = Uint8Array.from(names, (name) => name.byteLength);
/** The words of a name from its start, and its last four bytes, which may overlap the word before. */
const words = new Int32Array(names.length * WORDS_PER_NAME);
const lastWords = Int32Array.from(names, (name) => name.readInt32LE(name.byteLength - WORD));
names.forEach((name, field) => {
  for (let index = 0; (index + 1) * WORD <= name.byteLength; index++) words[field * WORDS_PER_NAME + index] = name.readInt32LE(index * WORD);
});

const slotOf = (first: number, last: number, length: number, multiplier: number): number =>
  Math.imul(first ^ (last << 3) ^ (last >>> 17) ^ length, multiplier) >>> (32 - SLOT_BITS);

const multiplier = findMultiplier();
const slots = buildSlots(multiplier) as Int8Array;

/** The field named by `view[start, end)`, or {@link UNWANTED}. */
export function fieldOfKey(view: DataView, start: number, end: number): number {
  const length = end - start;
  if (length < NAME_LENGTH_MIN || length > nameLengthMax) return UNWANTED;
  const first = view.getInt32(start, true);
  const last = view.getInt32(end - WORD, true);
  const field = slots[slotOf(first, last, length, multiplier)] as number;
  if (field === UNWANTED || lengths[field] !== length || lastWords[field] !== last) return UNWANTED;
  const base = field * WORDS_PER_NAME;
  if (words[base] !== first) return UNWANTED;
  for (let index = 1, at = start + WORD; at < end - WORD; index++, at += WORD) {
    if (words[base + index] !== view.getInt32(at, true)) return UNWANTED;
  }
  return field;
}

function findMultiplier(): number {
  // Odd numbers in a fixed pseudo-random order (Knuth's MMIX constants, low half), so that every run finds the same one.
  let candidate = 0x9e3779b1 | 0;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (buildSlots(candidate | 1) !== null) return candidate | 1;
    candidate = (Math.imul(candidate, 0x4c957f2d) + 0xf767814f) | 0;
  }
  throw new Error('bug: no multiplier separates the field names; raise SLOT_BITS');
}

/** Null when two names share a slot. */
function buildSlots(candidate: number): Int8Array | null {
  const table = new Int8Array(1 << SLOT_BITS).fill(UNWANTED);
  for (let field = 0; field < names.length; field++) {
    const slot = slotOf(words[field * WORDS_PER_NAME] as number, lastWords[field] as number, lengths[field] as number, candidate);
    if (table[slot] !== UNWANTED) return null;
    table[slot] = field;
  }
  return table;
}
