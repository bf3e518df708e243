/** The lake's public names. Loads no heavy library: the functions of the pool load parquet-wasm, and a target in S3 loads its client. */

import { resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { CostFeed } from '../../engine/core/costs.ts';
import { MS_PER_SECOND } from '../../engine/core/types.ts';
import type { TableData } from './column-builder.ts';
import { CostsSink } from './costs-sink.ts';
import { FileTarget } from './file-target.ts';
import { HourlySink } from './hourly-sink.ts';
import type { LakeOptions } from './options.ts';
import type { ParquetRecords } from './read-parquet.ts';
import { systemRetryWorld } from './retry-loop.ts';
import type { LakeTarget, RewritableTarget } from './target.ts';

export { COSTS_SINK_NAME, type CostsSink } from './costs-sink.ts';
export type { TableData } from './column-builder.ts';
export { encodeSlotToSpool, encodeTable, type BatchLookup, type SlotFiles } from './encode-slot.ts';
export { eraseObject, eventDateOf, eventsAfter, isEventsFile, isRewritten, type RewrittenObject } from './erase-objects.ts';
export { eraseRows, type ErasedFile, type RowErasure } from './erase-rows.ts';
export { eventFilesOf, readEventFile, type EventFiles } from './event-files.ts';
export { EVENTS_SINK_NAME, EventsSink, type EncodeSlotJob, type EventsSinkHealth, type EventsSinkOptions } from './events-sink.ts';
export { findEventIds } from './find-event-ids.ts';
export { findKnownEvents, type KnownEventsQuestion } from './known-events.ts';
export { HOURLY_SINK_NAME, type HourlySink } from './hourly-sink.ts';
export { lakeOptionsSchema, type LakeOptions } from './options.ts';
export { readRows, type RowColumns, type RowValues } from './read-rows.ts';
export { RetryLoop, systemRetryWorld, type RetryWorld } from './retry-loop.ts';
export { readSpoolProgress, SPOOL_SCRATCH, spooledState } from './spool.ts';
export type { LakeTarget, ObjectVersion, RewritableTarget } from './target.ts';

export type Warn = (message: string, details: Record<string, string | number>) => void;

export interface LakeTargetContext {
  /** Holds the folder `lake` where no address is set. */
  readonly dataDirectory: string;
  readonly warn: Warn;
}

/** Connects to nothing yet. Rejects CONFIG_INVALID. The caller closes it, after both sinks. */
export async function openLakeTarget(options: Pick<LakeOptions, 'url' | 's3_access_key_id' | 's3_secret_access_key' | 's3_request_timeout_seconds'>, context: LakeTargetContext): Promise<RewritableTarget> {
  const url = options.url === '' ? `file:${resolve(context.dataDirectory, 'lake')}` : options.url;
  if (!url.startsWith('s3:')) return new FileTarget(url);
  const { s3_access_key_id: accessKeyId, s3_secret_access_key: secretAccessKey } = options;
  const { S3Target } = await import('./s3-target.ts');
  return new S3Target({
    url,
    credentials: accessKeyId === '' ? null : { accessKeyId, secretAccessKey },
    requestTimeoutMs: options.s3_request_timeout_seconds * MS_PER_SECOND,
    warn: context.warn,
  });
}

export interface HourlySinkContext {
  readonly target: LakeTarget;
  readonly instance: string;
  /** Runs `encodeTable` in the pool. */
  readonly encodeTable: (table: TableData) => Promise<Uint8Array>;
  readonly warn: Warn;
}

/** A sink for the sink writer. */
export function createHourlySink(options: Pick<LakeOptions, 'hourly_interval_seconds' | 'hourly_cells_max'>, context: HourlySinkContext): HourlySink {
  return new HourlySink({
    ...context,
    intervalMs: options.hourly_interval_seconds * MS_PER_SECOND,
    cellsPerHourMax: options.hourly_cells_max,
    pause: () => setImmediate(),
  });
}

export interface CostsSinkContext extends HourlySinkContext {
  readonly feed: CostFeed;
  readonly generation: number;
}

/** Writes `costs/` by itself once it is started. */
export function createCostsSink(options: Pick<LakeOptions, 'costs_interval_seconds'>, context: CostsSinkContext): CostsSink {
  return new CostsSink({ ...context, intervalMs: options.costs_interval_seconds * MS_PER_SECOND, pause: () => setImmediate(), world: systemRetryWorld });
}

/** Reads a Parquet file's records; loads parquet-wasm. */
export const readParquetRecords = async (bytes: Uint8Array, wanted: (name: string) => boolean): Promise<ParquetRecords> => (await import('./read-parquet.ts')).parquetRecords(bytes, wanted);
