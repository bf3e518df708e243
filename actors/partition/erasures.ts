/**
 * Erasures in a partition, purges among them: which have come, and how far its dead letters have been looked through for them.
 *
 * Letters are looked at a few at a time, as log time passes, so that the fold is never held up for long; when and which is a function of the log, like
 * everything else that decides which letters there are. All erasures that wait are served by one pass over the letters. Owned by the partition.
 */

import { ErasedUsers, type Erasure, type ErasureProgress, type PlacedErasure, type RecordUsers } from '../../engine/core/erasure.ts';
import { PurgedDays } from '../../engine/core/purged-days.ts';
import type { DeadLetter } from '../../engine/core/dead-letter.ts';
import type { BatchHeader } from '../../engine/core/log.ts';
import { weightOf } from './letter-codec.ts';

/** Of one step. Chosen: below 1 ms a partition, 10 to 15 µs a letter. */
const LETTERS_PER_STEP = 50;
const BYTES_PER_STEP = 128 * 1024;
/** Log time between two steps. Chosen: with the above, and 32 partitions in one thread, a tenth of its time. */
const STEP_INTERVAL_MS = 250;
/** Those that are done are told of until so many newer ones are. The desk has fewer under way (engine/erase-desk.ts). */
const DONE_KEPT_MAX = 200;

/** As it is stored. Letters up to `upToId` are meant. */
interface LetterErasure {
  readonly erasure: Erasure;
  readonly batchSequence: number;
  /** Of its batch; missing in states of before it was noted. */
  readonly receivedAtMs?: number;
  readonly upToId: number;
  removed: number;
  state: 'waiting' | 'looking' | 'done';
}

/** Missing where there never was an erasure. */
export interface ErasuresState {
  readonly list: readonly LetterErasure[];
  /** The next letter to look at. */
  readonly nextId: number;
  readonly steppedAtMs: number;
}

export interface ErasuresOptions {
  readonly letters: { readonly lastId: number; atOrAfter(id: number): DeadLetter | null; drop(ids: readonly number[]): void };
  /** The pipeline's; without it nobody is found. */
  readonly recordUsers: ((bytes: Buffer, start: number, end: number) => RecordUsers) | undefined;
  readonly secretOf: (id: string) => Uint8Array;
}

export class Erasures {
  readonly #options: ErasuresOptions;
  #list: LetterErasure[] = [];
  #nextId = 0;
  #steppedAtMs = 0;
  /** Nothing waits: a tick costs next to nothing. */
  #isIdle = true;
  /** Of the pass under way. */
  #meant: { readonly users: ErasedUsers; readonly days: PurgedDays } | null = null;

  constructor(options: ErasuresOptions) {
    this.#options = options;
  }

  has(id: string): boolean {
    return this.#list.some(({ erasure }) => erasure.id === id);
  }

  begin(erasure: Erasure, { sequence, receivedAtMs }: Pick<BatchHeader, 'sequence' | 'receivedAtMs'>): void {
    this.#isIdle = false;
    this.#list.push({ erasure, batchSequence: sequence, receivedAtMs, upToId: this.#options.letters.lastId, removed: 0, state: 'waiting' });
    while (this.#list.length > DONE_KEPT_MAX && this.#list[0]?.state === 'done') this.#list.shift();
  }

  /** Time passes. Raises STATE_CORRUPT, and RULE_RESOURCE_MISSING where the secret of an erasure is not there. */
  tick(receivedAtMs: number): void {
    if (this.#isIdle || receivedAtMs < this.#steppedAtMs + STEP_INTERVAL_MS) return;
    this.#steppedAtMs = receivedAtMs;
    if (!this.#list.some(({ state }) => state === 'looking')) this.#beginPass();
    this.#look();
  }

  progress(): ErasureProgress[] {
    return this.#list.map(({ erasure: { id }, batchSequence, receivedAtMs, removed, state }) => ({ id, batchSequence, ...(receivedAtMs !== undefined && { receivedAtMs }), lettersRemoved: removed, isDone: state === 'done' }));
  }

  state(): { readonly erasures?: ErasuresState } {
    return this.#list.length === 0 ? {} : { erasures: { list: this.#list.map((one) => ({ ...one })), nextId: this.#nextId, steppedAtMs: this.#steppedAtMs } };
  }

  restore(state: ErasuresState | undefined): void {
    if (state === undefined) return;
    this.#list = state.list.map((one) => ({ ...one }));
    this.#isIdle = this.#list.every(({ state: one }) => one === 'done');
    this.#nextId = state.nextId;
    this.#steppedAtMs = state.steppedAtMs;
  }

  #beginPass(): void {
    for (const one of this.#list) if (one.state === 'waiting') one.state = 'looking';
    this.#nextId = 0;
    this.#meant = null;
  }

  #look(): void {
    const { letters, recordUsers } = this.#options;
    const looking = this.#list.filter(({ state }) => state === 'looking');
    const upToId = Math.max(...looking.map((one) => one.upToId));
    let bytes = 0;
    for (let count = 0; count < LETTERS_PER_STEP && bytes < BYTES_PER_STEP; count++) {
      const letter = recordUsers === undefined || this.#nextId > upToId ? null : letters.atOrAfter(this.#nextId);
      if (letter === null || letter.id > upToId) {
        for (const one of looking) one.state = 'done';
        this.#meant = null;
        this.#isIdle = this.#list.every(({ state }) => state === 'done');
        return;
      }
      this.#nextId = letter.id + 1;
      bytes += weightOf(letter);
      this.#examine(letter, looking);
    }
  }

  #examine({ id, bytes, receivedAtMs }: DeadLetter, looking: readonly LetterErasure[]): void {
    const { letters, recordUsers, secretOf } = this.#options;
    this.#meant ??= meantBy(looking, secretOf);
    const record = (recordUsers as NonNullable<typeof recordUsers>)(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.byteLength);
    const found = this.#meant.users.find(record, id) ?? this.#meant.days.find({ scope: record.scope, timeMs: receivedAtMs }, id);
    if (found === null) return;
    letters.drop([id]);
    for (const one of looking) if (one.erasure.id === found.id) one.removed++;
  }
}

function meantBy(looking: readonly LetterErasure[], secretOf: (id: string) => Uint8Array): { readonly users: ErasedUsers; readonly days: PurgedDays } {
  const placed = looking.map(({ upToId, erasure }): PlacedErasure => [upToId, erasure]);
  return { users: new ErasedUsers(placed, secretOf), days: new PurgedDays(placed) };
}
