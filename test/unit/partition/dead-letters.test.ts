import { describe, expect, it } from 'vitest';
import { DeadLetters } from '../../../actors/partition/dead-letters.ts';
import type { StoreOperation } from '../../../engine/core/store.ts';
import { newStore } from './harness.ts';

const store = newStore();
const add = (letters: DeadLetters, size: number, batchSequence = 1): void =>
  letters.add({ code: 'NOT_JSON', receivedAtMs: 5, source: 1, batchSequence, index: 2 }, Buffer.alloc(size + 10, batchSequence), 5, size + 5);
const idsOf = (letters: DeadLetters, limit = 100, before?: number): number[] => letters.newest(limit, before).map((letter) => letter.id);

async function save(letters: DeadLetters, into = store): Promise<ReturnType<DeadLetters['checkpoint']>> {
  const operations: StoreOperation[] = [];
  const state = letters.checkpoint(operations);
  await into.commit(operations);
  letters.checkpointCommitted();
  return state;
}

describe('dead letters', () => {
  it('keep code, place and bytes, and are paged from the newest, stored or not', async () => {
    const letters = new DeadLetters(newStore(), 2 ** 20);
    for (let at = 1; at <= 3; at++) add(letters, 4, at);
    expect(letters.newest(1)).toEqual([{ id: 3, code: 'NOT_JSON', receivedAtMs: 5, source: 1, batchSequence: 3, index: 2, size: 4, bytes: Uint8Array.of(3, 3, 3, 3) }]);
    const own = newStore();
    const stored = new DeadLetters(own, 2 ** 20);
    for (let at = 1; at <= 3; at++) add(stored, 4, at);
    await save(stored, own);
    add(stored, 4, 4);
    stored.checkpoint([]);
    add(stored, 4, 5);
    expect([idsOf(stored), idsOf(stored, 2), idsOf(stored, 2, 5), idsOf(stored, 9, 2), idsOf(stored, 9, 1)]).toEqual([[5, 4, 3, 2, 1], [5, 4], [4, 3], [1], []]);
    expect(stored.newest(9)[2]?.bytes).toEqual(Uint8Array.of(3, 3, 3, 3));
  });

  it('hold the bytes of their own record, and none of what lies around it', () => {
    const letters = new DeadLetters(newStore(), 2 ** 20);
    const bytes = Buffer.from('before{"its":"own"}behind');
    letters.add({ code: 'NOT_JSON', receivedAtMs: 5, source: 1, batchSequence: 1, index: 2 }, bytes, 6, 19);
    bytes.fill(0);
    expect(letters.newest(1).map((letter) => Buffer.from(letter.bytes).toString())).toEqual(['{"its":"own"}']);
  });

  it('are whole up to a mebibyte and cut beyond, with the full size on record', async () => {
    const own = newStore();
    const letters = new DeadLetters(own, 2 ** 22);
    add(letters, 2 ** 20);
    add(letters, 2 ** 20 + 1);
    await save(letters, own);
    expect(letters.newest(2)).toMatchObject([
      { size: 2 ** 20 + 1, bytes: { byteLength: 2 ** 20 } },
      { size: 2 ** 20, bytes: { byteLength: 2 ** 20 } },
    ]);
  });

  it('stay within their bytes, before a checkpoint and after; the oldest leave and are counted', async () => {
    const own = newStore();
    const letters = new DeadLetters(own, 10_000);
    for (let at = 0; at < 20; at++) add(letters, 744);
    expect(letters.figures).toEqual({ bytes: 10_000, expired: 10 });
    await save(letters, own);
    for (let at = 0; at < 4; at++) add(letters, 744);
    const state = await save(letters, own);
    expect(state).toEqual({ nextId: 25, storedBytes: 10_000, expired: 14 });
    expect(idsOf(letters)).toEqual([24, 23, 22, 21, 20, 19, 18, 17, 16, 15]);
    expect([...own.range('dead', {})]).toHaveLength(10);
  });

  it('come back after a failed checkpoint, in order', async () => {
    const own = newStore();
    const letters = new DeadLetters(own, 2 ** 20);
    add(letters, 4);
    letters.checkpoint([]);
    add(letters, 4);
    letters.checkpointFailed();
    expect(idsOf(letters)).toEqual([2, 1]);
    await save(letters, own);
    expect([idsOf(letters), letters.freshBytes]).toEqual([[2, 1], 0]);
  });
});
