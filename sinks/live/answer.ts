/**
 * The answer to a metrics query: rows as JSON or CSV, in chunks, so that a slow client holds one page of rows and nothing else;
 * all slow clients together hold a bounded number of rows.
 *
 * CSV: RFC 4180 with a header line. Names come from outside: a text that a spreadsheet would take for a formula (it starts
 * with = + - @, tab or return) gets a `'` before it. JSON has every text as it is.
 */

import { Readable } from 'node:stream';
import type { ResultSchema } from '../../engine/core/pipeline.ts';
import { MS_PER_HOUR } from '../../engine/core/types.ts';
import { csvField, csvText } from './csv.ts';
import { decimalName, decimalText } from './decimal.ts';
import type { Group } from './group.ts';
import { QueryGate } from './query-gate.ts';
import { parseMetricsQuery } from './query-parameters.ts';
import type { MetricsKind, MetricsQuery, RawParameters } from './query-parameters.ts';
import { runQuery } from './query.ts';
import type { CellSource } from './source.ts';

export interface MetricsAnswer {
  readonly contentType: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readable;
}

export interface MetricsOptions {
  /** Most rows of one answer. */
  readonly rowsMax?: number;
  /** Most groups that the sums of one window may take. */
  readonly groupsMax?: number;
}

/** Rows put together before the client's stream is asked again. */
const CHUNK_ROWS = 200;

const gate = new QueryGate();

/** Raises QUERY_INVALID for bad parameters and sums that would take too much memory, and NOT_READY when too many queries run already. Readiness is the caller's to check. */
export async function queryMetrics(source: CellSource, kind: MetricsKind, raw: RawParameters, options: MetricsOptions = {}): Promise<MetricsAnswer> {
  const query = parseMetricsQuery(source.schema, kind, raw, options.rowsMax);
  // Before the scan, which gives way to changes: an hour that becomes final meanwhile may have been read as it was before.
  const { finalUpToMs } = source;
  const asOf = isoOrNull(source.asOfMs);
  const watermark = isoOrNull(source.watermarkMs);
  const { rows, nextCursor } = await gate.run(() => runQuery(source, query, options.groupsMax));
  const columns = columnsOf(source.schema, query, finalUpToMs);
  if (query.format === 'json') {
    const tail = { as_of: asOf, watermark, ...(nextCursor === null ? {} : { next_cursor: nextCursor }) };
    return { contentType: 'application/json; charset=utf-8', headers: {}, body: bodyOf(rows.length, jsonChunks(rows, columns, tail)) };
  }
  const headers = { 'x-as-of': asOf ?? '', 'x-watermark': watermark ?? '', ...(nextCursor === null ? {} : { 'x-next-cursor': nextCursor }) };
  return { contentType: 'text/csv; charset=utf-8', headers, body: bodyOf(rows.length, csvChunks(rows, columns)) };
}

function bodyOf(rows: number, chunks: Iterable<string>): Readable {
  const body = Readable.from(chunks);
  gate.sending(rows, body);
  return body;
}

const isoOrNull = (timeMs: number): string | null => (timeMs < 0 ? null : new Date(timeMs).toISOString());

/** One column: its name and its value as JSON text. `text` columns hold strings from outside. */
interface Column {
  readonly name: string;
  readonly text: boolean;
  readonly json: (row: Group) => string;
}

function columnsOf(schema: ResultSchema, query: MetricsQuery, finalUpToMs: number): readonly Column[] {
  const plain = (name: string, json: (row: Group) => string): Column => ({ name, text: false, json });
  const dimensions = query.groupBy.map((dimension, index): Column => ({ name: schema.dimensions[dimension] as string, text: true, json: (row) => JSON.stringify(row.dimensions[index]) }));
  const shown = labelsShown(schema, query.groupBy);
  const labels = shown.map((index): Column => ({ name: schema.labels[index] as string, text: true, json: (row) => JSON.stringify(row.labels[index]?.text ?? '') }));
  const measures = schema.measures.map(({ name }, index) => plain(name, (row) => String(row.measures[index])));
  const decimals = schema.measures.flatMap(({ name, unit }, index) => (unit === 'micros' ? [plain(decimalName(name), (row) => `"${decimalText(row.measures[index] ?? 0)}"`)] : []));
  return [
    plain('window_start', (row) => `"${new Date(row.windowStartMs).toISOString()}"`),
    ...dimensions,
    ...labels,
    ...measures,
    ...decimals,
    plain(schema.breakdown, (row) => JSON.stringify(Object.fromEntries([...row.breakdown].sort(([left], [right]) => (left < right ? -1 : 1))))),
    plain('late_records', (row) => String(row.lateRecords)),
    plain('revision', (row) => String(row.revision)),
    // Days take late records as long as they are kept: they are never final.
    plain('final', (row) => String(query.kind === 'hourly' && row.windowStartMs + MS_PER_HOUR <= finalUpToMs)),
  ];
}

/**
 * A label is shown where rows have the dimension that it tells of, which is the one whose name it shares the beginning of
 * (`campaign` and `campaign_id_kind` tell of `campaign_id`); one that shares none, where rows have all dimensions.
 */
export function labelsShown(schema: ResultSchema, groupBy: readonly number[]): readonly number[] {
  return schema.labels.flatMap((label, index) => {
    const owner = schema.dimensions.findIndex((dimension) => dimension.startsWith(`${label}_`) || label.startsWith(`${dimension}_`));
    const isShown = owner >= 0 ? groupBy.includes(owner) : groupBy.length === schema.dimensions.length;
    return isShown ? [index] : [];
  });
}

function* jsonChunks(rows: readonly Group[], columns: readonly Column[], tail: object): Generator<string> {
  const keys = columns.map(({ name }) => `${JSON.stringify(name)}:`);
  yield '{"rows":[';
  for (let start = 0; start < rows.length; start += CHUNK_ROWS) {
    const chunk = rows.slice(start, start + CHUNK_ROWS).map((row) => `{${columns.map((column, index) => `${keys[index]}${column.json(row)}`).join(',')}}`);
    yield (start === 0 ? '' : ',') + chunk.join(',');
  }
  yield `],${JSON.stringify(tail).slice(1)}`;
}

function* csvChunks(rows: readonly Group[], columns: readonly Column[]): Generator<string> {
  yield `${columns.map(({ name }) => csvField(name)).join(',')}\r\n`;
  for (let start = 0; start < rows.length; start += CHUNK_ROWS) {
    yield rows
      .slice(start, start + CHUNK_ROWS)
      .map((row) => `${columns.map((column) => csvValue(column, row)).join(',')}\r\n`)
      .join('');
  }
}

function csvValue(column: Column, row: Group): string {
  const json = column.json(row);
  if (!json.startsWith('"')) return csvField(json);
  const value = JSON.parse(json) as string;
  return column.text ? csvText(value) : csvField(value);
}
