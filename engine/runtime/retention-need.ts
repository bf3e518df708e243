/**
 * The offset of each journal below which nobody needs anything: the minimum over partitions of flushed checkpoint and unspooled lake slot.
 *
 * Until every partition has told its need, nothing may be deleted. A pin (a savepoint that copies the journal) holds it back.
 */

import type { Offset } from '../core/types.ts';

export class RetentionNeed {
  readonly #needs: (readonly number[] | null)[];
  #pins = 0;
  readonly #last: Offset[] = [];

  constructor(partitionCount: number) {
    this.#needs = new Array<readonly number[] | null>(partitionCount).fill(null);
  }

  /** `needed` is by journal; all of it where there is no entry. */
  set(partition: number, needed: readonly number[]): void {
    this.#needs[partition] = needed;
  }

  /** Holds the offsets where they are until the returned function is called. */
  pin(): () => void {
    this.#pins++;
    return () => {
      this.#pins--;
    };
  }

  of(journal: number): Offset {
    const last = this.#last[journal] ?? 0;
    if (this.#pins > 0) return last as Offset;
    const least = Math.min(...this.#needs.map((needed) => needed?.[journal] ?? 0));
    return (this.#last[journal] = Math.max(last, least) as Offset);
  }
}
