import { describe, expect, it } from 'vitest';
import { callUrl } from '../../../ingress/pull/call.ts';
import { reportOf } from '../../../ingress/pull/reports.ts';
import { earliestMs, halve, pollWindows, split, withinHistory, windowTime, type PullWindow } from '../../../ingress/pull/windows.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const nowMs = Date.parse('2026-11-29T10:30:42.500Z');
const at = (text: string): number => Date.parse(`${text}Z`);
const shown = (windows: readonly PullWindow[]): string[] => windows.map(({ fromMs, toMs }) => `${windowTime(fromMs)} ${windowTime(toMs)}`);

describe('the windows of a poll', () => {
  const installs = reportOf('installs_report');
  const overlapMs = 48 * HOUR;

  it('begin the overlap before now at first, and the overlap before what has been read from then on', () => {
    expect(shown(pollWindows(installs, null, { nowMs, overlapMs }))).toEqual(['2026-11-27 10:30 2026-11-29 10:30']);
    expect(shown(pollWindows(installs, at('2026-11-29T08:00'), { nowMs, overlapMs }))).toEqual(['2026-11-27 08:00 2026-11-29 10:30']);
  });

  it('span no more than one call may, and overlap by a minute', () => {
    const windows = pollWindows(reportOf('in_app_events_report'), at('2026-10-01T00:00'), { nowMs, overlapMs });
    expect(shown(windows)).toEqual(['2026-09-29 00:00 2026-10-29 00:00', '2026-10-28 23:59 2026-11-27 23:59', '2026-11-27 23:58 2026-11-29 10:30']);
    expect(windows.every(({ fromMs, toMs }) => toMs - fromMs <= 30 * DAY)).toBe(true);
  });

  it('reach no further back than AppsFlyer keeps', () => {
    const [first] = pollWindows(installs, at('2025-01-01T00:00'), { nowMs, overlapMs });
    expect(first?.fromMs).toBe(earliestMs(nowMs));
    expect(windowTime(earliestMs(nowMs))).toBe('2026-09-01 00:01');
    expect(nowMs - earliestMs(nowMs)).toBeLessThan(90 * DAY);
  });

  it('are none of time to come, whatever the clock was', () => {
    expect(shown(pollWindows(installs, nowMs + 5 * DAY, { nowMs, overlapMs }))).toEqual(['2026-11-27 10:30 2026-11-29 10:30']);
  });
});

describe('a window', () => {
  it('is halved down to two minutes; its halves overlap by a minute and leave nothing out', () => {
    let windows: PullWindow[] = [{ fromMs: at('2026-11-01T00:00'), toMs: at('2026-11-01T00:37') }];
    for (let round = 0; round < 10; round++) windows = windows.flatMap((window) => halve(window) ?? [window]);
    expect(windows.every((window) => halve(window) === null && window.toMs - window.fromMs <= 2 * 60_000)).toBe(true);
    expect(windows[0]?.fromMs).toBe(at('2026-11-01T00:00'));
    expect(windows.at(-1)?.toMs).toBe(at('2026-11-01T00:37'));
    for (let index = 1; index < windows.length; index++) expect((windows[index] as PullWindow).fromMs).toBeLessThanOrEqual((windows[index - 1] as PullWindow).toMs - 60_000);
  });

  it('is split into windows of any length, and into none where there is nothing', () => {
    expect(shown(split({ fromMs: at('2026-11-01T00:00'), toMs: at('2026-11-01T00:05') }, 2 * 60_000)).length).toBe(4);
    expect(split({ fromMs: 5, toMs: 5 }, DAY)).toEqual([]);
  });

  it('loses what AppsFlyer does not keep any more', () => {
    expect(withinHistory({ fromMs: at('2026-08-01T00:00'), toMs: at('2026-09-05T00:00') }, nowMs)).toEqual({ fromMs: earliestMs(nowMs), toMs: at('2026-09-05T00:00') });
    expect(withinHistory({ fromMs: at('2026-08-01T00:00'), toMs: at('2026-08-05T00:00') }, nowMs)).toBeNull();
  });
});

describe('a call', () => {
  const window = { fromMs: at('2026-11-27T10:30'), toMs: at('2026-11-29T10:30') };
  const queryOf = (report: Parameters<typeof reportOf>[0]): Record<string, string> => Object.fromEntries(new URL(callUrl({ url: 'https://hq1.appsflyer.com/', app: 'id1234567890', report: reportOf(report), window, maximumRows: 1_000_000, nowMs })).searchParams);

  it('asks for UTC by not naming a time zone, for the preferred currency and for the columns that the dedupe key needs', () => {
    expect(queryOf('in_app_events_report')).toEqual({ from: '2026-11-27 10:30', to: '2026-11-29 10:30', currency: 'preferred', maximum_rows: '1000000', additional_fields: 'conversion_type,campaign_type,device_category' });
    expect(callUrl({ url: 'https://hq1.appsflyer.com/', app: 'a b/c', report: reportOf('reinstalls'), window, maximumRows: 200_000, nowMs })).toMatch(/^https:\/\/hq1\.appsflyer\.com\/api\/raw-data\/export\/app\/a%20b%2Fc\/reinstalls\/v5\?from=2026-11-27\+10%3A30&/);
  });

  it('asks for no column that a report lacks', () => {
    expect(queryOf('uninstall_events_report')['additional_fields']).toBeUndefined();
    expect(queryOf('blocked_installs_report')['additional_fields']).toBe('blocked_reason,blocked_sub_reason,blocked_reason_value');
    expect(queryOf('ad_revenue_raw')['additional_fields']).not.toContain('conversion_type');
  });

  it('asks for detected fraud by time of detection, over all event times that a call may span', () => {
    expect(queryOf('detection')).toMatchObject({ from: '2026-09-30 10:30', to: '2026-11-29 10:30', from_detect_time: '2026-11-27 10:30', to_detect_time: '2026-11-29 10:30' });
  });
});
