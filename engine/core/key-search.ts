/**
 * Looks for keys in a body, 16 bytes at a time: the eyes of partition-key.ts, which decides what may be concluded. The loops are WebAssembly,
 * made from assembly/key-search.ts; the body is copied into its memory (60 ns for 1.6 KB).
 *
 * Hot path: 100 K records a second, at most 700 ns a record of 1.6 KB, its hash included; bench/micro/partition-key.ts. One instance per ingress thread.
 */

import { KEY_SEARCH_WASM } from './key-search-wasm.ts';
import { assert } from './types.ts';
import { wasmModule, type WasmConstant } from './wasm.ts';

interface KeySearchExports {
  readonly KEYS_MAX: WasmConstant;
  readonly KEY_BYTES_MAX: WasmConstant;
  readonly KEYS: WasmConstant;
  readonly KEY_LENGTHS: WasmConstant;
  readonly KEY_ANCHORS: WasmConstant;
  readonly VALUE: WasmConstant;
  readonly RECORD: WasmConstant;
  readonly RECORD_BYTES_MAX: WasmConstant;
  readonly MEMORY_BYTES: WasmConstant;
  survey(length: number): number;
  find(key: number, last: number): Found;
  hash(start: number, end: number, seed: number): number;
}

/** How a search ended; as in assembly/key-search.ts. */
export const Found = { absent: 0, value: 1, twice: 2, noStringMember: 3, oddValue: 4 } as const;
export type Found = (typeof Found)[keyof typeof Found];

const HAS_INNER_KEYS = 1;
const HAS_ESCAPED_ASCII = 2;
const HAS_WIDE = 4;

const MEMORY_BYTES = 1_179_648;
const newModule = wasmModule<KeySearchExports>(KEY_SEARCH_WASM, MEMORY_BYTES);

export class KeySearch {
  readonly #module = newModule();
  readonly #record = this.#module.exports.RECORD.value;
  readonly #recordBytesMax = this.#module.exports.RECORD_BYTES_MAX.value;
  readonly #valueAt = this.#module.exports.VALUE.value / 4;
  #facts = 0;

  /** `keys`: at most 32 plain names of at most 62 characters; they are numbered from 0. */
  constructor(keys: readonly string[]) {
    const { exports, memory, words } = this.#module;
    assert(keys.length <= exports.KEYS_MAX.value, `${keys.length} partition keys are too many`);
    keys.forEach((key, index) => {
      const quoted = `"${key}"`;
      assert(/^[a-z][a-z0-9_]*$/i.test(key) && quoted.length <= exports.KEY_BYTES_MAX.value, `partition key ${JSON.stringify(key)} is not a plain name`);
      memory.write(quoted, exports.KEYS.value + index * exports.KEY_BYTES_MAX.value, 'latin1');
      words[exports.KEY_LENGTHS.value / 4 + index] = quoted.length;
      words.set(rarestPair(quoted), exports.KEY_ANCHORS.value / 4 + 2 * index);
    });
  }

  /** Looks at `bytes[start, end)`, which begins with a brace; false where it is too long. */
  take(bytes: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (length > this.#recordBytesMax) return false;
    this.#module.memory.set(bytes.subarray(start, end), this.#record);
    this.#facts = this.#module.exports.survey(length);
    return true;
  }

  /** An object inside the outermost one may have keys. */
  get hasInnerKeys(): boolean {
    return (this.#facts & HAS_INNER_KEYS) !== 0;
  }

  /** `\u00` is there, which could spell a key. */
  get hasEscapedAscii(): boolean {
    return (this.#facts & HAS_ESCAPED_ASCII) !== 0;
  }

  /** Bytes above 0x7f are there. */
  get hasWide(): boolean {
    return (this.#facts & HAS_WIDE) !== 0;
  }

  /** Looks for a key and its string value in what was taken; `last`: position of the closing brace in it. */
  find(key: number, last: number): Found {
    return this.#module.exports.find(key, last);
  }

  /** Of the value found last. */
  get valueIsEmpty(): boolean {
    const { words } = this.#module;
    return words[this.#valueAt] === words[this.#valueAt + 1];
  }

  /** The value found last: ASCII. */
  value(): string {
    const { memory, words } = this.#module;
    return memory.toString('latin1', words[this.#valueAt], words[this.#valueAt + 1]);
  }

  /** Its {@link hash32}. */
  hashValue(seed: number): number {
    const { exports, words } = this.#module;
    return exports.hash(words[this.#valueAt] as number, words[this.#valueAt + 1] as number, seed) >>> 0;
  }
}

/** How common characters are in JSON messages with names in snake case, most common first (counted over samples); those not listed are rare. */
const COMMON = '"e_ita0nr1ocsd2pu5lmv4fy6g38h7k9xbzwq';

/** The positions of the two rarest characters: where both are in place, the search looks closer. */
function rarestPair(quoted: string): readonly [number, number] {
  const commonness = [...quoted].map((character) => (COMMON.includes(character) ? COMMON.length - COMMON.indexOf(character) : 0));
  const positions = commonness.map((_, at) => at).sort((a, b) => (commonness[a] as number) - (commonness[b] as number) || a - b);
  return [positions[0] as number, positions[1] as number];
}
