import { expect, it, describe } from 'vitest';
import { offset, type Offset } from '../../../engine/core/types.ts';
import { sealJournal, type SealedJournal } from '../../../engine/log/index.ts';
import { journalOrder } from '../../../engine/threads/log-order.ts';
import { SharedWords } from '../../../engine/threads/shared-words.ts';
import { FaultyDisk } from './faulty-disk.ts';
import { BATCH_BYTES, commitTexts, DIRECTORY, open, PARTITIONS, readAll, SEGMENT_BYTES, TestClock, texts } from './journal-fixture.ts';

async function seal(disk: FaultyDisk, words = SharedWords.create(1, 2), provenOffset = offset(0)): Promise<{ journal: SealedJournal; durable: Offset }> {
  let durable = offset(-1);
  const journal = await sealJournal({
    directory: DIRECTORY,
    instance: 'test-instance',
    partitionCount: PARTITIONS,
    segmentBytes: SEGMENT_BYTES,
    batchBytesMax: BATCH_BYTES,
    salt: 0x5eed,
    clock: new TestClock(),
    order: journalOrder(words, 1),
    publish: (end) => (durable = end),
    provenOffset,
    disk: disk.session(),
  });
  return { journal, durable };
}

/** One batch, and two lives after it that wrote nothing. */
async function followedByEmptySegments(): Promise<{ disk: FaultyDisk; end: Offset }> {
  const disk = new FaultyDisk();
  const { writer } = await open(disk);
  await commitTexts(writer, 'a');
  const end = writer.durableOffset;
  await writer.close();
  for (let life = 0; life < 2; life++) await (await open(disk, { provenOffset: end })).writer.close();
  return { disk, end };
}

describe('a journal without a writer', () => {
  it('makes a tail durable anew that nothing proves', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    await commitTexts(writer, 'a', 'b', 'c');
    disk.processDeath();
    const { journal, durable } = await seal(disk);
    expect(texts(readAll(disk, durable))).toEqual(['a', 'b', 'c']);
    expect(journal.segments).toBe(2);
    await journal.close();
  });

  it('is left as it is where everything is proven, start after start', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    await commitTexts(writer, 'a', 'b');
    const end = writer.durableOffset;
    await writer.close();
    const proven = await seal(disk, SharedWords.create(1, 2), end);
    const again = await seal(disk, SharedWords.create(1, 2), end);
    expect([proven.durable, again.durable]).toEqual([end, end]);
    expect(again.journal.segments).toBe(1);
  });

  it('ends where its last batch does, though empty segments follow', async () => {
    const { disk, end } = await followedByEmptySegments();
    expect((await seal(disk)).durable).toBe(end);
  });

  it('ends there also when retention has taken that batch', async () => {
    const { disk, end } = await followedByEmptySegments();
    const { journal } = await seal(disk);
    await journal.retain({ needOffset: end, maxAgeMs: -1, maxBytes: 0 });
    expect(journal.segments).toBe(2);
    expect((await seal(disk)).durable).toBe(end);
    expect(readAll(disk, end, { from: end })).toEqual([]);
  });

  it('raises the order of all journals above what it holds, and is at rest', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    await commitTexts(writer, 'a');
    await writer.close();
    const words = SharedWords.create(1, 2);
    words.setBusySince(1, 5);
    await seal(disk, words);
    expect(journalOrder(words, 0).take(0)).toBeGreaterThan(new TestClock().wallMs * 1_000);
    expect(words.busySince(1)).toBe(0);
  });

  it('is begun where it was never written, so that it can be read', async () => {
    const disk = new FaultyDisk();
    const { durable } = await seal(disk);
    expect(readAll(disk, durable)).toEqual([]);
  });

  it('gives back segments that nobody needs, to the last one', async () => {
    const disk = new FaultyDisk();
    const { writer } = await open(disk);
    for (let at = 0; at < 12; at++) await commitTexts(writer, 'x'.repeat(15_000));
    const end = writer.durableOffset;
    await writer.close();
    const { journal } = await seal(disk, SharedWords.create(1, 2), end);
    expect(journal.segments).toBeGreaterThan(2);
    await journal.retain({ needOffset: end, maxAgeMs: 0, maxBytes: 0 });
    expect(journal.segments).toBe(1);
    expect(readAll(disk, end, { from: end })).toEqual([]);
  });
});
