/**
 * Rejected records with their original bytes, and what became of those that were sent again.
 *
 * Which letters there are is a function of the log: they come with rejected records, leave by size and age as the rules say ({@link LetterStrata}) or by
 * a control record, and a retry settles a letter once ({@link DeadLetters.claim}), wherever checkpoints fall. In memory is what waits for a checkpoint;
 * the rest lies in the tables `dead` and `retries` (letter-codec.ts), from which what has left is removed a bounded number at a time.
 *
 * Ids rise by one per rejected record of the partition. Letters below `#floorId` have left, whatever the store still holds.
 */

import { createHash } from 'node:crypto';
import type { DeadLetter, KeptLetter, LetterRetry } from '../../engine/core/dead-letter.ts';
import { Verdict } from '../../engine/core/record.ts';
import type { OrderedStore, StoreOperation } from '../../engine/core/store.ts';
import { assert } from '../../engine/core/types.ts';
import { decodeLetter, decodeRetry, encodeLetter, encodeRetry, letterKey, retryKey, weightOf } from './letter-codec.ts';
import { LetterStrata, type LetterLimits, type Stratum } from './letter-strata.ts';
import { TABLES } from './options.ts';

/** Longer records are cut to this; their full size is kept. Chosen: the largest record that the door lets in. */
const KEPT_BYTES_MAX = 1024 * 1024;
/** Letters removed from the store per checkpoint. */
const REMOVED_PER_CHECKPOINT_MAX = 20_000;
/** What a retry or a letter that was dropped takes until a checkpoint has it. Rough. */
const MARK_BYTES = 64;
/** Somebody should know before a letter leaves that nobody has looked at. */
const ALARM_SHARE = 0.8;
export const BYTES_ALARM = 'dead letters fill 80 % of dead_letters.bytes_max: retry, export or drop them before the oldest leave';
export const AGE_ALARM = 'dead letters that nobody has retried near the end of dead_letters.retention_days: retry, export or drop them before they leave';

export interface DeadLetterState {
  readonly nextId: number;
  /** Letters that left because of newer ones. */
  readonly expired: number;
  /** The following are missing in states from before format 2. */
  readonly floorId?: number;
  readonly expiredByAge?: number;
  /** Of both kinds, those that nobody had retried with success. */
  readonly expiredWaiting?: number;
  readonly dropped?: number;
  /** Retries by verdict. */
  readonly retried?: readonly number[];
  readonly strata?: readonly Stratum[];
}

export class DeadLetters {
  readonly #store: OrderedStore;
  readonly #strata = new LetterStrata();
  #limits: LetterLimits = { bytesMax: Infinity, retentionMs: Infinity };
  /** Log time at which something may leave by its age. */
  #nextExpiryMs = -Infinity;
  /** Oldest first. */
  #fresh: DeadLetter[] = [];
  #freshBytes = 0;
  #retries = new Map<number, LetterRetry>();
  /** Dropped letters by id, with their weight. */
  #gone = new Map<number, number>();
  /** In the checkpoint in flight. */
  #saving: { readonly letters: DeadLetter[]; readonly retries: Map<number, LetterRetry>; readonly gone: Map<number, number>; readonly removedUpToId: number } | null = null;
  #nextId = 1;
  #floorId = 1;
  /** The store holds nothing below. */
  #removedUpToId = 0;
  #expired = 0;
  #expiredByAge = 0;
  #expiredWaiting = 0;
  #dropped = 0;
  #retried: number[] = [0, 0, 0, 0];

  constructor(store: OrderedStore) {
    this.#store = store;
  }

  /** What the rules say, from this offset on. */
  set limits(limits: LetterLimits) {
    this.#limits = limits;
    this.#nextExpiryMs = -Infinity;
  }

  /** Rough bytes that wait for a checkpoint. */
  get freshBytes(): number {
    return this.#freshBytes + (this.#retries.size + this.#gone.size) * MARK_BYTES;
  }

  get figures() {
    return {
      deadLetters: this.#strata.letters,
      deadLettersWaiting: this.#strata.waiting,
      deadLetterBytes: this.#strata.bytes,
      deadLettersExpired: this.#expired,
      deadLettersExpiredByAge: this.#expiredByAge,
      deadLettersExpiredWaiting: this.#expiredWaiting,
      deadLettersDropped: this.#dropped,
      deadLettersRetriedAccepted: this.#retried[Verdict.accepted] as number,
      deadLettersRetriedLate: this.#retried[Verdict.late] as number,
      deadLettersRetriedDuplicate: this.#retried[Verdict.duplicate] as number,
      deadLettersRetriedRejected: this.#retried[Verdict.rejected] as number,
    };
  }

  /** Of the newest that ever was; 0 before the first. */
  get lastId(): number {
    return this.#nextId - 1;
  }

  /** Limits that are near. */
  alarms(nowMs: number): string[] {
    const { bytesMax, retentionMs } = this.#limits;
    const oldestMs = this.#strata.oldestWaitingAtMs;
    return [
      ...(this.#strata.bytes >= ALARM_SHARE * bytesMax ? [BYTES_ALARM] : []),
      ...(oldestMs !== null && oldestMs + ALARM_SHARE * retentionMs <= nowMs ? [AGE_ALARM] : []),
    ];
  }

  /** Time passes for every partition: old letters leave. */
  tick(receivedAtMs: number): void {
    if (receivedAtMs >= this.#nextExpiryMs) this.#expire(receivedAtMs);
  }

  /** Copies `bytes[start, end)`. */
  add(letter: Omit<DeadLetter, 'id' | 'size' | 'bytes'>, bytes: Uint8Array, start: number, end: number): void {
    const kept = new Uint8Array(Math.min(end - start, KEPT_BYTES_MAX));
    kept.set(bytes.subarray(start, start + kept.byteLength));
    const added: DeadLetter = { id: this.#nextId++, ...letter, size: end - start, bytes: kept };
    this.#fresh.push(added);
    this.#freshBytes += weightOf(added);
    this.#strata.add(added.id, weightOf(added), letter.receivedAtMs, this.#limits);
    this.#expire(letter.receivedAtMs);
  }

  /** True for the one record that may count for the letter: it is there, nothing has settled it, and this is the next attempt. Raises STATE_CORRUPT. */
  claim(id: number, attempt: number): boolean {
    if (!this.#isKept(id)) return false;
    const retry = this.#retryOf(id);
    return (retry === null || retry.verdict === Verdict.rejected) && attempt === (retry?.attempts ?? 0) + 1 && this.#find(id) !== null;
  }

  /** What became of the record that {@link claim} let through. */
  settle(id: number, { verdict, code, atMs }: Omit<LetterRetry, 'attempts'>): void {
    const attempts = (this.#retryOf(id)?.attempts ?? 0) + 1;
    this.#retries.set(id, { attempts, verdict, code, atMs });
    (this.#retried[verdict] as number)++;
    if (verdict !== Verdict.rejected) this.#strata.settle(id);
  }

  /** Takes letters away by hand; those that have left already are passed over. */
  drop(ids: readonly number[]): void {
    for (const id of ids) {
      const letter = this.#isKept(id) ? this.#find(id) : null;
      if (letter === null) continue;
      const retry = this.#retryOf(id);
      this.#strata.drop(id, weightOf(letter), retry === null || retry.verdict === Verdict.rejected);
      this.#gone.set(id, weightOf(letter));
      this.#dropped++;
    }
  }

  /** The newest first; `before`: only ids below. Raises STATE_CORRUPT. */
  newest(limit: number, before = Infinity): KeptLetter[] {
    const letters: KeptLetter[] = [];
    const saving = this.#saving?.letters ?? [];
    for (const kept of [this.#fresh, saving]) {
      for (let at = countBelow(kept, before) - 1; at >= 0 && letters.length < limit; at--) this.#take(kept[at] as DeadLetter, letters);
    }
    const storedBefore = Math.min(before, saving[0]?.id ?? Infinity, this.#fresh[0]?.id ?? Infinity, this.#nextId);
    if (letters.length === limit) return letters;
    for (const entry of this.#store.range(TABLES.dead, { from: letterKey(this.#floorId, 0), to: letterKey(Math.max(this.#floorId, Math.ceil(storedBefore)), 0), reverse: true })) {
      this.#take(decodeLetter(entry), letters);
      if (letters.length === limit) break;
    }
    return letters;
  }

  /** The one of that id or the next newer one; null where there is none. */
  atOrAfter(id: number): DeadLetter | null {
    for (let next = Math.max(id, this.#floorId); next < this.#nextId; ) {
      const letter = this.#stored(next) ?? this.#inMemory(next);
      if (letter === null) return null;
      if (this.#isKept(letter.id)) return letter;
      next = letter.id + 1;
    }
    return null;
  }

  /** Appends this checkpoint's operations; the returned state goes with them. */
  checkpoint(operations: StoreOperation[]): DeadLetterState {
    const letters = this.#fresh.filter(({ id }) => this.#isKept(id));
    const saving = { letters, retries: this.#retries, gone: this.#gone, removedUpToId: this.#remove(operations) };
    for (const letter of letters) operations.push({ table: TABLES.dead, key: letterKey(letter.id, weightOf(letter)), value: encodeLetter(letter) });
    for (const [id, retry] of saving.retries) if (this.#isKept(id)) operations.push({ table: TABLES.retries, key: retryKey(id), value: encodeRetry(retry) });
    for (const [id, weight] of saving.gone) {
      operations.push({ table: TABLES.dead, key: letterKey(id, weight), value: null });
      operations.push({ table: TABLES.retries, key: retryKey(id), value: null });
    }
    this.#saving = saving;
    this.#fresh = [];
    this.#freshBytes = 0;
    this.#retries = new Map();
    this.#gone = new Map();
    return this.#state();
  }

  checkpointCommitted(): void {
    this.#removedUpToId = this.#saving?.removedUpToId ?? this.#removedUpToId;
    this.#saving = null;
  }

  checkpointFailed(): void {
    if (this.#saving === null) return;
    const { letters, retries, gone } = this.#saving;
    this.#saving = null;
    this.#fresh = [...letters, ...this.#fresh].filter(({ id }) => id >= this.#floorId);
    this.#freshBytes = this.#fresh.reduce((sum, letter) => sum + weightOf(letter), 0);
    // What came later holds.
    this.#retries = new Map([...retries, ...this.#retries]);
    this.#gone = new Map([...gone, ...this.#gone]);
  }

  /** After the rules are known. */
  restore(state: DeadLetterState): void {
    this.#nextId = state.nextId;
    this.#expired = state.expired;
    this.#floorId = state.floorId ?? 1;
    this.#expiredByAge = state.expiredByAge ?? 0;
    this.#expiredWaiting = state.expiredWaiting ?? 0;
    this.#dropped = state.dropped ?? 0;
    this.#retried = [...(state.retried ?? [0, 0, 0, 0])];
    if (state.strata !== undefined) this.#strata.restore(state.strata);
    else this.#readStrata();
  }

  /** Over all that the log determines of them; reads every letter. */
  digest(): string {
    const hash = createHash('sha256');
    hash.update(JSON.stringify(this.#state()));
    for (const { bytes, ...facts } of this.newest(Infinity)) {
      hash.update(JSON.stringify(facts));
      hash.update(bytes);
    }
    return hash.digest('hex');
  }

  #state(): DeadLetterState {
    return {
      nextId: this.#nextId,
      expired: this.#expired,
      floorId: this.#floorId,
      expiredByAge: this.#expiredByAge,
      expiredWaiting: this.#expiredWaiting,
      dropped: this.#dropped,
      retried: [...this.#retried],
      strata: this.#strata.state(),
    };
  }

  #isKept(id: number): boolean {
    return id >= this.#floorId && id < this.#nextId && !this.#gone.has(id) && this.#saving?.gone.has(id) !== true;
  }

  #take(letter: DeadLetter, into: KeptLetter[]): void {
    if (this.#isKept(letter.id)) into.push({ ...letter, retry: this.#retryOf(letter.id) });
  }

  #retryOf(id: number): LetterRetry | null {
    const fresh = this.#retries.get(id) ?? this.#saving?.retries.get(id);
    if (fresh !== undefined) return fresh;
    if (this.#retried.every((count) => count === 0)) return null;
    const stored = this.#store.get(TABLES.retries, retryKey(id));
    return stored === null ? null : decodeRetry(stored);
  }

  #find(id: number): DeadLetter | null {
    const letter = this.atOrAfter(id);
    return letter?.id === id ? letter : null;
  }

  /** What the store has at or after the id, as long as nothing in memory comes before. */
  #stored(id: number): DeadLetter | null {
    const to = this.#saving?.letters[0]?.id ?? this.#fresh[0]?.id ?? this.#nextId;
    if (id >= to) return null;
    for (const entry of this.#store.range(TABLES.dead, { from: letterKey(id, 0), to: letterKey(to, 0), limit: 1 })) return decodeLetter(entry);
    return null;
  }

  #inMemory(id: number): DeadLetter | null {
    for (const kept of [this.#saving?.letters ?? [], this.#fresh]) {
      const letter = kept[countBelow(kept, id)];
      if (letter !== undefined) return letter;
    }
    return null;
  }

  #expire(nowMs: number): void {
    for (let why = this.#strata.excess(this.#limits, nowMs); why !== null; why = this.#strata.excess(this.#limits, nowMs)) {
      const { lastId, letters, waiting } = this.#strata.takeOldest();
      if (why === 'age') this.#expiredByAge += letters;
      else this.#expired += letters;
      this.#expiredWaiting += waiting;
      this.#floorId = lastId + 1;
    }
    this.#nextExpiryMs = this.#strata.nextAgeMs(this.#limits);
    this.#forgetFresh();
  }

  /** A flood must not stay in memory until the next checkpoint. */
  #forgetFresh(): void {
    if (this.#fresh[0] === undefined || this.#fresh[0].id >= this.#floorId) return;
    const left = this.#fresh.splice(0, countBelow(this.#fresh, this.#floorId));
    for (const letter of left) this.#freshBytes -= weightOf(letter);
  }

  /** Takes out of the store what has left; returns up to which id nothing is there any more once that is committed. */
  #remove(operations: StoreOperation[]): number {
    if (this.#removedUpToId >= this.#floorId) return this.#removedUpToId;
    let removed = 0;
    for (const [table, to] of [[TABLES.dead, letterKey(this.#floorId, 0)], [TABLES.retries, retryKey(this.#floorId)]] as const) {
      for (const { key } of this.#store.range(table, { to, limit: REMOVED_PER_CHECKPOINT_MAX })) {
        operations.push({ table, key, value: null });
        removed++;
      }
    }
    return removed < REMOVED_PER_CHECKPOINT_MAX ? this.#floorId : this.#removedUpToId;
  }

  /** Of a state from before there were strata: once, at the first start of a program that has them. */
  #readStrata(): void {
    let lastId = 0;
    for (const entry of this.#store.range(TABLES.dead, {})) {
      const letter = decodeLetter(entry);
      assert(letter.id > lastId && letter.id < this.#nextId, 'dead letters are stored in order');
      lastId = letter.id;
      this.#strata.add(letter.id, weightOf(letter), letter.receivedAtMs, this.#limits);
    }
  }
}

/** How many of the letters, which are in order, have an id below `before`. */
function countBelow(letters: readonly DeadLetter[], before: number): number {
  let [low, high] = [0, letters.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((letters[middle] as DeadLetter).id < before) low = middle + 1;
    else high = middle;
  }
  return low;
}

