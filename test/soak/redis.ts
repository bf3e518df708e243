/** The Redis of a soak knows the true time alone, so its keys are expired from here, by the time of expiry that each of them has. */

import type { RedisServer } from '../peers/redis.ts';
import type { Values } from './measures.ts';

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
