/**
 * How the cells of two live stores at rest differ, hour by hour, and the printing of it. Memory holds one hour of both, and the cells to be printed.
 *
 * Hour cells and late cells are compared; days are their sums. Order: hour, kind, dimensions.
 */

import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { csvField, csvText, type CellSource } from '../../sinks/live/index.ts';
import { figureChanges, type FigureChange } from '../core/cell-difference.ts';
import { CellKind, DIMENSION_SEPARATOR, type CellName, type MergedCell } from '../core/cell.ts';
import { resultSchema } from '../core/pipeline.ts';
import { isInSpan, type HourSpan } from '../core/replay-span.ts';

export const FORMATS = ['table', 'csv', 'json'] as const;
export type Format = (typeof FORMATS)[number];

/** One cell of both sides; null where a side has none. */
export interface CellPair extends CellName {
  readonly before: MergedCell | null;
  readonly after: MergedCell | null;
}

export interface DifferingCell extends CellPair {
  readonly changes: readonly FigureChange[];
}

const KINDS = [CellKind.hour, CellKind.late] as const;
const schema = resultSchema(appsflyerPipeline);

/** The hours of either side, by start. */
export function* hoursOf(stores: readonly CellSource[], { fromMs, toMs }: HourSpan): Generator<number> {
  for (let at = fromMs; ; ) {
    const next = Math.min(...stores.flatMap((store) => KINDS.map((kind) => store.nextWindow(kind, at) ?? Infinity)));
    if (next >= toMs || next === Infinity) return;
    yield next;
    at = next + 1;
  }
}

/** Cells of one hour that differ. */
export function differingIn(before: CellSource, after: CellSource, windowStartMs: number): { readonly compared: number; readonly cells: readonly DifferingCell[] } {
  let compared = 0;
  const cells: DifferingCell[] = [];
  for (const kind of KINDS) {
    const left = cellsByDimensions(before, kind, windowStartMs);
    const right = cellsByDimensions(after, kind, windowStartMs);
    const names = [...new Set([...left.keys(), ...right.keys()])].sort();
    compared += names.length;
    for (const dimensions of names) {
      const pair = { before: left.get(dimensions) ?? null, after: right.get(dimensions) ?? null };
      const changes = figureChanges(schema, pair.before, pair.after);
      if (changes.length > 0) cells.push({ kind, windowStartMs, dimensions, ...pair, changes });
    }
  }
  return { compared, cells };
}

/** By dimensions. */
export const cellsByDimensions = (store: CellSource, kind: CellKind, windowStartMs: number): Map<string, MergedCell> => new Map([...store.windowPages(kind, windowStartMs, null)].flat().map((cell) => [cell.dimensions, cell]));

/** What the records come from, and how far it reaches. */
export interface ReplaySource {
  /** Hours of the compared span; it may have holes. */
  readonly isCompared: (hourStartMs: number) => boolean;
  /** Hours that were asked for and left out, by start. */
  readonly leftOut: readonly number[];
  readonly leftOutBecause: string;
  /** In the summary of JSON. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** The same in words, behind what is compared. */
  readonly reach: string;
  /** Whatever else somebody must know; a line each. */
  readonly remarks: readonly string[];
}

export interface DifferenceOptions {
  readonly before: CellSource;
  readonly after: CellSource;
  readonly compared: HourSpan;
  readonly source: ReplaySource;
  /** Cells that are printed; all are counted. */
  readonly limit: number;
  readonly format: Format;
  readonly write: (text: string) => void;
  /** For what rows of CSV cannot say. */
  readonly warn: (text: string) => void;
}

/** `completeFromMs`: 0 where the journal is whole. */
export const journalSource = ({ after, asked, compared, completeFromMs }: { readonly after: CellSource; readonly asked: HourSpan; readonly compared: HourSpan; readonly completeFromMs: number }): ReplaySource => ({
  isCompared: () => true,
  leftOut: [...hoursOf([after], asked)].filter((hour) => !isInSpan(compared, hour)),
  leftOutBecause: 'for the journal has a part of them at most',
  facts: { journal_complete_from: completeFromMs === 0 ? null : isoHour(completeFromMs) },
  reach: completeFromMs === 0 ? 'the journal has all of them' : `the journal is complete from ${isoHour(completeFromMs)} on`,
  remarks: [],
});

interface Summary {
  readonly compared_cells: number;
  readonly differing_cells: number;
  readonly printed_cells: number;
  /** Null for no bound. */
  readonly from: string | null;
  readonly to: string | null;
  /** Hours that were asked for and left out. */
  readonly left_out: { readonly hours: number; readonly first: string; readonly last: string } | null;
  /** Of the figures that differ, over all compared cells. */
  readonly totals: Readonly<Record<string, readonly [before: number, after: number]>>;
}

/** How many cells differ. */
export async function printDifference({ before, after, compared, source, limit, format, write, warn }: DifferenceOptions): Promise<number> {
  let [comparedCells, differing] = [0, 0];
  const shown: DifferingCell[] = [];
  const totals = new Map<string, [before: number, after: number]>();
  for (const hour of hoursOf([before, after], compared)) {
    if (!source.isCompared(hour)) continue;
    const { compared: count, cells } = differingIn(before, after, hour);
    comparedCells += count;
    differing += cells.length;
    for (const cell of cells) {
      if (shown.length < limit) shown.push(cell);
      for (const { figure, before: left, after: right } of cell.changes) {
        const sum = totals.get(figure) ?? [0, 0];
        totals.set(figure, [sum[0] + left, sum[1] + right]);
      }
    }
    await new Promise((settle) => setImmediate(settle));
  }
  const { leftOut } = source;
  const summary: Summary = {
    compared_cells: comparedCells,
    differing_cells: differing,
    printed_cells: shown.length,
    from: compared.fromMs === 0 ? null : isoHour(compared.fromMs),
    to: compared.toMs === Infinity ? null : isoHour(compared.toMs),
    left_out: leftOut.length === 0 ? null : { hours: leftOut.length, first: isoHour(leftOut[0] as number), last: isoHour(leftOut.at(-1) as number) },
    totals: Object.fromEntries([...totals].sort(([left], [right]) => (left < right ? -1 : 1))),
  };
  write(PRINTERS[format](shown, summary, source));
  if (format === 'csv') for (const line of [...leftOutLines(summary, source), ...source.remarks]) warn(`${line}\n`);
  return differing;
}

const PRINTERS: Readonly<Record<Format, (cells: readonly DifferingCell[], summary: Summary, source: ReplaySource) => string>> = { table: asTable, csv: asCsv, json: asJson };

function asTable(cells: readonly DifferingCell[], summary: Summary, source: ReplaySource): string {
  const lines = cells.map((cell) => `${isoHour(cell.windowStartMs)}${cell.kind === CellKind.late ? ' late' : ''} ${namesOf(cell).map(([name, value]) => `${name}=${value}`).join(' ')}: ${cell.changes.map(({ figure, before, after }) => `${figure} ${before} → ${after}`).join(', ')}`);
  if (summary.printed_cells < summary.differing_cells) lines.push(`… and ${summary.differing_cells - summary.printed_cells} more (--limit)`);
  lines.push(`${summary.differing_cells} of ${summary.compared_cells} cells differ`);
  for (const [figure, [before, after]] of Object.entries(summary.totals)) lines.push(`  ${figure} of them ${before} → ${after}`);
  lines.push(`compared: hours ${summary.from === null ? 'from the first' : `from ${summary.from}`}${summary.to === null ? ' on' : ` to ${summary.to}`}; ${source.reach}`);
  return `${[...lines, ...leftOutLines(summary, source), ...source.remarks].join('\n')}\n`;
}

const leftOutLines = ({ left_out: leftOut }: Summary, { leftOutBecause }: ReplaySource): string[] =>
  leftOut === null ? [] : [`left out, ${leftOutBecause}: ${leftOut.hours} hours, ${leftOut.first} to ${leftOut.last}`];

/** The rows alone: one for each figure. */
function asCsv(cells: readonly DifferingCell[]): string {
  const head = ['window_start', 'kind', ...schema.dimensions, 'figure', 'before', 'after'];
  const rows = cells.flatMap((cell) =>
    cell.changes.map(({ figure, before, after }) => [isoHour(cell.windowStartMs), kindName(cell), ...namesOf(cell).map(([, value]) => csvText(value)), csvField(figure), String(before), String(after)].join(',')),
  );
  return `${[head.join(','), ...rows].join('\n')}\n`;
}

function asJson(cells: readonly DifferingCell[], summary: Summary, { facts }: ReplaySource): string {
  const shown = cells.map((cell) => ({
    window_start: isoHour(cell.windowStartMs),
    kind: kindName(cell),
    ...Object.fromEntries(namesOf(cell)),
    changes: Object.fromEntries(cell.changes.map(({ figure, before, after }) => [figure, [before, after]])),
  }));
  return `${JSON.stringify({ summary: { ...summary, ...facts }, cells: shown })}\n`;
}

const namesOf = ({ dimensions }: CellName): [name: string, value: string][] => {
  const values = dimensions.split(DIMENSION_SEPARATOR);
  return schema.dimensions.map((name, index) => [name, values[index] ?? '']);
};

const kindName = ({ kind }: CellName): 'hour' | 'late' => (kind === CellKind.late ? 'late' : 'hour');

export const isoHour = (timeMs: number): string => new Date(timeMs).toISOString();
