/**
 * Cells: one window x one set of dimension values, with its measures. The shapes that pass from partition to merge to sinks,
 * and the keys under which they are stored.
 */

import { assert } from './types.ts';

/** `late` cells hold the late records of an hour, beside its `hour` cell. Stored as one byte: never renumber. */
export const CellKind = { hour: 1, day: 2, late: 3 } as const;
export type CellKind = (typeof CellKind)[keyof typeof CellKind];

/** Joins dimension values; values never contain it (see {@link dimensionValue}). */
export const DIMENSION_SEPARATOR = '\u001f';
/** UTF-8 bytes of one dimension value; longer ones are cut and end in `~` and a hash. Seven of them fit a store key. */
export const DIMENSION_VALUE_BYTES_MAX = 200;
export const OTHER = 'other';

/** `label` is the text with the latest event time; ties go to the greater text, so that the order of merging does not matter. */
export interface CellLabel {
  readonly timeMs: number;
  readonly text: string;
}

/** One cell's absolute totals, in the order of the pipeline's measures. */
export interface CellTotals {
  /** Records counted in the cell, secondary and unpriced ones included. */
  readonly records: number;
  readonly measures: readonly number[];
  /** Counts by name; null when there are none. */
  readonly breakdown: Readonly<Record<string, number>> | null;
  readonly labels: readonly CellLabel[];
}

/** Names a cell. `dimensions`: the values in the pipeline's order, joined by {@link DIMENSION_SEPARATOR}. */
export interface CellName {
  readonly kind: CellKind;
  readonly windowStartMs: number;
  readonly dimensions: string;
}

/** One partition's share of a cell: its own absolute totals, replaced by the next report and never added to it. */
export interface PartialCell extends CellName, CellTotals {
  /** The partition's sequence number at the cell's last change; closing is one. */
  readonly revision: number;
}

/** A cell over all partitions, as queries and sinks see it. */
export interface MergedCell extends CellName, CellTotals {
  /** Sum of the partials' revisions, plus 1 once final: rises with every change, the same after any replay. */
  readonly revision: number;
  /** The hour has closed in all partitions: nothing of it changes again. Never set on day and late cells, which take late records while retained. */
  readonly final: boolean;
  /** Epoch ms of the merge that wrote it; not part of its value. */
  readonly updatedAtMs: number;
}

/**
 * What one partition tells the merge. The head, which is all but the cells, claims no more than has been told: every change up to its
 * sequence number came with this report or before it. Cells may be ahead of it.
 */
export interface PartitionReport {
  readonly partition: number;
  /** Records and ticks folded. */
  readonly sequence: number;
  /** Epoch ms; -1 before the first one. */
  readonly watermarkMs: number;
  /** Every hour that ends at or before this is closed in this partition; 0 for none. */
  readonly closedUpToMs: number;
  /** Next offset to fold; the sum over the journals. */
  readonly offset: number;
  /** By journal, where there are several. */
  readonly offsets?: readonly number[];
  readonly received: number;
  readonly accepted: number;
  readonly duplicate: number;
  readonly late: number;
  readonly rejected: number;
  /** Some or all of those changed since they were last told, and of those asked for. */
  readonly cells: readonly PartialCell[];
}

/** A cell without records has lost them by a promotion or a purge: it stays, so that its revision does, and nobody shows it. */
export const isShown = ({ records }: CellTotals): boolean => records !== 0;

/** The same list where all are shown, as nearly always. */
export const shownCells = <Cell extends CellTotals>(cells: readonly Cell[]): readonly Cell[] => (cells.every(isShown) ? cells : cells.filter(isShown));

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder();

/** Store key: kind (1 byte), window start (6 bytes, big-endian ms), dimensions (UTF-8). Sorts by kind, window, first dimension. */
export function cellStoreKey(name: CellName): Uint8Array {
  const text = textEncoder.encode(name.dimensions);
  const key = new Uint8Array(7 + text.byteLength);
  writeKeyPrefix(key, name.kind, name.windowStartMs);
  key.set(text, 7);
  return key;
}

/** The prefix of all keys of one kind at or after a window start. */
export function cellStorePrefix(kind: CellKind, windowStartMs: number): Uint8Array {
  const key = new Uint8Array(7);
  writeKeyPrefix(key, kind, windowStartMs);
  return key;
}

export function parseCellStoreKey(key: Uint8Array): CellName {
  const high = ((key[1] as number) << 8) | (key[2] as number);
  const low = ((key[3] as number) * 0x1000000) + (((key[4] as number) << 16) | ((key[5] as number) << 8) | (key[6] as number));
  return { kind: key[0] as CellKind, windowStartMs: high * 0x100000000 + low, dimensions: textDecoder.decode(key.subarray(7)) };
}

function writeKeyPrefix(key: Uint8Array, kind: CellKind, windowStartMs: number): void {
  assert(windowStartMs >= 0 && windowStartMs < 2 ** 48, `window start ${windowStartMs} is outside 48 bits`);
  key[0] = kind;
  const high = Math.floor(windowStartMs / 0x100000000);
  const low = windowStartMs >>> 0;
  key[1] = high >>> 8;
  key[2] = high & 0xff;
  key[3] = low >>> 24;
  key[4] = (low >>> 16) & 0xff;
  key[5] = (low >>> 8) & 0xff;
  key[6] = low & 0xff;
}

/** A cell's name as one string, for maps. */
export const cellMapKey = (name: CellName): string => `${name.kind}${DIMENSION_SEPARATOR}${name.windowStartMs}${DIMENSION_SEPARATOR}${name.dimensions}`;
