/** The address of one call. */

import { MS_PER_DAY } from '../../engine/core/types.ts';
import type { PullReport } from './reports.ts';
import { earliestMs, windowTime, type PullWindow } from './windows.ts';

export interface CallFacts {
  readonly url: string;
  readonly app: string;
  readonly report: PullReport;
  readonly window: PullWindow;
  readonly maximumRows: number;
  readonly nowMs: number;
}

/**
 * Without `timezone` AppsFlyer answers in UTC. A report that grows backwards is asked for by time of detection, over all event times that one call may span.
 */
export function callUrl({ url, app, report, window, maximumRows, nowMs }: CallFacts): string {
  const query = new URLSearchParams(report.growsBackwards ? detectionQuery(report, window, nowMs) : { from: windowTime(window.fromMs), to: windowTime(window.toMs) });
  query.set('currency', 'preferred');
  query.set('maximum_rows', String(maximumRows));
  if (report.additionalFields.length > 0) query.set('additional_fields', report.additionalFields.join(','));
  return `${url.replace(/\/$/, '')}/api/raw-data/export/app/${encodeURIComponent(app)}/${report.name}/v5?${query.toString()}`;
}

function detectionQuery(report: PullReport, window: PullWindow, nowMs: number): Record<string, string> {
  const fromMs = Math.max(earliestMs(nowMs), window.toMs - report.spanDaysMax * MS_PER_DAY);
  return { from: windowTime(Math.min(fromMs, window.fromMs)), to: windowTime(window.toMs), from_detect_time: windowTime(window.fromMs), to_detect_time: windowTime(window.toMs) };
}
