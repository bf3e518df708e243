/**
 * Records of the daemon's own on their way into the journal: partitioned, flagged and appended like a request's, settled with its batches.
 *
 * A dead letter that is sent again goes to the partition that keeps it, behind its header. Where that is not the one that its bytes name now (another version
 * put it there), it is not taken: the fold could not tell it from the same event that comes by itself.
 *
 * Guarantees: answered after the commit that made all records durable, or with the error of the first batch that failed; charged to the same budget
 * as requests, and counted among those that a drain waits for. Where a full batch stops them, the rest waits its turn. Owned by the ingress thread.
 */

import { EngineError } from '../engine/core/errors.ts';
import { assertOwnRecords, type AppendedRecords, type OwnRejectCode, type OwnRejected } from '../engine/core/own-records.ts';
import type { Partitioner } from '../engine/core/partition-key.ts';
import { RecordFlag, RecordSource, SOURCE_NAMES } from '../engine/core/record.ts';
import { RETRY_HEADER_BYTES, retriedLetter } from '../engine/core/retried-record.ts';
import type { Admission, Refusal } from './admission.ts';
import type { Batcher, BatchMember } from './batcher.ts';
import type { IngressCounters } from './stats.ts';

/** Charged per record besides its bytes. Derived: what framing adds to each in the journal's batch, rounded up. */
const RECORD_FRAME_BYTES = 32;

const REASONS: Readonly<Record<Refusal, string>> = {
  NOT_READY: 'the journal is not open yet',
  DRAINING: 'the daemon is shutting down',
  DISK_RESERVE: 'the disk is almost full',
  BUSY: 'too many bytes are in flight',
};

/** What own records share with requests. */
export interface OwnRecordsDesk {
  readonly options: { readonly record_bytes_max: number };
  readonly admission: Admission;
  readonly batcher: Batcher;
  readonly partitioner: Partitioner;
  readonly counters: IngressCounters;
  liveRequests: number;
}

/** {@link AppendRecords} on the ingress thread. */
export function appendOwnRecords(desk: OwnRecordsDesk, source: RecordSource, records: readonly Uint8Array[]): Promise<AppendedRecords> {
  assertOwnRecords(records);
  const bytes = records.reduce((sum, record) => sum + record.byteLength + RECORD_FRAME_BYTES, 0);
  const refusal = desk.admission.judge(bytes);
  if (refusal !== null || !desk.admission.hold(bytes)) return Promise.reject(doorClosed(refusal ?? 'BUSY'));
  return new Promise((resolve, reject) => {
    new OwnRecords(desk, { source, records, heldBytes: bytes, resolve, reject }).append();
  });
}

export function doorClosed(refusal: Refusal): EngineError {
  return new EngineError('DOOR_CLOSED', `${REASONS[refusal]}: records are not taken now`, { where: { reason: refusal }, fix: 'try again in a moment', retryAfterMs: 1_000 });
}

interface OwnRequest {
  readonly source: RecordSource;
  readonly records: readonly Uint8Array[];
  readonly heldBytes: number;
  readonly resolve: (appended: AppendedRecords) => void;
  readonly reject: (error: EngineError) => void;
}

class OwnRecords implements BatchMember {
  appending = true;
  batchesPending = 0;
  lastBatch = 0;
  failure: EngineError | null = null;
  readonly #desk: OwnRecordsDesk;
  readonly #request: OwnRequest;
  readonly #rejected: OwnRejected[] = [];
  #next = 0;

  constructor(desk: OwnRecordsDesk, request: OwnRequest) {
    this.#desk = desk;
    this.#request = request;
    desk.liveRequests++;
  }

  /** Appends what is left, as far as there is room. */
  append(): void {
    const { records } = this.#request;
    for (; this.#next < records.length; this.#next++) {
      if (!this.#appendOne(records[this.#next] as Uint8Array)) {
        this.#desk.batcher.park(this);
        return;
      }
    }
    this.#conclude();
  }

  resume(): void {
    // The request has failed as a whole: what is left would only be appended twice.
    if (this.failure !== null) this.#conclude();
    else this.append();
  }

  settled(): void {
    const { records, heldBytes, resolve, reject } = this.#request;
    this.#desk.liveRequests--;
    this.#desk.admission.release(heldBytes);
    if (this.failure !== null) reject(this.failure);
    else resolve({ accepted: records.length - this.#rejected.length, rejected: this.#rejected });
  }

  #conclude(): void {
    this.appending = false;
    if (this.batchesPending === 0) this.settled();
  }

  /** False when there is no room now. */
  #appendOne(record: Uint8Array): boolean {
    const { batcher, partitioner, counters, options } = this.#desk;
    const { source } = this.#request;
    const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
    const start = source === RecordSource.retry ? RETRY_HEADER_BYTES : 0;
    // Of one that is too large the head alone is kept, as the door does.
    const end = Math.min(bytes.byteLength, start + options.record_bytes_max);
    partitioner.locate(bytes, start, end);
    if (start > 0 && retriedLetter(bytes, 0, end).partition !== partitioner.partition) {
      this.#rejected.push({ index: this.#next, code: 'MOVED' });
      return true;
    }
    const flags = end === bytes.byteLength ? partitioner.flags : RecordFlag.tooLarge;
    if (!batcher.append(this, partitioner.partition, source, flags, bytes, 0, end)) return false;
    counters.appended(SOURCE_NAMES[source], end - start, flags !== RecordFlag.none);
    if (flags !== RecordFlag.none) this.#rejected.push({ index: this.#next, code: codeOf(flags) });
    return true;
  }
}

function codeOf(flags: RecordFlag): OwnRejectCode {
  if ((flags & RecordFlag.tooLarge) !== 0) return 'TOO_LARGE';
  return (flags & RecordFlag.malformed) === 0 ? 'NOT_OBJECT' : 'NOT_JSON';
}
