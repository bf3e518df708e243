import { describe, expect, it } from 'vitest';
import { tailOf, type AnsweringActor } from '../../../engine/runtime/answers.ts';

describe('the tail of a thread', () => {
  /** Partition `id` with a record in each of the batches, the last one rejected. */
  const withTail = (id: number, batches: readonly number[]): AnsweringActor => ({
    id,
    deadLetters: () => [],
    deadLetterAtOrAfter: () => null,
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
