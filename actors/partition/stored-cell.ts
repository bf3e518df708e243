/** One partition's share of one cell as plain data: between its slot in memory, its stored form and what the merge is told. */

import type { CellLabel, CellName, PartialCell } from '../../engine/core/cell.ts';

export interface StoredCell {
  readonly revision: number;
  readonly records: number;
  readonly measures: readonly number[];
  /** In the order in which they came; null for none. Any text may be a name. */
  readonly breakdownNames: readonly string[] | null;
  readonly breakdownCounts: readonly number[] | null;
  /** By label: -1 and '' before the first text. */
  readonly labelTimesMs: readonly number[];
  readonly labelTexts: readonly string[];
}

export const toPartial = ({ kind, windowStartMs, dimensions }: CellName, cell: StoredCell): PartialCell => ({
  kind,
  windowStartMs,
  dimensions,
  records: cell.records,
  measures: cell.measures,
  // Any name may be a key of it, `__proto__` too.
  breakdown: cell.breakdownNames === null ? null : Object.fromEntries(cell.breakdownNames.map((name, index) => [name, cell.breakdownCounts?.[index] as number])),
  labels: cell.labelTexts.map((text, index): CellLabel => ({ timeMs: cell.labelTimesMs[index] as number, text })),
  revision: cell.revision,
});
