/**
 * What an actor thread tells of its dead letters when the admin port asks: pages of those that a filter lets through, newest first, single ones, and what
 * became of some. Bounded in letters looked at and in bytes read, for folding waits meanwhile: a page may be short, or empty, and others follow.
 */

import { isUtf8 } from 'node:buffer';
import type { DeadLetter, KeptLetter, LetterState } from '../core/dead-letter.ts';
import { Verdict } from '../core/record.ts';
import type { LetterFilter, LetterName, LetterOutcome, LetterPage, LettersQuestion, Question, RecordPlace, ShownLetter, WholeLetter } from '../threads/messages.ts';
import { comparePlaces, type AnsweringActor } from './answers.ts';
import { scopeOf } from './letter-scope.ts';

/** Bytes of a dead letter that are shown among others; the rest stays where it is. */
export const LETTER_SHOWN_BYTES_MAX = 4 * 1024;
/** Letters of this many bytes in all are read for one answer, so that large ones do not hold the fold up. Chosen: some 50 ms. */
export const LETTERS_BYTES_MAX = 32 * 1024 ** 2;
/** Chosen: some 50 ms of small ones. */
const LETTERS_LOOKED_AT_MAX = 10_000;

export const EVERY_LETTER: LetterFilter = { partition: null, codes: null, sources: null, states: null, scope: null, fromMs: -Infinity, toMs: Infinity };

export function letterState({ retry }: Pick<KeptLetter, 'retry'>): LetterState {
  if (retry === null) return 'waiting';
  return retry.verdict === Verdict.rejected ? 'rejected' : 'settled';
}

export function answerOfLetters(actors: readonly AnsweringActor[], question: Extract<Question, { what: 'dead-letters' | 'letters-named' | 'letter-outcomes' | 'dead-letter' }>): unknown {
  switch (question.what) {
    case 'dead-letters':
      return letterPage(actors, question);
    case 'letters-named':
      return namedLetters(actors, question.names, question.scopeKey);
    case 'letter-outcomes':
      return found(actors, question.names).map(([partition, { id, retry }]): LetterOutcome => ({ partition, id, retry }));
    case 'dead-letter':
      return wholeLetter(actors, question.partition, question.id);
  }
}

/** The newest of all partitions, in that order. One letter of each partition is read ahead. */
export function letterPage(actors: readonly AnsweringActor[], question: LettersQuestion): LetterPage {
  const { filter, limit } = question;
  const asked = filter.partition === null ? actors : actors.filter(({ id }) => id === filter.partition);
  const heads = asked.flatMap((actor) => nextLetter(actor, firstUnasked(actor, question), filter));
  const letters: ShownLetter[] = [];
  let lookedTo: RecordPlace | null = null;
  let bytes = 0;
  for (let lookedAt = 0; heads.length > 0; lookedAt++) {
    if (letters.length >= limit || bytes >= question.bytesMax || lookedAt >= LETTERS_LOOKED_AT_MAX) return { letters, lookedTo };
    const newest = heads.reduce((best, { letter }, at) => (comparePlaces(letter, (heads[best] as Head).letter) > 0 ? at : best), 0);
    const { actor, letter } = heads[newest] as Head;
    lookedTo = { batchSequence: letter.batchSequence, index: letter.index };
    bytes += letter.bytes.byteLength;
    if (letsThrough(filter, letter, question.scopeKey)) letters.push(shown(actor.id, letter, question));
    heads.splice(newest, 1, ...nextLetter(actor, letter.id, filter));
  }
  return { letters, lookedTo: null };
}

/** The newest of what several threads answered: as if one thread had all partitions. */
export function mergePages(pages: readonly LetterPage[], limit: number): LetterPage {
  const stops = pages.flatMap(({ lookedTo }) => lookedTo ?? []);
  const stop = stops.reduce<RecordPlace | null>((newest, place) => (newest === null || comparePlaces(place, newest) > 0 ? place : newest), null);
  const sorted = pages
    .flatMap(({ letters }) => letters)
    .filter((letter) => stop === null || comparePlaces(letter, stop) >= 0)
    .sort((left, right) => comparePlaces(right, left));
  const letters = sorted.slice(0, limit);
  const last = letters[letters.length - 1];
  return { letters, lookedTo: sorted.length > limit && last !== undefined ? { batchSequence: last.batchSequence, index: last.index } : stop };
}

function namedLetters(actors: readonly AnsweringActor[], names: readonly LetterName[], scopeKey: string): ShownLetter[] {
  return found(actors, names).map(([partition, letter]) => shown(partition, letter, { scopeKey, shownBytesMax: Infinity }));
}

/** Null where the partition is another thread's, or the letter has left. */
export function wholeLetter(actors: readonly AnsweringActor[], partition: number, id: number): WholeLetter | null {
  const letter = found(actors, [{ partition, id }])[0]?.[1];
  return letter === undefined ? null : { size: letter.size, bytes: letter.bytes };
}

function found(actors: readonly AnsweringActor[], names: readonly LetterName[]): (readonly [partition: number, letter: KeptLetter])[] {
  return names.flatMap(({ partition, id }) => {
    const letter = actors.find((actor) => actor.id === partition)?.deadLetters(1, id + 1)[0];
    return letter?.id === id ? [[partition, letter] as const] : [];
  });
}

interface Head {
  readonly actor: AnsweringActor;
  readonly letter: KeptLetter;
}

/** Letters are in the order of time: what is older than the filter is not looked at. */
const nextLetter = (actor: AnsweringActor, before: number, { fromMs }: LetterFilter): Head[] => actor.deadLetters(1, before).flatMap((letter) => (letter.receivedAtMs < fromMs ? [] : { actor, letter }));

/** The lowest id that is too new for the question: ids, places and times rise together. Infinity where none is. */
function firstUnasked(actor: AnsweringActor, { before, filter }: LettersQuestion): number {
  if (before === null && filter.toMs === Infinity) return Infinity;
  const isAsked = (letter: DeadLetter): boolean => (before === null || comparePlaces(letter, before) < 0) && letter.receivedAtMs < filter.toMs;
  const newest = actor.deadLetters(1)[0];
  if (newest === undefined || isAsked(newest)) return Infinity;
  let [low, high] = [0, newest.id];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const letter = actor.deadLetterAtOrAfter(middle);
    if (letter !== null && isAsked(letter)) low = letter.id + 1;
    else high = middle;
  }
  return low;
}

function letsThrough({ codes, sources, states, scope }: LetterFilter, letter: KeptLetter, scopeKey: string): boolean {
  return (codes?.includes(letter.code) ?? true) && (sources?.includes(letter.source) ?? true) && (states?.includes(letterState(letter)) ?? true) && (scope === null || scopeOf(letter.bytes, scopeKey) === scope);
}

/** A slice and not a view: of a view, the whole buffer would be copied to the other thread. */
function shown(partition: number, { bytes, ...facts }: KeptLetter, { scopeKey, shownBytesMax }: Pick<LettersQuestion, 'scopeKey' | 'shownBytesMax'>): ShownLetter {
  return { ...facts, partition, keptBytes: bytes.byteLength, isUtf8: isUtf8(bytes), scope: scopeOf(bytes, scopeKey), bytes: bytes.slice(0, shownBytesMax) };
}
