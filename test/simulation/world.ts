/**
 * The simulated world: one queue of timers, a wall clock that may jump, dice. Nothing else moves anything, so that a seed repeats exactly.
 *
 * Promises run to their end between two timers; what production code awaits is either settled by them or by a timer of this world. Each call
 * to a disk, a store or a bucket is a step, and so is each message: a death may come before any of them, in the middle of such a run.
 */

import type { Clock, Schedule } from '../../engine/core/clock.ts';
import { seededRandom, type Random } from '../unit/log/faulty-disk.ts';

interface Timer {
  readonly atMs: number;
  readonly number: number;
  readonly callback: () => void;
}

/** Runs all promise callbacks that are due: ticks come after them. A turn of the event loop would do the same, and takes a tenth of the time of a story. */
const settle = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

const AMBUSH_MS_MAX = 3_000;
/** A whole hour, so that windows close soon after the start of most runs. */
const START_MS = Date.UTC(2026, 10, 22, 9, 0, 0);

export class World {
  readonly random: Random;
  #monotonicMs = 1_000;
  #wallOffsetMs = START_MS;
  #wallOffsetMaxMs = START_MS;
  #leftAtMs = 0;
  #timers: Timer[] = [];
  #nextNumber = 0;
  /** What happens once so many more steps were made. */
  #ambushes: { stepsLeft: number; readonly strike: () => void }[] = [];
  readonly clock: Clock = { nowMs: () => this.#monotonicMs + this.#wallOffsetMs, monotonicMs: () => this.#monotonicMs };

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  readonly schedule: Schedule = (delayMs, callback) => {
    const timer = { atMs: this.#monotonicMs + Math.max(0, delayMs), number: this.#nextNumber++, callback };
    let at = this.#timers.length;
    while (at > 0 && (this.#timers[at - 1] as Timer).atMs > timer.atMs) at--;
    this.#timers.splice(at, 0, timer);
    return () => {
      const index = this.#timers.indexOf(timer);
      if (index >= 0) this.#timers.splice(index, 1);
    };
  };

  /** Production code is about to reach out. */
  readonly step = (): void => {
    if (this.#ambushes.length === 0) return;
    for (const ambush of this.#ambushes) ambush.stepsLeft--;
    const due = this.#ambushes.filter(({ stepsLeft }) => stepsLeft <= 0);
    if (due.length === 0) return;
    this.#ambushes = this.#ambushes.filter(({ stepsLeft }) => stepsLeft > 0);
    for (const { strike } of due) strike();
  };

  /** Strikes before the n-th step from now, or after a while where so many are not made. */
  ambush(steps: number, strike: () => void): void {
    const ambush = { stepsLeft: Math.max(1, steps), strike };
    this.#ambushes.push(ambush);
    void this.schedule(AMBUSH_MS_MAX, () => {
      if (!this.#ambushes.includes(ambush)) return;
      this.#ambushes.splice(this.#ambushes.indexOf(ambush), 1);
      strike();
    });
  }

  chance(share: number): boolean {
    return this.random() < share;
  }

  /** A whole number of `[from, to]`. */
  pick(from: number, to: number): number {
    return from + Math.floor(this.random() * (to - from + 1));
  }

  /** The latest that the wall clock ever showed: no batch was received later, but for some microseconds. */
  get furthestMs(): number {
    return Math.max(this.#leftAtMs, this.clock.nowMs());
  }

  /** The wall clock steps; intervals go on. Never before the start of the world. */
  jump(byMs: number): void {
    this.#leftAtMs = this.furthestMs;
    this.#wallOffsetMs = Math.max(START_MS, this.#wallOffsetMs + byMs);
    this.#wallOffsetMaxMs = Math.max(this.#wallOffsetMaxMs, this.#wallOffsetMs);
  }

  /** The clock is where it was at its furthest: log time, which never goes back, would stand still until it is. */
  setClockRight(): void {
    this.#wallOffsetMs = this.#wallOffsetMaxMs;
  }

  /** Like a message port: what is sent arrives within `delayMsMax`, in the order of sending. */
  channel(delayMsMax: number): (deliver: () => void) => void {
    let lastMs = 0;
    return (deliver) => {
      this.step();
      lastMs = Math.max(lastMs, this.#monotonicMs + this.pick(0, delayMsMax));
      void this.schedule(lastMs - this.#monotonicMs, deliver);
    };
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.schedule(delayMs, resolve));
  }

  /** Runs until `done`, timer by timer. Raises when so much time has passed, or when nothing is left that could happen. */
  async run(done: () => boolean, limitMs: number): Promise<void> {
    const endMs = this.#monotonicMs + limitMs;
    await settle();
    while (!done()) {
      const next = this.#timers.shift();
      if (next === undefined) throw new Error('nothing is left to happen');
      if (next.atMs > endMs) throw new Error(`not done after ${limitMs} simulated ms`);
      this.#monotonicMs = Math.max(this.#monotonicMs, next.atMs);
      next.callback();
      await settle();
    }
  }
}
