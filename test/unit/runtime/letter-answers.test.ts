import { describe, expect, it } from 'vitest';
import type { KeptLetter } from '../../../engine/core/dead-letter.ts';
import { Verdict } from '../../../engine/core/record.ts';
import type { AnsweringActor } from '../../../engine/runtime/answers.ts';
import { answerOfLetters, EVERY_LETTER, letterPage, LETTER_SHOWN_BYTES_MAX, LETTERS_BYTES_MAX, mergePages } from '../../../engine/runtime/letter-answers.ts';
import { scopeOf } from '../../../engine/runtime/letter-scope.ts';
import type { LetterFilter, LetterPage, LettersQuestion, RecordPlace, ShownLetter } from '../../../engine/threads/messages.ts';

interface Fixture extends AnsweringActor {
  /** Letters that were read. */
  reads: number;
}

type Change = Partial<KeptLetter>;

/** A partition whose letter `id` stands in batch `10 * id + partition`, received then. */
function partition(id: number, letters: readonly Uint8Array[], change: (letter: KeptLetter) => Change | null = () => ({})): Fixture {
  const stored = letters.flatMap((bytes, at): KeptLetter[] => {
    const batchSequence = 10 * (at + 1) + id;
    const letter: KeptLetter = { id: at + 1, code: 'NOT_JSON', receivedAtMs: batchSequence, source: 1, batchSequence, index: 2, size: bytes.byteLength + 1, bytes, retry: null };
    const changed = change(letter);
    return changed === null ? [] : [{ ...letter, ...changed }];
  });
  return {
    id,
    reads: 0,
    tail: () => [],
    deadLetters(limit, before = Infinity) {
      const found = stored.filter((letter) => letter.id < before).reverse().slice(0, limit);
      this.reads += found.length;
      return found;
    },
    deadLetterAtOrAfter(from) {
      this.reads++;
      return stored.find((letter) => letter.id >= from) ?? null;
    },
  };
}

const bytes = (size: number, fill = 97): Uint8Array => new Uint8Array(size).fill(fill);
const many = (count: number): Uint8Array[] => Array.from({ length: count }, () => bytes(1));
const placesOf = (letters: readonly { partition: number; id: number }[]): string => letters.map((letter) => `${letter.partition}/${letter.id}`).join(' ');
const page = (actors: readonly AnsweringActor[], limit: number, filter: Partial<LetterFilter> = {}, more: Partial<LettersQuestion> = {}): LetterPage =>
  letterPage(actors, { what: 'dead-letters', limit, before: null, filter: { ...EVERY_LETTER, ...filter }, scopeKey: 'app_id', shownBytesMax: LETTER_SHOWN_BYTES_MAX, bytesMax: LETTERS_BYTES_MAX, ...more });
const newest = (actors: readonly AnsweringActor[], limit: number, filter: Partial<LetterFilter> = {}): readonly ShownLetter[] => page(actors, limit, filter).letters;

describe('the newest dead letters of a thread', () => {
  it('are those of all its partitions in one order, no more than asked for, and hardly more are read', () => {
    const actors = [partition(0, many(3)), partition(1, many(1)), partition(2, []), partition(3, many(2))];
    expect(placesOf(newest(actors, 4))).toBe('0/3 3/2 0/2 3/1');
    expect(actors.reduce((sum, actor) => sum + actor.reads, 0)).toBeLessThanOrEqual(4 + actors.length);
    expect(placesOf(newest(actors, 100))).toBe('0/3 3/2 0/2 3/1 1/1 0/1');
    expect(newest(actors, 1)).toEqual([{ partition: 0, id: 3, code: 'NOT_JSON', receivedAtMs: 30, source: 1, batchSequence: 30, index: 2, size: 2, keptBytes: 1, isUtf8: true, retry: null, scope: null, bytes: bytes(1) }]);
  });

  it('carry the bytes that are shown and no others, with what they were cut from', () => {
    const [text, garbage] = newest([partition(0, [bytes(200_000, 0xff), bytes(10_000)])], 2);
    expect(text).toMatchObject({ size: 10_001, keptBytes: 10_000, isUtf8: true });
    expect(garbage).toMatchObject({ size: 200_001, keptBytes: 200_000, isUtf8: false });
    for (const letter of [text, garbage]) expect([letter?.bytes.byteLength, letter?.bytes.buffer.byteLength]).toEqual([LETTER_SHOWN_BYTES_MAX, LETTER_SHOWN_BYTES_MAX]);
  });

  it('end once enough bytes have been read, and say where to go on', () => {
    const large = Array.from({ length: 200 }, () => bytes(256 * 1024));
    const { letters, lookedTo } = page([partition(0, large), partition(1, large)], 1_000);
    expect(letters).toHaveLength(LETTERS_BYTES_MAX / (256 * 1024));
    expect(lookedTo).toEqual({ batchSequence: letters[letters.length - 1]?.batchSequence, index: 2 });
  });

  it.each([1, 2, 7, 1_000])('are the same in pages of %d, of one thread or of three, with letters missing in between', (limit) => {
    const gaps = (id: number): Fixture => partition(id, many(40), (letter) => (letter.id % 3 === id % 2 ? null : {}));
    const actors = [0, 1, 2, 3].map(gaps);
    const all = placesOf(newest(actors, 1_000));
    for (const threads of [[actors], [[actors[0]], [actors[1], actors[2]], [actors[3]]]] as AnsweringActor[][][]) {
      const found: ShownLetter[] = [];
      let before: RecordPlace | null = null;
      do {
        const merged: LetterPage = mergePages(threads.map((own) => page(own, limit, {}, { before })), limit);
        found.push(...merged.letters);
        before = merged.lookedTo;
      } while (before !== null);
      expect(placesOf(found)).toBe(all);
    }
  });
});

describe('a filter', () => {
  const texts = ['{"app_id":"one"}', '{"app_id" : "two', 'nothing', '{"app_id":"one","x":1}'].map((text) => Buffer.from(text));
  const retried = (verdict: number): Change => ({ retry: { attempts: 1, verdict: verdict as Verdict, code: null, atMs: 1 } });
  const actor = partition(0, texts, ({ id }) => ({ source: id, code: id === 2 ? 'NO_IDENTITY' : 'NOT_JSON', ...(id === 3 ? retried(Verdict.late) : id === 4 ? retried(Verdict.rejected) : {}) }));
  const found = (filter: Partial<LetterFilter>): string => placesOf(newest([actor, partition(1, texts)], 100, filter));

  it('lets through what it names: code, source, state, app, partition and time', () => {
    expect(found({ codes: ['NO_IDENTITY'] })).toBe('0/2');
    expect(found({ sources: [2, 4], partition: 0 })).toBe('0/4 0/2');
    expect([found({ states: ['waiting'], partition: 0 }), found({ states: ['settled'] }), found({ states: ['rejected'] })]).toEqual(['0/2 0/1', '0/3', '0/4']);
    expect(found({ scope: 'one', partition: 0 })).toBe('0/4 0/1');
    expect(found({ partition: 1 })).toBe('1/4 1/3 1/2 1/1');
    expect(found({ fromMs: 20, toMs: 40 })).toBe('1/3 0/3 1/2 0/2');
    expect(found({ fromMs: 41, toMs: 41 })).toBe('');
  });

  it('finds the first letter of a time without reading all that are newer', () => {
    const long = partition(0, many(5_000));
    expect(placesOf(newest([long], 2, { toMs: 1_000 }))).toBe('0/99 0/98');
    expect(long.reads).toBeLessThan(25);
  });

  it('that lets nothing through looks at a bounded number, and the next page goes on', () => {
    const { letters, lookedTo } = page([partition(0, many(25_000))], 10, { codes: ['POISON'] });
    expect(letters).toEqual([]);
    expect(lookedTo).toEqual({ batchSequence: 10 * 15_001, index: 2 });
  });
});

describe('a dead letter by name', () => {
  const actors = [partition(4, [bytes(3), bytes(100_000)]), partition(5, [])];

  it('is given whole by the thread that has its partition', () => {
    const whole = (at: number, id: number): unknown => answerOfLetters(actors, { what: 'dead-letter', partition: at, id });
    expect(whole(4, 2)).toEqual({ size: 100_001, bytes: bytes(100_000) });
    expect([whole(4, 3), whole(5, 1), whole(6, 1)]).toEqual([null, null, null]);
  });

  it('is told with what became of it, and one that is not there is left out', () => {
    const names = [{ partition: 4, id: 1 }, { partition: 4, id: 3 }, { partition: 9, id: 1 }];
    expect(answerOfLetters(actors, { what: 'letter-outcomes', names })).toEqual([{ partition: 4, id: 1, retry: null }]);
    expect(answerOfLetters(actors, { what: 'letters-named', names, scopeKey: 'app_id' })).toMatchObject([{ partition: 4, id: 1, keptBytes: 3 }]);
  });
});

describe('whose a record is', () => {
  it.each([
    ['{"app_id":"id1"}', 'id1'],
    ['{"x":[1], "app_id" :\n "é"', 'é'],
    ['{"app_id":17,"x":1}', '17'],
    ['{"app_id":""}', ''],
    ['{"app_id":"a\\u0062"}', null],
    ['{"app_id":null}', null],
    ['{"app_id":"open', null],
    ['{"app_id"', null],
    ['', null],
  ])('is found in %j', (text, expected) => {
    expect(scopeOf(Buffer.from(text), 'app_id')).toBe(expected);
  });
});
