import { describe, expect, it } from 'vitest';
import { slotName, type SlotShare } from '../../../engine/core/lake-slot.ts';
import { MS_PER_HOUR, MS_PER_MINUTE } from '../../../engine/core/types.ts';
import { readVerdictLog } from '../../../engine/core/verdict-log.ts';
import { foldAll, newStore, openPartition, openToy, saveTo, type ToyPartition } from './harness.ts';
import { LogBuilder, type TestRecord } from './log-builder.ts';
import { generationControl, rulesControl, toyPipeline, toyRules } from './toy-pipeline.ts';
import type { Rules } from '../../../engine/core/rules.ts';

/** 2026-11-20T10:00:00Z. */
const TEN = 1_795_168_800_000;
const SLOT = 15 * MS_PER_MINUTE;
let ids = 0;
const sale = (t: number): TestRecord => ({ payload: JSON.stringify({ t, id: `o${ids++}`, shop: 's', city: 'c', paid: 1 }) });
const logWith = (changes: Partial<Rules> = {}): LogBuilder => {
  const log = new LogBuilder();
  log.batch(TEN, [], [generationControl(), rulesControl(changes)]);
  return log;
};
const namesAndRows = (shares: readonly SlotShare[]): unknown[] => shares.map((share) => [slotName(share.slot), share.rowCount]);
const folded = (log: LogBuilder): ToyPartition => {
  const partition = openToy(newStore());
  foldAll(partition, log.batches);
  return partition;
};

describe('a lake slot', () => {
  it('ends with its stretch of log time and is handed out once, also without rows', () => {
    const log = logWith();
    log.batch(TEN + 1, [sale(TEN), { payload: '{' }, sale(TEN - 2 * MS_PER_HOUR)]);
    const partition = folded(log);
    expect(partition.takeShares()).toEqual([]);
    foldAll(partition, [log.batch(TEN + SLOT), log.batch(TEN + 3 * SLOT, [sale(TEN)])]);
    const shares = partition.takeShares();
    expect(namesAndRows(shares)).toEqual([['20261120T100000Z-0000', 2], ['20261120T101500Z-0000', 0]]);
    expect(partition.takeShares()).toEqual([]);
    const [entry] = [...readVerdictLog((shares[0] as SlotShare).entries)];
    // Generation and tick, then the batch's tick: its first record is the third thing folded.
    expect(entry).toEqual({ journal: 0, batchOffset: log.batches[1]?.offset, firstSequence: 3, verdicts: Uint8Array.of(0, 3, 1) });
  });

  it('ends once enough of the journal has passed, whatever its offsets are', () => {
    const log = logWith({ slotBytesMax: 200 });
    for (let at = 1; at <= 5; at++) log.batch(TEN + at, [sale(TEN)]);
    const partition = folded(log);
    expect(namesAndRows(partition.takeShares())).toEqual([['20261120T100000Z-0000', 1], ['20261120T100000Z-0001', 2]]);
  });

  it('ends where event ids are made in another way, and never gives a name twice', () => {
    const log = logWith({ slotMs: SLOT });
    log.batch(TEN + SLOT, [sale(TEN)], [rulesControl({ dedupe: 'none' })]);
    log.batch(TEN + SLOT + 1, [sale(TEN)], [rulesControl({ dedupe: 'push-ms' })]);
    // A longer stretch begins before the slot that is open.
    log.batch(TEN + SLOT + 2, [sale(TEN)], [rulesControl({ dedupe: 'push-ms', slotMs: MS_PER_HOUR })]);
    log.batch(TEN + MS_PER_HOUR);
    const shares = folded(log).takeShares();
    expect(shares.map((share) => [slotName(share.slot), share.dedupe, share.rowCount])).toEqual([
      ['20261120T100000Z-0000', 'push-ms', 0],
      ['20261120T101500Z-0000', 'none', 1],
      ['20261120T101500Z-0001', 'push-ms', 1],
      ['20261120T101500Z-0002', 'push-ms', 1],
    ]);
  });

  it('ends where the rules that the lake obeys change, names them, and keeps them over a restart', async () => {
    const pipeline = { ...toyPipeline, lakeRules: (domain: unknown) => (domain as { hides?: string }).hides ?? '' };
    const domain = toyRules().domain as object;
    const log = logWith();
    log.batch(TEN + 1, [sale(TEN)]);
    log.batch(TEN + 2, [sale(TEN)], [rulesControl({ domain: { ...domain, hides: '{"a":1}' } })]);
    log.batch(TEN + 3, [sale(TEN)], [rulesControl({ domain: { ...domain, hides: '{"a":1}' }, futureSkewMs: 1_000 })]);
    const store = newStore();
    const before = openPartition(pipeline, store);
    foldAll(before, log.batches);
    await saveTo(before, store);
    const partition = openPartition(pipeline, store);
    foldAll(partition, [log.batch(TEN + 4, [sale(TEN)]), log.batch(TEN + 5, [sale(TEN)], [rulesControl()]), log.batch(TEN + SLOT)]);
    expect(partition.takeShares().map(({ slot, lakeRules, rowCount }) => [slotName(slot), lakeRules, rowCount])).toEqual([
      ['20261120T100000Z-0000', undefined, 1],
      ['20261120T100000Z-0001', '{"a":1}', 3],
      ['20261120T100000Z-0002', undefined, 1],
    ]);
  });

  it('goes on after a restart in the middle of it, with the same bytes as without one', async () => {
    const log = logWith();
    const store = newStore();
    let partition = openToy(store);
    foldAll(partition, log.batches);
    for (let at = 1; at <= 6; at++) {
      foldAll(partition, [log.batch(TEN + at, [sale(TEN), sale(TEN)])]);
      if (at % 2 === 0) await saveTo(partition, store);
      if (at === 4) partition = openToy(store);
    }
    foldAll(partition, [log.batch(TEN + SLOT)]);
    expect(partition.takeShares()).toEqual(folded(log).takeShares());
  });

  it('is handed out again after a restart until it is spooled, and needs its journal range until then', async () => {
    const log = logWith();
    const rows = log.batch(TEN + 1, [sale(TEN)]);
    log.batch(TEN + SLOT);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    await saveTo(partition, store);
    const shares = partition.takeShares();
    expect(partition.pendingSlotOffsets()).toEqual([rows.offset]);
    const restarted = openToy(store);
    expect(restarted.takeShares()).toEqual(shares);
    restarted.spooled((shares[0] as SlotShare).slot);
    // Were the journal freed now, a restart from the last checkpoint would ask for rows that are gone.
    expect(restarted.pendingSlotOffsets()).toEqual([rows.offset]);
    expect(openToy(store).takeShares()).toEqual(shares);
    const failing = restarted.checkpoint();
    if (failing !== null) restarted.checkpointFailed(failing.epoch);
    expect(restarted.pendingSlotOffsets()).toEqual([rows.offset]);
    expect(await saveTo(restarted, store)).toBe(true);
    expect(restarted.pendingSlotOffsets()).toEqual(restarted.offsets);
    const last = openToy(store);
    expect(last.takeShares()).toEqual([]);
    expect(last.stats().slotsWaiting).toBe(0);
  });

  it('leaves no weight behind when it is spooled before a checkpoint has stored it', async () => {
    const log = logWith();
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    await saveTo(partition, store);
    foldAll(partition, [log.batch(TEN + 1, [sale(TEN)]), log.batch(TEN + SLOT)]);
    for (const share of partition.takeShares()) partition.spooled(share.slot);
    await saveTo(partition, store);
    expect(partition.checkpointPressure).toBe(0);
    expect([...store.range('outbox', {})]).toHaveLength(1);
  });
});
