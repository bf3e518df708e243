/** An order-free digest of (fingerprint, bucket) pairs: mixed lanes are summed, so equal sets give equal text in any order. Pure. */

import { FINGERPRINT_WORDS } from './dedupe-run.ts';

/** The finaliser of MurmurHash3 (Appleby, public domain): every bit of the input reaches every bit of the result. */
function mix(value: number): number {
  let word = value;
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return word ^ (word >>> 16);
}

const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');

export class FingerprintDigest {
  #count = 0;
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 0;

  /** All fingerprints of `words`, four words each. */
  add(words: Uint32Array, bucket: number): void {
    const start = mix(bucket + 1);
    for (let at = 0; at < words.length; at += FINGERPRINT_WORDS) {
      // Each lane sees the lanes before it and the bucket, so that parts of two fingerprints cannot be exchanged unseen.
      const a = mix((words[at] as number) ^ start);
      const b = mix((words[at + 1] as number) ^ a);
      const c = mix((words[at + 2] as number) ^ b);
      const d = mix((words[at + 3] as number) ^ c);
      this.#count++;
      this.#a = (this.#a + mix(a ^ d)) | 0;
      this.#b = (this.#b + b) | 0;
      this.#c = (this.#c + c) | 0;
      this.#d = (this.#d + d) | 0;
    }
  }

  /** 40 hex digits: the count and the four sums. */
  toString(): string {
    return hex(this.#count) + hex(this.#a) + hex(this.#b) + hex(this.#c) + hex(this.#d);
  }
}
