/** Wiring of the sinks: Redis, the lake's hourly objects, and the lake's events with the pool that encodes them. */

import { EventsSink, createHourlySink, openLakeTarget, type SlotFiles } from '../sinks/lake/index.ts';
import { createRedisSink } from '../sinks/redis/index.ts';
import { SinkWriter, type SinkNotice } from '../sinks/sink-writer.ts';
import { systemClock } from './core/clock.ts';
import type { SinkHealth } from './core/feed.ts';
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
