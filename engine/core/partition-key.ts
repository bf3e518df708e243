/**
 * Whose record is it: finds the partition of a body without parsing it, and what is malformed as far as the door can tell.
 *
 * Guarantee: for every body that JSON.parse accepts as an object, the byte search and the full parse name the same partition
 * (test/fuzz/partition-key.test.ts); whenever the search is in doubt, the full parse decides.
 * Hot path on the ingress thread, once per record: about 1 µs for 1.6 KB (bench/micro/partition-key.ts). Allocates one
 * one-byte string per record. One instance per thread: the result lies in its fields until the next call.
 *
 * The partition is `hash32(user, hash32(scope, 0)) mod P` over UTF-8 bytes; for a body without either, `hash32(body, 0) mod P`.
 *
 * Why the search can be trusted. In JSON an unescaped quote opens or closes a string. `,"key":"` or `{"key":"`, give or take white
 * space, then is a whole key with a string value, for no valid JSON has a name outside of a string. It is a key of the outermost object if no inner
 * object has keys: no `{` after the first is followed by a quote or white space. It is the only one of that name if the name
 * followed by a quote occurs nowhere else and no `\u00` could spell it another way.
 */

import { isUtf8 } from 'node:buffer';
import { hash32 } from './hash.ts';
import { topLevelTokens } from './json-tokens.ts';
import type { PartitionKeySpec } from './pipeline.ts';
import { RecordFlag } from './record.ts';
import { assert, partitionId, type PartitionId } from './types.ts';

/** Finds partitions. The fields hold the result of the last {@link Partitioner.locate}. */
export interface Partitioner {
  readonly partition: PartitionId;
  /** {@link RecordFlag} bits. */
  readonly flags: RecordFlag;
  /** Looks at `bytes[start, end)`; never raises, whatever the bytes, and keeps no reference to them. */
  locate(bytes: Buffer, start: number, end: number): void;
}

export function createPartitioner(spec: PartitionKeySpec, partitionCount: number): Partitioner {
  assert(Number.isInteger(partitionCount) && partitionCount > 0, `partition count ${partitionCount} is not a positive whole number`);
  return new KeyPartitioner(spec, partitionCount);
}

const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
/** More braces than this in one body, and the full parse looks. Chosen: real messages hold one to three. */
const BRACES_MAX = 16;

/** How a search ended. */
const Found = { value: 0, absent: 1, doubt: 2 } as const;
type Found = (typeof Found)[keyof typeof Found];

class KeyPartitioner implements Partitioner {
  partition: PartitionId = partitionId(0);
  flags: RecordFlag = RecordFlag.none;
  readonly #spec: PartitionKeySpec;
  readonly #partitionCount: number;
  readonly #scope: KeySearch;
  readonly #users: readonly KeySearch[];
  readonly #keys: ReadonlySet<string>;

  constructor(spec: PartitionKeySpec, partitionCount: number) {
    this.#spec = spec;
    this.#partitionCount = partitionCount;
    this.#scope = new KeySearch(spec.scope);
    this.#users = spec.users.map((key) => new KeySearch(key));
    this.#keys = new Set([spec.scope, ...spec.users]);
  }

  locate(bytes: Buffer, start: number, end: number): void {
    this.flags = RecordFlag.none;
    if (!this.#search(bytes, start, end)) this.#parse(bytes, start, end);
  }

  /** The fast path; false when in doubt. */
  #search(bytes: Buffer, start: number, end: number): boolean {
    let last = end - 1;
    while (last > start && (bytes[last] as number) <= SPACE) last--;
    if (bytes[start] !== OPEN_BRACE || bytes[last] !== CLOSE_BRACE) return false;
    const text = bytes.toString('latin1', start, end);
    if (hasInnerKeys(text) || text.includes('\\u00') || !isUtf8(bytes.subarray(start, end))) return false;
    const scope = this.#scope;
    const scopeFound = scope.find(text, bytes, start, last);
    if (scopeFound === Found.doubt) return false;
    if (scopeFound === Found.absent || scope.valueStart === scope.valueEnd) return this.#byContent(bytes, start, end);
    const users = this.#users;
    for (let index = 0; index < users.length; index++) {
      const user = users[index] as KeySearch;
      const found = user.find(text, bytes, start, last);
      if (found === Found.doubt) return false;
      if (found === Found.absent || user.valueStart === user.valueEnd) continue;
      if (this.#spec.isPlaceholder(text.slice(user.valueStart - start, user.valueEnd - start))) continue;
      const scopeHash = hash32(bytes, scope.valueStart, scope.valueEnd, 0);
      this.#choose(hash32(bytes, user.valueStart, user.valueEnd, scopeHash));
      return true;
    }
    return this.#byContent(bytes, start, end);
  }

  /** The slow path, right for every body. */
  #parse(bytes: Buffer, start: number, end: number): void {
    this.#byContent(bytes, start, end);
    if (!isUtf8(bytes.subarray(start, end))) {
      this.flags = RecordFlag.malformed;
      return;
    }
    const text = bytes.toString('utf8', start, end);
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      this.flags = RecordFlag.malformed;
      return;
    }
    if (typeof body !== 'object' || body === null || Array.isArray(body)) {
      this.flags = RecordFlag.notObject;
      return;
    }
    const scope = this.#textOf(body, this.#spec.scope, text);
    if (scope === '') return;
    for (const key of this.#spec.users) {
      const user = this.#textOf(body, key, text);
      if (user === '' || this.#spec.isPlaceholder(user)) continue;
      this.#choose(hashText(user, hashText(scope, 0)));
      return;
    }
  }

  /** A value as text: of a string its characters, of a number its raw token, of a boolean its name; of anything else none. */
  #textOf(body: object, key: string, text: string): string {
    const value: unknown = Object.hasOwn(body, key) ? (body as Record<string, unknown>)[key] : null;
    if (typeof value === 'string') return value;
    if (typeof value === 'boolean') return String(value);
    return typeof value === 'number' ? (topLevelTokens(text, this.#keys).get(key) as string) : '';
  }

  #byContent(bytes: Buffer, start: number, end: number): true {
    this.#choose(hash32(bytes, start, end, 0));
    return true;
  }

  #choose(hash: number): void {
    this.partition = partitionId(hash % this.#partitionCount);
  }
}

/** Finds one key's string value; its fields hold where in the bytes the last one lies. */
class KeySearch {
  valueStart = 0;
  valueEnd = 0;
  readonly #quoted: Uint8Array;
  readonly #quotedLength: number;
  readonly #needle: string;
  readonly #needleOffset: number;

  constructor(key: string) {
    assert(/^[a-z][a-z0-9_]*$/i.test(key), `partition key ${JSON.stringify(key)} is not a plain name`);
    this.#quoted = new TextEncoder().encode(`"${key}"`);
    this.#quotedLength = this.#quoted.byteLength;
    this.#needle = rarestEnding(key);
    this.#needleOffset = this.#quotedLength - this.#needle.length;
  }

  /**
   * Looks for the key in `text`, which is `bytes[start, last]` in one-byte characters. Braces stand at both ends, so that no loop over
   * white space leaves the range.
   */
  find(text: string, bytes: Buffer, start: number, last: number): Found {
    let at = -1;
    let from = this.#needleOffset;
    for (;;) {
      const hit = text.indexOf(this.#needle, from);
      if (hit < 0) break;
      from = hit + 1;
      const opening = start + hit - this.#needleOffset;
      if (!this.#isQuotedKey(bytes, opening)) continue;
      if (at >= 0) return Found.doubt;
      at = opening;
    }
    if (at < 0) return Found.absent;
    let before = at - 1;
    while ((bytes[before] as number) <= SPACE) before--;
    const previous = bytes[before];
    const colon = skipSpace(bytes, at + this.#quotedLength);
    const value = skipSpace(bytes, colon + 1);
    if ((previous !== COMMA && previous !== OPEN_BRACE) || bytes[colon] !== COLON || bytes[value] !== QUOTE) return Found.doubt;
    return this.#readValue(bytes, value + 1, last);
  }

  #isQuotedKey(bytes: Buffer, at: number): boolean {
    const quoted = this.#quoted;
    // The needle has been found; what stands before it decides.
    for (let index = 0; index < this.#needleOffset; index++) {
      if (bytes[at + index] !== quoted[index]) return false;
    }
    return true;
  }

  #readValue(bytes: Buffer, from: number, last: number): Found {
    for (let at = from; at < last; at++) {
      const byte = bytes[at] as number;
      if (byte === QUOTE) {
        this.valueStart = from;
        this.valueEnd = at;
        return Found.value;
      }
      if (byte === BACKSLASH || byte < 0x20 || byte > 0x7e) return Found.doubt;
    }
    return Found.doubt;
  }
}

/** How common characters are in JSON messages with names in snake case, most common first (counted over samples); those not listed are rare. */
const COMMON = '"e_ita0nr1ocsd2pu5lmv4fy6g38h7k9xbzwq';
/** Engines search for a needle's first byte with memchr and look closer there: measured 3 to 6 times as fast as the whole quoted key. */
const NEEDLE_LENGTH_MAX = 7;

/** The ending of `key"` that begins with its rarest character, so that a search stops seldom. */
function rarestEnding(key: string): string {
  const quoted = `${key}"`;
  let best = quoted.length - 2;
  for (let at = Math.max(0, quoted.length - NEEDLE_LENGTH_MAX); at < quoted.length - 2; at++) {
    if (commonness(quoted.charAt(at)) < commonness(quoted.charAt(best))) best = at;
  }
  return quoted.slice(best);
}

const commonness = (character: string): number => {
  const rank = COMMON.indexOf(character);
  return rank < 0 ? 0 : COMMON.length - rank;
};

/** In valid JSON, whatever is at or below a blank outside of a string is white space. */
function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  while ((bytes[at] as number) <= SPACE) at++;
  return at;
}

/** Whether an object inside the outermost one may have keys. */
function hasInnerKeys(text: string): boolean {
  let at = 0;
  for (let braces = 0; braces < BRACES_MAX; braces++) {
    at = text.indexOf('{', at + 1);
    if (at < 0) return false;
    const next = text.charCodeAt(at + 1);
    if (next === QUOTE || next <= 0x20) return true;
  }
  return true;
}

function hashText(text: string, seed: number): number {
  const bytes = Buffer.from(text, 'utf8');
  return hash32(bytes, 0, bytes.byteLength, seed);
}
