/**
 * A batch: a header with an index of partitions, control records, then data records grouped by partition in partition order.
 *
 * ```
 * header, little-endian; whole numbers beyond 32 bits are stored as f64; a batch and each record start at a multiple of 8
 *   0 u32 magic              4 u32 CRC of [8, header bytes)   8 u32 version           12 u32 header bytes, index included
 *  16 u32 body bytes        20 u32 segment number            24 f64 batch sequence
 *  32 f64 receivedAt ms     40 f64 runningTime ms            48 f64 durable offset when it was written
 *  56 u32 CRC of the previous batch's header                 60 u32 data records
 *  64 u32 control records   68 u32 control bytes             72 u32 index entries     76 u32 receivedAt, microseconds beyond the ms
 *  80 index: u32 partition | u32 records | u32 bytes, by rising partition, then zeros to a multiple of 8
 *
 * body    | control record ... | partition 3: record, record | partition 7: record | ...
 * record  | u32 CRC of what follows | u32 payload bytes | u8 source | u8 flags | payload | zeros to a multiple of 8 |
 * ```
 *
 * The previous header's CRC makes a chain: only a batch that names its predecessor is its successor. The first batch of a segment
 * names the segment's header.
 */

import { crc32 } from 'node:zlib';

export const BATCH_FORMAT_VERSION = 1;
export const BATCH_HEADER_BYTES = 80;
export const INDEX_ENTRY_BYTES = 12;
export const RECORD_HEADER_BYTES = 10;
export const RECORD_ALIGNMENT = 8;
export const BATCH_MAGIC = 0x62426a4d; // "MjBb"

/** Bytes a record takes in a batch. */
export const recordBytes = (payloadBytes: number): number => align(RECORD_HEADER_BYTES + payloadBytes);
export const batchHeaderBytes = (indexEntries: number): number => align(BATCH_HEADER_BYTES + indexEntries * INDEX_ENTRY_BYTES);
const align = (bytes: number): number => Math.ceil(bytes / RECORD_ALIGNMENT) * RECORD_ALIGNMENT;

/** What a batch header says besides the index. */
export interface BatchFacts {
  readonly headerBytes: number;
  readonly bodyBytes: number;
  readonly segment: number;
  readonly sequence: number;
  readonly receivedAtMs: number;
  /** 0 to 999, beyond `receivedAtMs`; 0 in journals from before there were several. */
  readonly receivedAtUsPart: number;
  readonly runningTimeMs: number;
  /** Everything before this offset was durable when the batch was written. */
  readonly durableOffset: number;
  readonly previousCrc: number;
  readonly recordCount: number;
  readonly controlCount: number;
  readonly controlBytes: number;
  readonly indexEntries: number;
}

export const US_PER_MS = 1_000;

/** The batch's place in the order of all journals: epoch microseconds. */
export const orderKeyOf = (facts: Pick<BatchFacts, 'receivedAtMs' | 'receivedAtUsPart'>): number => facts.receivedAtMs * US_PER_MS + facts.receivedAtUsPart;
export const receivedAtOf = (orderKey: number): Pick<BatchFacts, 'receivedAtMs' | 'receivedAtUsPart'> => ({
  receivedAtMs: Math.floor(orderKey / US_PER_MS),
  receivedAtUsPart: orderKey % US_PER_MS,
});

/** Writes the header at `at`; the index must be there already. Returns its CRC. */
export function encodeBatchHeader(facts: BatchFacts, into: Buffer, at: number, seed: number): number {
  into.writeUInt32LE(BATCH_MAGIC, at);
  into.writeUInt32LE(BATCH_FORMAT_VERSION, at + 8);
  into.writeUInt32LE(facts.headerBytes, at + 12);
  into.writeUInt32LE(facts.bodyBytes, at + 16);
  into.writeUInt32LE(facts.segment, at + 20);
  into.writeDoubleLE(facts.sequence, at + 24);
  into.writeDoubleLE(facts.receivedAtMs, at + 32);
  into.writeDoubleLE(facts.runningTimeMs, at + 40);
  into.writeDoubleLE(facts.durableOffset, at + 48);
  into.writeUInt32LE(facts.previousCrc, at + 56);
  into.writeUInt32LE(facts.recordCount, at + 60);
  into.writeUInt32LE(facts.controlCount, at + 64);
  into.writeUInt32LE(facts.controlBytes, at + 68);
  into.writeUInt32LE(facts.indexEntries, at + 72);
  into.writeUInt32LE(facts.receivedAtUsPart, at + 76);
  const crc = crc32(into.subarray(at + 8, at + facts.headerBytes), seed);
  into.writeUInt32LE(crc, at + 4);
  return crc;
}

export const batchCrc = (bytes: Buffer, at: number): number => bytes.readUInt32LE(at + 4);

/** Bytes the header at `at` claims for itself; not to be believed before {@link batchHeaderIsSound}. */
export const batchHeaderBytesAt = (bytes: Buffer, at: number): number => bytes.readUInt32LE(at + 12);

/**
 * True when `bytes[at, end)` starts with a sound batch header of this segment. The whole header must lie before `end`;
 * the body need not.
 */
export function batchHeaderIsSound(bytes: Buffer, at: number, end: number, seed: number): boolean {
  if (at + BATCH_HEADER_BYTES > end || bytes.readUInt32LE(at) !== BATCH_MAGIC) return false;
  const headerBytes = bytes.readUInt32LE(at + 12);
  if (headerBytes < BATCH_HEADER_BYTES || headerBytes % RECORD_ALIGNMENT !== 0 || at + headerBytes > end) return false;
  return crc32(bytes.subarray(at + 8, at + headerBytes), seed) === bytes.readUInt32LE(at + 4);
}

export const batchVersion = (bytes: Buffer, at: number): number => bytes.readUInt32LE(at + 8);

export function decodeBatchFacts(bytes: Buffer, at: number): BatchFacts {
  return {
    headerBytes: bytes.readUInt32LE(at + 12),
    bodyBytes: bytes.readUInt32LE(at + 16),
    segment: bytes.readUInt32LE(at + 20),
    sequence: bytes.readDoubleLE(at + 24),
    receivedAtMs: bytes.readDoubleLE(at + 32),
    receivedAtUsPart: bytes.readUInt32LE(at + 76),
    runningTimeMs: bytes.readDoubleLE(at + 40),
    durableOffset: bytes.readDoubleLE(at + 48),
    previousCrc: bytes.readUInt32LE(at + 56),
    recordCount: bytes.readUInt32LE(at + 60),
    controlCount: bytes.readUInt32LE(at + 64),
    controlBytes: bytes.readUInt32LE(at + 68),
    indexEntries: bytes.readUInt32LE(at + 72),
  };
}

/** Writes a record's frame around a payload that is, or will be, at `at + RECORD_HEADER_BYTES`; the CRC comes with {@link sealRecord}. */
export function frameRecord(into: Buffer, at: number, payloadBytes: number, source: number, flags: number): void {
  into.writeUInt32LE(payloadBytes, at + 4);
  into[at + 8] = source;
  into[at + 9] = flags;
  const payloadEnd = at + RECORD_HEADER_BYTES + payloadBytes;
  // Stale bytes of the buffer must not reach the disk; at most seven, so a loop beats fill().
  for (let pad = payloadEnd, end = nextRecordAt(at, payloadEnd); pad < end; pad++) into[pad] = 0;
}

/** Writes the CRC of the framed record at `at`. */
export function sealRecord(bytes: Buffer, at: number, seed: number): void {
  const payloadBytes = bytes.readUInt32LE(at + 4);
  bytes.writeUInt32LE(crc32(bytes.subarray(at + 4, at + RECORD_HEADER_BYTES + payloadBytes), seed), at);
}

/** End of the record's payload, or -1 when it is damaged or does not end before `end`. */
export function recordPayloadEnd(bytes: Buffer, at: number, end: number, seed: number): number {
  if (at + RECORD_HEADER_BYTES > end) return -1;
  const payloadEnd = at + RECORD_HEADER_BYTES + bytes.readUInt32LE(at + 4);
  if (payloadEnd > end || crc32(bytes.subarray(at + 4, payloadEnd), seed) !== bytes.readUInt32LE(at)) return -1;
  return payloadEnd;
}

/** Where the record after the one at `at` starts. */
export const nextRecordAt = (at: number, payloadEnd: number): number => at + align(payloadEnd - at);

/** True when index, counts and every record of a sound header's body agree. The whole batch lies in `bytes`. */
export function batchBodyIsSound(bytes: Buffer, at: number, facts: BatchFacts, seed: number): boolean {
  const bodyStart = at + facts.headerBytes;
  if (batchHeaderBytes(facts.indexEntries) !== facts.headerBytes) return false;
  let recordsAt = walkRecords(bytes, bodyStart, bodyStart + facts.controlBytes, facts.controlCount, seed);
  let records = 0;
  let lastPartition = -1;
  for (let entry = 0; entry < facts.indexEntries && recordsAt >= 0; entry++) {
    const entryAt = at + BATCH_HEADER_BYTES + entry * INDEX_ENTRY_BYTES;
    const partition = bytes.readUInt32LE(entryAt);
    const count = bytes.readUInt32LE(entryAt + 4);
    if (partition <= lastPartition) return false;
    lastPartition = partition;
    records += count;
    recordsAt = walkRecords(bytes, recordsAt, recordsAt + bytes.readUInt32LE(entryAt + 8), count, seed);
  }
  return recordsAt === bodyStart + facts.bodyBytes && records === facts.recordCount;
}

/** `end` when exactly `count` sound records fill `bytes[start, end)`, otherwise -1. */
function walkRecords(bytes: Buffer, start: number, end: number, count: number, seed: number): number {
  if (end > bytes.byteLength) return -1;
  let at = start;
  for (let record = 0; record < count; record++) {
    const payloadEnd = recordPayloadEnd(bytes, at, end, seed);
    if (payloadEnd < 0) return -1;
    at = nextRecordAt(at, payloadEnd);
  }
  return at === end ? end : -1;
}
