/**
 * What an actor thread tells of the records of its partitions when the admin port asks. Bounded in number and in bytes, for all of
 * it is copied between threads, and folding waits meanwhile.
 */

import { isUtf8 } from 'node:buffer';
import type { DeadLetter } from '../core/dead-letter.ts';
import type { Question, RecordPlace, ShownLetter, TailAnswer, TailEntry, WholeLetter } from '../threads/messages.ts';

/** Bytes of a dead letter that are shown among others; the rest stays where it is. */
export const LETTER_SHOWN_BYTES_MAX = 4 * 1024;
/** Letters of this many bytes in all are read for one answer, so that large ones do not hold the fold up. Chosen: some 50 ms. */
export const LETTERS_BYTES_MAX = 32 * 1024 ** 2;

/** A partition, as far as it tells of its records. */
export interface AnsweringActor {
  readonly id: number;
  /** The last records, the newest first. */
  tail(limit: number): readonly Omit<TailEntry, 'partition'>[];
  /** The newest first; `before`: only those with a lower id. */
  deadLetters(limit: number, before?: number): readonly DeadLetter[];
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

/** The newest of all partitions, in that order. One letter of each partition is read ahead. */
export function newestLetters(actors: readonly AnsweringActor[], limit: number): ShownLetter[] {
  const heads = actors.flatMap((actor) => nextLetter(actor, Infinity));
  const taken: ShownLetter[] = [];
  const room = new LetterRoom(limit);
  while (heads.length > 0) {
    const newest = heads.reduce((best, head, at) => (compareLetters(head.letter, (heads[best] as Head).letter) < 0 ? at : best), 0);
    const { actor, letter } = heads[newest] as Head;
    if (!room.takes(letter)) break;
    taken.push(letter);
    heads.splice(newest, 1, ...nextLetter(actor, letter.id));
  }
  return taken;
}

/** The newest of what several threads answered: as if one thread had all partitions. */
export function mergeLetters(answers: readonly (readonly ShownLetter[])[], limit: number): ShownLetter[] {
  const room = new LetterRoom(limit);
  const sorted = answers.flat().sort(compareLetters);
  const end = sorted.findIndex((letter) => !room.takes(letter));
  return end < 0 ? sorted : sorted.slice(0, end);
}

/** Null where the partition is another thread's, or the letter has given way to newer ones. */
export function wholeLetter(actors: readonly AnsweringActor[], partition: number, id: number): WholeLetter | null {
  const letter = actors.find((actor) => actor.id === partition)?.deadLetters(1, id + 1)[0];
  return letter === undefined || letter.id !== id ? null : { size: letter.size, bytes: letter.bytes };
}

interface Head {
  readonly actor: AnsweringActor;
  readonly letter: ShownLetter;
}

function nextLetter(actor: AnsweringActor, before: number): Head[] {
  return actor.deadLetters(1, before).map((letter) => ({ actor, letter: shown(actor.id, letter) }));
}

/** A slice and not a view: of a view, the whole buffer would be copied to the other thread. */
function shown(partition: number, { bytes, ...facts }: DeadLetter): ShownLetter {
  return { ...facts, partition, keptBytes: bytes.byteLength, isUtf8: isUtf8(bytes), bytes: bytes.slice(0, LETTER_SHOWN_BYTES_MAX) };
}

/** Negative where `left` is the newer. */
const compareLetters = (left: ShownLetter, right: ShownLetter): number => comparePlaces(right, left);

class LetterRoom {
  #letters: number;
  #bytes = LETTERS_BYTES_MAX;

  constructor(limit: number) {
    this.#letters = limit;
  }

  takes(letter: ShownLetter): boolean {
    if (this.#letters <= 0 || this.#bytes <= 0) return false;
    this.#letters--;
    this.#bytes -= letter.keptBytes;
    return true;
  }
}
