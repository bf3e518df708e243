/**
 * Compact filter over the fingerprints that have left memory: says "surely not", or in which bucket of the store to look.
 *
 * A split block Bloom filter (32-byte blocks, one bit in each of eight words: Putze et al. 2007, the Parquet specification's
 * BLOOM_FILTER), in a few layers of fixed size on pages, each for a span of buckets: a layer never grows, so nothing stalls, and goes
 * whole when its last bucket has expired. A layer holds a quarter of all there was when it began, so there are about six,
 * whatever the horizon: an absent fingerprint costs about one cache line in each.
 *
 * ```
 * block   | fingerprint | fingerprint | fingerprint and bucket (6 words) |
 * ```
 * Two words know no bucket and turn most absent ones away at once; the other six tell the buckets of the span apart, so that a
 * hit leads to one bucket and not to all of them.
 *
 * Hot path: 100 K new records a second, at most 700 ns an admission once anything has spilled; bench/micro/dedupe.ts. {@link FilterLayers.find}. Actor thread.
 */

import { SLAB_BITS, SLAB_MASK, type PagePool } from './dedupe-pages.ts';

const BLOCK_SHIFT = 3;
const BLOCK_WORDS = 1 << BLOCK_SHIFT;
const BLOCK_BITS = 256;
/** Words of a block that do not depend on the bucket. */
const COMMON_WORDS = 2;
/** Chosen: at 14 bits one absent fingerprint in about 16 asks the store, all layers and buckets of a day together (bench/micro/dedupe.ts measures it: 0.061 reads each). */
const BITS_PER_ENTRY = 14;
/** A new layer is sized for this share of all entries before it. */
const LAYER_SHARE = 1 / 4;
const WORD_RANGE = 2 ** 32;
/** The Parquet specification's eight odd multipliers. */
const SALTS = Int32Array.of(0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31);

class Layer {
  readonly pages: number[] = [];
  readonly blockScale: number;
  readonly capacity: number;
  count = 0;
  bucketMin = Number.MAX_SAFE_INTEGER;
  bucketMax = -1;

  constructor(pool: PagePool, capacity: number) {
    const blocks = Math.max(1, Math.ceil((capacity * BITS_PER_ENTRY) / BLOCK_BITS));
    for (let words = 0; words < blocks * BLOCK_WORDS; words += pool.pageWords) this.pages.push(pool.takeZeroed());
    this.blockScale = blocks / WORD_RANGE;
    this.capacity = capacity;
  }
}

/** One step of MurmurHash3's body: neighbouring buckets get unlike bits. */
const mixBucket = (bits: number, bucket: number): number => Math.imul(bits ^ Math.imul(bucket + 1, 0xcc9e2d51), 0x1b873593);

/** Whether words [from, to) of the block at `at` have the bits that `key` sets. */
function hasBits(words: Int32Array, at: number, from: number, to: number, key: number): boolean {
  for (let word = from; word < to; word++) {
    if ((((words[at + word] as number) >>> (Math.imul(key, SALTS[word] as number) >>> 27)) & 1) === 0) return false;
  }
  return true;
}

export class FilterLayers {
  readonly #pool: PagePool;
  #layers: Layer[] = [];
  #sealed = false;
  #pages = 0;
  readonly #layerEntriesMin: number;

  constructor(pool: PagePool, layerEntriesMin: number) {
    this.#pool = pool;
    this.#layerEntriesMin = layerEntriesMin;
  }

  get byteLength(): number {
    return this.#pages * this.#pool.pageBytes;
  }

  get layerCount(): number {
    return this.#layers.length;
  }

  /** `block` and `bits`: two words of the fingerprint that nothing else places by. */
  add(block: number, bits: number, bucket: number): void {
    let layer = this.#layers[this.#layers.length - 1];
    if (layer === undefined || this.#sealed || layer.count >= layer.capacity) layer = this.#begin();
    const { slabs, pageBits } = this.#pool;
    const index = ((block >>> 0) * layer.blockScale) | 0;
    const page = layer.pages[index >> (pageBits - BLOCK_SHIFT)] as number;
    const words = slabs[page >> SLAB_BITS] as Int32Array;
    const at = ((page & SLAB_MASK) << pageBits) + ((index << BLOCK_SHIFT) & ((1 << pageBits) - 1));
    const bucketBits = mixBucket(bits, bucket);
    for (let word = 0; word < BLOCK_WORDS; word++) {
      const key = word < COMMON_WORDS ? bits : bucketBits;
      words[at + word] = (words[at + word] as number) | (1 << (Math.imul(key, SALTS[word] as number) >>> 27));
    }
    layer.count++;
    if (bucket < layer.bucketMin) layer.bucketMin = bucket;
    if (bucket > layer.bucketMax) layer.bucketMax = bucket;
  }

  /** Asks `confirm` about each bucket at or after `bucketMin` that may hold the fingerprint, until it says yes. */
  find(block: number, bits: number, bucketMin: number, confirm: (bucket: number) => boolean): boolean {
    const layers = this.#layers;
    const { slabs, pageBits } = this.#pool;
    for (let index = layers.length - 1; index >= 0; index--) {
      const layer = layers[index] as Layer;
      const place = ((block >>> 0) * layer.blockScale) | 0;
      const page = layer.pages[place >> (pageBits - BLOCK_SHIFT)] as number;
      const words = slabs[page >> SLAB_BITS] as Int32Array;
      const at = ((page & SLAB_MASK) << pageBits) + ((place << BLOCK_SHIFT) & ((1 << pageBits) - 1));
      if (!hasBits(words, at, 0, COMMON_WORDS, bits)) continue;
      for (let bucket = layer.bucketMax; bucket >= bucketMin && bucket >= layer.bucketMin; bucket--) {
        if (hasBits(words, at, COMMON_WORDS, BLOCK_WORDS, mixBucket(bits, bucket)) && confirm(bucket)) return true;
      }
    }
    return false;
  }

  /** The next entry begins a layer: after a restore, so that old and new buckets do not share one. */
  seal(): void {
    this.#sealed = true;
  }

  /** Drops layers all of whose buckets lie before `bucket`. */
  expireBefore(bucket: number): void {
    const kept = this.#layers.filter((layer) => layer.bucketMax >= bucket);
    if (kept.length === this.#layers.length) return;
    if (kept[kept.length - 1] !== this.#layers[this.#layers.length - 1]) this.#sealed = true;
    for (const layer of this.#layers) if (layer.bucketMax < bucket) for (const page of layer.pages) this.#pool.give(page);
    this.#layers = kept;
    this.#pages = kept.reduce((sum, layer) => sum + layer.pages.length, 0);
  }

  #begin(): Layer {
    const total = this.#layers.reduce((sum, layer) => sum + layer.count, 0);
    const layer = new Layer(this.#pool, Math.max(this.#layerEntriesMin, Math.ceil(total * LAYER_SHARE)));
    this.#layers.push(layer);
    this.#pages += layer.pages.length;
    this.#sealed = false;
    return layer;
  }
}
