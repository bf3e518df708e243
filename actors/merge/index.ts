/** Public names of the merge. */
export { Merge, MERGE_LIMITS } from './merge.ts';
export type { MergeAlarms, MergeLimits, MergeOptions, PartitionStatus } from './merge.ts';
export type { CellRequest } from './requests.ts';
