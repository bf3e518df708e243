import { describe, expect, it } from 'vitest';
import { Model } from '../../model/model.ts';

const PURCHASE = {
  event_type: 'install-in-app-event',
  app_id: 'com.example.shop',
  platform: 'android',
  appsflyer_id: '1718000000123-4500123456789012345',
  event_name: 'af_purchase',
  event_time: '2026-05-03 10:15:42.318',
  event_value: '{"af_revenue":"12.50"}',
  event_revenue: '12.5',
  event_revenue_currency: 'EUR',
  event_revenue_usd: '13.61',
  media_source: 'googleadwords_int',
  campaign: 'spring_fr',
  af_c_id: '21421952087',
  campaign_type: 'ua',
  conversion_type: 'install',
  is_primary_attribution: true,
  country_code: 'FR',
  device_category: 'phone',
};
const post = (fields: object) => ({ method: 'POST', body: JSON.stringify(fields) }) as const;

describe('the independent model', () => {
  it('counts the purchase of the data contracts, once, and its refund against it', () => {
    const model = new Model();
    expect(model.deliver(post(PURCHASE))).toEqual({ verdict: 'counted' });
    expect(model.deliver(post({ ...PURCHASE, is_primary_attribution: 'true' }))).toEqual({ verdict: 'duplicate' });
    expect(model.deliver(post({ ...PURCHASE, event_time: '2026-05-03 10:59:59.999', event_revenue_usd: -3.00001 }))).toEqual({ verdict: 'counted' });
    expect(model.rows('hour')).toEqual([
      {
        windowStart: '2026-05-03T10:00:00.000Z',
        dimensions: {
          campaign_id: '21421952087',
          app_id: 'com.example.shop',
          platform: 'android',
          media_source: 'googleadwords_int',
          country: 'FR',
          device: 'phone',
          attribution: 'ua',
        },
        records: 2n,
        measures: { events: 2n, conversions: 2n, revenue_micros: 10_609_990n },
        byEvent: { af_purchase: 2n },
        campaign: 'spring_fr',
      },
    ]);
  });

  it('keeps the secondary record of a pair beside the totals', () => {
    const model = new Model();
    const pair = { ...PURCHASE, event_type: 're-engagement-in-app-event', conversion_type: 're-engagement', campaign_type: 'retargeting' };
    model.deliver(post(pair));
    model.deliver(post({ ...pair, is_primary_attribution: false }));
    expect(model.summarise().totals).toEqual({
      events: 1n,
      conversions: 1n,
      revenue_micros: 13_610_000n,
      secondary_conversions: 1n,
      secondary_revenue_micros: 13_610_000n,
    });
  });

  it('takes dollars without event_revenue_usd, and leaves other money unpriced', () => {
    const model = new Model();
    const withoutUsd = { ...PURCHASE, event_revenue_usd: undefined };
    model.deliver(post(withoutUsd));
    model.deliver(post({ ...withoutUsd, event_revenue_currency: 'USD', event_value: '' }));
    expect(model.summarise().totals).toEqual({ events: 2n, conversions: 2n, revenue_micros: 12_500_000n, unpriced_events: 1n });
  });

  it('tells seconds from milliseconds as the dedupe mode says, and keeps everything with none', () => {
    const twins = [post(PURCHASE), post({ ...PURCHASE, event_time: '2026-05-03 10:15:42.999' }), post(PURCHASE)];
    const verdicts = (dedupe: 'push-ms' | 'push+pull-seconds' | 'none'): string[] => {
      const model = new Model({ dedupe });
      return twins.map((twin) => model.deliver(twin).verdict);
    };
    expect(verdicts('push-ms')).toEqual(['counted', 'counted', 'duplicate']);
    expect(verdicts('push+pull-seconds')).toEqual(['counted', 'duplicate', 'duplicate']);
    expect(verdicts('none')).toEqual(['counted', 'counted', 'counted']);
  });

  it('reads organic records, GET queries, fallback ids and countries as the rules say', () => {
    const model = new Model();
    const organic = { app_id: 'id1234567890', idfv: '0A1B', event_name: 'install', event_time: '2026-05-03 23:59:59.871', campaign_type: 'organic', conversion_type: 'install' };
    model.deliver(post({ ...organic, media_source: 'Organic', campaign: 'ignored', country_code: 'de' }));
    model.deliver({ method: 'GET', body: 'app_id=steam.app&customer_user_id=7&event_name=af_purchase&event_time=2026-05-04%2000%3A00%3A00.000&is_retargeting=1' });
    expect(model.rows('day', ['campaign_id', 'platform', 'country', 'attribution']).map((row) => [row.windowStart.slice(0, 10), ...Object.values(row.dimensions), row.measures])).toEqual([
      ['2026-05-03', 'organic', 'ios', 'DE', 'organic', { installs: 1n }],
      ['2026-05-04', 'none', 'android', 'unknown', 'retargeting', { events: 1n, conversions: 1n }],
    ]);
  });

  it('rejects what must be rejected, with its code, and remembers nothing of it', () => {
    const model = new Model();
    const code = (body: string, receivedAtMs?: number): unknown => model.deliver({ body, method: 'POST', ...(receivedAtMs === undefined ? {} : { receivedAtMs }) });
    const without = (change: object): string => JSON.stringify({ ...PURCHASE, ...change });
    expect(code('{')).toEqual({ verdict: 'rejected', code: 'NOT_JSON' });
    expect(code('[]')).toEqual({ verdict: 'rejected', code: 'NOT_OBJECT' });
    expect(code(without({ app_id: null }))).toEqual({ verdict: 'rejected', code: 'NO_APP_ID' });
    expect(code(without({ event_name: '' }))).toEqual({ verdict: 'rejected', code: 'NO_EVENT_NAME' });
    expect(code(without({ event_time: '2026-02-30 10:00:00' }))).toEqual({ verdict: 'rejected', code: 'BAD_EVENT_TIME' });
    expect(code(without({ appsflyer_id: '', advertising_id: '00000000-0000-0000-0000-000000000000' }))).toEqual({ verdict: 'rejected', code: 'NO_IDENTITY' });
    const timeMs = Date.UTC(2026, 4, 3, 10, 15, 42, 318);
    expect(code(without({}), timeMs - 300_001)).toEqual({ verdict: 'rejected', code: 'FUTURE_EVENT_TIME' });
    expect(code(without({}), timeMs - 300_000)).toEqual({ verdict: 'counted' });
    expect(model.summarise()).toMatchObject({ received: 8, counted: 1, duplicate: 0, rejected: 7 });
  });
});
