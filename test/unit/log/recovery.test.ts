import { describe, expect, it } from 'vitest';

import { offset, type Offset } from '../../../engine/core/types.ts';
import { inspectJournal } from '../../../engine/log/index.ts';
import { FaultyDisk } from './faulty-disk.ts';
import { appendText, commitTexts, DIRECTORY, open, PARTITIONS, readAll, SEGMENT_BYTES, TestClock, texts, type OpenedTestJournal } from './journal-fixture.ts';

const FIRST_SEGMENT = `${DIRECTORY}/0000000000.segment`;
const at = (durable: Offset | undefined): number => (durable ?? 0) % SEGMENT_BYTES;
const coded = (code: string): Error => expect.objectContaining({ code }) as Error;

/** Three batches in the first segment: `first`, `second`, and a last one of three records in two partitions. */
async function threeBatches(disk: FaultyDisk, sparesMax = 0): Promise<OpenedTestJournal> {
  const opened = await open(disk, { sparesMax });
  await commitTexts(opened.writer, 'first', 'second');
  appendText(opened.writer, 1, 'third a');
  appendText(opened.writer, 4, 'third b');
  appendText(opened.writer, 4, 'third c');
  opened.writer.appendControl(Buffer.from('rule'));
  await opened.writer.commit();
  return opened;
}

describe('recovery of a torn tail', () => {
  const garble: Record<string, (bytes: Buffer, start: number, cut: number, end: number) => void> = {
    'zeros follow': (bytes, _start, cut) => void bytes.fill(0, cut),
    'garbage follows': (bytes, _start, cut, end) => {
      for (let index = cut; index < end; index++) bytes[index] = (bytes[index] ?? 0) ^ 0xa5;
    },
    'zeros stand before': (bytes, start, cut) => void bytes.fill(0, start, cut + 1),
    'one byte differs': (bytes, _start, cut) => void bytes.writeUInt8((bytes[cut] ?? 0) ^ 0x80, cut),
  };

  it.each(Object.entries(garble))('keeps earlier batches and invents nothing, cut at every byte of the last batch: %s', async (_, change) => {
    const disk = new FaultyDisk();
    const { published } = await threeBatches(disk);
    const start = at(published[2]);
    const end = at(published[3]);
    for (let cut = start; cut < end; cut++) {
      const copy = disk.clone();
      const bytes = copy.bytesOf(FIRST_SEGMENT);
      change(bytes, start, cut, end);
      // Padding behind a payload counts for nothing: a batch that differs only there is whole.
      const { writer, recovery } = await open(copy);
      const batches = readAll(copy, writer.durableOffset);
      expect(texts(batches).slice(0, 2)).toEqual(['first', 'second']);
      if (batches.length > 2) {
        expect(texts(batches).slice(2)).toEqual(['third a', 'third b', 'third c']);
        expect(recovery.cutBytes).toBe(0);
      }
      await commitTexts(writer, 'afterwards');
      const after = await open(copy);
      expect(texts(readAll(copy, after.writer.durableOffset)).at(-1)).toBe('afterwards');
    }
  });

  it('cuts at every length of the file', async () => {
    const disk = new FaultyDisk();
    const { published } = await threeBatches(disk);
    for (let size = at(published[2]); size < at(published[3]); size++) {
      const copy = disk.clone();
      copy.resize(FIRST_SEGMENT, size);
      const { writer, recovery } = await open(copy);
      expect(texts(readAll(copy, writer.durableOffset))).toEqual(['first', 'second']);
      expect(recovery.nextSequence).toBe(2);
    }
  });

  it('reports how much was cut, and where', async () => {
    const disk = new FaultyDisk();
    const { published } = await threeBatches(disk);
    const end = at(published[3]);
    disk.bytesOf(FIRST_SEGMENT)[end - 14] = 0x7f;
    const { writer, recovery } = await open(disk);
    expect(recovery).toMatchObject({ cutOffset: published[2], cutBytes: end - at(published[2]), created: false });
    expect(writer.stats().cutBytes).toBe(recovery.cutBytes);
    expect((await open(disk)).recovery).toMatchObject({ cutOffset: null, cutBytes: 0 });
  });

  it('does not take a forged header inside a payload for a proof', async () => {
    const disk = new FaultyDisk();
    const genuine = new FaultyDisk();
    const other = await open(genuine, { salt: 77 });
    await commitTexts(other.writer, 'x'.repeat(100), 'later');
    const forged = genuine.bytesOf(FIRST_SEGMENT).subarray(at(other.published[1]), at(other.published[2]));
    const { writer, published } = await open(disk);
    await commitTexts(writer, 'first');
    appendText(writer, 1, 'torn');
    for (let pad = 0; pad < 8; pad++) {
      const payload = Buffer.concat([Buffer.alloc(pad), forged]);
      writer.append(2 as never, 1, 0, payload, 0, payload.byteLength);
    }
    await writer.commit();
    const bytes = disk.bytesOf(FIRST_SEGMENT);
    bytes[at(published[1]) + 20] = 0xee;
    const reopened = await open(disk);
    expect(texts(readAll(disk, reopened.writer.durableOffset))).toEqual(['first']);
  });
});

describe('damage before the durable end', () => {
  it('is refused at every byte of an acknowledged batch, and changes nothing on disk', async () => {
    const disk = new FaultyDisk();
    const opened = await open(disk);
    // Payloads that fill their frames: no byte of the batches is padding, so every byte counts.
    await commitTexts(opened.writer, '123456', '12345678901234', '654321');
    const { published } = opened;
    for (let position = at(published[0]); position < at(published[2]); position++) {
      const copy = disk.clone();
      const bytes = copy.bytesOf(FIRST_SEGMENT);
      bytes[position] = (bytes[position] ?? 0) ^ 0x40;
      const before = Buffer.from(bytes);
      const paths = copy.paths;
      const inPadding = position >= at(published[0]) + 92 && position < at(published[0]) + 96;
      const failure = await open(copy).then(() => null, (error: unknown) => error);
      expect(failure, `byte ${position}${inPadding ? ' (padding of the index)' : ''}`).toMatchObject({
        code: 'JOURNAL_CORRUPT',
        where: { file: FIRST_SEGMENT },
        fix: expect.stringContaining('nothing was cut') as unknown,
      });
      expect(copy.paths).toEqual(paths);
      expect(copy.bytesOf(FIRST_SEGMENT).equals(before)).toBe(true);
    }
  });

  it('is refused in the header of any segment', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    for (let index = 0; index < 30; index++) await commitTexts(writer, 'x'.repeat(5_000));
    const { segments } = inspectJournal({ directory: DIRECTORY, disk });
    for (const segment of segments) {
      const copy = disk.clone();
      const bytes = copy.bytesOf(segment.path);
      bytes[100] = (bytes[100] ?? 0) ^ 1;
      await expect(open(copy)).rejects.toEqual(coded('JOURNAL_CORRUPT'));
    }
  });

  it('is refused where a segment in the middle is missing or too short, but a gap at the front is fine', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    for (let index = 0; index < 40; index++) await commitTexts(writer, 'x'.repeat(5_000));
    const { segments } = inspectJournal({ directory: DIRECTORY, disk });
    const middle = disk.clone();
    middle.unlink(segments[1]?.path ?? '');
    await expect(open(middle)).rejects.toEqual(coded('JOURNAL_CORRUPT'));
    const short = disk.clone();
    short.resize(segments[1]?.path ?? '', 9_000);
    await expect(open(short)).rejects.toEqual(coded('JOURNAL_CORRUPT'));
    const front = disk.clone();
    front.unlink(segments[0]?.path ?? '');
    expect((await open(front)).recovery.oldestOffset).toBe(segments[1]?.startOffset);
  });

  it('is proven by a checkpoint alone', async () => {
    const disk = new FaultyDisk();
    const { published } = await threeBatches(disk);
    const copy = disk.clone();
    copy.bytesOf(FIRST_SEGMENT).fill(0, at(published[2]));
    expect((await open(copy.clone(), { provenOffset: published[2] as Offset })).recovery.nextSequence).toBe(2);
    await expect(open(copy.clone(), { provenOffset: published[3] as Offset })).rejects.toEqual(coded('CHECKPOINT_BEYOND_LOG'));
    await expect(open(copy.clone(), { provenOffset: offset((published[2] as number) - 8) })).rejects.toEqual(coded('CHECKPOINT_BEYOND_LOG'));
    await expect(open(new FaultyDisk(), { provenOffset: published[1] as Offset })).rejects.toEqual(coded('CHECKPOINT_BEYOND_LOG'));
  });
});

describe('the unproven tail', () => {
  it('is written anew with its sequences, times and records, into a new segment', async () => {
    const disk = new FaultyDisk();
    const { writer, published } = await threeBatches(disk);
    const before = readAll(disk, writer.durableOffset);
    const reopened = await open(disk);
    expect(reopened.recovery).toMatchObject({ rewrittenBatches: 1, nextSequence: 3, cutBytes: 0 });
    const after = readAll(disk, reopened.writer.durableOffset);
    const content = (batch: (typeof before)[number]): unknown => ({ ...batch, offset: 0, endOffset: 0 });
    expect(after.map(content)).toEqual(before.map(content));
    expect(after.slice(0, 2)).toEqual(before.slice(0, 2));
    expect(after[2]?.offset).toBeGreaterThanOrEqual(SEGMENT_BYTES);
    expect(reopened.published).toEqual([reopened.writer.durableOffset]);
    // A checkpoint at the end proves all of it: then nothing moves.
    const proven = await open(disk.clone(), { provenOffset: reopened.writer.durableOffset });
    expect(proven.recovery.rewrittenBatches).toBe(0);
    expect(at(published[3])).toBeGreaterThan(0);
  });

  it('survives a power cut right after open, though its first sync had failed', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    await commitTexts(writer, 'acknowledged');
    disk.fault = (operation) => (operation === 'sync' ? Object.assign(new Error('EIO'), { code: 'EIO' }) : null);
    appendText(writer, 1, 'sync failed');
    expect(() => writer.commit()).toThrow(coded('JOURNAL_WRITE_FAILED'));
    disk.processDeath();
    const reopened = await open(disk);
    const seen = texts(readAll(disk, reopened.writer.durableOffset));
    expect(seen).toEqual(['acknowledged', 'sync failed']);
    disk.powerCut(() => 0);
    const again = await open(disk);
    expect(texts(readAll(disk, again.writer.durableOffset))).toEqual(seen);
  });
});

describe('opening', () => {
  it('tells a new journal from one that was there', async () => {
    const disk = new FaultyDisk();
    const first = await open(disk);
    expect(first.recovery).toMatchObject({ created: true, nextSequence: 0, oldestOffset: 4_096, durableOffset: 4_096 });
    expect((await open(disk)).recovery.created).toBe(false);
  });

  it('refuses a foreign instance, another partition count, a newer format and a directory without its meta file', async () => {
    const disk = new FaultyDisk();
    await threeBatches(disk);
    await expect(open(disk, { instance: 'someone-else' })).rejects.toEqual(coded('DATA_DIR_FOREIGN'));
    await expect(open(disk, { partitionCount: PARTITIONS * 2 })).rejects.toEqual(coded('CONFIG_INVALID'));
    await expect(open(disk, { batchBytesMax: SEGMENT_BYTES })).rejects.toEqual(coded('CONFIG_INVALID'));
    const path = `${DIRECTORY}/journal.json`;
    const newer = disk.clone();
    const text = newer.bytesOf(path).toString();
    newer.resize(path, 0);
    const file = newer.open(path, 'readwrite');
    file.write(Buffer.from(text.replace('"format": 1', '"format": 9')), 0, text.length, 0);
    await expect(open(newer)).rejects.toEqual(coded('DATA_VERSION'));
    const damaged = disk.clone();
    damaged.bytesOf(path)[30] = 0x21;
    await expect(open(damaged)).rejects.toEqual(coded('JOURNAL_CORRUPT'));
    const without = disk.clone();
    without.unlink(path);
    await expect(open(without)).rejects.toEqual(coded('JOURNAL_CORRUPT'));
  });

  it('refuses segments that were copied in from another journal', async () => {
    const disk = new FaultyDisk();
    await threeBatches(disk);
    const other = new FaultyDisk();
    await open(other, { instance: 'someone-else' });
    const foreign = other.bytesOf(FIRST_SEGMENT);
    const file = disk.open(FIRST_SEGMENT, 'readwrite');
    file.write(foreign, 0, foreign.byteLength, 0);
    await expect(open(disk)).rejects.toEqual(coded('DATA_DIR_FOREIGN'));
  });

  it('keeps the segment size the journal was made with', async () => {
    const disk = new FaultyDisk();
    const { writer } = await threeBatches(disk);
    const reopened = await open(disk, { segmentBytes: 4 * SEGMENT_BYTES });
    expect(Math.floor(reopened.writer.durableOffset / SEGMENT_BYTES)).toBe(1);
    expect(texts(readAll(disk, reopened.writer.durableOffset))).toHaveLength(5);
    expect(writer.durableOffset).toBeLessThan(reopened.writer.durableOffset);
  });

  it('gives back the space of what a segment did not use', async () => {
    const disk = new FaultyDisk();
    const clock = new TestClock();
    const first = await open(disk, { sparesMax: 2, clock });
    for (let turn = 0; turn < 500; turn++) await Promise.resolve();
    for (let index = 0; index < 14; index++) await commitTexts(first.writer, 'x'.repeat(5_000));
    await first.writer.close();
    const end = at(first.writer.durableOffset);
    await open(disk, { clock, provenOffset: first.writer.durableOffset });
    expect(disk.bytesOf(`${DIRECTORY}/0000000001.segment`).byteLength).toBe(end);
  });

  it('refuses a directory that cannot be written', async () => {
    const disk = new FaultyDisk();
    disk.fault = (operation) => (operation === 'open' ? Object.assign(new Error('EROFS: read-only'), { code: 'EROFS' }) : null);
    await expect(open(disk)).rejects.toEqual(coded('DATA_DIR_UNUSABLE'));
    const full = new FaultyDisk();
    full.fault = (operation) => (operation === 'write' ? Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }) : null);
    await expect(open(full)).rejects.toEqual(coded('DISK_FULL'));
    full.fault = null;
    expect((await open(full)).recovery.created).toBe(true);
  });
});
