/** The merge over real partitions: days that some partitions count in no more, while others still do. */

import { expect, it } from 'vitest';
import { Merge } from '../../../actors/merge/merge.ts';
import { CellKind, cellMapKey } from '../../../engine/core/cell.ts';
import { resultSchema } from '../../../engine/core/pipeline.ts';
import { MS_PER_DAY, MS_PER_HOUR, partitionId } from '../../../engine/core/types.ts';
import { foldAll, newStore, openToy, saveTo } from '../partition/harness.ts';
import { LogBuilder, type TestRecord } from '../partition/log-builder.ts';
import { TEN, sale } from '../partition/sales.ts';
import { generationControl, rulesControl, toyPipeline } from '../partition/toy-pipeline.ts';
import { StoreModel } from './helpers.ts';

const DAY = { kind: CellKind.day, windowStartMs: TEN - 10 * MS_PER_HOUR, dimensions: 's\u001fc' };

/** Two partitions, the merge and a store, driven as the actor loop and egress drive them. */
function twoPartitions() {
  const log = new LogBuilder();
  const store = new StoreModel();
  const merge = new Merge({ schema: resultSchema(toyPipeline), partitionCount: 2, exists: store.exists, limits: { idleCellsMax: 0 } });
  const partitions = [0, 1].map((id) => {
    const files = newStore();
    return { files, actor: openToy(files, { id: partitionId(id), partitionCount: 2, cellIdleCheckpoints: 0 }) };
  });
  for (const id of [0, 1]) merge.complete(id);
  const cycle = (): void => {
    for (const { actor } of partitions) merge.accept(actor.report('changed'));
    const output = merge.drain(1);
    if (output === null) return;
    store.apply(output);
    merge.settled(output);
    for (const { actor } of partitions) actor.settled({ sequence: output.settledSequences.get(actor.id) ?? 0, finalUpToMs: output.finalUpToMs });
  };
  return {
    store,
    merge,
    partitions,
    /** Folds a batch, and lets all that it changes reach the store and the checkpoints. */
    fold: async (atMs: number, records: readonly TestRecord[], controls: Parameters<LogBuilder['batch']>[2] = []): Promise<void> => {
      const batch = log.batch(atMs, records, controls);
      for (const { actor } of partitions) foldAll(actor, [batch]);
      cycle();
      for (const request of [merge.takeRequests()]) {
        if (request === null) continue;
        for (const { actor } of partitions) actor.request(request.names);
        cycle();
        for (const { actor } of partitions) merge.answered(actor.id, request.requestId);
        cycle();
      }
      for (const { actor, files } of partitions) await saveTo(actor, files);
    },
    day: () => store.cells.get(cellMapKey(DAY)),
  };
}

const inPartition = (partition: number, record: TestRecord): TestRecord => ({ ...record, partition });

it('keeps a partition\'s share of a day until the day has expired in all of them, whatever one of them jumps over', async () => {
  const { fold, day, merge, partitions } = twoPartitions();
  await fold(TEN, [], [generationControl(2), rulesControl({ cellRetentionMs: MS_PER_DAY })]);
  await fold(TEN + 1, [...Array.from({ length: 50 }, () => inPartition(0, sale())), inPartition(1, sale())]);
  // So that the revision of the share that stays passes the sum of both.
  await fold(TEN + 2, Array.from({ length: 200 }, () => inPartition(1, sale({ city: 'elsewhere' }))));
  expect(day()?.records).toBe(51);
  const afterOutage = TEN + 4 * MS_PER_DAY;
  await fold(afterOutage, [inPartition(0, sale({ t: afterOutage }))]);
  await fold(afterOutage + 1, [inPartition(1, sale())]);
  expect(day()?.records).toBe(52);
  expect(merge.alarms.refusedLower).toBe(0);
  // Now the other one has come as far: the shares go.
  await fold(afterOutage + 2, [inPartition(1, sale({ t: afterOutage }))]);
  await fold(afterOutage + 3, []);
  for (const { files } of partitions) expect([...files.range('cells', {})].filter(({ key }) => key[0] !== CellKind.hour)).toHaveLength(1);
});

it('tells the merge of the last record of a day before the day goes', async () => {
  const { fold, day } = twoPartitions();
  await fold(TEN, [], [generationControl(2), rulesControl({ cellRetentionMs: MS_PER_DAY })]);
  await fold(TEN + 1, [inPartition(0, sale()), inPartition(1, sale())]);
  const afterOutage = TEN + 4 * MS_PER_DAY;
  await fold(afterOutage, [inPartition(0, sale()), inPartition(0, sale({ t: afterOutage }))]);
  expect(day()?.records).toBe(3);
});
