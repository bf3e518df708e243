/**
 * Notices threads that have stopped moving: main looks at their beats, and one that has raised none for its patience is a stall.
 *
 * A stall is no proof of a bug: a single call into the store on a disk that hardly answers looks the same, and a replacement has to make
 * that call again. So the patience doubles with each stall in a row, across restarts of the process too: a slow disk costs a bounded
 * number of replacements until the call fits, and a thread that really hangs is still found. Threads beat at each step, so a
 * restore or a replay may take any time as a whole; only one step of it may not.
 *
 * Silence counts only while main itself runs: what a suspended process or a blocked main thread missed is nobody's stall.
 * Pure but for the clock it is given; runs on the main thread.
 */

import type { Clock } from '../core/clock.ts';

/** What a thread shows of its work: threads/progress.ts for actors. */
export interface Beating {
  /** Only whether it has changed means anything. */
  readonly beats: number;
  readonly stage: string;
}

export interface Stall {
  readonly thread: number;
  /** What the thread said last that it does. */
  readonly stage: string;
  readonly silentMs: number;
  /** With this one. */
  readonly stallsInARow: number;
}

export interface WatchdogOptions {
  readonly threads: readonly Beating[];
  readonly clock: Clock;
  /** Patience before the first stall of a row. */
  readonly timeoutMs: number;
  /** Ends in a row that the processes before this one met for a thread that was stuck. */
  readonly stallsBefore: number;
}

/** Patience grows to this, where the setting is not longer by itself. Chosen: longer than any disk that is still of use. */
const PATIENCE_MAX_MS = 15 * 60_000;
/** A stall this long after the one before begins a new row; longer than any grown patience. */
export const STALL_ROW_MS = 60 * 60_000;
const CHECKS_PER_TIMEOUT = 20;
const CHECK_INTERVAL_MAX_MS = 1_000;

interface Watched {
  readonly progress: Beating;
  watching: boolean;
  beats: number;
  silentMs: number;
  stallsInARow: number;
  lastStallMs: number;
}

export class Watchdog {
  /** How often {@link check} wants to be called. */
  readonly intervalMs: number;
  readonly #options: WatchdogOptions;
  readonly #watched: readonly Watched[];
  #checkedMs: number;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.intervalMs = Math.min(CHECK_INTERVAL_MAX_MS, options.timeoutMs / CHECKS_PER_TIMEOUT);
    this.#checkedMs = options.clock.monotonicMs();
    this.#watched = options.threads.map((progress) => ({ progress, watching: false, beats: 0, silentMs: 0, stallsInARow: options.stallsBefore, lastStallMs: this.#checkedMs }));
  }

  /** The thread has been started. */
  watch(thread: number): void {
    const watched = this.#watched[thread];
    if (watched === undefined) return;
    watched.watching = true;
    watched.beats = watched.progress.beats;
    watched.silentMs = 0;
  }

  /** The thread has ended, or its stall is being dealt with. */
  ignore(thread: number): void {
    const watched = this.#watched[thread];
    if (watched !== undefined) watched.watching = false;
  }

  /** The threads that have been silent for too long; each is told once, until it is watched again. */
  check(): Stall[] {
    const nowMs = this.#options.clock.monotonicMs();
    const passedMs = Math.min(nowMs - this.#checkedMs, 2 * this.intervalMs);
    this.#checkedMs = nowMs;
    return this.#watched.flatMap((watched, thread) => {
      if (!watched.watching || this.#isWithinPatience(watched, passedMs, nowMs)) return [];
      watched.watching = false;
      watched.lastStallMs = nowMs;
      watched.stallsInARow++;
      return [{ thread, stage: watched.progress.stage, silentMs: Math.round(watched.silentMs), stallsInARow: watched.stallsInARow }];
    });
  }

  #isWithinPatience(watched: Watched, passedMs: number, nowMs: number): boolean {
    const { beats } = watched.progress;
    watched.silentMs = beats === watched.beats ? watched.silentMs + passedMs : 0;
    watched.beats = beats;
    if (nowMs - watched.lastStallMs > STALL_ROW_MS) watched.stallsInARow = 0;
    return watched.silentMs < this.#patienceMs(watched.stallsInARow);
  }

  #patienceMs(stallsInARow: number): number {
    const { timeoutMs } = this.#options;
    return Math.min(timeoutMs * 2 ** stallsInARow, Math.max(timeoutMs, PATIENCE_MAX_MS));
  }
}
