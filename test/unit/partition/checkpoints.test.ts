/** Checkpoints, what they refuse to be read by, the log they continue, and the state's hash. */

import { describe, expect, it } from 'vitest';
import { CellKind, type PartialCell } from '../../../engine/core/cell.ts';
import { pack } from '../../../engine/core/codec.ts';
import { partitionId } from '../../../engine/core/types.ts';
import { foldAll, newStore, openPartition, openToy, saveTo } from './harness.ts';
import { LogBuilder, shifted } from './log-builder.ts';
import { TEN, codeOf, folded, logWith, sale } from './sales.ts';
import { generationControl, INSTANCE, rulesControl, toyPipeline, toyRules } from './toy-pipeline.ts';

describe('checkpoints', () => {
  it('write only what changed since the last, one at a time, and nothing when nothing did', async () => {
    const log = logWith();
    log.batch(TEN, [sale({ city: 'a' })]);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    await saveTo(partition, store);
    expect(partition.checkpoint()).toBeNull();
    foldAll(partition, [log.batch(TEN + 1, [sale({ city: 'b' })])]);
    const pressure = partition.checkpointPressure;
    const checkpoint = partition.checkpoint();
    expect(pressure).toBeGreaterThan(0);
    expect(partition.checkpointPressure).toBeLessThan(pressure);
    expect(checkpoint?.operations.filter((operation) => operation.table === 'cells')).toHaveLength(2);
    expect(checkpoint?.operations.some((operation) => Buffer.from(operation.key).toString() === 'rules')).toBe(false);
    foldAll(partition, [log.batch(TEN + 2, [sale({ city: 'c' })])]);
    expect(partition.checkpoint()).toBeNull();
  });

  it('that fail leave everything to the next, what changed meanwhile included', async () => {
    const log = logWith();
    log.batch(TEN, [sale(), { payload: '{' }]);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    const failed = partition.checkpoint();
    foldAll(partition, [log.batch(TEN + 1, [sale(), { payload: '[' }])]);
    if (failed !== null) partition.checkpointFailed(failed.epoch);
    expect(await saveTo(partition, store)).toBe(true);
    const restored = openToy(store);
    expect(restored.stateHash()).toBe(folded(log).stateHash());
    expect(restored.deadLetters(10).map((letter) => letter.id)).toEqual([2, 1]);
    expect(restored.sequence).toBe(partition.sequence);
  });

  it('whose commit failed after it had landed count as committed: nothing of them is stored twice', async () => {
    const log = logWith();
    log.batch(TEN, [sale(), sale({ city: 'b' })]);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    const landed = partition.checkpoint();
    store.failNextCommit('STATE_WRITE_FAILED', 'landed');
    await expect(store.commit(landed?.operations ?? [])).rejects.toThrow();
    if (landed !== null) partition.checkpointFailed(landed.epoch);
    foldAll(partition, [log.batch(TEN + 1, [sale({ city: 'c' })])]);
    expect(await saveTo(partition, store)).toBe(true);
    const restored = openToy(store);
    expect(restored.stateHash()).toBe(folded(log).stateHash());
    expect(restored.stats().dedupeEntries).toBe(folded(log).stats().dedupeEntries);
  });

  it('belong to one partition of one data directory, pipeline and format', async () => {
    const log = logWith();
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    await saveTo(partition, store);
    expect(codeOf(() => openToy(store, { id: partitionId(1) }))).toBe('DATA_DIR_FOREIGN');
    expect(codeOf(() => openToy(store, { partitionCount: 2 }))).toBe('DATA_DIR_FOREIGN');
    expect(codeOf(() => openToy(store, { instance: 'f'.repeat(32) }))).toBe('DATA_DIR_FOREIGN');
    expect(codeOf(() => openPartition({ ...toyPipeline, dimensions: toyPipeline.dimensions.slice(1) }, store))).toBe('DATA_DIR_FOREIGN');
    const newer = store.fork();
    await newer.commit([{ table: 'meta', key: Buffer.from('state'), value: pack({ format: 3 }) }]);
    expect(codeOf(() => openToy(newer))).toBe('DATA_VERSION');
    const torn = store.fork();
    await torn.commit([{ table: 'meta', key: Buffer.from('state'), value: Buffer.from([0xd9]) }]);
    expect(codeOf(() => openToy(torn))).toBe('STATE_CORRUPT');
  });

  it('are read by a pipeline that has a new measure, and by one that has lost one', async () => {
    const log = logWith();
    log.batch(TEN, [sale({ paid: 3 })]);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    await saveTo(partition, store);
    const [sales, paid] = toyPipeline.measures as [(typeof toyPipeline.measures)[0], (typeof toyPipeline.measures)[0]];
    const changed = { ...toyPipeline, measures: [{ ...sales, name: 'brand_new' }, paid] };
    const next = openPartition(changed, store);
    foldAll(next, [log.batch(TEN + 1, [sale({ paid: 4 })])]);
    const hours = (cells: readonly PartialCell[]) => cells.filter((cell) => cell.kind === CellKind.hour).map((cell) => cell.measures);
    expect(hours(next.report('all').cells)).toEqual([[1, 7]]);
    const checkpoint = next.checkpoint();
    await store.commit(checkpoint?.operations ?? []);
    expect(hours(openPartition(changed, store).report('all').cells)).toEqual([[1, 7]]);
  });
});

describe('the log', () => {
  it('is refused where it leaves a gap, and passed over where it was folded before', () => {
    const log = logWith();
    const first = log.batch(TEN, [sale()]);
    log.batch(TEN + 1, [sale()]);
    const partition = folded(log);
    const hash = partition.stateHash();
    foldAll(partition, [shifted(first, 800)]);
    expect([partition.stateHash(), partition.batchSequence]).toEqual([hash, 2]);
    log.batch(TEN + 2);
    const after = log.batch(TEN + 3);
    expect(codeOf(() => foldAll(partition, [after]))).toBe('CHECKPOINT_BEFORE_LOG');
    expect(codeOf(() => foldAll(openToy(newStore()), [first]))).toBe('CHECKPOINT_BEFORE_LOG');
  });

  it('is refused when it belongs elsewhere or needs a newer pipeline', () => {
    const refused = (controls: Parameters<LogBuilder['batch']>[2]): string => {
      const log = new LogBuilder();
      log.batch(TEN, [], controls);
      return codeOf(() => folded(log));
    };
    expect(refused([generationControl(2)])).toBe('DATA_DIR_FOREIGN');
    expect(refused([{ type: 'generation', generation: 1, instance: 'f'.repeat(32), partitionCount: 1 }])).toBe('DATA_DIR_FOREIGN');
    expect(refused([{ type: 'rules', rules: toyRules({ pipelineVersion: 2 }) }])).toBe('DATA_VERSION');
    expect(refused([{ type: 'generation', generation: 1, instance: INSTANCE, partitionCount: 1 }])).toBe('nothing raised');
  });
});

describe('the state hash', () => {
  it('changes with every kind of state that the log determines', () => {
    const base = (): LogBuilder => {
      const log = logWith();
      log.batch(TEN, [sale({ id: 'a' })]);
      return log;
    };
    const hashes = [base(), base(), base(), base(), base(), base()].map((log, index) => {
      if (index === 1) log.batch(TEN + 1);
      if (index === 2) log.batch(TEN + 1, [sale({ id: 'a' })]);
      if (index === 3) log.batch(TEN + 1, [sale({ id: 'b' })]);
      if (index === 4) log.batch(TEN + 1, [{ payload: '{' }]);
      if (index === 5) log.batch(TEN + 1, [], [rulesControl({ futureSkewMs: 1 })]);
      return folded(log).stateHash();
    });
    expect(new Set(hashes).size).toBe(6);
    expect(folded(base()).stateHash()).toBe(hashes[0]);
  });
});
