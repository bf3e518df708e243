/**
 * The words that threads share: what is durable, what may be deleted, who must stop, and which record is being folded.
 *
 * One writer per word. 64-bit words go through BigInt atomics: a plain 64-bit store may tear.
 *
 * ```
 * BigInt64  0 durable offset (ingress)   1 needed offset (main)
 * Int32     4 wake counter   5 stop flag (main)   6 disk reserve exhausted (main)
 * Float64   per actor thread, from byte 64: batch sequence, index in batch, 1 while folding
 * Int32     per actor thread, behind those: beats, stage (the thread), asked to leave (main), unused: progress.ts
 * ```
 */

import type { Offset } from '../core/types.ts';
import { PROGRESS_WORDS, Progress } from './progress.ts';

const DURABLE = 0;
const NEEDED = 1;
const WAKE = 4;
const STOP = 5;
const DISK_RESERVE = 6;
const CURRENT_BYTE = 64;
const CURRENT_WORDS = 3;
const CURRENT_BYTES = CURRENT_WORDS * 8;
const PROGRESS_BYTES = PROGRESS_WORDS * 4;

/** A thread's view of the shared words. `buffer` goes to other threads in their start data. */
export class SharedWords {
  readonly buffer: SharedArrayBuffer;
  readonly #long: BigInt64Array;
  readonly #int: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#long = new BigInt64Array(buffer, 0, 2);
    this.#int = new Int32Array(buffer, 0, 16);
  }

  static create(actorThreads: number): SharedWords {
    return new SharedWords(new SharedArrayBuffer(CURRENT_BYTE + actorThreads * (CURRENT_BYTES + PROGRESS_BYTES)));
  }

  get durableOffset(): Offset {
    return Number(Atomics.load(this.#long, DURABLE)) as Offset;
  }

  /** Makes everything below it visible to the actors; {@link wake} tells those that wait. */
  set durableOffset(durable: Offset) {
    Atomics.store(this.#long, DURABLE, BigInt(durable));
  }

  /** The lowest offset that a flushed checkpoint, the lake or a reader still needs. */
  get neededOffset(): Offset {
    return Number(Atomics.load(this.#long, NEEDED)) as Offset;
  }

  set neededOffset(value: Offset) {
    Atomics.store(this.#long, NEEDED, BigInt(value));
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
}
