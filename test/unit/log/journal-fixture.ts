/** A small journal on a {@link FaultyDisk}, and the plain form in which tests compare what it holds. */

import type { Clock } from '../../../engine/core/clock.ts';
import type { LogBatch, LogReader } from '../../../engine/core/log.ts';
import { offset, partitionId, type Offset } from '../../../engine/core/types.ts';
import { createRecordCursor, openJournal, openLogReader, type JournalOptions, type JournalWriter, type OpenedJournal } from '../../../engine/log/index.ts';
import type { FaultyDisk } from './faulty-disk.ts';

export const DIRECTORY = '/data/journal';
export const PARTITIONS = 8;
export const SEGMENT_BYTES = 64 * 1024;
export const BATCH_BYTES = 16 * 1024;

export class TestClock implements Clock {
  wallMs = 1_700_000_000_000;
  elapsedMs = 5_000;

  nowMs(): number {
    return this.wallMs;
  }

  monotonicMs(): number {
    return this.elapsedMs;
  }

  advance(byMs: number): void {
    this.wallMs += byMs;
    this.elapsedMs += byMs;
  }
}

export interface OpenedTestJournal extends OpenedJournal {
  /** Every offset that was published, in order. */
  readonly published: Offset[];
}

export async function open(disk: FaultyDisk, options: Partial<JournalOptions> = {}): Promise<OpenedTestJournal> {
  const published: Offset[] = [];
  const opened = await openJournal({
    directory: DIRECTORY,
    instance: 'test-instance',
    partitionCount: PARTITIONS,
    clock: new TestClock(),
    publish: (durable) => void published.push(durable),
    segmentBytes: SEGMENT_BYTES,
    batchBytesMax: BATCH_BYTES,
    sparesMax: 0,
    salt: 0x5eed,
    disk: disk.session(),
    ...options,
  });
  return { ...opened, published };
}

export function appendText(writer: JournalWriter, partition: number, text: string, source = 1, flags = 0): void {
  const bytes = Buffer.from(text);
  writer.append(partitionId(partition), source, flags, bytes, 0, bytes.byteLength);
}

export interface PlainRecord {
  readonly partition: number;
  readonly index: number;
  readonly source: number;
  readonly flags: number;
  readonly text: string;
}

export interface PlainBatch {
  readonly offset: number;
  readonly endOffset: number;
  readonly sequence: number;
  readonly receivedAtMs: number;
  readonly runningTimeMs: number;
  readonly recordCount: number;
  readonly records: readonly PlainRecord[];
  readonly controls: readonly string[];
}

const cursor = createRecordCursor();

export function plainBatch(batch: LogBatch): PlainBatch {
  const records: PlainRecord[] = [];
  for (const slice of batch.slices) {
    cursor.reset(batch, slice);
    while (cursor.next()) {
      const { index, source, flags } = cursor;
      records.push({ partition: slice.partition, index, source, flags, text: batch.bytes.toString('latin1', cursor.start, cursor.end) });
    }
  }
  return {
    offset: batch.offset,
    endOffset: batch.endOffset,
    sequence: batch.sequence,
    receivedAtMs: batch.receivedAtMs,
    runningTimeMs: batch.runningTimeMs,
    recordCount: batch.recordCount,
    records,
    controls: batch.controls.map((control) => Buffer.from(control).toString()),
  };
}

export function drain(reader: LogReader, durable: Offset): PlainBatch[] {
  const batches: PlainBatch[] = [];
  for (let batch = reader.read(durable); batch !== null; batch = reader.read(durable)) batches.push(plainBatch(batch));
  return batches;
}

export function readAll(
  disk: FaultyDisk,
  durable: Offset,
  { from = offset(0), first = 0, count = PARTITIONS, readAheadBytes = 16 * 1024 }: { from?: Offset; first?: number; count?: number; readAheadBytes?: number } = {},
): PlainBatch[] {
  const reader = openLogReader({ directory: DIRECTORY, lane: { first, count }, from, readAheadBytes, disk });
  try {
    return drain(reader, durable);
  } finally {
    reader.close();
  }
}

export const texts = (batches: readonly PlainBatch[]): string[] => batches.flatMap((batch) => batch.records.map((record) => record.text));

/** Commits one batch per text, all in partition 1. */
export async function commitTexts(writer: JournalWriter, ...batches: readonly string[]): Promise<void> {
  for (const text of batches) {
    appendText(writer, 1, text);
    await writer.commit();
  }
}
