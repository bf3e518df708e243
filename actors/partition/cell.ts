/**
 * One partition's share of one cell in memory: totals as plain numbers, and where it stands towards reports and checkpoints.
 *
 * Hot path: 200 K additions a second, at most 1 µs a record with the rest of its cells; bench/micro/partition.ts. {@link Cell.add}. Owned by the partition.
 */

import { OTHER, type CellKind, type CellLabel, type CellName, type PartialCell } from '../../engine/core/cell.ts';
import { Breakdown } from './breakdown.ts';

/** Names of a cell's breakdown; further ones count as `other`. The pipeline's list is shorter: this holds if it should fail. */
const BREAKDOWN_NAMES_MAX = 256;

/** What one event adds, computed once and added to each of its cells. Reused from event to event. */
export interface Contribution {
  readonly timeMs: number;
  readonly amounts: readonly number[];
  /** Indexes of the amounts that are not 0: the first `touchedCount` entries. */
  readonly touched: readonly number[];
  readonly touchedCount: number;
  readonly breakdownName: string | null;
  readonly labels: readonly string[];
}

export class Cell implements CellName {
  readonly kind: CellKind;
  readonly windowStartMs: number;
  readonly dimensions: string;
  readonly measures: number[];
  readonly labelTimesMs: number[];
  readonly labelTexts: string[];
  records = 0;
  breakdown: Breakdown | null = null;
  revision = 0;
  /** Changed since it was last reported. */
  isChanged = false;
  /** Changed since the last checkpoint was encoded. */
  isDirty = false;
  /** Part of the checkpoint in flight. */
  isSaving = false;
  /** Some version of it is in the store. */
  isStored = false;
  /** No longer part of the partition; lists that still hold it skip it. */
  isDropped = false;
  /** Epoch of the last checkpoint at which it was dirty. */
  dirtyEpoch = 0;

  constructor(name: CellName, measures: number[], labelTimesMs: number[], labelTexts: string[]) {
    this.kind = name.kind;
    this.windowStartMs = name.windowStartMs;
    this.dimensions = name.dimensions;
    this.measures = measures;
    this.labelTimesMs = labelTimesMs;
    this.labelTexts = labelTexts;
  }

  add(event: Contribution): void {
    this.records++;
    for (let at = 0; at < event.touchedCount; at++) {
      const index = event.touched[at] as number;
      (this.measures[index] as number) += event.amounts[index] as number;
    }
    if (event.breakdownName !== null) (this.breakdown ??= new Breakdown()).count(event.breakdownName, BREAKDOWN_NAMES_MAX, OTHER);
    const { timeMs, labels } = event;
    for (let index = 0; index < labels.length; index++) {
      if (timeMs >= (this.labelTimesMs[index] as number)) this.#relabel(index, timeMs, labels[index] as string);
    }
  }

  toPartial(): PartialCell {
    return {
      kind: this.kind,
      windowStartMs: this.windowStartMs,
      dimensions: this.dimensions,
      records: this.records,
      measures: this.measures.slice(),
      breakdown: this.breakdown === null ? null : this.breakdown.toRecord(),
      labels: this.labelTexts.map((text, index): CellLabel => ({ timeMs: this.labelTimesMs[index] as number, text })),
      revision: this.revision,
    };
  }

  /** Rough bytes of its stored form. */
  get weight(): number {
    return 64 + this.dimensions.length + 3 * this.measures.length;
  }

  /** An event without a text says nothing about it. Ties go to the greater text, so that the order of events does not matter. */
  #relabel(index: number, timeMs: number, text: string): void {
    if (text === '' || (timeMs === this.labelTimesMs[index] && text <= (this.labelTexts[index] as string))) return;
    this.labelTimesMs[index] = timeMs;
    this.labelTexts[index] = text;
  }
}
