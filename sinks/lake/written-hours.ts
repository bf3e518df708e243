/**
 * Which hours a lake is known to hold, and how new. Kept over failures, so that a write that took too long goes on where it was; given up
 * as a whole when the lake is another one, so that a write that is still under way tells nothing of the new lake. Bounded. Main thread.
 */

/** Beyond it the oldest is forgotten, which costs one rewrite. 40 days are 960. */
const HOURS_REMEMBERED_MAX = 4_096;

interface WrittenHour {
  /** The feed's newest change when the cells were read: the hour has all changes up to it. */
  readonly asOf: number;
  /** Sum of the cells' revisions: as long as it is the same, so is the content. */
  readonly revision: bigint;
}

export class WrittenHours {
  readonly #hours = new Map<number, WrittenHour>();
  /** Every hour that is not refused has all changes up to this one. Used where a refused hour keeps the sink's mark back. */
  reached = 0;

  hasChangesUpTo(mark: number, hour: number): boolean {
    return (this.#hours.get(hour)?.asOf ?? -1) >= mark;
  }

  isAt(revision: bigint, hour: number): boolean {
    return this.#hours.get(hour)?.revision === revision;
  }

  remember(hour: number, written: WrittenHour): void {
    this.#hours.delete(hour);
    this.#hours.set(hour, written);
    for (const oldest of this.#hours.keys()) {
      if (this.#hours.size <= HOURS_REMEMBERED_MAX) break;
      this.#hours.delete(oldest);
    }
  }
}
