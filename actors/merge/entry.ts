/**
 * One cell in the merge: the latest share of each partition and the sums over them.
 *
 * Sums are kept by difference, so that a report costs the same at any number of partitions. They are exact: where a step
 * leaves the safe integers the sum is marked unknown and counted anew with bigint when it is next read, and a true total
 * beyond them is shown as the nearest safe integer. That is a function of the shares alone, whatever the order of reports.
 * Main thread. Hot path: 40 K reported cells a second, at most 2 µs a cell; bench/micro/merge.ts.
 */

import type { CellKind, CellLabel, CellName, CellTotals, MergedCell, PartialCell } from '../../engine/core/cell.ts';
import type { CellTable } from './cell-table.ts';
import type { Round } from './rounds.ts';

/** A total that cannot be held as a safe integer. */
const UNKNOWN = Number.NaN;

/**
 * Numbers of one row: revision, records, measures, and the time of each label. Row 0 has the sums (its label times are unused), row
 * `1 + i` the share of the i-th partition that reported. Flat numbers, because shares grow old before they are replaced: as objects
 * they made a quarter of the merge's cost in garbage collection.
 */
const REVISION = 0;
const RECORDS = 1;
const MEASURES = 2;

/** How many numbers of which sort a cell has. */
export interface CellShape {
  readonly measureCount: number;
  readonly labelCount: number;
}

/** What replacing a share did: `stale` reports repeat or precede what is known. */
export type Replaced = 'changed' | 'stale';

export class MergeEntry implements CellName {
  readonly kind: CellKind;
  readonly windowStartMs: number;
  readonly dimensions: string;
  readonly table: CellTable;
  /** The round whose settling waits for this cell to be written; null while nothing of it is pending. */
  round: Round | null = null;
  /** True until all partitions have answered for it: its sums lack shares that are not known here. */
  waiting = false;
  /** Revision and finality as the live store has them, or has been handed them; -1 for none. */
  writtenRevision: number;
  writtenFinal = false;

  readonly #shape: CellShape;
  readonly #stride: number;
  /** By share: its partition, its breakdown, and `labelCount` label texts. Few flat arrays, for the same reason. */
  readonly #partitions: number[] = [];
  readonly #breakdowns: CellTotals['breakdown'][] = [];
  readonly #labelTexts: (string | undefined)[] = [];
  readonly #labels: CellLabel[] = [];
  #rows: Float64Array;
  #breakdown: Map<string, number> | null = null;
  #breakdownNames: readonly string[] = [];

  constructor(name: CellName, table: CellTable, shape: CellShape, writtenRevision: number) {
    this.kind = name.kind;
    this.windowStartMs = name.windowStartMs;
    this.dimensions = ownText(name.dimensions);
    this.table = table;
    this.writtenRevision = writtenRevision;
    this.#shape = shape;
    this.#stride = MEASURES + shape.measureCount + shape.labelCount;
    this.#rows = new Float64Array(2 * this.#stride);
  }

  /** Sum of the partials' revisions, plus 1 once the hour is final. */
  get revision(): number {
    return (this.#rows[REVISION] as number) + (this.table.final ? 1 : 0);
  }

  /** Revision of a partition's share; -1 when it has none. */
  shareRevision(partition: number): number {
    const share = this.#partitions.indexOf(partition);
    return share < 0 ? -1 : (this.#rows[(1 + share) * this.#stride + REVISION] as number);
  }

  /** Puts a partition's share in place of its former one. Keeps nothing of the partial but texts and breakdowns that are new. */
  replace(partition: number, partial: PartialCell): Replaced {
    const known = this.#partitions.indexOf(partition);
    const share = known < 0 ? this.#addShare(partition) : known;
    const rows = this.#rows;
    const row = (1 + share) * this.#stride;
    if (known >= 0 && partial.revision <= (rows[row + REVISION] as number)) return 'stale';
    rows[REVISION] = (rows[REVISION] as number) + partial.revision - (rows[row + REVISION] as number);
    rows[RECORDS] = (rows[RECORDS] as number) + partial.records - (rows[row + RECORDS] as number);
    rows[row + REVISION] = partial.revision;
    rows[row + RECORDS] = partial.records;
    this.#moveMeasures(rows, row, partial.measures);
    if (partial.breakdown !== null || this.#breakdowns[share] !== null) this.#moveBreakdown(partial.breakdown, share);
    this.#moveLabels(rows, row, partial.labels, share * this.#shape.labelCount);
    return 'changed';
  }

  /** The merged cell as of now. `saturated` counts measures shown as the nearest safe integer. */
  merged(nowMs: number, alarms: { saturatedMeasures: number }): MergedCell {
    const measures: number[] = [];
    const rows = this.#rows;
    for (let index = 0; index < this.#shape.measureCount; index++) {
      const sum = rows[MEASURES + index] as number;
      measures.push(Number.isNaN(sum) ? this.#settleUnknown(index, alarms) : sum);
    }
    return {
      kind: this.kind,
      windowStartMs: this.windowStartMs,
      dimensions: this.dimensions,
      records: rows[RECORDS] as number,
      measures,
      breakdown: this.#breakdownTotals(),
      labels: this.#labels.slice(),
      revision: this.revision,
      final: this.table.final,
      updatedAtMs: nowMs,
    };
  }

  #addShare(partition: number): number {
    const share = this.#partitions.push(partition) - 1;
    this.#breakdowns.push(null);
    for (let index = 0; index < this.#shape.labelCount; index++) this.#labelTexts.push(undefined);
    const needed = (2 + share) * this.#stride;
    if (needed > this.#rows.length) {
      const grown = new Float64Array(Math.max(needed, this.#rows.length * 2));
      grown.set(this.#rows);
      this.#rows = grown;
    }
    return share;
  }

  #moveMeasures(rows: Float64Array, row: number, next: readonly number[]): void {
    for (let at = MEASURES, index = 0; index < this.#shape.measureCount; at++, index++) {
      // A partition that was stored before a measure was added reports a shorter list: it counts nothing there.
      const value = index < next.length ? (next[index] as number) : 0;
      const difference = value - (rows[row + at] as number);
      if (difference === 0) continue;
      const sum = (rows[at] as number) + difference;
      rows[at] = Number.isSafeInteger(difference) && Number.isSafeInteger(sum) ? sum : UNKNOWN;
      rows[row + at] = value;
    }
  }

  #moveBreakdown(next: CellTotals['breakdown'], share: number): void {
    const counts = (this.#breakdown ??= new Map());
    const nameCount = counts.size;
    const former = this.#breakdowns[share] ?? null;
    let moved = former === null || next === null;
    if (next !== null) {
      for (const name in next) {
        const difference = (next[name] as number) - (former?.[name] ?? 0);
        if (difference === 0) continue;
        counts.set(name, (counts.get(name) ?? 0) + difference);
        moved = true;
      }
    }
    for (const name in former) {
      if (next !== null && name in next) continue;
      counts.set(name, (counts.get(name) ?? 0) - (former[name] as number));
      moved = true;
    }
    if (moved) this.#breakdowns[share] = next;
    if (counts.size !== nameCount) this.#breakdownNames = [...counts.keys()].sort();
  }

  /** Names in sorted order, so that equal totals are stored as equal bytes. */
  #breakdownTotals(): Record<string, number> | null {
    if (this.#breakdown === null) return null;
    let totals: Record<string, number> | null = null;
    for (const name of this.#breakdownNames) {
      const count = this.#breakdown.get(name) as number;
      if (count === 0) continue;
      (totals ??= {})[name] = count;
    }
    return totals;
  }

  #moveLabels(rows: Float64Array, row: number, next: readonly CellLabel[], texts: number): void {
    const times = row + MEASURES + this.#shape.measureCount;
    for (let index = 0; index < this.#shape.labelCount && index < next.length; index++) {
      const label = next[index] as CellLabel;
      const formerText = this.#labelTexts[texts + index];
      const best = this.#labels[index];
      const wasBest = best !== undefined && formerText === best.text && rows[times + index] === best.timeMs;
      // Texts repeat: the one that is here already is kept, and the partial's own goes with the partial.
      const text = formerText === label.text ? formerText : best?.text === label.text ? best.text : ownText(label.text);
      rows[times + index] = label.timeMs;
      this.#labelTexts[texts + index] = text;
      if (best === undefined || isLater(label, best)) this.#labels[index] = { timeMs: label.timeMs, text };
      // Only a share that fell back (a partition restarted under other rules) gives the place to another one.
      else if (wasBest && (label.timeMs !== best.timeMs || text !== best.text)) this.#labels[index] = this.#latestLabel(index);
    }
  }

  #latestLabel(index: number): CellLabel {
    const column = MEASURES + this.#shape.measureCount + index;
    let best: CellLabel | null = null;
    for (let share = 0; share < this.#partitions.length; share++) {
      const text = this.#labelTexts[share * this.#shape.labelCount + index];
      if (text === undefined) continue;
      const label = { timeMs: this.#rows[(1 + share) * this.#stride + column] as number, text };
      if (best === null || isLater(label, best)) best = label;
    }
    return best as CellLabel;
  }

  /** The value to show for a sum that left the safe integers; takes the sum up again when it is back. */
  #settleUnknown(index: number, alarms: { saturatedMeasures: number }): number {
    let exact = 0n;
    for (let row = this.#stride; row <= this.#partitions.length * this.#stride; row += this.#stride) exact += BigInt(this.#rows[row + MEASURES + index] as number);
    const nearest = nearestSafeInteger(exact);
    if (BigInt(nearest) === exact) this.#rows[MEASURES + index] = nearest;
    else alarms.saturatedMeasures++;
    return nearest;
  }
}

/**
 * A copy that stands alone. A text of a decoded report may be a slice of the whole report's text and would keep that in memory for as long
 * as the cell lives: 6 KB per cell were seen.
 */
const ownText = (text: string): string => Buffer.from(text).toString();

/** Ties go to the greater text, so that the order of merging does not matter. */
const isLater = (label: CellLabel, than: CellLabel): boolean => label.timeMs > than.timeMs || (label.timeMs === than.timeMs && label.text > than.text);

function nearestSafeInteger(exact: bigint): number {
  if (exact > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER;
  if (exact < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER;
  return Number(exact);
}
