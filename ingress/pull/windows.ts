/**
 * Stretches of time that reports are asked for. Pure.
 *
 * Windows are of whole minutes, and neighbours overlap by one: whether AppsFlyer takes `to` as part of a window is not told, and rows that come
 * twice count once. A window, not a row, is what is remembered as read, for rows come late and in any order.
 */

import { MS_PER_DAY, MS_PER_MINUTE } from '../../engine/core/types.ts';
import type { PullReport } from './reports.ts';

/** Epoch ms of whole minutes. */
export interface PullWindow {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Days that AppsFlyer keeps raw data. */
export const HISTORY_DAYS = 90;
/** A window that cannot be halved further: more rows than one answer holds in less is not to be had. */
export const WINDOW_FLOOR_MS = 2 * MS_PER_MINUTE;

const floorMinute = (timeMs: number): number => Math.floor(timeMs / MS_PER_MINUTE) * MS_PER_MINUTE;

/** The earliest minute that may be asked for: the first whole day kept, and a minute to be sure. */
export const earliestMs = (nowMs: number): number => Math.floor(nowMs / MS_PER_DAY) * MS_PER_DAY - (HISTORY_DAYS - 1) * MS_PER_DAY + MS_PER_MINUTE;

/** What is to be read now, oldest first. `coveredToMs` null: nothing has been read yet. */
export function pollWindows(report: PullReport, coveredToMs: number | null, { nowMs, overlapMs }: { readonly nowMs: number; readonly overlapMs: number }): PullWindow[] {
  const toMs = floorMinute(nowMs);
  const fromMs = Math.max(earliestMs(nowMs), floorMinute(Math.min(coveredToMs ?? toMs, toMs) - overlapMs));
  return split({ fromMs, toMs }, report.spanDaysMax * MS_PER_DAY);
}

/** A stretch in windows of at most `spanMs`, oldest first, neighbours a minute into each other. */
export function split({ fromMs, toMs }: PullWindow, spanMs: number): PullWindow[] {
  const windows: PullWindow[] = [];
  for (let at = fromMs; at < toMs; at += spanMs - MS_PER_MINUTE) {
    const end = Math.min(at + spanMs, toMs);
    windows.push({ fromMs: at, toMs: end });
    if (end === toMs) break;
  }
  return windows;
}

/** Two halves, or null for a window at the floor. */
export function halve({ fromMs, toMs }: PullWindow): readonly [PullWindow, PullWindow] | null {
  if (toMs - fromMs <= WINDOW_FLOOR_MS) return null;
  const middle = floorMinute(fromMs + (toMs - fromMs) / 2);
  return [{ fromMs, toMs: middle + MS_PER_MINUTE }, { fromMs: middle, toMs }];
}

/** What of a window is still kept by AppsFlyer; null where nothing is. */
export function withinHistory({ fromMs, toMs }: PullWindow, nowMs: number): PullWindow | null {
  const from = Math.max(fromMs, earliestMs(nowMs));
  return from < toMs ? { fromMs: from, toMs } : null;
}

/** As a call writes it, in UTC. */
export const windowTime = (timeMs: number): string => new Date(timeMs).toISOString().slice(0, 16).replace('T', ' ');
