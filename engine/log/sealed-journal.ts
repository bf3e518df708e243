/**
 * A journal that no ingress thread writes any more: read like any other, and retired down to its last segment.
 *
 * Opening changes nothing where all that it holds is proven to be durable. An unproven tail is made durable anew, as at any open, for
 * which a segment is begun and closed at once. Owned by the ingress thread that opened it.
 */

import { nodeDisk } from './node-disk.ts';
import { offset, type Offset } from '../core/types.ts';
import { orderKeyOf } from './batch-format.ts';
import { checkMeta, readMeta, unusable, type JournalMeta } from './journal-meta.ts';
import { adoptSpares, catalogEntries, cleanUp, openJournal, recoveryReport, type JournalOptions, type JournalRecovery } from './open-journal.ts';
import { recoverTail, type RecoveredTail } from './recovery.ts';
import { SegmentCatalog, type RetentionLimits, type RetentionResult } from './segment-catalog.ts';
import { readSegmentChain, type SegmentChain } from './segment-chain.ts';
import { offsetOf, SEGMENT_HEADER_BYTES } from './segment-format.ts';

export interface SealedJournal {
  readonly recovery: JournalRecovery;
  readonly oldestOffset: Offset;
  readonly oldestReceivedAtMs: number;
  readonly bytesOnDisk: number;
  readonly segments: number;
  /** As a writer's. */
  retain(limits: RetentionLimits): Promise<RetentionResult>;
  close(): Promise<void>;
}

export type SealOptions = Omit<JournalOptions, 'order' | 'sparesMax'> & Required<Pick<JournalOptions, 'order'>>;

/** Raises what {@link openJournal} does. Publishes the end of its last batch. One that was never begun is begun: readers open all. */
export async function sealJournal(options: SealOptions): Promise<SealedJournal> {
  try {
    return await seal({ ...options, sparesMax: 0 });
  } catch (error) {
    throw unusable(options.directory, error);
  }
}

async function seal(options: JournalOptions & SealOptions): Promise<SealedJournal> {
  const { directory, provenOffset = offset(0), order } = options;
  const disk = options.disk ?? nodeDisk;
  const found = readMeta(disk, directory);
  if (found === null || isUnproven(options, found)) await rewriteTail(options);
  const meta = readMeta(disk, directory) as JournalMeta;
  checkMeta(meta, options, directory);
  const chain = readSegmentChain(disk, directory, meta);
  const tail = recoverTail(disk, chain, meta, provenOffset);
  order.raise(orderKeyOf(tail.proven), tail.proven.runningTimeMs);
  const spares = adoptSpares(disk, options, chain, meta);
  cleanUp(disk, chain, tail);
  const catalog = new SegmentCatalog({ disk, directory, segmentBytes: meta.segmentBytes, spares, entries: catalogEntries(chain, tail) });
  options.publish(endOfLastBatch(chain, tail, meta.segmentBytes));
  order.settled();
  return {
    recovery: recoveryReport(tail.proven, tail, catalog),
    get oldestOffset() {
      return catalog.oldestOffset;
    },
    get oldestReceivedAtMs() {
      return catalog.oldestReceivedAtMs;
    },
    get bytesOnDisk() {
      return catalog.bytesOnDisk;
    },
    get segments() {
      return catalog.count;
    },
    retain: (limits) => catalog.retain(limits, options.clock.nowMs()),
    close: async () => {
      await catalog.settled();
      await spares.close();
    },
  };
}

function isUnproven({ disk = nodeDisk, directory, provenOffset = offset(0) }: JournalOptions, meta: JournalMeta): boolean {
  const chain = readSegmentChain(disk, directory, meta);
  return chain.segments.length === 0 || recoverTail(disk, chain, meta, provenOffset).unproven.length > 0;
}

async function rewriteTail(options: JournalOptions): Promise<void> {
  // Nothing is published before it is read again: it would be by another offset.
  const { writer } = await openJournal({ ...options, publish: () => undefined });
  await writer.close();
}

/** The newest segments may be empty, each begun by a life that wrote nothing: nobody ever folds up to their ends. */
function endOfLastBatch(chain: SegmentChain, tail: RecoveredTail, segmentBytes: number): Offset {
  const ends = chain.segments.map(({ header, endPosition }) => ({ number: header.number, position: endPosition < 0 ? tail.proven.position : endPosition }));
  const last = ends.findLast(({ position }) => position > SEGMENT_HEADER_BYTES);
  if (last !== undefined) return offsetOf(last.number, last.position, segmentBytes);
  // Retention has taken the segment of the last batch: nobody who stands at its end lets an empty one behind it go.
  const previous = chain.segments[0]?.header.previous ?? null;
  return previous === null ? offset(0) : offsetOf(previous.number, previous.endPosition, segmentBytes);
}
