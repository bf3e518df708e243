/** What a partition is given, and the tables it keeps in its store. */

import type { PipelineDefinition } from '../../engine/core/pipeline.ts';
import type { RuleResources } from '../../engine/core/rule-resources.ts';
import type { OrderedStore } from '../../engine/core/store.ts';
import type { PartitionId } from '../../engine/core/types.ts';
import type { PagePool } from './dedupe-pages.ts';
import type { DedupeBounds } from './dedupe-runs.ts';
import type { ValueTable } from './value-table.ts';

export const TABLES = { meta: 'meta', cells: 'cells', dedupe: 'dedupe', outbox: 'outbox', dead: 'dead', retries: 'retries' } as const;
/** For whoever opens the store. */
export const PARTITION_TABLES: readonly string[] = Object.values(TABLES);

export interface PartitionOptions<Event, DomainRules> {
  readonly id: PartitionId;
  /** Fixed for the life of a data directory. */
  readonly partitionCount: number;
  /** Names the data directory; a store of another one is refused. */
  readonly instance: string;
  readonly pipeline: PipelineDefinition<Event, DomainRules>;
  /** What the pipeline's rules may name. */
  readonly resources?: RuleResources;
  /** Holds {@link PARTITION_TABLES}. The partition reads it; its checkpoints are committed by whoever drives it. */
  readonly store: OrderedStore;
  readonly dedupeMemoryBytesMax: number;
  /** Shared by the partitions of a thread; one of its own where there is but one. */
  readonly dedupePages?: PagePool;
  /** Shared by the partitions of a thread; one of its own where there is but one. */
  readonly values?: ValueTable;
  readonly dedupeBounds?: DedupeBounds;
  /** `[batch sequence, index in batch, 1 while folding]`: names the record being folded, should its folding kill the thread. */
  readonly current: Float64Array;
  /** True for a record whose folding has killed threads: rejected as POISON. */
  readonly isPoison: (batchSequence: number, index: number) => boolean;
  /** Committed checkpoints after which an unchanged day or late cell may leave memory. */
  readonly cellIdleCheckpoints?: number;
  /** Rules in the log are passed over: those of its checkpoint hold for every record. What is sent again from the dead letters counts unless it repeats another. */
  readonly areRulesFixed?: boolean;
  /** Records remembered for `tail`. */
  readonly tailEntries?: number;
}

/** Chosen: a minute at one checkpoint in ten seconds. */
export const CELL_IDLE_CHECKPOINTS = 6;
export const TAIL_ENTRIES = 256;
