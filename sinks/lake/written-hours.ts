/**
 * Which hours a lake is known to hold, and how new. Kept over failures, so that a write that took too long goes on where it was; given up
 * as a whole when the lake is another one, so that a write that is still under way tells nothing of the new lake. Hours that no marker speaks
 * for yet are doubted after a failure: a copy of the lake from before they were written has the same marker. Bounded. Main thread.
 */

/** Beyond it the oldest is forgotten, which costs one rewrite. 40 days are 960. */
const HOURS_REMEMBERED_MAX = 4_096;

interface WrittenHour {
  /** {@link WrittenHours.doubts} before the lake was asked or written: what was answered before a failure and heard after it is doubted too. */
  readonly doubts: number;
  /** The feed's newest change when the cells were read: the hour has all changes up to it. */
  readonly asOf: number;
  /** Sum of the cells' revisions: as long as it is the same, so is the content. */
  readonly revision: bigint;
}

export class WrittenHours {
  readonly #hours = new Map<number, WrittenHour>();
  /** Remembered since the last marker. */
  readonly #unmarked = new Set<number>();
  /** To be asked for before they count as held. */
  readonly #doubted = new Set<number>();
  /** How often the lake has been away. */
  doubts = 0;
  /** Every hour that is not refused has all changes up to this one. Used where a refused hour keeps the sink's mark back. */
  reached = 0;

  hasChangesUpTo(mark: number, hour: number): boolean {
    return !this.#doubted.has(hour) && (this.#hours.get(hour)?.asOf ?? -1) >= mark;
  }

  isAt(revision: bigint, hour: number): boolean {
    return this.#hours.get(hour)?.revision === revision;
  }

  isDoubted(hour: number): boolean {
    return this.#doubted.has(hour);
  }

  /** The hour was written, or the lake was asked for it. */
  remember(hour: number, written: WrittenHour): void {
    this.#forget(hour);
    this.#hours.set(hour, written);
    this.#unmarked.add(hour);
    if (written.doubts !== this.doubts) this.#doubted.add(hour);
    for (const oldest of this.#hours.keys()) {
      if (this.#hours.size <= HOURS_REMEMBERED_MAX) break;
      this.#forget(oldest);
    }
  }

  /** A marker that was left after them speaks for all hours. */
  marked(): void {
    this.#unmarked.clear();
  }

  /** The lake was away: what no marker speaks for may have gone. */
  doubt(): void {
    this.doubts++;
    for (const hour of this.#unmarked) this.#doubted.add(hour);
  }

  #forget(hour: number): void {
    this.#hours.delete(hour);
    this.#unmarked.delete(hour);
    this.#doubted.delete(hour);
  }
}
