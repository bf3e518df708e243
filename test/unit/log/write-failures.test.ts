import { describe, expect, it } from 'vitest';

import { journalOrder } from '../../../engine/threads/log-order.ts';
import { SharedWords } from '../../../engine/threads/shared-words.ts';
import type { JournalWriter } from '../../../engine/log/index.ts';
import { diskError, FaultyDisk, seededRandom, type DiskOperation } from './faulty-disk.ts';
import { appendText, commitTexts, DIRECTORY, open, readAll, SEGMENT_BYTES, TestClock, texts } from './journal-fixture.ts';

const coded = (code: string): Error => expect.objectContaining({ code }) as Error;

const failing = (operation: DiskOperation, code: string) => (tried: DiskOperation): Error | null => (tried === operation ? diskError(code) : null);

function failToCommit(writer: JournalWriter, text: string, code: string): void {
  appendText(writer, 1, text);
  expect(() => writer.commit()).toThrow(coded(code));
  expect(writer.openRecords).toBe(0);
}

describe('a write or sync that fails', () => {
  it.each(['write', 'sync'] as const)('drops its batch, ends the segment at the durable offset and goes on in a new one: %s', async (operation) => {
    const disk = new FaultyDisk();
    const { writer, published } = await open(disk);
    await commitTexts(writer, 'a', 'b');
    const durable = writer.durableOffset;
    disk.fault = failing(operation, 'EIO');
    failToCommit(writer, 'lost', 'JOURNAL_WRITE_FAILED');
    expect(writer.durableOffset).toBe(durable);
    disk.fault = null;
    await commitTexts(writer, 'c', 'd');
    expect(Math.floor((published[3] ?? 0) / SEGMENT_BYTES)).toBe(1);
    expect(readAll(disk, writer.durableOffset).map((batch) => batch.sequence)).toEqual([0, 1, 2, 3]);
    expect(texts(readAll(disk, writer.durableOffset))).toEqual(['a', 'b', 'c', 'd']);
    expect(writer.stats()).toMatchObject({ failedCommits: 1, segments: 2 });
    disk.powerCut(seededRandom(5));
    const reopened = await open(disk);
    expect(texts(readAll(disk, reopened.writer.durableOffset))).toEqual(['a', 'b', 'c', 'd']);
  });

  it('holds the order of all journals at its key until a later batch is durable, where the next open may find it', async () => {
    const disk = new FaultyDisk();
    const words = SharedWords.create(1, 2);
    const { writer } = await open(disk, { order: journalOrder(words, 0) });
    await commitTexts(writer, 'a');
    expect(words.busySince(0)).toBe(0);
    disk.fault = failing('sync', 'EIO');
    failToCommit(writer, 'lost', 'JOURNAL_WRITE_FAILED');
    const held = words.busySince(0);
    expect(held).toBeGreaterThan(0);
    failToCommit(writer, 'lost too', 'JOURNAL_WRITE_FAILED');
    expect(words.busySince(0)).toBe(held);
    disk.fault = null;
    await commitTexts(writer, 'b');
    expect(words.busySince(0)).toBe(0);
  });

  it('lets the order go at once where nothing of it could ever be read', async () => {
    const disk = new FaultyDisk();
    const words = SharedWords.create(1, 2);
    const { writer } = await open(disk, { order: journalOrder(words, 0) });
    for (let at = 0; at < 12; at++) await commitTexts(writer, `${at}`.padEnd(5_000));
    // The segment is full, and no file can be made for the next one.
    disk.fault = failing('open', 'ENOSPC');
    failToCommit(writer, 'x'.repeat(5_000), 'DISK_FULL');
    expect(words.busySince(0)).toBe(0);
  });

  it('does not touch the file of a failed sync again', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    disk.log.length = 0;
    await commitTexts(writer, 'a');
    // A file keeps the name under which it was opened.
    const file = (disk.log.find((line) => line.startsWith('sync ')) ?? '').slice('sync '.length);
    disk.fault = failing('sync', 'EIO');
    failToCommit(writer, 'lost', 'JOURNAL_WRITE_FAILED');
    disk.fault = null;
    disk.log.length = 0;
    await commitTexts(writer, 'b', 'c');
    expect(file).toContain('.segment');
    expect(disk.log.filter((line) => line.endsWith(file) || line.includes('0000000000.segment'))).toEqual([]);
  });

  it('answers DISK_FULL at every commit until there is space again, and loses nothing else', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    for (let index = 0; index < 12; index++) await commitTexts(writer, `${index}`.padEnd(5_000));
    disk.fault = failing('write', 'ENOSPC');
    const files = disk.paths.length;
    for (let tries = 0; tries < 50; tries++) failToCommit(writer, 'x'.repeat(5_000), 'DISK_FULL');
    expect(disk.paths.length).toBe(files);
    disk.fault = failing('open', 'ENOSPC');
    failToCommit(writer, 'y', 'DISK_FULL');
    disk.fault = null;
    await commitTexts(writer, 'after');
    expect(texts(readAll(disk, writer.durableOffset)).map((text) => text.trim())).toEqual([...Array.from({ length: 12 }, (_, index) => `${index}`), 'after']);
  });

  it('goes on in a spare when the disk is full', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk, { sparesMax: 1 });
    for (let turn = 0; turn < 500; turn++) await Promise.resolve();
    for (let index = 0; index < 11; index++) await commitTexts(writer, 'x'.repeat(5_000));
    disk.fault = (operation, path) => (operation === 'open' && path.includes('spare') ? diskError('ENOSPC') : null);
    for (let index = 0; index < 8; index++) await commitTexts(writer, 'y'.repeat(5_000));
    expect(texts(readAll(disk, writer.durableOffset))).toHaveLength(19);
    await Promise.resolve();
    expect(writer.stats()).toMatchObject({ spares: 0, failedFillings: 1 });
  });

  it.each(['open', 'write', 'sync', 'rename', 'syncDirectory', 'unlink'] as const)('tries a new segment until one can be made: %s fails', async (operation) => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    await commitTexts(writer, 'a');
    disk.fault = failing('sync', 'EIO');
    failToCommit(writer, 'lost', 'JOURNAL_WRITE_FAILED');
    // For unlink to be tried at all, the directory must fail first: the name is in doubt then.
    disk.fault = operation === 'unlink' ? failing('syncDirectory', 'EIO') : failing(operation, 'EIO');
    for (let tries = 0; tries < 3; tries++) failToCommit(writer, `lost too ${tries}`, 'JOURNAL_WRITE_FAILED');
    if (operation === 'unlink') {
      disk.fault = failing('unlink', 'EIO');
      failToCommit(writer, 'still lost', 'JOURNAL_WRITE_FAILED');
    }
    const crashed = disk.clone();
    disk.fault = null;
    await commitTexts(writer, 'b', 'c');
    expect(texts(readAll(disk, writer.durableOffset))).toEqual(['a', 'b', 'c']);
    disk.powerCut(seededRandom(9));
    expect(texts(readAll(disk, (await open(disk)).writer.durableOffset))).toEqual(['a', 'b', 'c']);
    for (let seed = 0; seed < 20; seed++) {
      const copy = crashed.clone();
      copy.powerCut(seededRandom(seed));
      const found = texts(readAll(copy, (await open(copy)).writer.durableOffset));
      expect(found[0]).toBe('a');
      expect(found.length).toBeLessThanOrEqual(2);
    }
  });
});

describe('a slow disk', () => {
  class SlowClock extends TestClock {
    syncMs = 0;
    override monotonicMs(): number {
      this.elapsedMs += this.syncMs / 2;
      return this.elapsedMs;
    }
  }

  it('moves the sync off the thread until syncs are fast again', async () => {
    const disk = new FaultyDisk();
    const clock = new SlowClock();
    const { writer } = await open(disk, { clock, fastSyncsToReturn: 3 });
    appendText(writer, 1, 'fast');
    expect(writer.commit()).toBe(true);
    clock.syncMs = 60;
    appendText(writer, 1, 'slow');
    expect(writer.commit()).toBe(true);
    expect(writer.stats().mode).toBe('async');
    appendText(writer, 1, 'off the thread');
    const durable = writer.durableOffset;
    const pending = writer.commit();
    expect(pending).toBeInstanceOf(Promise);
    appendText(writer, 1, 'next batch');
    expect(() => writer.commit()).toThrow('bug');
    expect(writer.durableOffset).toBe(durable);
    expect(writer.openRecords).toBe(1);
    expect(await pending).toBe(true);
    clock.syncMs = 1;
    for (let index = 0; index < 3; index++) {
      expect(writer.stats().mode).toBe('async');
      await writer.commit();
    }
    expect(writer.stats().mode).toBe('sync');
    expect(writer.commit()).toBe(true);
    expect(texts(readAll(disk, writer.durableOffset))).toEqual(['fast', 'slow', 'off the thread', 'next batch']);
    expect(writer.stats().syncLatency.count).toBe(writer.stats().syncs);
  });

  it('rejects a batch whose sync fails off the thread, and keeps the next one that was being filled', async () => {
    const disk = new FaultyDisk();
    const clock = new SlowClock();
    clock.syncMs = 60;
    const { writer } = await open(disk, { clock });
    await commitTexts(writer, 'a', 'b');
    disk.fault = failing('sync', 'EIO');
    appendText(writer, 1, 'lost');
    const pending = writer.commit();
    appendText(writer, 1, 'kept');
    await expect(pending).rejects.toEqual(coded('JOURNAL_WRITE_FAILED'));
    disk.fault = null;
    expect(writer.openRecords).toBe(1);
    await writer.commit();
    // Rolls work off the thread too.
    for (let index = 0; index < 30; index++) await commitTexts(writer, `${index}`.padEnd(5_000));
    expect(texts(readAll(disk, writer.durableOffset)).slice(0, 3)).toEqual(['a', 'b', 'kept']);
    expect(texts(readAll(disk, writer.durableOffset))).toHaveLength(33);
    const last = writer.commit();
    await writer.close();
    expect(await last).toBe(true);
    expect(disk.paths.every((path) => path.startsWith(DIRECTORY))).toBe(true);
  });
});
