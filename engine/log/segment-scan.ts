/**
 * Walks one segment that lies in memory: which batches are chained and sound, and what sound headers beyond any damage prove.
 *
 * Pure: recovery and inspection decide what the facts mean.
 */

import { EngineError } from '../core/errors.ts';
import {
  BATCH_FORMAT_VERSION,
  BATCH_HEADER_BYTES,
  BATCH_MAGIC,
  batchBodyIsSound,
  batchCrc,
  batchHeaderIsSound,
  batchVersion,
  decodeBatchFacts,
  RECORD_ALIGNMENT,
} from './batch-format.ts';
import type { ChainSegment } from './segment-chain.ts';
import { SEGMENT_HEADER_BYTES } from './segment-format.ts';

export interface SegmentScan {
  /** Positions of the sound, chained batches, rising. */
  readonly positions: readonly number[];
  /** Where the last of them ends. */
  readonly endPosition: number;
  /** CRC of the last of them; of the segment header when there is none. */
  readonly chain: number;
  /** Highest durable offset that any sound header of this segment names, beyond damage too. */
  readonly durableOffset: number;
  /** Bytes past {@link endPosition} that look like part of a batch that was being written. */
  readonly tornBytes: number;
}

/** `bytes` holds the file from its start up to `end`. Record CRCs are checked unless `headersOnly`. Raises DATA_VERSION. */
export function scanSegment(bytes: Buffer, end: number, segment: ChainSegment, headersOnly = false): SegmentScan {
  const positions: number[] = [];
  let durableOffset = 0;
  let chain = segment.crc;
  let at = SEGMENT_HEADER_BYTES;
  while (batchHeaderIsSound(bytes, at, end, segment.seed)) {
    const version = batchVersion(bytes, at);
    if (version > BATCH_FORMAT_VERSION) {
      throw new EngineError('DATA_VERSION', `batch format ${version} is newer than this program`, {
        where: { file: segment.path, position: at },
        fix: 'start the version of the daemon that wrote it, or a newer one',
      });
    }
    const facts = decodeBatchFacts(bytes, at);
    const batchEnd = at + facts.headerBytes + facts.bodyBytes;
    if (facts.previousCrc !== chain || facts.segment !== segment.header.number || batchEnd > end) break;
    if (!headersOnly && !batchBodyIsSound(bytes, at, facts, segment.seed)) break;
    durableOffset = Math.max(durableOffset, facts.durableOffset);
    chain = batchCrc(bytes, at);
    positions.push(at);
    at = batchEnd;
  }
  const beyond = scanBeyond(bytes, at, end, segment);
  return {
    positions,
    endPosition: at,
    chain,
    durableOffset: Math.max(durableOffset, beyond.durableOffset),
    tornBytes: beyond.evidenceEnd - at,
  };
}

/** Looks for sound headers past the chain's end: each is proof of what was durable when it was written. */
function scanBeyond(bytes: Buffer, start: number, end: number, segment: ChainSegment): { durableOffset: number; evidenceEnd: number } {
  let durableOffset = 0;
  let evidenceEnd = start;
  for (let at = start; at + BATCH_HEADER_BYTES <= end; at += RECORD_ALIGNMENT) {
    if (bytes.readUInt32LE(at) !== BATCH_MAGIC || !batchHeaderIsSound(bytes, at, end, segment.seed)) continue;
    const facts = decodeBatchFacts(bytes, at);
    durableOffset = Math.max(durableOffset, facts.durableOffset);
    evidenceEnd = Math.max(evidenceEnd, Math.min(at + facts.headerBytes + facts.bodyBytes, end));
  }
  // A recycled file is full of its earlier life; only in a new one does any byte that is not zero come from a torn write.
  if (!segment.header.recycled) evidenceEnd = Math.max(evidenceEnd, lastNonZero(bytes, evidenceEnd, end));
  return { durableOffset, evidenceEnd };
}

/** End of the last byte of `bytes[start, end)` that is not zero; `start` when there is none. */
function lastNonZero(bytes: Buffer, start: number, end: number): number {
  for (let at = end; at > start; at--) if (bytes[at - 1] !== 0) return at;
  return start;
}
