/** A Redis that dies, stands still, forgets, is full or answers errors. */

import type { RedisServer } from '../../peers/redis.ts';
import { pause } from '../../support/load.ts';
import type { World } from '../world.ts';
import type { Fault } from './fault.ts';

const FELT_MS_MAX = 60_000;
const FORGOTTEN = 'sink has forgotten and is fed again';

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
  outage({
    name: 'redis-memory',
    what: 'Redis has no memory left for a write',
    how: 'CONFIG SET maxmemory',
    begin: (redis) => redis.client.config('SET', 'maxmemory', '1'),
    end: (redis) => redis.client.config('SET', 'maxmemory', '0'),
  }),
  outage({
    name: 'redis-errors',
    what: 'Redis answers each write with an error',
    how: 'CONFIG SET min-replicas-to-write',
    begin: (redis) => redis.client.config('SET', 'min-replicas-to-write', '1'),
    end: (redis) => redis.client.config('SET', 'min-replicas-to-write', '0'),
  }),
  {
    name: 'redis-flush',
    what: 'Redis forgets all it had',
    how: 'FLUSHALL; felt: the sink is told to be fed again',
    needs: ['redis-server'],
    times: 3,
    inflict: async (world) => {
      const told = (): number => world.daemon.logs.filter((line) => line.msg === FORGOTTEN).length;
      const before = told();
      await serverOf(world).client.flushall();
      await world.daemon.until(() => told() > before, 90_000, 'it to be noticed that Redis has forgotten');
      return 1;
    },
  },
];
