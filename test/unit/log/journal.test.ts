import { describe, expect, it } from 'vitest';

import type { LogReader } from '../../../engine/core/log.ts';
import { offset, type Offset } from '../../../engine/core/types.ts';
import { createRecordCursor, inspectJournal, openLogLookup, openLogReader, type JournalWriter } from '../../../engine/log/index.ts';
import { diskError, FaultyDisk, seededRandom } from './faulty-disk.ts';
import { appendText, BATCH_BYTES, commitTexts, DIRECTORY, drain, open, PARTITIONS, plainBatch, readAll, SEGMENT_BYTES, TestClock, texts } from './journal-fixture.ts';

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 2_000; turn++) await Promise.resolve();
};

const reader = (disk: FaultyDisk, from: Offset = offset(0), first = 0, count = PARTITIONS): LogReader =>
  openLogReader({ directory: DIRECTORY, lane: { first, count }, from, readAheadBytes: 8 * 1024, disk });

/** Commits `count` batches of one record of about `bytes`. */
async function fill(writer: JournalWriter, count: number, bytes: number, tag = 'fill'): Promise<string[]> {
  const written = Array.from({ length: count }, (_, index) => `${tag}-${index}-`.padEnd(bytes, '.'));
  await commitTexts(writer, ...written);
  return written;
}

describe('the journal', () => {
  it('gives back records grouped by partition, in the order of arrival within each', async () => {
    const disk = new FaultyDisk();
    const { writer, published } = await open(disk);
    appendText(writer, 5, 'five-a', 2, 1);
    appendText(writer, 1, 'one-a');
    appendText(writer, 5, '');
    appendText(writer, 1, 'one-b', 7, 2);
    writer.appendControl(Buffer.from('{"type":"rules"}'));
    expect(writer.openRecords).toBe(4);
    expect(await writer.commit()).toBe(true);
    expect(published.at(-1)).toBe(writer.durableOffset);
    const [batch, ...others] = readAll(disk, writer.durableOffset);
    expect(others).toEqual([]);
    expect(batch).toMatchObject({
      sequence: 0,
      recordCount: 4,
      controls: ['{"type":"rules"}'],
      records: [
        { partition: 1, index: 0, source: 1, flags: 0, text: 'one-a' },
        { partition: 1, index: 1, source: 7, flags: 2, text: 'one-b' },
        { partition: 5, index: 2, source: 2, flags: 1, text: 'five-a' },
        { partition: 5, index: 3, source: 1, flags: 0, text: '' },
      ],
    });
    expect((batch?.offset ?? 1) % 8).toBe(0);
  });

  it('copies a record before append returns', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    const bytes = Buffer.from('..kept..');
    writer.append(1 as never, 1, 0, bytes, 2, 6);
    bytes.fill('x');
    await writer.commit();
    expect(texts(readAll(disk, writer.durableOffset))).toEqual(['kept']);
  });

  it('shows each lane its own slices, the controls, and every batch as a tick', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    for (let partition = 0; partition < PARTITIONS; partition++) appendText(writer, partition, `p${partition}`);
    writer.appendControl(Buffer.from('control'));
    await writer.commit();
    await writer.commit();
    const lane = readAll(disk, writer.durableOffset, { first: 2, count: 3 });
    expect(lane.map((batch) => batch.records.map((record) => record.text))).toEqual([['p2', 'p3', 'p4'], []]);
    expect(lane[0]).toMatchObject({ recordCount: PARTITIONS, controls: ['control'], records: [{ index: 2 }, { index: 3 }, { index: 4 }] });
    expect(lane.map((batch) => batch.sequence)).toEqual([0, 1]);
  });

  it('reads the lane alone of a batch that is too large for the read-ahead', async () => {
    const disk = new FaultyDisk();
    const options = { segmentBytes: 1024 * 1024, batchBytesMax: 400 * 1024 };
    const { writer } = await open(disk, options);
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < 150; index++) appendText(writer, index % PARTITIONS, `r${round}-${index}-`.padEnd(1_500 + index, '.'));
      writer.appendControl(Buffer.from(`control ${round}`));
      await writer.commit();
      await commitTexts(writer, `small ${round}`);
    }
    const whole = readAll(disk, writer.durableOffset, { readAheadBytes: 1024 * 1024 });
    for (const [first, count] of [[0, 3], [3, 4], [7, 1], [0, PARTITIONS]] as const) {
      const lane = readAll(disk, writer.durableOffset, { first, count });
      const expected = whole.map((batch) => ({ ...batch, records: batch.records.filter(({ partition }) => partition >= first && partition < first + count) }));
      expect(lane).toEqual(expected);
    }
  });

  it('never reads past the durable offset it is given, and goes on from there', async () => {
    const disk = new FaultyDisk();
    const { writer, published } = await open(disk);
    await commitTexts(writer, 'a', 'b', 'c');
    const log = reader(disk);
    expect(log.read(published[0] as Offset)).toBeNull();
    expect(texts(drain(log, published[2] as Offset))).toEqual(['a', 'b']);
    expect(log.position).toBe(published[2]);
    expect(log.read(published[1] as Offset)).toBeNull();
    expect(texts(drain(log, published[3] as Offset))).toEqual(['c']);
    const again = reader(disk, published[1]);
    expect(texts(drain(again, published[3] as Offset))).toEqual(['b', 'c']);
  });

  it('rolls into new segments and reads on across them, from any offset', async () => {
    const disk = new FaultyDisk();
    const { writer, published } = await open(disk);
    const written = await fill(writer, 60, 5_000);
    expect(writer.stats().segments).toBeGreaterThan(4);
    expect(texts(readAll(disk, writer.durableOffset))).toEqual(written);
    for (let start = 0; start < 60; start += 7) {
      expect(texts(readAll(disk, writer.durableOffset, { from: published[start] as Offset }))).toEqual(written.slice(start));
    }
  });

  it('counts the open bytes, says when a batch is full, and refuses what does not fit', async () => {
    const { writer } = await open(new FaultyDisk());
    expect(writer.batchBytesMax).toBe(BATCH_BYTES);
    while (writer.hasRoomFor(1_000)) appendText(writer, 0, 'x'.repeat(1_000));
    expect(writer.openBytes).toBeLessThanOrEqual(BATCH_BYTES);
    expect(() => appendText(writer, 0, 'x'.repeat(1_000))).toThrow('bug');
    expect(() => appendText(writer, PARTITIONS, 'x')).toThrow('bug');
    await writer.commit();
    expect(writer.openBytes).toBe(0);
  });

  it('takes the shortest writes a disk can make', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    const random = seededRandom(3);
    disk.shortWrite = (length) => 1 + Math.floor(random() * Math.min(length, 700));
    const written = await fill(writer, 20, 5_000);
    disk.powerCut(random);
    const reopened = await open(disk);
    expect(texts(readAll(disk, reopened.writer.durableOffset))).toEqual(written);
  });

  it('holds times that never go back and counts gaps of at most two seconds as running time', async () => {
    const disk = new FaultyDisk();
    const clock = new TestClock();
    const { writer } = await open(disk, { clock });
    await commitTexts(writer, 'first');
    clock.advance(500);
    await commitTexts(writer, 'half a second on');
    clock.wallMs -= 3_600_000;
    clock.elapsedMs += 100;
    await commitTexts(writer, 'the clock stepped back');
    clock.advance(9_000);
    await commitTexts(writer, 'an outage');
    for (let tick = 0; tick < 12; tick++) {
      clock.elapsedMs += 0.25;
      await writer.commit();
    }
    const batches = readAll(disk, writer.durableOffset);
    const started = batches[0]?.receivedAtMs ?? 0;
    expect(batches.slice(0, 4).map((batch) => batch.receivedAtMs - started)).toEqual([0, 500, 500, 500]);
    expect(batches.slice(0, 4).map((batch) => batch.runningTimeMs)).toEqual([0, 500, 600, 2_600]);
    expect(batches.at(-1)?.runningTimeMs).toBe(2_603);

    clock.wallMs -= 86_400_000;
    const reopened = await open(disk, { clock });
    clock.advance(40);
    await commitTexts(reopened.writer, 'after a restart');
    expect(readAll(disk, reopened.writer.durableOffset).at(-1)).toMatchObject({ receivedAtMs: started + 500, runningTimeMs: 2_643 });
  });

  it('goes on with the times of the life before though nothing of that has to be written anew', async () => {
    const disk = new FaultyDisk();
    const clock = new TestClock();
    const { writer } = await open(disk, { clock });
    clock.advance(700);
    await commitTexts(writer, 'before');
    const [before] = readAll(disk, writer.durableOffset);
    clock.wallMs -= 86_400_000;
    const reopened = await open(disk, { clock, provenOffset: writer.durableOffset });
    expect(reopened.recovery).toMatchObject({ rewrittenBatches: 0, receivedAtMs: before?.receivedAtMs });
    await commitTexts(reopened.writer, 'after');
    expect(readAll(disk, reopened.writer.durableOffset).at(-1)).toMatchObject({ receivedAtMs: before?.receivedAtMs, runningTimeMs: 700 });
  });

  it('looks up single batches by offset', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    await fill(writer, 40, 5_000);
    const batches = readAll(disk, writer.durableOffset);
    const lookup = openLogLookup({ directory: DIRECTORY, disk });
    for (const at of [39, 0, 17, 18, 3, 39]) expect(plainBatch(lookup.batchAt(batches[at]?.offset as Offset))).toEqual(batches[at]);
    expect(lookup.batchAt(batches[5]?.offset as Offset, { first: 2, count: 2 }).slices).toEqual([]);
    expect(() => lookup.batchAt(offset((batches[5]?.offset ?? 0) + 8))).toThrow(expect.objectContaining({ code: 'JOURNAL_CORRUPT' }));
    lookup.close();
  });

  it('reports segments, ranges and times for people', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    await fill(writer, 30, 5_000);
    const report = inspectJournal({ directory: DIRECTORY, disk, verifyRecords: true });
    expect(report).toMatchObject({ instance: 'test-instance', partitionCount: PARTITIONS, tornBytes: 0 });
    expect(report.segments.map((segment) => segment.damage)).toEqual(report.segments.map(() => null));
    expect(report.segments.reduce((sum, segment) => sum + segment.records, 0)).toBe(30);
    expect(report.segments.at(-1)?.endOffset).toBe(writer.durableOffset);
    const first = report.segments[0];
    const bytes = disk.bytesOf(first?.path ?? '');
    bytes[9_000] = (bytes[9_000] ?? 0) ^ 1;
    expect(inspectJournal({ directory: DIRECTORY, disk, verifyRecords: true }).segments[0]?.damage).toContain('durable up to');
  });
});

describe('retention', () => {
  it('takes whole segments that are old enough or too many, and never what is needed', async () => {
    const disk = new FaultyDisk();
    const clock = new TestClock();
    const { writer, published } = await open(disk, { clock });
    for (let round = 0; round < 60; round++) {
      clock.advance(1_000);
      await fill(writer, 1, 5_000, `r${round}`);
    }
    const before = writer.stats();
    const keep = { needOffset: writer.durableOffset, maxAgeMs: 3_600_000, maxBytes: 2 ** 40 };
    expect(await writer.retain(keep)).toMatchObject({ retiredSegments: 0, oldestOffset: before.oldestOffset });
    const need = published[20] as Offset;
    const byNeed = await writer.retain({ ...keep, maxAgeMs: 0, needOffset: need });
    expect(byNeed.retiredSegments).toBeGreaterThan(0);
    expect(byNeed.oldestOffset).toBeLessThanOrEqual(need);
    expect(texts(readAll(disk, writer.durableOffset, { from: need }))).toHaveLength(40);
    expect(() => reader(disk, offset(0))).toThrow(expect.objectContaining({ code: 'CHECKPOINT_BEFORE_LOG' }));
    const bySize = await writer.retain({ ...keep, maxBytes: 3 * SEGMENT_BYTES });
    expect(bySize.bytesOnDisk).toBeLessThanOrEqual(3 * SEGMENT_BYTES);
    const byAge = await writer.retain({ ...keep, maxAgeMs: 5_000 });
    expect(byAge.oldestReceivedAtMs).toBeGreaterThan(clock.nowMs() - 5_000 - 14_000);
    await writer.retain({ ...keep, maxAgeMs: -1, maxBytes: 0 });
    expect(writer.stats().segments).toBe(1);
    const reopened = await open(disk, { clock });
    expect(reopened.recovery.oldestOffset).toBe(writer.stats().oldestOffset);
  });

  it('lets a reader that stood at the end of a retired segment go on with the next', async () => {
    const disk = new FaultyDisk();
    const { writer, published } = await open(disk);
    await fill(writer, 30, 5_000);
    const second = inspectJournal({ directory: DIRECTORY, disk }).segments[1];
    const end = published.filter((durable) => durable < (second?.startOffset ?? 0)).at(-1) as Offset;
    await writer.retain({ needOffset: end, maxAgeMs: -1, maxBytes: 0 });
    expect(writer.stats().oldestOffset).toBe(second?.startOffset);
    const rest = readAll(disk, writer.durableOffset, { from: end });
    expect(rest[0]?.sequence).toBe(second?.firstSequence);
    expect(rest.at(-1)?.sequence).toBe(29);
  });

  it('recycles retired files, whose stale bytes never read as records', async () => {
    const disk = new FaultyDisk();
    const clock = new TestClock();
    const { writer } = await open(disk, { sparesMax: 2, clock });
    await settle();
    await fill(writer, 60, 5_000, 'old');
    clock.advance(10_000);
    await writer.retain({ needOffset: offset(0), maxAgeMs: 1e9, maxBytes: 1e9 });
    await settle();
    expect(writer.stats().spares).toBe(2);
    await fill(writer, 24, 5_000, 'old');
    await writer.retain({ needOffset: writer.durableOffset, maxAgeMs: -1, maxBytes: 0 });
    await settle();
    const files = disk.paths.length;
    for (let round = 0; round < 6; round++) {
      const written = await fill(writer, 36, 5_000, `round${round}`);
      await settle();
      const { oldestOffset, durableOffset } = writer.stats();
      expect(texts(readAll(disk, durableOffset, { from: oldestOffset })).slice(-36)).toEqual(written);
      await writer.retain({ needOffset: writer.durableOffset, maxAgeMs: -1, maxBytes: 0 });
    }
    expect(disk.paths.length).toBeLessThanOrEqual(files + 1);
    // Every spare is full of records that were sound once; the tail in front of them must still end where it ends.
    const last = await fill(writer, 3, 700, 'last');
    disk.powerCut(seededRandom(11));
    const reopened = await open(disk, { sparesMax: 2 });
    expect(texts(readAll(disk, reopened.writer.durableOffset, { from: reopened.recovery.oldestOffset })).slice(-3)).toEqual(last);
    await reopened.writer.close();
  });

  it('fills no spare while segments fill within seconds, and recycles those that grew', async () => {
    const disk = new FaultyDisk();
    const clock = new TestClock();
    const { writer } = await open(disk, { sparesMax: 2, clock });
    await settle();
    const limits = { needOffset: offset(0), maxAgeMs: 1e9, maxBytes: 1e9 };
    for (let round = 0; round < 3; round++) {
      await fill(writer, 30, 5_000, 'fast');
      clock.advance(100);
      await writer.retain(limits);
      await settle();
    }
    expect(writer.stats()).toMatchObject({ spares: 0, segments: 8 });
    // All of them grew, save those that the first spares became; all but the newest become spares, as many as are wanted.
    await writer.retain({ needOffset: writer.durableOffset, maxAgeMs: -1, maxBytes: 0 });
    expect(writer.stats()).toMatchObject({ spares: 2, segments: 1 });
    await fill(writer, 30, 5_000, 'on recycled files');
    clock.advance(5_000);
    await writer.retain(limits);
    await settle();
    expect(writer.stats().spares).toBe(2);
    const { oldestOffset, durableOffset } = writer.stats();
    expect(texts(readAll(disk, durableOffset, { from: oldestOffset })).slice(-30)).toHaveLength(30);
    await writer.close();
  });

  it('counts spares in its size, bounds them, and closes while one is being filled', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk, { sparesMax: 2 });
    await settle();
    expect(writer.stats()).toMatchObject({ spares: 2, segments: 1 });
    expect(writer.stats().bytesOnDisk).toBeGreaterThan(2 * SEGMENT_BYTES);
    await fill(writer, 14, 5_000);
    await writer.close();
    const reopened = await open(disk, { sparesMax: 2 });
    expect(texts(readAll(disk, reopened.writer.durableOffset))).toHaveLength(14);
  });
});

describe('a disk that fails while the journal is read', () => {
  it.each(['EIO', 'EMFILE'])('is no damage, and the same read goes on later: %s', async (code) => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    await commitTexts(writer, 'a', 'b');
    const log = reader(disk);
    const retryable: unknown = expect.objectContaining({ retryable: true });
    disk.fault = (operation) => (operation === 'read' || operation === 'open' ? diskError(code) : null);
    expect(() => log.read(writer.durableOffset)).toThrow(retryable);
    await writer.close();
    await expect(open(disk)).rejects.toEqual(retryable);
    disk.fault = null;
    const reopened = await open(disk);
    expect(texts(readAll(disk, reopened.writer.durableOffset))).toEqual(['a', 'b']);
  });
});

describe('the record cursor', () => {
  it('raises JOURNAL_CORRUPT for a record whose bytes changed', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    await commitTexts(writer, 'sound', 'broken', 'sound too');
    const path = `${DIRECTORY}/0000000000.segment`;
    const bytes = disk.bytesOf(path);
    bytes[bytes.indexOf('broken')] = 0x42;
    const log = reader(disk);
    const cursor = createRecordCursor();
    const walk = (): string[] => {
      const found: string[] = [];
      for (let batch = log.read(writer.durableOffset); batch !== null; batch = log.read(writer.durableOffset)) {
        for (const slice of batch.slices) {
          cursor.reset(batch, slice);
          while (cursor.next()) found.push(batch.bytes.toString('latin1', cursor.start, cursor.end));
        }
      }
      return found;
    };
    expect(walk).toThrow(expect.objectContaining({ code: 'JOURNAL_CORRUPT' }));
    expect(walk()).toEqual(['sound too']);
  });

  it('is told by the reader when a header or the chain is damaged', async () => {
    const disk = new FaultyDisk();
    const { writer, published } = await open(disk);
    await commitTexts(writer, 'a', 'b', 'c');
    const bytes = disk.bytesOf(`${DIRECTORY}/0000000000.segment`);
    const at = (published[1] as number) % SEGMENT_BYTES;
    bytes[at + 30] = (bytes[at + 30] ?? 0) ^ 0x10;
    const log = reader(disk);
    expect(texts([plainBatch(log.read(writer.durableOffset) as never)])).toEqual(['a']);
    expect(() => log.read(writer.durableOffset)).toThrow(expect.objectContaining({ code: 'JOURNAL_CORRUPT' }));
  });

  it('is told by the reader when a sound batch names another predecessor than stands before it', async () => {
    const disk = new FaultyDisk();
    const { writer, published } = await open(disk);
    await commitTexts(writer, 'common');
    await commitTexts(writer, 'one', 'two');
    // The same segment, place and sequence of the same journal, but not what was written there.
    const strange = new FaultyDisk();
    const second = await open(strange);
    await commitTexts(second.writer, 'common');
    appendText(second.writer, 2, 'oNe');
    await second.writer.commit();
    const [from, to] = [published[1], published[2]].map((end) => (end as number) % SEGMENT_BYTES) as [number, number];
    const file = `${DIRECTORY}/0000000000.segment`;
    strange.bytesOf(file).copy(disk.bytesOf(file), from, from, to);
    const log = reader(disk);
    expect(texts([1, 2].map(() => plainBatch(log.read(writer.durableOffset) as never)))).toEqual(['common', 'oNe']);
    expect(() => log.read(writer.durableOffset)).toThrow(expect.objectContaining({ code: 'JOURNAL_CORRUPT', message: expect.stringContaining('the chain of batches') as unknown }));
  });
});
