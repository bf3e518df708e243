/**
 * A worker that has something to do, waits for more, and backs off while the world fails: the one retry loop of the lake's files.
 *
 * One step at a time. A step that raises is repeated after 0.5 to 1 times an exponential backoff, for ever; the state of it is in
 * `health`. Main thread; clock, timers and randomness come in.
 */

import { systemClock, systemSchedule } from '../../engine/core/clock.ts';
import { messageOf } from '../../engine/core/errors.ts';

export interface RetryWorld {
  monotonicMs(): number;
  /** Calls back once after the delay; returns how to cancel. */
  schedule(delayMs: number, callback: () => void): () => void;
  /** At least 0, below 1. */
  random(): number;
}

export const systemRetryWorld: RetryWorld = { monotonicMs: () => systemClock.monotonicMs(), schedule: systemSchedule, random: () => Math.random() };

export interface RetryLoopOptions {
  /** Does one piece of work; false when there is none, and then the loop sleeps until `wake`. */
  readonly step: () => Promise<boolean>;
  readonly world: RetryWorld;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  readonly onFailure: (error: unknown, failuresInARow: number, retryInMs: number) => void;
}

export class RetryLoop {
  readonly #options: RetryLoopOptions;
  #closing = false;
  #work = false;
  #wakeUp: (() => void) | null = null;
  #running: Promise<void> | null = null;
  #failuresInARow = 0;
  #failures = 0;
  #lastError: string | null = null;

  constructor(options: RetryLoopOptions) {
    this.#options = options;
  }

  get healthy(): boolean {
    return this.#failuresInARow === 0;
  }

  get failures(): number {
    return this.#failures;
  }

  get lastError(): string | null {
    return this.#lastError;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** There may be work. While the loop backs off it keeps to its pause. */
  wake(): void {
    this.#work = true;
    if (this.#failuresInARow === 0) this.#wakeUp?.();
  }

  /** Resolves when the step under way has ended. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#wakeUp?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#closing) {
      this.#work = false;
      try {
        const did = await this.#options.step();
        this.#failuresInARow = 0;
        this.#lastError = null;
        if (!did && !this.#work) await this.#sleep(null);
      } catch (error) {
        await this.#sleep(this.#fail(error));
      }
    }
  }

  #fail(error: unknown): number {
    const { backoffMinMs, backoffMaxMs, world } = this.#options;
    this.#failures++;
    this.#failuresInARow++;
    this.#lastError = messageOf(error);
    const backoffMs = Math.min(backoffMaxMs, backoffMinMs * 2 ** Math.min(this.#failuresInARow - 1, 30));
    const retryInMs = backoffMs * (0.5 + 0.5 * world.random());
    this.#options.onFailure(error, this.#failuresInARow, retryInMs);
    return retryInMs;
  }

  /** Until `wake` or `close`, or for so long. */
  #sleep(delayMs: number | null): Promise<void> {
    if (this.#closing) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = delayMs === null ? () => undefined : this.#options.world.schedule(delayMs, () => this.#wakeUp?.());
      this.#wakeUp = () => {
        this.#wakeUp = null;
        cancel();
        resolve();
      };
    });
  }
}
