import { describe, expect, it } from 'vitest';
import { CellKind } from '../../../engine/core/cell.ts';
import { CellSlots, Mark, type Contribution } from '../../../actors/partition/cell-slots.ts';
import { ValueTable } from '../../../actors/partition/value-table.ts';

const event = (timeMs: number, label: string, changes: Partial<Contribution> = {}): Contribution => ({
  timeMs,
  amounts: Float64Array.of(0, 2 ** 40),
  touched: Int32Array.of(1, 0),
  touchedCount: 1,
  breakdownName: null,
  labels: [label],
  ...changes,
});

describe('slots of cells', () => {
  it('begin empty, whatever the last cell in them held', () => {
    const values = new ValueTable();
    const slots = new CellSlots({ values, measureCount: 2, labelCount: 1 });
    const empty = { revision: 0, records: 0, measures: [0, 0], breakdownNames: null, breakdownCounts: null, labelTimesMs: [-1], labelTexts: [''] };
    const first = slots.create(CellKind.hour, 1_000, 7);
    expect(slots.read(first)).toEqual(empty);
    slots.add(first, event(5, 'A', { breakdownName: 'buy' }));
    slots.change(first, 3);
    expect(slots.read(first)).toEqual({ revision: 3, records: 1, measures: [0, 2 ** 40], breakdownNames: ['buy'], breakdownCounts: [1], labelTimesMs: [5], labelTexts: ['A'] });
    slots.free(first);
    expect(values.size).toBe(0);
    const second = slots.create(CellKind.day, 2_000, 8);
    expect(second).toBe(first);
    expect(slots.read(second)).toEqual(empty);
    expect([slots.kind(second), slots.windowStartMs(second), slots.series(second), slots.is(second, Mark.changed | Mark.dirty)]).toEqual([CellKind.day, 2_000, 8, false]);
  });

  it('are not free before the last list has let go of a cell that has gone', () => {
    const slots = new CellSlots({ values: new ValueTable(), measureCount: 1, labelCount: 0 });
    const slot = slots.create(CellKind.day, 0, 0);
    slots.hold(slot);
    slots.hold(slot);
    expect(slots.letGo(slot)).toBe(false);
    slots.mark(slot, Mark.gone);
    expect(() => { slots.free(slot); }).toThrow('while a list holds it');
    expect(slots.letGo(slot)).toBe(true);
    slots.free(slot);
    expect(slots.isResting(slot)).toBe(false);
  });

  it('give blocks back that hold no cell any more, and take new ones', () => {
    const slots = new CellSlots({ values: new ValueTable(), measureCount: 1, labelCount: 0 });
    for (let round = 0; round < 2; round++) {
      const made = Array.from({ length: 1_000 }, (_, index) => slots.create(CellKind.day, index, index));
      expect(new Set(made).size).toBe(1_000);
      made.forEach((slot, index) => { expect(slots.series(slot)).toBe(index); });
      for (const slot of made) slots.free(slot);
      expect(made.some((slot) => slots.isResting(slot))).toBe(false);
      expect(slots.end).toBe(1_024);
    }
  });

  it('keep the label with the latest event time, and of equal times the greater, in whatever order events come', () => {
    const slots = new CellSlots({ values: new ValueTable(), measureCount: 2, labelCount: 1 });
    const events = [[3, 'b'], [5, 'a'], [5, 'c'], [5, ''], [4, 'z'], [5, 'b']] as const;
    for (const order of [events, [...events].reverse()]) {
      const slot = slots.create(CellKind.hour, 0, 0);
      for (const [timeMs, label] of order) slots.add(slot, event(timeMs, label));
      expect(slots.read(slot)).toMatchObject({ labelTimesMs: [5], labelTexts: ['c'] });
    }
  });
});
