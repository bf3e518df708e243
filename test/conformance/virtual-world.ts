/** Time and randomness for tests: nothing happens until `advance` is called, and the same happens each time. */

import type { SinkWriterWorld } from '../../sinks/sink-writer.ts';

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

export class VirtualWorld implements SinkWriterWorld {
  #nowMs = 0;
  readonly #timers = new Set<Timer>();
  readonly clock = { nowMs: (): number => this.#nowMs, monotonicMs: (): number => this.#nowMs };

  schedule(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  random(): number {
    return 0.5;
  }

  get timerCount(): number {
    return this.#timers.size;
  }

  /** Lets this much time pass, timer by timer, with everything they set off. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      let next: Timer | null = null;
      for (const timer of this.#timers) if (timer.atMs <= endMs && (next === null || timer.atMs < next.atMs)) next = timer;
      if (next === null) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
      await settle();
    }
    this.#nowMs = endMs;
  }
}

/** Runs all promise callbacks that are due. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
