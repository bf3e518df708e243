export { PagePool } from './dedupe-pages.ts';
export { PARTITION_TABLES, type PartitionOptions } from './options.ts';
export { Partition, type PartitionCheckpoint } from './partition.ts';
export { restate, restingState, type Correction, type RestingPartition } from './restate.ts';
export { seedOperations, type PartitionSeed } from './seed.ts';
export type { PartitionStats } from './stats.ts';
export type { TailEntry } from './tail.ts';
export { ValueTable } from './value-table.ts';
