/** Opens partitions over the toy pipeline, and a live store that remembers what it was told. */
import { cellMapKey, type PartialCell, type PartitionReport } from '../../../engine/core/cell.ts';
import type { PipelineDefinition } from '../../../engine/core/pipeline.ts';
import type { LogBatch } from '../../../engine/core/log.ts';
import type { OrderedStore } from '../../../engine/core/store.ts';
import { partitionId } from '../../../engine/core/types.ts';
import { memoryStore, type MemoryStore } from '../../../engine/state/index.ts';
import { PARTITION_TABLES, Partition, type PartitionOptions } from '../../../actors/partition/index.ts';
import { sliceOf, TestCursor } from './log-builder.ts';
import { INSTANCE, toyPipeline, type Sale, type SaleRules } from './toy-pipeline.ts';

export type ToyPartition = Partition<Sale, SaleRules>;

export const newStore = (): MemoryStore => memoryStore(PARTITION_TABLES);

export function openToy(store: OrderedStore, changes: Partial<PartitionOptions<Sale, SaleRules>> = {}): ToyPartition {
  return openPartition(toyPipeline, store, changes);
}

export function openPartition<Event, DomainRules>(pipeline: PipelineDefinition<Event, DomainRules>, store: OrderedStore, changes: Partial<PartitionOptions<Event, DomainRules>> = {}): Partition<Event, DomainRules> {
  return Partition.open({
    id: partitionId(0),
    partitionCount: 1,
    instance: INSTANCE,
    pipeline,
    store,
    dedupeMemoryBytesMax: 2 ** 20,
    current: new Float64Array(3),
    isPoison: () => false,
    ...changes,
  });
}

export function foldAll<Event, DomainRules>(partition: Partition<Event, DomainRules>, batches: readonly LogBatch[]): void {
  const cursor = new TestCursor();
  for (const batch of batches) partition.fold(batch, sliceOf(batch, partition.id), cursor);
}

/** Takes a checkpoint and commits it. False when there was nothing to save. */
export async function saveTo(partition: ToyPartition, store: OrderedStore): Promise<boolean> {
  const checkpoint = partition.checkpoint();
  if (checkpoint === null) return false;
  await store.commit(checkpoint.operations);
  partition.checkpointCommitted(checkpoint.epoch);
  return true;
}

/** The latest report of each cell, as the merge and the live store keep it. */
export class LiveCells {
  readonly cells = new Map<string, PartialCell>();
  sequence = -1;
  closedUpToMs = 0;
  /** Cells may be ahead of the head. */
  newestRevision = -1;

  take(report: PartitionReport): void {
    for (const cell of report.cells) {
      const key = cellMapKey(cell);
      const known = this.cells.get(key);
      if (known !== undefined && known.revision > cell.revision) throw new Error(`revision of ${key} went back from ${known.revision} to ${cell.revision}`);
      this.cells.set(key, cell);
      this.newestRevision = Math.max(this.newestRevision, cell.revision);
    }
    // A restarted partition has claimed nothing before the last piece of its report.
    if (report.sequence < this.sequence) return;
    this.sequence = report.sequence;
    this.closedUpToMs = report.closedUpToMs;
  }

  sorted(): PartialCell[] {
    return [...this.cells].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, cell]) => cell);
  }
}
