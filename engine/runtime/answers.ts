/**
 * What an actor thread tells of the records of its partitions when the admin port asks. Bounded in number and in bytes, for all of
 * it is copied between threads, and folding waits meanwhile.
 */

import type { DeadLetter, KeptLetter } from '../core/dead-letter.ts';
import type { Question, RecordPlace, TailAnswer, TailEntry } from '../threads/messages.ts';

/** A partition, as far as it tells of its records. */
export interface AnsweringActor {
  readonly id: number;
  /** The last records, the newest first. */
  tail(limit: number): readonly Omit<TailEntry, 'partition'>[];
  /** The newest first; `before`: only those with a lower id. */
  deadLetters(limit: number, before?: number): readonly KeptLetter[];
  /** The one of that id or the next newer one; null where there is none. */
  deadLetterAtOrAfter(id: number): DeadLetter | null;
}

/** Negative where `left` came first. */
export const comparePlaces = (left: RecordPlace, right: RecordPlace): number => left.batchSequence - right.batchSequence || left.index - right.index;

export function tailOf(actors: readonly AnsweringActor[], { limit, after, verdict }: Extract<Question, { what: 'tail' }>): TailAnswer {
  const entries: TailEntry[] = [];
  const heads: (RecordPlace & { readonly partition: number })[] = [];
  for (const actor of actors) {
    const partition = actor.id;
    const newest = actor.tail(after === null && verdict === null ? limit : Infinity);
    const [head] = newest;
    if (head !== undefined) heads.push({ partition, batchSequence: head.batchSequence, index: head.index });
    const start = after?.[partition] ?? null;
    for (const entry of newest) {
      if (start !== null && comparePlaces(entry, start) <= 0) break;
      if (verdict === null || entry.verdict === verdict) entries.push({ ...entry, partition });
    }
  }
  entries.sort(after === null ? (left, right) => comparePlaces(right, left) : comparePlaces);
  return { entries: entries.slice(0, limit), heads };
}
