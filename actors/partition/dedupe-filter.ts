/**
 * Compact filter over the fingerprints that have left memory: says "surely not" or "look in the store".
 *
 * A split block Bloom filter (32-byte blocks, one bit in each of eight words: Putze et al. 2007, the Parquet specification's
 * BLOOM_FILTER), in a few layers of fixed size, each for a span of buckets: a layer never grows, so nothing stalls, and goes
 * whole when its last bucket has expired. A layer holds a quarter of all there was when it began, so there are about six,
 * whatever the horizon: an absent fingerprint costs about one cache line in each.
 *
 * Hot: {@link FilterLayers.nextMatch} for every new record once anything has spilled; `bench/micro/dedupe.ts`. Actor thread.
 */

const BLOCK_WORDS = 8;
const BLOCK_BITS = 256;
/** Chosen: at 14 bits one absent fingerprint in about 400 asks the store (bench/micro/dedupe.ts measures it). */
const BITS_PER_ENTRY = 14;
/** A new layer is sized for this share of all entries before it. */
const LAYER_SHARE = 1 / 4;
const WORD_RANGE = 2 ** 32;
/** The Parquet specification's eight odd multipliers. */
const SALTS = Int32Array.of(0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31);

class Layer {
  readonly words: Int32Array;
  readonly blockScale: number;
  readonly capacity: number;
  count = 0;
  bucketMin = Number.MAX_SAFE_INTEGER;
  bucketMax = -1;

  constructor(capacity: number) {
    const blocks = Math.max(1, Math.ceil((capacity * BITS_PER_ENTRY) / BLOCK_BITS));
    this.words = new Int32Array(blocks * BLOCK_WORDS);
    this.blockScale = blocks / WORD_RANGE;
    this.capacity = capacity;
  }
}

export class FilterLayers {
  #layers: Layer[] = [];
  #sealed = false;
  #bytes = 0;
  readonly #layerEntriesMin: number;

  constructor(layerEntriesMin: number) {
    this.#layerEntriesMin = layerEntriesMin;
  }

  get byteLength(): number {
    return this.#bytes;
  }

  get layerCount(): number {
    return this.#layers.length;
  }

  /** `block` and `bits`: two words of the fingerprint that nothing else places by. True when a layer was begun. */
  add(block: number, bits: number, bucket: number): boolean {
    let layer = this.#layers[this.#layers.length - 1];
    const began = layer === undefined || this.#sealed || layer.count >= layer.capacity;
    if (layer === undefined || began) layer = this.#begin();
    const at = (((block >>> 0) * layer.blockScale) | 0) * BLOCK_WORDS;
    for (let word = 0; word < BLOCK_WORDS; word++) {
      layer.words[at + word] = (layer.words[at + word] as number) | (1 << (Math.imul(bits, SALTS[word] as number) >>> 27));
    }
    layer.count++;
    if (bucket < layer.bucketMin) layer.bucketMin = bucket;
    if (bucket > layer.bucketMax) layer.bucketMax = bucket;
    return began;
  }

  /** Index of the first layer at or after `from` that may hold it; -1 for none. */
  nextMatch(block: number, bits: number, from: number): number {
    const layers = this.#layers;
    for (let index = from; index < layers.length; index++) {
      const layer = layers[index] as Layer;
      const words = layer.words;
      const at = (((block >>> 0) * layer.blockScale) | 0) * BLOCK_WORDS;
      let word = 0;
      while (word < BLOCK_WORDS && ((words[at + word] as number) >>> (Math.imul(bits, SALTS[word] as number) >>> 27)) & 1) word++;
      if (word === BLOCK_WORDS) return index;
    }
    return -1;
  }

  bucketMin(index: number): number {
    return (this.#layers[index] as Layer).bucketMin;
  }

  bucketMax(index: number): number {
    return (this.#layers[index] as Layer).bucketMax;
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
    this.#layers = kept;
    this.#bytes = kept.reduce((sum, layer) => sum + layer.words.byteLength, 0);
  }

  #begin(): Layer {
    const total = this.#layers.reduce((sum, layer) => sum + layer.count, 0);
    const layer = new Layer(Math.max(this.#layerEntriesMin, Math.ceil(total * LAYER_SHARE)));
    this.#layers.push(layer);
    this.#bytes += layer.words.byteLength;
    this.#sealed = false;
    return layer;
  }
}
