/**
 * What a journal directory holds after whatever ended its last life: decided by reading alone, before anything is changed.
 *
 * The highest durable offset is the best of four proofs: the durable offset that any sound batch header names, the end of the
 * previous segment that each segment header names, the end up to which the newest segment was on disk before it got its name, and
 * the highest offset that a flushed checkpoint covers. Damage at or past it is a torn tail and is reported; damage before it
 * raises JOURNAL_CORRUPT and nothing is cut. Sound batches past it are the unproven tail: their sync may have failed.
 */

import { readFully, type Disk } from '../core/disk.ts';
import { EngineError } from '../core/errors.ts';
import type { Offset } from '../core/types.ts';
import { batchCrc, decodeBatchFacts } from './batch-format.ts';
import type { JournalMeta } from './journal-meta.ts';
import { corrupt, unreadable } from './damage.ts';
import type { ChainSegment, SegmentChain } from './segment-chain.ts';
import { offsetOf, positionOf, SEGMENT_HEADER_BYTES, segmentOf } from './segment-format.ts';
import { scanSegment, type SegmentScan } from './segment-scan.ts';

/** Where the next batch goes on: everything a batch header takes from its predecessor. */
export interface LogState {
  /** End of the last durable batch. */
  readonly durableOffset: Offset;
  readonly segment: number;
  readonly position: number;
  /** CRC of the last batch header, or of its segment's header. */
  readonly chain: number;
  readonly nextSequence: number;
  readonly receivedAtMs: number;
  readonly receivedAtUsPart: number;
  readonly runningTimeMs: number;
}

export interface RecoveredTail {
  /** The state at the proven end. */
  readonly proven: LogState;
  readonly newest: ChainSegment;
  /** The newest segment as it lies on disk. */
  readonly bytes: Buffer;
  /** Positions of the sound batches past the proven end: at most one, since each header proves all that stands before it. */
  readonly unproven: readonly number[];
  readonly endOffset: Offset;
  readonly cutBytes: number;
}

/** Reads and judges the newest segment. Raises JOURNAL_CORRUPT, CHECKPOINT_BEYOND_LOG or DATA_VERSION. */
export function recoverTail(disk: Disk, chain: SegmentChain, meta: JournalMeta, provenOffset: Offset): RecoveredTail {
  const newest = chain.segments.at(-1);
  if (newest === undefined) throw new Error('bug: a journal without segments has no tail');
  const bytes = readSegment(disk, newest);
  const scan = scanSegment(bytes, bytes.byteLength, newest);
  const { number } = newest.header;
  const endOffset = offsetOf(number, scan.endPosition, meta.segmentBytes);
  const start = offsetOf(number, SEGMENT_HEADER_BYTES, meta.segmentBytes);
  const written = Math.max(start, offsetOf(number, newest.header.bornEndPosition, meta.segmentBytes), scan.durableOffset);
  if (written > endOffset) {
    throw corrupt('a batch that was acknowledged is damaged', {
      file: newest.path,
      position: scan.endPosition,
      offset: endOffset,
      durableOffset: written,
    });
  }
  checkCheckpoint(chain, meta, provenOffset, scan, endOffset);
  const provenEnd = positionOf(Math.max(written, provenOffset) as Offset, meta.segmentBytes);
  const firstUnproven = scan.positions.findIndex((position) => position >= provenEnd);
  const provenCount = firstUnproven < 0 ? scan.positions.length : firstUnproven;
  return {
    proven: stateAfter(bytes, newest, scan, provenCount, meta),
    newest,
    bytes,
    unproven: scan.positions.slice(provenCount),
    endOffset,
    cutBytes: scan.tornBytes,
  };
}

/** A checkpoint must point at the start of a batch of this journal, or at the end of its last one. */
function checkCheckpoint(chain: SegmentChain, meta: JournalMeta, provenOffset: Offset, scan: SegmentScan, endOffset: Offset): void {
  const number = segmentOf(provenOffset, meta.segmentBytes);
  const position = Math.max(positionOf(provenOffset, meta.segmentBytes), SEGMENT_HEADER_BYTES);
  const oldest = chain.segments[0] as ChainSegment;
  if (number < oldest.header.number) return; // Too old is for the reader to say: it knows which partitions need it.
  const segment = chain.segments.find((candidate) => candidate.header.number === number);
  const known =
    segment !== undefined &&
    (segment.endPosition >= 0 ? position <= segment.endPosition : position === scan.endPosition || scan.positions.includes(position));
  if (!known) throw beyond(provenOffset, endOffset);
}

export const beyond = (provenOffset: Offset, endOffset: Offset): EngineError =>
  new EngineError('CHECKPOINT_BEYOND_LOG', `a checkpoint covers offset ${provenOffset}, but the journal ends at ${endOffset}`, {
    where: { provenOffset, endOffset },
    fix: 'journal and state must come from the same moment: restore both from one copy',
  });

function stateAfter(bytes: Buffer, newest: ChainSegment, scan: SegmentScan, provenCount: number, meta: JournalMeta): LogState {
  const { header } = newest;
  const at = scan.positions[provenCount - 1];
  if (at === undefined) {
    return {
      durableOffset: offsetOf(header.number, SEGMENT_HEADER_BYTES, meta.segmentBytes),
      segment: header.number,
      position: SEGMENT_HEADER_BYTES,
      chain: newest.crc,
      nextSequence: header.nextSequence,
      receivedAtMs: header.receivedAtMs,
      receivedAtUsPart: header.receivedAtUsPart,
      runningTimeMs: header.runningTimeMs,
    };
  }
  const facts = decodeBatchFacts(bytes, at);
  const position = at + facts.headerBytes + facts.bodyBytes;
  return {
    durableOffset: offsetOf(header.number, position, meta.segmentBytes),
    segment: header.number,
    position,
    chain: batchCrc(bytes, at),
    nextSequence: facts.sequence + 1,
    receivedAtMs: facts.receivedAtMs,
    receivedAtUsPart: facts.receivedAtUsPart,
    runningTimeMs: facts.runningTimeMs,
  };
}

function readSegment(disk: Disk, segment: ChainSegment): Buffer {
  const bytes = Buffer.allocUnsafe(Math.min(segment.fileBytes, segment.header.segmentBytes));
  const file = disk.open(segment.path, 'read');
  try {
    return bytes.subarray(0, readFully(file, bytes, 0, bytes.byteLength, 0));
  } catch (error) {
    throw unreadable('the newest segment cannot be read', { file: segment.path }, error);
  } finally {
    file.close();
  }
}
