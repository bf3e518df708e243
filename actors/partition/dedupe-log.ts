/**
 * The fingerprints in memory, in the order in which they arrived, each under a number; numbers rise with time and begin anew after 2^bits.
 *
 * ```
 * page   fingerprint (16 bytes) ...                first | ... settled ... | in the checkpoint under way | fresh | head
 * ```
 * What expires or is evicted leaves at the front, whole pages at once, so no entry is ever moved or looked for. What no settled checkpoint
 * holds yet is the end of it. An outside reference to an entry that has left is told by its number alone.
 *
 * Hot path: 100 K records a second, at most 500 ns an admission in memory; bench/micro/dedupe.ts. {@link FingerprintLog.append} and {@link FingerprintLog.compare}. Actor thread.
 */

import { compareVariants, Found } from '../../engine/core/dedupe-key.ts';
import { assert } from '../../engine/core/types.ts';
import { SLAB_BITS, SLAB_MASK, type PagePool } from './dedupe-pages.ts';
import { FINGERPRINT_WORDS } from './dedupe-run.ts';
import type { NewFingerprints, Visit } from './dedupe-runs.ts';

const FINGERPRINT_BITS = 2;
const DIRECTORY_MIN = 16;

/** Entries of one bucket, side by side. */
interface Span {
  readonly bucket: number;
  count: number;
}

/** Told of each entry that leaves memory although it has not expired; two of its words as signed 32-bit numbers. */
export type Evicted = (block: number, bits: number, bucket: number) => void;

export class FingerprintLog {
  readonly #pool: PagePool;
  readonly numberMask: number;
  /** log2 of the entries of a page. */
  readonly #entryBits: number;
  readonly #entryMask: number;
  /** Pages by their number's upper bits, as a ring. */
  #directory = new Int32Array(DIRECTORY_MIN);
  #pages = 0;
  /** The number of the next entry. */
  #head = 0;
  #count = 0;
  /** Entries at the end that no settled checkpoint holds, and those of them that are in the one under way. */
  #unsettled = 0;
  #taken = 0;
  /** Oldest first. */
  #spans: Span[] = [];
  #open: Span = { bucket: -1, count: 0 };

  constructor(pool: PagePool, numberBits: number) {
    this.#pool = pool;
    this.numberMask = 2 ** numberBits - 1;
    this.#entryBits = pool.pageBits - FINGERPRINT_BITS;
    this.#entryMask = (1 << this.#entryBits) - 1;
  }

  get count(): number {
    return this.#count;
  }

  /** The number of the oldest entry. */
  get first(): number {
    return (this.#head - this.#count) & this.numberMask;
  }

  get byteLength(): number {
    return this.#pages * this.#pool.pageBytes + this.#directory.byteLength;
  }

  /** The next entry begins a page. */
  get isPageDue(): boolean {
    return (this.#head & this.#entryMask) === 0;
  }

  /** The oldest page has left memory for good: everything in it can be evicted. */
  get canEvict(): boolean {
    const front = this.#frontCount;
    return front > 0 && front <= this.#count - this.#unsettled;
  }

  /** Entries of the oldest page, 0 while it is also the one that is being filled. */
  get #frontCount(): number {
    const first = (this.#head - this.#count) & this.#entryMask;
    const front = this.#entryMask + 1 - first;
    return front <= this.#count ? front : 0;
  }

  /** Returns the entry's number. Buckets never fall. */
  append(fingerprint: Uint32Array, bucket: number): number {
    const number = this.#head;
    if ((number & this.#entryMask) === 0) this.#addPage(number);
    if (bucket !== this.#open.bucket) this.#begin(bucket);
    const page = this.#directory[(number >>> this.#entryBits) & (this.#directory.length - 1)] as number;
    const words = this.#pool.slabs[page >> SLAB_BITS] as Int32Array;
    const at = ((page & SLAB_MASK) << this.#pool.pageBits) + ((number & this.#entryMask) << FINGERPRINT_BITS);
    words[at] = fingerprint[0] as number;
    words[at + 1] = fingerprint[1] as number;
    words[at + 2] = fingerprint[2] as number;
    words[at + 3] = fingerprint[3] as number;
    this.#head = (number + 1) & this.numberMask;
    this.#count++;
    this.#unsettled++;
    this.#open.count++;
    return number;
  }

  /** How the entry that the number names, if it is here, is this fingerprint; words as signed 32-bit numbers. */
  compare(number: number, a: number, b: number, c: number, d: number): Found {
    if (((this.#head - number - 1) & this.numberMask) >= this.#count) return Found.nowhere;
    const page = this.#directory[(number >>> this.#entryBits) & (this.#directory.length - 1)] as number;
    const words = this.#pool.slabs[page >> SLAB_BITS] as Int32Array;
    const at = ((page & SLAB_MASK) << this.#pool.pageBits) + ((number & this.#entryMask) << FINGERPRINT_BITS);
    if (words[at] !== a || words[at + 1] !== b || words[at + 2] !== c) return Found.nowhere;
    return words[at + 3] === d ? Found.same : compareVariants(words[at + 3] as number, d);
  }

  /** A word, 0 to 3, of an entry that is here. */
  word(number: number, word: number): number {
    const page = this.#directory[(number >>> this.#entryBits) & (this.#directory.length - 1)] as number;
    const words = this.#pool.slabs[page >> SLAB_BITS] as Int32Array;
    return words[((page & SLAB_MASK) << this.#pool.pageBits) + ((number & this.#entryMask) << FINGERPRINT_BITS) + word] as number;
  }

  /**
   * Of `count` places, each a number below bits that are the caller's: moves those whose entries are here to the front, in order, and writes the
   * entries' first words beside them. Returns how many.
   */
  wordsOf(places: Int32Array, count: number, firstWords: Int32Array): number {
    const { numberMask } = this;
    const { pageBits, slabs } = this.#pool;
    const directory = this.#directory;
    const directoryMask = directory.length - 1;
    const entryBits = this.#entryBits;
    const entryMask = this.#entryMask;
    const head = this.#head - 1;
    const here = this.#count;
    let kept = 0;
    for (let index = 0; index < count; index++) {
      const place = places[index] as number;
      const number = place & numberMask;
      if (((head - number) & numberMask) >= here) continue;
      const page = directory[(number >>> entryBits) & directoryMask] as number;
      const words = slabs[page >> SLAB_BITS] as Int32Array;
      places[kept] = place;
      firstWords[kept++] = words[((page & SLAB_MASK) << pageBits) + ((number & entryMask) << FINGERPRINT_BITS)] as number;
    }
    return kept;
  }

  /** Puts a settled entry before all others, in a restore: buckets never rise. */
  prepend(words: Uint32Array, from: number, bucket: number): void {
    const number = (this.#head - this.#count - 1) & this.numberMask;
    if ((number & this.#entryMask) === this.#entryMask) this.#addPage(number);
    const oldest = this.#spans[0];
    if (oldest?.bucket === bucket) oldest.count++;
    else this.#spans.unshift({ bucket, count: 1 });
    const page = this.#pageOf(number);
    const slab = this.#pool.slabOf(page);
    const at = this.#pool.wordsAt(page) + ((number & this.#entryMask) << FINGERPRINT_BITS);
    for (let word = 0; word < FINGERPRINT_WORDS; word++) slab[at + word] = words[from + word] as number;
    this.#count++;
  }

  /** All that no settled checkpoint holds, one entry per bucket; what comes later belongs to the next checkpoint. */
  take(): NewFingerprints[] {
    this.#taken = this.#unsettled;
    const taken: NewFingerprints[] = [];
    this.forEachUnsettled((words, bucket) => taken.push({ bucket, count: words.length / FINGERPRINT_WORDS, words }));
    return taken;
  }

  /** What was taken has settled. */
  settled(): void {
    this.#unsettled -= this.#taken;
    this.#taken = 0;
  }

  /** What was taken stays for the next checkpoint. */
  failed(): void {
    this.#taken = 0;
  }

  /** Copies; one visit per bucket, oldest first. */
  forEachUnsettled(visit: Visit): void {
    let before = this.#count - this.#unsettled;
    let number = (this.#head - this.#unsettled) & this.numberMask;
    for (const { bucket, count } of this.#spans) {
      const settled = Math.min(before, count);
      before -= settled;
      if (count === settled) continue;
      visit(this.#copy(number, count - settled), bucket);
      number = (number + count - settled) & this.numberMask;
    }
  }

  expireBefore(bucketMin: number): void {
    let expired = 0;
    let entries = 0;
    for (; expired < this.#spans.length && (this.#spans[expired] as Span).bucket < bucketMin; expired++) entries += (this.#spans[expired] as Span).count;
    if (expired === 0) return;
    this.#spans.splice(0, expired);
    if (this.#spans.length === 0) this.#open = { bucket: -1, count: 0 };
    this.#drop(entries);
  }

  /** Lets the oldest page go, which {@link canEvict}. */
  evict(evicted: Evicted): void {
    const count = this.#frontCount;
    const number = this.first;
    const page = this.#pageOf(number);
    const slab = this.#pool.slabOf(page);
    let at = this.#pool.wordsAt(page) + ((number & this.#entryMask) << FINGERPRINT_BITS);
    for (let left = count; left > 0; ) {
      const span = this.#spans[0] as Span;
      const leaving = Math.min(left, span.count);
      for (let end = at + leaving * FINGERPRINT_WORDS; at < end; at += FINGERPRINT_WORDS) evicted(slab[at + 1] as number, slab[at + 2] as number, span.bucket);
      span.count -= leaving;
      left -= leaving;
      // The open span stays, empty: what arrives next is counted in it.
      if (span.count === 0 && span !== this.#open) this.#spans.shift();
    }
    this.#drop(count);
  }

  /** Forgets the oldest entries and gives back the pages that no other entry is in. */
  #drop(entries: number): void {
    const fresh = this.#unsettled - this.#taken;
    let number = this.first;
    for (let left = entries; left > 0; ) {
      const inPage = Math.min(left, this.#entryMask + 1 - (number & this.#entryMask));
      left -= inPage;
      const page = this.#pageOf(number);
      number = (number + inPage) & this.numberMask;
      if ((number & this.#entryMask) === 0) this.#givePage(page);
    }
    this.#count -= entries;
    this.#unsettled = Math.min(this.#unsettled, this.#count);
    this.#taken = Math.max(0, this.#unsettled - fresh);
  }

  #copy(from: number, count: number): Uint32Array {
    const words = new Uint32Array(count * FINGERPRINT_WORDS);
    let number = from;
    for (let to = 0; to < words.length; ) {
      const inPage = Math.min(words.length - to, (this.#entryMask + 1 - (number & this.#entryMask)) * FINGERPRINT_WORDS);
      const page = this.#pageOf(number);
      const at = this.#pool.wordsAt(page) + ((number & this.#entryMask) << FINGERPRINT_BITS);
      words.set(this.#pool.slabOf(page).subarray(at, at + inPage), to);
      to += inPage;
      number = (number + inPage / FINGERPRINT_WORDS) & this.numberMask;
    }
    return words;
  }

  #begin(bucket: number): void {
    const newest = this.#spans[this.#spans.length - 1];
    // A restore leaves the newest bucket behind that arrivals go on with.
    if (newest?.bucket === bucket) {
      this.#open = newest;
      return;
    }
    this.#open = { bucket, count: 0 };
    this.#spans.push(this.#open);
  }

  #pageOf(number: number): number {
    return this.#directory[(number >>> this.#entryBits) & (this.#directory.length - 1)] as number;
  }

  #addPage(number: number): void {
    assert(this.#count < this.numberMask >>> 1, 'dedupe has more entries in memory than it has numbers for');
    if (this.#pages + 1 >= this.#directory.length) this.#growDirectory(number);
    this.#directory[(number >>> this.#entryBits) & (this.#directory.length - 1)] = this.#pool.take();
    this.#pages++;
  }

  #givePage(page: number): void {
    this.#pool.give(page);
    this.#pages--;
  }

  /** Pages lie side by side in the ring, before `number`'s or, in a restore, after it. */
  #growDirectory(number: number): void {
    const before = this.#directory;
    const grown = new Int32Array(before.length * 2);
    const own = number >>> this.#entryBits;
    for (let distance = -this.#pages; distance <= this.#pages; distance++) {
      const of = (own + distance) & (this.numberMask >>> this.#entryBits);
      grown[of & (grown.length - 1)] = before[of & (before.length - 1)] as number;
    }
    this.#directory = grown;
  }
}
