/**
 * Late cells whose hour has become final. Nothing in them changes by that, but a value that is made of an hour says whether the hour is
 * final, and where a campaign has late records alone no cell of the hour itself changes when it closes. So these cells are told to the sinks
 * once more, as they are and with the same revision: the value is rendered again.
 */

import type { MergedCell } from '../../engine/core/cell.ts';
import { CellKind, cellMapKey } from '../../engine/core/cell.ts';
import { MS_PER_HOUR } from '../../engine/core/types.ts';
import { sortByKey } from './order.ts';
import type { CellSource } from './source.ts';

export interface LateFinals {
  readonly cells: readonly MergedCell[];
  /** Hours that end at or before this are done. */
  readonly upToMs: number;
}

/**
 * Late cells of hours that end after `fromMs` and at or before `toMs`, without those of `changed`, which are told anyway. Whole hours,
 * the oldest first, until there are `cellsMax`.
 */
export function lateFinals(source: CellSource, hours: { readonly fromMs: number; readonly toMs: number }, changed: readonly MergedCell[], cellsMax: number): LateFinals {
  const { fromMs, toMs } = hours;
  const cells: MergedCell[] = [];
  if (toMs <= fromMs) return { cells, upToMs: fromMs };
  const told = new Set(changed.filter((cell) => cell.kind === CellKind.late).map(cellMapKey));
  for (let startMs = next(fromMs + 1 - MS_PER_HOUR); startMs !== null && startMs + MS_PER_HOUR <= toMs; startMs = next(startMs + 1)) {
    if (cells.length >= cellsMax) return { cells, upToMs: startMs };
    const pages = [...source.windowPages(CellKind.late, startMs, null)];
    for (const cell of sortByKey(pages.flat())) if (!told.has(cellMapKey(cell))) cells.push(cell);
  }
  return { cells, upToMs: toMs };

  function next(fromWindowMs: number): number | null {
    return source.nextWindow(CellKind.late, Math.max(0, fromWindowMs));
  }
}

/** Whether `cell` is what is stored already, told once more. */
export const isToldAgain = (cell: MergedCell, stored: MergedCell): boolean => cell.kind === CellKind.late && cell.revision === stored.revision && cell.records === stored.records;
