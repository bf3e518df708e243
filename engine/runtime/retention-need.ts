/**
 * The journal offset below which nobody needs anything: the minimum over partitions of flushed checkpoint and unspooled lake slot.
 *
 * Until every partition has told its need, nothing may be deleted. A pin (a savepoint that copies the journal) holds it back.
 */

import type { Offset } from '../core/types.ts';

export class RetentionNeed {
  readonly #needs: (number | null)[];
  #pins = 0;
  #last = 0;

  constructor(partitionCount: number) {
    this.#needs = new Array<number | null>(partitionCount).fill(null);
  }

  set(partition: number, needed: number): void {
    this.#needs[partition] = needed;
  }

  /** Holds the offset where it is until the returned function is called. */
  pin(): () => void {
    this.#pins++;
    return () => {
      this.#pins--;
    };
  }

  get offset(): Offset {
    if (this.#pins === 0 && this.#needs.every((need) => need !== null)) this.#last = Math.max(this.#last, Math.min(...(this.#needs)));
    return this.#last as Offset;
  }
}
