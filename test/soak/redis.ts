/** The Redis of a soak. It knows the true time alone, so its keys are expired from here, by the time of expiry that each of them has. */

import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { startServerProcess, type ServerProcess } from '../peers/server-process.ts';
import { freePort } from '../support/ports.ts';
import type { Values } from './measures.ts';

export interface RedisServer extends ServerProcess {
  readonly url: string;
  readonly client: Redis;
}

export async function startRedis(): Promise<RedisServer> {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), 'millrace-soak-redis-'));
  const client = new Redis({ host: '127.0.0.1', port, lazyConnect: true, retryStrategy: () => 50, maxRetriesPerRequest: 600 });
  client.on('error', () => undefined);
  const server = await startServerProcess({
    spawn: () => spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory], { stdio: 'ignore' }),
    ready: () => client.ping(),
    directory,
    onStop: () => {
      client.disconnect();
    },
  });
  return { ...server, client, url: `redis://127.0.0.1:${port}` };
}

/** Removes the keys whose time of expiry has come at `nowMs`, as Redis would; in Redis, so that none is written in between. */
const EXPIRE_SCRIPT = `
local cursor = '0'
repeat
  local answer = redis.call('SCAN', cursor, 'COUNT', 1000)
  cursor = answer[1]
  for _, key in ipairs(answer[2]) do
    local at = redis.call('PEXPIRETIME', key)
    if at > 0 and at <= tonumber(ARGV[1]) then redis.call('UNLINK', key) end
  end
until cursor == '0'
`;

/** Its figures, after what had to expire at `nowMs` has. */
export async function valuesOf({ client }: RedisServer, nowMs: number): Promise<Values> {
  await client.eval(EXPIRE_SCRIPT, 0, Math.floor(nowMs));
  const [memory, keys] = await Promise.all([client.info('memory'), client.dbsize()]);
  return { 'Redis memory': Number(/^used_memory:(\d+)/m.exec(memory)?.[1] ?? NaN), 'Redis keys': keys };
}
