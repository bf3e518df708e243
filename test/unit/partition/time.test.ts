/** Watermark, idleness, closing and expiry, by the time that the log tells. */

import { describe, expect, it } from 'vitest';
import { CellKind } from '../../../engine/core/cell.ts';
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE } from '../../../engine/core/types.ts';
import { foldAll, newStore, openToy, saveTo } from './harness.ts';
import { TEN, cellsOf, folded, logWith, sale, tickUntil, verdicts } from './sales.ts';
import { rulesControl } from './toy-pipeline.ts';

describe('time', () => {
  it('lets the watermark follow events, but not past the time of receipt, and never back', () => {
    const log = logWith();
    log.batch(TEN, [sale({ t: TEN - 5_000 })]);
    log.batch(TEN + 1, [sale({ t: TEN + MS_PER_MINUTE })]);
    log.batch(TEN + 2, [sale({ t: TEN - 60_000 })]);
    const partition = openToy(newStore());
    const marks = log.batches.map((batch) => (foldAll(partition, [batch]), partition.report('changed').watermarkMs));
    expect(marks).toEqual([-1, TEN - 5_000, TEN + 1, TEN + 1]);
  });

  it('lets an idle partition follow the clock of the log, by running time: an outage makes nobody idle', () => {
    const log = logWith();
    log.batch(TEN, [sale({ t: TEN - 1_000 })]);
    log.batch(TEN + 8 * MS_PER_HOUR);
    expect(folded(log).report('changed').watermarkMs).toBe(TEN - 1_000);
    tickUntil(log, TEN + 8 * MS_PER_HOUR + 1_000, TEN + 8 * MS_PER_HOUR + 57_000);
    expect(folded(log).report('changed').watermarkMs).toBe(TEN - 1_000);
    tickUntil(log, TEN + 8 * MS_PER_HOUR + 58_000, TEN + 8 * MS_PER_HOUR + 58_000);
    expect(folded(log).report('changed').watermarkMs).toBe(TEN + 8 * MS_PER_HOUR - 2_000);
  });

  it('is not moved by rejected records, nor does one keep a partition from being idle', () => {
    const log = logWith();
    for (let at = 0; at <= 60; at++) log.batch(TEN + at * 1_000, [{ payload: '{' }]);
    expect(folded(log).report('changed').watermarkMs).toBe(TEN);
  });

  it('is moved by repeats as by their originals', () => {
    const log = logWith();
    const again = sale({ t: TEN + 4 * MS_PER_MINUTE });
    log.batch(TEN, [again]);
    tickUntil(log, TEN + 1_000, TEN + 59_000);
    log.batch(TEN + MS_PER_MINUTE, [again]);
    // Not idle, and the event is no longer ahead of its receipt.
    log.batch(TEN + 61_000);
    expect(folded(log).report('changed').watermarkMs).toBe(TEN + MS_PER_MINUTE);
    log.batch(TEN + 5 * MS_PER_MINUTE, [again]);
    expect(folded(log).report('changed').watermarkMs).toBe(TEN + 4 * MS_PER_MINUTE);
  });

  it('closes an hour once the watermark has passed its end and the lateness, which changes its cells once more', () => {
    const log = logWith();
    log.batch(TEN + 1, [sale({ t: TEN })]);
    const last = TEN + MS_PER_HOUR + 5 * MS_PER_MINUTE;
    log.batch(last - 1, [sale({ t: last - 1 }), sale({ t: TEN + MS_PER_HOUR - 1 })]);
    const partition = folded(log);
    expect(partition.report('changed').closedUpToMs).toBe(TEN);
    const closing = log.batch(last, [sale({ t: last })]);
    foldAll(partition, [closing]);
    const { cells, closedUpToMs, sequence } = partition.report('changed');
    expect(closedUpToMs).toBe(TEN + MS_PER_HOUR);
    expect(cells.find((cell) => cell.kind === CellKind.hour && cell.windowStartMs === TEN)).toMatchObject({ records: 2, revision: sequence });
    expect(partition.hasChanges).toBe(false);
  });

  it('never opens a closed hour again, whatever the rules say later', () => {
    const log = logWith();
    log.batch(TEN + 1, [sale({ t: TEN - 2 * MS_PER_HOUR })]);
    log.batch(TEN + 2, [], [rulesControl({ allowedLatenessMs: 20 * MS_PER_HOUR })]);
    log.batch(TEN + 3, [sale({ t: TEN }), sale({ t: TEN - 2 * MS_PER_HOUR })]);
    const open = folded(log);
    expect(verdicts(open)).toEqual(['accepted', 'accepted', 'accepted']);
    const closed = logWith();
    closed.batch(TEN + 1, [sale({ t: TEN })]);
    closed.batch(TEN + 2, [], [rulesControl({ allowedLatenessMs: 20 * MS_PER_HOUR })]);
    closed.batch(TEN + 3, [sale({ t: TEN - 2 * MS_PER_HOUR })]);
    expect(verdicts(folded(closed))).toEqual(['accepted', 'late']);
  });

  it('never opens a closed hour again when a day expires under a longer lateness', () => {
    const log = logWith();
    log.batch(TEN + 1, [sale({ t: TEN })]);
    // Days go sooner now: one expires at the next record, and hours are looked at with it.
    log.batch(TEN + 2, [], [rulesControl({ allowedLatenessMs: 20 * MS_PER_HOUR, cellRetentionMs: MS_PER_HOUR })]);
    log.batch(TEN + 3, [sale({ t: TEN })]);
    log.batch(TEN + 4, [sale({ t: TEN - 2 * MS_PER_HOUR })]);
    expect(verdicts(folded(log))).toEqual(['accepted', 'accepted', 'late']);
  });

  it('counts late records beside their hour and in their day, and those of expired days in the lake alone', () => {
    const log = logWith({ cellRetentionMs: 2 * MS_PER_HOUR });
    log.batch(TEN + 1, [sale({ t: TEN }), sale({ t: TEN - 4 * MS_PER_HOUR }), sale({ t: TEN - 10 * MS_PER_HOUR - 1 })]);
    const partition = folded(log);
    expect(verdicts(partition)).toEqual(['accepted', 'late', 'late']);
    expect(cellsOf(partition)).toEqual(['1 11-20T10 s/c 1', '2 11-20T00 s/c 2', '3 11-20T06 s/c 1']);
    log.batch(TEN + 20 * MS_PER_MINUTE, [sale({ t: TEN + 20 * MS_PER_MINUTE })]);
    foldAll(partition, log.batches);
    expect(partition.takeShares().map((share) => share.rowCount)).toEqual([3]);
  });

  it('still has its share of a day that it counts in no more, for partitions that are behind', async () => {
    const log = logWith({ cellRetentionMs: MS_PER_HOUR });
    log.batch(TEN, [sale()]);
    const store = newStore();
    const partition = openToy(store, { cellIdleCheckpoints: 0 });
    foldAll(partition, log.batches);
    foldAll(partition, [log.batch(TEN + MS_PER_DAY, [sale({ t: TEN + MS_PER_DAY }), sale({ t: TEN + 1 })])]);
    await saveTo(partition, store);
    partition.report('changed');
    partition.request([{ kind: CellKind.day, windowStartMs: TEN - 10 * MS_PER_HOUR, dimensions: 's\u001fc' }]);
    expect(partition.report('changed').cells.map(({ kind, records }) => [kind, records])).toEqual([[CellKind.day, 1]]);
  });

  it('removes cells from memory and from the store a day after they expired', async () => {
    const log = logWith({ cellRetentionMs: MS_PER_HOUR });
    log.batch(TEN, [sale(), sale({ t: TEN - 5 * MS_PER_HOUR })]);
    const store = newStore();
    const partition = openToy(store, { cellIdleCheckpoints: 0 });
    foldAll(partition, log.batches);
    await saveTo(partition, store);
    expect([...store.range('cells', {})]).toHaveLength(3);
    const later = TEN + 2 * MS_PER_DAY;
    foldAll(partition, [log.batch(later, [sale({ t: later })])]);
    partition.settled({ sequence: partition.sequence, finalUpToMs: later });
    await saveTo(partition, store);
    expect([...store.range('cells', {})].map(({ key }) => key[0])).toEqual([CellKind.hour, CellKind.day]);
    expect(cellsOf(partition)).toEqual(['1 11-22T10 s/c 1']);
  });
});
