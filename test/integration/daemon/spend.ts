/** What tests of spend share: rows to put, and what the daemon and its lake have of them. */

import { MS_PER_DAY } from '../../../engine/core/types.ts';
import type { TestDaemon } from '../../support/daemon.ts';
import { duckdb } from '../../support/duckdb.ts';

/** Files of spend reach the lake at once. */
export const QUICK_LAKE = { MILLRACE_LAKE_COSTS_INTERVAL_SECONDS: '1' };

interface CostAnswerRow {
  readonly date: string;
  readonly campaign_id: string;
  readonly country: string | null;
  readonly cost: string;
}

export const day = (back: number): string => new Date(Date.now() - back * MS_PER_DAY).toISOString().slice(0, 10);
export const line = (fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({ date: day(1), app_id: 'com.example.shop', media_source: 'googleadwords_int', campaign_id: '77', currency: 'EUR', cost: '12.5', ...fields });
export const put = (daemon: TestDaemon, lines: readonly object[], query = ''): Promise<Response> => fetch(`${daemon.ingest}/v1/costs${query}`, { method: 'PUT', body: JSON.stringify(lines), headers: { 'content-type': 'application/json' } });

/** All rows, page by page, with the amount by name. */
export async function costsOf(daemon: TestDaemon): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  let cursor = '';
  do {
    const answer = await daemon.get<{ rows: CostAnswerRow[]; next_cursor?: string }>(`/v1/costs?limit=500${cursor === '' ? '' : `&cursor=${cursor}`}`);
    for (const row of answer.rows) found.set(`${row.date} ${row.campaign_id} ${row.country ?? ''}`, row.cost);
    cursor = answer.next_cursor ?? '';
  } while (cursor !== '');
  return found;
}

export const lakeCosts = async (lake: string): Promise<Record<string, unknown>[]> =>
  (await duckdb(`select event_date::varchar as event_date, date, app_id, media_source, campaign_id, campaign, country, currency, cost_micros::bigint as micros, cost::varchar as cost, typeof(cost) as type from read_parquet('${lake}/costs/*/*.parquet', hive_partitioning = true) order by 1, 5, 7`).catch((error: unknown) => {
    if (error instanceof Error && error.message.includes('No files found')) return [];
    throw error;
  }));
