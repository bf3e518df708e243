/** What /metrics and /v1/pipeline tell of limits that are reached and of levels that rise. */

import { describe, expect, it } from 'vitest';
import { message, type TestDaemon } from '../../support/daemon.ts';
import { useDaemons } from './harness.ts';

const { scratch, started } = useDaemons();

/** Samples by name and labels, as they stand in the exposition. */
async function samples(daemon: TestDaemon): Promise<Map<string, number>> {
  const text = await (await fetch(`${daemon.admin}/metrics`)).text();
  return new Map(text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
}

const COUNTRIES_FULL = 'dimension country is at its limit: further values count as other';

describe('the daemon\'s metrics', () => {
  it('count the limits that are reached, which the pipeline names', async () => {
    const daemon = await started({ dataDir: scratch.path, env: { MILLRACE_PARTITIONS: '2', MILLRACE_CELLS_DIMENSION_LIMITS: 'country=1' } });
    const before = await samples(daemon);
    expect(['millrace_alarms', 'millrace_merge_refused_total{reason="lower"}', 'millrace_merge_refused_total{reason="final"}', 'millrace_saturated_measures_total'].map((name) => before.get(name))).toEqual([0, 0, 0, 0]);
    expect((await daemon.pipeline())['alarms']).toEqual([]);
    for (let user = 0; user < 20; user++) await daemon.push(message({ appsflyer_id: `user-${user}`, country_code: user % 2 === 0 ? 'FR' : 'DE' }));
    await daemon.until(async () => (await samples(daemon)).get(`millrace_alarm_partitions{alarm="${COUNTRIES_FULL}"}`) === 2, 30_000, 'the alarm of both partitions');
    expect((await samples(daemon)).get('millrace_alarms')).toBe(1);
    expect((await daemon.pipeline())['alarms']).toEqual([COUNTRIES_FULL]);
    await daemon.until(async () => (await daemon.hourly('group_by=country')).rows.some((row) => row['country'] === 'other'), 30_000, 'a row of the others');
  });

  it('show the level of the lake\'s spool while the lake is away', async () => {
    const daemon = await started({ dataDir: scratch.path, env: { MILLRACE_LAKE_URL: 'file:/proc/nowhere/lake', MILLRACE_LAKE_SLOT_BYTES_MAX: String(16 * 1024 ** 2), MILLRACE_LAKE_SPOOL_BYTES_MAX: String(64 * 1024 ** 2) } });
    const before = await samples(daemon);
    expect(['spool_bytes', 'spool_bytes_max', 'spool_full', 'undecodable_records_total'].map((name) => before.get(`millrace_lake_${name}`))).toEqual([0, 64 * 1024 ** 2, 0, 0]);
    // Where a quarter of an hour has just ended, a slot without rows may have been spooled.
    const [held, spooled] = ['slots_held', 'slots_spooled_total'].map((name) => before.get(`millrace_lake_${name}`) ?? NaN) as [number, number];
    expect([held, spooled].every((count) => count === 0 || count === 1)).toBe(true);
    for (let part = 0; part < 3; part++) {
      const body = Array.from({ length: 10 }, (_, at) => JSON.stringify(message({ appsflyer_id: `${part}-${at}`, filler: 'x'.repeat(900_000) }))).join('\n');
      expect((await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body, headers: { 'content-type': 'application/x-ndjson' } })).status).toBe(200);
    }
    await daemon.until(async () => ((await samples(daemon)).get('millrace_lake_spool_bytes') ?? 0) > 0, 60_000, 'files in the spool');
    expect((await samples(daemon)).get('millrace_lake_slots_spooled_total')).toBeGreaterThan(spooled);
    // The first upload may still be under way.
    await daemon.until(async () => (await samples(daemon)).get('millrace_sink_healthy{sink="lake-events"}') === 0, 30_000, 'the sink to be unhealthy');
  });
});
