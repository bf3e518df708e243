/**
 * One hash over all merged cells: what they count, their revisions and whether they are final; not when or in what order they
 * were written. Two runs over the same log have the same one. Reads everything; the event loop gets its turn between pages.
 */

import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { CellKind } from '../../engine/core/cell.ts';
import type { MergedCell } from '../../engine/core/cell.ts';
import { sortByKey } from './order.ts';
import type { CellSource } from './source.ts';

/** SHA-256 in hex. */
export async function stateHash(source: CellSource): Promise<string> {
  const hash = createHash('sha256');
  for (const kind of Object.values(CellKind)) {
    for (let start = source.nextWindow(kind, 0); start !== null; start = source.nextWindow(kind, start + 1)) {
      const cells: MergedCell[] = [];
      for (const page of source.windowPages(kind, start, null)) {
        for (const cell of page) cells.push(cell);
        await turn();
      }
      for (const cell of sortByKey(cells)) hash.update(canonical(cell));
    }
  }
  return hash.digest('hex');
}

function canonical(cell: MergedCell): string {
  const breakdown = Object.entries(cell.breakdown ?? {}).sort(([left], [right]) => (left < right ? -1 : 1));
  const labels = cell.labels.map((label) => [label.timeMs, label.text]);
  return JSON.stringify([cell.kind, cell.windowStartMs, cell.dimensions, cell.records, cell.measures, breakdown, labels, cell.revision, cell.final]);
}
