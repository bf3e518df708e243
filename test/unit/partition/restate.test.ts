import { describe, expect, it } from 'vitest';
import { CellKind, type CellName } from '../../../engine/core/cell.ts';
import type { TotalsDelta } from '../../../engine/core/cell-difference.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import { retriedRecord } from '../../../engine/core/retried-record.ts';
import { MS_PER_DAY, MS_PER_HOUR, partitionId, type Offset } from '../../../engine/core/types.ts';
import { restate, restingState, seedOperations } from '../../../actors/partition/index.ts';
import type { MemoryStore } from '../../../engine/state/index.ts';
import { LiveCells, foldAll, newStore, openToy, saveTo } from './harness.ts';
import { TEN, cellsOf, logWith, sale, tickUntil, verdicts } from './sales.ts';
import { INSTANCE, toyPipeline, toyRules } from './toy-pipeline.ts';

const DAY = Math.floor(TEN / MS_PER_DAY) * MS_PER_DAY;
const name = (kind: CellKind, city = 'c'): CellName => ({ kind, windowStartMs: kind === CellKind.day ? DAY : TEN, dimensions: `s\u001f${city}` });
const delta = (records: number, paid: number, names: readonly [string, number][] = []): TotalsDelta => ({ records, measures: [records, paid, 0], breakdown: new Map(names), labels: [] });
const resting = (store: MemoryStore) => ({ id: partitionId(0), partitionCount: 1, instance: INSTANCE, pipeline: toyPipeline, store });

async function saved(): Promise<{ store: MemoryStore; sequence: number }> {
  const log = logWith();
  log.batch(TEN, [sale({ paid: 5, kind: 'buy', name: 'Shop' }), sale({ paid: 7, kind: 'rent' })]);
  const store = newStore();
  const partition = openToy(store);
  foldAll(partition, log.batches);
  await saveTo(partition, store);
  return { store, sequence: partition.sequence };
}

describe('a correction of a partition at rest', () => {
  it('is added to the shares it has, makes those it has not, and is reported under one higher sequence number', async () => {
    const { store, sequence } = await saved();
    const corrections = [
      { name: name(CellKind.hour), delta: delta(-1, -5, [['buy', -1]]) },
      { name: name(CellKind.day), delta: delta(-1, -5, [['buy', -1]]) },
      { name: name(CellKind.late, 'new'), delta: delta(-3, -30) },
    ];
    const { operations, sequence: next, formerRevisions } = restate(resting(store), corrections);
    await store.commit(operations);
    expect(next).toBe(sequence + 1);
    expect(formerRevisions[0]).toBe(sequence);
    expect(formerRevisions[1]).toBe(sequence);
    expect(formerRevisions[2]).toBe(0);

    const partition = openToy(store);
    expect(partition.sequence).toBe(next);
    const live = new LiveCells();
    live.take(partition.report('all'));
    const cells = [...live.cells.values()].map(({ kind, dimensions, records, measures, breakdown, labels, revision }) => [kind, dimensions.split('\u001f')[1], records, measures, breakdown, labels[0]?.text, revision]);
    expect(cells).toHaveLength(3);
    expect(cells).toContainEqual([CellKind.hour, 'c', 1, [1, 7, 0], { rent: 1 }, 'Shop', next]);
    expect(cells).toContainEqual([CellKind.day, 'c', 1, [1, 7, 0], { rent: 1 }, 'Shop', next]);
    expect(cells).toContainEqual([CellKind.late, 'new', -3, [-3, -30, 0], null, '', next]);
  });

  it('leaves verdicts, fingerprints and the place in the log as they were, and the partition counts on', async () => {
    const { store } = await saved();
    const before = restingState(resting(store));
    await store.commit(restate(resting(store), [{ name: name(CellKind.hour), delta: delta(10, 0) }]).operations);
    const partition = openToy(store);
    expect(partition.offsets).toEqual(before?.offsets);
    expect(partition.stats()).toMatchObject({ received: 2, accepted: 2, duplicate: 0 });
    const log = logWith();
    log.batch(TEN, [sale(), sale()]);
    log.batch(TEN, [sale({ id: 'after', paid: 1 })]);
    foldAll(partition, log.batches);
    expect(partition.stats()).toMatchObject({ received: 3, accepted: 3 });
    expect(cellsOf(partition)).toContain('1 11-20T10 s/c 13');
  });
});

describe('a partition that begins in the middle of a log', () => {
  it('counts what comes from there on as the one that saw everything does, under its own rules', async () => {
    const log = logWith({}, TEN - 2 * MS_PER_HOUR);
    log.batch(TEN - MS_PER_HOUR, [sale({ t: TEN - MS_PER_HOUR, id: 'early' })]);
    const middle = log.batches.length;
    log.batch(TEN + 1, [sale({ id: 'a', t: TEN + 1, kind: 'buy' })], [{ type: 'rules', rules: toyRules({ domain: { kinds: [] } }) }]);
    log.batch(TEN + 2, [sale({ id: 'a', t: TEN + 1, kind: 'buy' }), sale({ id: 'b', t: TEN + 2, kind: 'swap' })]);
    tickUntil(log, TEN + 1_000, TEN + 5_000);
    const whole = openToy(newStore());
    foldAll(whole, log.batches);

    const store = newStore();
    const first = log.batches[middle];
    await store.commit(seedOperations({ id: partitionId(0), partitionCount: 1, instance: INSTANCE, pipeline: toyPipeline, rules: toyRules({ domain: { kinds: ['swap'] } }), generation: 1, offsets: [first?.offset as Offset], nextSequence: middle, runningTimeMs: first?.runningTimeMs as number }));
    const shadow = openToy(store, { areRulesFixed: true });
    foldAll(shadow, log.batches.slice(middle));
    expect(verdicts(shadow)).toEqual(['accepted', 'duplicate', 'accepted']);
    expect(verdicts(shadow)).toEqual(verdicts(whole).slice(1));
    expect(shadow.offset).toBe(whole.offset);
    expect(cellsOf(shadow)).toEqual(['1 11-20T10 s/c 2', '2 11-20T00 s/c 2']);
    const [hour] = shadow.report('all').cells.filter(({ kind }) => kind === CellKind.hour);
    expect(hour?.breakdown).toEqual({ swap: 1 });
    expect(shadow.rules?.domain).toEqual({ kinds: ['swap'] });
  });

  it('takes what is sent again from dead letters of before as any record, once', async () => {
    const log = logWith();
    const record = sale({ id: 'again' });
    const again = { payload: retriedRecord({ partition: 0, id: 57, attempt: 1, source: RecordSource.push }, Buffer.from(record.payload)), source: RecordSource.retry };
    log.batch(TEN + 1, [again, again]);
    const whole = openToy(newStore());
    foldAll(whole, log.batches);
    expect(verdicts(whole)).toEqual(['duplicate', 'duplicate']);
    const store = newStore();
    await store.commit(seedOperations({ id: partitionId(0), partitionCount: 1, instance: INSTANCE, pipeline: toyPipeline, rules: toyRules(), generation: 1, offsets: [log.batches[1]?.offset as Offset], nextSequence: 1, runningTimeMs: 0 }));
    const shadow = openToy(store, { areRulesFixed: true });
    foldAll(shadow, log.batches.slice(1));
    expect(verdicts(shadow)).toEqual(['accepted', 'duplicate']);
  });
});
