/**
 * What the live page shows: totals of the current hour and the campaigns that drive it. Made at most once a second, for all clients, and
 * less often the more cells the hour has; the scan gives way to the event loop.
 */

import { CellKind, DIMENSION_SEPARATOR } from '../../engine/core/cell.ts';
import type { ResultSchema } from '../../engine/core/pipeline.ts';
import { MS_PER_HOUR, MS_PER_SECOND } from '../../engine/core/types.ts';
import { decimalName, decimalText } from './decimal.ts';
import { Group } from './group.ts';
import type { CellSource } from './source.ts';
import { TopRows } from './top-rows.ts';
import { Turns } from './turns.ts';

export type SnapshotRow = Readonly<Record<string, string | number>>;

export interface LiveSnapshot {
  readonly as_of: string | null;
  readonly watermark: string | null;
  /** The hour shown; null before the first event. */
  readonly window_start: string | null;
  readonly totals: SnapshotRow;
  /** By the first dimension, those with the most of the first measure first. */
  readonly campaigns: readonly SnapshotRow[];
}

/** A snapshot serves all clients for this long, however many they are ... */
const PERIOD_MIN_MS = MS_PER_SECOND;
/** ... and longer for each cell it took: measured at 1 µs a cell, so that snapshots stay under a twentieth of this thread. */
const PERIOD_PER_CELL_MS = 0.02;

interface Kept {
  readonly limit: number;
  readonly asOfMs: number;
  readonly snapshot: Promise<LiveSnapshot>;
  /** Endless while it is being made: one scan at a time. */
  periodMs: number;
}

const kept = new WeakMap<CellSource, Kept>();

export function liveSnapshot(source: CellSource, limit: number): Promise<LiveSnapshot> {
  const known = kept.get(source);
  if (known !== undefined && known.limit === limit && source.asOfMs >= known.asOfMs && source.asOfMs - known.asOfMs < known.periodMs) return known.snapshot;
  const making = makeSnapshot(source, limit);
  const made: Kept = { limit, asOfMs: source.asOfMs, snapshot: making.then(({ snapshot }) => snapshot), periodMs: Infinity };
  kept.set(source, made);
  making.then(
    ({ cellCount }) => {
      made.periodMs = Math.max(PERIOD_MIN_MS, PERIOD_PER_CELL_MS * cellCount);
    },
    () => {
      made.periodMs = 0;
    },
  );
  return made.snapshot;
}

async function makeSnapshot(source: CellSource, limit: number): Promise<{ snapshot: LiveSnapshot; cellCount: number }> {
  const { asOfMs, watermarkMs } = source;
  const windowStartMs = currentHour(source);
  const { totals, top, cellCount } = await scanHour(source, windowStartMs, limit);
  const snapshot = {
    as_of: isoOrNull(asOfMs),
    watermark: isoOrNull(watermarkMs),
    window_start: windowStartMs === null ? null : new Date(windowStartMs).toISOString(),
    totals: rowOf(source.schema, totals),
    campaigns: top.map((group) => rowOf(source.schema, group)),
  };
  return { snapshot, cellCount };
}

/** The hour of now where it has cells; else the newest that has, as in a replay. */
function currentHour(source: CellSource): number | null {
  const hourMs = Math.floor(source.asOfMs / MS_PER_HOUR) * MS_PER_HOUR;
  return hourMs >= 0 && source.nextWindow(CellKind.hour, hourMs) === hourMs ? hourMs : source.newestWindow(CellKind.hour);
}

/** Sums of one hour, in all and by the first dimension: most of the first measure first (then of the second, then by name). */
async function scanHour(source: CellSource, windowStartMs: number | null, limit: number): Promise<{ totals: Group; top: readonly Group[]; cellCount: number }> {
  const measureCount = source.schema.measures.length;
  const totals = new Group(windowStartMs ?? 0, [], measureCount);
  const groups = new Map<string, Group>();
  let cellCount = 0;
  const pages = windowStartMs === null ? [] : source.windowPages(CellKind.hour, windowStartMs, null);
  for await (const cells of new Turns().pieces(pages)) {
    cellCount += cells.length;
    for (const cell of cells) {
      const end = cell.dimensions.indexOf(DIMENSION_SEPARATOR);
      const key = end < 0 ? cell.dimensions : cell.dimensions.slice(0, end);
      let group = groups.get(key);
      if (group === undefined) groups.set(key, (group = new Group(cell.windowStartMs, [key], measureCount)));
      group.add(cell);
      group.relabel(cell);
      totals.add(cell);
    }
  }
  const top = new TopRows<Group>(limit, compareGroups);
  for (const group of groups.values()) top.offer(group);
  return { totals, top: top.sorted(), cellCount };
}

function compareGroups(left: Group, right: Group): number {
  for (const [index, amount] of left.measures.entries()) {
    const other = right.measures[index] ?? 0;
    if (amount !== other) return amount > other ? -1 : 1;
  }
  return (left.dimensions[0] ?? '') < (right.dimensions[0] ?? '') ? -1 : 1;
}

function rowOf(schema: ResultSchema, group: Group): SnapshotRow {
  const row: Record<string, string | number> = {};
  if (group.dimensions.length > 0) row[schema.dimensions[0] as string] = group.dimensions[0] as string;
  for (const [index, label] of group.labels.entries()) row[schema.labels[index] as string] = label.text;
  for (const [index, { name, unit }] of schema.measures.entries()) {
    const amount = group.measures[index] ?? 0;
    row[name] = Number(amount);
    if (unit === 'micros') row[decimalName(name)] = decimalText(amount);
  }
  return row;
}

const isoOrNull = (timeMs: number): string | null => (timeMs < 0 ? null : new Date(timeMs).toISOString());
