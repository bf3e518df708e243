/**
 * The answer of `/v1/costs`: rows of spend by date, app, media source, campaign and country, as JSON or CSV.
 *
 * Bounded: rows an answer and rows looked at, after which the answer ends with a cursor, at times short of its limit; answers that wait for
 * their readers are counted by the gate. The event loop has its turn between pages. What is past retention is not shown.
 */

import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import type { StoredCostRow } from '../../../engine/core/costs.ts';
import type { MetricsAnswer } from '../answer.ts';
import { csvField, csvText } from '../csv.ts';
import { decimalText } from '../decimal.ts';
import { QueryGate } from '../query-gate.ts';
import type { RawParameters } from '../query-parameters.ts';
import { successor, type CostStore } from './cost-store.ts';
import { dateKey } from './encode.ts';
import { encodeCostCursor, parseCostsQuery, type CostFilter, type CostsQuery } from './parameters.ts';

/** Chosen: some 200 ms of reading. */
const LOOKED_AT_MAX = 100_000;
const CHUNK_ROWS = 200;
/** Above every byte of a date. */
const LAST_KEY = new Uint8Array([0xff]);

const FIELDS: Readonly<Record<CostFilter, (row: StoredCostRow) => string>> = {
  app_id: (row) => row.appId,
  media_source: (row) => row.mediaSource,
  campaign_id: (row) => row.campaignId,
  country: (row) => row.country,
  currency: (row) => row.currency,
};

const gate = new QueryGate();

/** Raises QUERY_INVALID for bad parameters and NOT_READY when too many ask at once. */
export async function queryCosts(store: CostStore, raw: RawParameters, nowMs: number): Promise<MetricsAnswer> {
  const query = parseCostsQuery(raw);
  const { rows, nextCursor } = await gate.run(() => find(store, query, nowMs));
  const body = Readable.from(query.format === 'csv' ? csvChunks(rows) : jsonChunks(rows, nextCursor));
  gate.sending(rows.length, body);
  return query.format === 'csv'
    ? { contentType: 'text/csv; charset=utf-8', headers: nextCursor === null ? {} : { 'x-next-cursor': nextCursor }, body }
    : { contentType: 'application/json; charset=utf-8', headers: {}, body };
}

async function find(store: CostStore, query: CostsQuery, nowMs: number): Promise<{ readonly rows: readonly StoredCostRow[]; readonly nextCursor: string | null }> {
  const { first } = store.datesKept(nowMs);
  const start = dateKey(query.from > first ? query.from : first);
  const after = query.after === null ? start : successor(query.after);
  const rows: StoredCostRow[] = [];
  let lookedAt = 0;
  for (const page of store.pages(Buffer.compare(after, start) > 0 ? after : start, query.to === '' ? LAST_KEY : dateKey(query.to))) {
    for (const { key, row } of page) {
      lookedAt++;
      if (matches(row, query)) rows.push(row);
      if (rows.length === query.limit || lookedAt === LOOKED_AT_MAX) return { rows, nextCursor: encodeCostCursor(key) };
    }
    await turn();
  }
  return { rows, nextCursor: null };
}

function matches(row: StoredCostRow, { filters }: CostsQuery): boolean {
  for (const [name, values] of filters) if (!values.has(FIELDS[name](row))) return false;
  return true;
}

const shown = (row: StoredCostRow): object => ({
  date: row.date,
  app_id: row.appId,
  media_source: row.mediaSource,
  campaign_id: row.campaignId,
  campaign: row.campaign,
  country: row.country === '' ? null : row.country,
  currency: row.currency,
  cost_micros: row.costMicros,
  cost: decimalText(row.costMicros),
  updated_at: new Date(row.updatedAtMs).toISOString(),
});

function* jsonChunks(rows: readonly StoredCostRow[], nextCursor: string | null): Generator<string> {
  yield '{"rows":[';
  for (let start = 0; start < rows.length; start += CHUNK_ROWS) {
    yield (start === 0 ? '' : ',') + rows.slice(start, start + CHUNK_ROWS).map((row) => JSON.stringify(shown(row))).join(',');
  }
  yield nextCursor === null ? ']}' : `],"next_cursor":${JSON.stringify(nextCursor)}}`;
}

const CSV_HEADER = 'date,app_id,media_source,campaign_id,campaign,country,currency,cost_micros,cost,updated_at\r\n';

function* csvChunks(rows: readonly StoredCostRow[]): Generator<string> {
  yield CSV_HEADER;
  for (let start = 0; start < rows.length; start += CHUNK_ROWS) {
    yield rows.slice(start, start + CHUNK_ROWS).map(csvLine).join('');
  }
}

function csvLine(row: StoredCostRow): string {
  const names = [row.appId, row.mediaSource, row.campaignId, row.campaign, row.country].map(csvText);
  return `${[row.date, ...names, csvField(row.currency), row.costMicros, decimalText(row.costMicros), new Date(row.updatedAtMs).toISOString()].join(',')}\r\n`;
}
