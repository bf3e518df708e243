/** A journal as the door would have written it: records in the partitions of their users, in batches of one size, behind the control records that a log begins with. */

import { appsflyerPipeline } from '../../actors/appsflyer/index.ts';
import { systemClock } from '../../engine/core/clock.ts';
import { createPartitioner } from '../../engine/core/partition-key.ts';
import type { Offset } from '../../engine/core/types.ts';
import { openJournal } from '../../engine/log/index.ts';
import { BENCH_INSTANCE, BENCH_PARTITIONS, benchControlsOf } from './bench-partition.ts';

export interface BenchJournalOptions {
  readonly directory: string;
  readonly batchRecords: number;
  /** Names the data directory that it belongs to; by default that of the micro benches, which is none. */
  readonly instance?: string;
  /** Epoch ms at which the next batch is received. */
  readonly nowMs: () => number;
}

export interface BenchJournal {
  /** `bytes[start, end)` is copied. A batch that this fills is durable once it resolves. */
  append(bytes: Buffer, start: number, end: number): Promise<void>;
  /** Commits what is left; returns where the journal ends. */
  close(): Promise<Offset>;
}

export async function openBenchJournal({ directory, batchRecords, nowMs, instance = BENCH_INSTANCE }: BenchJournalOptions): Promise<BenchJournal> {
  const partitioner = createPartitioner(appsflyerPipeline.partitionKey, BENCH_PARTITIONS);
  const clock = { nowMs, monotonicMs: () => systemClock.monotonicMs() };
  const { writer } = await openJournal({ directory, instance, partitionCount: BENCH_PARTITIONS, clock, publish: () => undefined });
  for (const control of benchControlsOf(instance)) writer.appendControl(control);
  let pending = 0;
  const commit = async (): Promise<void> => {
    pending = 0;
    await writer.commit();
  };
  return {
    async append(bytes, start, end) {
      partitioner.locate(bytes, start, end);
      writer.append(partitioner.partition, 1, 0, bytes, start, end);
      if (++pending === batchRecords) await commit();
    },
    async close() {
      if (pending > 0) await commit();
      const end = writer.durableOffset;
      await writer.close();
      return end;
    },
  };
}
