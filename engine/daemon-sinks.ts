/** Wiring of the sinks: Redis, the lake's hourly objects and costs, and the lake's events with the pool that encodes them. */

import type { LakeErasure } from '../actors/appsflyer/lake-users.ts';
import { EventsSink, createCostsSink, createHourlySink, findKnownEvents, openLakeTarget, type ErasedFile, type KnownEventsQuestion, type RewritableTarget, type SlotFiles, type TableData } from '../sinks/lake/index.ts';
import { createRedisSink } from '../sinks/redis/index.ts';
import { SinkWriter, type SinkNotice } from '../sinks/sink-writer.ts';
import { systemClock } from './core/clock.ts';
import type { CostFeed } from './core/costs.ts';
import { EngineError } from './core/errors.ts';
import type { ResultFeed, SinkHealth } from './core/feed.ts';
import type { FoldEngine } from './fold-engine.ts';
import type { PoolResult, PoolTask } from './pool-thread.ts';
import type { DataDirectory } from './runtime/data-directory.ts';
import type { Logger } from './runtime/logger.ts';
import { secretsOf } from './rule-sources.ts';
import { poolThreadsOf, type Settings } from './settings.ts';
import { createPool } from './threads/pool.ts';

const POOL_QUEUE_MAX = 6;
const POOL_MEMORY_MB_MAX = 1_024;

export interface DaemonSinks {
  readonly writers: readonly SinkWriter[];
  readonly events: EventsSink;
  health(): SinkHealth[];
  /** Which events the lake has: 1 by index of the identity; null where it cannot be told. Rejects with SINK_UNAVAILABLE or SINK_REFUSED. */
  known(question: KnownEventsQuestion): Promise<Uint8Array | null>;
  readonly target: RewritableTarget;
  /** A file of events/ without the rows of these users and days, in the pool. */
  readonly erase: (file: Uint8Array, erased: readonly LakeErasure[]) => Promise<ErasedFile>;
  /** Begins to feed: only after recovery. */
  start(): void;
  close(deadlineMs: number): Promise<void>;
}

export interface DaemonSinksOptions {
  readonly settings: Settings;
  readonly directory: DataDirectory;
  readonly engine: FoldEngine;
  readonly costs: CostFeed;
  /** Of erase-secret.ts. */
  readonly eraseSecret: string;
  readonly log: Logger;
}

/** Opens the sinks of a configuration; nothing is fed before `start`. Rejects what a setting or the spool makes impossible. */
export async function openDaemonSinks(options: DaemonSinksOptions): Promise<DaemonSinks> {
  const { settings, directory, engine, log } = options;
  const { instance } = directory;
  const secrets = secretsOf(settings);
  const ruleSources = { geoDirectory: directory.geoip, secrets: [...secrets, options.eraseSecret] };
  const warn = (message: string, details: Record<string, string | number>): void => {
    log.warn(details, message);
  };
  const target = await openLakeTarget(settings.lake, { dataDirectory: directory.path, warn });
  const feed = observed(engine.live, (sink, mark) => {
    engine.latency.settled(sink, mark, systemClock.nowMs());
  });
  const onNotice = (notice: SinkNotice): void => {
    logNotice(log, notice);
  };
  const pool = createPool<PoolTask, PoolResult>({ module: new URL('./pool-thread.js', import.meta.url), threads: poolThreadsOf(settings), queuedMax: POOL_QUEUE_MAX, memoryMbMax: POOL_MEMORY_MB_MAX });
  const inPool = { target, instance, warn, encodeTable: async (table: TableData) => (await pool.run({ type: 'table', table })) as Uint8Array };
  const hourly = createHourlySink(settings.lake, inPool);
  const costs = createCostsSink(settings.lake, { ...inPool, feed: options.costs, generation: directory.generation });
  const writers = [
    ...(settings.redis === undefined ? [] : [new SinkWriter({ feed, onNotice, sink: createRedisSink(settings.redis, { instance, clock: systemClock }) })]),
    new SinkWriter({ feed, onNotice, sink: hourly }),
  ];
  const events = new EventsSink({
    partitionCount: settings.partitions,
    spoolDirectory: directory.spool,
    spoolBytesMax: settings.lake.spool_bytes_max,
    target,
    encode: async (job) => (await pool.run({ ...job, type: 'slot', journalDirectories: directory.journals, rowsPerFile: settings.lake.rows_per_file, ruleSources })) as SlotFiles,
    onSpooled: (slot) => {
      engine.spooled(slot);
    },
    warn,
  });
  await events.open();
  return {
    writers,
    events,
    target,
    erase: async (file, erased) => (await pool.run({ type: 'erase', file, erased, secrets, rotationDays: settings.privacy.rotation_days })) as ErasedFile,
    known: (question) =>
      findKnownEvents(question, { target, uploadedThroughMs: () => events.uploadedThroughMs(), find: async (file, ids) => (await pool.run({ type: 'find-ids', file, ids })) as Uint8Array }),
    health: () => [...writers.map((writer) => writer.health()), events.health(), costs.health()],
    start: () => {
      events.start();
      costs.start();
      for (const writer of writers) writer.start();
    },
    close: async (deadlineMs) => {
      await Promise.all([...writers.map((writer) => writer.close(deadlineMs)), events.close(deadlineMs), costs.close(deadlineMs)]);
      await pool.close();
      await target.close();
    },
  };
}

/** The feed as it is, with each settled mark told to `onSettle`. */
function observed(feed: ResultFeed, onSettle: (sink: string, mark: number) => void): ResultFeed {
  return {
    schema: feed.schema,
    generation: feed.generation,
    instance: feed.instance,
    get latest() {
      return feed.latest;
    },
    get durable() {
      return feed.durable;
    },
    get finalUpToMs() {
      return feed.finalUpToMs;
    },
    get watermarkMs() {
      return feed.watermarkMs;
    },
    changedSince: (mark, limit) => feed.changedSince(mark, limit),
    window: (kind, windowStartMs, resultKey, limit) => feed.window(kind, windowStartMs, resultKey, limit),
    settledMark: (sink) => feed.settledMark(sink),
    settle: (sink, mark) => {
      feed.settle(sink, mark);
      onSettle(sink, mark);
    },
    onChange: (listener) => feed.onChange(listener),
  };
}

function logNotice(log: Logger, notice: SinkNotice): void {
  switch (notice.type) {
    case 'opened':
      log.info({ sink: notice.sink, mark: notice.mark }, 'sink is open');
      break;
    case 'failed':
      log.warn({ sink: notice.sink, error: notice.error.message, fix: fixOf(notice.error), failuresInARow: notice.failuresInARow, retryInMs: notice.retryInMs }, 'sink failed; trying again');
      break;
    case 'recovered':
      log.info({ sink: notice.sink, failuresInARow: notice.failuresInARow }, 'sink is back');
      break;
    case 'fed_again':
      log.warn({ sink: notice.sink, fromMark: notice.fromMark, reason: notice.reason }, 'sink has forgotten and is fed again');
      break;
    case 'stopped':
      log.error({ sink: notice.sink, error: notice.error.message, fix: fixOf(notice.error) }, 'sink is stopped and not tried again');
      break;
  }
}

const fixOf = (error: Error): string | undefined => (error instanceof EngineError ? error.fix : undefined);
