/** Small makers for merge tests. */
import type { CellName, MergedCell, PartialCell, PartitionReport } from '../../../engine/core/cell.ts';
import { CellKind, cellMapKey } from '../../../engine/core/cell.ts';
import type { MergeOutput } from '../../../engine/core/feed.ts';
import type { ResultSchema } from '../../../engine/core/pipeline.ts';

export const HOUR_MS = 3_600_000;
export const schema: ResultSchema = {
  dimensions: ['campaign_id', 'country'],
  measures: [
    { name: 'installs', unit: 'count' },
    { name: 'revenue_micros', unit: 'micros' },
  ],
  breakdown: 'by_event',
  labels: ['campaign'],
};

export const partial = (change: Partial<PartialCell> = {}): PartialCell => ({
  kind: CellKind.hour,
  windowStartMs: 0,
  dimensions: 'c1\u001fDE',
  revision: 1,
  records: 1,
  measures: [1, 0],
  breakdown: null,
  labels: [{ timeMs: 1, text: 'one' }],
  ...change,
});

export const report = (partition: number, sequence: number, cells: readonly PartialCell[], change: Partial<PartitionReport> = {}): PartitionReport => ({
  partition,
  sequence,
  watermarkMs: 1_000,
  closedUpToMs: 0,
  offset: sequence * 10,
  received: sequence,
  accepted: sequence,
  duplicate: 0,
  late: 0,
  rejected: 0,
  cells,
  ...change,
});

/** A live store that keeps everything in a map. */
export class StoreModel {
  readonly cells = new Map<string, MergedCell>();
  readonly exists = (name: CellName): MergedCell | null => this.cells.get(cellMapKey(name)) ?? null;

  apply(output: MergeOutput): void {
    for (const cell of output.changed) this.cells.set(cellMapKey(cell), cell);
  }
}
