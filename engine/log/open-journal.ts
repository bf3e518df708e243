/**
 * Opens a journal directory for writing: recovers what is there, makes all of it durable, and starts a new segment.
 *
 * Steps, each safe to be cut short at any byte: read and judge (nothing is changed where that raises); write the new segment with
 * the unproven tail under a spare's name; sync; rename; sync the directory; only then clean up what the new header made void.
 */

import { randomInt } from 'node:crypto';
import { join } from 'node:path';

import type { Clock } from '../core/clock.ts';
import { diskErrorCode, type Disk } from '../core/disk.ts';
import { EngineError } from '../core/errors.ts';
import type { LogOrder } from '../core/log.ts';
import { assert, offset, type Offset } from '../core/types.ts';
import { batchHeaderBytes, orderKeyOf } from './batch-format.ts';
import { checkMeta, createMeta, readMeta, unusable, type JournalMeta } from './journal-meta.ts';
import { JournalWriter } from './journal-writer.ts';
import { nodeDisk } from './node-disk.ts';
import { orderOfOne } from './order-of-one.ts';
import { beyond, recoverTail, type LogState, type RecoveredTail } from './recovery.ts';
import { SegmentCatalog, type SegmentEntry } from './segment-catalog.ts';
import { corrupt } from './damage.ts';
import { readSegmentChain, type ChainSegment, type SegmentChain } from './segment-chain.ts';
import {
  INSTANCE_BYTES_MAX,
  SEGMENT_BYTES_DEFAULT,
  SEGMENT_BYTES_MAX,
  SEGMENT_HEADER_BYTES,
  segmentFileName,
  segmentNumbers,
} from './segment-format.ts';
import { discard, SpareFiles, type SpareFile } from './spare-files.ts';
import { writeFirstSegment } from './tail-rewrite.ts';

export const BATCH_BYTES_DEFAULT = 8 * 1024 * 1024;
/** Chosen: four times the worst sync of a healthy disk seen here; the door stands still meanwhile. */
const SLOW_SYNC_MS_DEFAULT = 20;
const FAST_SYNCS_TO_RETURN_DEFAULT = 8;
/** One is written next while another is being filled. */
const SPARES_MAX_DEFAULT = 2;

export interface JournalOptions {
  readonly directory: string;
  /** Identity of the data directory; at most 64 bytes of UTF-8. */
  readonly instance: string;
  readonly partitionCount: number;
  readonly clock: Clock;
  /** Called with each new durable offset, at the end of open too. Must not raise. */
  readonly publish: (durable: Offset) => void;
  /** Shared by the writers of all journals of a data directory; its own for a journal that is the only one. */
  readonly order?: LogOrder;
  /** Highest offset that a flushed checkpoint covers: the next record it wants. 0 for none. */
  readonly provenOffset?: Offset;
  /** Used when the journal is created, then fixed; a multiple of 4096. */
  readonly segmentBytes?: number;
  /** Body bytes of one batch, frames included. */
  readonly batchBytesMax?: number;
  readonly slowSyncMs?: number;
  readonly fastSyncsToReturn?: number;
  readonly sparesMax?: number;
  readonly disk?: Disk;
  /** For simulation; random otherwise, and stored at creation. */
  readonly salt?: number;
}

export interface JournalRecovery {
  /** True when the directory held no journal: the caller writes its first control record. */
  readonly created: boolean;
  readonly durableOffset: Offset;
  readonly oldestOffset: Offset;
  readonly nextSequence: number;
  readonly receivedAtMs: number;
  readonly runningTimeMs: number;
  /** Bytes of a torn tail that were cut, and where. */
  readonly cutBytes: number;
  readonly cutOffset: Offset | null;
  /** Sound batches whose durability nothing proved; they were written anew, with their sequences. */
  readonly rewrittenBatches: number;
}

export interface OpenedJournal {
  readonly writer: JournalWriter;
  readonly recovery: JournalRecovery;
}

/**
 * Raises JOURNAL_CORRUPT, CHECKPOINT_BEYOND_LOG, DATA_VERSION, DATA_DIR_FOREIGN, CONFIG_INVALID, DATA_DIR_UNUSABLE, DISK_FULL.
 * The caller holds the data directory's lock.
 */
export async function openJournal(options: JournalOptions): Promise<OpenedJournal> {
  try {
    return await open(options.disk ?? nodeDisk, options);
  } catch (error) {
    throw unusable(options.directory, error);
  }
}

async function open(disk: Disk, options: JournalOptions): Promise<OpenedJournal> {
  const { directory } = options;
  const provenOffset = options.provenOffset ?? offset(0);
  const meta = loadMeta(disk, options);
  const chain = readSegmentChain(disk, directory, meta);
  const tail = chain.segments.length === 0 ? null : recoverTail(disk, chain, meta, provenOffset);
  if (tail === null && provenOffset > 0) throw beyond(provenOffset, offset(0));
  const spares = adoptSpares(disk, options, chain, meta);
  try {
    const started = await startFirstSegment(disk, options, { meta, chain, tail, spares });
    cleanUp(disk, chain, tail);
    const catalog = new SegmentCatalog({
      disk,
      directory,
      segmentBytes: meta.segmentBytes,
      spares,
      entries: [...catalogEntries(chain, tail), started.entry],
    });
    const order = options.order ?? orderOfOne();
    order.raise(orderKeyOf(started.state), started.state.runningTimeMs);
    const writer = new JournalWriter({
      disk,
      directory,
      order,
      meta,
      clock: options.clock,
      publish: options.publish,
      batchBytesMax: options.batchBytesMax ?? BATCH_BYTES_DEFAULT,
      slowSyncMs: options.slowSyncMs ?? SLOW_SYNC_MS_DEFAULT,
      fastSyncsToReturn: options.fastSyncsToReturn ?? FAST_SYNCS_TO_RETURN_DEFAULT,
      ...started,
      nextNumber: started.entry.number + 1,
      catalog,
      spares,
      cutBytes: tail?.cutBytes ?? 0,
    });
    spares.replenish();
    options.publish(writer.durableOffset);
    // What the last life had under way is read from here on, or never.
    order.settled();
    return { writer, recovery: recoveryReport(started.state, tail, catalog) };
  } catch (error) {
    await spares.close();
    throw error;
  }
}

function loadMeta(disk: Disk, options: JournalOptions): JournalMeta {
  const { directory, instance, partitionCount } = options;
  const stored = readMeta(disk, directory);
  const meta = stored ?? {
    instance,
    partitionCount,
    segmentBytes: options.segmentBytes ?? SEGMENT_BYTES_DEFAULT,
    salt: options.salt ?? randomInt(2 ** 32),
  };
  checkMeta(meta, options, directory);
  checkSizes(meta, options.batchBytesMax ?? BATCH_BYTES_DEFAULT, directory);
  if (stored === null) {
    if (hasSegments(disk, directory)) throw corrupt('segments lie in a directory without journal.json', { directory });
    createMeta(disk, directory, meta);
  }
  return meta;
}

function hasSegments(disk: Disk, directory: string): boolean {
  try {
    return segmentNumbers(disk.list(directory)).length > 0;
  } catch (error) {
    if (diskErrorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

function checkSizes(meta: JournalMeta, batchBytesMax: number, directory: string): void {
  assert(Buffer.byteLength(meta.instance) <= INSTANCE_BYTES_MAX, 'an instance name has at most 64 bytes');
  const aligned = meta.segmentBytes % SEGMENT_HEADER_BYTES === 0 && meta.segmentBytes <= SEGMENT_BYTES_MAX;
  const largestBatch = SEGMENT_HEADER_BYTES + batchHeaderBytes(meta.partitionCount) + batchBytesMax;
  if (aligned && largestBatch < meta.segmentBytes) return;
  throw new EngineError('CONFIG_INVALID', `a journal segment of ${meta.segmentBytes} bytes cannot hold a batch of ${batchBytesMax} bytes`, {
    where: { directory },
    fix: 'lower the batch size, or make segments larger (a multiple of 4096, at most 1 GiB; fixed once the journal exists)',
  });
}

/** Keeps the spares of the last life that have full size; the others are removed. */
export function adoptSpares(disk: Disk, options: JournalOptions, chain: SegmentChain, meta: JournalMeta): SpareFiles {
  const spares = new SpareFiles({
    disk,
    clock: options.clock,
    directory: options.directory,
    segmentBytes: meta.segmentBytes,
    sparesMax: options.sparesMax ?? SPARES_MAX_DEFAULT,
    nextSpareId: chain.nextSpareId,
  });
  // A crash may have come between a retired segment's rename and its directory's sync: its old name could still come back, over new content.
  if (chain.sparePaths.length > 0) disk.syncDirectory(options.directory);
  for (const path of chain.sparePaths) if (!spares.offer(path)) removeQuietly(disk, path);
  return spares;
}

interface Started {
  readonly state: LogState;
  readonly file: SpareFile['file'];
  readonly entry: SegmentEntry;
}

async function startFirstSegment(
  disk: Disk,
  options: JournalOptions,
  found: { meta: JournalMeta; chain: SegmentChain; tail: RecoveredTail | null; spares: SpareFiles },
): Promise<Started> {
  const { meta, chain, tail, spares } = found;
  const number = chain.nextNumber;
  const spare = await spares.takeFilled();
  const path = join(options.directory, segmentFileName(number));
  try {
    const { state, firstReceivedAtMs } = writeFirstSegment({
      file: spare.file,
      number,
      recycled: spare.recycled,
      meta,
      nowMs: Math.floor(options.clock.nowMs()),
      proven: tail?.proven ?? null,
      tail: { bytes: tail?.bytes ?? Buffer.alloc(0), positions: tail?.unproven ?? [] },
    });
    await spare.file.syncAsync();
    disk.rename(spare.path, path);
    await disk.syncDirectoryAsync(options.directory);
    const fileBytes = Math.max(spare.fileBytes, state.position);
    const entry = { number, endPosition: state.position, firstReceivedAtMs, lastReceivedAtMs: state.receivedAtMs, fileBytes };
    return { state, file: spare.file, entry };
  } catch (error) {
    discard(disk, spare);
    removeQuietly(disk, path);
    throw error;
  }
}

/** Removes what the new segment's header made void. Nothing depends on it: a failure is left for the next open. */
export function cleanUp(disk: Disk, chain: SegmentChain, tail: RecoveredTail | null): void {
  for (const path of chain.voidPaths) removeQuietly(disk, path);
  if (tail === null || tail.newest.fileBytes === tail.proven.position) return;
  try {
    const file = disk.open(tail.newest.path, 'readwrite');
    try {
      file.truncate(tail.proven.position);
    } finally {
      file.close();
    }
  } catch {
    // The file keeps its size; bytes past its end are void either way.
  }
}

function removeQuietly(disk: Disk, path: string): void {
  try {
    disk.unlink(path);
  } catch {
    // Tried again at the next open.
  }
}

export function catalogEntries(chain: SegmentChain, tail: RecoveredTail | null): SegmentEntry[] {
  return chain.segments.map((segment: ChainSegment, index) => {
    const next = chain.segments[index + 1];
    const endPosition = next === undefined ? (tail as RecoveredTail).proven.position : segment.endPosition;
    return {
      number: segment.header.number,
      endPosition,
      firstReceivedAtMs: segment.header.firstReceivedAtMs,
      lastReceivedAtMs: next?.header.receivedAtMs ?? (tail as RecoveredTail).proven.receivedAtMs,
      fileBytes: next === undefined ? endPosition : segment.fileBytes,
    };
  });
}

export function recoveryReport(state: LogState, tail: RecoveredTail | null, catalog: Pick<SegmentCatalog, 'oldestOffset'>): JournalRecovery {
  const cutBytes = tail?.cutBytes ?? 0;
  return {
    created: tail === null,
    durableOffset: state.durableOffset,
    oldestOffset: catalog.oldestOffset,
    nextSequence: state.nextSequence,
    receivedAtMs: state.receivedAtMs,
    runningTimeMs: state.runningTimeMs,
    cutBytes,
    cutOffset: tail !== null && cutBytes > 0 ? tail.endOffset : null,
    rewrittenBatches: tail?.unproven.length ?? 0,
  };
}
