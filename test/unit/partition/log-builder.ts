/** A log in memory: batches as the journal's reader hands them out, and a cursor over them. */
import type { LogBatch, LogSlice, RecordCursor } from '../../../engine/core/log.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import { RETRY_HEADER_BYTES, retriedLetter } from '../../../engine/core/retried-record.ts';
import { encodeControl, type ControlRecord } from '../../../engine/core/rules.ts';
import type { Offset, PartitionId } from '../../../engine/core/types.ts';

export interface TestRecord {
  readonly payload: string | Uint8Array;
  readonly partition?: number;
  readonly source?: number;
  readonly flags?: number;
}

/** Frames of a record: u32 size, source, flags, payload. */
const FRAME_BYTES = 6;

export class LogBuilder {
  readonly batches: LogBatch[] = [];
  #offset = 4_096;
  #runningTimeMs = 0;
  #receivedAtMs = -1;

  /** Appends a batch; records must be given by rising partition. */
  batch(receivedAtMs: number, records: readonly TestRecord[] = [], controls: readonly ControlRecord[] = []): LogBatch {
    this.#runningTimeMs += this.#receivedAtMs < 0 ? 0 : Math.min(2_000, receivedAtMs - this.#receivedAtMs);
    this.#receivedAtMs = receivedAtMs;
    const { bytes, slices } = frame(records);
    const offset = this.#offset;
    this.#offset += Math.ceil((64 + bytes.byteLength) / 8) * 8;
    const batch: LogBatch = {
      offset: offset as Offset,
      endOffset: this.#offset as Offset,
      journal: 0,
      sequence: this.batches.length,
      receivedAtMs,
      runningTimeMs: this.#runningTimeMs,
      recordCount: records.length,
      bytes,
      slices,
      controls: controls.map(encodeControl),
    };
    this.batches.push(batch);
    return batch;
  }
}

/** The same batch where a rewritten tail would have put it. */
export const shifted = (batch: LogBatch, bytes: number): LogBatch => ({ ...batch, offset: (batch.offset + bytes) as Offset, endOffset: (batch.endOffset + bytes) as Offset });

export const sliceOf = (batch: LogBatch, partition: number): LogSlice | null => batch.slices.find((slice) => slice.partition === partition) ?? null;

function frame(records: readonly TestRecord[]): { bytes: Buffer; slices: LogSlice[] } {
  const parts: Buffer[] = [];
  const slices: { partition: PartitionId; recordCount: number; start: number; end: number; firstIndex: number }[] = [];
  let at = 0;
  records.forEach((record, index) => {
    const payload = typeof record.payload === 'string' ? Buffer.from(record.payload) : Buffer.from(record.payload);
    const head = Buffer.alloc(FRAME_BYTES);
    head.writeUInt32LE(payload.byteLength, 0);
    head.writeUInt8(record.source ?? 1, 4);
    head.writeUInt8(record.flags ?? 0, 5);
    parts.push(head, payload);
    const partition = (record.partition ?? 0) as PartitionId;
    const size = FRAME_BYTES + payload.byteLength;
    const slice = slices.at(-1);
    if (slice !== undefined && slice.partition === partition) {
      slice.recordCount++;
      slice.end += size;
    } else slices.push({ partition, recordCount: 1, start: at, end: at + size, firstIndex: index });
    at += size;
  });
  return { bytes: Buffer.concat(parts), slices };
}

export class TestCursor implements RecordCursor {
  start = 0;
  end = 0;
  source = 0;
  flags = 0;
  letterId = 0;
  attempt = 0;
  index = -1;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #sliceEnd = 0;

  reset(batch: LogBatch, slice: LogSlice): void {
    this.#bytes = batch.bytes;
    this.#at = slice.start;
    this.#sliceEnd = slice.end;
    this.index = slice.firstIndex - 1;
  }

  next(): boolean {
    if (this.#at >= this.#sliceEnd) return false;
    const size = this.#bytes.readUInt32LE(this.#at);
    this.source = this.#bytes.readUInt8(this.#at + 4);
    this.flags = this.#bytes.readUInt8(this.#at + 5);
    this.start = this.#at + FRAME_BYTES;
    this.end = this.start + size;
    this.#at = this.end;
    this.index++;
    this.letterId = 0;
    if (this.source === RecordSource.retry) {
      const { id, attempt, source } = retriedLetter(this.#bytes, this.start, this.end);
      Object.assign(this, { letterId: id, attempt, source, start: this.start + RETRY_HEADER_BYTES });
    }
    return true;
  }
}
