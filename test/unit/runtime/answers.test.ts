import { describe, expect, it } from 'vitest';
import type { DeadLetter } from '../../../engine/core/dead-letter.ts';
import { LETTER_SHOWN_BYTES_MAX, LETTERS_BYTES_MAX, newestLetters, tailOf, wholeLetter, type AnsweringActor } from '../../../engine/runtime/answers.ts';

interface Fixture extends AnsweringActor {
  readonly id: number;
  /** Letters that were read. */
  reads: number;
}

/** A partition whose letter `id` stands in batch `10 * id + partition`. */
function partition(id: number, letters: readonly Uint8Array[]): Fixture {
  const stored = letters.map((bytes, at): DeadLetter => ({ id: at + 1, code: 'NOT_JSON', receivedAtMs: 5, source: 1, batchSequence: 10 * (at + 1) + id, index: 2, size: bytes.byteLength + 1, bytes }));
  return {
    id,
    reads: 0,
    tail: () => [],
    deadLetters(limit, before = Infinity) {
      const found = stored.filter((letter) => letter.id < before).reverse().slice(0, limit);
      this.reads += found.length;
      return found;
    },
  };
}

const bytes = (size: number, fill = 97): Uint8Array => new Uint8Array(size).fill(fill);
const placesOf = (letters: readonly { partition: number; id: number }[]): string => letters.map((letter) => `${letter.partition}/${letter.id}`).join(' ');

describe('the newest dead letters of a thread', () => {
  it('are those of all its partitions in one order, no more than asked for, and hardly more are read', () => {
    const actors = [partition(0, [bytes(1), bytes(1), bytes(1)]), partition(1, [bytes(1)]), partition(2, []), partition(3, [bytes(1), bytes(1)])];
    expect(placesOf(newestLetters(actors, 4))).toBe('0/3 3/2 0/2 3/1');
    expect(actors.reduce((sum, actor) => sum + actor.reads, 0)).toBeLessThanOrEqual(4 + actors.length);
    expect(placesOf(newestLetters(actors, 100))).toBe('0/3 3/2 0/2 3/1 1/1 0/1');
    expect(newestLetters(actors, 1)).toEqual([{ partition: 0, id: 3, code: 'NOT_JSON', receivedAtMs: 5, source: 1, batchSequence: 30, index: 2, size: 2, keptBytes: 1, isUtf8: true, bytes: bytes(1) }]);
  });

  it('carry the bytes that are shown and no others, with what they were cut from', () => {
    const [text, garbage] = newestLetters([partition(0, [bytes(200_000, 0xff), bytes(10_000)])], 2);
    expect(text).toMatchObject({ size: 10_001, keptBytes: 10_000, isUtf8: true });
    expect(garbage).toMatchObject({ size: 200_001, keptBytes: 200_000, isUtf8: false });
    for (const letter of [text, garbage]) expect([letter?.bytes.byteLength, letter?.bytes.buffer.byteLength]).toEqual([LETTER_SHOWN_BYTES_MAX, LETTER_SHOWN_BYTES_MAX]);
  });

  it('end once enough bytes have been read, at the same letter in one thread as in many', () => {
    const large = Array.from({ length: 200 }, () => bytes(256 * 1024));
    const actors = [partition(0, large), partition(1, large)];
    const together = newestLetters(actors, 1_000);
    expect(together).toHaveLength(LETTERS_BYTES_MAX / (256 * 1024));
    expect(together.length).toBeLessThan(large.length);
    const apart = actors.flatMap((actor) => newestLetters([actor], 1_000));
    expect(placesOf(apart)).toContain(placesOf(together.filter((letter) => letter.partition === 1)));
  });
});

describe('one dead letter', () => {
  it('is given whole by the thread that has its partition', () => {
    const actors = [partition(4, [bytes(3), bytes(100_000)]), partition(5, [])];
    expect(wholeLetter(actors, 4, 2)).toEqual({ size: 100_001, bytes: bytes(100_000) });
    expect([wholeLetter(actors, 4, 3), wholeLetter(actors, 5, 1), wholeLetter(actors, 6, 1)]).toEqual([null, null, null]);
  });
});

describe('the tail of a thread', () => {
  /** Partition `id` with a record in each of the batches, the last one rejected. */
  const withTail = (id: number, batches: readonly number[]): Fixture => ({
    ...partition(id, []),
    tail: (limit) =>
      batches
        .map((batchSequence, at) => ({ journal: 0, batchOffset: 8 * batchSequence, batchSequence, index: id, receivedAtMs: 5, verdict: at === batches.length - 1 ? 3 : 0, rejectCode: -1, windowStartMs: 0, dimensions: '' }))
        .reverse()
        .slice(0, limit),
  });
  const actors = [withTail(4, [1, 5, 9]), withTail(5, [2, 3, 9]), withTail(6, [])];
  const nothing = new Array<null>(8).fill(null);
  const ask = (question: Partial<Parameters<typeof tailOf>[1]>): string => tailOf(actors, { what: 'tail', limit: 100, after: null, verdict: null, ...question }).entries.map((entry) => `${entry.batchSequence}.${entry.partition}`).join(' ');

  it('holds the newest records of all its partitions, newest first, and where each partition stands', () => {
    expect(ask({ limit: 3 })).toBe('9.5 9.4 5.4');
    expect(ask({})).toBe('9.5 9.4 5.4 3.5 2.5 1.4');
    expect(tailOf(actors, { what: 'tail', limit: 1, after: null, verdict: null }).heads).toEqual([{ partition: 4, batchSequence: 9, index: 4 }, { partition: 5, batchSequence: 9, index: 5 }]);
  });

  it('goes on after a place of each partition, oldest first', () => {
    const after = nothing.with(4, { batchSequence: 1, index: 4 } as never).with(5, { batchSequence: 9, index: 4 } as never);
    expect(ask({ after })).toBe('5.4 9.4 9.5');
    expect(ask({ after, limit: 1 })).toBe('5.4');
    expect(ask({ after: nothing, limit: 2 })).toBe('1.4 2.5');
  });

  it('holds those of one verdict alone when asked so', () => {
    expect([ask({ verdict: 3 }), ask({ verdict: 0, limit: 1 }), ask({ verdict: 1 })]).toEqual(['9.5 9.4', '5.4', '']);
  });
});
