/**
 * Runs a checked query over the cells: groups one window at a time and keeps only the rows of the answer.
 *
 * Memory: the groups of one window and the rows of one page. A long scan gives way to the event loop and delays
 * nobody; cells that change meanwhile show in some rows and not in others, each row being of one moment per cell.
 */

import { CellKind, DIMENSION_SEPARATOR } from '../../engine/core/cell.ts';
import type { MergedCell } from '../../engine/core/cell.ts';
import type { ResultSchema } from '../../engine/core/pipeline.ts';
import { MS_PER_DAY, MS_PER_HOUR } from '../../engine/core/types.ts';
import type { CursorPosition } from './cursor.ts';
import { encodeCursor } from './cursor.ts';
import { decimalName } from './decimal.ts';
import { Group } from './group.ts';
import type { Amount } from './group.ts';
import { compareText } from './order.ts';
import type { MetricsQuery } from './query-parameters.ts';
import type { CellSource } from './source.ts';
import { TopRows } from './top-rows.ts';
import { Turns } from './turns.ts';

export interface QueryResult {
  readonly rows: readonly Group[];
  readonly nextCursor: string | null;
}

export async function runQuery(source: CellSource, query: MetricsQuery): Promise<QueryResult> {
  const order = new RowOrder(source.schema, query);
  const top = new TopRows<Group>(query.limit + 1, (left, right) => order.compare(left, right));
  const scan = new Scan(source, query);
  for (const windowStartMs of scan.windows(order)) {
    // Windows come in the order of rows where rows are ordered by window first: the rest comes after what is here.
    if (order.byWindow !== null && top.full) break;
    for (const group of await scan.groups(windowStartMs)) {
      if (query.after === null || order.comparePosition(group, query.after) > 0) top.offer(group);
    }
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

/** Reads cells and groups them, window by window. */
class Scan {
  readonly #source: CellSource;
  readonly #query: MetricsQuery;
  readonly #filters: readonly (readonly [index: number, values: ReadonlySet<string>])[];
  /** All dimensions in their own order: a cell's name is the group's. */
  readonly #isWhole: boolean;
  readonly #turns = new Turns();

  constructor(source: CellSource, query: MetricsQuery) {
    this.#source = source;
    this.#query = query;
    this.#filters = [...query.filters];
    this.#isWhole = query.groupBy.length === source.schema.dimensions.length && query.groupBy.every((dimension, index) => dimension === index);
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

  async groups(windowStartMs: number): Promise<Iterable<Group>> {
    const groups = new Map<string, Group>();
    if (this.#query.kind === 'daily') {
      await this.#read(CellKind.day, windowStartMs, windowStartMs, groups);
      const endMs = windowStartMs + MS_PER_DAY;
      for (let start = this.#source.nextWindow(CellKind.late, windowStartMs); start !== null && start < endMs; start = this.#source.nextWindow(CellKind.late, start + MS_PER_HOUR)) {
        await this.#read(CellKind.late, start, windowStartMs, groups);
      }
    } else {
      await this.#read(CellKind.hour, windowStartMs, windowStartMs, groups);
      await this.#read(CellKind.late, windowStartMs, windowStartMs, groups);
    }
    return groups.values();
  }

  async #read(kind: CellKind, windowStartMs: number, rowStartMs: number, groups: Map<string, Group>): Promise<void> {
    for (const resultKey of this.#resultKeys()) {
      for await (const cells of this.#turns.pieces(this.#source.windowPages(kind, windowStartMs, resultKey))) {
        for (const cell of cells) this.#take(cell, rowStartMs, groups);
      }
    }
  }

  /** Cells sort by their first dimension: a filter on it reads only what it lets through. */
  #resultKeys(): readonly (string | null)[] {
    const values = this.#query.filters.get(0);
    return values === undefined ? [null] : [...values];
  }

  #take(cell: MergedCell, rowStartMs: number, groups: Map<string, Group>): void {
    let key = cell.dimensions;
    let values: readonly string[] | null = null;
    if (!this.#isWhole || this.#filters.length > 0) {
      values = cell.dimensions.split(DIMENSION_SEPARATOR);
      for (const [index, allowed] of this.#filters) if (!allowed.has(values[index] as string)) return;
      if (!this.#isWhole) {
        const all = values;
        values = this.#query.groupBy.map((index) => all[index] as string);
        key = values.join(DIMENSION_SEPARATOR);
      }
    }
    let group = groups.get(key);
    if (group === undefined) {
      group = new Group(rowStartMs, values ?? cell.dimensions.split(DIMENSION_SEPARATOR), this.#source.schema.measures.length);
      groups.set(key, group);
    }
    group.relabel(cell);
    if (cell.kind === CellKind.late) group.lateRecords += cell.records;
    // A day has its late records in its own cells: their number stands beside, their revisions are the day's.
    if (cell.kind === CellKind.late && this.#query.kind === 'daily') return;
    group.revision += cell.revision;
    if (cell.kind !== CellKind.late || this.#query.includeLate) group.add(cell);
  }
}
