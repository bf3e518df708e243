/**
 * The journal's writer: group commit into segments.
 *
 * A batch is one write and one fdatasync; then its end is published and its senders may be answered. The sync runs in the calling
 * thread: a thread of libuv's pool would have to be woken first and to be heard afterwards, which costs more than a disk that is fast. After a
 * sync that took longer than `slowSyncMs` all run in the pool until `fastSyncsToReturn` in a row were fast again, so that the door stays open.
 *
 * A failed write or sync is never repeated on the same file: nobody knows what it left there. The batch is dropped and its senders
 * told, the segment ends at the durable offset, and the next commit starts a new segment whose header says so. A new segment gets
 * its name only once header and batch are on disk: fdatasync, rename, directory sync, publish. Until that works, each commit raises
 * the same error and loses nothing but its own batch.
 *
 * Owned by the ingress thread. Hot path: 4 K commits a second, at most 250 µs a commit of 64 where a sync takes 170; bench/micro/journal.ts.
 */

import { join } from 'node:path';

import type { Clock } from '../core/clock.ts';
import { diskErrorCode, writeFully, type Disk, type DiskFile } from '../core/disk.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { LatencyHistogram, type HistogramSnapshot } from '../core/histogram.ts';
import type { LogOrder, LogWriter } from '../core/log.ts';
import { assert, type Offset, type PartitionId } from '../core/types.ts';
import { SEALED_AT, BatchBuilder } from './batch-builder.ts';
import { receivedAtOf, US_PER_MS } from './batch-format.ts';
import type { JournalMeta } from './journal-meta.ts';
import type { LogState } from './recovery.ts';
import type { RetentionLimits, RetentionResult, SegmentCatalog, SegmentEntry } from './segment-catalog.ts';
import { encodeSegmentHeader, offsetOf, SEGMENT_HEADER_BYTES, segmentFileName, segmentSeed } from './segment-format.ts';
import { discard, type SpareFile, type SpareFiles } from './spare-files.ts';

/** An outage or a clock step counts at most this much running time (DESIGN, "Time is data"). */
const GAP_COUNTED_MS_MAX = 2_000;

export interface JournalStats {
  readonly durableOffset: Offset;
  /** End of the newest batch with data records; where the journal ended at open until there is one. A reader there lacks ticks at most. */
  readonly lastRecordOffset: Offset;
  readonly oldestOffset: Offset;
  readonly oldestReceivedAtMs: number;
  /** How far log time, which never goes back, is ahead of the clock: more than a moment after the clock was wrong once. */
  readonly aheadMs: number;
  /** Segments and spares. */
  readonly bytesOnDisk: number;
  readonly segments: number;
  readonly spares: number;
  /** Since open. */
  readonly batches: number;
  readonly records: number;
  readonly syncs: number;
  readonly failedCommits: number;
  readonly failedFillings: number;
  readonly syncLatency: HistogramSnapshot;
  readonly mode: 'sync' | 'async';
  /** Bytes of a torn tail that the last open cut. */
  readonly cutBytes: number;
}

export interface WriterOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly meta: JournalMeta;
  readonly clock: Clock;
  readonly publish: (durable: Offset) => void;
  readonly order: LogOrder;
  readonly batchBytesMax: number;
  readonly slowSyncMs: number;
  readonly fastSyncsToReturn: number;
  readonly state: LogState;
  /** The newest segment's file, opened for writing, and its number. */
  readonly file: DiskFile;
  readonly entry: SegmentEntry;
  readonly nextNumber: number;
  readonly catalog: SegmentCatalog;
  readonly spares: SpareFiles;
  readonly cutBytes: number;
}

/** A batch that is written but not yet durable, and what the journal will look like once it is. */
interface Staged {
  readonly target: { readonly file: DiskFile; readonly entry: SegmentEntry };
  /** Set when the batch opens a new segment. */
  readonly spare: SpareFile | null;
  readonly state: LogState;
  readonly monotonicMs: number;
  readonly records: number;
}

export class JournalWriter implements LogWriter {
  readonly batchBytesMax: number;
  readonly #options: WriterOptions;
  readonly #builder: BatchBuilder;
  readonly #syncLatency = new LatencyHistogram();
  #state: LogState;
  /** Null after a failure, until a new segment has been started. */
  #current: { readonly file: DiskFile; readonly entry: SegmentEntry; readonly seed: number } | null;
  #nextNumber: number;
  /** A segment whose name may or may not be durable; it must be gone before another one starts. */
  #doubtfulPath: string | null = null;
  /** Bytes of a failed batch may lie where the next open finds them whole: until a batch stands in their place, no later one may be folded. */
  #mayComeBack = false;
  #countedUpToMs: number;
  #pending: Promise<true> | null = null;
  #mode: 'sync' | 'async' = 'sync';
  #fastSyncs = 0;
  #batches = 0;
  #records = 0;
  #lastRecordOffset: Offset;
  #syncs = 0;
  #failedCommits = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.batchBytesMax = options.batchBytesMax;
    this.#builder = new BatchBuilder(options.meta.partitionCount, options.batchBytesMax);
    this.#state = options.state;
    this.#current = { file: options.file, entry: options.entry, seed: segmentSeed(options.state.segment, options.meta.salt) };
    this.#nextNumber = options.nextNumber;
    this.#countedUpToMs = options.clock.monotonicMs();
    this.#lastRecordOffset = options.state.durableOffset;
  }

  get openRecords(): number {
    return this.#builder.openRecords;
  }

  /** Bytes of the open batch, frames included; at most {@link batchBytesMax}. */
  get openBytes(): number {
    return this.#builder.openBytes;
  }

  get durableOffset(): Offset {
    return this.#state.durableOffset;
  }

  /** False when the open batch must be committed before a record of this size is appended. */
  hasRoomFor(payloadBytes: number): boolean {
    return this.#builder.hasRoomFor(payloadBytes);
  }

  append(partition: PartitionId, source: number, flags: number, bytes: Uint8Array, from: number, to: number): void {
    this.#builder.append(partition, source, flags, bytes, from, to);
  }

  appendControl(bytes: Uint8Array): void {
    this.#builder.appendControl(bytes);
  }

  commit(): true | Promise<true> {
    assert(this.#pending === null, 'one commit at a time');
    const staged = this.#stage();
    if (this.#mode === 'async') {
      this.#pending = this.#finishAsync(staged).finally(() => {
        this.#pending = null;
      });
      return this.#pending;
    }
    try {
      const startMs = this.#options.clock.monotonicMs();
      staged.target.file.sync();
      if (staged.spare !== null) {
        this.#name(staged.spare, staged.target.entry.number);
        this.#options.disk.syncDirectory(this.#options.directory);
      }
      this.#noteSync(this.#options.clock.monotonicMs() - startMs);
    } catch (error) {
      throw this.#abandon(staged.spare, error);
    }
    this.#settle(staged);
    return true;
  }

  /** Retires segments within the limits. Call it every few seconds. Rejects JOURNAL_WRITE_FAILED; the next call goes on. */
  retain(limits: RetentionLimits): Promise<RetentionResult> {
    return this.#options.catalog.retain(limits, this.#options.clock.nowMs());
  }

  stats(): JournalStats {
    const { catalog, spares, cutBytes } = this.#options;
    return {
      durableOffset: this.#state.durableOffset,
      lastRecordOffset: this.#lastRecordOffset,
      oldestOffset: catalog.oldestOffset,
      oldestReceivedAtMs: catalog.oldestReceivedAtMs,
      aheadMs: Math.max(0, this.#state.receivedAtMs - this.#options.clock.nowMs()),
      bytesOnDisk: catalog.bytesOnDisk,
      segments: catalog.count,
      spares: spares.readyCount,
      batches: this.#batches,
      records: this.#records,
      syncs: this.#syncs,
      failedCommits: this.#failedCommits,
      failedFillings: spares.fillFailures,
      syncLatency: this.#syncLatency.snapshot(),
      mode: this.#mode,
      cutBytes,
    };
  }

  /** Waits for what runs and closes the files. An open batch is dropped: commit first. */
  async close(): Promise<void> {
    await this.#pending?.catch(() => undefined);
    await this.#options.catalog.settled();
    await this.#options.spares.close();
    this.#closeCurrent();
  }

  /** Seals the open batch and writes it where it belongs. Raises what the commit raises; the batch is then dropped. */
  #stage(): Staged {
    const records = this.#builder.openRecords;
    const batchBytes = this.#builder.batchBytes;
    const current = this.#current;
    const orderKey = this.#options.order.take(Math.floor(this.#options.clock.nowMs() * US_PER_MS));
    if (current !== null && current.entry.endPosition + batchBytes < this.#options.meta.segmentBytes) {
      const position = current.entry.endPosition;
      const sealed = this.#seal(current.entry.number, current.seed, position, this.#state.chain, orderKey);
      this.#mayComeBack = true;
      try {
        writeFully(current.file, this.#builder.buffer, SEALED_AT, batchBytes, position);
      } catch (error) {
        throw this.#abandon(null, error);
      }
      return { target: current, spare: null, records, ...sealed };
    }
    return this.#stageNewSegment(records, batchBytes, orderKey);
  }

  #stageNewSegment(records: number, batchBytes: number, orderKey: number): Staged {
    const { meta, spares } = this.#options;
    let spare: SpareFile | null = null;
    try {
      this.#removeDoubtful();
      spare = spares.take();
      const number = this.#nextNumber;
      const seed = segmentSeed(number, meta.salt);
      const endPosition = SEGMENT_HEADER_BYTES + batchBytes;
      const crc = this.#encodeHeader(number, seed, spare.recycled, endPosition, orderKey);
      const sealed = this.#seal(number, seed, SEGMENT_HEADER_BYTES, crc, orderKey);
      writeFully(spare.file, this.#builder.buffer, 0, endPosition, 0);
      const { receivedAtMs } = sealed.state;
      const entry = { number, endPosition, firstReceivedAtMs: receivedAtMs, lastReceivedAtMs: receivedAtMs, fileBytes: spare.fileBytes };
      return { target: { file: spare.file, entry }, spare, records, ...sealed };
    } catch (error) {
      throw this.#abandon(spare, error);
    }
  }

  #encodeHeader(number: number, seed: number, recycled: boolean, bornEndPosition: number, orderKey: number): number {
    const { meta, clock } = this.#options;
    const { segment, position, chain, nextSequence, receivedAtMs, receivedAtUsPart, runningTimeMs } = this.#state;
    const header = {
      ...meta,
      number,
      recycled,
      nextSequence,
      receivedAtMs,
      receivedAtUsPart,
      runningTimeMs,
      firstReceivedAtMs: receivedAtOf(orderKey).receivedAtMs,
      createdAtMs: clock.nowMs(),
      previous: { number: segment, endPosition: position, chain },
      bornEndPosition,
    };
    return encodeSegmentHeader(header, this.#builder.buffer.subarray(0, SEGMENT_HEADER_BYTES), seed);
  }

  #seal(segment: number, seed: number, position: number, previousCrc: number, orderKey: number): { state: LogState; monotonicMs: number } {
    const nowMs = this.#options.clock.monotonicMs();
    const gapMs = Math.max(0, Math.floor(nowMs - this.#countedUpToMs));
    const counted = Math.min(gapMs, GAP_COUNTED_MS_MAX);
    const { receivedAtMs, receivedAtUsPart } = receivedAtOf(orderKey);
    const runningTimeMs = this.#options.order.runningTime(this.#state.runningTimeMs + counted);
    const sequence = this.#state.nextSequence;
    const endPosition = position + this.#builder.batchBytes;
    const { durableOffset } = this.#state;
    const chain = this.#builder.seal({ segment, seed, sequence, receivedAtMs, receivedAtUsPart, runningTimeMs, durableOffset, previousCrc });
    return {
      state: {
        durableOffset: offsetOf(segment, endPosition, this.#options.meta.segmentBytes),
        segment,
        position: endPosition,
        chain,
        nextSequence: sequence + 1,
        receivedAtMs,
        receivedAtUsPart,
        runningTimeMs,
      },
      // Parts of a millisecond are carried to the next gap, or a thousand small batches would count as no time at all.
      monotonicMs: gapMs === counted ? this.#countedUpToMs + counted : nowMs,
    };
  }

  async #finishAsync(staged: Staged): Promise<true> {
    try {
      const startMs = this.#options.clock.monotonicMs();
      await staged.target.file.syncAsync();
      if (staged.spare !== null) {
        this.#name(staged.spare, staged.target.entry.number);
        await this.#options.disk.syncDirectoryAsync(this.#options.directory);
      }
      this.#noteSync(this.#options.clock.monotonicMs() - startMs);
    } catch (error) {
      throw this.#abandon(staged.spare, error);
    }
    this.#settle(staged);
    return true;
  }

  /** Gives a spare the name of a segment; from here on the number is spent and the file may outlive a crash. */
  #name(spare: SpareFile, number: number): void {
    const path = join(this.#options.directory, segmentFileName(number));
    this.#nextNumber = number + 1;
    this.#doubtfulPath = path;
    this.#mayComeBack = true;
    this.#options.disk.rename(spare.path, path);
  }

  #settle(staged: Staged): void {
    const { entry, file } = staged.target;
    this.#state = staged.state;
    this.#countedUpToMs = staged.monotonicMs;
    entry.endPosition = staged.state.position;
    entry.lastReceivedAtMs = staged.state.receivedAtMs;
    entry.fileBytes = Math.max(entry.fileBytes, staged.state.position);
    if (staged.spare !== null) {
      this.#growToFull();
      this.#closeCurrent();
      this.#current = { file, entry, seed: segmentSeed(entry.number, this.#options.meta.salt) };
      this.#doubtfulPath = null;
      this.#options.catalog.add(entry);
      this.#options.spares.replenish();
    }
    this.#batches++;
    this.#records += staged.records;
    if (staged.records > 0) this.#lastRecordOffset = staged.state.durableOffset;
    this.#options.publish(staged.state.durableOffset);
    this.#mayComeBack = false;
    this.#options.order.settled();
  }

  /** Drops the batch and the file it was in; the next commit starts a new segment. Returns the error to raise. */
  #abandon(spare: SpareFile | null, cause: unknown): unknown {
    // The batch may be sealed or not; in the pool's mode the builder holds the next batch already, which nothing happened to.
    if (this.#pending === null) this.#builder.clear();
    this.#failedCommits++;
    this.#closeCurrent();
    if (spare !== null) discard(this.#options.disk, spare);
    if (!this.#mayComeBack) this.#options.order.settled();
    const code = diskErrorCode(cause);
    if (code === '') return cause;
    const full = code === 'ENOSPC' || code === 'EDQUOT';
    return new EngineError(full ? 'DISK_FULL' : 'JOURNAL_WRITE_FAILED', `a batch could not be made durable: ${messageOf(cause)}`, {
      cause,
      where: { directory: this.#options.directory, offset: this.#state.durableOffset },
      fix: full ? 'free disk space, or lower the journal retention' : 'check the disk; senders resend, and the journal goes on in a new segment',
    });
  }

  #removeDoubtful(): void {
    if (this.#doubtfulPath === null) return;
    try {
      this.#options.disk.unlink(this.#doubtfulPath);
    } catch (error) {
      if (diskErrorCode(error) !== 'ENOENT') throw error;
    }
    this.#doubtfulPath = null;
  }

  /** A segment that grew may be recycled as well as one that was filled ahead: files of full size are. What it gains is a hole. */
  #growToFull(): void {
    const current = this.#current;
    const { segmentBytes } = this.#options.meta;
    if (current === null || current.entry.fileBytes >= segmentBytes) return;
    try {
      current.file.truncate(segmentBytes);
      current.entry.fileBytes = segmentBytes;
    } catch {
      // Then it is removed when its time has come.
    }
  }

  #closeCurrent(): void {
    try {
      this.#current?.file.close();
    } catch {
      // The descriptor is gone either way, and what it held is durable or given up.
    }
    this.#current = null;
  }

  #noteSync(tookMs: number): void {
    this.#syncs++;
    this.#syncLatency.record(tookMs);
    if (tookMs > this.#options.slowSyncMs) {
      this.#fastSyncs = 0;
      this.#mode = 'async';
    } else if (this.#mode === 'async' && ++this.#fastSyncs >= this.#options.fastSyncsToReturn) {
      this.#fastSyncs = 0;
      this.#mode = 'sync';
    }
  }
}
