import { describe, expect, it } from 'vitest';
import type { KeptLetter } from '../../../engine/core/dead-letter.ts';
import { EngineError } from '../../../engine/core/errors.ts';
import { OWN_RECORDS_BYTES_MAX, assertOwnRecords, type AppendRecords } from '../../../engine/core/own-records.ts';
import { RecordSource, Verdict } from '../../../engine/core/record.ts';
import { retriedLetter } from '../../../engine/core/retried-record.ts';
import { decodeControl } from '../../../engine/core/rules.ts';
import type { AnsweringActor } from '../../../engine/runtime/answers.ts';
import { answerOfLetters, EVERY_LETTER } from '../../../engine/runtime/letter-answers.ts';
import { emptyRetryReport, LetterWork, type LetterSelection, type RetryReport } from '../../../engine/runtime/letter-work.ts';
import type { Question } from '../../../engine/threads/messages.ts';

/** Two partitions whose letters change as the fold would change them; even ids are rejected again. */
class World {
  readonly letters: KeptLetter[][] = [[], []];
  readonly requests: number[] = [];
  readonly attempts: string[] = [];
  dropped = 0;
  /** Raised by the next requests, after the records have landed or before. */
  failures: { readonly code: 'THREAD_DIED' | 'DOOR_CLOSED' | 'JOURNAL_CORRUPT'; readonly landed: boolean }[] = [];
  readonly moved = new Set<number>();
  readonly work: LetterWork;

  constructor() {
    this.work = new LetterWork({ asker: { ask: (question: Question) => Promise.resolve([answerOfLetters(this.actors, question as never)] as never) }, appendRecords: this.append, writeControl: this.control, scopeKey: 'app_id' });
  }

  get actors(): AnsweringActor[] {
    return this.letters.map((letters, id) => ({
      id,
      tail: () => [],
      deadLetters: (limit, before = Infinity) => letters.filter((letter) => letter.id < before).reverse().slice(0, limit),
      deadLetterAtOrAfter: (from) => letters.find((letter) => letter.id >= from) ?? null,
    }));
  }

  add(partition: number, change: Partial<KeptLetter> = {}): void {
    const letters = this.letters[partition] as KeptLetter[];
    const id = letters.length + 1;
    const bytes = change.bytes ?? Buffer.from('{}');
    letters.push({ id, code: 'NO_APP_ID', receivedAtMs: id, source: RecordSource.pull, batchSequence: id * 2 + partition, index: 0, size: bytes.byteLength, bytes, retry: null, ...change });
  }

  readonly append: AppendRecords = (source, records) => {
    expect(source).toBe(RecordSource.retry);
    assertOwnRecords(records);
    this.requests.push(records.length);
    const failure = this.failures.shift();
    if (failure?.landed !== false) for (const record of records) this.#fold(Buffer.from(record.buffer, record.byteOffset, record.byteLength));
    if (failure !== undefined) return Promise.reject(new EngineError(failure.code, 'planted'));
    const rejected = records.flatMap((record, index) => (this.moved.has(retriedLetter(record as Buffer, 0, record.byteLength).id) ? [{ index, code: 'MOVED' as const }] : []));
    return Promise.resolve({ accepted: records.length - rejected.length, rejected });
  };

  readonly control = (bytes: Uint8Array): Promise<void> => {
    const record = decodeControl(bytes);
    if (record.type !== 'drop-letters') throw new Error('another control record');
    for (const [partition, ids] of record.letters) {
      this.dropped += ids.length;
      this.letters[partition] = (this.letters[partition] as KeptLetter[]).filter(({ id }) => !ids.includes(id));
    }
    return Promise.resolve();
  };

  retry(selection: LetterSelection = { filter: EVERY_LETTER }, { again = false, isDryRun = false, isCancelled = (): boolean => false } = {}): Promise<RetryReport> {
    return this.work.retry({ selection, again, isDryRun, isCancelled }, emptyRetryReport());
  }

  #fold(record: Buffer): void {
    const { partition, id, attempt, source } = retriedLetter(record, 0, record.byteLength);
    expect(source).toBe(RecordSource.pull);
    if (this.moved.has(id)) return;
    this.attempts.push(`${partition}/${id}:${attempt}`);
    const letters = this.letters[partition] as KeptLetter[];
    const at = letters.findIndex((letter) => letter.id === id);
    const letter = letters[at] as KeptLetter;
    if (attempt !== (letter.retry?.attempts ?? 0) + 1) return;
    const isRejected = id % 2 === 0;
    letters[at] = { ...letter, retry: { attempts: attempt, verdict: isRejected ? Verdict.rejected : Verdict.accepted, code: isRejected ? 'NO_APP_ID' : null, atMs: 9 } };
  }
}

describe('dead letters sent again', () => {
  it('are told one by one with what became of them, and a second time there is nothing to do', async () => {
    const world = new World();
    for (let at = 0; at < 3; at++) world.add(at % 2);
    world.add(1);
    expect(await world.retry()).toEqual({
      ...emptyRetryReport(),
      selected: 4,
      retried: 4,
      outcomes: { accepted: 2, late: 0, duplicate: 0, rejected: 2, pending: 0 },
      rejected: { NO_APP_ID: 2 },
      letters: [
        { partition: 1, id: 2, outcome: 'rejected', code: 'NO_APP_ID' },
        { partition: 0, id: 2, outcome: 'rejected', code: 'NO_APP_ID' },
        { partition: 1, id: 1, outcome: 'accepted' },
        { partition: 0, id: 1, outcome: 'accepted' },
      ],
    });
    expect(await world.retry()).toEqual(emptyRetryReport());
    expect(await world.retry(undefined, { again: true })).toMatchObject({ retried: 2, outcomes: { rejected: 2 } });
    expect(world.attempts.slice(4)).toEqual(['1/2:2', '0/2:2']);
  });

  it('go under the same attempt again after a failure, whether or not they had landed', async () => {
    const world = new World();
    world.add(0);
    world.failures = [{ code: 'THREAD_DIED', landed: true }, { code: 'DOOR_CLOSED', landed: false }];
    expect(await world.retry()).toMatchObject({ retried: 1, outcomes: { accepted: 1 } });
    expect(world.attempts).toEqual(['0/1:1', '0/1:1']);
    world.add(0);
    world.failures = [{ code: 'JOURNAL_CORRUPT', landed: false }];
    await expect(world.retry()).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT' });
  });

  it('go in requests that the door takes, however large they are', async () => {
    const world = new World();
    const large = Buffer.alloc(0.4 * OWN_RECORDS_BYTES_MAX, 0x61);
    for (let at = 0; at < 5; at++) world.add(0, { bytes: large });
    world.add(0, { bytes: Buffer.alloc(OWN_RECORDS_BYTES_MAX, 0x61) });
    for (let at = 0; at < 2_500; at++) world.add(1);
    expect(await world.retry()).toMatchObject({ selected: 2_506, retried: 2_506 });
    expect(Math.max(...world.requests)).toBe(1_000);
  });

  it('are not those that cannot count: without all bytes, poisonous, of another partition now, or not there', async () => {
    const world = new World();
    world.add(0, { size: 99 });
    world.add(0, { code: 'TOO_LARGE' });
    world.add(0, { code: 'POISON' });
    world.add(0);
    world.moved.add(4);
    expect(await world.retry()).toMatchObject({ selected: 4, retried: 0, skipped: { incomplete: 2, poison: 1, moved: 1, settled: 0, gone: 0 } });
    expect(await world.retry({ names: [{ partition: 0, id: 3 }, { partition: 1, id: 7 }] })).toMatchObject({ selected: 1, retried: 1, skipped: { poison: 0, gone: 1 } });
    expect(await world.retry({ names: [{ partition: 0, id: 3 }] })).toMatchObject({ retried: 0, skipped: { settled: 1 } });
  });

  it('are only counted in a dry run, and none after the client has left', async () => {
    const world = new World();
    world.add(0);
    expect(await world.retry(undefined, { isDryRun: true })).toMatchObject({ selected: 1, retried: 0, letters: [{ partition: 0, id: 1, outcome: 'would be sent again' }] });
    expect(await world.retry(undefined, { isCancelled: () => true })).toMatchObject({ selected: 0, retried: 0, cancelled: true });
    expect(world.requests).toEqual([]);
  });
});

describe('dead letters dropped', () => {
  it('leave by control records, those that are meant and no others', async () => {
    const world = new World();
    for (let at = 0; at < 1_500; at++) world.add(at % 2, at % 3 === 0 ? { code: 'NOT_JSON' } : {});
    const drop = (selection: LetterSelection, isDryRun = false) => world.work.drop({ selection, isDryRun, isCancelled: () => false }, { selected: 0, dropped: 0, cancelled: false });
    const filter = { ...EVERY_LETTER, codes: ['NOT_JSON' as const] };
    expect(await drop({ filter }, true)).toEqual({ selected: 500, dropped: 0, cancelled: false });
    expect(await drop({ filter })).toEqual({ selected: 500, dropped: 500, cancelled: false });
    expect([world.dropped, await drop({ filter })]).toEqual([500, { selected: 0, dropped: 0, cancelled: false }]);
    expect(await drop({ names: [{ partition: 0, id: 2 }, { partition: 0, id: 2 }] })).toMatchObject({ dropped: 1 });
    expect(world.letters.flat()).toHaveLength(999);
  });
});
