import { describe, expect, it } from 'vitest';
import { reportOf, type PullReportName } from '../../../ingress/pull/reports.ts';
import { RowEncoder } from '../../../ingress/pull/rows.ts';

const encoderOf = (header: readonly string[], name: PullReportName = 'in_app_events_report'): RowEncoder => RowEncoder.create({ report: reportOf(name), appId: 'com.example.shop', header }) as RowEncoder;

describe('a row', () => {
  it('becomes a JSON object keyed by Push names, cells as they stood', () => {
    const header = ['Event Time', 'Event Name', 'Event Value', 'Event Revenue', 'AppsFlyer ID', 'App ID', 'Campaign ID', 'Is Primary Attribution'];
    const text = encoderOf(header).encode(['2026-11-29 09:00:05', 'af_purchase', '{"af_revenue":"9.99","name":"a,b \\"c\\""}', '9.99', '17-45', 'com.example.shop', '21421952087123456789', 'true']);
    expect(JSON.parse(text)).toEqual({
      event_time: '2026-11-29 09:00:05',
      event_name: 'af_purchase',
      event_value: '{"af_revenue":"9.99","name":"a,b \\"c\\""}',
      event_revenue: '9.99',
      appsflyer_id: '17-45',
      app_id: 'com.example.shop',
      af_c_id: '21421952087123456789',
      is_primary_attribution: 'true',
    });
  });

  it('leaves out what says nothing', () => {
    const header = ['Event Time', 'Event Name', 'Campaign', 'City', 'State', 'DMA', 'App ID'];
    expect(JSON.parse(encoderOf(header).encode(['2026-11-29 09:00:05', 'x', '', 'null', 'NULL', 'N/A', 'a']))).toEqual({ event_time: '2026-11-29 09:00:05', event_name: 'x', app_id: 'a' });
  });

  it('names the app that was asked for where the report has no such column', () => {
    expect(JSON.parse(encoderOf(['Event Time', 'Event Name']).encode(['2026-11-29 09:00:05', 'x']))).toEqual({ app_id: 'com.example.shop', event_time: '2026-11-29 09:00:05', event_name: 'x' });
  });

  it.each([
    ['uninstall_events_report', 'uninstall'],
    ['organic_uninstall_events_report', 'uninstall'],
    ['blocked_installs_report', 'blocked-install'],
    ['detection', 'detection'],
    ['blocked_in_app_events_report', 'blocked-event'],
    ['fraud-post-inapps', 'blocked-event'],
    ['ad_revenue_raw', 'ad-revenue'],
    ['ad_revenue_organic_raw', 'ad-revenue'],
    ['ad-revenue-raw-retarget', 'ad-revenue'],
    ['installs_report', undefined],
    ['in_app_events_report', undefined],
    ['installs-retarget', undefined],
  ] as const)('of %s has the kind %s', (name, kind) => {
    const row = JSON.parse(encoderOf(['Event Time', 'Event Name'], name).encode(['2026-11-29 09:00:05', 'x'])) as Record<string, string>;
    expect(row['millrace_kind']).toBe(kind);
  });

  it('takes its kind from the report alone, whatever its columns are called', () => {
    expect(JSON.parse(encoderOf(['Event Time', 'Event Name', 'Millrace Kind']).encode(['2026-11-29 09:00:05', 'x', 'uninstall']))).not.toHaveProperty('millrace_kind');
  });

  it('of ad revenue tells network, unit and placement, which are a part of its identity', () => {
    const header = ['Event Time', 'Event Name', 'Monetization Network', 'Mediation Network', 'Ad Unit', 'Placement', 'Segment', 'Impressions'];
    expect(JSON.parse(encoderOf(header, 'ad_revenue_raw').encode(['2026-11-29 00:00:00', 'af_ad_revenue', 'admob', 'max', 'banner', 'home', 'vip', '3']))).toMatchObject({ monetization_network: 'admob', mediation_network: 'max', ad_unit: 'banner', placement: 'home', segment: 'vip', impressions: '3' });
  });

  it('with another number of cells is kept as text that is no JSON and says what is wrong', () => {
    const encoder = encoderOf(['Event Time', 'Event Name']);
    expect([encoder.fits(['a']), encoder.fits(['a', 'b']), encoder.fits(['a', 'b', 'c'])]).toEqual([false, true, false]);
    const text = encoder.encodeMalformed(['{"app_id":"x"}', 'b,c', 'd']);
    expect(text).toBe('row of in_app_events_report of com.example.shop with 3 cells under a header of 2: "{""app_id"":""x""}","b,c",d');
    expect(() => JSON.parse(text) as unknown).toThrow();
  });

  it('could be known of from its event time on, or from its detection on', () => {
    expect(encoderOf(['Event Time', 'Event Name']).knownSinceMs(['2026-11-29 09:00:05', 'x'])).toBe(Date.parse('2026-11-29T09:00:05Z'));
    expect(encoderOf(['Event Time', 'Event Name', 'Detection Date'], 'detection').knownSinceMs(['2026-11-01 09:00:05', 'x', '2026-11-20'])).toBe(Date.parse('2026-11-20T00:00:00Z'));
    expect(encoderOf(['Event Time', 'Event Name']).knownSinceMs(['yesterday', 'x'])).toBeNaN();
    expect([encoderOf(['Event Time', 'Event Name']).eventDate(['2026-11-29 09:00:05', 'x']), encoderOf(['Event Time', 'Event Name']).eventDate(['', 'x'])]).toEqual(['2026-11-29', null]);
  });
});
