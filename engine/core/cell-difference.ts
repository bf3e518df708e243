/**
 * How the totals of one cell differ between two folds of the same records, and what makes the one of the other. Pure.
 *
 * Texts that a cell carries as labels are no totals: cells that differ in them alone count as equal.
 */

import type { CellLabel, CellTotals } from './cell.ts';
import type { ResultSchema } from './pipeline.ts';

/** What is to be added to a cell's totals. Labels are not added: the later one stays. */
export interface TotalsDelta {
  readonly records: number;
  readonly measures: readonly number[];
  readonly breakdown: ReadonlyMap<string, number>;
  readonly labels: readonly CellLabel[];
}

/** One figure of a cell that is not what it was. */
export interface FigureChange {
  /** Of a measure; `records`; or the breakdown's name, a dot and what is counted. */
  readonly figure: string;
  readonly before: number;
  readonly after: number;
}

/** Every figure that differs, in the schema's order; empty for equal cells. Null stands for a cell that is not there. */
export function figureChanges(schema: ResultSchema, before: CellTotals | null, after: CellTotals | null): FigureChange[] {
  const changes: FigureChange[] = [];
  const note = (figure: string, left: number, right: number): void => {
    if (left !== right) changes.push({ figure, before: left, after: right });
  };
  note('records', before?.records ?? 0, after?.records ?? 0);
  schema.measures.forEach(({ name }, index) => {
    note(name, before?.measures[index] ?? 0, after?.measures[index] ?? 0);
  });
  const [left, right] = [countsOf(before), countsOf(after)];
  for (const name of [...new Set([...left.keys(), ...right.keys()])].sort()) note(`${schema.breakdown}.${name}`, left.get(name) ?? 0, right.get(name) ?? 0);
  return changes;
}

/** What makes `after` of `before`. */
export function deltaBetween(before: CellTotals | null, after: CellTotals | null): TotalsDelta {
  const measures = Array.from({ length: Math.max(before?.measures.length ?? 0, after?.measures.length ?? 0) }, (_, index) => (after?.measures[index] ?? 0) - (before?.measures[index] ?? 0));
  const breakdown = countsOf(after);
  for (const [name, count] of countsOf(before)) breakdown.set(name, (breakdown.get(name) ?? 0) - count);
  return { records: (after?.records ?? 0) - (before?.records ?? 0), measures, breakdown, labels: after?.labels ?? before?.labels ?? [] };
}

export function sumOfDeltas(left: TotalsDelta, right: TotalsDelta): TotalsDelta {
  const breakdown = new Map(left.breakdown);
  for (const [name, count] of right.breakdown) breakdown.set(name, (breakdown.get(name) ?? 0) + count);
  const measures = Array.from({ length: Math.max(left.measures.length, right.measures.length) }, (_, index) => (left.measures[index] ?? 0) + (right.measures[index] ?? 0));
  return { records: left.records + right.records, measures, breakdown, labels: laterLabels(left.labels, right.labels) };
}

/** Names that come to nothing are left out. */
export function plusDelta(totals: CellTotals | null, delta: TotalsDelta): CellTotals {
  const own: TotalsDelta = { records: totals?.records ?? 0, measures: totals?.measures ?? [], breakdown: countsOf(totals), labels: totals?.labels ?? [] };
  const { records, measures, breakdown, labels } = sumOfDeltas(own, delta);
  const counts = [...breakdown].filter(([, count]) => count !== 0).sort(([left], [right]) => (left < right ? -1 : 1));
  // Any name may be a key of it, `__proto__` too.
  return { records, measures, breakdown: counts.length === 0 ? null : Object.fromEntries(counts), labels };
}

export const isNothing = ({ records, measures, breakdown }: TotalsDelta): boolean => records === 0 && measures.every((amount) => amount === 0) && [...breakdown.values()].every((count) => count === 0);

const countsOf = (totals: CellTotals | null): Map<string, number> => new Map(Object.entries(totals?.breakdown ?? {}));

/** Ties go to the greater text, as everywhere. */
function laterLabels(left: readonly CellLabel[], right: readonly CellLabel[]): CellLabel[] {
  return Array.from({ length: Math.max(left.length, right.length) }, (_, index) => {
    const [one, other] = [left[index], right[index]];
    if (one === undefined || other === undefined) return (one ?? other) as CellLabel;
    return other.timeMs > one.timeMs || (other.timeMs === one.timeMs && other.text > one.text) ? other : one;
  });
}
