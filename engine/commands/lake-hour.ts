/**
 * What other conversion events make of one hour, told from its rows in the lake and from what was counted of it. Pure; why so: replay.md.
 *
 * A cell of which all rows are there gets what its rows count under the new events. One that lacks rows (erased, lost, not written yet) changes by what the
 * rows that are there change, so that the others keep what they counted. An hour whose rows cannot be what was counted is left alone.
 */

import { CONVERSION_MEASURES, MEASURES_NOT_IN_ROWS } from '../../actors/appsflyer/lake-rows.ts';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { totalsUnder, type RowCell } from '../../actors/appsflyer/row-fold.ts';
import { deltaBetween, figureChanges, plusDelta, type FigureChange } from '../core/cell-difference.ts';
import type { CellTotals, MergedCell } from '../core/cell.ts';
import { resultSchema } from '../core/pipeline.ts';

/** Why an hour is left as it is. */
export const LEFT_OUT = {
  open: 'not final yet',
  unwritten: 'its rows are not all in the lake yet',
  contradicted: 'its rows in the lake cannot be what was counted of it',
  unkept: 'nothing of them is kept',
  undecided: 'some of its rows are not in the lake, and the conversion events changed within it',
} as const;
export type LeftOut = keyof typeof LEFT_OUT;

/** Cells of one hour, or its late ones, by dimensions. */
export interface HourCells {
  readonly counted: ReadonlyMap<string, MergedCell>;
  readonly rows: ReadonlyMap<string, RowCell>;
}

export interface HourQuestion {
  readonly hour: HourCells;
  readonly late: HourCells;
  readonly isFinal: boolean;
  /** Whatever was received until the hour was final is in the lake, if the lake still has it. */
  readonly isWritten: boolean;
  /** Conversion events now, for what nothing else tells, and those to be tried. */
  readonly current: ReadonlySet<string>;
  readonly tried: ReadonlySet<string>;
}

export interface CellChange {
  readonly before: MergedCell;
  readonly after: MergedCell;
}

/** A cell of which the rows count something else than what was counted, under the conversion events of now. */
export interface CellGap {
  readonly figures: readonly FigureChange[];
}

export type HourAnswer = { readonly leftOut: LeftOut } | { readonly leftOut: null; readonly changes: readonly CellChange[]; readonly gaps: readonly CellGap[] };

const schema = resultSchema(appsflyerPipeline);
const CARRIED = schema.measures.map(({ name, unit }, index) => ({ name, unit, index })).filter(({ name }) => !MEASURES_NOT_IN_ROWS.has(name));
const UNRULED = CARRIED.filter(({ name }) => !CONVERSION_MEASURES.has(name));
const RULED = CARRIED.filter(({ name }) => CONVERSION_MEASURES.has(name));

export function answerHour({ hour, late, isFinal, isWritten, current, tried }: HourQuestion): HourAnswer {
  if (!isFinal) return { leftOut: 'open' };
  if (!isWritten && recordsOf(hour.rows) < recordsOf(hour.counted)) return { leftOut: 'unwritten' };
  const changes: CellChange[] = [];
  const gaps: CellGap[] = [];
  for (const { counted, rows } of [hour, late]) {
    if ([...rows].some(([dimensions, row]) => contradicts(row, counted.get(dimensions)))) return { leftOut: 'contradicted' };
    for (const [dimensions, before] of counted) {
      const row = rows.get(dimensions) ?? NO_ROWS;
      const figures = gapOf(before, totalsUnder(row, current));
      if (figures.length > 0) gaps.push({ figures });
      const after = row.records === before.records ? recounted(before, row, tried) : changedByRows(before, row, { current, tried });
      if (after === null) return { leftOut: 'undecided' };
      if (figureChanges(schema, before, after).length > 0) changes.push({ before, after: { ...before, ...after } });
    }
  }
  return { leftOut: null, changes, gaps };
}

const NO_ROWS: RowCell = { records: 0, measures: schema.measures.map(() => 0), parts: new Map() };

function recordsOf(cells: ReadonlyMap<string, { readonly records: number }>): number {
  let records = 0;
  for (const cell of cells.values()) records += cell.records;
  return records;
}

/** More rows than were counted, or as many of another kind: of another life of this directory, of another one, or counted under other dimensions. */
function contradicts(row: RowCell, counted: CellTotals | undefined): boolean {
  if (counted === undefined || row.records > counted.records) return true;
  const isWhole = row.records === counted.records;
  // Of a part of the rows no more can be said of sums than that counts do not rise.
  return UNRULED.some(({ unit, index }) => (isWhole ? row.measures[index] !== counted.measures[index] : unit === 'count' && (row.measures[index] as number) > (counted.measures[index] ?? 0)));
}

const gapOf = (counted: CellTotals, rows: CellTotals): FigureChange[] => figureChanges(schema, counted, rows).filter(({ figure }) => !MEASURES_NOT_IN_ROWS.has(figure));

/** Whatever the conversion events were when its records came: all of them are among the rows. */
function recounted(before: CellTotals, row: RowCell, tried: ReadonlySet<string>): CellTotals {
  const under = totalsUnder(row, tried);
  const sums = [...before.measures];
  for (const { index } of RULED) sums[index] = under.measures[index] as number;
  return { records: before.records, measures: sums, breakdown: under.breakdown, labels: before.labels };
}

/** Null where it cannot be told whether an event name counted. */
function changedByRows(before: CellTotals, row: RowCell, { current, tried }: { readonly current: ReadonlySet<string>; readonly tried: ReadonlySet<string> }): CellTotals | null {
  const counts = new Map(Object.entries(before.breakdown ?? {}));
  const former = new Set<string>();
  for (const [name, { counted }] of row.parts) {
    const count = counts.get(name) ?? 0;
    if (count > 0 && count < counted) return null;
    if (count > 0 || (counted === 0 && current.has(name))) former.add(name);
  }
  const [was, becomes] = [totalsUnder(row, former), totalsUnder(row, tried)];
  return plusDelta(before, deltaBetween(was, becomes));
}
