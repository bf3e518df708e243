/** The answer of a replay: sums by hour and cell, late events counted in their hour, as text lines that two engines can be compared by. */

import { appsflyerPipeline } from '../../actors/appsflyer/index.ts';
import { CellKind, type CellName, type CellTotals } from '../../engine/core/cell.ts';

/** Records, installs, events, conversions, revenue in micros. */
export type CellSums = readonly number[];

export class ReplayCells {
  readonly #cells = new Map<string, CellSums>();

  get size(): number {
    return this.#cells.size;
  }

  /** Adds to what the cell holds already: late events, or another partition's share. */
  add(hourMs: number, dimensions: string, sums: CellSums): void {
    const key = `${hourMs}\t${dimensions}`;
    const before = this.#cells.get(key);
    this.#cells.set(key, before === undefined ? sums : before.map((sum, index) => sum + (sums[index] as number)));
  }

  /** Lines of hour, cell and sums, sorted; equal for equal answers. */
  lines(): string[] {
    return [...this.#cells].map(([key, sums]) => `${key}\t${sums.join('\t')}`).sort();
  }

  /** Over all cells. */
  totals(): CellSums {
    return [...this.#cells.values()].reduce((total, sums) => total.map((sum, index) => sum + (sums[index] as number)), [0, 0, 0, 0, 0]);
  }
}

export interface ReplayRow {
  readonly hourMs: number;
  readonly dimensions: string;
  readonly sums: CellSums;
}

export function parseRow(line: string): ReplayRow {
  const [hour, dimensions, ...sums] = line.split('\t');
  return { hourMs: Number(hour), dimensions: dimensions as string, sums: sums.map(Number) };
}

const MEASURES = ['installs', 'events', 'conversions', 'revenue_micros'].map((name) => appsflyerPipeline.measures.findIndex((measure) => measure.name === name));

/** Hours and their late events; days are the same once more. */
export function addCells(cells: ReplayCells, from: readonly (CellName & CellTotals)[]): void {
  for (const { kind, windowStartMs, dimensions, records, measures } of from) {
    if (kind !== CellKind.day) cells.add(windowStartMs, dimensions, [records, ...MEASURES.map((index) => measures[index] as number)]);
  }
}
