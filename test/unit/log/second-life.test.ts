import { describe, expect, it } from 'vitest';

import { offset } from '../../../engine/core/types.ts';
import { openLogReader } from '../../../engine/log/index.ts';
import { FaultyDisk, diskError, type DiskOperation } from './faulty-disk.ts';
import { appendText, commitTexts, DIRECTORY, open, readAll, SEGMENT_BYTES, TestClock, texts } from './journal-fixture.ts';

const segmentPath = (number: number): string => `${DIRECTORY}/${String(number).padStart(10, '0')}.segment`;
const nothingSurvives = (): number => 0;
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 2_000; turn++) await Promise.resolve();
};

/** A durable spare of full size with this content. */
function addSpare(disk: FaultyDisk, content: Buffer): void {
  const file = disk.open(`${DIRECTORY}/spare-70.segment`, 'create');
  file.write(Buffer.concat([content, Buffer.alloc(SEGMENT_BYTES)], SEGMENT_BYTES), 0, SEGMENT_BYTES, 0);
  file.sync();
  disk.syncDirectory(DIRECTORY);
}

/** Cuts the power at the next operation of this kind. */
function dieAt(disk: FaultyDisk, operation: DiskOperation): void {
  disk.fault = (tried) => {
    if (tried === operation) disk.operationsLeft = 0;
    return tried === operation ? diskError('EPOWER') : null;
  };
}

describe('what an earlier life left behind', () => {
  it('is not taken for the tail of a segment that got the same number again', async () => {
    const disk = new FaultyDisk();
    const clock = new TestClock();
    const { writer } = await open(disk, { clock, sparesMax: 1 });
    await settle();
    disk.syncDirectory(DIRECTORY);
    for (let index = 0; index < 12; index++) await commitTexts(writer, `${index}`.padEnd(4_990));
    const durable = writer.durableOffset;
    // The roll writes and syncs the spare, but its new name is lost with the power: the spare still holds a sound batch.
    dieAt(disk, 'syncDirectory');
    appendText(writer, 1, 'never acknowledged'.padEnd(8_000));
    expect(() => writer.commit()).toThrow();
    disk.powerCut(nothingSurvives);
    expect(disk.paths.filter((path) => path.includes('spare'))).toHaveLength(1);
    clock.advance(10);
    const second = await open(disk, { clock, sparesMax: 1, provenOffset: durable });
    expect(disk.paths).toContain(segmentPath(1));
    expect(texts(readAll(disk, second.writer.durableOffset))).toHaveLength(12);
    disk.processDeath();
    const third = await open(disk, { clock, provenOffset: durable });
    expect(third.recovery.rewrittenBatches).toBe(0);
    expect(texts(readAll(disk, third.writer.durableOffset))).toHaveLength(12);
  });

  it('is not overwritten before its old name is gone for good', async () => {
    const disk = new FaultyDisk();
    await open(disk);
    addSpare(disk, Buffer.alloc(SEGMENT_BYTES));
    const { writer, recovery } = await open(disk, { sparesMax: 1 });
    await settle();
    // The second segment, of full size, is retired into a spare; the third is what the filler made meanwhile.
    for (let index = 0; index < 12; index++) await commitTexts(writer, `${index}`.padEnd(4_990));
    // One record: its sync is not left to the pool, and the filler finds the disk full.
    appendText(writer, 1, 'rolls'.padEnd(5_040));
    expect(writer.commit()).toBe(true);
    disk.fault = (operation) => (operation === 'write' ? diskError('ENOSPC') : null);
    await settle();
    disk.fault = null;
    expect(writer.stats()).toMatchObject({ segments: 3, spares: 0 });
    await writer.retain({ needOffset: writer.durableOffset, maxAgeMs: -1, maxBytes: 0 });
    expect(writer.stats()).toMatchObject({ segments: 1, spares: 1 });
    // The roll overwrites it, and dies before the file has its new name.
    dieAt(disk, 'rename');
    for (let index = 0; index < 13 && !disk.dead; index++) await commitTexts(writer, `more ${index}`.padEnd(4_990)).catch(() => undefined);
    disk.powerCut(nothingSurvives);
    const reopened = await open(disk);
    expect(reopened.recovery.oldestOffset).toBeGreaterThan(recovery.oldestOffset);
    expect(texts(readAll(disk, reopened.writer.durableOffset, { from: reopened.recovery.oldestOffset })).at(-1)).toMatch(/^more/);
  });

  it('is not read as a tail that was cut when a recycled file is only partly written again', async () => {
    const disk = new FaultyDisk();
    const first = await open(disk);
    for (let index = 0; index < 12; index++) await commitTexts(first.writer, `${index}`.padEnd(4_990));
    addSpare(disk, disk.bytesOf(segmentPath(0)));
    disk.processDeath();
    const second = await open(disk, { sparesMax: 1 });
    await commitTexts(second.writer, 'one batch in a file full of old ones');
    expect(disk.bytesOf(segmentPath(1)).includes(Buffer.from('11'.padEnd(4_990)))).toBe(true);
    disk.processDeath();
    const third = await open(disk);
    expect(third.recovery).toMatchObject({ cutBytes: 0, rewrittenBatches: 1 });
  });

  it('is passed over where a void segment comes back under its old name', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    await commitTexts(writer, 'a');
    disk.fault = (operation) => (operation === 'sync' ? diskError('EIO') : null);
    appendText(writer, 1, 'sync failed');
    expect(() => writer.commit()).toThrow();
    disk.fault = (operation) => (operation === 'syncDirectory' ? diskError('EIO') : null);
    appendText(writer, 1, 'directory sync failed');
    expect(() => writer.commit()).toThrow();
    disk.fault = null;
    const voided = Buffer.from(disk.bytesOf(segmentPath(1)));
    await commitTexts(writer, 'b', 'c');
    // A file system that persists removals late, or out of order.
    disk.open(segmentPath(1), 'create').write(voided, 0, voided.byteLength, 0);
    expect(texts(readAll(disk, writer.durableOffset))).toEqual(['a', 'b', 'c']);
    const reopened = await open(disk);
    expect(texts(readAll(disk, reopened.writer.durableOffset))).toEqual(['a', 'b', 'c']);
    expect(disk.paths).not.toContain(segmentPath(1));
  });
});

describe('what open made durable', () => {
  it('is proven by the name of its segment: damage there is refused, not cut', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    await commitTexts(writer, 'acknowledged');
    const reopened = await open(disk);
    expect(reopened.recovery.rewrittenBatches).toBe(1);
    const bytes = disk.bytesOf(segmentPath(1));
    const at = bytes.indexOf('acknowledged');
    bytes[at] = 0x21;
    await expect(open(disk)).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT', where: { file: segmentPath(1) } });
    expect(reopened.writer.durableOffset).toBeGreaterThan(offset(SEGMENT_BYTES));
  });
});

describe('a spare of an earlier life', () => {
  it('is not overwritten while its old name may come back', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk, { sparesMax: 1 });
    await settle();
    for (let index = 0; index < 12; index++) await commitTexts(writer, `${index}`.padEnd(4_990));
    appendText(writer, 1, '12 rolls'.padEnd(5_040));
    expect(writer.commit()).toBe(true);
    // The filler finds the disk full: there is room for a retired segment.
    disk.fault = (operation) => (operation === 'write' ? diskError('ENOSPC') : null);
    await settle();
    expect(writer.stats()).toMatchObject({ segments: 2, spares: 0 });
    // The process dies after a retired segment got a spare's name, before that is durable.
    dieAt(disk, 'syncDirectory');
    await expect(writer.retain({ needOffset: writer.durableOffset, maxAgeMs: -1, maxBytes: 0 })).rejects.toThrow();
    disk.processDeath();
    expect(disk.paths.some((path) => path.includes('spare'))).toBe(true);
    // The next life writes its first segment into it, and the power goes before that has its name.
    dieAt(disk, 'rename');
    await expect(open(disk, { sparesMax: 1 })).rejects.toThrow();
    disk.powerCut(nothingSurvives);
    const reopened = await open(disk);
    expect(texts(readAll(disk, reopened.writer.durableOffset, { from: reopened.recovery.oldestOffset })).at(-1)).toMatch(/^12 rolls/);
  });

  it('is given back while space is scarce, and none is kept or made until there is room', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk, { sparesMax: 2 });
    await settle();
    expect(writer.stats().spares).toBe(2);
    const limits = { needOffset: offset(0), maxAgeMs: 1e9, maxBytes: 1e9 };
    await writer.retain({ ...limits, isScarce: true });
    await settle();
    expect(writer.stats().spares).toBe(0);
    expect(disk.paths.filter((path) => path.includes('spare'))).toEqual([]);
    await writer.retain(limits);
    await settle();
    expect(writer.stats().spares).toBe(2);
  });
});

describe('a system that has nothing left to open a file with', () => {
  const exhausted = (operation: DiskOperation): Error | null => (operation === 'open' ? diskError('EMFILE') : null);

  it('is no damage: opening and reading raise what passes', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    for (let index = 0; index < 14; index++) await commitTexts(writer, `${index}`.padEnd(4_990));
    const reader = openLogReader({ directory: DIRECTORY, lane: { first: 0, count: 8 }, from: offset(0), disk });
    disk.fault = exhausted;
    expect(() => {
      while (reader.read(writer.durableOffset) !== null);
    }).toThrow(expect.objectContaining({ code: 'OUT_OF_RESOURCES', retryable: true }) as Error);
    await expect(open(disk)).rejects.toMatchObject({ code: 'OUT_OF_RESOURCES' });
    disk.fault = null;
    expect(texts(readAll(disk, writer.durableOffset))).toHaveLength(14);
  });
});
