/** The store of a partition that begins in the middle of a log, under rules that it is given: what it would hold had it seen nothing before. */

import { emptyConservation, REJECT_CODES } from '../../engine/core/record.ts';
import type { Rules } from '../../engine/core/rules.ts';
import type { StoreOperation } from '../../engine/core/store.ts';
import type { Offset, PartitionId } from '../../engine/core/types.ts';
import { rulesOperation, stateOperation } from './checkpoint-state.ts';

export interface PartitionSeed {
  readonly id: PartitionId;
  readonly partitionCount: number;
  readonly instance: string;
  readonly pipeline: { readonly name: string; readonly dimensions: readonly { readonly name: string }[] };
  readonly rules: Rules;
  readonly generation: number;
  /** By journal: the first batch to fold. */
  readonly offsets: readonly Offset[];
  /** Its number in the order of all journals. */
  readonly nextSequence: number;
  /** Of the log just before it: nobody is idle yet. */
  readonly runningTimeMs: number;
}

/** To be committed to an empty store, before the partition is opened. */
export function seedOperations({ id, partitionCount, instance, pipeline, rules, generation, offsets, nextSequence, runningTimeMs }: PartitionSeed): StoreOperation[] {
  const [offset, ...otherOffsets] = offsets;
  return [
    rulesOperation(rules),
    stateOperation({
      identity: { instance, partition: id, partitionCount, pipeline: pipeline.name, dimensions: pipeline.dimensions.map(({ name }) => name) },
      shapes: [],
      sequence: 0,
      batchSequence: nextSequence - 1,
      offset: offset ?? 0,
      ...(otherOffsets.length > 0 && { otherOffsets }),
      epoch: 0,
      generation,
      time: { watermarkMs: -1, closedUpToMs: 0, expiredUpToMs: 0, runningTimeMs, lastRecordAtMs: runningTimeMs },
      conservation: emptyConservation(),
      rejects: REJECT_CODES.map(() => 0),
      deadLetters: { nextId: 1, expired: 0, strata: [] },
    }),
  ];
}
