/**
 * Finds a fingerprint in the log: an open-addressing table of 4-byte places on pages, linear probing.
 *
 * ```
 * place   tag of word 3, of bits that are no variant (6 bits, never 0) | number of the entry in the log (26 bits)    0: free     home = word 0 x capacity / 2^32
 * ```
 * A place whose entry has left the log is dead: it is passed over like one of another fingerprint, and left out when the table is rewritten.
 * Capacity changes, and dead places go, by one rewriting, a bounded number of places per call. The home rises with word 0, so a border goes
 * through the table: what has its home below is in the new one, the rest still in the old one. A look-up goes to one of them; the pages of
 * the old one go as those of the new one come, so that growth never holds both.
 *
 * The last place has no neighbour to turn to: probing goes on into pages behind it, which come when they are needed. So no run of
 * fingerprints, however alike, fills the table; it only becomes slow.
 *
 * Hot path: 100 K records a second, at most 500 ns an admission in memory; bench/micro/dedupe.ts. {@link DedupeTable.find} and {@link DedupeTable.place}. Actor thread.
 */

import { Found } from '../../engine/core/dedupe-key.ts';
import { assert } from '../../engine/core/types.ts';
import type { FingerprintLog } from './dedupe-log.ts';
import { SLAB_BITS, SLAB_MASK, type PagePool } from './dedupe-pages.ts';

export const PLACE_BYTES = 4;
export const NUMBER_BITS = 26;
const TAG_MASK = 2 ** (32 - NUMBER_BITS) - 1;
const NUMBER_MASK = 2 ** NUMBER_BITS - 1;
const FREE = 0;
/** Places that a rewriting reads before it writes them (chosen: a few KiB of buffers). */
const GATHERED_MAX = 512;
const WORD_RANGE = 2 ** 32;

const tagOf = (word: number): number => {
  const tag = word & TAG_MASK;
  return (tag === 0 ? 1 : tag) << NUMBER_BITS;
};

interface Places {
  readonly capacity: number;
  readonly scale: number;
  /** By the upper bits of a place; what lies below the border has been given back. */
  readonly pages: number[];
  /** Places that are not free, dead ones included. */
  used: number;
}

export class DedupeTable {
  readonly #pool: PagePool;
  readonly #log: FingerprintLog;
  #now: Places;
  /** While it is rewritten: the table after, and the border, in places of the one before. */
  #after: Places | null = null;
  #border = 0;
  #pages = 0;
  /** Where the last look-up ended at a free place, for {@link place}. */
  #at = 0;
  #words: Int32Array = new Int32Array(0);
  #in: Places;
  #slot = 0;
  /** Of a rewriting: taken places, the first words of their entries, and whether the scan ended at a free place. */
  readonly #gathered = new Int32Array(GATHERED_MAX);
  readonly #firstWords = new Int32Array(GATHERED_MAX);
  #gatheredCount = 0;
  #hasMetFree = false;

  constructor(pool: PagePool, log: FingerprintLog, capacity: number) {
    this.#pool = pool;
    this.#log = log;
    this.#now = this.#newPlaces(capacity);
    this.#in = this.#now;
    this.#reach(this.#now, capacity);
  }

  /** Of the table that arrivals fill: while it is rewritten, the one after. */
  get capacity(): number {
    return (this.#after ?? this.#now).capacity;
  }

  /** Places of it that are not free, dead ones included. */
  get used(): number {
    return (this.#after ?? this.#now).used;
  }

  get isRewriting(): boolean {
    return this.#after !== null;
  }

  get byteLength(): number {
    return this.#pages * this.#pool.pageBytes;
  }

  /** What it will take once it is rewritten, if that is more. */
  get byteLengthDue(): number {
    return Math.max(this.byteLength, this.capacity * PLACE_BYTES);
  }

  /** Whether the log holds the fingerprint, or other variants of it. */
  find(fingerprint: Uint32Array): Found {
    const a = (fingerprint[0] as number) | 0;
    const b = (fingerprint[1] as number) | 0;
    const c = (fingerprint[2] as number) | 0;
    const d = (fingerprint[3] as number) | 0;
    const tag = tagOf(d);
    const { pageBits, slabs } = this.#pool;
    const pageMask = (1 << pageBits) - 1;
    let places = this.#now;
    let slot = ((a >>> 0) * places.scale) | 0;
    if (slot < this.#border) {
      places = this.#after as Places;
      slot = ((a >>> 0) * places.scale) | 0;
    }
    let met: Found = Found.nowhere;
    for (;;) {
      const page = places.pages[slot >> pageBits] as number;
      const words = slabs[page >> SLAB_BITS] as Int32Array;
      let at = ((page & SLAB_MASK) << pageBits) + (slot & pageMask);
      const end = at + pageMask + 1 - (slot & pageMask);
      for (; at < end; at++, slot++) {
        const place = words[at] as number;
        if (place === FREE) {
          this.#in = places;
          this.#words = words;
          this.#at = at;
          this.#slot = slot;
          return met;
        }
        if ((place ^ tag) >>> NUMBER_BITS !== 0) continue;
        const found = this.#log.compare(place & NUMBER_MASK, a, b, c, d);
        if (found === Found.same) return found;
        if (found !== Found.nowhere) met = found;
      }
    }
  }

  /** Remembers where the log has the fingerprint of the last look-up, which did not find the same; nothing may lie between. */
  place(fingerprint: Uint32Array, number: number): void {
    this.#words[this.#at] = tagOf(fingerprint[3] as number) | number;
    this.#in.used++;
    const next = this.#slot + 1;
    if ((next & (this.#pool.pageWords - 1)) === 0) this.#reach(this.#in, next);
  }

  /** Begins a table of `capacity` places without the dead ones; {@link rewrite} fills it. */
  beginRewrite(capacity: number): void {
    assert(this.#after === null, 'one rewriting at a time');
    this.#after = this.#newPlaces(capacity);
    this.#border = 0;
  }

  /** Enters all that the log holds into a table that knows none of it: a restore. Not bounded. */
  enterAll(capacity: number): void {
    this.beginRewrite(capacity);
    const log = this.#log;
    for (let number = log.first, left = log.count; left > 0; left--, number = (number + 1) & log.numberMask) {
      this.#enter(this.#after as Places, tagOf(log.word(number, 3)) | number, log.word(number, 0));
    }
    this.rewrite(Number.MAX_SAFE_INTEGER);
  }

  /** Moves the border past at least `limit` places, to the next free one. True when that ended the rewriting. */
  rewrite(limit: number): boolean {
    const after = this.#after;
    if (after === null) return false;
    const { pageBits } = this.#pool;
    const now = this.#now;
    const end = now.pages.length << pageBits;
    const until = Math.min(end, this.#border + limit);
    const from = this.#border;
    let slot = from;
    for (let isFree = false; slot < end && !isFree; ) {
      slot = this.#gather(now, slot, until);
      // Apart from the scan, so that the log's words, each a cache miss, are read side by side.
      const count = this.#log.wordsOf(this.#gathered, this.#gatheredCount, this.#firstWords);
      for (let at = 0; at < count; at++) this.#enter(after, this.#gathered[at] as number, this.#firstWords[at] as number);
      isFree = this.#hasMetFree;
    }
    for (let page = from >> pageBits; page < slot >> pageBits; page++) this.#give(now, page);
    this.#border = slot;
    if (slot < end) {
      this.#reach(after, Math.min(after.capacity, Math.ceil((slot / now.capacity) * after.capacity) + 1));
      return false;
    }
    this.#reach(after, after.capacity);
    this.#now = after;
    this.#after = null;
    this.#border = 0;
    return true;
  }

  /**
   * Collects taken places from `slot` on, within one page. Returns where it stopped: at the page's end, when there are enough, or at the first free
   * place that is not before `until`. Behind that no entry has its home before it: what lies there is for look-ups of the old table alone.
   */
  #gather(from: Places, slot: number, until: number): number {
    const { pageBits, slabs } = this.#pool;
    const page = from.pages[slot >> pageBits] as number;
    const words = slabs[page >> SLAB_BITS] as Int32Array;
    const pageMask = (1 << pageBits) - 1;
    const base = ((page & SLAB_MASK) << pageBits) - (slot & ~pageMask);
    const end = Math.min((slot | pageMask) + 1, slot + GATHERED_MAX);
    const gathered = this.#gathered;
    let count = 0;
    let next = slot;
    this.#hasMetFree = false;
    for (; next < end; next++) {
      const place = words[base + next] as number;
      if (place !== FREE) gathered[count++] = place;
      else if (next >= until) {
        this.#hasMetFree = true;
        break;
      }
    }
    this.#gatheredCount = count;
    return next;
  }

  /** Puts a place whose entry has this first word where it belongs. */
  #enter(to: Places, place: number, firstWord: number): void {
    const { pageBits, slabs } = this.#pool;
    const pageMask = (1 << pageBits) - 1;
    let slot = ((firstWord >>> 0) * to.scale) | 0;
    if (slot >> pageBits >= to.pages.length) this.#reach(to, slot);
    for (;;) {
      const page = to.pages[slot >> pageBits] as number;
      const words = slabs[page >> SLAB_BITS] as Int32Array;
      const at = ((page & SLAB_MASK) << pageBits) + (slot & pageMask);
      slot++;
      if (words[at] !== FREE) continue;
      words[at] = place;
      break;
    }
    to.used++;
    if ((slot & pageMask) === 0) this.#reach(to, slot);
  }

  #newPlaces(capacity: number): Places {
    return { capacity, scale: capacity / WORD_RANGE, pages: [], used: 0 };
  }

  /** Brings the pages up to the one of `slot`, free all. */
  #reach(places: Places, slot: number): void {
    while (places.pages.length <= slot >> this.#pool.pageBits) {
      places.pages.push(this.#pool.takeZeroed());
      this.#pages++;
    }
  }

  #give(places: Places, page: number): void {
    this.#pool.give(places.pages[page] as number);
    this.#pages--;
  }
}
