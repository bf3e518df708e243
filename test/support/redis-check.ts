/** What a Redis holds, held against the query API: the values that outsiders read are those that /v1/metrics shows. */

import type { RedisServer } from '../peers/redis.ts';
import type { TestDaemon } from './daemon.ts';

type Row = Readonly<Record<string, unknown>>;
type Value = Readonly<Record<string, unknown>>;

const part = (id: string): string => id.replace(/[%:\u0000-\u001f\u007f-\u009f]/g, encodeURIComponent);

/** Every window of every campaign as the query API shows it; raises with the first difference in Redis. */
export async function compareWithQueries(own: TestDaemon, server: RedisServer): Promise<number> {
  const [hours, days] = [(await own.hourly('group_by=campaign_id')).rows, (await own.get<{ rows: Row[] }>('/v1/metrics/daily?group_by=campaign_id')).rows];
  const newest = new Map<string, Row>();
  const startOf = (row: Row | undefined): string => (row === undefined ? '' : (row['window_start'] as string));
  for (const row of hours) {
    const campaign = String(row['campaign_id']);
    compareValue(await valueAt(server, `metrics:hourly:${part(campaign)}:${String(row['window_start']).slice(0, 13)}`), row);
    if (startOf(row) > startOf(newest.get(campaign))) newest.set(campaign, row);
  }
  for (const [campaign, row] of newest) {
    // The newest hour is gone two hours after its end.
    if (Date.parse(String(row['window_start'])) + 3 * 3_600_000 > Date.now() + 60_000) compareValue(await valueAt(server, `metrics:hourly:${part(campaign)}`), row);
  }
  for (const row of days) compareValue(await valueAt(server, `metrics:daily:${part(String(row['campaign_id']))}:${String(row['window_start']).slice(0, 10)}`), row);
  return hours.length + days.length;
}

async function valueAt(server: RedisServer, key: string): Promise<Value & { readonly key: string }> {
  const text = await server.client.get(key);
  if (text === null) throw new Error(`${key} is missing`);
  return { ...(JSON.parse(text) as Value), key };
}

function compareValue(value: Value & { readonly key: string }, row: Row): void {
  if (Date.parse(String(value['timestamp'])) !== Date.parse(String(row['window_start']))) throw new Error(`${value.key}: timestamp ${String(value['timestamp'])}, expected ${String(row['window_start'])}`);
  for (const [name, want] of Object.entries(row)) {
    if (name === 'window_start' || name === 'campaign_id_kind') continue;
    const have = value[name];
    // Decimals are text in the answer of a query and numbers in Redis; a day has no late records beside it.
    if (name === 'late_records' && have === undefined) continue;
    const same = typeof want === 'string' && typeof have === 'number' ? Number(want) === have : JSON.stringify(have) === JSON.stringify(want);
    if (!same) throw new Error(`${value.key}: ${name} is ${JSON.stringify(have)}, expected ${JSON.stringify(want)}`);
  }
}
