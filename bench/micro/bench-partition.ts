/** A partition, in memory unless told, under the daemon's defaults, as far as they matter to speed, and the control records that a log of it begins with. */

import { appsflyerPipeline } from '../../actors/appsflyer/index.ts';
import { PARTITION_TABLES, PagePool, Partition, ValueTable } from '../../actors/partition/index.ts';
import { encodeControl, type Rules } from '../../engine/core/rules.ts';
import type { OrderedStore } from '../../engine/core/store.ts';
import { MS_PER_DAY, MS_PER_MINUTE, partitionId } from '../../engine/core/types.ts';
import { memoryStore } from '../../engine/state/index.ts';

export const BENCH_PARTITIONS = 32;
export const BENCH_INSTANCE = '0'.repeat(32);

const rules: Rules = {
  pipelineVersion: appsflyerPipeline.version,
  allowedLatenessMs: 5 * MS_PER_MINUTE,
  futureSkewMs: 5 * MS_PER_MINUTE,
  idleAfterMs: MS_PER_MINUTE,
  dedupe: 'push-ms',
  dedupeHorizonMs: MS_PER_DAY,
  cellRetentionMs: 40 * MS_PER_DAY,
  dimensionLimits: {},
  cellsPerDayMax: 100_000,
  slotMs: 15 * MS_PER_MINUTE,
  slotBytesMax: 2 ** 32,
  domain: null,
};

/** What a log begins with whose data directory has this name. */
export const benchControlsOf = (instance: string): readonly Uint8Array[] => [
  encodeControl({ type: 'generation', generation: 1, instance, partitionCount: BENCH_PARTITIONS }),
  encodeControl({ type: 'rules', rules }),
];

export const benchControls = benchControlsOf(BENCH_INSTANCE);

export type BenchPartition = ReturnType<typeof openBenchPartition>;

export interface BenchPartitionOptions {
  readonly store?: OrderedStore;
  readonly dedupeMemoryBytesMax?: number;
  readonly dedupePages?: PagePool;
  readonly values?: ValueTable;
  readonly instance?: string;
}

export function openBenchPartition(id: number, options: BenchPartitionOptions = {}) {
  const { store = memoryStore(PARTITION_TABLES), dedupeMemoryBytesMax = 2 ** 26, dedupePages, values, instance = BENCH_INSTANCE } = options;
  return Partition.open({
    id: partitionId(id),
    partitionCount: BENCH_PARTITIONS,
    instance,
    pipeline: appsflyerPipeline,
    store,
    dedupeMemoryBytesMax,
    ...(dedupePages === undefined ? {} : { dedupePages }),
    ...(values === undefined ? {} : { values }),
    current: new Float64Array(3),
    isPoison: () => false,
  });
}

/** The first `count` partitions from `first` on, that share what the partitions of an actor thread share. */
export function openBenchPartitions(first: number, count: number, options: BenchPartitionOptions = {}): readonly BenchPartition[] {
  const shared = { dedupePages: new PagePool(), values: new ValueTable(), ...options };
  return Array.from({ length: count }, (_, index) => openBenchPartition(first + index, shared));
}
