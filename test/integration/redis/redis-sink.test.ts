import { afterEach, describe, expect, test } from 'vitest';
import type { MergedCell } from '../../../engine/core/cell.ts';
import { CellKind } from '../../../engine/core/cell.ts';
import { systemClock } from '../../../engine/core/clock.ts';
import type { SinkHealth } from '../../../engine/core/feed.ts';
import { emptyConservation } from '../../../engine/core/record.ts';
import { MS_PER_DAY, MS_PER_HOUR } from '../../../engine/core/types.ts';
import { memoryStore } from '../../../engine/state/index.ts';
import { LIVE_TABLES, LiveStore } from '../../../sinks/live/index.ts';
import type { RedisOptions, RedisSink } from '../../../sinks/redis/index.ts';
import { createRedisSink, redisOptionsSchema } from '../../../sinks/redis/index.ts';
import { markerKey, markerKeys, newestKey, windowKey, WITNESS_TAGS } from '../../../sinks/redis/keys.ts';
import { RedisConnection } from '../../../sinks/redis/connection.ts';
import { SinkWriter, type SinkNotice } from '../../../sinks/sink-writer.ts';
import { cellOf, joined, MemoryFeed, TEST_INSTANCE, TEST_SCHEMA } from '../../conformance/memory-feed.ts';
import type { RedisServer } from '../../peers/redis.ts';
import { describeWithRedis, eventually, makeAuthority, startRedis, startRedisCluster } from '../../peers/redis.ts';

const HOUR_MS = Math.floor(Date.now() / MS_PER_HOUR) * MS_PER_HOUR;
const DAY_MS = Math.floor(Date.now() / MS_PER_DAY) * MS_PER_DAY;
const AT_ONCE = { write_interval_ms: 0 };
const TIMINGS = { backoffMinMs: 20, backoffMaxMs: 100, markerCheckMs: 600_000 };

const hour = (key: string, part: Partial<MergedCell> = {}): MergedCell => cellOf({ kind: CellKind.hour, windowStartMs: HOUR_MS, dimensions: joined(key, 'app', 'net', 'DE', 'phone'), updatedAtMs: HOUR_MS, ...part });

interface Value {
  readonly timestamp: string;
  readonly generation: number;
  readonly revision: number;
  readonly installs: number;
  readonly cells: readonly unknown[];
}

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function server(...args: Parameters<typeof startRedis>): Promise<RedisServer> {
  const started = await startRedis(...args);
  ends.push(() => started.stop());
  return started;
}

function sinkFor(options: Record<string, unknown>): RedisSink {
  const sink = createRedisSink(redisOptionsSchema.parse({ ...AT_ONCE, ...options }), { instance: TEST_INSTANCE, clock: systemClock });
  ends.push(() => sink.close());
  return sink;
}

function writerFor(options: Record<string, unknown>, feed: MemoryFeed, onNotice: (notice: SinkNotice) => void = () => undefined): SinkWriter {
  const writer = new SinkWriter({ sink: sinkFor(options), feed, timings: TIMINGS, onNotice });
  ends.push(() => writer.close(500));
  writer.start();
  return writer;
}

const feedOf = (...cells: readonly MergedCell[]): MemoryFeed => {
  const feed = new MemoryFeed();
  feed.put(...cells);
  return feed;
};
const writeAll = (sink: RedisSink, feed: MemoryFeed): Promise<void> => sink.write(feed.changedSince(0, 100_000), feed);
const settled = (writer: SinkWriter, feed: MemoryFeed): Promise<void> => eventually(() => expect(writer.health()).toMatchObject({ healthy: true, settledMark: feed.latest }));
const valueAt = async (redis: RedisServer, key: string): Promise<Value | null> => {
  const json = await redis.client.get(key);
  return json === null ? null : (JSON.parse(json) as Value);
};

describeWithRedis('the Redis sink on a real server', () => {
  test('stores the newest hour, each hour, the newest day and each day, with their expiry', async () => {
    const redis = await server();
    const sink = sinkFor({ url: redis.url });
    await sink.open();
    const before = hour('c:1', { windowStartMs: HOUR_MS - MS_PER_HOUR, measures: [7, 0, 0] });
    await writeAll(sink, feedOf(hour('c:1'), before, cellOf({ kind: CellKind.day, windowStartMs: DAY_MS, dimensions: joined('c:1', 'app', 'net', 'DE', 'phone') })));
    expect((await redis.client.keys('*')).sort()).toEqual(
      [newestKey('', 'hour', 'c:1'), windowKey('', 'hour', 'c:1', HOUR_MS), windowKey('', 'hour', 'c:1', HOUR_MS - MS_PER_HOUR), newestKey('', 'day', 'c:1'), windowKey('', 'day', 'c:1', DAY_MS)].sort(),
    );
    expect(await valueAt(redis, 'metrics:hourly:c%3A1')).toMatchObject({ timestamp: `${new Date(HOUR_MS).toISOString().slice(0, 13)}:00:00Z`, installs: 1 });
    // Only the newer of the two hours was sent to the newest hour's key.
    expect(sink.counts()).toEqual({ valuesStored: 5, valuesRefused: 0, foreignReplaced: 0 });
    const expiry = (key: string): Promise<unknown> => redis.client.call('PEXPIRETIME', key);
    expect(await expiry(newestKey('', 'hour', 'c:1'))).toBe(HOUR_MS + 3 * MS_PER_HOUR);
    expect(await expiry(windowKey('', 'hour', 'c:1', HOUR_MS))).toBe(HOUR_MS + 49 * MS_PER_HOUR);
    expect(await expiry(newestKey('', 'day', 'c:1'))).toBe(DAY_MS + 3 * MS_PER_DAY);
  });

  test('an old hour that was just backfilled shows under its own key alone; one that changed long ago shows nowhere', async () => {
    const redis = await server();
    const sink = sinkFor({ url: redis.url });
    await sink.open();
    const longAgoMs = HOUR_MS - 20 * MS_PER_DAY;
    await writeAll(sink, feedOf(hour('backfilled', { windowStartMs: longAgoMs, updatedAtMs: Date.now() }), hour('forgotten', { windowStartMs: longAgoMs, updatedAtMs: longAgoMs + 1 })));
    expect(await redis.client.keys('*')).toEqual([windowKey('', 'hour', 'backfilled', longAgoMs)]);
    // What could not be seen was not even sent.
    expect(sink.counts().valuesStored).toBe(1);
  });

  test('an older hour never replaces the newest one, whatever its revision', async () => {
    const redis = await server();
    const sink = sinkFor({ url: redis.url });
    await sink.open();
    await writeAll(sink, feedOf(hour('c')));
    await writeAll(sink, feedOf(hour('c', { windowStartMs: HOUR_MS - MS_PER_HOUR, revision: 1_000, updatedAtMs: Date.now() })));
    expect((await valueAt(redis, newestKey('', 'hour', 'c')))?.revision).toBe(1);
    expect(sink.counts()).toMatchObject({ valuesStored: 3, valuesRefused: 1 });
  });

  test('a value with late records alone becomes final with its hour, and stays so whatever lands late', async () => {
    const redis = await server();
    const store = memoryStore(LIVE_TABLES);
    const live = LiveStore.open({ store, schema: TEST_SCHEMA, instance: TEST_INSTANCE, generation: 1_000, partitionCount: 1, retentionDays: 40 });
    const sink = sinkFor({ url: redis.url });
    const writer = new SinkWriter({ sink, feed: live, timings: TIMINGS });
    ends.push(() => writer.close(500));
    writer.start();
    const output = { changed: [] as MergedCell[], settledSequences: new Map<number, number>(), finalUpToMs: 0, watermarkMs: HOUR_MS, counters: emptyConservation(), partitions: [] };
    const late = hour('c', { kind: CellKind.late });
    await live.apply({ ...output, changed: [late] }, HOUR_MS);
    const value = (): Promise<Value | null> => valueAt(redis, windowKey('', 'hour', 'c', HOUR_MS));
    await eventually(async () => expect(await value()).toMatchObject({ revision: 1, final: false }));
    await live.apply({ ...output, finalUpToMs: HOUR_MS + MS_PER_HOUR }, HOUR_MS + 1);
    await eventually(async () => expect(await value()).toMatchObject({ revision: 1, final: true }));
    await writeAll(sink, feedOf(late));
    expect(await value()).toMatchObject({ revision: 1, final: true });
    await writeAll(sink, feedOf({ ...late, revision: 2 }));
    expect(await value()).toMatchObject({ revision: 2 });
  });

  test('whatever else stands under a key of ours is replaced and counted, a list and a marker of nonsense too', async () => {
    const redis = await server();
    await redis.client.rpush(newestKey('', 'hour', 'a'), 'x');
    await redis.client.set(windowKey('', 'hour', 'a', HOUR_MS), 'not ours');
    await redis.client.rpush(markerKey('', TEST_INSTANCE), 'x');
    const feed = feedOf(hour('a'), hour('b'));
    const sink = sinkFor({ url: redis.url });
    const writer = new SinkWriter({ sink, feed, timings: TIMINGS });
    ends.push(() => writer.close(500));
    writer.start();
    await settled(writer, feed);
    expect(writer.health().failures).toBe(0);
    expect(sink.counts()).toEqual({ valuesStored: 4, valuesRefused: 0, foreignReplaced: 2 });
    expect(await valueAt(redis, newestKey('', 'hour', 'a'))).toMatchObject({ installs: 1 });
  });

  test('survives SCRIPT FLUSH, also in the middle of a pipeline', async () => {
    const redis = await server();
    const sink = sinkFor({ url: redis.url });
    await sink.open();
    await writeAll(sink, feedOf(hour('a')));
    await redis.client.script('FLUSH');
    await writeAll(sink, feedOf(...Array.from({ length: 600 }, (_, index) => hour(`c${index}`))));
    expect(await redis.client.dbsize()).toBe(1_202);
  });

  test('big values are compared without being read whole, and a batch of them goes in bounded pieces', async () => {
    const redis = await server();
    const sink = sinkFor({ url: redis.url });
    await sink.open();
    const feed = feedOf(...['x', 'y', 'z'].flatMap((key) => Array.from({ length: 1_200 }, (_, index) => hour(key, { dimensions: joined(key, 'app', 'net', `c${index}`, 'phone') }))));
    await writeAll(sink, feed);
    const value = await redis.client.get(newestKey('', 'hour', 'z'));
    expect(JSON.parse(value ?? '')).toMatchObject({ installs: 1_200, truncated: true });
    await redis.client.config('RESETSTAT');
    await writeAll(sink, feed);
    const stats = await redis.client.info('commandstats');
    expect(stats).toMatch(/cmdstat_getrange:calls=6/);
    expect(stats).not.toMatch(/cmdstat_get:/);
  });

  test('several daemons share a server, each with its marker; a prefix keeps their keys apart', async () => {
    const redis = await server();
    const first = sinkFor({ url: redis.url });
    const second = createRedisSink(redisOptionsSchema.parse({ ...AT_ONCE, url: redis.url, key_prefix: 'b:' }), { instance: 'f'.repeat(32), clock: systemClock });
    ends.push(() => second.close());
    for (const sink of [first, second]) {
      await sink.open();
      await writeAll(sink, feedOf(hour('a')));
    }
    await first.mark({ instance: TEST_INSTANCE, generation: 1_000, settled: 1 });
    expect(await second.check()).toBeNull();
    expect(await redis.client.exists(newestKey('b:', 'hour', 'a'), newestKey('', 'hour', 'a'))).toBe(2);
  });

  test('a marker that somebody else has changed is not overwritten', async () => {
    const redis = await server();
    const sink = sinkFor({ url: redis.url });
    await sink.open();
    await sink.mark({ instance: TEST_INSTANCE, generation: 1_000, settled: 1 });
    await redis.client.set(markerKey('', TEST_INSTANCE), JSON.stringify({ instance: TEST_INSTANCE, generation: 2_000, settled: 0 }));
    await expect(sink.mark({ instance: TEST_INSTANCE, generation: 1_000, settled: 2 })).rejects.toMatchObject({ code: 'SINK_REFUSED' });
    expect(await sink.check()).toEqual({ instance: TEST_INSTANCE, generation: 2_000, settled: 0 });
  });
});

describeWithRedis('the Redis sink behind locks', () => {
  test('AUTH: the password of the URL is used; without it, and with a wrong one, the fault says so and does not tell it', async () => {
    const redis = await server({ password: 'p@ss:w/rd' });
    await sinkFor({ url: redis.url }).open();
    await sinkFor({ url: `redis://127.0.0.1:${redis.port}`, password: 'p@ss:w/rd' }).open();
    await expect(sinkFor({ url: `redis://127.0.0.1:${redis.port}` }).open()).rejects.toMatchObject({ code: 'SINK_REFUSED', message: expect.stringContaining('NOAUTH') as string, fix: expect.stringContaining('redis.password') as string });
    const wrong = await sinkFor({ url: `redis://:s3cret@127.0.0.1:${redis.port}` }).open().catch((thrown: unknown) => thrown);
    expect(wrong).toMatchObject({ code: 'SINK_REFUSED', message: expect.stringContaining('WRONGPASS') as string });
    expect(JSON.stringify(wrong) + String((wrong as Error).stack)).not.toContain('s3cret');
  });

  test('TLS: with the authority named it connects; without, the certificate is refused and the fix says what to set', async () => {
    const authority = makeAuthority();
    ends.push(async () => authority.remove());
    const redis = await server({ tls: authority, password: 'x' });
    const sink = sinkFor({ url: redis.url, tls_ca_file: authority.caFile });
    await sink.open();
    await writeAll(sink, feedOf(hour('a')));
    expect(await valueAt(redis, newestKey('', 'hour', 'a'))).toMatchObject({ installs: 1 });
    await expect(sinkFor({ url: redis.url }).open()).rejects.toMatchObject({ code: 'SINK_UNAVAILABLE', fix: expect.stringContaining('tls_ca_file') as string });
    await expect(sinkFor({ url: redis.url, tls_ca_file: '/nowhere/ca.pem' }).open()).rejects.toMatchObject({ code: 'SINK_UNAVAILABLE', message: expect.stringContaining('tls_ca_file') as string });
    await sinkFor({ url: redis.url, tls_reject_unauthorized: 'false' }).open();
  });
});

describeWithRedis('the Redis sink in trouble', () => {
  test('killed and restarted empty under load: everything is there again soon after, the quiet values too', async () => {
    const redis = await server();
    const feed = feedOf(hour('quiet', { revision: 5 }));
    const writer = writerFor({ url: redis.url }, feed);
    await settled(writer, feed);
    let revision = 0;
    const timer = setInterval(() => feed.put(hour(`busy-${revision % 20}`, { revision: ++revision })), 2);
    ends.push(async () => clearInterval(timer));
    await eventually(() => expect(writer.health().writes).toBeGreaterThan(20));
    await redis.kill();
    await eventually(() => {
      expect(writer.health()).toMatchObject({ healthy: false, lastError: expect.stringContaining('does not answer') as string });
      expect(writer.health().lagMs).toBeGreaterThan(1_000);
    });
    await redis.restart();
    clearInterval(timer);
    await settled(writer, feed);
    expect((await valueAt(redis, newestKey('', 'hour', 'quiet')))?.revision).toBe(5);
    for (let index = 0; index < 20; index++) {
      expect((await valueAt(redis, newestKey('', 'hour', `busy-${index}`)))?.revision).toBe(Math.max(...Array.from({ length: revision }, (_, put) => (put % 20 === index ? put + 1 : 0))));
    }
  });

  test('CLIENT PAUSE: a server that holds its answers is unavailable, then caught up with', async () => {
    const redis = await server();
    const feed = feedOf(hour('a'));
    const told: SinkHealth[] = [];
    const writer = writerFor({ url: redis.url, connect_timeout_ms: 500, command_timeout_ms: 300 }, feed, (notice) => {
      if (notice.type === 'failed') told.push(writer.health());
    });
    await settled(writer, feed);
    await redis.client.call('CLIENT', 'PAUSE', '3000', 'ALL');
    feed.put(hour('a', { revision: 2 }));
    await eventually(() => expect(told).toContainEqual(expect.objectContaining({ healthy: false, lastError: expect.stringContaining('timed out') as string })));
    await settled(writer, feed);
    expect((await valueAt(redis, newestKey('', 'hour', 'a')))?.revision).toBe(2);
  });

  test('maxmemory: the refusal is reported in the words of the server, and ends when there is room', async () => {
    const redis = await server();
    const feed = feedOf(hour('a'));
    const writer = writerFor({ url: redis.url }, feed);
    await settled(writer, feed);
    await redis.client.config('SET', 'maxmemory', '1mb');
    feed.put(hour('a', { revision: 2 }));
    await eventually(() => expect(writer.health()).toMatchObject({ healthy: false, lastError: expect.stringMatching(/refused: OOM command not allowed/) as string }));
    await redis.client.config('SET', 'maxmemory', '0');
    await settled(writer, feed);
  });

  test('a replica refuses with READONLY and the fix names the primary', async () => {
    const redis = await server();
    const sink = sinkFor({ url: redis.url });
    await sink.open();
    await redis.client.call('REPLICAOF', '127.0.0.1', '1');
    await expect(writeAll(sink, feedOf(hour('a')))).rejects.toMatchObject({ code: 'SINK_REFUSED', message: expect.stringContaining('READONLY') as string, fix: expect.stringContaining('primary') as string });
  });

  test('nobody listens: the fault names the address', async () => {
    const redis = await server();
    await redis.kill();
    await expect(sinkFor({ url: redis.url }).open()).rejects.toMatchObject({ code: 'SINK_UNAVAILABLE', message: expect.stringContaining(`127.0.0.1:${redis.port} does not answer: connect ECONNREFUSED`) as string });
  });
});

describeWithRedis('the Redis sink on a cluster of three', () => {
  test('keys go to their nodes; a node that comes back empty is noticed and fed again; one address is enough', async () => {
    const cluster = await startRedisCluster();
    ends.push(() => cluster.stop());
    const feed = feedOf(...Array.from({ length: 300 }, (_, index) => hour(`c${index}`)));
    const writer = writerFor({ url: cluster.url }, feed);
    await settled(writer, feed);
    const sizes = await Promise.all(cluster.nodes.map((node) => node.client.dbsize()));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(600 + markerKeys('', TEST_INSTANCE, true).length);
    for (const size of sizes) expect(size).toBeGreaterThan(100);

    for (const node of cluster.nodes) {
      await node.client.flushall();
      feed.put(hour('c0', { revision: feed.latest }));
      await eventually(async () => expect(await Promise.all(cluster.nodes.map((each) => each.client.dbsize()))).toEqual(sizes));
      await settled(writer, feed);
    }

    const [first] = cluster.nodes as readonly [RedisServer];
    // Nodes that hear nothing of each other for two seconds serve nobody for a moment.
    await eventually(async () => expect(await sinkFor({ url: first.url, cluster: true }).open()).toMatchObject({ instance: TEST_INSTANCE }));
    // A client that does not know that this is a cluster is told.
    await eventually(async () => {
      const plain = sinkFor({ url: first.url });
      const refused = await plain.open().then(() => writeAll(plain, feed)).catch((thrown: unknown) => thrown);
      expect(refused).toMatchObject({ code: 'SINK_REFUSED', fix: expect.stringContaining('redis.cluster') as string });
    });
  });

  test('a node that is killed makes the sink unhealthy, and what was missed is written when it is back', async () => {
    const cluster = await startRedisCluster();
    ends.push(() => cluster.stop());
    const feed = feedOf(...Array.from({ length: 100 }, (_, index) => hour(`c${index}`)));
    const writer = writerFor({ url: cluster.url }, feed);
    await settled(writer, feed);
    const sizes = await Promise.all(cluster.nodes.map((node) => node.client.dbsize()));
    const [, second] = cluster.nodes as readonly [RedisServer, RedisServer];
    await second.kill();
    feed.put(...Array.from({ length: 100 }, (_, index) => hour(`c${index}`, { revision: 2 })));
    await eventually(() => expect(writer.health().healthy).toBe(false));
    await second.restart();
    await eventually(async () => expect(await Promise.all(cluster.nodes.map((node) => node.client.dbsize()))).toEqual(sizes), 40_000);
    await eventually(() => expect(writer.health()).toMatchObject({ healthy: true, settledMark: feed.latest }), 40_000);
  });

  test('the witnesses of the marker lie one in each 32nd of the slots', async () => {
    const redis = await server({ cluster: true });
    const slots = await Promise.all(markerKeys('', TEST_INSTANCE, true).slice(1).map(async (key) => Number(await redis.client.call('CLUSTER', 'KEYSLOT', key))));
    expect(slots.map((slot) => Math.floor(slot / 512))).toEqual(WITNESS_TAGS.map((_, index) => index));
  });
});

describe('a Redis connection', () => {
  test('is not made before it is asked for, and can be dropped at any time', async () => {
    const options: RedisOptions = redisOptionsSchema.parse({ url: 'redis://127.0.0.1:1' });
    const connection = await RedisConnection.create(options);
    connection.drop();
    connection.drop();
    await expect(connection.readMarkers(['x'])).rejects.toMatchObject({ code: 'SINK_UNAVAILABLE' });
  });
});
