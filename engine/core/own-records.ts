/**
 * Records of the daemon's own (rows that it pulled, dead letters sent again) on their way into the journal, as both sides of it see them.
 *
 * The main thread hands them to an ingress thread, which appends them through the same batcher as every event: {@link AppendRecords}.
 */

import type { RecordSource } from './record.ts';
import { assert } from './types.ts';

/** Of one request; more are several requests. Chosen: a batch of the journal holds a few of them. */
export const OWN_RECORDS_MAX = 1_000;
/** Of one request together; a single record may be larger, up to what the door takes. */
export const OWN_RECORDS_BYTES_MAX = 1024 * 1024;

/** Why the door does not take a record for sound. The first three are in the journal all the same and end as dead letters; `MOVED` is not. */
export type OwnRejectCode = 'NOT_JSON' | 'NOT_OBJECT' | 'TOO_LARGE' | 'MOVED';

export interface OwnRejected {
  /** In the request. */
  readonly index: number;
  readonly code: OwnRejectCode;
}

/** What became of the records of a request: all of them are durable, save those that were `MOVED`. */
export interface AppendedRecords {
  readonly accepted: number;
  readonly rejected: readonly OwnRejected[];
}

/**
 * Resolves once the records are durable in the journal. At most {@link OWN_RECORDS_MAX} of them and {@link OWN_RECORDS_BYTES_MAX} bytes; they are copied.
 * One request at a time for each caller: whoever awaits the last one before the next is slowed down by the disk and by nothing else.
 *
 * Rejects with DOOR_CLOSED, JOURNAL_WRITE_FAILED, DISK_FULL or THREAD_DIED, all retryable. After the last three some of the records may be
 * durable: send all of them again, dedupe (or, for dead letters, their number) makes the second copy count for nothing.
 */
export type AppendRecords = (source: RecordSource, records: readonly Uint8Array[]) => Promise<AppendedRecords>;

/** Raises a bug where a caller goes beyond the bounds of one request. */
export function assertOwnRecords(records: readonly Uint8Array[]): void {
  const bytes = records.reduce((sum, record) => sum + record.byteLength, 0);
  assert(records.length > 0 && records.length <= OWN_RECORDS_MAX, `a request holds 1 to ${OWN_RECORDS_MAX} records, not ${records.length}`);
  assert(records.length === 1 || bytes <= OWN_RECORDS_BYTES_MAX, `a request holds at most ${OWN_RECORDS_BYTES_MAX} bytes, not ${bytes}`);
}
