import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../engine/core/clock.ts';
import { offset, partitionId, type Offset } from '../../../engine/core/types.ts';
import { copyJournal, createRecordCursor, openJournal, openLogReader, type JournalWriter } from '../../../engine/log/index.ts';

const SEGMENT_BYTES = 64 * 1024;
const journal = (directory: string) => ({ directory, instance: 'copied', partitionCount: 2, segmentBytes: SEGMENT_BYTES, batchBytesMax: 16 * 1024, sparesMax: 0, clock: systemClock, publish: () => undefined });

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-copy-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

async function commit(writer: JournalWriter, from: number, to: number): Promise<void> {
  for (let number = from; number < to; number++) {
    const bytes = Buffer.from(String(number).padEnd(5_000));
    writer.append(partitionId(number % 2), 1, 0, bytes, 0, bytes.byteLength);
    await writer.commit();
  }
}

function numbers(directory: string, durable: Offset): number[] {
  const reader = openLogReader({ directory, lane: { first: 0, count: 2 }, from: offset(0) });
  const cursor = createRecordCursor();
  const found: number[] = [];
  for (let batch = reader.read(durable); batch !== null; batch = reader.read(durable)) {
    for (const slice of batch.slices) {
      cursor.reset(batch, slice);
      while (cursor.next()) found.push(Number(batch.bytes.toString('latin1', cursor.start, cursor.end)));
    }
  }
  reader.close();
  return found;
}

describe('a journal that is copied while it is written', () => {
  it('holds what was durable at one offset, also where the newest segment was read before and after a batch', async () => {
    const from = join(root, 'from');
    const { writer } = await openJournal(journal(from));
    await commit(writer, 0, 20);
    const durable = writer.durableOffset;
    await commit(writer, 20, 23);
    // As a copy sees the file that read the place of batch 20 too early, and those of 21 and 22, which prove it, later.
    const hole = openSync(join(from, `${String(Math.floor(durable / SEGMENT_BYTES)).padStart(10, '0')}.segment`), 'r+');
    writeSync(hole, Buffer.alloc(200), 0, 200, durable % SEGMENT_BYTES);
    closeSync(hole);
    const to = join(root, 'to');
    mkdirSync(to);
    await copyJournal({ from, to, durable, segmentBytes: SEGMENT_BYTES });
    const copy = await openJournal(journal(to));
    expect(copy.recovery).toMatchObject({ cutBytes: 0, rewrittenBatches: 1 });
    expect(numbers(to, copy.writer.durableOffset)).toEqual(Array.from({ length: 20 }, (_, number) => number));
    await copy.writer.close();
    await writer.close();
  });

  it('leaves out segments that began after that offset', async () => {
    const from = join(root, 'from');
    const { writer } = await openJournal(journal(from));
    await commit(writer, 0, 3);
    const durable = writer.durableOffset;
    await commit(writer, 3, 40);
    expect(writer.stats().segments).toBeGreaterThan(2);
    const to = join(root, 'to');
    mkdirSync(to);
    await copyJournal({ from, to, durable, segmentBytes: SEGMENT_BYTES });
    const copy = await openJournal(journal(to));
    expect(numbers(to, copy.writer.durableOffset)).toEqual([0, 1, 2]);
    await copy.writer.close();
    await writer.close();
  });

  it('is an empty journal where there is no batch yet', async () => {
    const from = join(root, 'from');
    const { writer } = await openJournal(journal(from));
    const to = join(root, 'to');
    mkdirSync(to);
    await copyJournal({ from, to, durable: offset(0), segmentBytes: SEGMENT_BYTES });
    const copy = await openJournal(journal(to));
    expect(copy.recovery).toMatchObject({ created: false, nextSequence: 0, cutBytes: 0 });
    await copy.writer.close();
    await writer.close();
  });

  it('keeps the empty segment that says where the last batch ended, when retention has taken that batch', async () => {
    const from = join(root, 'from');
    const first = await openJournal(journal(from));
    await commit(first.writer, 0, 3);
    const durable = first.writer.durableOffset;
    await first.writer.close();
    const second = await openJournal({ ...journal(from), provenOffset: durable });
    await second.writer.retain({ needOffset: durable, maxAgeMs: -1, maxBytes: 0 });
    expect(second.writer.stats().segments).toBe(1);
    await second.writer.close();
    const to = join(root, 'to');
    mkdirSync(to);
    await copyJournal({ from, to, durable, segmentBytes: SEGMENT_BYTES });
    const copy = await openJournal({ ...journal(to), provenOffset: durable });
    expect(copy.recovery).toMatchObject({ created: false, nextSequence: 3, cutBytes: 0 });
    await copy.writer.close();
  });
});
