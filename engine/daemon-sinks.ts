/** Wiring of the sinks: Redis, the lake's hourly objects, and the lake's events with the pool that encodes them. */

import { EventsSink, createHourlySink, openLakeTarget, type SlotFiles } from '../sinks/lake/index.ts';
import { createRedisSink } from '../sinks/redis/index.ts';
import { SinkWriter, type SinkNotice } from '../sinks/sink-writer.ts';
import { systemClock } from './core/clock.ts';
import type { ResultFeed, SinkHealth } from './core/feed.ts';
import type { ResultSchema } from './core/pipeline.ts';
import type { FoldEngine } from './fold-engine.ts';
import type { SlotTask } from './pool-thread.ts';
import type { DataDirectory } from './runtime/data-directory.ts';
import type { Logger } from './runtime/logger.ts';
import type { Settings } from './settings.ts';
import { createPool } from './threads/pool.ts';

const POOL_QUEUE_MAX = 4;
const POOL_MEMORY_MB_MAX = 1_024;

export interface DaemonSinks {
  readonly writers: readonly SinkWriter[];
  readonly events: EventsSink;
  health(): SinkHealth[];
  /** Reads what the spool holds. */
  open(): Promise<void>;
  /** Begins to feed: only after recovery. */
  start(): void;
  close(deadlineMs: number): Promise<void>;
}

export interface DaemonSinksOptions {
  readonly settings: Settings;
  readonly directory: DataDirectory;
  readonly engine: FoldEngine;
  readonly schema: ResultSchema;
  readonly log: Logger;
}

/** Opens the sinks of a configuration; nothing is fed before `start`. */
export function openDaemonSinks(options: DaemonSinksOptions): DaemonSinks {
  const { settings, directory, engine, schema, log } = options;
  const { instance } = directory;
  const target = openLakeTarget(settings.lake, directory.path);
  const feed = observed(engine.live, (sink, mark) => {
    engine.latency.settled(sink, mark, systemClock.nowMs());
  });
  const onNotice = (notice: SinkNotice): void => {
    logNotice(log, notice);
  };
  const writers = [
    ...(settings.redis === undefined ? [] : [new SinkWriter({ feed, onNotice, sink: createRedisSink(settings.redis, { instance, clock: systemClock }) })]),
    new SinkWriter({ feed, onNotice, sink: createHourlySink({ target, options: settings.lake, schema, instance }) }),
  ];
  const pool = createPool<SlotTask, SlotFiles>({ module: new URL('./pool-thread.js', import.meta.url), threads: settings.threads.pool, queuedMax: POOL_QUEUE_MAX, memoryMbMax: POOL_MEMORY_MB_MAX });
  const events = new EventsSink({
    partitionCount: settings.partitions,
    spoolDirectory: directory.spool,
    target,
    options: settings.lake,
    encode: (job) => pool.run({ ...job, journalDirectory: directory.journal, spoolDirectory: directory.spool, rowsPerFile: settings.lake.rows_per_file }),
    onSpooled: (slot) => {
      engine.spooled(slot);
    },
  });
  return {
    writers,
    events,
    health: () => [...writers.map((writer) => writer.health()), events.health()],
    open: () => events.open(),
    start: () => {
      for (const writer of writers) writer.start();
    },
    close: async (deadlineMs) => {
      await Promise.all([...writers.map((writer) => writer.close(deadlineMs)), events.close(deadlineMs)]);
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
      log.warn({ sink: notice.sink, error: notice.error.message, failuresInARow: notice.failuresInARow, retryInMs: notice.retryInMs }, 'sink failed; trying again');
      break;
    case 'recovered':
      log.info({ sink: notice.sink, failuresInARow: notice.failuresInARow }, 'sink is back');
      break;
    case 'fed_again':
      log.warn({ sink: notice.sink, fromMark: notice.fromMark, reason: notice.reason }, 'sink has forgotten and is fed again');
      break;
    case 'stopped':
      log.error({ sink: notice.sink, error: notice.error.message }, 'sink is stopped and not tried again');
      break;
  }
}
