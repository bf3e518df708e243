/** The parameters of `/v1/costs`: checked here, described in the OpenAPI page by the same schema. */

import { z } from '../../../engine/core/schema.ts';
import { FILTER_VALUES_MAX, filterValues, invalid, issueFault, limitOf, type RawParameters } from '../query-parameters.ts';

export const COST_FILTERS = ['app_id', 'media_source', 'campaign_id', 'country', 'currency'] as const;
export type CostFilter = (typeof COST_FILTERS)[number];

export interface CostsQuery {
  /** Inclusive; empty for the first. */
  readonly from: string;
  /** Exclusive; empty for none. */
  readonly to: string;
  readonly filters: ReadonlyMap<CostFilter, ReadonlySet<string>>;
  readonly limit: number;
  /** Key of the row before the first; null for none. */
  readonly after: Uint8Array | null;
  readonly format: 'json' | 'csv';
}

export const COST_ROWS_MAX = 10_000;
const CURSOR_BYTES_MAX = 1_978;
const text = () => z.string().max(4_096);
const list = () => z.union([text(), z.array(text()).max(FILTER_VALUES_MAX)]);

export const costsQuerySchema = z.strictObject({
  from: text().optional().describe('First date, inclusive: yyyy-mm-dd'),
  to: text().optional().describe('Last date, exclusive'),
  limit: text().optional().describe(`Rows in the answer, at most ${COST_ROWS_MAX}`),
  cursor: text().optional().describe('next_cursor of the answer before, with all other parameters unchanged'),
  format: z.enum(['json', 'csv']).optional().describe('json (default) or csv'),
  ...(Object.fromEntries(COST_FILTERS.map((name) => [name, list().optional().describe(`Only these values of ${name}: comma list, or repeated; \\, for a comma in a value${name === 'country' ? '; empty for spend of all countries together' : ''}`)])) as Record<CostFilter, z.ZodOptional<ReturnType<typeof list>>>),
});

/** Raises QUERY_INVALID. */
export function parseCostsQuery(raw: RawParameters): CostsQuery {
  for (const key of ['from', 'to', 'limit', 'cursor', 'format']) if (Array.isArray(raw[key])) throw invalid(key, raw[key], 'it is given more than once', 'give it once');
  const parsed = costsQuerySchema.safeParse(raw);
  if (!parsed.success) throw issueFault(parsed.error.issues[0], raw, `from, to, limit, cursor, format, or a filter: ${COST_FILTERS.join(', ')}`);
  const { from, to, limit, cursor, format } = parsed.data;
  const query = { from: dateOf('from', from), to: dateOf('to', to), filters: filtersOf(parsed.data), limit: limitOf(limit, COST_ROWS_MAX), after: cursorOf(cursor), format: format ?? 'json' } as const;
  if (query.to !== '' && query.to <= query.from) throw invalid('to', to, 'it is not after from', 'from is inclusive, to is exclusive');
  return query;
}

function dateOf(key: string, value: string | undefined): string {
  if (value === undefined) return '';
  if (/^\d{4}-\d\d-\d\d$/.test(value) && Number.isFinite(Date.parse(value))) return value;
  throw invalid(key, value, 'it is not a date', 'write it like 2026-11-22');
}

function filtersOf(parameters: { readonly [name in CostFilter]?: string | readonly string[] | undefined }): ReadonlyMap<CostFilter, ReadonlySet<string>> {
  const filters = new Map<CostFilter, ReadonlySet<string>>();
  for (const name of COST_FILTERS) {
    const value = parameters[name];
    if (value === undefined) continue;
    filters.set(name, filterValues(name, value));
  }
  return filters;
}

export const encodeCostCursor = (key: Uint8Array): string => Buffer.from(key).toString('base64url');

function cursorOf(value: string | undefined): Uint8Array | null {
  if (value === undefined) return null;
  const key = Buffer.from(value, 'base64url');
  if (key.byteLength === 0 || key.byteLength > CURSOR_BYTES_MAX || encodeCostCursor(key) !== value) throw invalid('cursor', value, 'it is no cursor', 'give next_cursor as it was in the answer');
  return key;
}
