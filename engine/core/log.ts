/**
 * The log port: what ingress writes and actors fold. The journal implements it on disk; a Kafka topic can take its place.
 *
 * Records are grouped by partition inside a batch, in partition order; a batch becomes visible only when it is durable.
 */

import type { Offset, PartitionId } from './types.ts';

/** Ingress threads, each with a journal of its own. Chosen: one takes some 70 K single events a second, and stored lists of journals stay short. */
export const JOURNALS_MAX = 8;

/** How far a log of several journals has come, as one figure: their offsets' sum, which rises with each. */
export const sumOfOffsets = (offsets: readonly Offset[]): Offset => offsets.reduce((sum, offset) => sum + offset, 0) as Offset;

/** What a batch header says; every batch is also a tick for all partitions, an empty one is only that. */
export interface BatchHeader {
  /** Where the batch starts, and where the next one would start in the same segment. */
  readonly offset: Offset;
  readonly endOffset: Offset;
  /** Which journal it is in; offsets are that journal's own. */
  readonly journal: number;
  /** Its number in the order of all journals' batches; survives a rewriting of the tail. With a record's index it names a record for good. */
  readonly sequence: number;
  /** Epoch ms; never goes back. */
  readonly receivedAtMs: number;
  /** Sum of min(gap between batches, 2 s) since the log began, this batch's gap included. With several journals it may fall: the highest so far counts. */
  readonly runningTimeMs: number;
  /** Data records of all partitions, controls not counted. */
  readonly recordCount: number;
}

/** One partition's records in a batch: `bytes.subarray(start, end)` holds `recordCount` records. */
export interface LogSlice {
  readonly partition: PartitionId;
  readonly recordCount: number;
  readonly start: number;
  readonly end: number;
  /** Index in the batch of the slice's first record. */
  readonly firstIndex: number;
}

/** A batch as one lane sees it. `bytes` is the reader's buffer: valid until its next `read`. */
export interface LogBatch extends BatchHeader {
  readonly bytes: Buffer;
  /** Slices of the reader's lane that hold records, by rising partition. */
  readonly slices: readonly LogSlice[];
  /** Control records of this batch, in order; they take effect before its data records. Owned by the receiver. */
  readonly controls: readonly Uint8Array[];
}

/** Walks the records of one slice without allocating. Checks each record's CRC; damage raises JOURNAL_CORRUPT. */
export interface RecordCursor {
  reset(batch: LogBatch, slice: LogSlice): void;
  /** Moves to the next record; false past the last. */
  next(): boolean;
  /** Payload of the current record: `batch.bytes.subarray(start, end)`. */
  readonly start: number;
  readonly end: number;
  /** One of RecordSource; of a retried dead letter the one it first came from, and `start` is behind its header. */
  readonly source: number;
  readonly flags: number;
  /** Of a retried dead letter its id, which this partition gave it, and the attempt; 0 for all others. */
  readonly letterId: number;
  readonly attempt: number;
  /** Index of the current record in its batch. */
  readonly index: number;
}

/** Reads one lane (a contiguous range of partitions) forwards. One owner, one thread. */
export interface LogReader {
  /** The next batch that ends at or before `durable`, or null when the reader has caught up. Synchronous. */
  read(durable: Offset): LogBatch | null;
  /** Offset of the next batch to read. */
  readonly position: Offset;
  close(): void;
}

/**
 * The lane in all journals, batch by batch in the one order of their keys (log/merge.md). One owner, one thread.
 */
export interface LogStream {
  /** The next batch, or null while none is durable or an earlier one may still come. Valid until the next call. */
  read(): LogBatch | null;
  /** By journal: offset of the next batch. */
  readonly positions: readonly Offset[];
  close(): void;
}

/** What the writers of several journals agree on: the order of their batches, and how much time has run. Keys are epoch microseconds. */
export interface LogOrder {
  /** Raises both to what a journal held when it was opened; before any batch is written. */
  raise(key: number, runningTimeMs: number): void;
  /** A key above every other one so far and not before `nowUs`. Readers wait for this journal until {@link settled}. */
  take(nowUs: number): number;
  /** `ownMs`, or what another journal has counted where that is more. */
  runningTime(ownMs: number): number;
  /** The batch is published, or will never be read. */
  settled(): void;
}

/** Appends batches. One owner, one thread: the ingress thread. */
export interface LogWriter {
  /** Copies `bytes[from, to)` into the open batch before it returns. */
  append(partition: PartitionId, source: number, flags: number, bytes: Uint8Array, from: number, to: number): void;
  appendControl(bytes: Uint8Array): void;
  readonly openRecords: number;
  readonly openBytes: number;
  /**
   * Makes the open batch durable and publishes it; an empty one is a tick. Nothing may be awaited between the last append
   * and the call. Returns true when it is done, or a promise while the disk syncs off the thread (then appends go to the next
   * batch and commit must not be called again before it settles). Raises or rejects JOURNAL_WRITE_FAILED or DISK_FULL: none of the batch's records
   * is acknowledged, and the writer has moved to a new segment or will at the next commit.
   */
  commit(): true | Promise<true>;
  readonly durableOffset: Offset;
  close(): Promise<void>;
}
