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
import { SegmentCatalog, type RetentionLimits, type RetentionResult, type SegmentEntry } from './segment-catalog.ts';
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

interface Recovered {
  readonly meta: JournalMeta;
  readonly chain: SegmentChain;
  readonly tail: RecoveredTail;
}

/** Raises what {@link openJournal} does. Publishes the end of its last batch. One that was never begun is begun: readers open all. */
export async function sealJournal(options: SealOptions): Promise<SealedJournal> {
  try {
    return await seal({ ...options, sparesMax: 0 });
  } catch (error) {
    throw unusable(options.directory, error);
  }
}

async function seal(options: JournalOptions & SealOptions): Promise<SealedJournal> {
  const { directory, order } = options;
  const disk = options.disk ?? nodeDisk;
  let found = recovered(options);
  if (found === null || found.tail.unproven.length > 0) {
    await rewriteTail(options);
    found = recovered(options);
  }
  const { meta, chain, tail } = found as Recovered;
  order.raise(orderKeyOf(tail.proven), tail.proven.runningTimeMs);
  const spares = adoptSpares(disk, options, chain, meta);
  cleanUp(disk, chain, tail);
  const entries = catalogEntries(chain, tail);
  const catalog = new SegmentCatalog({ disk, directory, segmentBytes: meta.segmentBytes, spares, entries });
  options.publish(endOfLastBatch(chain, entries, meta.segmentBytes));
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

/** Null for one that was never begun. */
function recovered({ disk = nodeDisk, provenOffset = offset(0), ...options }: JournalOptions): Recovered | null {
  const { directory } = options;
  const meta = readMeta(disk, directory);
  if (meta === null) return null;
  checkMeta(meta, options, directory);
  const chain = readSegmentChain(disk, directory, meta);
  return chain.segments.length === 0 ? null : { meta, chain, tail: recoverTail(disk, chain, meta, provenOffset) };
}

async function rewriteTail(options: JournalOptions): Promise<void> {
  // Nothing is published before it is read again: it would be by another offset.
  const { writer } = await openJournal({ ...options, publish: () => undefined });
  await writer.close();
}

/** The newest segments may be empty, each begun by a life that wrote nothing: nobody ever folds up to their ends. */
function endOfLastBatch(chain: SegmentChain, entries: readonly SegmentEntry[], segmentBytes: number): Offset {
  const last = entries.findLast(({ endPosition }) => endPosition > SEGMENT_HEADER_BYTES);
  if (last !== undefined) return offsetOf(last.number, last.endPosition, segmentBytes);
  // Retention has taken the segment of the last batch: nobody who stands at its end lets an empty one behind it go.
  const previous = chain.segments[0]?.header.previous ?? null;
  return previous === null ? offset(0) : offsetOf(previous.number, previous.endPosition, segmentBytes);
}
