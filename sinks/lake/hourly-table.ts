/**
 * One hour's merged cells as a table of `hourly/`: a row per cell that has records, late cells beside the others and told apart by `late`.
 *
 * Columns: window_start, late, every dimension, every label, records, every measure (`x_micros` also as decimal `x`), the breakdown as JSON,
 * revision, generation, final. Over all rows of a day's hours, late ones included, each measure sums to the day's, to the unit and the micro.
 */

import { CellKind, DIMENSION_SEPARATOR, shownCells, type MergedCell } from '../../engine/core/cell.ts';
import type { ResultSchema } from '../../engine/core/pipeline.ts';
import type { CellValue, TableData } from './column-builder.ts';
import { TableBuilder, type ColumnShape } from './table-builder.ts';

/** Rows built before others get the main thread: about 10 ms. */
const ROWS_AT_ONCE = 2_000;
const MICROS_SUFFIX = '_micros';

/** `revenue_micros` → `revenue`. */
const decimalName = (name: string): string => (name.endsWith(MICROS_SUFFIX) ? name.slice(0, -MICROS_SUFFIX.length) : `${name}_decimal`);

export function hourlyShapes(schema: ResultSchema): ColumnShape[] {
  const shape = (type: ColumnShape['type']) => (name: string): ColumnShape => ({ name, type });
  return [
    { name: 'window_start', type: 'timestamp_micros' },
    { name: 'late', type: 'boolean' },
    ...schema.dimensions.map(shape('dictionary')),
    ...schema.labels.map(shape('dictionary')),
    { name: 'records', type: 'integer' },
    ...schema.measures.flatMap(({ name, unit }): ColumnShape[] => {
      const whole: ColumnShape = { name, type: 'integer' };
      return unit === 'micros' ? [whole, { name: decimalName(name), type: 'decimal_micros' }] : [whole];
    }),
    { name: schema.breakdown, type: 'text' },
    { name: 'revision', type: 'integer' },
    { name: 'generation', type: 'integer' },
    { name: 'final', type: 'boolean' },
  ];
}

/** `pause` gives the thread to others for a moment. */
export async function hourlyTable(schema: ResultSchema, cells: readonly MergedCell[], generation: number, pause: () => Promise<void>): Promise<TableData> {
  const table = new TableBuilder(hourlyShapes(schema));
  for (const cell of shownCells(cells)) {
    table.appendRow(hourlyRow(schema, cell, generation));
    if (table.rowCount % ROWS_AT_ONCE === 0) await pause();
  }
  return table.finish();
}

function hourlyRow(schema: ResultSchema, cell: MergedCell, generation: number): CellValue[] {
  const row: CellValue[] = [cell.windowStartMs, cell.kind === CellKind.late, ...cell.dimensions.split(DIMENSION_SEPARATOR)];
  for (const label of cell.labels) row.push(label.text);
  row.push(cell.records);
  schema.measures.forEach(({ unit }, index) => {
    const total = cell.measures[index] ?? 0;
    row.push(total);
    if (unit === 'micros') row.push(total);
  });
  row.push(breakdownText(cell.breakdown), cell.revision, generation, cell.final);
  return row;
}

/** Names in order, so that equal totals have equal text. */
function breakdownText(breakdown: MergedCell['breakdown']): string {
  if (breakdown === null) return '{}';
  return JSON.stringify(Object.fromEntries(Object.entries(breakdown).sort(([a], [b]) => (a < b ? -1 : 1))));
}
