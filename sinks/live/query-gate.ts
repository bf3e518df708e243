/** Lets a few queries run at once and a bounded number wait: each may hold the groups of one window. */

import { EngineError } from '../../engine/core/errors.ts';

const RUNNING_MAX = 4;
const WAITING_MAX = 64;

export class QueryGate {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** Raises NOT_READY when too many wait already. */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#running >= RUNNING_MAX) {
      if (this.#waiting.length >= WAITING_MAX) throw new EngineError('NOT_READY', `${WAITING_MAX} queries are waiting already`, { retryAfterMs: 1_000, fix: 'try again shortly' });
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running++;
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
