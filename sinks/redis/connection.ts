/**
 * One connection to a Redis server or cluster, for one life: it never reconnects by itself and queues nothing while it is
 * away. The sink opens a new one after every failure, under the sink writer's backoff. The only door to ioredis.
 *
 * Every fault leaves as an EngineError: no answer is SINK_UNAVAILABLE, an answer that is an error is SINK_REFUSED with the
 * server's words. The client's own errors are not passed on as causes: they carry commands with values and passwords.
 */

import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Cluster, Redis } from 'ioredis';
import type { RedisOptions as ClientOptions } from 'ioredis';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { assert } from '../../engine/core/types.ts';
import type { RedisOptions } from './options.ts';
import { isCluster, parseRedisUrl } from './options.ts';
import { MARK_SCRIPT, STORE_SCRIPT, StoreReply } from './script.ts';

/** One call of the store script. */
export interface StoreCommand {
  readonly key: string;
  readonly json: string;
  readonly timestamp: string;
  readonly generation: number;
  readonly revision: number;
  /** Refused where a final value of the same revision stands. */
  readonly yieldsToFinal: boolean;
  readonly expireAtMs: number;
}

export interface StoreCounts {
  readonly stored: number;
  readonly refused: number;
  readonly replacedForeign: number;
}

/** The script commands that {@link Redis.defineCommand} adds: EVALSHA, or EVAL where the server does not know the script. */
interface Scripted {
  millraceStore(key: string, json: string, timestamp: string, generation: number, revision: number, expireAtMs: number, yieldsToFinal: 0 | 1): Promise<unknown>;
  millraceMark(key: string, expected: string, marker: string): Promise<unknown>;
}

/** What became of one command: an error, or the reply. */
type Outcome = readonly [error: unknown, reply: unknown];

const NO_ANSWER: Outcome = [new Error('no answer'), null];
const isFailed = ([error]: Outcome): boolean => error !== null;

const argumentsOf = ({ key, json, timestamp, generation, revision, expireAtMs, yieldsToFinal }: StoreCommand): Parameters<Scripted['millraceStore']> => [key, json, timestamp, generation, revision, expireAtMs, yieldsToFinal ? 1 : 0];

const SCRIPTS = {
  millraceStore: { lua: STORE_SCRIPT, numberOfKeys: 1 },
  millraceMark: { lua: MARK_SCRIPT, numberOfKeys: 1 },
};

/** What an operator can do, by the first word of the server's answer. */
const FIXES: Readonly<Record<string, string>> = {
  NOAUTH: 'give redis.password, or user and password in redis.url',
  WRONGPASS: 'correct user name and password in redis.url',
  NOPERM: 'let the user run GET, SET, PEXPIREAT, GETRANGE, EVAL and EVALSHA on the keys metrics:* and millrace:*',
  OOM: 'raise maxmemory, shorten redis.hour_ttl_hours and redis.day_ttl_hours, or set a volatile-* eviction policy',
  READONLY: 'point redis.url at the primary: this server is a replica',
  MISCONF: 'the server cannot save its data to disk: read its log',
  LOADING: 'none needed: the server is reading its data and is tried again',
  MOVED: 'this is a cluster: set redis.cluster to true',
  CLUSTERDOWN: 'the cluster does not serve all its slots: redis-cli --cluster check',
};

export class RedisConnection {
  readonly #client: Redis | Cluster;
  readonly #where: string;
  /** The client tells why a connection failed by an event; the call that waits hears only that it closed. */
  #lastFault: Error | null = null;

  private constructor(client: Redis | Cluster, where: string) {
    this.#client = client;
    this.#where = where;
    client.on('error', (error: Error) => (this.#lastFault = error));
    if (client instanceof Cluster) client.on('node error', (error: Error) => (this.#lastFault = error));
  }

  /** Not connected yet, so that the owner can drop it while it connects. */
  static async create(options: RedisOptions): Promise<RedisConnection> {
    const target = parseRedisUrl(options.url);
    assert(typeof target !== 'string', 'the Redis options were not validated');
    const tls = target.tls ? { tls: await tlsOptions(options, target.addresses[0]?.host ?? '') } : {};
    const common = {
      lazyConnect: true,
      username: options.username || target.username,
      password: options.password || target.password,
      connectTimeout: options.connect_timeout_ms,
      commandTimeout: options.command_timeout_ms,
      connectionName: 'millrace',
      // RESP2 is all that is needed, and every proxy and old server speaks it.
      protocol: 2,
      disableClientInfo: true,
      // A server that loads its data answers LOADING, which says more than a client that waits.
      enableReadyCheck: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      ...tls,
    } satisfies ClientOptions;
    const where = target.addresses.map(({ host, port }) => `${host}:${port}`).join(',');
    if (!isCluster(options)) {
      const [address] = target.addresses;
      return new RedisConnection(new Redis({ ...common, ...address, db: target.database, scripts: SCRIPTS, enableOfflineQueue: false, retryStrategy: null }), where);
    }
    return new RedisConnection(
      new Cluster([...target.addresses], {
        lazyConnect: true,
        redisOptions: common,
        scripts: SCRIPTS,
        enableOfflineQueue: false,
        enableReadyCheck: false,
        clusterRetryStrategy: null,
        slotsRefreshTimeout: options.connect_timeout_ms,
        // With TLS the names in the certificates must reach the check, so they are not resolved first.
        ...(target.tls ? { dnsLookup: (host: string, done: (error: null, address: string) => void) => done(null, host) } : {}),
      }),
      where,
    );
  }

  get isCluster(): boolean {
    return this.#client instanceof Cluster;
  }

  async connect(): Promise<void> {
    try {
      await this.#client.connect();
    } catch (thrown) {
      throw this.#fault(thrown);
    }
  }

  /** Ends it now: what is under way is rejected. */
  drop(): void {
    this.#client.disconnect();
  }

  /** The stored markers as text, '' where there is none (or no string). */
  async readMarkers(keys: readonly string[]): Promise<string[]> {
    const read = async (key: string): Promise<string> => {
      try {
        return (await this.#client.get(key)) ?? '';
      } catch (thrown) {
        if (messageOf(thrown).startsWith('WRONGTYPE')) return '';
        throw thrown;
      }
    };
    return this.#all(keys.map(read));
  }

  /** Replaces markers that are still as expected; false when any was not. */
  async replaceMarkers(keys: readonly string[], expected: readonly string[], marker: string): Promise<boolean> {
    const client = this.#client as unknown as Scripted;
    const replies = await this.#all(keys.map((key, index) => client.millraceMark(key, expected[index] ?? '', marker)));
    return replies.every((reply) => reply === 1);
  }

  /** Runs all commands, as one write where a server takes it; if any fails, raises the first fault and says how many. */
  async store(commands: readonly StoreCommand[]): Promise<StoreCounts> {
    const outcomes = this.#client instanceof Cluster ? await this.#storeEach(this.#client, commands) : await this.#storePipelined(this.#client, commands);
    const counts: [number, number, number] = [0, 0, 0];
    for (let index = 0; index < commands.length; index++) {
      const [error, reply] = outcomes[index] ?? NO_ANSWER;
      if (error !== null) throw this.#fault(error, { key: (commands[index] as StoreCommand).key, failed: outcomes.filter(isFailed).length, of: commands.length });
      assert(reply === StoreReply.refused || reply === StoreReply.stored || reply === StoreReply.replacedForeign, `the store script answered ${String(reply)}`);
      counts[reply]++;
    }
    return { refused: counts[0], stored: counts[1], replacedForeign: counts[2] };
  }

  /** Resolves when every one has its outcome, so that nothing is under way any more when a fault is raised. */
  async #storePipelined(client: Redis, commands: readonly StoreCommand[]): Promise<readonly Outcome[]> {
    const pipeline = client.pipeline();
    const scripted = pipeline as unknown as Scripted;
    for (const command of commands) void scripted.millraceStore(...argumentsOf(command));
    try {
      return (await pipeline.exec()) ?? [];
    } catch (thrown) {
      return commands.map(() => [thrown, null]);
    }
  }

  /** The client pipelines only keys of one node; each node's socket gathers these by itself. */
  #storeEach(client: Cluster, commands: readonly StoreCommand[]): Promise<readonly Outcome[]> {
    const scripted = client as unknown as Scripted;
    return Promise.all(commands.map((command) => scripted.millraceStore(...argumentsOf(command)).then((reply): Outcome => [null, reply], (thrown: unknown): Outcome => [thrown, null])));
  }

  /** Waits for every one, so that nothing is under way any more when a fault is raised. */
  async #all<Value>(work: readonly Promise<Value>[]): Promise<Value[]> {
    const results = await Promise.allSettled(work);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw this.#fault(failed.reason);
    return results.map((result) => (result as PromiseFulfilledResult<Value>).value);
  }

  #fault(thrown: unknown, where: Readonly<Record<string, string | number>> = {}): EngineError {
    if (thrown instanceof EngineError) return thrown;
    // What the server said before it closed the connection tells more than that it closed.
    const error = isReply(thrown) || this.#lastFault === null ? thrown : this.#lastFault;
    const message = messageOf(error);
    const place = { sink: 'redis', server: this.#where, ...where };
    if (isReply(error)) {
      const fix = FIXES[message.split(' ', 1)[0] ?? ''];
      return new EngineError('SINK_REFUSED', `redis at ${this.#where} refused: ${message}`, { where: place, ...(fix === undefined ? {} : { fix }) });
    }
    const certificate = /certificate|altname/i.test(message);
    return new EngineError('SINK_UNAVAILABLE', `redis at ${this.#where} does not answer: ${message || 'connection refused'}`, {
      where: place,
      fix: certificate ? 'name the authority that signed the server certificate in redis.tls_ca_file' : 'check that the server runs and that redis.url names it',
    });
  }
}

/** Answers of the server are of a class of their own, which the client does not export with types. */
const isReply = (thrown: unknown): boolean => thrown instanceof Error && thrown.name === 'ReplyError';

async function tlsOptions(options: RedisOptions, host: string): Promise<ConnectionOptions> {
  const settings: ConnectionOptions = { rejectUnauthorized: options.tls_reject_unauthorized, ...(isIP(host) === 0 && !isCluster(options) ? { servername: host } : {}) };
  if (options.tls_ca_file === '') return settings;
  try {
    return { ...settings, ca: await readFile(options.tls_ca_file) };
  } catch (thrown) {
    throw new EngineError('SINK_UNAVAILABLE', `redis: cannot read tls_ca_file: ${messageOf(thrown)}`, { where: { sink: 'redis', file: options.tls_ca_file }, fix: 'correct redis.tls_ca_file, or its permissions' });
  }
}
