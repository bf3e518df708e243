/**
 * A cost report, whatever its form, judged line by line: JSON array, JSON lines or CSV in, rows and the codes of bad lines out.
 *
 * Every line is judged, so that one answer tells all that is to be mended. Gives way every few hundred lines by `pause`. Pure otherwise.
 */

import type { CostRow } from '../../engine/core/costs.ts';
import { CsvFault, csvRows } from '../../engine/core/csv.ts';
import { costColumns, plainName, type CostColumns } from './columns.ts';
import { CostGatherer } from './gather.ts';
import { CostJudge, type CostCode, type CostJudgeOptions } from './judge.ts';

export type CostFormat = 'json' | 'lines' | 'csv';

export interface ReadCostsOptions extends CostJudgeOptions {
  /** More lines are not looked at. */
  readonly linesMax: number;
  /** Gives the thread to others for a moment. */
  readonly pause: () => Promise<void>;
}

export interface RejectedLine {
  /** From 0, the header of a CSV not counted. */
  readonly index: number;
  readonly code: CostCode;
}

export interface CostReport {
  readonly received: number;
  readonly rows: readonly CostRow[];
  /** All of them. */
  readonly rejected: readonly RejectedLine[];
}

/** Why a report as a whole cannot be read. */
export const REPORT_CODES = {
  NOT_UTF8: 'the body is not UTF-8',
  NOT_JSON: 'the body is not valid JSON',
  BAD_CSV: 'the body is not valid CSV',
  NO_COLUMN: 'a column is missing',
  NO_ROWS: 'there is not one row',
  TOO_MANY_ROWS: 'there are too many rows for one request',
} as const;

export class CostReportError extends Error {
  override readonly name = 'CostReportError';
  readonly code: keyof typeof REPORT_CODES;

  constructor(code: keyof typeof REPORT_CODES, detail: string) {
    super(`${REPORT_CODES[code]}: ${detail}`);
    this.code = code;
  }
}

const LINES_PER_TURN = 500;
const PIECE_BYTES = 64 * 1024;
/** Of a line of CSV. Chosen: names are cut far below it. */
const ROW_BYTES_MAX = 1024 * 1024;

/** Rejects CostReportError for what is no report at all. */
export async function readCosts(bytes: Uint8Array, format: CostFormat, options: ReadCostsOptions): Promise<CostReport> {
  const text = textOf(bytes);
  return judgeLines(format === 'csv' ? csvLines(bytes, options) : jsonLinesOf(text, format), options);
}

/** The same for lines that have been read already, such as those of a Parquet file: cells in the order of the names. */
export async function judgeCostRecords(names: readonly string[], records: Iterable<readonly unknown[]>, options: ReadCostsOptions): Promise<CostReport> {
  const columns = required(names, options);
  return judgeLines(
    (function* (): Generator<Line> {
      for (const cells of records) yield { cells, columns };
    })(),
    options,
  );
}

/** A line's cells under its columns, or what is wrong with it already. */
type Line = { readonly cells: readonly unknown[]; readonly columns: CostColumns } | CostCode;

async function judgeLines(lines: Iterable<Line> | AsyncIterable<Line>, options: ReadCostsOptions): Promise<CostReport> {
  const judge = new CostJudge(options);
  const gatherer = new CostGatherer();
  const rejected: RejectedLine[] = [];
  let received = 0;
  for await (const line of lines) {
    if (received === options.linesMax) throw new CostReportError('TOO_MANY_ROWS', `at most ${options.linesMax} are taken; none was`);
    const judged = typeof line === 'string' ? line : judge.judge(line.cells, line.columns);
    const code = typeof judged === 'string' ? judged : gatherer.add(judged);
    if (code !== null) rejected.push({ index: received, code });
    received++;
    if (received % LINES_PER_TURN === 0) await options.pause();
  }
  if (received === 0) throw new CostReportError('NO_ROWS', 'send at least one');
  return { received, rows: gatherer.rows(), rejected };
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new CostReportError('NOT_UTF8', 'write the report in UTF-8');
  }
}

function jsonLinesOf(text: string, format: Exclude<CostFormat, 'csv'>): Iterable<Line> {
  switch (format) {
    case 'lines':
      return jsonLines(text);
    case 'json': {
      const whole = parsed(text);
      if (whole !== undefined) return objectLines(Array.isArray(whole) ? whole : [whole]);
      // Lines of JSON are sent as application/json too; a broken array is no such thing.
      if (text.trimStart().startsWith('[')) throw new CostReportError('NOT_JSON', 'the array has a mistake');
      return jsonLines(text);
    }
  }
}

async function* csvLines(bytes: Uint8Array, options: ReadCostsOptions): AsyncGenerator<Line> {
  let columns: CostColumns | null = null;
  let width = 0;
  try {
    for await (const rows of csvRows({ pieces: piecesOf(bytes), rowBytesMax: ROW_BYTES_MAX, strayQuotes: 'refuse', lineEnds: 'any' })) {
      for (const cells of rows) {
        if (columns === null) {
          columns = required(cells, options);
          width = cells.length;
        } else yield cells.length === width ? { cells, columns } : 'BAD_COLUMNS';
      }
    }
  } catch (error) {
    if (error instanceof CsvFault) throw new CostReportError('BAD_CSV', error.message);
    throw error;
  }
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

const jsonLines = (text: string): Iterable<Line> =>
  objectLines(
    (function* (): Generator<unknown> {
      for (const line of text.split('\n')) if (line.trim() !== '') yield parsed(line);
    })(),
  );

/** Undefined for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Objects of one report mostly have the same keys in the same order, whose meaning is then found once. */
function* objectLines(values: Iterable<unknown>): Generator<Line> {
  let lastKeys = '';
  let columns = costColumns([]);
  for (const value of values) {
    if (value === undefined) yield 'NOT_JSON';
    else if (typeof value !== 'object' || value === null || Array.isArray(value)) yield 'NOT_OBJECT';
    else {
      const names = Object.keys(value);
      const keys = JSON.stringify(names);
      if (keys !== lastKeys) columns = costColumns(names);
      lastKeys = keys;
      yield { cells: Object.values(value), columns };
    }
  }
}

/** The columns of a header; one without which no line can be a row is missed here, once. */
function required(names: readonly string[], { defaults }: ReadCostsOptions): CostColumns {
  const columns = costColumns(names);
  const missing = (['date', 'media_source', 'cost', ...(defaults.appId === null ? ['app_id' as const] : []), ...(defaults.currency === null ? ['currency' as const] : [])] as const).filter((field) => columns.of[field].length === 0);
  if (missing.length > 0) throw new CostReportError('NO_COLUMN', `${missing.join(', ')} among ${names.map(plainName).join(', ').slice(0, 500)}`);
  return columns;
}
