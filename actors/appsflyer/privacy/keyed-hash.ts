/**
 * The keyed hash that stands for a personal value: HMAC-SHA256 under a salt of its period, 128 bits in hex.
 *
 * The salt of a period is HMAC-SHA256 of the secret over the period's number, so that one secret serves all periods, nothing but the secret
 * need be kept, and who has a salt has no other. Equal values have equal hashes within a period, whichever field they stand in, so that
 * they can be joined; across periods they have nothing in common. The period comes from log time alone: a replay hashes the same.
 */

import { createHmac } from 'node:crypto';
import { BoundedCache } from '../../../engine/core/bounded-cache.ts';
import { MS_PER_DAY } from '../../../engine/core/types.ts';

const HASH_DIGITS = 32;
/** In each of two generations: an HMAC costs 3 µs, and users come again. Chosen: 20 MB at most. */
const CACHED_MAX = 65_536;
const CACHED_CHARACTERS_MAX = 128;

export class KeyedHash {
  readonly #secret: Uint8Array;
  readonly #periodMs: number;
  readonly #cache = new BoundedCache<string>(CACHED_MAX);
  #period = -1;
  #salt = new Uint8Array(0);

  /** `rotationDays`: 0 for one period without end. */
  constructor(secret: Uint8Array, rotationDays: number) {
    this.#secret = secret;
    this.#periodMs = rotationDays === 0 ? Infinity : rotationDays * MS_PER_DAY;
  }

  /** 32 hex digits for a value received then. */
  of(text: string, receivedAtMs: number): string {
    const period = Math.floor(receivedAtMs / this.#periodMs);
    if (period !== this.#period) this.#begin(period);
    const known = this.#cache.get(text);
    if (known !== undefined) return known;
    const digits = createHmac('sha256', this.#salt).update(text).digest('hex').slice(0, HASH_DIGITS);
    if (text.length <= CACHED_CHARACTERS_MAX) this.#cache.set(text, digits);
    return digits;
  }

  #begin(period: number): void {
    this.#period = period;
    this.#salt = createHmac('sha256', this.#secret).update(`millrace salt ${period}`).digest();
    this.#cache.clear();
  }
}
