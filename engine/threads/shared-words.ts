/**
 * The words that threads share: what is durable, what may be deleted, in which order, who must stop, and which record is being folded.
 *
 * One writer per word, but for the two of the order, which all ingress threads raise. 64-bit words go through BigInt atomics: a plain
 * 64-bit store may tear.
 *
 * ```
 * Int32     0 wake counter   1 stop flag (main)   2 disk reserve exhausted (main)   3 journals
 * BigInt64  at byte 64: last key taken, running time: log-order.ts
 * BigInt64  at byte 128, 64 bytes per journal: durable offset, busy since (ingress), needed offset (main)
 * Float64   per actor thread, behind those: batch sequence, index in batch, 1 while folding
 * Int32     per actor thread, behind those: beats, stage (the thread), asked to leave (main), unused: progress.ts
 * ```
 */

import { JOURNALS_MAX } from '../core/log.ts';
import { assert, type Offset } from '../core/types.ts';
import { PROGRESS_WORDS, Progress } from './progress.ts';

const WAKE = 0;
const STOP = 1;
const DISK_RESERVE = 2;
const JOURNALS = 3;
const ORDER_BYTE = 64;
const JOURNAL_BYTE = 128;
/** A cache line each: ingress threads write theirs at every batch. */
const JOURNAL_BYTES = 64;
const DURABLE = 0;
const BUSY = 1;
const NEEDED = 2;
const CURRENT_BYTE = JOURNAL_BYTE + JOURNALS_MAX * JOURNAL_BYTES;
const CURRENT_WORDS = 3;
const CURRENT_BYTES = CURRENT_WORDS * 8;
const PROGRESS_BYTES = PROGRESS_WORDS * 4;

/** A thread's view of the shared words. `buffer` goes to other threads in their start data. */
export class SharedWords {
  readonly buffer: SharedArrayBuffer;
  readonly #int: Int32Array;
  readonly #journals: readonly BigInt64Array[];

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#int = new Int32Array(buffer, 0, 16);
    this.#journals = Array.from({ length: Atomics.load(this.#int, JOURNALS) }, (_, journal) => new BigInt64Array(buffer, JOURNAL_BYTE + journal * JOURNAL_BYTES, JOURNAL_BYTES / 8));
  }

  static create(actorThreads: number, journals = 1): SharedWords {
    assert(journals >= 1 && journals <= JOURNALS_MAX, `there are at most ${JOURNALS_MAX} journals`);
    const buffer = new SharedArrayBuffer(CURRENT_BYTE + actorThreads * (CURRENT_BYTES + PROGRESS_BYTES));
    new Int32Array(buffer)[JOURNALS] = journals;
    return new SharedWords(buffer);
  }

  get journals(): number {
    return this.#journals.length;
  }

  durableOf(journal: number): Offset {
    return Number(Atomics.load(this.#words(journal), DURABLE)) as Offset;
  }

  /** Makes everything below it visible to the actors; {@link wake} tells those that wait. */
  setDurable(journal: number, durable: Offset): void {
    Atomics.store(this.#words(journal), DURABLE, BigInt(durable));
  }

  /** By journal. */
  get durableOffsets(): Offset[] {
    return this.#journals.map((_, journal) => this.durableOf(journal));
  }

  /** 0, or no more than the key of any batch that the journal's writer has not published yet. */
  busySince(journal: number): number {
    return Number(Atomics.load(this.#words(journal), BUSY));
  }

  setBusySince(journal: number, key: number): void {
    Atomics.store(this.#words(journal), BUSY, BigInt(key));
  }

  /** The lowest offset that a flushed checkpoint, the lake or a reader still needs. */
  neededOf(journal: number): Offset {
    return Number(Atomics.load(this.#words(journal), NEEDED)) as Offset;
  }

  setNeeded(journal: number, needed: Offset): void {
    Atomics.store(this.#words(journal), NEEDED, BigInt(needed));
  }

  /** `[last key taken, running time]`: {@link journalOrder}. */
  get order(): BigInt64Array {
    return new BigInt64Array(this.buffer, ORDER_BYTE, 2);
  }

  get stopping(): boolean {
    return Atomics.load(this.#int, STOP) !== 0;
  }

  requestStop(): void {
    Atomics.store(this.#int, STOP, 1);
    this.wake();
  }

  get diskReserveExhausted(): boolean {
    return Atomics.load(this.#int, DISK_RESERVE) !== 0;
  }

  set diskReserveExhausted(value: boolean) {
    Atomics.store(this.#int, DISK_RESERVE, value ? 1 : 0);
  }

  /** Read before looking for work; {@link waitForWake} returns at once when it has moved since. */
  get wakeCount(): number {
    return Atomics.load(this.#int, WAKE);
  }

  wake(): void {
    Atomics.add(this.#int, WAKE, 1);
    Atomics.notify(this.#int, WAKE);
  }

  /** Resolves when the wake counter moves past `seen`, or after `timeoutMs`. Never blocks the thread. */
  async waitForWake(seen: number, timeoutMs: number): Promise<void> {
    const waiting = Atomics.waitAsync(this.#int, WAKE, seen, timeoutMs);
    if (waiting.async) await waiting.value;
  }

  /** `[batch sequence, index in batch, 1 while folding]` of an actor thread: names the record that killed it. */
  current(actorThread: number): Float64Array {
    return new Float64Array(this.buffer, CURRENT_BYTE + actorThread * CURRENT_BYTES, CURRENT_WORDS);
  }

  progress(actorThread: number): Progress {
    const actorThreads = (this.buffer.byteLength - CURRENT_BYTE) / (CURRENT_BYTES + PROGRESS_BYTES);
    return new Progress(new Int32Array(this.buffer, CURRENT_BYTE + actorThreads * CURRENT_BYTES + actorThread * PROGRESS_BYTES, PROGRESS_WORDS));
  }

  #words(journal: number): BigInt64Array {
    const words = this.#journals[journal];
    assert(words !== undefined, `there is no journal ${journal}`);
    return words;
  }
}
