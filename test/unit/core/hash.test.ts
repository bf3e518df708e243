import { describe, expect, it } from 'vitest';
import { fingerprintHex, hash128, hash128Text, hash32 } from '../../../engine/core/hash.ts';

// [text, 128-bit hex, 32-bit with seed 0, 32-bit with seed 0x9747b28c], computed with the Python package mmh3 5:
// hash_bytes(text, 0, x64arch=False).hex(), hash(text, seed, signed=False).
const VALUES: readonly (readonly [string, string, number, number])[] = [
  ['', '00000000000000000000000000000000', 0, 3954623016],
  ['a', '3c9394a71bb056551bb056551bb05655', 1009084850, 2141232806],
  ['ab', 'df5184151030be251030be251030be25', 2613040991, 1955026322],
  ['abc', 'd1c6cd75a506b0a2a506b0a2a506b0a2', 3017643002, 3360318173],
  ['abcd', 'aaccb6962ec6af452ec6af452ec6af45', 1139631978, 4031219239],
  ['hello', 'a044242bf7de91dbb631db9ab631db9a', 613153351, 1568626408],
  ['The quick brown fox jumps over the lazy dog', 'c383152f672ceeec6cf67b5d2c1de9e5', 776992547, 799549133],
  ['0123456789abcde', '6dc4763cc018084dda33d4adfa7386a7', 2250527230, 2495289952],
  ['0123456789abcdef', '09447dfb0ad3ae369b1dad48fd3b2b57', 919068895, 718942156],
  ['0123456789abcdefg', '36981f7f76386b5130c029ac74f3d6f9', 3803014761, 671331510],
  ['12:com.example,-,', 'c4b28a8edbcd43cb1f7128041f2d37b6', 1800762709, 873393407],
  ['x'.repeat(255), '67fb744c4f80ac219233251fe9947726', 2825860012, 1264111618],
  ['Z\u00fcrich \u6771\u4eac \ud83d\ude80', '25dcbcb432f14bae284ab2295682f8a6', 2825541958, 730625580],
  ['\u0000\u00ff\u0080qqqqqqqqqqqqq', '841d8865ba34018e07615fb733cc2076', 2162386857, 4281970720],
];

const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

describe('MurmurHash3', () => {
  it.each(VALUES)('gives the values of an independent implementation for %j', (text, hex, plain, seeded) => {
    const bytes = Buffer.from(text);
    const words = new Uint32Array(4);
    hash128(viewOf(bytes), 0, bytes.byteLength, words);
    expect(fingerprintHex(words)).toBe(hex);
    hash128Text(text, words);
    expect(fingerprintHex(words)).toBe(hex);
    expect(hash32(bytes, 0, bytes.byteLength, 0)).toBe(plain);
    expect(hash32(bytes, 0, bytes.byteLength, 0x9747b28c)).toBe(seeded);
  });

  it('hashes a range as it hashes a copy of it, whatever lies around', () => {
    const words = new Uint32Array(4);
    const copied = new Uint32Array(4);
    for (let length = 0; length < 40; length++) {
      const around = Buffer.alloc(64, 0xee);
      const inside = Buffer.from(Array.from({ length }, (_, index) => (index * 37 + 11) & 0xff));
      inside.copy(around, 5);
      hash128(viewOf(around), 5, 5 + length, words);
      hash128(viewOf(inside), 0, length, copied);
      expect([...words]).toEqual([...copied]);
      expect(hash32(around, 5, 5 + length, 7)).toBe(hash32(inside, 0, length, 7));
    }
  });

  it('reads a fingerprint out of a longer array', () => {
    expect(fingerprintHex(Uint32Array.of(9, 9, 1, 2, 3, 4), 2)).toBe('01000000020000000300000004000000');
  });
});
