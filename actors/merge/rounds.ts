/**
 * Which of the partitions' sequence numbers the live store may call settled.
 *
 * Cells that become pending between two drains form a round. When a round closes it takes down how far every partition had
 * come; that is settled once no cell of this round or of an earlier one is pending, be it held up by an output's size or by
 * partials that were asked for. So what is settled never passes a report one of whose cells still waits. Main thread.
 */

import { assert } from '../../engine/core/types.ts';

/** How far all partitions had come when a round closed. */
export interface Progress {
  /** By partition. */
  readonly sequences: ReadonlyMap<number, number>;
  readonly finalUpToMs: number;
  readonly watermarkMs: number;
}

export interface Round {
  pendingCount: number;
  progress: Progress | null;
}

/** Rounds kept while one of them is held up; beyond it a round takes in several drains. Chosen: 6 s of drains at 25 ms. */
const ROUNDS_MAX = 256;

export class Rounds {
  #closed: Round[] = [];
  #open: Round = { pendingCount: 0, progress: null };
  #settled: Progress;

  constructor(start: Progress) {
    this.#settled = start;
  }

  get settled(): Progress {
    return this.#settled;
  }

  /** A cell became pending: returns the round that waits for it. */
  enter(): Round {
    this.#open.pendingCount++;
    return this.#open;
  }

  leave(round: Round): void {
    round.pendingCount--;
    assert(round.pendingCount >= 0, 'a cell left its round twice');
  }

  /** Ends the open round. `progress` covers every report accepted so far. */
  close(progress: Progress): void {
    if (this.#closed.length >= ROUNDS_MAX) return;
    this.#open.progress = progress;
    this.#closed.push(this.#open);
    this.#open = { pendingCount: 0, progress: null };
  }

  /** Passes the leading rounds of which nothing is pending any more. */
  advance(): Progress {
    let passed = 0;
    while (passed < this.#closed.length && (this.#closed[passed] as Round).pendingCount === 0) {
      this.#settled = (this.#closed[passed] as Round).progress as Progress;
      passed++;
    }
    if (passed > 0) this.#closed = this.#closed.slice(passed);
    return this.#settled;
  }
}
