/** The built daemon and a real Redis: equal to the query API to the unit, through outages and flushes, and never in anybody's way. */

import { afterEach, expect, it } from 'vitest';
import { describeWithRedis, eventually, startRedis, type RedisServer } from '../../peers/redis.ts';
import { message, runCli, type PipelineAnswer, type TestDaemon } from '../../support/daemon.ts';
import { LATENCY_MS_P99_MAX, Load, conserved, expectExact, pause } from '../../support/load.ts';
import { compareWithQueries } from '../../support/redis-check.ts';
import { useDaemons } from './harness.ts';

/** The long run has 20 s. */
const OUTAGE_MS = Number(process.env['MILLRACE_TEST_REDIS_OUTAGE_MS'] ?? 5_000);
const RSS_GROWTH_BYTES_MAX = 200 * 1024 * 1024;

const { scratch, started } = useDaemons();
let redis: RedisServer | null = null;
afterEach(async () => {
  await redis?.stop();
  redis = null;
});

async function open(): Promise<{ own: TestDaemon; server: RedisServer }> {
  redis = await startRedis();
  return { own: await started({ dataDir: scratch.path, env: { MILLRACE_REDIS_URL: redis.url } }), server: redis };
}

const sinkOf = (pipeline: PipelineAnswer, name: string): PipelineAnswer['sinks'][number] & { readonly last_error?: string | null } => {
  const sink = pipeline.sinks.find((candidate) => candidate.name === name);
  if (sink === undefined) throw new Error(`no sink ${name} in ${JSON.stringify(pipeline.sinks)}`);
  return sink;
};

describeWithRedis('the daemon with Redis', () => {
  it('shows every campaign and window as /v1/metrics does, each key with an end', async () => {
    const { own, server } = await open();
    const run = await runCli(['generate', '--url', own.ingest, '--rate', '240000', '--count', '4000', '--seed', '21', '--garbage', '0.01', '--batch', '50']);
    expect(run.code).toBe(0);
    expect((await own.push(message({ appsflyer_id: 'old', event_time: '1970-01-01 00:00:00.001', af_c_id: 'epoch' }))).status).toBe(200);
    expect((await own.push(message({ appsflyer_id: 'odd', af_c_id: 'a:b%c\u0007d' }))).status).toBe(200);
    await own.settled(4_002);
    await eventually(async () => {
      expect(await compareWithQueries(own, server)).toBeGreaterThan(50);
    });
    const keys = await server.client.keys('metrics:*');
    for (const key of keys) {
      const ttlMs = await server.client.pttl(key);
      // -1 is a key without an end, -2 one whose end has just come.
    expect(ttlMs, key).not.toBe(-1);
      expect(ttlMs, key).toBeLessThan(80 * 3_600_000);
    }
    expect(sinkOf(await own.pipeline(), 'redis')).toMatchObject({ healthy: true });
  });

  it('shows an event within a second of its acknowledgement', async () => {
    const { own, server } = await open();
    for (let round = 0; round < 5; round++) {
      const campaign = `quick-${round}`;
      expect((await own.push(message({ appsflyer_id: campaign, af_c_id: campaign }))).status).toBe(200);
      const startMs = performance.now();
      await eventually(async () => {
        expect(await server.client.get(`metrics:hourly:${campaign}`)).not.toBeNull();
      });
      expect(performance.now() - startMs).toBeLessThan(process.env['CI'] === 'true' ? 5_000 : 1_000);
    }
  });

  it(`outlives an outage of ${OUTAGE_MS} ms under load: nobody else notices, and Redis catches up`, { timeout: 240_000 + OUTAGE_MS }, async () => {
    const { own, server } = await open();
    const load = new Load({ url: own.ingest, requestsPerSecond: 20, batch: 20, name: 'outage', campaigns: 20 });
    await eventually(async () => {
      expect(await server.client.exists(...Array.from({ length: 20 }, (_, campaign) => `metrics:hourly:outage-c${campaign}`))).toBe(20);
    });
    const rss = async (): Promise<number> => Number(/^millrace_process_rss_bytes (\S+)$/m.exec(await (await fetch(`${own.admin}/metrics`)).text())?.[1]);
    const before = { rss: await rss(), acknowledged: load.acknowledged };
    await server.kill();
    await own.until(async () => !sinkOf(await own.pipeline(), 'redis').healthy, 30_000, 'the outage to be noticed');
    await pause(OUTAGE_MS);
    const during = await own.pipeline();
    expect(sinkOf(during, 'redis').last_error).toMatch(/\S/);
    expect(sinkOf(during, 'redis').lag_ms).toBeGreaterThan(1_000);
    expect(sinkOf(during, 'lake-hourly').healthy).toBe(true);
    expect((await fetch(`${own.admin}/readyz`)).status).toBe(200);
    const visible = async (): Promise<number> => (await own.hourly('group_by=none')).rows.reduce((sum, row) => sum + Number(row['events']), 0);
    await own.until(async () => (await visible()) > before.acknowledged, 30_000, 'events of the outage to be visible');
    await server.restart();
    await own.until(async () => sinkOf(await own.pipeline(), 'redis').healthy, 60_000, 'Redis to be fed again');
    const report = await load.stop();
    expect([...report.refusals, ...report.failures]).toEqual([]);
    expect(report.latencyMsP99).toBeLessThan(LATENCY_MS_P99_MAX);
    await expectExact(own, 'outage', report);
    await eventually(async () => {
      await compareWithQueries(own, server);
    });
    expect((await rss()) - before.rss).toBeLessThan(RSS_GROWTH_BYTES_MAX);
    expect(conserved((await own.pipeline()).conservation)).toBe(true);
  });

  it('feeds a Redis that was flushed under load again, quiet campaigns too', async () => {
    const { own, server } = await open();
    expect((await own.push(message({ appsflyer_id: 'quiet', af_c_id: 'quiet' }))).status).toBe(200);
    const load = new Load({ url: own.ingest, requestsPerSecond: 20, batch: 10, name: 'flushed', campaigns: 10 });
    for (let flush = 0; flush < 3; flush++) {
      await pause(700);
      await server.client.flushall();
    }
    await eventually(async () => {
      expect(await server.client.get('metrics:hourly:quiet')).not.toBeNull();
    });
    const report = await load.stop();
    await expectExact(own, 'flushed', report);
    await eventually(async () => {
      await compareWithQueries(own, server);
    });
    await own.until(() => own.logs.some((line) => line.msg === 'sink has forgotten and is fed again'), 30_000, 'it to be told');
    expect([...report.refusals, ...report.failures]).toEqual([]);
  });

  it('with a wrong password is an unhealthy sink with a reason, while everything else goes on', async () => {
    redis = await startRedis({ password: 'right' });
    const own = await started({ dataDir: scratch.path, env: { MILLRACE_REDIS_URL: `redis://127.0.0.1:${redis.port}`, MILLRACE_REDIS_PASSWORD: 'secret-but-wrong' } });
    expect((await own.push(message({ af_c_id: 'counted' }))).status).toBe(200);
    await own.settled(1);
    await own.until(async () => /password|auth/i.test(sinkOf(await own.pipeline(), 'redis').last_error ?? ''), 30_000, 'the reason to be told');
    expect(sinkOf(await own.pipeline(), 'redis').healthy).toBe(false);
    expect((await own.hourly('campaign_id=counted')).rows).toHaveLength(1);
    expect(JSON.stringify([own.logs, own.stderr, await own.pipeline()])).not.toContain('secret-but-wrong');
    expect(await own.stop()).toBe(0);
  });
});
