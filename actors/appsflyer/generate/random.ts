/**
 * Random numbers that depend on nothing but (seed, stream, index): message 1,000,000 is made without making those before it.
 *
 * Integer arithmetic only, so every machine draws the same. Generator: mulberry32 (Tommy Ettinger, public domain).
 */

/** Streams that must not draw the same numbers for one index. */
export const Stream = { action: 1, user: 2, campaign: 3, app: 4, delivery: 5 } as const;
export type Stream = (typeof Stream)[keyof typeof Stream];

/** The finaliser of MurmurHash3: neighbouring indexes start far apart. */
function scramble(value: number): number {
  let word = value | 0;
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return word ^ (word >>> 16);
}

export class Random {
  #state = 0;

  constructor(seed: number, stream: Stream, index: number) {
    this.reset(seed, stream, index);
  }

  /** Starts over at another place; `index` is any safe integer at or above 0. */
  reset(seed: number, stream: Stream, index: number): void {
    const high = Math.floor(index / 0x100000000);
    this.#state = scramble(scramble(scramble(seed ^ Math.imul(stream, 0x9e3779b9)) ^ (index | 0)) ^ high);
  }

  /** Whole number, 0 to 2^32 - 1. */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let word = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return (word ^ (word >>> 14)) >>> 0;
  }

  /** 0 inclusive to 1 exclusive. */
  share(): number {
    return this.word() / 0x100000000;
  }

  /** Whole number from `minimum` to `maximum`, both inclusive. */
  between(minimum: number, maximum: number): number {
    return minimum + Math.floor(this.share() * (maximum - minimum + 1));
  }

  chance(probability: number): boolean {
    return this.share() < probability;
  }

  pick<Value>(values: readonly [Value, ...Value[]]): Value {
    return values[Math.floor(this.share() * values.length)] as Value;
  }

  /** An index below `count`, small ones much more often: a few campaigns bring most of the traffic. */
  popular(count: number): number {
    const share = this.share();
    return Math.floor(share * share * share * count);
  }

  digits(count: number): string {
    let text = String(this.between(1, 9));
    while (text.length < count) text += String(this.word() % 10);
    return text;
  }

  hex(count: number): string {
    let text = '';
    while (text.length < count) text += this.word().toString(16).padStart(8, '0');
    return text.slice(0, count);
  }

  /** In the form of a random (version 4) UUID. */
  uuid(): string {
    const hex = this.hex(32);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
  }
}
