/**
 * A batch as the readers of this folder hand it out, the lane it is seen through, and the cursor over its records.
 *
 * Hot path: 1 M records a second, at most 700 ns a record, its CRC and the read included; bench/micro/journal.ts.
 */

import type { LogBatch, LogSlice, RecordCursor } from '../core/log.ts';
import { RecordSource } from '../core/record.ts';
import { RETRY_HEADER_BYTES, retriedLetter } from '../core/retried-record.ts';
import { assert, partitionId, type Offset } from '../core/types.ts';
import {
  BATCH_HEADER_BYTES,
  INDEX_ENTRY_BYTES,
  nextRecordAt,
  orderKeyOf,
  RECORD_HEADER_BYTES,
  recordPayloadEnd,
  type BatchFacts,
} from './batch-format.ts';
import { corrupt } from './damage.ts';

/** A contiguous range of partitions. */
export interface Lane {
  readonly first: number;
  readonly count: number;
}

/** {@link LogBatch} with what the cursor needs to check records. */
export class JournalBatch implements LogBatch {
  readonly offset: Offset;
  readonly endOffset: Offset;
  /** The journal's own, until {@link MergedLog} says what it is among all. */
  sequence: number;
  journal = 0;
  readonly receivedAtMs: number;
  /** Its place among the batches of all journals. */
  readonly orderKey: number;
  readonly runningTimeMs: number;
  readonly recordCount: number;
  readonly bytes: Buffer;
  readonly slices: readonly LogSlice[];
  readonly controls: readonly Uint8Array[];
  /** CRC seed of the batch's segment. */
  readonly seed: number;

  constructor(offset: Offset, endOffset: Offset, facts: BatchFacts, seed: number, bytes: Buffer, slices: readonly LogSlice[], controls: readonly Uint8Array[]) {
    this.offset = offset;
    this.endOffset = endOffset;
    this.sequence = facts.sequence;
    this.receivedAtMs = facts.receivedAtMs;
    this.orderKey = orderKeyOf(facts);
    this.runningTimeMs = facts.runningTimeMs;
    this.recordCount = facts.recordCount;
    this.bytes = bytes;
    this.slices = slices;
    this.controls = controls;
    this.seed = seed;
  }
}

const NO_SLICES: readonly LogSlice[] = [];
const NO_CONTROLS: readonly Uint8Array[] = [];

/** Reads the index of the sound header at `at`. `shift` is added to each slice's start and end. */
export function laneSlices(bytes: Buffer, at: number, facts: BatchFacts, lane: Lane, shift: number): readonly LogSlice[] {
  if (facts.recordCount === 0) return NO_SLICES;
  const slices: LogSlice[] = [];
  let start = facts.controlBytes;
  let firstIndex = 0;
  for (let entry = 0; entry < facts.indexEntries; entry++) {
    const entryAt = at + BATCH_HEADER_BYTES + entry * INDEX_ENTRY_BYTES;
    const partition = bytes.readUInt32LE(entryAt);
    const recordCount = bytes.readUInt32LE(entryAt + 4);
    const end = start + bytes.readUInt32LE(entryAt + 8);
    if (partition >= lane.first && partition < lane.first + lane.count) {
      slices.push({ partition: partitionId(partition), recordCount, start: start + shift, end: end + shift, firstIndex });
    }
    start = end;
    firstIndex += recordCount;
  }
  assert(start === facts.bodyBytes && firstIndex === facts.recordCount, 'a sound batch index covers its body');
  return slices;
}

/** Copies of the control records in `bytes[start, start + facts.controlBytes)`; null when one is damaged. */
export function copyControls(bytes: Buffer, start: number, facts: BatchFacts, seed: number): readonly Uint8Array[] | null {
  if (facts.controlCount === 0) return NO_CONTROLS;
  const controls: Uint8Array[] = [];
  const end = start + facts.controlBytes;
  for (let at = start; controls.length < facts.controlCount; ) {
    const payloadEnd = recordPayloadEnd(bytes, at, end, seed);
    if (payloadEnd < 0) return null;
    controls.push(Uint8Array.prototype.slice.call(bytes, at + RECORD_HEADER_BYTES, payloadEnd));
    at = nextRecordAt(at, payloadEnd);
  }
  return controls;
}

/** The CRC costs most, one view for it the rest. */
class JournalCursor implements RecordCursor {
  start = 0;
  end = 0;
  source = 0;
  flags = 0;
  letterId = 0;
  attempt = 0;
  index = -1;
  #batch: JournalBatch | null = null;
  #bytes: Buffer = Buffer.alloc(0);
  #seed = 0;
  #at = 0;
  #sliceEnd = 0;
  #remaining = 0;

  reset(batch: LogBatch, slice: LogSlice): void {
    assert(batch instanceof JournalBatch, 'a journal cursor walks journal batches');
    this.#batch = batch;
    this.#bytes = batch.bytes;
    this.#seed = batch.seed;
    this.#at = slice.start;
    this.#sliceEnd = slice.end;
    this.#remaining = slice.recordCount;
    this.index = slice.firstIndex - 1;
  }

  next(): boolean {
    if (this.#remaining === 0) {
      if (this.#at !== this.#sliceEnd) throw this.#damage();
      return false;
    }
    const at = this.#at;
    const bytes = this.#bytes;
    const payloadEnd = recordPayloadEnd(bytes, at, this.#sliceEnd, this.#seed);
    if (payloadEnd < 0) throw this.#damage();
    this.start = at + RECORD_HEADER_BYTES;
    this.end = payloadEnd;
    this.source = bytes[at + 8] as number;
    this.flags = bytes[at + 9] as number;
    this.#at = nextRecordAt(at, payloadEnd);
    this.#remaining--;
    this.index++;
    if (this.source === RecordSource.retry) this.#unwrap();
    else this.letterId = 0;
    return true;
  }

  #unwrap(): void {
    const { id, attempt, source } = retriedLetter(this.#bytes, this.start, this.end);
    this.letterId = id;
    this.attempt = attempt;
    this.source = source;
    this.start += RETRY_HEADER_BYTES;
  }

  #damage(): Error {
    const batch = this.#batch as JournalBatch;
    return corrupt('a record of an acknowledged batch is damaged', { offset: batch.offset, sequence: batch.sequence, index: this.index + 1 });
  }
}

export const createRecordCursor = (): RecordCursor => new JournalCursor();
