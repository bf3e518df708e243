import { describe, expect, it } from 'vitest';
import { AGE_ALARM, BYTES_ALARM, DeadLetters } from '../../../actors/partition/dead-letters.ts';
import { Verdict } from '../../../engine/core/record.ts';
import type { StoreOperation } from '../../../engine/core/store.ts';
import { newStore } from './harness.ts';

const store = newStore();
const MIB = 2 ** 20;
const NEVER = Number.MAX_SAFE_INTEGER;

function lettersOf(into: ReturnType<typeof newStore>, bytesMax = MIB, retentionMs = NEVER): DeadLetters {
  const letters = new DeadLetters(into);
  letters.limits = { bytesMax, retentionMs };
  return letters;
}

const add = (letters: DeadLetters, size: number, batchSequence = 1, receivedAtMs = 5): void =>
  letters.add({ code: 'NOT_JSON', receivedAtMs, source: 1, batchSequence, index: 2 }, Buffer.alloc(size + 10, batchSequence), 5, size + 5);
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
    const letters = lettersOf(newStore());
    for (let at = 1; at <= 3; at++) add(letters, 4, at);
    expect(letters.newest(1)).toEqual([{ id: 3, code: 'NOT_JSON', receivedAtMs: 5, source: 1, batchSequence: 3, index: 2, size: 4, bytes: Uint8Array.of(3, 3, 3, 3), retry: null }]);
    const own = newStore();
    const stored = lettersOf(own);
    for (let at = 1; at <= 3; at++) add(stored, 4, at);
    await save(stored, own);
    add(stored, 4, 4);
    stored.checkpoint([]);
    add(stored, 4, 5);
    expect([idsOf(stored), idsOf(stored, 2), idsOf(stored, 2, 5), idsOf(stored, 9, 2), idsOf(stored, 9, 1)]).toEqual([[5, 4, 3, 2, 1], [5, 4], [4, 3], [1], []]);
    expect(stored.newest(9)[2]?.bytes).toEqual(Uint8Array.of(3, 3, 3, 3));
    expect([1, 3, 4, 5, 6].map((id) => stored.atOrAfter(id)?.id ?? null)).toEqual([1, 3, 4, 5, null]);
  });

  it('hold the bytes of their own record, and none of what lies around it', () => {
    const letters = lettersOf(newStore());
    const bytes = Buffer.from('before{"its":"own"}behind');
    letters.add({ code: 'NOT_JSON', receivedAtMs: 5, source: 1, batchSequence: 1, index: 2 }, bytes, 6, 19);
    bytes.fill(0);
    expect(letters.newest(1).map((letter) => Buffer.from(letter.bytes).toString())).toEqual(['{"its":"own"}']);
  });

  it('are whole up to a mebibyte and cut beyond, with the full size on record', async () => {
    const own = newStore();
    const letters = lettersOf(own, 4 * MIB);
    add(letters, MIB);
    add(letters, MIB + 1);
    await save(letters, own);
    expect(letters.newest(2)).toMatchObject([
      { size: MIB + 1, bytes: { byteLength: MIB } },
      { size: MIB, bytes: { byteLength: MIB } },
    ]);
  });

  it('stay within their bytes, before a checkpoint and after; the oldest leave and are counted', async () => {
    const own = newStore();
    const letters = lettersOf(own, 10_000);
    for (let at = 0; at < 20; at++) add(letters, 744);
    expect(letters.figures).toMatchObject({ deadLetters: 10, deadLettersWaiting: 10, deadLetterBytes: 10_000, deadLettersExpired: 10, deadLettersExpiredWaiting: 10 });
    expect(letters.freshBytes).toBe(10_000);
    await save(letters, own);
    for (let at = 0; at < 4; at++) add(letters, 744);
    const state = await save(letters, own);
    expect(state).toMatchObject({ nextId: 25, floorId: 15, expired: 14, expiredByAge: 0 });
    expect(idsOf(letters)).toEqual([24, 23, 22, 21, 20, 19, 18, 17, 16, 15]);
    expect([...own.range('dead', {})]).toHaveLength(10);
  });

  it('leave when they are old, by log time, and are counted apart', async () => {
    const own = newStore();
    const letters = lettersOf(own, MIB, 1_000);
    for (let at = 0; at < 4; at++) add(letters, 4, 1, at * 500);
    letters.tick(1_999);
    expect(idsOf(letters)).toEqual([4, 3]);
    await save(letters, own);
    letters.tick(2_000);
    expect([idsOf(letters), letters.figures.deadLettersExpiredByAge, letters.figures.deadLettersExpired]).toEqual([[4], 3, 0]);
    await save(letters, own);
    expect([...own.range('dead', {})]).toHaveLength(1);
    letters.tick(NEVER - 1);
    expect(letters.figures).toMatchObject({ deadLetters: 0, deadLetterBytes: 0, deadLettersExpiredByAge: 4 });
  });

  it('tell before they leave: at four fifths of the bytes, and of the time for those that wait', () => {
    const letters = lettersOf(newStore(), 10_000, 1_000);
    for (let at = 0; at < 7; at++) add(letters, 744, 1, 100);
    expect(letters.alarms(100)).toEqual([]);
    add(letters, 744, 1, 100);
    expect(letters.alarms(100)).toEqual([BYTES_ALARM]);
    letters.drop([1]);
    expect([letters.alarms(899), letters.alarms(900)]).toEqual([[], [AGE_ALARM]]);
    for (let id = 2; id <= 8; id++) letters.settle(id, { verdict: Verdict.accepted, code: null, atMs: 100 });
    expect(letters.alarms(900)).toEqual([]);
  });

  it('come back after a failed checkpoint, in order, with their retries and without what was dropped', async () => {
    const own = newStore();
    const letters = lettersOf(own);
    for (let at = 0; at < 3; at++) add(letters, 4);
    letters.settle(1, { verdict: Verdict.rejected, code: 'NO_APP_ID', atMs: 7 });
    letters.drop([2]);
    letters.checkpoint([]);
    letters.settle(1, { verdict: Verdict.accepted, code: null, atMs: 8 });
    add(letters, 4);
    letters.checkpointFailed();
    expect(idsOf(letters)).toEqual([4, 3, 1]);
    await save(letters, own);
    expect([idsOf(letters), letters.freshBytes]).toEqual([[4, 3, 1], 0]);
    expect(letters.newest(1, 2)[0]?.retry).toEqual({ attempts: 2, verdict: Verdict.accepted, code: null, atMs: 8 });
  });

  it('are claimed once for each attempt, and never again once something counted', async () => {
    const own = newStore();
    const letters = lettersOf(own);
    for (let at = 0; at < 2; at++) add(letters, 4);
    const claims = (of = letters): boolean[] => [of.claim(1, 1), of.claim(1, 2), of.claim(1, 3), of.claim(2, 1), of.claim(3, 1), of.claim(0, 1)];
    expect(claims()).toEqual([true, false, false, true, false, false]);
    letters.settle(1, { verdict: Verdict.rejected, code: 'NO_APP_ID', atMs: 7 });
    expect(claims()).toEqual([false, true, false, true, false, false]);
    letters.settle(1, { verdict: Verdict.duplicate, code: null, atMs: 8 });
    letters.drop([2]);
    expect(claims()).toEqual([false, false, false, false, false, false]);
    const state = await save(letters, own);
    expect(claims()).toEqual([false, false, false, false, false, false]);
    const restored = lettersOf(own);
    restored.restore(state);
    expect(claims(restored)).toEqual([false, false, false, false, false, false]);
    expect(restored.figures).toMatchObject({ deadLetters: 1, deadLettersWaiting: 0, deadLettersDropped: 1, deadLettersRetriedDuplicate: 1, deadLettersRetriedRejected: 1 });
    expect([...own.range('retries', {})]).toHaveLength(1);
  });

  it('are the same by digest wherever checkpoints fall, whatever the store still holds', async () => {
    const digests = await Promise.all(
      [1, 3, 1_000].map(async (every) => {
        const own = newStore();
        let letters = lettersOf(own, 20_000, 60);
        for (let step = 1; step <= 200; step++) {
          letters.tick(step);
          add(letters, (step * 37) % 700, step, step);
          const id = Math.max(1, step - 5);
          if (step % 3 === 0 && letters.claim(id, 1)) letters.settle(id, { verdict: step % 2 === 0 ? Verdict.accepted : Verdict.rejected, code: step % 2 === 0 ? null : 'NO_APP_ID', atMs: step });
          if (step % 7 === 0) letters.drop([step - 3, step - 50, step + 9]);
          if (step % every !== 0) continue;
          const state = await save(letters, own);
          letters = lettersOf(own, 20_000, 60);
          letters.restore(state);
        }
        return letters.digest();
      }),
    );
    expect(new Set(digests).size).toBe(1);
  });

  it('of a state from before there were strata are counted at the first start', async () => {
    const own = newStore();
    const before = lettersOf(own);
    for (let at = 0; at < 5; at++) add(before, 744);
    const { nextId } = await save(before, own);
    const letters = lettersOf(own, 4_000);
    letters.restore({ nextId, expired: 3 });
    expect(letters.figures).toMatchObject({ deadLetters: 5, deadLettersWaiting: 5, deadLetterBytes: 5_000, deadLettersExpired: 3 });
    letters.tick(6);
    expect(idsOf(letters)).toEqual([5, 4, 3, 2]);
  });
});
