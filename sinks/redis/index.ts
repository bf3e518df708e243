/** The Redis sink's public names. */
import type { RedisOptions } from './options.ts';
import type { RedisSinkContext } from './sink.ts';
import { RedisSink } from './sink.ts';

export type { RedisOptions } from './options.ts';
export { redisOptionsSchema } from './options.ts';
export type { RedisSink, RedisSinkContext, RedisSinkCounts } from './sink.ts';

/** A sink for the sink writer; connects when the writer opens it. */
export const createRedisSink = (options: RedisOptions, context: RedisSinkContext): RedisSink => new RedisSink(options, context);
