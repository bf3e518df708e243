/**
 * The fingerprints in memory: one open-addressing table over all buckets, linear probing, each entry with its segment number.
 *
 * ```
 * slot   word 0 | word 1 | word 2 | word 3 | segment (0: free)      home slot = word 0 x capacity / 2^32
 * ```
 * Segments rise with time, so one comparison tells a live entry from an expired one, and whole segments go at once by a sweep.
 * The home slot rises with word 0, so a migration reads and writes both tables front to back. Capacity changes by migrating
 * a bounded number of slots per call, deletion shifts back (no tombstones): no call ever does work that grows with the table.
 *
 * Hot: {@link DedupeTable.probe} and {@link DedupeTable.place} once per record; `bench/micro/dedupe.ts`. Actor thread.
 */

import { assert } from '../../engine/core/types.ts';

const SLOT_WORDS = 5;
export const SLOT_BYTES = SLOT_WORDS * 4;
export const FREE = 0;
const WORD_RANGE = 2 ** 32;

/** Told of each entry that leaves memory although it has not expired; words as signed 32-bit numbers. */
export type Evicted = (block: number, bits: number, segment: number) => void;

export class DedupeTable {
  #slots: Int32Array;
  #capacity: number;
  #scale: number;
  #used = 0;
  /** While migrating: the table before, read only, and how far it has been migrated. */
  #old: Int32Array | null = null;
  #oldCapacity = 0;
  #oldScale = 0;
  #oldCursor = 0;
  #sweepCursor = 0;
  /** Word index of the slot that the last probe ended at, for place. */
  #at = 0;
  #atTaken = false;

  constructor(capacity: number) {
    this.#slots = new Int32Array(capacity * SLOT_WORDS);
    this.#capacity = capacity;
    this.#scale = capacity / WORD_RANGE;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** Taken slots, expired entries included; those not migrated yet are not. */
  get used(): number {
    return this.#used;
  }

  get migrating(): boolean {
    return this.#old !== null;
  }

  get byteLength(): number {
    return this.#slots.byteLength + (this.#old?.byteLength ?? 0);
  }

  /** The newest segment remembered for a fingerprint, expired or not; {@link FREE} for none. */
  probe(fingerprint: Uint32Array): number {
    const a = (fingerprint[0] as number) | 0;
    const b = (fingerprint[1] as number) | 0;
    const c = (fingerprint[2] as number) | 0;
    const d = (fingerprint[3] as number) | 0;
    const slots = this.#slots;
    const end = slots.length;
    let at = (((a >>> 0) * this.#scale) | 0) * SLOT_WORDS;
    for (;;) {
      const segment = slots[at + 4] as number;
      if (segment === FREE) break;
      if (slots[at] === a && slots[at + 1] === b && slots[at + 2] === c && slots[at + 3] === d) {
        this.#at = at;
        this.#atTaken = true;
        return segment;
      }
      at += SLOT_WORDS;
      if (at === end) at = 0;
    }
    this.#at = at;
    this.#atTaken = false;
    return this.#old === null ? FREE : this.#probeOld(this.#old, a, b, c, d);
  }

  #probeOld(slots: Int32Array, a: number, b: number, c: number, d: number): number {
    let at = (((a >>> 0) * this.#oldScale) | 0) * SLOT_WORDS;
    for (;;) {
      const segment = slots[at + 4] as number;
      if (segment === FREE) return FREE;
      if (slots[at] === a && slots[at + 1] === b && slots[at + 2] === c && slots[at + 3] === d) return segment;
      at += SLOT_WORDS;
      if (at === slots.length) at = 0;
    }
  }

  /** Remembers the fingerprint of the last probe, with nothing between; in place of its expired entry, if it had one. */
  place(fingerprint: Uint32Array, segment: number): void {
    const at = this.#at;
    const slots = this.#slots;
    if (!this.#atTaken) {
      assert(this.#used + 1 < this.#capacity, 'the dedupe table is full');
      slots[at] = fingerprint[0] as number;
      slots[at + 1] = fingerprint[1] as number;
      slots[at + 2] = fingerprint[2] as number;
      slots[at + 3] = fingerprint[3] as number;
      this.#used++;
    }
    slots[at + 4] = segment;
  }

  /** Begins a table of `capacity` slots; {@link migrate} fills it. */
  beginMigration(capacity: number): void {
    assert(this.#old === null, 'one migration at a time');
    this.#old = this.#slots;
    this.#oldCapacity = this.#capacity;
    this.#oldScale = this.#scale;
    this.#oldCursor = 0;
    this.#slots = new Int32Array(capacity * SLOT_WORDS);
    this.#capacity = capacity;
    this.#scale = capacity / WORD_RANGE;
    this.#used = 0;
    this.#sweepCursor = 0;
  }

  /**
   * Moves up to `limit` slots over, leaving out what has expired (`segment < liveFrom`, which is at least 1) and what is evicted
   * (`segment <= evictThrough`). True when this ended the migration.
   */
  migrate(limit: number, liveFrom: number, evictThrough: number, evicted: Evicted): boolean {
    const old = this.#old;
    if (old === null) return false;
    const until = Math.min(this.#oldCapacity, this.#oldCursor + limit);
    for (let slot = this.#oldCursor; slot < until; slot++) {
      const at = slot * SLOT_WORDS;
      const segment = old[at + 4] as number;
      // An entry below liveFrom may have been remembered anew in the new table; no live entry ever is.
      if (segment < liveFrom) continue;
      if (segment <= evictThrough) evicted(old[at + 1] as number, old[at + 2] as number, segment);
      else this.#move(old, at);
    }
    this.#oldCursor = until;
    if (until < this.#oldCapacity) return false;
    this.#old = null;
    return true;
  }

  #move(from: Int32Array, fromAt: number): void {
    const slots = this.#slots;
    let at = ((((from[fromAt] as number) >>> 0) * this.#scale) | 0) * SLOT_WORDS;
    while (slots[at + 4] !== FREE) {
      at += SLOT_WORDS;
      if (at === slots.length) at = 0;
    }
    for (let word = 0; word < SLOT_WORDS; word++) slots[at + word] = from[fromAt + word] as number;
    this.#used++;
  }

  /** Examines the next `limit` slots and frees those that {@link migrate} would leave out. Not while migrating. */
  sweep(limit: number, liveFrom: number, evictThrough: number, evicted: Evicted): void {
    assert(this.#old === null, 'no sweep while migrating');
    const slots = this.#slots;
    let slot = this.#sweepCursor;
    for (let examined = 0; examined < limit; examined++) {
      const at = slot * SLOT_WORDS;
      // What shifts back into the slot is examined in its turn, so the loop stays here until the slot keeps its entry.
      for (;;) {
        const segment = slots[at + 4] as number;
        if (segment === FREE || (segment >= liveFrom && segment > evictThrough)) break;
        if (segment >= liveFrom) evicted(slots[at + 1] as number, slots[at + 2] as number, segment);
        this.#free(slot);
      }
      if (++slot === this.#capacity) slot = 0;
    }
    this.#sweepCursor = slot;
  }

  /** Knuth 6.4 algorithm R: closes the gap with each later entry of the cluster that may move there. */
  #free(slot: number): void {
    const slots = this.#slots;
    const capacity = this.#capacity;
    let gap = slot;
    let next = slot;
    for (;;) {
      next = next + 1 === capacity ? 0 : next + 1;
      const nextAt = next * SLOT_WORDS;
      if (slots[nextAt + 4] === FREE) break;
      const home = (((slots[nextAt] as number) >>> 0) * this.#scale) | 0;
      const staysBehindGap = gap < next ? home > gap && home <= next : home > gap || home <= next;
      if (staysBehindGap) continue;
      for (let word = 0; word < SLOT_WORDS; word++) slots[gap * SLOT_WORDS + word] = slots[nextAt + word] as number;
      gap = next;
    }
    slots[gap * SLOT_WORDS + 4] = FREE;
    this.#used--;
  }
}
