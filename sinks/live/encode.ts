/**
 * How the live store writes cells, change numbers and blocks of its change log. Positions, not names: one cell is ~120 bytes.
 * Format version {@link LIVE_VERSION}; a change here raises it.
 */

import type { CellKind, CellLabel, MergedCell } from '../../engine/core/cell.ts';
import { parseCellStoreKey } from '../../engine/core/cell.ts';
import { decodeStored, pack, unpack } from '../../engine/core/codec.ts';

export const LIVE_VERSION = 1;

export const LIVE_TABLE = {
  /** cell key → cell, as of its last move out of the log. */
  cells: 'cells',
  /** change number → cell key: one entry for each cell of `cells`. */
  changes: 'changes',
  /** first change number → the cells changed, in order of change: the change log. */
  blocks: 'blocks',
  /** sink name → settled change number. */
  marks: 'marks',
  meta: 'meta',
  /** date, app, media source, campaign, country → what was spent: see costs/. */
  costs: 'costs',
  /** date → number of its last change, and of its rows. */
  costDates: 'cost_dates',
} as const;
/** What the store must be opened with. */
export const LIVE_TABLES: readonly string[] = Object.values(LIVE_TABLE);

/** A cell and the number of the change that made it so. */
export interface NumberedCell {
  readonly cell: MergedCell;
  readonly changeNumber: number;
}

type FlatLabels = (number | string)[];
type Value = [changeNumber: number, revision: number, final: boolean, updatedAtMs: number, records: number, measures: number[], breakdown: Record<string, number> | null, labels: FlatLabels];
const BLOCK_FIELDS = 10;

/** 6 bytes, big-endian, so that numbers sort. */
export function changeKey(number: number): Uint8Array {
  const key = new Uint8Array(6);
  let rest = number;
  for (let index = 5; index >= 0; index--) {
    key[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return key;
}

export const parseChangeKey = (key: Uint8Array): number => key.reduce((number, byte) => number * 256 + byte, 0);

export function encodeCell({ cell, changeNumber }: NumberedCell): Uint8Array {
  return pack([changeNumber, cell.revision, cell.final, cell.updatedAtMs, cell.records, cell.measures, cell.breakdown, flatLabels(cell.labels)]);
}

/** `measureCount`: how many measures there are now; a cell stored before one was added counts nothing there. Raises STATE_CORRUPT. */
export function decodeCell(key: Uint8Array, value: Uint8Array, measureCount: number): NumberedCell {
  return decodeStored('a cell of the live store', () => {
    const [changeNumber, revision, final, updatedAtMs, records, measures, breakdown, labels] = unpack<Value>(value);
    // The spread is at the end: each property after one costs a microsecond on Node 20.
    const cell = { records, measures: extended(measures, measureCount), breakdown, labels: labelsOf(labels), revision, final, updatedAtMs, ...parseCellStoreKey(key) };
    return { cell, changeNumber };
  });
}

/** A run of changes with consecutive numbers, as one value. */
export function encodeBlock(cells: readonly MergedCell[]): Uint8Array {
  const flat: unknown[] = new Array(cells.length * BLOCK_FIELDS);
  let at = 0;
  for (const cell of cells) {
    flat[at++] = cell.kind;
    flat[at++] = cell.windowStartMs;
    flat[at++] = cell.dimensions;
    flat[at++] = cell.revision;
    flat[at++] = cell.final;
    flat[at++] = cell.updatedAtMs;
    flat[at++] = cell.records;
    flat[at++] = cell.measures;
    flat[at++] = cell.breakdown;
    flat[at++] = flatLabels(cell.labels);
  }
  return pack(flat);
}

/** Raises STATE_CORRUPT. */
export function decodeBlock(value: Uint8Array, measureCount: number): MergedCell[] {
  return decodeStored('a block of changes of the live store', () => cellsOf(unpack<unknown[]>(value), measureCount));
}

function cellsOf(flat: readonly unknown[], measureCount: number): MergedCell[] {
  const cells: MergedCell[] = [];
  for (let at = 0; at < flat.length; at += BLOCK_FIELDS) {
    cells.push({
      kind: flat[at] as CellKind,
      windowStartMs: flat[at + 1] as number,
      dimensions: flat[at + 2] as string,
      revision: flat[at + 3] as number,
      final: flat[at + 4] as boolean,
      updatedAtMs: flat[at + 5] as number,
      records: flat[at + 6] as number,
      measures: extended(flat[at + 7] as number[], measureCount),
      breakdown: flat[at + 8] as Record<string, number> | null,
      labels: labelsOf(flat[at + 9] as FlatLabels),
    });
  }
  return cells;
}

function flatLabels(labels: readonly CellLabel[]): FlatLabels {
  const flat: FlatLabels = [];
  for (const label of labels) flat.push(label.timeMs, label.text);
  return flat;
}

function labelsOf(flat: FlatLabels): CellLabel[] {
  const labels: CellLabel[] = [];
  for (let at = 0; at < flat.length; at += 2) labels.push({ timeMs: flat[at] as number, text: flat[at + 1] as string });
  return labels;
}

function extended(measures: number[], count: number): number[] {
  while (measures.length < count) measures.push(0);
  return measures;
}
