/**
 * A dead letter on its way back through the journal: the bytes of the record behind a header that names the letter.
 *
 * ```
 *   0        1        2         4           8            16
 *   | u8 1   | source | attempt | partition | letter id  | the record's own bytes ...
 *     format   u8       u16       u32         u64          all little-endian
 * ```
 * It goes to the letter's own partition, whose fold knows by the attempt whether it counts: a second copy of the same attempt does not. Whoever
 * reads the journal sees the record as it was, with the source it came from: decoding depends on it.
 */

import { assert } from './types.ts';

export const RETRY_HEADER_BYTES = 16;
const FORMAT = 1;
/** What the header has room for. */
export const ATTEMPTS_MAX = 0xffff;

export interface RetriedLetter {
  readonly partition: number;
  readonly id: number;
  /** From 1: one more than the times that it was sent again before. */
  readonly attempt: number;
  /** Of the record when it came first. */
  readonly source: number;
}

/** Copies `bytes`. */
export function retriedRecord({ partition, id, attempt, source }: RetriedLetter, bytes: Uint8Array): Uint8Array {
  const record = Buffer.allocUnsafeSlow(RETRY_HEADER_BYTES + bytes.byteLength);
  record[0] = FORMAT;
  record[1] = source;
  record.writeUInt16LE(attempt, 2);
  record.writeUInt32LE(partition, 4);
  record.writeBigUInt64LE(BigInt(id), 8);
  record.set(bytes, RETRY_HEADER_BYTES);
  return record;
}

/** Reads the header of the retried record in `bytes[start, end)`: only the daemon writes such records, so a foreign one is a bug. */
export function retriedLetter(bytes: Buffer, start: number, end: number): RetriedLetter {
  assert(end - start >= RETRY_HEADER_BYTES && bytes[start] === FORMAT, 'a retried record has the header of its letter');
  return {
    source: bytes[start + 1] as number,
    attempt: bytes.readUInt16LE(start + 2),
    partition: bytes.readUInt32LE(start + 4),
    id: Number(bytes.readBigUInt64LE(start + 8)),
  };
}
