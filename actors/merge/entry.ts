/**
 * One cell in the merge: the latest share of each partition and the sums over them.
 *
 * Sums are kept by difference, so that a report costs the same at any number of partitions. They are exact: where a step
 * leaves the safe integers the sum is marked unknown and counted anew with bigint when it is next read, and a true total
 * beyond them is shown as the nearest safe integer. That is a function of the shares alone, whatever the order of reports.
 * Main thread. Hot path: ~40 K reported cells a second; guarded by bench/micro/merge.ts.
 */

import type { CellKind, CellLabel, CellName, CellTotals, MergedCell, PartialCell } from '../../engine/core/cell.ts';
import type { CellTable } from './cell-table.ts';
import type { Round } from './rounds.ts';

/** A total that cannot be held as a safe integer. */
const UNKNOWN = Number.NaN;

/** What is kept of a partial: its name is the entry's. */
interface Share extends CellTotals {
  readonly partition: number;
  readonly revision: number;
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

  readonly #shares: Share[] = [];
  readonly #measures: number[];
  readonly #labels: CellLabel[] = [];
  #records = 0;
  #revision = 0;
  #breakdown: Map<string, number> | null = null;
  #breakdownNames: readonly string[] = [];

  constructor(name: CellName, table: CellTable, measureCount: number, writtenRevision: number) {
    this.kind = name.kind;
    this.windowStartMs = name.windowStartMs;
    this.dimensions = name.dimensions;
    this.table = table;
    this.writtenRevision = writtenRevision;
    this.#measures = new Array<number>(measureCount).fill(0);
  }

  /** Sum of the partials' revisions, plus 1 once the hour is final. */
  get revision(): number {
    return this.#revision + (this.table.final ? 1 : 0);
  }

  /** Revision of a partition's share; -1 when it has none. */
  shareRevision(partition: number): number {
    return this.#shares.find((share) => share.partition === partition)?.revision ?? -1;
  }

  /** Puts a partition's share in place of its former one. Takes the partial's arrays. */
  replace(partition: number, partial: PartialCell): Replaced {
    const shares = this.#shares;
    let index = 0;
    while (index < shares.length && (shares[index] as Share).partition !== partition) index++;
    const former = index < shares.length ? (shares[index] as Share) : null;
    if (former !== null && partial.revision <= former.revision) return 'stale';
    shares[index] = {
      partition,
      revision: partial.revision,
      records: partial.records,
      measures: partial.measures,
      breakdown: partial.breakdown,
      labels: partial.labels,
    };
    this.#revision += partial.revision - (former?.revision ?? 0);
    this.#records += partial.records - (former?.records ?? 0);
    this.#moveMeasures(partial.measures, former?.measures ?? null);
    if (partial.breakdown !== null || (former !== null && former.breakdown !== null)) this.#moveBreakdown(partial.breakdown, former?.breakdown ?? null);
    this.#moveLabels(partial.labels, former?.labels ?? null);
    return 'changed';
  }

  /** The merged cell as of now. `saturated` counts measures shown as the nearest safe integer. */
  merged(nowMs: number, alarms: { saturatedMeasures: number }): MergedCell {
    const measures = this.#measures.slice();
    for (let index = 0; index < measures.length; index++) {
      if (!Number.isNaN(measures[index])) continue;
      const exact = this.#recount(index);
      const nearest = nearestSafeInteger(exact);
      if (BigInt(nearest) === exact) this.#measures[index] = nearest;
      else alarms.saturatedMeasures++;
      measures[index] = nearest;
    }
    return {
      kind: this.kind,
      windowStartMs: this.windowStartMs,
      dimensions: this.dimensions,
      records: this.#records,
      measures,
      breakdown: this.#breakdownTotals(),
      labels: this.#labels.slice(),
      revision: this.revision,
      final: this.table.final,
      updatedAtMs: nowMs,
    };
  }

  #moveMeasures(next: readonly number[], former: readonly number[] | null): void {
    const sums = this.#measures;
    for (let index = 0; index < sums.length; index++) {
      // A partition that was stored before a measure was added reports a shorter list: it counts nothing there.
      const difference = (next[index] ?? 0) - (former === null ? 0 : (former[index] ?? 0));
      if (difference === 0) continue;
      const sum = (sums[index] as number) + difference;
      sums[index] = Number.isSafeInteger(difference) && Number.isSafeInteger(sum) ? sum : UNKNOWN;
    }
  }

  #moveBreakdown(next: CellTotals['breakdown'], former: CellTotals['breakdown']): void {
    const counts = (this.#breakdown ??= new Map());
    const nameCount = counts.size;
    if (former !== null) for (const name of Object.keys(former)) counts.set(name, (counts.get(name) ?? 0) - (former[name] as number));
    if (next !== null) for (const name of Object.keys(next)) counts.set(name, (counts.get(name) ?? 0) + (next[name] as number));
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

  #moveLabels(next: readonly CellLabel[], former: readonly CellLabel[] | null): void {
    const labels = this.#labels;
    for (let index = 0; index < next.length; index++) {
      const label = next[index] as CellLabel;
      const best = labels[index];
      if (best === undefined || isLater(label, best)) {
        labels[index] = label;
        continue;
      }
      const left = former?.[index];
      if (left !== undefined && left.timeMs === best.timeMs && left.text === best.text) labels[index] = this.#latestLabel(index, label);
    }
  }

  #latestLabel(index: number, start: CellLabel): CellLabel {
    let best = start;
    for (const share of this.#shares) {
      const label = share.labels[index];
      if (label !== undefined && isLater(label, best)) best = label;
    }
    return best;
  }

  #recount(index: number): bigint {
    let sum = 0n;
    for (const share of this.#shares) sum += BigInt(share.measures[index] ?? 0);
    return sum;
  }
}

/** Ties go to the greater text, so that the order of merging does not matter. */
const isLater = (label: CellLabel, than: CellLabel): boolean => label.timeMs > than.timeMs || (label.timeMs === than.timeMs && label.text > than.text);

function nearestSafeInteger(exact: bigint): number {
  if (exact > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER;
  if (exact < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER;
  return Number(exact);
}
