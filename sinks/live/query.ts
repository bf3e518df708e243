/**
 * Runs a checked query over the cells: groups one window at a time and keeps only the rows of the answer.
 *
 * Memory: the rows of one page, and the groups of one window up to {@link GROUPS_MAX}; a row that is one cell needs no group and is
 * offered as it comes. A long scan gives way to the event loop and delays
 * nobody; cells that change meanwhile show in some rows and not in others, each row being of one moment per cell.
 */

import { CellKind, DIMENSION_SEPARATOR } from '../../engine/core/cell.ts';
import type { MergedCell } from '../../engine/core/cell.ts';
import type { EngineError } from '../../engine/core/errors.ts';
import type { ResultSchema } from '../../engine/core/pipeline.ts';
import { MS_PER_DAY, MS_PER_HOUR } from '../../engine/core/types.ts';
import type { CursorPosition } from './cursor.ts';
import { encodeCursor } from './cursor.ts';
import { decimalName } from './decimal.ts';
import { Group } from './group.ts';
import type { Amount } from './group.ts';
import { compareText } from './order.ts';
import { invalid } from './query-parameters.ts';
import type { MetricsQuery } from './query-parameters.ts';
import type { CellSource } from './source.ts';
import { TopRows } from './top-rows.ts';
import { Turns } from './turns.ts';

/** Groups of one window that one query may hold. Chosen: 50 MB at 1 KB each, four times as much for all queries that run at once. */
const GROUPS_MAX = 50_000;

export interface QueryResult {
  readonly rows: readonly Group[];
  readonly nextCursor: string | null;
}

/** Raises QUERY_INVALID when a window has more than `groupsMax` groups. */
export async function runQuery(source: CellSource, query: MetricsQuery, groupsMax: number = GROUPS_MAX): Promise<QueryResult> {
  const order = new RowOrder(source.schema, query);
  const top = new TopRows<Group>(query.limit + 1, (left, right) => order.compare(left, right));
  const scan = new Scan(source, query, groupsMax);
  for (const windowStartMs of scan.windows(order)) {
    // Windows come in the order of rows where rows are ordered by window first: the rest comes after what is here.
    if (order.byWindow !== null && top.full) break;
    await scan.offerRows(windowStartMs, (row) => {
      if (query.after === null || order.comparePosition(row, query.after) > 0) top.offer(row);
    });
  }
  const rows = top.sorted();
  if (rows.length <= query.limit) return { rows, nextCursor: null };
  const page = rows.slice(0, query.limit);
  return { rows: page, nextCursor: encodeCursor({ fingerprint: query.fingerprint, position: order.positionOf(page.at(-1) as Group) }) };
}

/** The order of rows: the keys asked for, then window_start, then the dimensions. */
class RowOrder {
  /** Whether rows are ordered by window before all else, and in which direction; null when they are not. */
  readonly byWindow: 'ascending' | 'descending' | null;
  readonly #keys: readonly { readonly of: (row: Group) => Amount | string; readonly sign: 1 | -1 }[];

  constructor(schema: ResultSchema, { sort, groupBy }: MetricsQuery) {
    this.#keys = sort.map(({ name, descending }) => ({ of: valueOf(schema, groupBy, name), sign: descending ? -1 : 1 }));
    const [first] = sort;
    this.byWindow = first === undefined || first.name === 'window_start' ? (first?.descending === true ? 'descending' : 'ascending') : null;
  }

  compare(left: Group, right: Group): number {
    for (const { of, sign } of this.#keys) {
      const order = compareValues(of(left), of(right));
      if (order !== 0) return order * sign;
    }
    return compareNames(left, right);
  }

  comparePosition(row: Group, position: CursorPosition): number {
    for (const [index, { of, sign }] of this.#keys.entries()) {
      const order = compareValues(of(row), position.sortValues[index] as Amount | string);
      if (order !== 0) return order * sign;
    }
    return compareNames(row, position);
  }

  positionOf(row: Group): CursorPosition {
    return { sortValues: this.#keys.map(({ of }) => of(row)), windowStartMs: row.windowStartMs, dimensions: row.dimensions };
  }
}

function valueOf(schema: ResultSchema, groupBy: readonly number[], name: string): (row: Group) => Amount | string {
  if (name === 'window_start') return (row) => row.windowStartMs;
  if (name === 'late_records') return (row) => row.lateRecords;
  const group = groupBy.findIndex((index) => schema.dimensions[index] === name);
  if (group >= 0) return (row) => row.dimensions[group] as string;
  const measure = schema.measures.findIndex((each) => each.name === name || (each.unit === 'micros' && decimalName(each.name) === name));
  return (row) => row.measures[measure] as Amount;
}

/** A number and a bigint compare as numbers do; a text never meets a number but in a forged cursor, and then comes first. */
function compareValues(left: Amount | string, right: Amount | string): number {
  if (typeof left === 'string' || typeof right === 'string') return typeof left === 'string' && typeof right === 'string' ? compareText(left, right) : typeof left === 'string' ? -1 : 1;
  return left < right ? -1 : left > right ? 1 : 0;
}

interface RowName {
  readonly windowStartMs: number;
  readonly dimensions: readonly string[];
}

function compareNames(left: RowName, right: RowName): number {
  if (left.windowStartMs !== right.windowStartMs) return left.windowStartMs - right.windowStartMs;
  for (const [index, value] of left.dimensions.entries()) {
    const order = compareText(value, right.dimensions[index] as string);
    if (order !== 0) return order;
  }
  return 0;
}

/** Reads cells and makes rows of them, window by window. */
class Scan {
  readonly #source: CellSource;
  readonly #query: MetricsQuery;
  readonly #groupsMax: number;
  readonly #filters: readonly (readonly [index: number, values: ReadonlySet<string>])[];
  /** Rows have all dimensions: each is one cell and the late ones of the same name. */
  readonly #isWhole: boolean;
  readonly #turns = new Turns();

  constructor(source: CellSource, query: MetricsQuery, groupsMax: number) {
    this.#source = source;
    this.#query = query;
    this.#groupsMax = groupsMax;
    this.#filters = [...query.filters];
    this.#isWhole = query.groupBy.length === source.schema.dimensions.length;
  }

  /** Starts of the windows to read, in the order of rows. At most the windows within retention. */
  windows(order: RowOrder): readonly number[] {
    const { kind, fromMs, toMs, after } = this.#query;
    const starts = new Set<number>();
    for (const cellKind of kind === 'daily' ? [CellKind.day] : [CellKind.hour, CellKind.late]) {
      for (let start = this.#source.nextWindow(cellKind, fromMs); start !== null && start < toMs; start = this.#source.nextWindow(cellKind, start + 1)) starts.add(start);
    }
    const ascending = [...starts].sort((left, right) => left - right);
    if (order.byWindow === 'descending') return ascending.reverse().filter((start) => after === null || start <= after.windowStartMs);
    return order.byWindow === null ? ascending : ascending.filter((start) => after === null || start >= after.windowStartMs);
  }

  /** Late cells come first, so that nothing more is to come for the row of a whole cell. */
  async offerRows(windowStartMs: number, offer: (row: Group) => void): Promise<void> {
    const groups = new Map<string, Group>();
    const isDaily = this.#query.kind === 'daily';
    const endMs = windowStartMs + (isDaily ? MS_PER_DAY : MS_PER_HOUR);
    for (let start = this.#source.nextWindow(CellKind.late, windowStartMs); start !== null && start < endMs; start = this.#source.nextWindow(CellKind.late, start + MS_PER_HOUR)) {
      await this.#read(CellKind.late, start, (cell) => {
        this.#gather(cell, windowStartMs, groups);
      });
    }
    await this.#read(isDaily ? CellKind.day : CellKind.hour, windowStartMs, (cell) => {
      if (!this.#isWhole) this.#gather(cell, windowStartMs, groups);
      else this.#offerWhole(cell, windowStartMs, groups, offer);
    });
    for (const group of groups.values()) offer(group);
  }

  async #read(kind: CellKind, windowStartMs: number, take: (cell: MergedCell) => void): Promise<void> {
    for (const resultKey of this.#resultKeys()) {
      for await (const cells of this.#turns.pieces(this.#source.windowPages(kind, windowStartMs, resultKey))) for (const cell of cells) take(cell);
    }
  }

  /** Cells sort by their first dimension: a filter on it reads only what it lets through. */
  #resultKeys(): readonly (string | null)[] {
    const values = this.#query.filters.get(0);
    return values === undefined ? [null] : [...values];
  }

  #offerWhole(cell: MergedCell, rowStartMs: number, lateGroups: Map<string, Group>, offer: (row: Group) => void): void {
    const values = this.#valuesOf(cell);
    if (values === null) return;
    const key = values.join(DIMENSION_SEPARATOR);
    const row = lateGroups.get(key) ?? this.#newGroup(rowStartMs, values);
    lateGroups.delete(key);
    this.#add(row, cell);
    offer(row);
  }

  #gather(cell: MergedCell, rowStartMs: number, groups: Map<string, Group>): void {
    const values = this.#valuesOf(cell);
    if (values === null) return;
    const key = values.join(DIMENSION_SEPARATOR);
    let group = groups.get(key);
    if (group === undefined) {
      if (groups.size >= this.#groupsMax) throw this.#tooManyGroups();
      group = this.#newGroup(rowStartMs, values);
      groups.set(key, group);
    }
    this.#add(group, cell);
  }

  /** Values of the dimensions grouped by; null when a filter keeps the cell out. */
  #valuesOf(cell: MergedCell): readonly string[] | null {
    const values = cell.dimensions.split(DIMENSION_SEPARATOR);
    for (const [index, allowed] of this.#filters) if (!allowed.has(values[index] as string)) return null;
    return this.#query.groupBy.map((index) => values[index] as string);
  }

  #newGroup(rowStartMs: number, values: readonly string[]): Group {
    return new Group(rowStartMs, values, this.#source.schema.measures.length);
  }

  #add(group: Group, cell: MergedCell): void {
    group.relabel(cell);
    if (cell.kind === CellKind.late) group.lateRecords += cell.records;
    // A day has its late records in its own cells: their number stands beside, their revisions are the day's.
    if (cell.kind === CellKind.late && this.#query.kind === 'daily') return;
    group.revision += cell.revision;
    if (cell.kind !== CellKind.late || this.#query.includeLate) group.add(cell);
  }

  #tooManyGroups(): EngineError {
    const names = this.#query.groupBy.map((index) => this.#source.schema.dimensions[index] as string);
    const window = this.#query.kind === 'daily' ? 'day' : 'hour';
    return invalid('group_by', names, `more than ${this.#groupsMax} rows of one ${window} would have to be summed`, `group by fewer dimensions, or name the values wanted, as in ${this.#source.schema.dimensions[0]}=...`);
  }
}
