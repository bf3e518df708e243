/** The first minute of a new user, against the built daemon: every sample of README gives the row that README promises. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestDaemon, appsflyerTime, message, runCli, temporaryDirectory } from '../../support/daemon.ts';
import { END_MS_MAX } from './harness.ts';

const scratch = temporaryDirectory();
let daemon: TestDaemon;
const now = Date.now();
const hour = new Date(Math.floor(now / 3_600_000) * 3_600_000).toISOString();

beforeAll(async () => {
  daemon = await TestDaemon.start({ dataDir: scratch.path });
});
afterAll(async () => {
  await TestDaemon.endAll();
  scratch.remove();
});

describe('the daemon', () => {
  it('counts install, purchase, refund, duplicate and organic as documented, within a second', async () => {
    const user = { appsflyer_id: '1718000000123-1', event_time: appsflyerTime(now) };
    const purchase = message({ ...user, event_name: 'af_purchase', event_value: '{"af_revenue":"12.50"}', event_revenue: '12.5', event_revenue_currency: 'EUR', event_revenue_usd: '13.61' });
    const sent = [
      message({ ...user, event_name: 'install' }),
      purchase,
      message({ ...user, event_name: 'af_purchase', event_value: '{"af_revenue":"-3.61"}', event_revenue_usd: '-3.61' }),
      purchase,
      { app_id: 'id1234567890', platform: 'ios', appsflyer_id: '1718100000456-7654321', event_name: 'install', event_time: appsflyerTime(now), campaign_type: 'organic', conversion_type: 'install', media_source: 'organic', country_code: 'DE', is_primary_attribution: true },
    ];
    const startMs = performance.now();
    for (const body of sent) expect((await daemon.push(body)).status).toBe(200);
    await daemon.settled(5);
    const answer = await daemon.hourly(`from=${hour}&group_by=campaign_id,country`);
    expect(performance.now() - startMs).toBeLessThan(process.env['CI'] === 'true' ? 5_000 : 2_000);
    const paid = answer.rows.find((row) => row['campaign_id'] === '21421952087');
    expect(paid).toMatchObject({ window_start: hour, country: 'FR', campaign: 'spring_fr', installs: 1, events: 2, conversions: 2, revenue_micros: 10_000_000, revenue: '10.00', late_records: 0, final: false, by_event: { af_purchase: 2 } });
    const organic = answer.rows.find((row) => row['campaign_id'] === 'organic');
    expect(organic).toMatchObject({ country: 'DE', installs: 1, revenue: '0.00' });
    expect((await daemon.pipeline()).conservation).toEqual({ received: 5, accepted: 4, duplicate: 1, late: 0, rejected: 0 });
  });

  it('takes the GET form and batches, and tells which records of a batch it rejects', async () => {
    const query = new URLSearchParams(message({ appsflyer_id: 'get-1' }) as Record<string, string>);
    expect((await fetch(`${daemon.ingest}/v1/appsflyer/push?${query.toString()}`)).status).toBe(200);
    const lines = [JSON.stringify(message({ appsflyer_id: 'nd-1' })), '{"broken":', JSON.stringify(message({ appsflyer_id: 'nd-2' }))].join('\n');
    const batch = await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body: lines, headers: { 'content-type': 'application/x-ndjson' } });
    expect(batch.status).toBe(200);
    expect(await batch.json()).toMatchObject({ received: 3, rejected: [{ index: 1, code: 'NOT_JSON' }] });
    const pipeline = await daemon.settled(9);
    expect(pipeline.conservation).toEqual({ received: 9, accepted: 7, duplicate: 1, late: 0, rejected: 1 });
  });

  it('keeps what it rejects, with code and bytes, and shows it in the tail', async () => {
    expect((await daemon.push('{"app_id":"x"')).status).toBe(400);
    expect((await daemon.push(message({ event_time: 'yesterday', appsflyer_id: 'bad-time' }))).status).toBe(200);
    expect((await daemon.push(message({ event_time: '2099-01-01 00:00:00.000', appsflyer_id: 'future' }))).status).toBe(200);
    expect((await fetch(`${daemon.ingest}/v1/appsflyer/push?app_id=x`)).status).toBe(200);
    const large = `{"filler":"${'x'.repeat(300_000)}`;
    expect((await daemon.push(large)).status).toBe(400);
    await daemon.settled(14);
    const { letters } = await daemon.get<{ letters: { code: string; source: string; size: number; bytes: string }[] }>('/v1/dead-letters?limit=10');
    expect(letters.map((letter) => `${letter.source} ${letter.code}`).sort()).toEqual(['events NOT_JSON', 'push BAD_EVENT_TIME', 'push FUTURE_EVENT_TIME', 'push NOT_JSON', 'push NOT_JSON', 'push_get NO_EVENT_NAME']);
    expect(letters.find((letter) => letter.bytes === '{"app_id":"x"')?.size).toBe(13);
    expect(letters.find((letter) => letter.bytes.startsWith('{"filler":'))?.size).toBe(large.length);
    const tail = await runCli(['tail', '--admin', daemon.admin, '--json', '--limit', '50']);
    expect(tail.code).toBe(0);
    const records = tail.stdout.trim().split('\n').map((line) => JSON.parse(line) as { outcome: string; reason: string | null; cell: { window_start: string } | null });
    expect(records).toHaveLength(14);
    expect(records.filter((record) => record.outcome === 'rejected').map((record) => record.reason)).toContain('BAD_EVENT_TIME');
    expect(records.some((record) => record.outcome === 'accepted' && record.cell?.window_start === hour)).toBe(true);
  });

  it('answers health, readiness, definitions, OpenAPI, the page and metrics in Prometheus format', async () => {
    expect((await fetch(`${daemon.admin}/healthz`)).status).toBe(200);
    expect((await fetch(`${daemon.admin}/readyz`)).status).toBe(200);
    const definitions = JSON.stringify(await daemon.get('/v1/definitions'));
    for (const measure of ['installs', 'revenue_micros', 'secondary_conversions', 'unpriced_events']) expect(definitions).toContain(measure);
    const openapi = await daemon.get<{ openapi: string; paths: Record<string, unknown> }>('/openapi.json');
    expect(Object.keys(openapi.paths)).toEqual(expect.arrayContaining(['/v1/metrics/hourly', '/v1/metrics/daily', '/v1/pipeline', '/v1/stream']));
    const page = await fetch(`${daemon.admin}/`);
    expect(page.headers.get('content-type')).toContain('text/html');
    const metrics = await (await fetch(`${daemon.admin}/metrics`)).text();
    expect(metrics).toMatch(/^millrace_records_total\{verdict="accepted"\} 7$/m);
    expect(metrics).toMatch(/^millrace_door\{door="(uws|node)"/m);
    expect(metrics).toContain('millrace_ack_latency_seconds_bucket');
  });

  it('answers a bad query with the key, the value and the fix', async () => {
    const answer = await fetch(`${daemon.admin}/v1/metrics/hourly?group_by=colour`);
    expect(answer.status).toBe(400);
    const body = (await answer.json()) as { error: { message: string } };
    expect(body.error.message).toMatch(/group_by.*colour.*campaign_id/);
  });

  it('ends with 0 after SIGTERM within 10 s, and shows the same rows after a restart', async () => {
    const before = await daemon.hourly(`from=${hour}`);
    const startMs = performance.now();
    expect(await daemon.stop()).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(END_MS_MAX);
    daemon = await TestDaemon.start({ dataDir: scratch.path });
    const after = await daemon.hourly(`from=${hour}`);
    expect(after.rows.map((row) => ({ ...row, revision: 0 }))).toEqual(before.rows.map((row) => ({ ...row, revision: 0 })));
    expect((await daemon.pipeline()).conservation.received).toBe(14);
  });
});
