/**
 * A cache of bounded size that costs one look-up when it hits: two generations, of which the older one is forgotten when the younger one is full.
 *
 * What is asked for again moves to the younger generation, so that what is used stays and at most `2 × entriesMax` are kept. Holds no
 * decision: whoever asks computes what is not here and says so.
 */

export class BoundedCache<Value> {
  readonly #entriesMax: number;
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  /** Entries kept. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string): Value | undefined {
    const value = this.#young.get(key);
    return value === undefined ? this.#fromOld(key) : value;
  }

  /** `value` is anything but undefined. */
  set(key: string, value: Value): void {
    if (this.#young.size >= this.#entriesMax) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }

  #fromOld(key: string): Value | undefined {
    const value = this.#old.get(key);
    if (value === undefined) return undefined;
    this.#old.delete(key);
    this.set(key, value);
    return value;
  }
}
