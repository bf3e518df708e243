/**
 * Lets a few queries run at once and a bounded number wait: each may hold the groups of one window. What they found is held until its
 * client has read it: beyond a number of rows in all, further queries are refused.
 */

import type { Readable } from 'node:stream';
import { EngineError } from '../../engine/core/errors.ts';

const RUNNING_MAX = 4;
const WAITING_MAX = 64;
/** Chosen: ten answers of the largest size, 100 MB at 1 KB a row. */
export const SENT_ROWS_MAX = 100_000;

export class QueryGate {
  #running = 0;
  #sentRows = 0;
  readonly #waiting: (() => void)[] = [];

  /** Raises NOT_READY when too many wait already, or too many rows wait for clients. */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#running >= RUNNING_MAX) {
      if (this.#waiting.length >= WAITING_MAX) throw busy(`${WAITING_MAX} queries are waiting already`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running++;
    }
    try {
      if (this.#sentRows >= SENT_ROWS_MAX) throw busy(`answers with ${SENT_ROWS_MAX} rows are waiting for their clients to read them`);
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  /** Until `body` is read to its end or destroyed. */
  sending(rows: number, body: Readable): void {
    this.#sentRows += rows;
    body.once('close', () => {
      this.#sentRows -= rows;
    });
  }
}

const busy = (what: string): EngineError => new EngineError('NOT_READY', what, { retryAfterMs: 1_000, fix: 'try again shortly' });
