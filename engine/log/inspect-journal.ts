/**
 * A look at a journal directory for people: segments, ranges, times and damage. Reads only; safe beside a running daemon.
 */

import { readFully, type Disk } from '../core/disk.ts';
import { EngineError } from '../core/errors.ts';
import type { Offset } from '../core/types.ts';
import { decodeBatchFacts } from './batch-format.ts';
import { readMeta } from './journal-meta.ts';
import { nodeDisk } from './node-disk.ts';
import { corrupt, unreadable } from './damage.ts';
import { readSegmentChain, type ChainSegment } from './segment-chain.ts';
import { offsetOf, SEGMENT_HEADER_BYTES } from './segment-format.ts';
import { scanSegment, type SegmentScan } from './segment-scan.ts';

export interface SegmentReport {
  readonly number: number;
  readonly path: string;
  readonly startOffset: Offset;
  readonly endOffset: Offset;
  readonly fileBytes: number;
  readonly batches: number;
  readonly records: number;
  /** Sequences of its batches: the first, and one past the last. */
  readonly firstSequence: number;
  readonly nextSequence: number;
  readonly firstReceivedAtMs: number;
  readonly lastReceivedAtMs: number;
  /** Running time before its first batch. */
  readonly runningTimeMs: number;
  /** What is wrong with it, or null. */
  readonly damage: string | null;
}

export interface JournalReport {
  readonly instance: string;
  readonly partitionCount: number;
  readonly segmentBytes: number;
  readonly segments: readonly SegmentReport[];
  readonly spares: number;
  readonly bytesOnDisk: number;
  /** Bytes past the end that belong to a batch being written, or to one that was torn. */
  readonly tornBytes: number;
}

export interface InspectOptions {
  readonly directory: string;
  /** Checks every record's CRC, not the headers alone. */
  readonly verifyRecords?: boolean;
  readonly disk?: Disk;
}

/** Raises JOURNAL_CORRUPT where the chain of segments itself is broken, DATA_VERSION, DATA_DIR_FOREIGN. */
export function inspectJournal(options: InspectOptions): JournalReport {
  const disk = options.disk ?? nodeDisk;
  const meta = readMeta(disk, options.directory);
  if (meta === null) throw corrupt('there is no journal in the directory', { directory: options.directory });
  const chain = readSegmentChain(disk, options.directory, meta);
  const buffer = Buffer.allocUnsafe(Math.min(meta.segmentBytes, Math.max(0, ...chain.segments.map((segment) => segment.fileBytes))));
  const segments: SegmentReport[] = [];
  let tornBytes = 0;
  for (const segment of chain.segments) {
    const { report, scan } = inspectSegment(disk, segment, buffer, options.verifyRecords === true);
    segments.push(report);
    if (segment.endPosition < 0) tornBytes = scan.tornBytes;
  }
  return {
    instance: meta.instance,
    partitionCount: meta.partitionCount,
    segmentBytes: meta.segmentBytes,
    segments,
    spares: chain.sparePaths.length,
    bytesOnDisk: chain.segments.reduce((bytes, segment) => bytes + segment.fileBytes, chain.sparePaths.length * meta.segmentBytes),
    tornBytes,
  };
}

function inspectSegment(disk: Disk, segment: ChainSegment, buffer: Buffer, verifyRecords: boolean): { report: SegmentReport; scan: SegmentScan } {
  let scan = scanOnce(disk, segment, buffer, verifyRecords);
  let damage = damageOf(segment, scan);
  if (damage !== null && segment.endPosition < 0) {
    // A running daemon may have written between two reads of its newest segment; only damage that stays is damage.
    scan = scanOnce(disk, segment, buffer, verifyRecords);
    damage = damageOf(segment, scan);
  }
  const { header } = segment;
  let records = 0;
  for (const position of scan.positions) records += decodeBatchFacts(buffer, position).recordCount;
  const lastAt = scan.positions.at(-1);
  const last = lastAt === undefined ? null : decodeBatchFacts(buffer, lastAt);
  return {
    scan,
    report: {
      number: header.number,
      path: segment.path,
      startOffset: offsetOf(header.number, SEGMENT_HEADER_BYTES, header.segmentBytes),
      endOffset: offsetOf(header.number, segment.endPosition < 0 ? scan.endPosition : segment.endPosition, header.segmentBytes),
      fileBytes: segment.fileBytes,
      batches: scan.positions.length,
      records,
      firstSequence: header.nextSequence,
      nextSequence: last === null ? header.nextSequence : last.sequence + 1,
      firstReceivedAtMs: header.firstReceivedAtMs,
      lastReceivedAtMs: last?.receivedAtMs ?? header.receivedAtMs,
      runningTimeMs: header.runningTimeMs,
      damage,
    },
  };
}

function scanOnce(disk: Disk, segment: ChainSegment, buffer: Buffer, verifyRecords: boolean): SegmentScan {
  const file = disk.open(segment.path, 'read');
  try {
    const end = segment.endPosition < 0 ? buffer.byteLength : segment.endPosition;
    return scanSegment(buffer, readFully(file, buffer, 0, Math.min(end, buffer.byteLength), 0), segment, !verifyRecords);
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw unreadable('a segment cannot be read', { file: segment.path }, error);
  } finally {
    file.close();
  }
}

function damageOf(segment: ChainSegment, scan: SegmentScan): string | null {
  const { header, endPosition } = segment;
  const durable = endPosition >= 0 ? endPosition : Math.max(header.bornEndPosition, scan.durableOffset - header.number * header.segmentBytes);
  if (durable <= scan.endPosition) return null;
  return `sound up to position ${scan.endPosition}, but durable up to ${durable}`;
}
