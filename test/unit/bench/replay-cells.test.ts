import { describe, expect, it } from 'vitest';
import { CellKind } from '../../../engine/core/cell.ts';
import { appsflyerPipeline } from '../../../actors/appsflyer/index.ts';
import { addCells, parseRow, ReplayCells } from '../../../bench/peers/replay-cells.ts';

const measures = appsflyerPipeline.measures.map(({ name }) => ({ installs: 2, events: 3, conversions: 1, revenue_micros: -500 })[name] ?? 0);
const cell = (kind: CellKind) => ({ kind, windowStartMs: 3_600_000, dimensions: 'c\u001fa', records: 6, measures, breakdown: null, labels: [] });

describe('the answer of a replay', () => {
  it('counts late events in their hour, and leaves out days', () => {
    const cells = new ReplayCells();
    addCells(cells, [cell(CellKind.hour), cell(CellKind.late), cell(CellKind.day)]);
    expect(cells.lines()).toEqual(['3600000\tc\u001fa\t12\t4\t6\t2\t-1000']);
    expect(cells.totals()).toEqual([12, 4, 6, 2, -1_000]);
  });

  it('is the same once it has been a file', () => {
    const [cells, again] = [new ReplayCells(), new ReplayCells()];
    addCells(cells, [cell(CellKind.hour)]);
    for (const { hourMs, dimensions, sums } of cells.lines().map(parseRow)) again.add(hourMs, dimensions, sums);
    expect(again.lines()).toEqual(cells.lines());
  });
});
