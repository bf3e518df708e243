import { describe, expect, it } from 'vitest';
import { pullOptionsSchema } from '../../../ingress/pull/options.ts';
import { planBackfill, pollsPerDay } from '../../../ingress/pull/plan.ts';
import { backfillCallsLeft, callsLeft, callsPerDay, nextDayMs, pollIntervalMs, withCall } from '../../../ingress/pull/quota.ts';
import { reportOf } from '../../../ingress/pull/reports.ts';

const HOUR = 3_600_000;
const nowMs = Date.parse('2026-11-29T12:00:00Z');
const options = (given: object = {}): ReturnType<typeof pullOptionsSchema.parse> => pullOptionsSchema.parse({ apps: ['a'], token: 't', ...given });
const installs = reportOf('installs_report');

describe('calls', () => {
  it('are spread over the day, a quarter kept back', () => {
    expect(pollIntervalMs(installs, options()) / HOUR).toBeCloseTo(24 / 7, 3);
    expect(pollIntervalMs(installs, options({ calls_per_day: 24 })) / HOUR).toBeCloseTo(24 / 18, 3);
    expect(pollIntervalMs(installs, options({ calls_per_day: 100_000 })) / HOUR).toBe(0.25);
    expect(pollIntervalMs(installs, options({ calls_per_day: 1 })) / HOUR).toBe(24);
  });

  it('are one a day for what AppsFlyer makes once a day', () => {
    expect(pollIntervalMs(reportOf('uninstall_events_report'), options({ calls_per_day: 24, interval_seconds: 60 })) / HOUR).toBe(24);
  });

  it('are shared by the apps of an account', () => {
    const apps = Array.from({ length: 10 }, (_, index) => `app${index}`);
    expect([callsPerDay(options({ calls_per_day: 24 })), callsPerDay(options({ apps, calls_per_day: 24 })), callsPerDay(options({ apps, calls_per_day: 24, account_calls_per_day: 40 })), callsPerDay(options({ apps, account_calls_per_day: 3 }))]).toEqual([24, 12, 4, 1]);
  });

  it('are counted by day of UTC', () => {
    const counted = withCall(withCall({ day: '2026-11-28', calls: 9 }, nowMs), nowMs);
    expect(counted).toEqual({ day: '2026-11-29', calls: 2 });
    expect([callsLeft(counted, options(), nowMs), callsLeft(counted, options(), nowMs + 12 * HOUR)]).toEqual([8, 10]);
    expect(new Date(nextDayMs(nowMs)).toISOString()).toBe('2026-11-30T00:00:00.000Z');
    expect(nextDayMs(nextDayMs(nowMs)) - nextDayMs(nowMs)).toBe(24 * HOUR);
  });

  it('are left to the polls of the day by a back-fill', () => {
    const calls = { day: '2026-11-29', calls: 3 };
    expect(backfillCallsLeft(calls, installs, options(), nowMs)).toBe(3);
    expect(backfillCallsLeft({ day: '2026-11-29', calls: 9 }, installs, options(), nowMs)).toBe(0);
  });
});

describe('the plan of a back-fill', () => {
  const request = { apps: [], reports: [], fromMs: Date.parse('2026-10-30T00:00Z'), toMs: nowMs };

  it('names the calls, those of today and the days it takes', () => {
    const plan = planBackfill(request, options({ reports: ['installs_report', 'in_app_events_report'] }), new Map([['a/installs_report', { day: '2026-11-29', calls: 3 }]]), nowMs);
    expect(plan.map(({ report, windows, callsLeft: left, callsPerDay: perDay, days }) => ({ report, calls: windows.length, left, perDay, days }))).toEqual([
      { report: 'installs_report', calls: 3, left: 3, perDay: 10, days: 1 },
      { report: 'in_app_events_report', calls: 5, left: 6, perDay: 10, days: 1 },
    ]);
    expect(planBackfill({ ...request, fromMs: Date.parse('2026-09-05T00:00Z') }, options(), new Map([['a/in_app_events_report', { day: '2026-11-29', calls: 10 }]]), nowMs).map(({ days }) => days)).toEqual([1, 6]);
  });

  it.each([
    [{ apps: ['b'] }, /app: b: not among pull.apps/],
    [{ reports: ['clicks'] }, /report: clicks/],
    [{ fromMs: nowMs }, /from: must lie before to/],
    [{ fromMs: Date.parse('2026-08-30T00:00Z') }, /AppsFlyer keeps 90 days: the earliest is 2026-09-01 00:01/],
  ])('refuses what cannot be read: %o', (changed, message) => {
    expect(() => planBackfill({ ...request, ...changed }, options(), new Map(), nowMs)).toThrow(message);
  });
});

describe('polls a day', () => {
  it('follow from the calls', () => {
    expect([pollsPerDay('installs_report', options({ calls_per_day: 24 })), pollsPerDay('detection', options()), pollsPerDay('uninstall_events_report', options({ calls_per_day: 24 }))]).toEqual([18, 7, 1]);
  });
});
