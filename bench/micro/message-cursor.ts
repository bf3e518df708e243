/** Walks messages in memory as the journal's cursor walks records: a slice is a range of message numbers. */

import type { LogBatch, LogSlice, RecordCursor } from '../../engine/core/log.ts';

export class MessageCursor implements RecordCursor {
  start = 0;
  end = 0;
  source = 1;
  flags = 0;
  letterId = 0;
  attempt = 0;
  index = -1;
  readonly #starts: readonly number[];
  readonly #ends: readonly number[];
  #next = 0;
  #last = 0;

  constructor(starts: readonly number[], ends: readonly number[]) {
    this.#starts = starts;
    this.#ends = ends;
  }

  reset(_batch: LogBatch, slice: LogSlice): void {
    this.#next = slice.start;
    this.#last = slice.end;
    this.index = -1;
  }

  next(): boolean {
    if (this.#next === this.#last) return false;
    this.start = this.#starts[this.#next] as number;
    this.end = this.#ends[this.#next] as number;
    this.#next++;
    this.index++;
    return true;
  }
}
