/**
 * Sorted runs of 128-bit fingerprints as they lie in the store: order, chunks, keys, look-up. Pure; owned by the actor thread.
 *
 * ```
 * key    1 | bucket (4) | epoch (6) | level (1) | chunk (3)          big-endian, so that a run's chunks are neighbours
 * value  fingerprint (16) ...                                        four little-endian words each, ascending, at most 255
 * ```
 * 255 fingerprints and LMDB's 16-byte header fill one 4 KiB overflow page exactly: a look-up copies one page.
 */

import { compareVariants, Found } from '../../engine/core/dedupe-key.ts';
import { EngineError } from '../../engine/core/errors.ts';
import { assert } from '../../engine/core/types.ts';

export const FINGERPRINT_WORDS = 4;
export const FINGERPRINT_BYTES = 16;
/** Derived: (4,096 - LMDB's page header of 16) / 16. */
export const CHUNK_FINGERPRINTS_MAX = 255;
const RUN_KEY_BYTES = 15;
const RUN_TAG = 1;
/** Below this the comparator sort beats the radix passes (chosen; both take microseconds). */
const RADIX_MIN = 256;
const RADIX_BITS = 11;
const RADIX_SIZE = 1 << RADIX_BITS;

/** `written`: as a checkpoint wrote it; `merged`: by compaction. Stored in the key, so that both may carry one epoch. */
export const RunLevel = { written: 0, merged: 1 } as const;
export type RunLevel = (typeof RunLevel)[keyof typeof RunLevel];

/** Names a run. `bucket` counts running hours, `epoch` is the checkpoint that began it. */
export interface RunName {
  readonly bucket: number;
  readonly epoch: number;
  readonly level: RunLevel;
}

/** A complete run in the store. `fences`: the first word of each chunk's first fingerprint, so that a look-up reads one chunk. */
export interface Run extends RunName {
  readonly count: number;
  readonly fences: Uint32Array;
}

export const sameRun = (a: RunName, b: RunName): boolean => a.bucket === b.bucket && a.epoch === b.epoch && a.level === b.level;

export function runKey(name: RunName, chunk: number): Uint8Array {
  assert(name.bucket >= 0 && name.bucket < 2 ** 32 && chunk >= 0 && chunk < 2 ** 24, `run key out of range: bucket ${name.bucket}, chunk ${chunk}`);
  const key = new Uint8Array(RUN_KEY_BYTES);
  const view = new DataView(key.buffer);
  view.setUint8(0, RUN_TAG);
  view.setUint32(1, name.bucket);
  view.setUint16(5, Math.floor(name.epoch / 0x100000000));
  view.setUint32(7, name.epoch >>> 0);
  view.setUint8(11, name.level);
  view.setUint16(12, chunk >>> 8);
  view.setUint8(14, chunk & 0xff);
  return key;
}

export function parseRunKey(key: Uint8Array): { name: RunName; chunk: number } {
  if (key.byteLength !== RUN_KEY_BYTES || key[0] !== RUN_TAG) {
    throw new EngineError('STATE_CORRUPT', `a dedupe key of ${key.byteLength} bytes cannot be read`, { fix: 'restore this partition from a savepoint' });
  }
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const name = {
    bucket: view.getUint32(1),
    epoch: view.getUint16(5) * 0x100000000 + view.getUint32(7),
    level: view.getUint8(11) as RunLevel,
  };
  return { name, chunk: view.getUint16(12) * 256 + view.getUint8(14) };
}

/** The key range of all runs. */
export const ALL_RUNS = { from: Uint8Array.of(RUN_TAG), to: Uint8Array.of(RUN_TAG + 1) } as const;

/** A chunk's words; the view is aligned, copying only where the store's copy is not. */
export function chunkWords(value: Uint8Array): Uint32Array {
  if (value.byteLength === 0 || value.byteLength % FINGERPRINT_BYTES !== 0) {
    throw new EngineError('STATE_CORRUPT', `a dedupe run holds a chunk of ${value.byteLength} bytes`, { fix: 'restore this partition from a savepoint' });
  }
  const aligned = value.byteOffset % 4 === 0 ? value : value.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}

/** Negative, 0 or positive, as fingerprint `a` at word `aAt` sorts before, with or after `b` at word `bAt`, by their first `count` words. */
export function compareAt(a: Uint32Array, aAt: number, b: Uint32Array, bAt: number, count = FINGERPRINT_WORDS): number {
  for (let word = 0; word < count; word++) {
    const difference = (a[aAt + word] as number) - (b[bAt + word] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** How sorted `words` hold the fingerprint. Its variants are neighbours: they are equal in all words but the last. */
export function findInChunk(words: Uint32Array, fingerprint: Uint32Array): Found {
  const asked = fingerprint[FINGERPRINT_WORDS - 1] as number;
  let found: Found = Found.nowhere;
  for (let at = firstVariantAt(words, fingerprint); at < words.length && areVariants(words, at, fingerprint); at += FINGERPRINT_WORDS) {
    const one = compareVariants(words[at + FINGERPRINT_WORDS - 1] as number, asked);
    if (one === Found.same) return one;
    if (one > found) found = one;
  }
  return found;
}

/** Word index of the first fingerprint whose words but the last are not below. */
function firstVariantAt(words: Uint32Array, fingerprint: Uint32Array): number {
  let low = 0;
  let high = words.length / FINGERPRINT_WORDS;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareAt(words, middle * FINGERPRINT_WORDS, fingerprint, 0, FINGERPRINT_WORDS - 1) < 0) low = middle + 1;
    else high = middle;
  }
  return low * FINGERPRINT_WORDS;
}

const areVariants = (words: Uint32Array, at: number, fingerprint: Uint32Array): boolean => compareAt(words, at, fingerprint, 0, FINGERPRINT_WORDS - 1) === 0;

/** Index of the last fence at or below `word`; -1 when all lie above. */
export function lastFenceAtMost(fences: Uint32Array, word: number): number {
  let low = 0;
  let high = fences.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((fences[middle] as number) <= word) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The first `count` fingerprints of `words`, sorted into an array of their own. Three radix passes over the first word; ties by comparison. */
export function sortFingerprints(words: Uint32Array, count: number): Uint32Array {
  const order = count < RADIX_MIN ? comparedOrder(words, Uint32Array.from({ length: count }, (_, index) => index)) : radixOrder(words, count);
  const sorted = new Uint32Array(count * FINGERPRINT_WORDS);
  for (let at = 0; at < count; at++) {
    const from = (order[at] as number) * FINGERPRINT_WORDS;
    const to = at * FINGERPRINT_WORDS;
    sorted[to] = words[from] as number;
    sorted[to + 1] = words[from + 1] as number;
    sorted[to + 2] = words[from + 2] as number;
    sorted[to + 3] = words[from + 3] as number;
  }
  return sorted;
}

const comparedOrder = (words: Uint32Array, order: Uint32Array): Uint32Array =>
  order.sort((a, b) => compareAt(words, a * FINGERPRINT_WORDS, words, b * FINGERPRINT_WORDS));

function radixOrder(words: Uint32Array, count: number): Uint32Array {
  let keys = new Uint32Array(count);
  let order = new Uint32Array(count);
  for (let index = 0; index < count; index++) {
    keys[index] = words[index * FINGERPRINT_WORDS] as number;
    order[index] = index;
  }
  let keysNext = new Uint32Array(count);
  let orderNext = new Uint32Array(count);
  for (let shift = 0; shift < 32; shift += RADIX_BITS) {
    const starts = new Uint32Array(RADIX_SIZE + 1);
    for (let at = 0; at < count; at++) (starts[(((keys[at] as number) >>> shift) & (RADIX_SIZE - 1)) + 1] as number)++;
    for (let digit = 1; digit <= RADIX_SIZE; digit++) starts[digit] = (starts[digit] as number) + (starts[digit - 1] as number);
    for (let at = 0; at < count; at++) {
      const digit = ((keys[at] as number) >>> shift) & (RADIX_SIZE - 1);
      const to = starts[digit] as number;
      starts[digit] = to + 1;
      keysNext[to] = keys[at] as number;
      orderNext[to] = order[at] as number;
    }
    [keys, keysNext] = [keysNext, keys];
    [order, orderNext] = [orderNext, order];
  }
  for (let from = 0; from < count; ) {
    let to = from + 1;
    while (to < count && keys[to] === keys[from]) to++;
    if (to - from > 1) comparedOrder(words, order.subarray(from, to));
    from = to;
  }
  return order;
}
