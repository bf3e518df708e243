/** What the live page shows: totals of the current hour and the campaigns that drive it. Cheap enough for once a second. */

import { CellKind, DIMENSION_SEPARATOR } from '../../engine/core/cell.ts';
import type { ResultSchema } from '../../engine/core/pipeline.ts';
import { MS_PER_HOUR, MS_PER_SECOND } from '../../engine/core/types.ts';
import { decimalName, decimalText } from './decimal.ts';
import { Group } from './group.ts';
import type { CellSource } from './source.ts';
import { TopRows } from './top-rows.ts';

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

/** A snapshot serves all clients for this long, however many they are. */
const FRESH_MS = MS_PER_SECOND;
const kept = new WeakMap<CellSource, { readonly asOfMs: number; readonly limit: number; readonly snapshot: LiveSnapshot }>();

export function liveSnapshot(source: CellSource, limit: number): LiveSnapshot {
  const known = kept.get(source);
  if (known !== undefined && known.limit === limit && source.asOfMs >= known.asOfMs && source.asOfMs - known.asOfMs < FRESH_MS) return known.snapshot;
  const windowStartMs = currentHour(source);
  const totals = new Group(windowStartMs ?? 0, [], source.schema.measures.length);
  const top = windowStartMs === null ? [] : topGroups(source, windowStartMs, limit, totals);
  const snapshot = {
    as_of: isoOrNull(source.asOfMs),
    watermark: isoOrNull(source.watermarkMs),
    window_start: windowStartMs === null ? null : new Date(windowStartMs).toISOString(),
    totals: rowOf(source.schema, totals),
    campaigns: top.map((group) => rowOf(source.schema, group)),
  };
  kept.set(source, { asOfMs: source.asOfMs, limit, snapshot });
  return snapshot;
}

/** The hour of now where it has cells; else the newest that has, as in a replay. */
function currentHour(source: CellSource): number | null {
  const hourMs = Math.floor(source.asOfMs / MS_PER_HOUR) * MS_PER_HOUR;
  return hourMs >= 0 && source.nextWindow(CellKind.hour, hourMs) === hourMs ? hourMs : source.newestWindow(CellKind.hour);
}

/** Sums of one hour by the first dimension, most of the first measure first (then of the second, then by name). `totals` takes in every cell. */
export function topGroups(source: CellSource, windowStartMs: number, limit: number, totals?: Group): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const page of source.windowPages(CellKind.hour, windowStartMs, null)) {
    for (const cell of page) {
      const end = cell.dimensions.indexOf(DIMENSION_SEPARATOR);
      const key = end < 0 ? cell.dimensions : cell.dimensions.slice(0, end);
      let group = groups.get(key);
      if (group === undefined) groups.set(key, (group = new Group(windowStartMs, [key], source.schema.measures.length)));
      group.add(cell);
      group.relabel(cell);
      totals?.add(cell);
    }
  }
  const top = new TopRows<Group>(limit, compareGroups);
  for (const group of groups.values()) top.offer(group);
  return top.sorted();
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
