import { describe, expect, it } from 'vitest';
import { deltaBetween, figureChanges, isNothing, plusDelta, sumOfDeltas } from '../../../engine/core/cell-difference.ts';
import type { CellTotals } from '../../../engine/core/cell.ts';

const schema = { dimensions: ['shop'], measures: [{ name: 'sales', unit: 'count' }, { name: 'paid', unit: 'micros' }], breakdown: 'by_name', labels: ['city'] } as const;
const cell = (records: number, measures: readonly number[], breakdown: CellTotals['breakdown'] = null, text = 'Paris', timeMs = 1): CellTotals => ({ records, measures, breakdown, labels: [{ timeMs, text }] });

describe('figures that differ', () => {
  it('are named in the order of the schema, with the names of the breakdown behind it', () => {
    expect(figureChanges(schema, cell(2, [2, 50], { a: 1, b: 1 }), cell(3, [3, 50], { b: 2, c: 1 }))).toEqual([
      { figure: 'records', before: 2, after: 3 },
      { figure: 'sales', before: 2, after: 3 },
      { figure: 'by_name.a', before: 1, after: 0 },
      { figure: 'by_name.b', before: 1, after: 2 },
      { figure: 'by_name.c', before: 0, after: 1 },
    ]);
  });

  it('are none where labels alone differ, and all of a cell where the other side has none', () => {
    expect(figureChanges(schema, cell(1, [1, 5]), cell(1, [1, 5], null, 'Lyon', 9))).toEqual([]);
    expect(figureChanges(schema, null, cell(1, [0, 5]))).toEqual([
      { figure: 'records', before: 0, after: 1 },
      { figure: 'paid', before: 0, after: 5 },
    ]);
  });
});

describe('a delta', () => {
  it('makes the one cell of the other, and leaves out names that come to nothing', () => {
    const [before, after] = [cell(2, [2, 50], { a: 1, b: 1 }), cell(1, [1, -20], { b: 3 }, 'Lyon', 2)];
    expect(plusDelta(before, deltaBetween(before, after))).toEqual(after);
    expect(plusDelta(after, deltaBetween(after, null))).toEqual(cell(0, [0, 0], null, 'Lyon', 2));
    expect(plusDelta(null, deltaBetween(null, after))).toEqual(after);
  });

  it('keeps a name like any other that objects have of their own', () => {
    const before = cell(1, [1, 0], Object.fromEntries([['__proto__', 2]]));
    expect([...deltaBetween(before, null).breakdown]).toEqual([['__proto__', -2]]);
    expect(Object.entries(plusDelta(null, deltaBetween(null, before)).breakdown ?? {})).toEqual([['__proto__', 2]]);
  });

  it('and its opposite come to nothing', () => {
    const [left, right] = [cell(2, [2, 50], { a: 1 }), cell(3, [1, 70], { b: 1 })];
    expect(isNothing(sumOfDeltas(deltaBetween(left, right), deltaBetween(right, left)))).toBe(true);
    expect(isNothing(deltaBetween(left, right))).toBe(false);
  });
});
