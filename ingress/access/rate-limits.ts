/**
 * Rate limits that all ingress threads share: a token bucket for each key, as the time at which it will be full again (GCRA, ITU-T I.371).
 *
 * One word of shared memory for each of a fixed number of slots: nothing grows with the number of keys. Two keys that meet in one slot share its
 * limit. A request may carry a bucket below zero, as far as one request goes, and the next waits until it is back. No lock: a word that another
 * thread has changed meanwhile is looked at again. Hot path: 100 K records a second, at most 1 µs a record where a limit is set; bench/micro/access.ts.
 */

/** Chosen: some hundred apps and credentials hardly meet. 128 KiB. */
const SLOTS = 16_384;
const WORD_BYTES = 8;
const NS_PER_SECOND = 1_000_000_000;

export interface RateLimitOptions {
  /** Made by {@link RateLimits.memory}, once for all threads. */
  readonly memory: SharedArrayBuffer;
  /** Records a second that a key may send for ever; above 0. */
  readonly perSecond: number;
  /** How many seconds' worth of records may come at once. */
  readonly burstSeconds: number;
  /** The same clock for all threads. Nanoseconds. */
  readonly nowNs: () => bigint;
}

export class RateLimits {
  readonly #words: BigInt64Array;
  readonly #burstNs: bigint;
  readonly #intervalNs: number;
  readonly #nowNs: () => bigint;

  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(SLOTS * WORD_BYTES);
  }

  constructor({ memory, perSecond, burstSeconds, nowNs }: RateLimitOptions) {
    this.#words = new BigInt64Array(memory);
    this.#intervalNs = NS_PER_SECOND / perSecond;
    // The first record of a full bucket costs nothing of it.
    this.#burstNs = BigInt(Math.max(0, Math.round(burstSeconds * NS_PER_SECOND - this.#intervalNs)));
    this.#nowNs = nowNs;
  }

  /** Takes `count` records from the bucket of `key` (a hash, 32 bits without sign). 0 when they may come, else the whole seconds after which to ask again. */
  take(key: number, count: number): number {
    const slot = key % SLOTS;
    const nowNs = this.#nowNs();
    const cost = BigInt(Math.round(count * this.#intervalNs));
    for (;;) {
      const fullAtNs = Atomics.load(this.#words, slot);
      const fromNs = fullAtNs > nowNs ? fullAtNs : nowNs;
      const overNs = fromNs - nowNs - this.#burstNs;
      if (overNs > 0n) return Math.max(1, Math.ceil(Number(overNs) / NS_PER_SECOND));
      if (Atomics.compareExchange(this.#words, slot, fullAtNs, fromNs + cost) === fullAtNs) return 0;
    }
  }

  /** Takes what a request turned out to hold beyond its first record, into debt if it must be. */
  charge(key: number, count: number): void {
    if (count > 0) Atomics.add(this.#words, key % SLOTS, BigInt(Math.round(count * this.#intervalNs)));
  }
}
