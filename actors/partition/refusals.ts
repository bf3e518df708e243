/** What a partition says of a log that is not its own, or that has lost what comes next. */

import { EngineError } from '../../engine/core/errors.ts';
import type { LogBatch } from '../../engine/core/log.ts';

export const foreignJournal = (partition: number, { instance, partitionCount }: { readonly instance: string; readonly partitionCount: number }): EngineError =>
  new EngineError('DATA_DIR_FOREIGN', `the journal belongs to instance ${instance} with ${partitionCount} partitions`, { where: { partition }, fix: 'put back the journal that belongs to this data directory' });

export const newerPipeline = (partition: number, found: number, own: number): EngineError =>
  new EngineError('DATA_VERSION', `the journal was written under pipeline version ${found}, this program has ${own}`, { where: { partition }, fix: 'start the newer version' });

export const missingBatches = (partition: number, nextSequence: number, { sequence, offset }: LogBatch): EngineError =>
  new EngineError('CHECKPOINT_BEFORE_LOG', `partition ${partition} needs batch ${nextSequence} next, the journal goes on with ${sequence}`, {
    where: { partition, offset },
    fix: 'restore a savepoint: what lies between is no longer in the journal',
  });
