/**
 * A segment file: one block that says what the segment is and where the one before it ended, then batches.
 *
 * ```
 *   0        4096                                                            segment bytes
 *   | header | batch | batch | batch | ... | zeros, or bytes of an earlier life |
 *
 * header block, little-endian; whole numbers beyond 32 bits are stored as f64
 *   0 u32 magic               4 u32 CRC of [8, 4096)      8 u32 version              12 u32 segment number
 *  16 f64 segment bytes      24 u32 partition count      28 u32 flags (1: recycled file)
 *  32 f64 next batch sequence                            40 f64 receivedAt so far
 *  48 f64 runningTime so far                             56 f64 receivedAt of its first batch
 *  64 f64 created at                                     72 u32 1 if there is a previous segment
 *  76 u32 previous segment   80 u32 its end position     84 u32 CRC of its last batch header (of its own header if it has none)
 *  88 u32 born end: batches up to here were on disk before the file got its name
 *  92 u32 instance bytes     96 instance, UTF-8, at most 64 bytes
 * 160 u32 receivedAt so far, microseconds beyond the ms
 * ```
 *
 * A segment gets its name only once its header and its first batches are on disk. So a named segment without a sound header is
 * damage, never a crash; and what a header says of the previous segment's end was durable when it was written.
 * Every CRC of a segment starts from a seed of its own (number and journal salt), so bytes of an earlier life never read as this one's.
 */

import { crc32 } from 'node:zlib';

import { assert, offset, type Offset } from '../core/types.ts';

export const SEGMENT_HEADER_BYTES = 4_096;
export const SEGMENT_FORMAT_VERSION = 1;
/** Chosen: positions fit 32 bits, and recovery reads the last segment into memory whole. */
export const SEGMENT_BYTES_MAX = 2 ** 30;
export const SEGMENT_BYTES_DEFAULT = 64 * 1024 * 1024;
export const INSTANCE_BYTES_MAX = 64;

const SEGMENT_MAGIC = 0x67536a4d; // "MjSg"
const FLAG_RECYCLED = 1;
const INSTANCE_AT = 96;
const US_PART_AT = INSTANCE_AT + INSTANCE_BYTES_MAX;

/** Where the segment before ended: everything after that position in its file is void. */
export interface PreviousSegment {
  readonly number: number;
  readonly endPosition: number;
  /** CRC of the last batch header there, or of the segment header where it holds no batch. */
  readonly chain: number;
}

export interface SegmentHeader {
  readonly number: number;
  readonly segmentBytes: number;
  readonly partitionCount: number;
  readonly instance: string;
  readonly recycled: boolean;
  readonly nextSequence: number;
  /** Of the last batch before this segment; 0 when there was none. */
  readonly receivedAtMs: number;
  /** 0 to 999, beyond `receivedAtMs`. */
  readonly receivedAtUsPart: number;
  readonly runningTimeMs: number;
  /** Of its first batch; the time of creation where it was born empty. */
  readonly firstReceivedAtMs: number;
  /** Tells two lives of one segment number apart, should a crash lose the name of the first. */
  readonly createdAtMs: number;
  readonly previous: PreviousSegment | null;
  readonly bornEndPosition: number;
}

/** The CRC seed of a segment. Different numbers give different seeds; the salt keeps senders from forging our headers in payloads. */
export function segmentSeed(number: number, salt: number): number {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(number, 0);
  return crc32(bytes, salt);
}

/** Fills `block` (4 KiB) and returns the header's CRC: the first batch's predecessor in the chain. */
export function encodeSegmentHeader(header: SegmentHeader, block: Buffer, seed: number): number {
  const instanceBytes = Buffer.byteLength(header.instance);
  assert(block.byteLength === SEGMENT_HEADER_BYTES, 'a segment header fills its block');
  assert(instanceBytes <= INSTANCE_BYTES_MAX, 'an instance name is short');
  block.fill(0);
  block.writeUInt32LE(SEGMENT_MAGIC, 0);
  block.writeUInt32LE(SEGMENT_FORMAT_VERSION, 8);
  block.writeUInt32LE(header.number, 12);
  block.writeDoubleLE(header.segmentBytes, 16);
  block.writeUInt32LE(header.partitionCount, 24);
  block.writeUInt32LE(header.recycled ? FLAG_RECYCLED : 0, 28);
  block.writeDoubleLE(header.nextSequence, 32);
  block.writeDoubleLE(header.receivedAtMs, 40);
  block.writeDoubleLE(header.runningTimeMs, 48);
  block.writeDoubleLE(header.firstReceivedAtMs, 56);
  block.writeDoubleLE(header.createdAtMs, 64);
  block.writeUInt32LE(header.previous === null ? 0 : 1, 72);
  block.writeUInt32LE(header.previous?.number ?? 0, 76);
  block.writeUInt32LE(header.previous?.endPosition ?? 0, 80);
  block.writeUInt32LE(header.previous?.chain ?? 0, 84);
  block.writeUInt32LE(header.bornEndPosition, 88);
  block.writeUInt32LE(instanceBytes, 92);
  block.write(header.instance, INSTANCE_AT, 'utf8');
  block.writeUInt32LE(header.receivedAtUsPart, US_PART_AT);
  const crc = crc32(block.subarray(8), seed);
  block.writeUInt32LE(crc, 4);
  return crc;
}

/** A header that was read back, with its CRC; `newerVersion` where only its version could be read. */
export type DecodedSegmentHeader =
  | { readonly kind: 'sound'; readonly header: SegmentHeader; readonly crc: number }
  | { readonly kind: 'newer'; readonly version: number }
  | { readonly kind: 'damaged' };

export function decodeSegmentHeader(block: Buffer, number: number, seed: number): DecodedSegmentHeader {
  if (block.byteLength < SEGMENT_HEADER_BYTES || block.readUInt32LE(0) !== SEGMENT_MAGIC) return { kind: 'damaged' };
  const crc = block.readUInt32LE(4);
  if (crc32(block.subarray(8, SEGMENT_HEADER_BYTES), seed) !== crc) return { kind: 'damaged' };
  const version = block.readUInt32LE(8);
  if (version > SEGMENT_FORMAT_VERSION) return { kind: 'newer', version };
  if (block.readUInt32LE(12) !== number) return { kind: 'damaged' };
  return {
    kind: 'sound',
    crc,
    header: {
      number,
      segmentBytes: block.readDoubleLE(16),
      partitionCount: block.readUInt32LE(24),
      recycled: (block.readUInt32LE(28) & FLAG_RECYCLED) !== 0,
      nextSequence: block.readDoubleLE(32),
      receivedAtMs: block.readDoubleLE(40),
      receivedAtUsPart: block.readUInt32LE(US_PART_AT),
      runningTimeMs: block.readDoubleLE(48),
      firstReceivedAtMs: block.readDoubleLE(56),
      createdAtMs: block.readDoubleLE(64),
      previous:
        block.readUInt32LE(72) === 0
          ? null
          : { number: block.readUInt32LE(76), endPosition: block.readUInt32LE(80), chain: block.readUInt32LE(84) },
      bornEndPosition: block.readUInt32LE(88),
      instance: block.toString('utf8', INSTANCE_AT, INSTANCE_AT + Math.min(block.readUInt32LE(92), INSTANCE_BYTES_MAX)),
    },
  };
}

/** A segment never fills its last 8 bytes, so that its end is never the next one's start. */
export const segmentOf = (position: Offset, segmentBytes: number): number => Math.floor(position / segmentBytes);
export const positionOf = (position: Offset, segmentBytes: number): number => position % segmentBytes;
export const offsetOf = (number: number, position: number, segmentBytes: number): Offset => offset(number * segmentBytes + position);

const SEGMENT_NAME = /^(\d{10})\.segment$/;
const SPARE_NAME = /^spare-(\d{1,15})\.segment$/;

export const segmentFileName = (number: number): string => `${String(number).padStart(10, '0')}.segment`;
export const spareFileName = (id: number): string => `spare-${id}.segment`;

/** The number in a segment's file name, or -1. */
export const segmentNumberOf = (fileName: string): number => Number(SEGMENT_NAME.exec(fileName)?.[1] ?? -1);
export const spareIdOf = (fileName: string): number => Number(SPARE_NAME.exec(fileName)?.[1] ?? -1);

/** Numbers of the segments among a directory's names, rising. */
export const segmentNumbers = (fileNames: readonly string[]): number[] =>
  fileNames.map(segmentNumberOf).filter((number) => number >= 0).sort((left, right) => left - right);
