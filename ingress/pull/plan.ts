/** What a back-fill is going to ask for, and what it costs: the same for the run that prints it and the one that does it. Pure. */

import { EngineError } from '../../engine/core/errors.ts';
import { MS_PER_DAY, MS_PER_MINUTE } from '../../engine/core/types.ts';
import type { PullOptions } from './options.ts';
import { backfillCallsLeft, callsPerDay, pollIntervalMs } from './quota.ts';
import { isReportName, reportOf, type PullReportName } from './reports.ts';
import type { JobRecord } from './state.ts';
import { earliestMs, split, windowTime, type PullWindow } from './windows.ts';

export interface BackfillRequest {
  /** Empty: all that are set. */
  readonly apps: readonly string[];
  readonly reports: readonly string[];
  readonly fromMs: number;
  readonly toMs: number;
}

export interface PlannedBackfill {
  readonly app: string;
  readonly report: PullReportName;
  readonly fromMs: number;
  readonly toMs: number;
  readonly windows: readonly PullWindow[];
  readonly callsPerDay: number;
  /** That a back-fill may still make today. */
  readonly callsLeft: number;
  /** Of UTC, today included, until the calls suffice; halved windows take more. */
  readonly days: number;
}

/** Raises QUERY_INVALID for what cannot be read. `jobs`: calls counted so far. */
export function planBackfill(request: BackfillRequest, options: PullOptions, jobs: ReadonlyMap<string, Pick<JobRecord, 'day' | 'calls'>>, nowMs: number): PlannedBackfill[] {
  const unknownApp = request.apps.find((app) => !options.apps.includes(app));
  if (unknownApp !== undefined) throw new EngineError('QUERY_INVALID', `app: ${unknownApp}: not among pull.apps: name one of ${options.apps.join(', ')}`);
  const reports = (request.reports.length === 0 ? options.reports : request.reports).map((name) => {
    if (!isReportName(name)) throw new EngineError('QUERY_INVALID', `report: ${name}: no report that the poller knows: see pull.reports`);
    return reportOf(name);
  });
  const fromMs = Math.floor(request.fromMs / MS_PER_MINUTE) * MS_PER_MINUTE;
  const toMs = Math.min(Math.ceil(request.toMs / MS_PER_MINUTE) * MS_PER_MINUTE, Math.floor(nowMs / MS_PER_MINUTE) * MS_PER_MINUTE);
  if (!(fromMs < toMs)) throw new EngineError('QUERY_INVALID', 'from: must lie before to, and before now');
  if (fromMs < earliestMs(nowMs)) throw new EngineError('QUERY_INVALID', `from: ${windowTime(fromMs)}: AppsFlyer keeps 90 days: the earliest is ${windowTime(earliestMs(nowMs))}`);
  const apps = request.apps.length === 0 ? options.apps : request.apps;
  return apps.flatMap((app) =>
    reports.map((report) => {
      const counted = jobs.get(`${app}/${report.name}`) ?? { day: '', calls: 0 };
      const windows = split({ fromMs, toMs }, report.backfillDays * MS_PER_DAY);
      const left = backfillCallsLeft(counted, report, options, nowMs);
      const perDay = backfillCallsLeft({ day: '', calls: 0 }, report, options, nowMs - (nowMs % MS_PER_DAY));
      const later = Math.max(0, windows.length - left);
      return { app, report: report.name, fromMs, toMs, windows, callsPerDay: callsPerDay(options), callsLeft: left, days: later === 0 ? 1 : 1 + Math.ceil(later / Math.max(1, perDay)) };
    }),
  );
}

/** For people: how polls are spread over a day. */
export const pollsPerDay = (report: PullReportName, options: PullOptions): number => Math.round(MS_PER_DAY / pollIntervalMs(reportOf(report), options));
