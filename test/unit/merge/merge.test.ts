import { describe, expect, it } from 'vitest';
import { Merge } from '../../../actors/merge/merge.ts';
import type { MergeLimits } from '../../../actors/merge/merge.ts';
import { CellKind } from '../../../engine/core/cell.ts';
import type { MergedCell } from '../../../engine/core/cell.ts';
import type { MergeOutput } from '../../../engine/core/feed.ts';
import { HOUR_MS, partial, report, schema, StoreModel } from './helpers.ts';

const start = (partitionCount: number, limits: Partial<MergeLimits> = {}, store = new StoreModel(), complete = true) => {
  const merge = new Merge({ schema, partitionCount, exists: store.exists, limits });
  if (complete) for (let partition = 0; partition < partitionCount; partition++) merge.complete(partition);
  const step = (): MergeOutput | null => {
    const output = merge.drain(5);
    if (output === null) return null;
    store.apply(output);
    merge.settled(output);
    return output;
  };
  return { merge, store, step };
};

const only = (output: MergeOutput | null): MergedCell => {
  expect(output?.changed.length).toBe(1);
  return (output as MergeOutput).changed[0] as MergedCell;
};

describe('Merge', () => {
  it('sums the latest share of each partition, its revisions and its breakdown', () => {
    const { merge, step } = start(2);
    merge.accept(report(0, 3, [partial({ revision: 3, records: 2, measures: [2, 500], breakdown: { b: 1 }, labels: [{ timeMs: 5, text: 'new' }] })]));
    merge.accept(report(1, 4, [partial({ revision: 4, records: 5, measures: [1, -200], breakdown: { b: 2, a: 7 } })]));
    const cell = only(step());
    expect(cell).toEqual({ ...partial(), revision: 7, records: 7, measures: [3, 300], breakdown: { a: 7, b: 3 }, labels: [{ timeMs: 5, text: 'new' }], final: false, updatedAtMs: 5 });
    expect(Object.keys(cell.breakdown ?? {})).toEqual(['a', 'b']);
  });

  it('replaces a share, never adds it, and ignores one that is not newer', () => {
    const { merge, step } = start(1);
    merge.accept(report(0, 3, [partial({ revision: 3, measures: [3, 0] })]));
    merge.accept(report(0, 5, [partial({ revision: 5, measures: [4, 10] })]));
    merge.accept(report(0, 4, [partial({ revision: 4, measures: [9, 9] })]));
    merge.accept(report(0, 5, [partial({ revision: 5, measures: [9, 9] })]));
    expect(only(step())).toMatchObject({ revision: 5, measures: [4, 10] });
    expect(merge.partition(0).sequence).toBe(5);
  });

  it('gives nothing out before every partition has completed its recovery', () => {
    const { merge, step } = start(2, {}, new StoreModel(), false);
    merge.accept(report(0, 1, [partial()]));
    merge.complete(0);
    expect(merge.ready).toBe(false);
    expect(step()).toBeNull();
    merge.complete(1);
    expect(merge.ready).toBe(true);
    expect(step()?.changed.length).toBe(1);
  });

  it('gives nothing out when nothing happened, or while the former output is not settled', () => {
    const { merge } = start(1);
    merge.accept(report(0, 1, [partial()]));
    const output = merge.drain(1) as MergeOutput;
    merge.accept(report(0, 2, [partial({ revision: 2 })]));
    expect(merge.drain(2)).toBeNull();
    merge.settled(output);
    expect(merge.drain(3)?.changed.length).toBe(1);
    const idle = start(1);
    expect(idle.step()?.changed).toEqual([]);
    expect(idle.step()).toBeNull();
  });

  it('keeps emitting for the others while a restarted partition replays, with the shares it had reported', () => {
    const { merge, step } = start(2);
    merge.accept(report(0, 1, [partial({ revision: 1 })]));
    merge.accept(report(1, 1, [partial({ revision: 1 })]));
    step();
    merge.recovering([1]);
    merge.accept(report(0, 2, [partial({ revision: 2, measures: [5, 0] })]));
    expect(only(step())).toMatchObject({ revision: 3, measures: [6, 0] });
    merge.accept(report(1, 7, [partial({ revision: 7, measures: [4, 0] })]));
    merge.complete(1);
    expect(only(step())).toMatchObject({ revision: 9, measures: [9, 0] });
  });

  it('makes an hour final once it has closed in all partitions, writes each of its cells once more and frees them', () => {
    const { merge, step } = start(2);
    merge.accept(report(0, 2, [partial({ revision: 2 }), partial({ dimensions: 'c2\u001fDE', revision: 1 })], { closedUpToMs: HOUR_MS }));
    merge.accept(report(1, 2, [partial({ revision: 2 })], { closedUpToMs: 0 }));
    expect(step()).toMatchObject({ finalUpToMs: 0, changed: [{ final: false, revision: 4 }, { final: false, revision: 1 }] });
    merge.accept(report(1, 3, [], { closedUpToMs: HOUR_MS }));
    expect(step()).toMatchObject({ finalUpToMs: HOUR_MS, changed: [{ final: true, revision: 5 }, { final: true, revision: 2 }] });
    expect(merge.cellCount).toBe(0);
  });

  it('never changes a final hour again, though a restarted partition repeats its share', () => {
    const { merge, step } = start(2);
    merge.accept(report(0, 2, [partial({ revision: 2 })], { closedUpToMs: HOUR_MS }));
    merge.accept(report(1, 2, [partial({ revision: 2 })], { closedUpToMs: HOUR_MS }));
    expect(only(step()).final).toBe(true);
    merge.recovering([0]);
    merge.accept(report(0, 9, [partial({ revision: 2 }), partial({ revision: 9, measures: [7, 7] })], { closedUpToMs: HOUR_MS }));
    merge.complete(0);
    expect(step()?.changed).toEqual([]);
    expect(merge.cellCount).toBe(0);
  });

  it('counts and ignores a change to a final cell whose output is still on its way', () => {
    const { merge } = start(1);
    merge.accept(report(0, 2, [partial({ revision: 2 })], { closedUpToMs: HOUR_MS }));
    const output = merge.drain(1) as MergeOutput;
    expect(output.changed[0]?.final).toBe(true);
    merge.accept(report(0, 3, [partial({ revision: 3 })], { closedUpToMs: HOUR_MS }));
    merge.settled(output);
    expect(merge.drain(2)?.changed).toEqual([]);
    expect(merge.alarms.refusedFinal).toBe(1);
  });

  it('does not write again what the live store had before the restart', () => {
    const { merge, store, step } = start(2);
    merge.accept(report(0, 2, [partial({ revision: 2 })]));
    merge.accept(report(1, 3, [partial({ revision: 3 })]));
    step();
    const again = start(2, {}, store, false);
    again.merge.accept(report(0, 2, [partial({ revision: 2 })]));
    again.merge.complete(0);
    again.merge.accept(report(1, 4, [partial({ revision: 3 }), partial({ revision: 4, dimensions: 'c9\u001fDE' })]));
    again.merge.complete(1);
    const output = again.step();
    expect(only(output).dimensions).toBe('c9\u001fDE');
    expect(output?.settledSequences).toEqual(new Map([[0, 2], [1, 4]]));
  });

  it('has room for an output full of changes, though many cells came that need no writing', () => {
    const cells = (revision: number, ...names: string[]) => names.map((name) => partial({ dimensions: `${name}\u001fDE`, revision }));
    const { merge, store, step } = start(1);
    merge.accept(report(0, 2, cells(2, 'a', 'b', 'c', 'd', 'e')));
    step();
    const again = start(1, { outputCellsMax: 2 }, store, false);
    again.merge.accept(report(0, 4, [...cells(2, 'a', 'b', 'c', 'd', 'e'), ...cells(4, 'x', 'y', 'z')]));
    again.merge.complete(0);
    expect(again.step()?.changed.map((cell) => cell.dimensions)).toEqual(['x\u001fDE', 'y\u001fDE']);
    expect(again.merge.hasPending).toBe(true);
    expect(again.step()).toMatchObject({ changed: [{ dimensions: 'z\u001fDE' }], settledSequences: new Map([[0, 4]]) });
    expect(again.merge.hasPending).toBe(false);
  });

  it('changes a stored day cell only after every partition has answered for it', () => {
    const day = { kind: CellKind.day } as const;
    const { merge, step } = start(2, { idleCellsMax: 0 });
    merge.accept(report(0, 1, [partial({ ...day, revision: 1, measures: [1, 0] })]));
    merge.accept(report(1, 1, [partial({ ...day, revision: 1, measures: [10, 0] })]));
    expect(merge.takeRequests()).toBeNull();
    expect(only(step()).measures).toEqual([11, 0]);
    expect(merge.cellCount).toBe(0);
    merge.accept(report(0, 2, [partial({ ...day, revision: 2, measures: [2, 0] })]));
    const held = step();
    expect(held).toMatchObject({ changed: [], settledSequences: new Map([[0, 1], [1, 1]]) });
    const request = merge.takeRequests();
    expect(request?.names).toEqual([{ kind: CellKind.day, windowStartMs: 0, dimensions: 'c1\u001fDE' }]);
    const requestId = request?.requestId ?? 0;
    merge.answered(0, requestId);
    expect(step()).toBeNull();
    merge.accept(report(1, 1, [partial({ ...day, revision: 1, measures: [10, 0] })]));
    merge.answered(1, requestId);
    const output = step();
    expect(only(output)).toMatchObject({ measures: [12, 0], revision: 3 });
    expect(output?.settledSequences).toEqual(new Map([[0, 2], [1, 1]]));
  });

  it('forgets day cells that have not changed for long, whatever room there is', () => {
    const { merge, step } = start(1);
    const at = (sequence: number, watermarkMs: number, dimensions: string): void => {
      merge.accept(report(0, sequence, [partial({ kind: CellKind.day, dimensions, revision: sequence })], { watermarkMs }));
      step();
    };
    at(1, HOUR_MS, 'old\u001fDE');
    at(2, 2 * HOUR_MS, 'newer\u001fDE');
    expect(merge.cellCount).toBe(2);
    at(3, 3 * HOUR_MS + 1, 'newest\u001fDE');
    expect(merge.cellCount).toBe(2);
    at(4, 9 * HOUR_MS, 'newest\u001fDE');
    expect(merge.cellCount).toBe(1);
  });

  it('asks again when a partition restarts with a request unanswered, and ignores the old answer', () => {
    const day = { kind: CellKind.day } as const;
    const { merge, step } = start(2, { idleCellsMax: 0 });
    merge.accept(report(1, 1, [partial({ ...day, revision: 1, measures: [10, 0] })]));
    step();
    merge.accept(report(0, 2, [partial({ ...day, revision: 2, measures: [2, 0] })]));
    const first = merge.takeRequests()?.requestId ?? 0;
    merge.answered(0, first);
    merge.recovering([1]);
    merge.answered(1, first);
    expect(merge.takeRequests()).toBeNull();
    merge.complete(1);
    expect(step()?.changed).toEqual([]);
    const second = merge.takeRequests()?.requestId ?? 0;
    expect(second).not.toBe(first);
    merge.answered(0, second);
    merge.accept(report(1, 3, [partial({ ...day, revision: 1, measures: [10, 0] })]));
    merge.answered(1, second);
    expect(only(step()).measures).toEqual([12, 0]);
  });

  it('settles nothing past a change that did not fit its output', () => {
    const { merge, step } = start(1, { outputCellsMax: 2 });
    merge.accept(report(0, 1, [partial()], { closedUpToMs: HOUR_MS, watermarkMs: HOUR_MS }));
    step();
    const cells = ['a', 'b', 'c'].map((name) => partial({ dimensions: `${name}\u001fDE`, windowStartMs: HOUR_MS, revision: 5 }));
    merge.accept(report(0, 5, cells, { closedUpToMs: 2 * HOUR_MS, watermarkMs: 2 * HOUR_MS }));
    expect(step()).toMatchObject({ settledSequences: new Map([[0, 1]]), finalUpToMs: HOUR_MS, watermarkMs: HOUR_MS });
    expect(step()).toMatchObject({ settledSequences: new Map([[0, 5]]), finalUpToMs: 2 * HOUR_MS, watermarkMs: 2 * HOUR_MS });
  });

  it('shows a money total beyond the safe integers as the nearest one, and the exact one when it is back', () => {
    const { merge, step } = start(3);
    const most = Number.MAX_SAFE_INTEGER;
    merge.accept(report(0, 1, [partial({ revision: 1, measures: [1, most] })]));
    merge.accept(report(1, 1, [partial({ revision: 1, measures: [1, most - 1] })]));
    expect(only(step()).measures).toEqual([2, most]);
    expect(merge.alarms.saturatedMeasures).toBe(1);
    merge.accept(report(2, 1, [partial({ revision: 1, measures: [1, -most] })]));
    expect(only(step()).measures).toEqual([3, most - 1]);
    merge.accept(report(0, 2, [partial({ revision: 2, measures: [1, -3] })]));
    expect(only(step()).measures).toEqual([3, -4]);
    expect(merge.alarms.saturatedMeasures).toBe(1);
  });

  it('shows the lowest watermark and the lowest closed hour of all partitions', () => {
    const { merge, step } = start(3);
    merge.accept(report(0, 1, [partial()], { watermarkMs: 500, closedUpToMs: 0 }));
    merge.accept(report(1, 1, [], { watermarkMs: 300, closedUpToMs: HOUR_MS }));
    merge.accept(report(2, 1, [], { watermarkMs: 900, closedUpToMs: 2 * HOUR_MS }));
    expect(step()).toMatchObject({ watermarkMs: 300, finalUpToMs: 0 });
    merge.accept(report(1, 2, [], { watermarkMs: 800, closedUpToMs: 2 * HOUR_MS }));
    merge.accept(report(0, 2, [], { watermarkMs: 600, closedUpToMs: HOUR_MS }));
    expect(step()).toMatchObject({ watermarkMs: 600, finalUpToMs: HOUR_MS });
  });

  it('takes the greater text of labels with equal time, whatever the order', () => {
    for (const order of [['x', 'y'], ['y', 'x']]) {
      const { merge, step } = start(2);
      order.forEach((text, partition) => merge.accept(report(partition, 1, [partial({ labels: [{ timeMs: 9, text }] })])));
      expect(only(step()).labels).toEqual([{ timeMs: 9, text: 'y' }]);
    }
  });

  it('refuses to lower a stored revision when shares were dropped too early', () => {
    const store = new StoreModel();
    const late = { kind: CellKind.late } as const;
    const { merge, step } = start(2, { idleCellsMax: 0 }, store);
    merge.accept(report(0, 1, [partial({ ...late, revision: 1 })]));
    merge.accept(report(1, 50, [partial({ ...late, revision: 50, measures: [50, 0] })]));
    step();
    merge.accept(report(0, 2, [partial({ ...late, revision: 2 })]));
    const requestId = merge.takeRequests()?.requestId ?? 0;
    merge.answered(0, requestId);
    merge.answered(1, requestId);
    expect(step()?.changed).toEqual([]);
    expect(merge.alarms.refusedLower).toBe(1);
  });

  it('takes while it is full what it needs to get out: answers, and what a recovery has to tell', () => {
    const day = { kind: CellKind.day } as const;
    const { merge, step } = start(2, { idleCellsMax: 0, pendingCellsMax: 1 });
    merge.accept(report(0, 1, [partial({ ...day, revision: 1 })]));
    const taken = (): string[] => [0, 1].map((partition) => merge.takes(partition));
    expect(taken()).toEqual(['nothing', 'nothing']);
    step();
    expect(taken()).toEqual(['all', 'all']);
    merge.accept(report(0, 2, [partial({ ...day, revision: 2 })]));
    const first = merge.takeRequests()?.requestId ?? 0;
    expect(taken()).toEqual(['answers', 'answers']);
    merge.answered(0, first);
    expect(taken()).toEqual(['nothing', 'answers']);
    merge.recovering([1]);
    expect(taken()).toEqual(['nothing', 'all']);
    merge.complete(1);
    const second = merge.takeRequests()?.requestId ?? 0;
    expect(taken()).toEqual(['answers', 'answers']);
    for (const partition of [0, 1]) merge.answered(partition, second);
    expect(taken()).toEqual(['nothing', 'nothing']);
    expect(only(step()).revision).toBe(2);
    expect(taken()).toEqual(['all', 'all']);
  });

  it('says when it is full, and sums the counters of all partitions', () => {
    const { merge, step } = start(2, { pendingCellsMax: 2 });
    merge.accept(report(0, 4, [partial()], { received: 4, accepted: 3, late: 1 }));
    expect(merge.full).toBe(false);
    merge.accept(report(1, 5, [partial({ dimensions: 'z\u001fDE' })], { received: 5, accepted: 2, rejected: 3 }));
    expect(merge.full).toBe(true);
    expect(step()?.counters).toEqual({ received: 9, accepted: 5, duplicate: 0, late: 1, rejected: 3 });
    expect(merge.full).toBe(false);
  });
});
