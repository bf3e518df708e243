import { systemClock } from '../../../engine/core/clock.ts';
import { createRedisSink, redisOptionsSchema } from '../../../sinks/redis/index.ts';
import { windowKey } from '../../../sinks/redis/keys.ts';
import { sinkConformance } from '../../conformance/sink.ts';
import { TEST_INSTANCE } from '../../conformance/memory-feed.ts';
import { describeWithRedis, startRedis } from '../../peers/redis.ts';

interface StoredValue {
  readonly generation: number;
  readonly revision: number;
  readonly installs: number;
}

describeWithRedis('a real Redis', () => {
  sinkConformance('the Redis sink', async () => {
    const server = await startRedis();
    const options = redisOptionsSchema.parse({ url: server.url, write_interval_ms: 0 });
    return {
      createSink: () => createRedisSink(options, { instance: TEST_INSTANCE, clock: systemClock }),
      readHour: async (resultKey, windowStartMs) => {
        const json = await server.client.get(windowKey('', 'hour', resultKey, windowStartMs));
        if (json === null) return null;
        const { generation, revision, installs } = JSON.parse(json) as StoredValue;
        return { generation, revision, total: installs };
      },
      forget: async () => void (await server.client.flushall()),
      copy: async () => {
        const copied: { readonly key: string; readonly value: Buffer; readonly ttlMs: number }[] = [];
        for (const key of await server.client.keys('*')) copied.push({ key, value: await server.client.dumpBuffer(key), ttlMs: Math.max(0, await server.client.pttl(key)) });
        return async () => {
          const restoring = server.client.multi().flushall();
          for (const { key, value, ttlMs } of copied) restoring.restore(key, ttlMs, value);
          await restoring.exec();
        };
      },
      // Everything it held is gone with it.
      goAway: () => server.kill(),
      comeBack: () => server.restart(),
      refuse: async (resultKey) => {
        const allowed = resultKey === null ? ['~*'] : ['a', 'b', 'c'].filter((key) => key !== resultKey).map((key) => `~metrics:hourly:${key}*`);
        await server.client.call('ACL', 'SETUSER', 'default', 'resetkeys', '~millrace:*', ...allowed);
        // This connection must still see every key.
        await server.client.call('ACL', 'SETUSER', 'reader', 'on', 'nopass', '~*', '+@all');
        await server.client.call('AUTH', 'reader', 'any');
      },
      stop: () => server.stop(),
    };
  });
});
