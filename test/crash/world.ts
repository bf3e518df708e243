/**
 * What a run happens to: the built daemon with its data directory, its Redis and its lake, and the feed that loads it.
 *
 * Each life of the daemon has other settings: actor and ingress threads, checkpoint and emit interval, memory for dedupe. Ports stay, so that senders
 * find it again. A supervised daemon is started again by its own parent; one without a parent by {@link World.start}.
 */

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startRedis, type RedisServer } from '../peers/redis.ts';
import { TestDaemon } from '../support/daemon.ts';
import type { Dice } from '../support/dice.ts';
import type { LakeView } from '../support/exact-check.ts';
import { SLOT_BYTES, type Feed } from '../support/feed.ts';
import { freePort } from '../support/ports.ts';
import { startS3Lake, type S3Lake } from '../support/s3-lake.ts';
import { smallDisk, type SmallDisk } from '../support/small-disk.ts';
import type { Fault } from './faults/fault.ts';

const MIB = 1024 ** 2;
const READY_MS_MAX = 120_000;

export interface WorldOptions {
  readonly faults: readonly Fault[];
  /** Of the run; all of its files are below it. */
  readonly directory: string;
  readonly dice: Dice;
  readonly redis: boolean;
  /** Settings of each life in turn, instead of those that the dice choose. */
  readonly lives?: readonly Readonly<Record<string, string>>[];
  readonly say: (text: string) => void;
}

export class World {
  readonly dice: Dice;
  readonly supervised: boolean;
  readonly say: (text: string) => void;
  readonly ingestPort: number;
  /** Where files of the run itself may lie, such as a clock or a savepoint. */
  readonly directory: string;
  readonly lake: LakeView;
  redis: RedisServer | null = null;
  disk: SmallDisk | null = null;
  s3: S3Lake | null = null;
  dataDir: string;
  actorThreads = 1;
  feed: Feed | null = null;
  readonly #options: WorldOptions;
  readonly #adminPort: number;
  readonly #segmentBytes: number;
  #daemon: TestDaemon | null = null;
  #life = 0;

  private constructor(options: WorldOptions, ports: { readonly ingest: number; readonly admin: number }) {
    this.#options = options;
    this.dice = options.dice;
    this.say = options.say;
    this.directory = options.directory;
    this.supervised = options.faults.some((fault) => fault.supervised === true);
    this.ingestPort = ports.ingest;
    this.#adminPort = ports.admin;
    if (this.supervised && options.faults.some((fault) => fault.supervised === false)) throw new Error('these kinds do not mix: some want a supervising parent, some want none');
    this.#segmentBytes = this.dice.pick([16, 32, 64]) * MIB;
    this.dataDir = join(options.directory, 'data');
    const path = join(options.directory, 'lake');
    this.lake = { path, refresh: async () => this.s3?.refresh() };
  }

  /** With its servers, and the daemon ready. What was started by one that fails is ended by {@link close}. */
  static async open(options: WorldOptions, opened: (world: World) => void): Promise<World> {
    const world = new World(options, { ingest: await freePort(), admin: await freePort() });
    opened(world);
    const diskBytes = Math.max(0, ...options.faults.map((fault) => fault.diskBytes ?? 0));
    if (diskBytes > 0) {
      world.disk = smallDisk(diskBytes);
      world.dataDir = join(world.disk.path, 'data');
    }
    mkdirSync(world.dataDir);
    if (options.redis) world.redis = await startRedis();
    if (options.faults.some((fault) => fault.needs.includes('minio'))) world.s3 = await startS3Lake(world.lake.path);
    for (const fault of options.faults) await fault.prepare?.(world);
    await world.start();
    return world;
  }

  get daemon(): TestDaemon {
    if (this.#daemon === null) throw new Error('there is no daemon');
    return this.#daemon;
  }

  get load(): Feed {
    if (this.feed === null) throw new Error('there is no load');
    return this.feed;
  }

  /** The process that does the work, not its supervising parent. */
  get pid(): number {
    return this.supervised ? Number(this.daemon.logs.filter((line) => line.msg === 'millrace is up').at(-1)?.['pid']) : (this.daemon.child.pid as number);
  }

  /** Of a supervised daemon: the child its parent has now, however young. Null between two. */
  get childPid(): number | null {
    const { pid } = this.daemon.child;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return children === '' ? null : Number(children.split(' ')[0]);
  }

  /** Without waiting for it to be ready. */
  spawn(): TestDaemon {
    this.#daemon = TestDaemon.spawn({ dataDir: this.dataDir, env: this.#env(), supervise: this.supervised });
    return this.#daemon;
  }

  async start(): Promise<TestDaemon> {
    const daemon = this.spawn();
    await this.ready();
    return daemon;
  }

  /** Waits until the daemon is ready, by itself or because its parent has started it again. */
  async ready(): Promise<void> {
    await this.daemon.up(READY_MS_MAX);
  }

  /** How often the supervising parent has started the daemon again. */
  get restarts(): number {
    return this.daemon.logs.filter((line) => line.msg === 'the daemon died; starting it again').length;
  }

  async close(): Promise<void> {
    this.feed?.end();
    await TestDaemon.endAll();
    await this.redis?.stop();
    await this.s3?.stop();
  }

  #env(): Record<string, string> {
    const { dice } = this;
    const lives = this.#options.lives ?? [];
    const chosen = lives[this.#life++ % lives.length] ?? {
      MILLRACE_THREADS_ACTORS: String(dice.pick([1, 2, 3])),
      MILLRACE_THREADS_INGRESS: String(dice.pick([1, 1, 2, 3])),
      MILLRACE_CHECKPOINT_INTERVAL_MS: String(dice.pick([100, 500, 2_000, 10_000])),
      MILLRACE_EMIT_INTERVAL_MS: String(dice.pick([25, 200])),
      MILLRACE_DEDUPE_MEMORY_BYTES_MAX: String(dice.pick([1, 1_024]) * MIB),
    };
    const env: Record<string, string> = {
      MILLRACE_INGEST_PORT: String(this.ingestPort),
      MILLRACE_ADMIN_PORT: String(this.#adminPort),
      MILLRACE_JOURNAL_SEGMENT_BYTES: String(this.#segmentBytes),
      MILLRACE_LAKE_URL: `file:${this.lake.path}`,
      MILLRACE_LAKE_SLOT_MINUTES: '1',
      MILLRACE_LAKE_SLOT_BYTES_MAX: String(SLOT_BYTES),
      MILLRACE_LAKE_HOURLY_INTERVAL_SECONDS: '1',
      MILLRACE_FAULT_INJECTION: 'true',
      ...(this.redis === null ? {} : { MILLRACE_REDIS_URL: this.redis.url, MILLRACE_REDIS_COMMAND_TIMEOUT_MS: '500' }),
      ...this.s3?.env,
      ...chosen,
      ...Object.fromEntries(this.#options.faults.flatMap((fault) => Object.entries(fault.env?.(this) ?? {}))),
    };
    this.actorThreads = Number(env['MILLRACE_THREADS_ACTORS']);
    return env;
  }
}
