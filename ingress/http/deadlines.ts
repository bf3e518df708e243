/**
 * Deadlines of requests, all equally long: a queue in order of arrival, from which any request can leave at once.
 *
 * One coarse timer for all, because a timer per request would cost more than the request: a deadline passes up to an eighth late,
 * never early. It runs while anything waits, and ends with the first sweep that finds nothing. Hot path: 100 K requests a second,
 * at most 100 ns a request; bench/load/scenarios/peak.ts. No allocation.
 */

/** What stands in a {@link DeadlineQueue}; the fields are the queue's own, at first null, null and 0. */
export interface Deadlined {
  before: Deadlined | null;
  after: Deadlined | null;
  /** Sweep at which the deadline passes; 0 while in no queue. */
  dueAtSweep: number;

  expired(): void;
}

/** Chosen: slow clients are cut at most one such share of the deadline late. */
const SWEEPS_PER_DEADLINE = 8;

export class DeadlineQueue {
  readonly #intervalMs: number;
  #timer: NodeJS.Timeout | null = null;
  #first: Deadlined | null = null;
  #last: Deadlined | null = null;
  #sweep = 1;

  constructor(deadlineMs: number) {
    this.#intervalMs = Math.max(1, Math.ceil(deadlineMs / SWEEPS_PER_DEADLINE));
  }

  add(item: Deadlined): void {
    // One more than the deadline has: the sweep now under way has begun already.
    item.dueAtSweep = this.#sweep + SWEEPS_PER_DEADLINE + 1;
    item.before = this.#last;
    item.after = null;
    if (this.#last === null) this.#first = item;
    else this.#last.after = item;
    this.#last = item;
    if (this.#timer === null) this.#start();
  }

  /** No effect on an item that is in no queue. */
  remove(item: Deadlined): void {
    if (item.dueAtSweep === 0) return;
    item.dueAtSweep = 0;
    if (item.before === null) this.#first = item.after;
    else item.before.after = item.after;
    if (item.after === null) this.#last = item.before;
    else item.after.before = item.before;
    item.before = null;
    item.after = null;
  }

  /** Called by the timer. */
  sweep(): void {
    // Not when the last item leaves: most requests come and go between two sweeps, and would start a timer each.
    if (this.#first === null) this.stop();
    this.#sweep++;
    while (this.#first !== null && this.#first.dueAtSweep <= this.#sweep) {
      const item = this.#first;
      this.remove(item);
      item.expired();
    }
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #start(): void {
    this.#timer = setInterval(() => {
      this.sweep();
    }, this.#intervalMs);
  }
}
