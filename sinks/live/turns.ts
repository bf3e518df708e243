/** Long scans of cells in pieces, between which the event loop has its turn: main must answer, egress and serve meanwhile. */

import { setImmediate as turn } from 'node:timers/promises';
import type { MergedCell } from '../../engine/core/cell.ts';

/** Cells between two turns of the event loop. Chosen: about 2 ms. */
const TURN_CELLS = 1_000;

/** The turns of one scan, however many pages it reads. */
export class Turns {
  #sinceTurn = 0;

  /** The cells of the pages; each piece is read before the next turn. */
  async *pieces(pages: Iterable<readonly MergedCell[]>): AsyncGenerator<readonly MergedCell[]> {
    for (const page of pages) {
      for (let start = 0; start < page.length; start += TURN_CELLS) {
        const piece = page.length <= TURN_CELLS ? page : page.slice(start, start + TURN_CELLS);
        yield piece;
        this.#sinceTurn += piece.length;
        if (this.#sinceTurn < TURN_CELLS) continue;
        this.#sinceTurn = 0;
        await turn();
      }
    }
  }
}
