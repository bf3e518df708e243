/**
 * The parameters of `/v1/metrics/hourly` and `/daily`: one zod schema per pipeline, for checking and for the OpenAPI page.
 *
 * Every bad parameter is named with its value and what to do; unknown ones are refused, because a misspelt filter would
 * otherwise answer with everything.
 */

import { dimensionValue } from '../../engine/core/dimension-value.ts';
import { EngineError } from '../../engine/core/errors.ts';
import type { ResultSchema } from '../../engine/core/pipeline.ts';
import { z } from '../../engine/core/schema.ts';
import { decodeCursor, queryFingerprint } from './cursor.ts';
import type { CursorPosition } from './cursor.ts';
import { decimalName } from './decimal.ts';

export type MetricsKind = 'hourly' | 'daily';
export type RawParameters = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface SortKey {
  readonly name: string;
  readonly descending: boolean;
}

/** A checked query. */
export interface MetricsQuery {
  readonly kind: MetricsKind;
  readonly fromMs: number;
  /** Exclusive. */
  readonly toMs: number;
  /** By index of the dimension: the values let through. */
  readonly filters: ReadonlyMap<number, ReadonlySet<string>>;
  /** Indexes of the dimensions, in the order asked for. */
  readonly groupBy: readonly number[];
  readonly includeLate: boolean;
  readonly sort: readonly SortKey[];
  readonly limit: number;
  readonly after: CursorPosition | null;
  readonly format: 'json' | 'csv';
  readonly fingerprint: string;
}

export const ROWS_DEFAULT = 10_000;
export const FILTER_VALUES_MAX = 1_000;
const SORT_KEYS_MAX = 4;
const TEXT_MAX = 4_096;
const ISO = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)?)?$/;

const text = () => z.string().max(TEXT_MAX);
const list = () => z.union([text(), z.array(text()).max(FILTER_VALUES_MAX)]);

/** All parameters, as they come in. */
export function metricsQuerySchema(schema: ResultSchema) {
  const names = schema.dimensions.join(', ');
  const filters = Object.fromEntries(schema.dimensions.map((name) => [name, list().optional().describe(`Only these values of ${name}: comma list, or repeated; \\, for a comma in a value`)]));
  return z.strictObject({
    from: text().optional().describe('First window_start, inclusive: ISO 8601 (UTC when without zone) or epoch milliseconds'),
    to: text().optional().describe('Last window_start, exclusive'),
    group_by: list().optional().describe(`Comma list of ${names}; or none for totals. Default: all`),
    late: z.enum(['include', 'beside']).optional().describe('include: late records are in the sums of their hour; beside (default): only counted in late_records. Days have them in their sums always'),
    sort: list().optional().describe('Comma list of window_start, late_records, dimensions grouped by and measures; - before a name for descending. Ties and default: window_start, then dimensions'),
    limit: text().optional().describe('Rows in the answer'),
    cursor: text().optional().describe('next_cursor of the answer before, with all other parameters unchanged'),
    format: z.enum(['json', 'csv']).optional().describe('json (default) or csv'),
    ...filters,
  });
}

/** Checks raw parameters. Raises QUERY_INVALID. */
export function parseMetricsQuery(schema: ResultSchema, kind: MetricsKind, raw: RawParameters, rowsMax: number = ROWS_DEFAULT): MetricsQuery {
  for (const key of ['from', 'to', 'late', 'limit', 'cursor', 'format']) {
    if (Array.isArray(raw[key])) throw invalid(key, raw[key], 'it is given more than once', 'give it once');
  }
  const parsed = metricsQuerySchema(schema).safeParse(raw);
  if (!parsed.success) throw issueFault(parsed.error.issues[0], raw, `from, to, group_by, late, sort, limit, cursor, format, or a filter: ${schema.dimensions.join(', ')}`);
  const fromMs = raw['from'] === undefined ? 0 : timeOf('from', raw['from'] as string);
  const toMs = raw['to'] === undefined ? Number.MAX_SAFE_INTEGER : timeOf('to', raw['to'] as string);
  if (toMs <= fromMs) throw invalid('to', raw['to'], 'it is not after from', 'from is inclusive, to is exclusive');
  const filters = new Map<number, ReadonlySet<string>>();
  for (const [index, name] of schema.dimensions.entries()) {
    const value = raw[name];
    if (value !== undefined) filters.set(index, filterOf(name, value));
  }
  const groupBy = groupOf(schema, raw['group_by']);
  const sort = sortOf(schema, groupBy, raw['sort']);
  const includeLate = raw['late'] === 'include';
  const fingerprint = queryFingerprint([kind, fromMs, toMs, [...filters].map(([index, values]) => [index, [...values].sort()]), groupBy, includeLate, sort]);
  return {
    kind,
    fromMs,
    toMs,
    filters,
    groupBy,
    includeLate,
    sort,
    limit: limitOf(raw['limit'] as string | undefined, rowsMax),
    after: raw['cursor'] === undefined ? null : cursorOf(raw['cursor'] as string, fingerprint, sort.length, groupBy.length),
    format: raw['format'] === 'csv' ? 'csv' : 'json',
    fingerprint,
  };
}

function timeOf(key: string, value: string): number {
  if (/^\d{1,15}$/.test(value)) {
    const timeMs = Number(value);
    if (timeMs !== 0 && timeMs < 1e11) throw invalid(key, value, 'as epoch milliseconds it lies in 1973 or before', 'give milliseconds (13 digits), not seconds');
    return timeMs;
  }
  const zoned = /T.*(Z|[+-]\d\d:\d\d)$/.test(value) || !value.includes('T') ? value : `${value}Z`;
  const timeMs = ISO.test(value) ? Date.parse(zoned) : Number.NaN;
  if (!Number.isFinite(timeMs) || timeMs < 0) throw invalid(key, value, 'it is not a time', 'write it like 2026-11-22T01:00:00Z, or as epoch milliseconds; a + in a zone is %2B in a URL');
  return timeMs;
}

/** Splits comma lists; `\,` stands for a comma in a value, `\\` for a backslash. */
export function itemsOf(value: string | readonly string[]): string[] {
  const items: string[] = [];
  for (const part of typeof value === 'string' ? [value] : value) {
    let item = '';
    for (let at = 0; at < part.length; at++) {
      const character = part[at] as string;
      if (character === '\\' && at + 1 < part.length) item += part[++at] as string;
      else if (character === ',') {
        items.push(item);
        item = '';
      } else item += character;
    }
    items.push(item);
  }
  return items;
}

function filterOf(name: string, value: string | readonly string[]): ReadonlySet<string> {
  const values = filterValues(name, value);
  if (values.has('')) throw invalid(name, value, 'it has an empty value', `cells have no empty ${name}: leave it out, or name the value (unknown, none ...)`);
  return values;
}

/** The values of a filter as cells and rows hold them: a longer one is cut and ends in a hash of the whole. */
export function filterValues(name: string, value: string | readonly string[]): ReadonlySet<string> {
  const items = itemsOf(value);
  if (items.length > FILTER_VALUES_MAX) throw invalid(name, `${items.length} values`, `more than ${FILTER_VALUES_MAX} values`, 'ask in several queries');
  return new Set(items.map(dimensionValue));
}

function groupOf(schema: ResultSchema, value: string | readonly string[] | undefined): readonly number[] {
  if (value === undefined) return schema.dimensions.map((_, index) => index);
  const names = itemsOf(value);
  if (names.length === 1 && names[0] === 'none') return [];
  const indexes: number[] = [];
  for (const name of names) {
    const index = schema.dimensions.indexOf(name);
    if (index < 0) throw invalid('group_by', name, 'there is no such dimension', `use ${schema.dimensions.join(', ')}; or none for totals`);
    if (indexes.includes(index)) throw invalid('group_by', name, 'it is named twice', 'name it once');
    indexes.push(index);
  }
  return indexes;
}

function sortOf(schema: ResultSchema, groupBy: readonly number[], value: string | readonly string[] | undefined): readonly SortKey[] {
  if (value === undefined) return [];
  const grouped = groupBy.map((index) => schema.dimensions[index] as string);
  const known = ['window_start', 'late_records', ...grouped, ...schema.measures.flatMap(({ name, unit }) => (unit === 'micros' ? [name, decimalName(name)] : [name]))];
  const keys = itemsOf(value).map((item) => ({ name: item.replace(/^-/, ''), descending: item.startsWith('-') }));
  for (const { name } of keys) if (!known.includes(name)) throw invalid('sort', name, 'rows cannot be sorted by it', `use ${known.join(', ')}; - before a name for descending`);
  if (keys.length > SORT_KEYS_MAX) throw invalid('sort', value, `more than ${SORT_KEYS_MAX} names`, 'name fewer');
  return keys;
}

export function limitOf(value: string | undefined, rowsMax: number): number {
  if (value === undefined) return Math.min(ROWS_DEFAULT, rowsMax);
  const limit = /^\d{1,9}$/.test(value) ? Number(value) : 0;
  if (limit < 1 || limit > rowsMax) throw invalid('limit', value, 'it is out of range', `give a whole number from 1 to ${rowsMax}; more rows come with cursor`);
  return limit;
}

function cursorOf(value: string, fingerprint: string, sortCount: number, groupCount: number): CursorPosition {
  const cursor = decodeCursor(value);
  if (cursor === null) throw invalid('cursor', value, 'it is no cursor', 'give next_cursor as it was in the answer');
  if (cursor.fingerprint !== fingerprint || cursor.position.sortValues.length !== sortCount || cursor.position.dimensions.length !== groupCount) {
    throw invalid('cursor', value, 'it belongs to another query', 'keep all parameters but limit and format as they were');
  }
  return cursor.position;
}

/** `known`: the parameters there are, for who misspelt one. */
export function issueFault(issue: z.core.$ZodIssue | undefined, raw: RawParameters, known: string): EngineError {
  if (issue?.code === 'unrecognized_keys') {
    const key = issue.keys[0] as string;
    return invalid(key, raw[key], 'there is no such parameter', `use ${known}`);
  }
  const key = String(issue?.path[0] ?? '');
  return invalid(key, raw[key], issue?.message ?? 'it cannot be used', 'see /openapi.json');
}

export function invalid(key: string, value: string | readonly string[] | undefined, problem: string, fix: string): EngineError {
  const shown = (typeof value === 'string' ? value : (value ?? []).join(',')).slice(0, 100);
  return new EngineError('QUERY_INVALID', `${key}=${shown}: ${problem}: ${fix}`, { where: { key, value: shown }, fix });
}
