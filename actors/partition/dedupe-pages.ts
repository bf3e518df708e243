/**
 * Memory in pages of one size, for all partitions of a thread: what one of them lets go is what the next one takes.
 *
 * Typed arrays of their own, growing and outgrown, cost twice what they hold: the garbage collector frees the old ones late, and malloc
 * keeps most of what it is given back. So memory is taken in slabs that are never moved. Those of 64 MiB are mapped by malloc each by
 * itself, whatever it has learned (its threshold never passes 32 MiB): untouched pages take no memory, and a slab that nobody
 * uses any more goes back to the system once it is collected. Small slabs come first, so that a small state takes little; none between, which malloc
 * may take from what it has kept and then writes full of zeros (16 MiB: 6 ms at once). They are of the shared kind, though no thread shares them:
 * V8 answers each 64 MiB of the other kind with a step of up to 10 ms of garbage collection.
 *
 * ```
 * page    slab | page in the slab (12 bits)
 * ```
 * Hot path: 100 K look-ups a second, at most 500 ns a look-up with the table; bench/micro/dedupe.ts. `slabs` is read for each. One owner: the actor thread.
 */

import { assert } from '../../engine/core/types.ts';

/** 16 KiB: 1,024 fingerprints, 4,096 places of the table, 512 blocks of a filter. Chosen: partly used pages cost a partition some 50 KiB. */
const PAGE_WORDS = 4_096;
export const SLAB_BITS = 12;
export const SLAB_MASK = (1 << SLAB_BITS) - 1;
const SLAB_PAGES_MAX = 1 << SLAB_BITS;
const SLAB_PAGES_MIN = 16;
/** So many pages come in small slabs, 2 MiB in all; then in large ones. Chosen. */
const SMALL_PAGES_MAX = 128;
/** A slab that is free goes once the others have so many free pages: the next few must not bring a new one. Chosen. */
const SPARE_PAGES = 32;
const NO_WORDS = new Int32Array(0);

interface Slab {
  readonly words: Int32Array;
  readonly pages: number;
  /** Pages that were let go, to be taken again. */
  readonly free: number[];
  /** From here on nobody has had them: they are zero, and no memory yet. */
  fresh: number;
}

export class PagePool {
  readonly pageWords: number;
  /** log2 of the words of a page. */
  readonly pageBits: number;
  /** By the upper bits of a page; those of a slab that went are empty. */
  readonly slabs: Int32Array[] = [];
  readonly #slabs: (Slab | null)[] = [];
  #pages = 0;
  #used = 0;

  constructor(pageWords = PAGE_WORDS) {
    this.pageWords = pageWords;
    this.pageBits = Math.log2(pageWords);
    assert(Number.isInteger(this.pageBits) && pageWords >= 8, 'a page has a power of two of words, and holds a block of a filter');
  }

  get pageBytes(): number {
    return this.pageWords * 4;
  }

  /** Of slabs, used or not: an upper bound of the memory that they take. */
  get byteLength(): number {
    return this.#pages * this.pageBytes;
  }

  /** Pages that somebody has. */
  get used(): number {
    return this.#used;
  }

  /** A page in which anything may stand. The lowest slab gives first, so that the others can run empty. */
  take(): number {
    return this.#take(false);
  }

  /** A page of zeros. */
  takeZeroed(): number {
    return this.#take(true);
  }

  /** Where the words of a page begin in its slab. */
  wordsAt(page: number): number {
    return (page & SLAB_MASK) << this.pageBits;
  }

  slabOf(page: number): Int32Array {
    return this.slabs[page >> SLAB_BITS] as Int32Array;
  }

  give(page: number): void {
    const index = page >> SLAB_BITS;
    const slab = this.#slabs[index];
    assert(slab !== undefined && slab !== null, `page ${page} belongs to no slab`);
    slab.free.push(page & SLAB_MASK);
    this.#used--;
    if (slab.free.length < slab.fresh) return;
    if (this.#used > 0 && this.#pages - slab.pages - this.#used < SPARE_PAGES) return;
    this.#slabs[index] = null;
    this.slabs[index] = NO_WORDS;
    this.#pages -= slab.pages;
  }

  #take(isZeroed: boolean): number {
    let index = this.#slabs.findIndex((slab) => slab !== null && (slab.free.length > 0 || slab.fresh < slab.pages));
    if (index < 0) index = this.#addSlab();
    const slab = this.#slabs[index] as Slab;
    this.#used++;
    const known = slab.free.pop();
    if (known === undefined) return (index << SLAB_BITS) | slab.fresh++;
    if (isZeroed) slab.words.fill(0, known << this.pageBits, (known + 1) << this.pageBits);
    return (index << SLAB_BITS) | known;
  }

  #addSlab(): number {
    const pages = this.#pages < SMALL_PAGES_MAX ? Math.max(SLAB_PAGES_MIN, this.#pages) : SLAB_PAGES_MAX;
    const words = new Int32Array(new SharedArrayBuffer(pages * this.pageBytes));
    const gap = this.#slabs.indexOf(null);
    const index = gap < 0 ? this.#slabs.length : gap;
    this.#slabs[index] = { words, pages, free: [], fresh: 0 };
    this.slabs[index] = words;
    this.#pages += pages;
    return index;
  }
}
