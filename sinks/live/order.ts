/** The order of cells in the store, for cells that are in memory, and which of them are shown. */

import { shownCells, type MergedCell } from '../../engine/core/cell.ts';

const SURROGATE = /[\ud800-\udfff]/;

/** Order of the texts' UTF-8 bytes, which is the order of store keys: surrogates come after all other characters. */
export function compareText(left: string, right: string): number {
  if (left === right) return 0;
  if (!SURROGATE.test(left) && !SURROGATE.test(right)) return left < right ? -1 : 1;
  const length = Math.min(left.length, right.length);
  let at = 0;
  while (at < length && left.charCodeAt(at) === right.charCodeAt(at)) at++;
  if (at === length) return left.length - right.length;
  return rank(left.charCodeAt(at)) - rank(right.charCodeAt(at));
}

const rank = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800);

/** Sorts cells of one window in place, by key. */
export function sortByKey(cells: MergedCell[]): MergedCell[] {
  const plain = !cells.some((cell) => SURROGATE.test(cell.dimensions));
  return cells.sort(plain ? (left, right) => (left.dimensions < right.dimensions ? -1 : 1) : (left, right) => compareText(left.dimensions, right.dimensions));
}

/** Pages of cells as they are shown, none of them empty. */
export function* shownPages(pages: Iterable<readonly MergedCell[]>): Generator<readonly MergedCell[]> {
  for (const page of pages) {
    const shown = shownCells(page);
    if (shown.length > 0) yield shown;
  }
}
