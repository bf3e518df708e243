/** What a partition may hold: values, cells, sums, memory. */

import { describe, expect, it } from 'vitest';
import { CellKind } from '../../../engine/core/cell.ts';
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE } from '../../../engine/core/types.ts';
import { foldAll, newStore, openToy, saveTo } from './harness.ts';
import { TEN, cellsOf, folded, logWith, sale } from './sales.ts';

describe('bounds', () => {
  it('counts values beyond a dimension\'s limit as other, by day, and says so', () => {
    const log = logWith({ dimensionLimits: { city: 2 } });
    log.batch(TEN, ['a', 'b', 'c', 'd', 'a', 'other'].map((city) => sale({ city })));
    log.batch(TEN + 1, [sale({ city: 'd', t: TEN - MS_PER_DAY })]);
    const partition = folded(log);
    expect(cellsOf(partition).filter((cell) => cell.startsWith('2'))).toEqual(['2 11-19T00 s/d 1', '2 11-20T00 s/a 2', '2 11-20T00 s/b 1', '2 11-20T00 s/other 3']);
    expect(partition.stats().alarms).toEqual(['dimension city is at its limit: further values count as other']);
  });

  it('counts combinations beyond the limit of cells as other in every dimension', () => {
    const log = logWith({ cellsPerDayMax: 2 });
    log.batch(TEN, [['x', 'a'], ['x', 'b'], ['y', 'a'], ['x', 'a'], ['y', 'c']].map(([shop, city]) => sale({ shop: shop as string, city: city as string })));
    expect(cellsOf(folded(log)).filter((cell) => cell.startsWith('1'))).toEqual(['1 11-20T10 other/other 2', '1 11-20T10 x/a 2', '1 11-20T10 x/b 1']);
  });

  it('admits after a restart what it would have admitted without one, evicted cells or not', async () => {
    const log = logWith({ dimensionLimits: { city: 2 }, cellsPerDayMax: 3 });
    const first = log.batch(TEN, [sale({ city: 'a' }), sale({ city: 'b' }), sale({ city: 'c' })]);
    const second = log.batch(TEN + 1, [sale({ city: 'c' }), sale({ city: 'a' }), sale({ city: 'b', shop: 't' })]);
    const expected = cellsOf(folded(log));
    const store = newStore();
    const before = openToy(store, { cellIdleCheckpoints: 0 });
    foldAll(before, [log.batches[0] as typeof first, first]);
    before.report('changed');
    await saveTo(before, store);
    expect(before.stats().cellsInMemory).toBe(3);
    const after = openToy(store);
    foldAll(after, [second]);
    expect(cellsOf(after)).toEqual(expected);
  });

  it('does not count the cell of all others, after a restart either', async () => {
    const log = logWith({ dimensionLimits: { shop: 1, city: 1 }, cellsPerDayMax: 3 });
    log.batch(TEN, [sale({ shop: 'x', city: 'a' }), sale({ shop: 'y', city: 'b' })]);
    const store = newStore();
    const before = openToy(store);
    foldAll(before, log.batches);
    await saveTo(before, store);
    const after = openToy(store);
    foldAll(after, [log.batch(TEN + 1, [sale({ shop: 'x', city: 'c' }), sale({ shop: 'z', city: 'a' })])]);
    expect(cellsOf(after).filter((cell) => cell.startsWith('1'))).toEqual(['1 11-20T10 other/a 1', '1 11-20T10 other/other 1', '1 11-20T10 x/a 1', '1 11-20T10 x/other 1']);
  });

  it('keeps values that are no fit key from meeting another\'s cell', () => {
    const log = logWith();
    log.batch(TEN, [sale({ shop: 'a\u001fb', city: 'c' }), sale({ shop: 'a', city: 'b\u001fc' }), sale({ shop: 'x'.repeat(5_000) }), sale({ shop: '\ud800' })]);
    const days = cellsOf(folded(log)).filter((cell) => cell.startsWith('2'));
    expect(days).toHaveLength(4);
    expect(days.every((cell) => cell.length < 300 && cell.endsWith(' 1'))).toBe(true);
  });

  it('leaves out money that would pass what can be summed exactly, in hour and day alike, and counts it as unpriced', () => {
    const limit = Math.floor(2 ** 53 / 64);
    const log = logWith();
    log.batch(TEN, [sale({ paid: limit }), sale({ paid: 1 }), sale({ paid: -limit }), sale({ paid: -limit }), sale({ paid: -1 }), sale({ paid: 0.5 })]);
    // The day is at the bound while the next hour is not: both must leave it out.
    log.batch(TEN + 65 * MS_PER_MINUTE, [sale({ t: TEN + 65 * MS_PER_MINUTE, paid: -7 })]);
    const { cells } = folded(log).report('all');
    const measures = (kind: CellKind, windowStartMs: number) => cells.find((cell) => cell.kind === kind && cell.windowStartMs === windowStartMs)?.measures;
    expect(measures(CellKind.hour, TEN)).toEqual([6, -limit, 3]);
    expect(measures(CellKind.hour, TEN + MS_PER_HOUR)).toEqual([1, 0, 1]);
    expect(measures(CellKind.day, TEN - 10 * MS_PER_HOUR)).toEqual([7, -limit, 4]);
  });

  it('keeps memory bounded while every checkpoint brings more new cells of old days than a look for idle ones examines', async () => {
    const log = logWith({ cellRetentionMs: 40 * MS_PER_DAY, cellsPerDayMax: 1_000_000, dimensionLimits: { city: 1_000_000 } });
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    foldAll(partition, [log.batch(TEN, [sale()])]);
    const perRound = 6_000;
    const inMemory: number[] = [];
    for (let round = 1; round <= 13; round++) {
      const t = TEN - (1 + round) * MS_PER_DAY;
      foldAll(partition, [log.batch(TEN + round, Array.from({ length: perRound }, (_, n) => sale({ t, city: `${round}-${n}` })))]);
      partition.report('changed');
      await saveTo(partition, store);
      inMemory.push(partition.stats().cellsInMemory);
    }
    // Each late record makes a late and a day cell.
    expect(Math.max(...inMemory)).toBeLessThan(65_536 + 2 * 2 * perRound);
    expect(partition.stateHash()).toBe(folded(log).stateHash());
  });

  it('lets idle day cells leave memory and gives them back with all they had', async () => {
    const log = logWith();
    log.batch(TEN, [sale({ name: 'N', kind: 'buy' }), sale({ t: TEN - 5 * MS_PER_HOUR, paid: 9 })]);
    const store = newStore();
    const partition = openToy(store, { cellIdleCheckpoints: 1 });
    foldAll(partition, log.batches);
    partition.report('changed');
    await saveTo(partition, store);
    expect(partition.stats().cellsInMemory).toBe(3);
    foldAll(partition, [log.batch(TEN + 1)]);
    await saveTo(partition, store);
    expect(partition.stats().cellsInMemory).toBe(1);
    foldAll(partition, [log.batch(TEN + 2, [sale({ paid: 5 })])]);
    const day = partition.report('changed').cells.find((cell) => cell.kind === CellKind.day);
    expect(day).toMatchObject({ records: 3, measures: [3, 15, 0], breakdown: { buy: 1 }, labels: [{ timeMs: TEN, text: 'N' }] });
    expect(partition.stateHash()).toBe(folded(log).stateHash());
  });
});
