/**
 * Sums over cells: what a row of a query, or of the live page, shows. Exact: a sum that leaves the safe integers goes on as bigint.
 */

import type { CellLabel, MergedCell } from '../../engine/core/cell.ts';

export type Amount = number | bigint;

export class Group {
  /** Values of the dimensions that were grouped by. */
  readonly dimensions: readonly string[];
  readonly windowStartMs: number;
  readonly measures: Amount[];
  readonly breakdown = new Map<string, number>();
  readonly labels: CellLabel[] = [];
  lateRecords = 0;
  revision = 0;

  constructor(windowStartMs: number, dimensions: readonly string[], measureCount: number) {
    this.windowStartMs = windowStartMs;
    this.dimensions = dimensions;
    this.measures = new Array<Amount>(measureCount).fill(0);
  }

  /** Adds what the cell counts. */
  add(cell: MergedCell): void {
    const { measures } = cell;
    for (let index = 0; index < this.measures.length; index++) {
      const amount = measures[index] ?? 0;
      if (amount !== 0) this.measures[index] = plus(this.measures[index] as Amount, amount);
    }
    if (cell.breakdown !== null) for (const [name, count] of Object.entries(cell.breakdown)) this.breakdown.set(name, (this.breakdown.get(name) ?? 0) + count);
  }

  /** Takes over the cell's labels where they are later: ties go to the greater text, as in the merge. */
  relabel(cell: MergedCell): void {
    for (const [index, label] of cell.labels.entries()) {
      const best = this.labels[index];
      if (best === undefined || label.timeMs > best.timeMs || (label.timeMs === best.timeMs && label.text > best.text)) this.labels[index] = label;
    }
  }
}

function plus(left: Amount, right: number): Amount {
  if (typeof left === 'number') {
    const sum = left + right;
    if (Number.isSafeInteger(sum)) return sum;
  }
  const exact = BigInt(left) + BigInt(right);
  return exact >= Number.MIN_SAFE_INTEGER && exact <= Number.MAX_SAFE_INTEGER ? Number(exact) : exact;
}
