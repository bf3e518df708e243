/**
 * Calls: how many a day, how far apart, how many are left. Pure.
 *
 * A plan gives a number of calls for each report and app, and one for all apps of an account together, in each calendar day of UTC. What is spent is
 * counted before a call is made and kept over restarts: a call whose answer was never seen may have been counted by AppsFlyer as well.
 */

import { dateOf, MS_PER_DAY, MS_PER_MINUTE, MS_PER_SECOND } from '../../engine/core/types.ts';
import type { PullOptions } from './options.ts';
import type { PullReport } from './reports.ts';

/** The number of an account is five times that of an app, in what AppsFlyer once told. */
const ACCOUNT_FACTOR = 5;
/** Of the calls of a day polls take so many; the others are for windows that are halved, for repeats and for back-fills. */
const POLL_SHARE = 0.75;
/** Nothing fresher is in a report. */
const INTERVAL_MIN_MS = 15 * MS_PER_MINUTE;

type QuotaOptions = Pick<PullOptions, 'apps' | 'calls_per_day' | 'account_calls_per_day' | 'interval_seconds'>;

/** Calls of one report for one app in a day. */
export function callsPerDay({ apps, calls_per_day: perApp, account_calls_per_day: set }: QuotaOptions): number {
  const account = set === 0 ? ACCOUNT_FACTOR * perApp : set;
  return Math.max(1, Math.min(perApp, Math.floor(account / Math.max(1, apps.length))));
}

/** Between the beginnings of two polls. */
export function pollIntervalMs(report: Pick<PullReport, 'isDaily'>, options: QuotaOptions): number {
  if (report.isDaily) return MS_PER_DAY;
  if (options.interval_seconds > 0) return options.interval_seconds * MS_PER_SECOND;
  const polls = Math.max(1, Math.floor(callsPerDay(options) * POLL_SHARE));
  return Math.max(INTERVAL_MIN_MS, Math.ceil(MS_PER_DAY / polls));
}

/** Calls of one day of UTC (`yyyy-mm-dd`). */
export interface DayCalls {
  readonly day: string;
  readonly calls: number;
}

export const callsOn = (counted: DayCalls, nowMs: number): number => (counted.day === dateOf(nowMs) ? counted.calls : 0);

export const withCall = (counted: DayCalls, nowMs: number): DayCalls => ({ day: dateOf(nowMs), calls: callsOn(counted, nowMs) + 1 });

export const callsLeft = (counted: DayCalls, options: QuotaOptions, nowMs: number): number => Math.max(0, callsPerDay(options) - callsOn(counted, nowMs));

/** What a back-fill may still spend today: all that the polls of the day will not. */
export function backfillCallsLeft(counted: DayCalls, report: PullReport, options: QuotaOptions, nowMs: number): number {
  const pollsToCome = Math.ceil((nextDayMs(nowMs) - nowMs) / pollIntervalMs(report, options));
  return Math.max(0, callsLeft(counted, options, nowMs) - Math.min(pollsToCome, Math.floor(callsPerDay(options) * POLL_SHARE)));
}

/** The next 00:00 UTC. */
export const nextDayMs = (nowMs: number): number => (Math.floor(nowMs / MS_PER_DAY) + 1) * MS_PER_DAY;
