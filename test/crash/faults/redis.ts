/** A Redis that dies, stands still, forgets, is full or answers errors. */

import type { RedisServer } from '../../peers/redis.ts';
import { pause } from '../../support/load.ts';
import type { World } from '../world.ts';
import type { Fault } from './fault.ts';

const FELT_MS_MAX = 60_000;
const FORGOTTEN = 'sink has forgotten and is fed again';
const MARKER_GONE = 'no longer holds the marker written last';

const isHealthy = async (world: World): Promise<boolean> => (await world.daemon.pipeline()).sinks.find((sink) => sink.name === 'redis')?.healthy === true;

interface Outage {
  readonly name: string;
  readonly what: string;
  readonly how: string;
  readonly begin: (redis: RedisServer, world: World) => Promise<unknown>;
  readonly end: (redis: RedisServer) => Promise<unknown>;
}

/** Until the sink is unhealthy, a while on, and until it is healthy again. */
const outage = ({ name, what, how, begin, end }: Outage): Fault => ({
  name,
  what,
  how: `${how}; felt: an unhealthy sink`,
  needs: ['redis-server'],
  times: 3,
  inflict: async (world) => {
    const redis = serverOf(world);
    await begin(redis, world);
    try {
      await world.daemon.until(async () => !(await isHealthy(world)), FELT_MS_MAX, 'Redis to be missed');
      await pause(world.dice.between(100, 2_000));
    } finally {
      await end(redis);
    }
    await world.daemon.until(() => isHealthy(world), FELT_MS_MAX, 'Redis to be fed again');
    return 1;
  },
});

/** A setting of Redis that makes it refuse writes while it is 1. */
const setting = ({ name, what, key }: { readonly name: string; readonly what: string; readonly key: string }): Fault =>
  outage({
    name,
    what,
    how: `CONFIG SET ${key}`,
    begin: (redis) => redis.client.config('SET', key, '1'),
    end: (redis) => redis.client.config('SET', key, '0'),
  });

function serverOf(world: World): RedisServer {
  if (world.redis === null) throw new Error('the run has no Redis');
  return world.redis;
}

const PAUSE_MS_MAX = 600_000;

export const redisFaults: readonly Fault[] = [
  outage({
    name: 'redis-kill',
    what: 'Redis is killed and comes back empty',
    how: 'SIGKILL',
    begin: (redis) => redis.kill(),
    end: (redis) => redis.restart(),
  }),
  outage({
    name: 'redis-stall',
    what: 'Redis takes commands and answers none',
    how: 'CLIENT PAUSE',
    begin: (redis) => redis.client.call('CLIENT', 'PAUSE', String(PAUSE_MS_MAX), 'WRITE'),
    end: (redis) => redis.client.call('CLIENT', 'UNPAUSE'),
  }),
  setting({ name: 'redis-memory', what: 'Redis has no memory left for a write', key: 'maxmemory' }),
  setting({ name: 'redis-errors', what: 'Redis answers each write with an error', key: 'min-replicas-to-write' }),
  {
    name: 'redis-flush',
    what: 'Redis forgets all it had',
    how: 'FLUSHALL; felt: the sink is told to be fed again',
    needs: ['redis-server'],
    times: 3,
    inflict: async (world) => {
      // By its check now and then, or by the next write of the marker.
      const told = (): number => world.daemon.logs.filter((line) => line.msg === FORGOTTEN || String(line['error']).includes(MARKER_GONE)).length;
      const before = told();
      await serverOf(world).client.flushall();
      await world.daemon.until(() => told() > before, 90_000, 'it to be noticed that Redis has forgotten');
      return 1;
    },
  },
];
