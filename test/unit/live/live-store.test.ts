import { describe, expect, it } from 'vitest';
import { CellKind } from '../../../engine/core/cell.ts';
import type { MergedCell } from '../../../engine/core/cell.ts';
import { pack, unpack } from '../../../engine/core/codec.ts';
import { memoryStore } from '../../../engine/state/index.ts';
import { LIVE_TABLES } from '../../../sinks/live/index.ts';
import { DAY_MS, DAY_START_MS, HOUR_MS, merged, name, openLive, output, schema } from './helpers.ts';

const all = (live: ReturnType<typeof openLive>): readonly MergedCell[] => live.changedSince(0, 1_000).cells;

describe('LiveStore', () => {
  it('shows a change once it is committed, and not before', async () => {
    const live = openLive();
    const applying = live.apply(output([merged()]), 7);
    expect(live.cell(merged())).toBeNull();
    expect(live.latest).toBe(0);
    await applying;
    expect(live.cell(merged())).toEqual(merged());
    expect(live.latest).toBe(1);
    expect(live.asOfMs).toBe(7);
  });

  it('changes nothing when a transaction fails, and takes the same output again', async () => {
    const store = memoryStore(LIVE_TABLES);
    const live = openLive(store);
    await live.apply(output([merged()], { settledSequences: new Map([[0, 3]]) }), 1);
    const next = output([merged({ revision: 2 }), merged({ dimensions: name('c2') })], { settledSequences: new Map([[0, 5]]), finalUpToMs: 9 });
    live.settle('redis', 1);
    store.failNextCommit('DISK_FULL');
    await expect(live.apply(next, 2)).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(live.cell(merged())?.revision).toBe(1);
    expect([live.latest, live.finalUpToMs, live.settledSequences().get(0)]).toEqual([1, 0, 3]);
    await live.apply(next, 3);
    expect(all(live).map((cell) => cell.revision)).toEqual([2, 1]);
    expect([live.latest, live.finalUpToMs, live.settledSequences().get(0)]).toEqual([3, 9, 5]);
    expect(openLive(store.fork()).settledMark('redis')).toBe(1);
  });

  it('shows nobody a cell without records, tells sinks of it, and shows it again once it has some', async () => {
    const live = openLive();
    await live.apply(output([merged(), merged({ dimensions: name('c2'), records: 0, measures: [0, 0], revision: 4 })]), 1);
    const shown = (): string[] => [...live.windowPages(CellKind.hour, DAY_START_MS, null)].flat().map(({ dimensions }) => dimensions);
    expect(shown()).toEqual([name('c1')]);
    expect([...live.windowPages(CellKind.hour, DAY_START_MS, 'c2')]).toEqual([]);
    expect(live.window(CellKind.hour, DAY_START_MS, null, 10).map(({ records }) => records)).toEqual([1, 0]);
    expect(all(live)).toHaveLength(2);
    expect(live.cell(merged({ dimensions: name('c2') }))?.revision).toBe(4);
    await live.apply(output([merged({ dimensions: name('c2'), records: 2, revision: 5 })]), 2);
    expect(shown().sort()).toEqual([name('c1'), name('c2')]);
  });

  it('takes a corrected final cell from a promotion alone, and reads it again', async () => {
    const store = memoryStore(LIVE_TABLES);
    const live = openLive(store);
    await live.apply(output([merged({ final: true })]), 1);
    const corrected = merged({ final: true, revision: 2, records: 9 });
    await expect(live.apply(output([corrected]), 2)).rejects.toThrow(/cannot be followed/);
    live.restating = true;
    await live.apply(output([corrected]), 2);
    const again = openLive(store.fork());
    expect(again.cell(merged())).toMatchObject({ final: true, revision: 2, records: 9 });
    await expect(again.apply(output([merged({ final: true, revision: 3 })]), 3)).rejects.toThrow(/cannot be followed/);
  });

  it('restores cells, marks, sequences, counters and numbers when it is opened again', async () => {
    const store = memoryStore(LIVE_TABLES);
    const live = openLive(store);
    const counters = { received: 3, accepted: 2, duplicate: 0, late: 1, rejected: 0 };
    await live.apply(output([merged(), merged({ kind: CellKind.day, breakdown: { x: 2 } })], { settledSequences: new Map([[1, 8]]), counters, finalUpToMs: 4, watermarkMs: DAY_START_MS + 5 }), 1);
    live.settle('redis', 2);
    expect(live.settledMark('redis')).toBe(2);
    await live.apply(output([]), 2);
    const again = openLive(store);
    expect(all(again)).toEqual(all(live));
    expect(again.settledMark('redis')).toBe(2);
    expect([...again.settledSequences()]).toEqual([[0, 0], [1, 8]]);
    expect(again).toMatchObject({ latest: 2, finalUpToMs: 4, watermarkMs: DAY_START_MS + 5, asOfMs: 2 });
    expect(await again.stateHash()).toBe(await live.stateHash());
  });

  it('never takes back settled sequences, finality or the watermark', async () => {
    const live = openLive();
    await live.apply(output([], { settledSequences: new Map([[0, 5]]), finalUpToMs: 10, watermarkMs: 20 }), 1);
    await live.apply(output([], { settledSequences: new Map(), finalUpToMs: 0, watermarkMs: -1 }), 2);
    expect([live.settledSequences().get(0), live.finalUpToMs, live.watermarkMs]).toEqual([5, 10, 20]);
  });

  it('feeds each changed cell once, with its latest value, in order of change, and in steps', async () => {
    for (const logAgeMs of [0, 1_000_000]) {
      const live = openLive(undefined, { limits: { logAgeMs } });
      await live.apply(output([merged(), merged({ dimensions: name('c2') }), merged({ dimensions: name('c3') })]), 1);
      await live.apply(output([merged({ revision: 2 })]), 2);
      await live.apply(output([]), 3);
      expect(all(live).map((cell) => cell.dimensions)).toEqual([name('c2'), name('c3'), name('c1')]);
      const first = live.changedSince(0, 1);
      expect(first).toMatchObject({ cells: [{ dimensions: name('c2') }], mark: 2 });
      const second = live.changedSince(first.mark, 1);
      expect(second).toMatchObject({ cells: [{ dimensions: name('c3') }], mark: 3 });
      expect(live.changedSince(second.mark, 1)).toMatchObject({ cells: [{ dimensions: name('c1'), revision: 2 }], mark: 4 });
      expect(live.changedSince(4, 1)).toEqual({ cells: [], mark: 4 });
    }
  });

  it('keeps one index entry for each cell, however often it changes', async () => {
    const store = memoryStore(LIVE_TABLES);
    const live = openLive(store, { limits: { logAgeMs: 0, logCellsMax: 4 } });
    for (let revision = 1; revision <= 50; revision++) {
      await live.apply(output([merged({ revision }), merged({ revision, dimensions: name('c2') })]), revision);
    }
    await live.apply(output([]), 100);
    expect([...store.range('changes', {})].length).toBe(2);
    expect([...store.range('cells', {})].length).toBe(2);
    expect([...store.range('blocks', {})].length).toBe(0);
    expect(all(live).map((cell) => cell.revision)).toEqual([50, 50]);
  });

  it('reads cells of windows that are not in memory, together with their changes in the log', async () => {
    const store = memoryStore(LIVE_TABLES);
    const first = openLive(store, { limits: { logAgeMs: 0 } });
    const names = ['a', 'b', 'c', 'd'].map((campaign) => name(campaign));
    await first.apply(output(names.map((dimensions) => merged({ dimensions }))), 1);
    await first.apply(output([]), 2);
    const live = openLive(store, { limits: { memoryCellsMax: 0, logAgeMs: 10 } });
    expect(live.levels().memoryCells).toBe(0);
    await live.apply(output([merged({ dimensions: name('b'), revision: 9 }), merged({ dimensions: name('e') })]), 3);
    expect(live.levels()).toEqual({ memoryCells: 2, logCells: 2 });
    const check = (): void => {
      expect(live.window(CellKind.hour, DAY_START_MS, null, 99).map((cell) => [cell.dimensions, cell.revision])).toEqual([[names[0], 1], [names[1], 9], [names[2], 1], [names[3], 1], [name('e'), 1]]);
      expect(live.window(CellKind.hour, DAY_START_MS, 'b', 99).map((cell) => cell.revision)).toEqual([9]);
      expect(live.window(CellKind.hour, DAY_START_MS, 'c', 99).map((cell) => cell.revision)).toEqual([1]);
      expect(live.cell(merged({ dimensions: name('d') }))?.revision).toBe(1);
      expect(all(live).map((cell) => cell.dimensions)).toEqual([names[0], names[2], names[3], names[1], name('e')]);
    };
    check();
    await live.apply(output([]), 50);
    expect(live.levels()).toEqual({ memoryCells: 0, logCells: 0 });
    check();
    expect([...store.range('changes', {})].length).toBe(5);
  });

  it('has a window that was asked for before it had cells, in memory and once it has left it', async () => {
    const live = openLive(memoryStore(LIVE_TABLES), { limits: { memoryCellsMax: 0, logAgeMs: 10 } });
    const late = (): readonly number[] => live.window(CellKind.late, DAY_START_MS, 'c1', 9).map(({ revision }) => revision);
    expect(late()).toEqual([]);
    await live.apply(output([merged({ kind: CellKind.late })]), 1);
    expect(late()).toEqual([1]);
    await live.apply(output([]), 50);
    expect(live.levels().memoryCells).toBe(0);
    expect(late()).toEqual([1]);
    expect(live.window(CellKind.late, DAY_START_MS, 'c2', 9)).toEqual([]);
  });

  it('gives windows in key order and no more than asked for', async () => {
    const live = openLive();
    const campaigns = ['b', '\u{10000}', 'a', '\uffee', 'a!'];
    await live.apply(output(campaigns.map((campaign) => merged({ dimensions: name(campaign) }))), 1);
    const ordered = live.window(CellKind.hour, DAY_START_MS, null, 99).map((cell) => cell.dimensions);
    expect(ordered).toEqual(campaigns.map((campaign) => name(campaign)).sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right))));
    expect(live.window(CellKind.hour, DAY_START_MS, null, 2).map((cell) => cell.dimensions)).toEqual(ordered.slice(0, 2));
    expect(live.window(CellKind.hour, DAY_START_MS, 'a', 99).length).toBe(1);
    expect(live.window(CellKind.hour, DAY_START_MS + HOUR_MS, null, 99)).toEqual([]);
    expect(live.window(CellKind.day, DAY_START_MS, null, 99)).toEqual([]);
  });

  it('hides what is past retention at once and removes it step by step', async () => {
    const store = memoryStore(LIVE_TABLES);
    const live = openLive(store, { retentionDays: 1, limits: { logAgeMs: 0, removalsMax: 2 } });
    const names = ['a', 'b', 'c', 'd', 'e'].map((campaign) => name(campaign));
    await live.apply(output(names.map((dimensions) => merged({ dimensions }))), 1);
    await live.apply(output([merged({ kind: CellKind.day }), merged({ windowStartMs: DAY_START_MS + HOUR_MS })]), 2);
    const watermarkMs = DAY_START_MS + HOUR_MS + DAY_MS;
    await live.apply(output([], { watermarkMs: watermarkMs - 1 }), 3);
    expect(live.cell(merged({ dimensions: name('a') }))).not.toBeNull();
    await live.apply(output([], { watermarkMs }), 4);
    expect(live.cell(merged({ dimensions: name('a') }))).toBeNull();
    expect(live.window(CellKind.hour, DAY_START_MS, null, 9)).toEqual([]);
    expect(live.nextWindow(CellKind.hour, 0)).toBe(DAY_START_MS + HOUR_MS);
    expect(all(live).length).toBe(2);
    const counts: number[] = [];
    for (let step = 0; step < 4; step++) {
      await live.apply(output([merged({ dimensions: name('f') })], { watermarkMs }), 5 + step);
      counts.push([...store.range('cells', {})].length);
    }
    expect(counts).toEqual([5, 3, 2, 2]);
    expect([...store.range('changes', {})].length).toBe(2);
    expect(openLive(store, { retentionDays: 1 }).nextWindow(CellKind.hour, 0)).toBe(DAY_START_MS + HOUR_MS);
  });

  it('has a state hash that depends on values, revisions and finality alone', async () => {
    const one = openLive();
    await one.apply(output([merged({ revision: 1, updatedAtMs: 5 }), merged({ dimensions: name('b') })]), 1);
    await one.apply(output([merged({ revision: 2, final: true })]), 2);
    const other = openLive(undefined, { limits: { logAgeMs: 0 } });
    await other.apply(output([merged({ dimensions: name('b') })]), 1);
    await other.apply(output([merged({ revision: 2, final: true, updatedAtMs: 9 })]), 2);
    await other.apply(output([]), 3);
    expect(await other.stateHash()).toBe(await one.stateHash());
    for (const change of [{ revision: 3 }, { measures: [2, 0] }, { final: false }, { records: 7 }]) {
      const changed = openLive();
      await changed.apply(output([merged({ dimensions: name('b') }), merged({ revision: 2, final: true, ...change })]), 1);
      expect(await changed.stateHash()).not.toBe(await one.stateHash());
    }
  });

  it('refuses the file of another data directory, of a later life, and a schema it cannot read', async () => {
    const store = memoryStore(LIVE_TABLES);
    await openLive(store).apply(output([merged()]), 1);
    expect(() => openLive(store, { instance: 'b'.repeat(32) })).toThrow(expect.objectContaining({ code: 'DATA_DIR_FOREIGN' }));
    expect(() => openLive(store, { partitionCount: 3 })).toThrow(expect.objectContaining({ code: 'DATA_DIR_FOREIGN' }));
    expect(() => openLive(store, { generation: 999 })).toThrow(expect.objectContaining({ code: 'DATA_DIR_FOREIGN' }));
    expect(() => openLive(store, { schema: { ...schema, dimensions: ['country'] } })).toThrow(expect.objectContaining({ code: 'DATA_VERSION' }));
    expect(() => openLive(store, { schema: { ...schema, measures: [...schema.measures].reverse() } })).toThrow(expect.objectContaining({ code: 'DATA_VERSION' }));
    const newer = store.fork();
    const identity = new TextEncoder().encode('identity');
    await newer.commit([{ table: 'meta', key: identity, value: pack({ ...unpack<object>(newer.get('meta', identity) as Uint8Array), version: 99 }) }]);
    expect(() => openLive(newer)).toThrow(expect.objectContaining({ code: 'DATA_VERSION' }));
    expect(openLive(store, { generation: 1_001 }).generation).toBe(1_001);
    const more = openLive(store, { schema: { ...schema, measures: [...schema.measures, { name: 'clicks', unit: 'count' }] } });
    expect(more.cell(merged())?.measures).toEqual([1, 0, 0]);
  });

  it('calls listeners once per output that changed cells, once more when it is durable, and no more once they have left', async () => {
    const store = memoryStore(LIVE_TABLES);
    const live = openLive(store);
    let calls = 0;
    const stop = live.onChange(() => calls++);
    await live.apply(output([merged(), merged({ dimensions: name('b') })]), 1);
    await live.apply(output([]), 2);
    await store.flushed();
    await Promise.resolve();
    expect(calls).toBe(2);
    stop();
    await live.apply(output([merged({ revision: 2 })]), 3);
    await store.flushed();
    expect(calls).toBe(2);
  });

  it('knows which changes no power cut takes back: none of an earlier life before the file is flushed anew', async () => {
    const store = memoryStore(LIVE_TABLES);
    const live = openLive(store);
    await live.apply(output([merged()]), 1);
    await store.flushed();
    await Promise.resolve();
    expect([live.durable, live.latest]).toEqual([1, 1]);
    const again = openLive(store);
    expect([again.durable, again.latest]).toEqual([0, 1]);
    const applied = again.apply(output([merged({ revision: 2 })]), 2);
    expect(again.durable).toBe(0);
    await applied;
    await store.flushed();
    await Promise.resolve();
    expect(again.durable).toBe(2);
  });

  it('feeds the late cells of an hour once more when it becomes final, as they are, for values that have no other cell', async () => {
    const late = (hour: number, campaign: string, revision = 1): MergedCell => merged({ kind: CellKind.late, windowStartMs: DAY_START_MS + hour * HOUR_MS, dimensions: name(campaign), revision });
    for (const limits of [{}, { logAgeMs: 0, memoryCellsMax: 0 }]) {
      const store = memoryStore(LIVE_TABLES);
      const live = openLive(store, { limits });
      await live.apply(output([late(0, 'a'), late(0, 'b'), late(1, 'c'), late(2, 'd')]), 1);
      await live.apply(output([], { finalUpToMs: DAY_START_MS }), 2);
      expect(live.latest).toBe(4);
      let calls = 0;
      live.onChange(() => calls++);
      await live.apply(output([late(1, 'c', 2)], { finalUpToMs: DAY_START_MS + 2 * HOUR_MS }), 3);
      expect(calls).toBe(1);
      const { cells, mark } = live.changedSince(4, 9);
      expect(cells).toEqual([{ ...late(1, 'c', 2) }, { ...late(0, 'a'), updatedAtMs: 3 }, { ...late(0, 'b'), updatedAtMs: 3 }]);
      const reopened = openLive(store, { limits });
      await reopened.apply(output([], { finalUpToMs: DAY_START_MS + 2 * HOUR_MS }), 4);
      expect(reopened.changedSince(mark, 9).cells).toEqual([]);
      expect(await reopened.stateHash()).toBe(await live.stateHash());
      await reopened.apply(output([], { finalUpToMs: DAY_START_MS + 3 * HOUR_MS }), 5);
      expect(reopened.changedSince(mark, 9).cells).toEqual([{ ...late(2, 'd'), updatedAtMs: 5 }]);
    }
  });

  it('feeds the late cells of many hours that become final at once over several outputs', async () => {
    const live = openLive(undefined, { limits: { lateFinalsMax: 2 } });
    const hours = [0, 1, 2, 3, 4];
    await live.apply(output(hours.map((hour) => merged({ kind: CellKind.late, windowStartMs: DAY_START_MS + hour * HOUR_MS }))), 1);
    const counts: number[] = [];
    for (let step = 0; step < 4; step++) {
      const { latest } = live;
      await live.apply(output([], { finalUpToMs: DAY_START_MS + DAY_MS }), 2);
      counts.push(live.latest - latest);
    }
    expect(counts).toEqual([2, 2, 1, 0]);
  });

  it('refuses a revision that does not rise, and a change to a final cell', async () => {
    const live = openLive();
    await live.apply(output([merged({ revision: 5 }), merged({ dimensions: name('f'), final: true })]), 1);
    await expect(live.apply(output([merged({ revision: 5 })]), 2)).rejects.toThrow(/cannot be followed/);
    await expect(live.apply(output([merged({ dimensions: name('f'), revision: 9 })]), 2)).rejects.toThrow(/cannot be followed/);
    expect(live.latest).toBe(2);
  });
});
