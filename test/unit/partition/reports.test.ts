/** What a partition reports to the merge, and what it lets go of once that is settled. */

import { describe, expect, it } from 'vitest';
import { CellKind, type CellName } from '../../../engine/core/cell.ts';
import { MS_PER_HOUR } from '../../../engine/core/types.ts';
import { foldAll, LiveCells, newStore, openToy, saveTo, type ToyPartition } from './harness.ts';
import { TEN, cellsOf, folded, logWith, sale } from './sales.ts';

describe('reports', () => {
  const dayName: CellName = { kind: CellKind.day, windowStartMs: TEN - 10 * MS_PER_HOUR, dimensions: 's\u001fc' };

  it('hold each changed cell once, with absolute totals, and nothing when nothing changed', () => {
    const log = logWith();
    const partition = folded(log);
    expect(partition.hasChanges).toBe(false);
    foldAll(partition, [log.batch(TEN, [sale(), sale()])]);
    expect(partition.hasChanges).toBe(true);
    const { cells } = partition.report('changed');
    expect(cells.map(({ kind, records, revision }) => [kind, records, revision])).toEqual([[CellKind.day, 2, 4], [CellKind.hour, 2, 4]]);
    expect(partition.report('changed').cells).toEqual([]);
    const repeated = log.batch(TEN + 1, [sale()]);
    foldAll(partition, [repeated, repeated]);
    expect(partition.report('changed').cells.map((cell) => cell.records)).toEqual([3, 3]);
  });

  it('carry the label of the latest event, whatever the order of arrival; ties go to the greater text, and no text says nothing', () => {
    const named = [{ t: TEN, name: 'b' }, { t: TEN, name: 'c' }, { t: TEN, name: 'a' }, { t: TEN - 1, name: 'z' }, { t: TEN + 1 }];
    for (const order of [named, [...named].reverse()]) {
      const log = logWith();
      log.batch(TEN + 1, order.map(sale));
      expect(folded(log).report('changed').cells.find((cell) => cell.kind === CellKind.day)?.labels).toEqual([{ timeMs: TEN, text: 'c' }]);
    }
  });

  it('tell of counts that no cell shows', () => {
    const log = logWith();
    const partition = folded(log);
    foldAll(partition, [log.batch(TEN, [{ payload: '{' }])]);
    expect(partition.hasChanges).toBe(true);
    expect(partition.report('changed')).toMatchObject({ received: 1, rejected: 1, cells: [] });
  });

  it('answer requests from memory and store, once, and say nothing of cells that are not there', async () => {
    const log = logWith();
    log.batch(TEN, [sale()]);
    const store = newStore();
    foldAll(await opened(store), log.batches);
    async function opened(on: typeof store): Promise<ToyPartition> {
      const partition = openToy(on, { cellIdleCheckpoints: 0 });
      foldAll(partition, log.batches);
      partition.report('changed');
      await saveTo(partition, on);
      return openToy(on);
    }
    const partition = await opened(store);
    partition.request([dayName, dayName, { ...dayName, dimensions: 'nowhere\u001fc' }, { ...dayName, kind: CellKind.hour, windowStartMs: TEN }]);
    expect(partition.hasChanges).toBe(true);
    expect(partition.report('changed').cells.map((cell) => [cell.kind, cell.records])).toEqual([[CellKind.day, 1], [CellKind.hour, 1]]);
    expect(partition.report('changed').cells).toEqual([]);
  });

  it('let go of a closed hour once the live store has it as final, in memory and in the store, and not before', async () => {
    const log = logWith();
    log.batch(TEN, [sale()]);
    const later = TEN + 2 * MS_PER_HOUR;
    log.batch(later, [sale({ t: later })]);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    await saveTo(partition, store);
    const closed: CellName = { kind: CellKind.hour, windowStartMs: TEN, dimensions: 's\u001fc' };
    const has = (): boolean => (partition.request([closed]), partition.report('changed').cells.some((cell) => cell.windowStartMs === TEN && cell.kind === CellKind.hour));
    partition.settled({ sequence: partition.sequence - 1, finalUpToMs: later });
    expect(has()).toBe(true);
    partition.settled({ sequence: partition.sequence, finalUpToMs: TEN });
    expect(has()).toBe(true);
    partition.settled({ sequence: partition.sequence, finalUpToMs: TEN + MS_PER_HOUR });
    expect(has()).toBe(false);
    await saveTo(partition, store);
    expect(cellsOf(openToy(store)).filter((cell) => cell.startsWith('1'))).toEqual(['1 11-20T12 s/c 1']);
  });

  it('let go of a closed hour that a checkpoint in flight is about to store', async () => {
    const log = logWith();
    log.batch(TEN, [sale()]);
    log.batch(TEN + 2 * MS_PER_HOUR, [sale({ t: TEN + 2 * MS_PER_HOUR })]);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    const checkpoint = partition.checkpoint();
    partition.settled({ sequence: partition.sequence, finalUpToMs: TEN + MS_PER_HOUR });
    await store.commit(checkpoint?.operations ?? []);
    if (checkpoint !== null) partition.checkpointCommitted(checkpoint.epoch);
    expect(await saveTo(partition, store)).toBe(true);
    expect(cellsOf(openToy(store)).filter((cell) => cell.startsWith('1'))).toEqual(['1 11-20T12 s/c 1']);
  });

  it('hold after a restart what the live store has not settled, and no more', async () => {
    const log = logWith();
    log.batch(TEN, [sale({ city: 'old' })]);
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    const settledSequence = partition.sequence;
    foldAll(partition, [log.batch(TEN + 1, [sale({ city: 'new' })])]);
    await saveTo(partition, store);
    const reported = (sequence: number): string[] => {
      const restarted = openToy(store);
      restarted.settled({ sequence, finalUpToMs: 0 });
      return cellsOf(restarted);
    };
    expect(reported(settledSequence)).toEqual(['1 11-20T10 s/new 1', '1 11-20T10 s/old 1', '2 11-20T00 s/new 1']);
    expect(reported(partition.sequence)).toEqual(['1 11-20T10 s/new 1', '1 11-20T10 s/old 1']);
    expect(cellsOf(openToy(store))).toHaveLength(4);
  });

  it('come in pieces, of which the last claims what had happened when the first went', () => {
    const log = logWith();
    const partition = folded(log);
    const before = partition.report('changed');
    foldAll(partition, [log.batch(TEN, ['a', 'b', 'c'].map((city) => sale({ city })))]);
    const begunAt = partition.sequence;
    const first = partition.report('changed', 4);
    expect(first).toEqual({ ...before, cells: first.cells });
    expect(partition.isMidReport).toBe(true);
    // Closes the hour; what has not gone yet goes as it is now, once.
    foldAll(partition, [log.batch(TEN + 2 * MS_PER_HOUR, [sale({ t: TEN + 2 * MS_PER_HOUR, city: 'c' })])]);
    const second = partition.report('changed', 4);
    expect(second).toMatchObject({ sequence: begunAt, received: 3, closedUpToMs: TEN - MS_PER_HOUR });
    expect(partition.isMidReport).toBe(false);
    expect([...first.cells, ...second.cells]).toHaveLength(6);
    const rest = partition.report('changed');
    expect(rest).toMatchObject({ sequence: partition.sequence, received: 4, closedUpToMs: TEN + MS_PER_HOUR });
    const live = new LiveCells();
    for (const report of [first, second, rest]) live.take(report);
    expect(live.sorted()).toEqual(openedAgain(log).sorted());
    expect(partition.hasChanges).toBe(false);
  });

  it('answer before all else, and alone when nothing else is wanted', () => {
    const log = logWith();
    const partition = folded(log);
    foldAll(partition, [log.batch(TEN, ['a', 'b', 'c'].map((city) => sale({ city })))]);
    const days = ['c', 'b', 'nowhere'].map((city): CellName => ({ ...dayName, dimensions: `s\u001f${city}` }));
    partition.request(days);
    expect(partition.owesAnswer).toBe(true);
    const shown = (cells: readonly CellName[]): string[] => cells.map(({ kind, dimensions }) => `${kind} ${dimensions.slice(2)}`);
    const asked = partition.report('asked', 1);
    expect(shown(asked.cells)).toEqual(['2 c']);
    expect(asked.sequence).toBe(0);
    expect(partition.owesAnswer).toBe(true);
    expect(shown(partition.report('changed', 2).cells)).toEqual(['2 b', '2 a']);
    expect(partition.owesAnswer).toBe(false);
    const { cells, sequence } = partition.report('changed');
    expect(shown(cells).sort()).toEqual(['1 a', '1 b', '1 c']);
    expect(sequence).toBe(partition.sequence);
  });

  it('hold after a restart all of it in pieces, stored cells too, and claim it with the last', async () => {
    const log = logWith();
    const cities = Array.from({ length: 40 }, (_, index) => `c${index}`);
    log.batch(TEN, cities.map((city) => sale({ city })));
    const store = newStore();
    const partition = openToy(store);
    foldAll(partition, log.batches);
    await saveTo(partition, store);
    const restarted = openToy(store);
    const live = new LiveCells();
    let pieces = 0;
    do {
      const report = restarted.report('all', 3);
      expect(report.cells.length).toBeLessThanOrEqual(3);
      expect(report.sequence).toBe(restarted.isMidReport ? 0 : partition.sequence);
      live.take(report);
      pieces++;
      // A cell that is in memory by now is not forgotten.
      if (pieces === 15) foldAll(restarted, [log.batch(TEN + 1, [sale({ city: 'c39' })])]);
    } while (restarted.isMidReport);
    live.take(restarted.report('changed'));
    expect(live.sorted()).toEqual(openedAgain(log).sorted());
    expect(pieces).toBeGreaterThanOrEqual(27);
  });
});

/** What one report after all of the log holds. */
function openedAgain(log: ReturnType<typeof logWith>): LiveCells {
  const live = new LiveCells();
  live.take(folded(log).report('all'));
  return live;
}
