/**
 * MurmurHash3 (Austin Appleby, public domain): the 128-bit x86 form for fingerprints, the 32-bit form for partitions.
 *
 * Hot path: 200 K keys a second, at most 150 ns a fingerprint; bench/micro/decode.ts, and for the door bench/micro/partition-key.ts.
 * Not cryptographic: whoever may send events may also make two of their own collide.
 *
 * Anyone can compute the same values. A fingerprint in hex is the 16 bytes as the C reference writes them, each of the four
 * words in little-endian order: in Python, `mmh3.hash_bytes(identity, 0, x64arch=False).hex()`.
 */

const C1 = 0x239b961b;
const C2 = 0xab0e9789 | 0;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93 | 0;

/**
 * Writes the 128-bit hash (seed 0) of `bytes[start, end)` to `out`, length 4: the words h1 to h4. Takes a view, for it reads words at any
 * address faster than an array of bytes (measured: a third of the time).
 */
export function hash128(bytes: DataView, start: number, end: number, out: Uint32Array): void {
  let h1 = 0;
  let h2 = 0;
  let h3 = 0;
  let h4 = 0;
  let at = start;
  for (const whole = start + ((end - start) & ~15); at < whole; at += 16) {
    let k1 = Math.imul(bytes.getInt32(at, true), C1);
    k1 = (k1 << 15) | (k1 >>> 17);
    h1 ^= Math.imul(k1, C2);
    h1 = ((h1 << 19) | (h1 >>> 13)) + h2;
    h1 = (Math.imul(h1, 5) + 0x561ccd1b) | 0;
    let k2 = Math.imul(bytes.getInt32(at + 4, true), C2);
    k2 = (k2 << 16) | (k2 >>> 16);
    h2 ^= Math.imul(k2, C3);
    h2 = ((h2 << 17) | (h2 >>> 15)) + h3;
    h2 = (Math.imul(h2, 5) + 0x0bcaa747) | 0;
    let k3 = Math.imul(bytes.getInt32(at + 8, true), C3);
    k3 = (k3 << 17) | (k3 >>> 15);
    h3 ^= Math.imul(k3, C4);
    h3 = ((h3 << 15) | (h3 >>> 17)) + h4;
    h3 = (Math.imul(h3, 5) + 0x96cd1c35) | 0;
    let k4 = Math.imul(bytes.getInt32(at + 12, true), C4);
    k4 = (k4 << 18) | (k4 >>> 14);
    h4 ^= Math.imul(k4, C1);
    h4 = ((h4 << 13) | (h4 >>> 19)) + h1;
    h4 = (Math.imul(h4, 5) + 0x32ac3b17) | 0;
  }
  const rest = end - at;
  if (rest > 12) {
    const k4 = Math.imul(viewTailWord(bytes, at + 12, end), C4);
    h4 ^= Math.imul((k4 << 18) | (k4 >>> 14), C1);
  }
  if (rest > 8) {
    const k3 = Math.imul(viewTailWord(bytes, at + 8, end), C3);
    h3 ^= Math.imul((k3 << 17) | (k3 >>> 15), C4);
  }
  if (rest > 4) {
    const k2 = Math.imul(viewTailWord(bytes, at + 4, end), C2);
    h2 ^= Math.imul((k2 << 16) | (k2 >>> 16), C3);
  }
  if (rest > 0) {
    const k1 = Math.imul(viewTailWord(bytes, at, end), C1);
    h1 ^= Math.imul((k1 << 15) | (k1 >>> 17), C2);
  }
  finish(h1, h2, h3, h4, end - start, out);
}

function finish(w1: number, w2: number, w3: number, w4: number, length: number, out: Uint32Array): void {
  let h1 = w1 ^ length;
  let h2 = w2 ^ length;
  let h3 = w3 ^ length;
  let h4 = w4 ^ length;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  h3 = (h3 + h1) | 0;
  h4 = (h4 + h1) | 0;
  h1 = mix(h1);
  h2 = mix(h2);
  h3 = mix(h3);
  h4 = mix(h4);
  h1 = (h1 + h2 + h3 + h4) | 0;
  out[0] = h1;
  out[1] = h2 + h1;
  out[2] = h3 + h1;
  out[3] = h4 + h1;
}

/** The 128-bit hash of a text's UTF-8 bytes; a lone surrogate counts as U+FFFD. For rare use: it encodes the text. */
export function hash128Text(text: string, out: Uint32Array): void {
  const bytes = textEncoder.encode(text);
  hash128(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.byteLength, out);
}

const textEncoder = new TextEncoder();
const hexScratch = Buffer.alloc(16);
/** By byte its two hex digits as they lie in memory, the first one first. */
const HEX_PAIRS = Uint16Array.from({ length: 256 }, (_, byte) => Buffer.from(byte.toString(16).padStart(2, '0')).readUInt16LE());

/** 32 hex digits of the four words at `offset`, in the order described above. */
export function fingerprintHex(words: Uint32Array, offset = 0): string {
  for (let index = 0; index < 4; index++) hexScratch.writeUInt32LE(words[offset + index] as number, index * 4);
  return hexScratch.toString('hex');
}

/** The same digits as text in memory, without a string: two by two into `out`, length 16. For a little-endian machine, as all here are. */
export function writeFingerprintHex(words: Uint32Array, out: Uint16Array): void {
  for (let index = 0; index < 4; index++) {
    const word = words[index] as number;
    out[4 * index] = HEX_PAIRS[word & 0xff] as number;
    out[4 * index + 1] = HEX_PAIRS[(word >>> 8) & 0xff] as number;
    out[4 * index + 2] = HEX_PAIRS[(word >>> 16) & 0xff] as number;
    out[4 * index + 3] = HEX_PAIRS[word >>> 24] as number;
  }
}

/** The 32-bit hash of `bytes[start, end)` as an unsigned number. Chain parts by passing one hash as the next one's seed. */
export function hash32(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed | 0;
  let at = start;
  for (const whole = start + ((end - start) & ~3); at < whole; at += 4) {
    let k = Math.imul(wordAt(bytes, at), 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    hash ^= Math.imul(k, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  if (at < end) {
    const k = Math.imul(tailWord(bytes, at, end), 0xcc9e2d51);
    hash ^= Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  }
  return mix(hash ^ (end - start)) >>> 0;
}

const mix = (value: number): number => {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
};

/** Four bytes, little-endian. */
const wordAt = (bytes: Uint8Array, at: number): number =>
  (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);

/** The up to four bytes of `bytes[at, end)`, little-endian, missing ones zero. */
function tailWord(bytes: Uint8Array, at: number, end: number): number {
  let word = bytes[at] as number;
  if (at + 1 < end) word |= (bytes[at + 1] as number) << 8;
  if (at + 2 < end) word |= (bytes[at + 2] as number) << 16;
  if (at + 3 < end) word |= (bytes[at + 3] as number) << 24;
  return word;
}

function viewTailWord(bytes: DataView, at: number, end: number): number {
  let word = 0;
  for (let from = Math.min(end, at + 4) - 1; from >= at; from--) word = (word << 8) | bytes.getUint8(from);
  return word;
}
