/**
 * Rejected records with their original bytes: in memory until a checkpoint takes them, in the table `dead` after.
 *
 * Bounded by bytes per partition: past the bound the oldest leave, counted. Ids rise by one per rejected record of the partition.
 *
 * Key: id (8 bytes, big-endian), bytes it counts as (4 bytes). Value: `[code, receivedAtMs, source, batchSequence, index, size, bytes]`.
 */

import { decodeStored, pack, unpack } from '../../engine/core/codec.ts';
import type { DeadLetter } from '../../engine/core/dead-letter.ts';
import { REJECT_CODES, type RejectCode } from '../../engine/core/record.ts';
import type { OrderedStore, StoreEntry, StoreOperation } from '../../engine/core/store.ts';
import { TABLES } from './options.ts';

/** Longer records are cut to this; their full size is kept. Chosen: the largest record that the door lets in. */
const KEPT_BYTES_MAX = 1024 * 1024;
/** What a letter costs beside its bytes, so that a flood of tiny ones is bounded too. */
const LETTER_OVERHEAD = 256;
/** Letters removed per checkpoint. */
const EXPIRED_PER_CHECKPOINT_MAX = 20_000;

export interface DeadLetterState {
  readonly nextId: number;
  readonly storedBytes: number;
  readonly expired: number;
}

type StoredLetter = [code: number, receivedAtMs: number, source: number, batchSequence: number, index: number, size: number, bytes: Uint8Array];

export class DeadLetters {
  readonly #store: OrderedStore;
  readonly #bytesMax: number;
  /** Oldest first. */
  #fresh: DeadLetter[] = [];
  #freshBytes = 0;
  /** In the checkpoint in flight, and what its success changes. */
  #saving: DeadLetter[] = [];
  #savingState: DeadLetterState | null = null;
  #nextId = 1;
  #storedBytes = 0;
  #expired = 0;

  constructor(store: OrderedStore, bytesMax: number) {
    this.#store = store;
    this.#bytesMax = bytesMax;
  }

  /** Bytes that wait for a checkpoint. */
  get freshBytes(): number {
    return this.#freshBytes;
  }

  get figures(): { readonly bytes: number; readonly expired: number } {
    return { bytes: this.#storedBytes + this.#freshBytes, expired: this.#expired };
  }

  /** Copies `bytes[start, end)`. */
  add(letter: Omit<DeadLetter, 'id' | 'size' | 'bytes'>, bytes: Uint8Array, start: number, end: number): void {
    const kept = new Uint8Array(Math.min(end - start, KEPT_BYTES_MAX));
    kept.set(bytes.subarray(start, start + kept.byteLength));
    this.#fresh.push({ id: this.#nextId++, ...letter, size: end - start, bytes: kept });
    this.#freshBytes += kept.byteLength + LETTER_OVERHEAD;
    while (this.#freshBytes > this.#bytesMax && this.#fresh.length > 1) this.#dropOldestFresh();
  }

  /** The newest first; `before`: only ids below. Raises STATE_CORRUPT. */
  newest(limit: number, before = Infinity): DeadLetter[] {
    const letters: DeadLetter[] = [];
    for (const kept of [this.#fresh, this.#saving]) {
      for (let at = countBelow(kept, before) - 1; at >= 0 && letters.length < limit; at--) letters.push(kept[at] as DeadLetter);
    }
    const storedBefore = Math.min(before, this.#saving[0]?.id ?? Infinity, this.#fresh[0]?.id ?? Infinity, this.#nextId);
    const range = { to: letterKey(Math.max(0, Math.ceil(storedBefore)), 0), reverse: true, limit: limit - letters.length };
    if (range.limit > 0) for (const entry of this.#store.range(TABLES.dead, range)) letters.push(decodeLetter(entry));
    return letters;
  }

  /** Appends this checkpoint's operations; the returned state goes with them. */
  checkpoint(operations: StoreOperation[]): DeadLetterState {
    this.#saving = this.#fresh;
    const savedBytes = this.#freshBytes;
    this.#fresh = [];
    this.#freshBytes = 0;
    for (const letter of this.#saving) {
      operations.push({ table: TABLES.dead, key: letterKey(letter.id, letter.bytes.byteLength + LETTER_OVERHEAD), value: encodeLetter(letter) });
    }
    const freed = this.#expire(operations, this.#storedBytes + savedBytes - this.#bytesMax);
    this.#savingState = { nextId: this.#nextId, storedBytes: this.#storedBytes + savedBytes - freed.bytes, expired: this.#expired + freed.count };
    return this.#savingState;
  }

  checkpointCommitted(): void {
    if (this.#savingState !== null) {
      this.#expired = this.#savingState.expired;
      this.#storedBytes = this.#savingState.storedBytes;
    }
    this.#saving = [];
    this.#savingState = null;
  }

  checkpointFailed(): void {
    for (const letter of this.#saving) this.#freshBytes += letter.bytes.byteLength + LETTER_OVERHEAD;
    this.#fresh = [...this.#saving, ...this.#fresh];
    this.#saving = [];
    this.#savingState = null;
    while (this.#freshBytes > this.#bytesMax && this.#fresh.length > 1) this.#dropOldestFresh();
  }

  restore(state: DeadLetterState): void {
    this.#nextId = state.nextId;
    this.#storedBytes = state.storedBytes;
    this.#expired = state.expired;
  }

  /** Removes the oldest stored letters until `excess` bytes are free. */
  #expire(operations: StoreOperation[], excess: number): { readonly bytes: number; readonly count: number } {
    let bytes = 0;
    let count = 0;
    if (excess <= 0) return { bytes, count };
    for (const { key } of this.#store.range(TABLES.dead, { limit: EXPIRED_PER_CHECKPOINT_MAX })) {
      if (bytes >= excess) break;
      bytes += Buffer.from(key.buffer, key.byteOffset, key.byteLength).readUInt32BE(8);
      count++;
      operations.push({ table: TABLES.dead, key, value: null });
    }
    return { bytes, count };
  }

  #dropOldestFresh(): void {
    const oldest = this.#fresh.shift() as DeadLetter;
    this.#freshBytes -= oldest.bytes.byteLength + LETTER_OVERHEAD;
    this.#expired++;
    if (this.#savingState !== null) this.#savingState = { ...this.#savingState, expired: this.#savingState.expired + 1 };
  }
}

/** How many of the letters, which are in order, have an id below `before`. */
function countBelow(letters: readonly DeadLetter[], before: number): number {
  let [low, high] = [0, letters.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((letters[middle] as DeadLetter).id < before) low = middle + 1;
    else high = middle;
  }
  return low;
}

function letterKey(id: number, weight: number): Uint8Array {
  const key = Buffer.alloc(12);
  key.writeBigUInt64BE(BigInt(id), 0);
  key.writeUInt32BE(weight, 8);
  return key;
}

function encodeLetter(letter: DeadLetter): Uint8Array {
  const { code, receivedAtMs, source, batchSequence, index, size, bytes } = letter;
  const stored: StoredLetter = [REJECT_CODES.indexOf(code), receivedAtMs, source, batchSequence, index, size, bytes];
  return pack(stored);
}

function decodeLetter({ key, value }: StoreEntry): DeadLetter {
  return decodeStored('a dead letter', () => {
    const [code, receivedAtMs, source, batchSequence, index, size, bytes] = unpack<StoredLetter>(value);
    if (!(bytes instanceof Uint8Array)) throw new TypeError('it has no bytes');
    const id = Number(Buffer.from(key.buffer, key.byteOffset, key.byteLength).readBigUInt64BE(0));
    return { id, code: REJECT_CODES[code] as RejectCode, receivedAtMs, source, batchSequence, index, size, bytes: new Uint8Array(bytes) };
  });
}
