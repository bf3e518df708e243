/**
 * Stored forms of dead letters.
 *
 * Table `dead`: id (8 bytes, big-endian), bytes it counts as (4) -> `[code, receivedAtMs, source, batchSequence, index, size, bytes]`.
 * Table `retries`: id (8 bytes, big-endian) -> `[attempts, verdict, code or -1, atMs]`.
 */

import { decodeStored, pack, unpack } from '../../engine/core/codec.ts';
import type { DeadLetter, LetterRetry } from '../../engine/core/dead-letter.ts';
import { REJECT_CODES, type RejectCode, type Verdict } from '../../engine/core/record.ts';
import type { StoreEntry } from '../../engine/core/store.ts';

/** What a letter costs beside its bytes, so that a flood of tiny ones is bounded too. */
const LETTER_OVERHEAD = 256;

type StoredLetter = [code: number, receivedAtMs: number, source: number, batchSequence: number, index: number, size: number, bytes: Uint8Array];
type StoredRetry = [attempts: number, verdict: Verdict, code: number, atMs: number];

/** Bytes that a letter counts as. */
export const weightOf = ({ bytes }: Pick<DeadLetter, 'bytes'>): number => bytes.byteLength + LETTER_OVERHEAD;

/** With weight 0 the start of a range: no letter sorts before it that has this id. */
export function letterKey(id: number, weight: number): Uint8Array {
  const key = Buffer.alloc(12);
  key.writeBigUInt64BE(BigInt(id), 0);
  key.writeUInt32BE(weight, 8);
  return key;
}

export function retryKey(id: number): Uint8Array {
  const key = Buffer.alloc(8);
  key.writeBigUInt64BE(BigInt(id), 0);
  return key;
}

export function encodeLetter(letter: DeadLetter): Uint8Array {
  const { code, receivedAtMs, source, batchSequence, index, size, bytes } = letter;
  const stored: StoredLetter = [REJECT_CODES.indexOf(code), receivedAtMs, source, batchSequence, index, size, bytes];
  return pack(stored);
}

/** Raises STATE_CORRUPT. */
export function decodeLetter({ key, value }: StoreEntry): DeadLetter {
  return decodeStored('a dead letter', () => {
    const [code, receivedAtMs, source, batchSequence, index, size, bytes] = unpack<StoredLetter>(value);
    if (!(bytes instanceof Uint8Array)) throw new TypeError('it has no bytes');
    const id = Number(Buffer.from(key.buffer, key.byteOffset, key.byteLength).readBigUInt64BE(0));
    return { id, code: REJECT_CODES[code] as RejectCode, receivedAtMs, source, batchSequence, index, size, bytes: new Uint8Array(bytes) };
  });
}

export function encodeRetry({ attempts, verdict, code, atMs }: LetterRetry): Uint8Array {
  const stored: StoredRetry = [attempts, verdict, code === null ? -1 : REJECT_CODES.indexOf(code), atMs];
  return pack(stored);
}

/** Raises STATE_CORRUPT. */
export function decodeRetry(value: Uint8Array): LetterRetry {
  return decodeStored('what became of a dead letter', () => {
    const [attempts, verdict, code, atMs] = unpack<StoredRetry>(value);
    if (![attempts, verdict, code, atMs].every((figure) => typeof figure === 'number')) throw new TypeError('a figure is no number');
    return { attempts, verdict, code: REJECT_CODES[code] ?? null, atMs };
  });
}
