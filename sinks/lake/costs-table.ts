/** A date's spend as a table of `costs/`: a row per app, media source, campaign and country, amounts as micros and as DECIMAL, country null for all together. */

import type { StoredCostRow } from '../../engine/core/costs.ts';
import type { TableData } from './column-builder.ts';
import { TableBuilder, type ColumnShape } from './table-builder.ts';

/** Rows built before others get the main thread: about 5 ms. */
const ROWS_AT_ONCE = 2_000;

const SHAPES: readonly ColumnShape[] = [
  { name: 'date', type: 'dictionary' },
  { name: 'app_id', type: 'dictionary' },
  { name: 'media_source', type: 'dictionary' },
  { name: 'campaign_id', type: 'dictionary' },
  { name: 'campaign', type: 'dictionary' },
  { name: 'country', type: 'dictionary' },
  { name: 'currency', type: 'dictionary' },
  { name: 'cost_micros', type: 'integer' },
  { name: 'cost', type: 'decimal_micros' },
  { name: 'updated_at', type: 'timestamp_micros' },
  { name: 'revision', type: 'integer' },
  { name: 'generation', type: 'integer' },
];

export interface CostsTableVersion {
  readonly revision: number;
  readonly generation: number;
}

/** `pause` gives the thread to others for a moment. */
export async function costsTable(rows: readonly StoredCostRow[], { revision, generation }: CostsTableVersion, pause: () => Promise<void>): Promise<TableData> {
  const table = new TableBuilder(SHAPES);
  for (const row of rows) {
    const { date, appId, mediaSource, campaignId, campaign, country, currency, costMicros, updatedAtMs } = row;
    table.appendRow([date, appId, mediaSource, campaignId, campaign, country === '' ? null : country, currency, costMicros, costMicros, updatedAtMs, revision, generation]);
    if (table.rowCount % ROWS_AT_ONCE === 0) await pause();
  }
  return table.finish();
}
