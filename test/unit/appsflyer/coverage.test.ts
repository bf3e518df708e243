import { describe, expect, it } from 'vitest';
import { CoverageSample, COVERAGE_FIELDS, figuresOf } from '../../../actors/appsflyer/coverage.ts';

const WHOLE: Readonly<Record<string, unknown>> = {
  app_id: 'com.example.shop', event_name: 'af_purchase', appsflyer_id: '1718000000123-1', conversion_type: 'install', campaign_type: 'ua', is_retargeting: false, is_primary_attribution: true, media_source: 'fb', af_c_id: '77', campaign: 'spring',
  country_code: 'FR', device_category: 'phone', platform: 'android', event_value: '{}', event_revenue_usd: '1', event_revenue: '1', event_revenue_currency: 'USD',
};
const without = (...names: string[]): Record<string, unknown> => Object.fromEntries(Object.entries(WHOLE).filter(([name]) => !names.includes(name)));

function sampled(...records: (object | string)[]): CoverageSample {
  const sample = new CoverageSample();
  for (const record of records) sample.add(Buffer.from(typeof record === 'string' ? record : JSON.stringify(record)));
  return sample;
}
const missing = (...records: object[]): string[] | undefined => sampled(...records).apps()[0]?.missing.map(({ field }) => field);

describe('the coverage of an app', () => {
  it('misses nothing where each field was there once', () => {
    expect(missing(WHOLE)).toEqual([]);
    expect(missing(without('country_code'), without('media_source', 'af_c_id'))).toEqual([]);
    expect(sampled(WHOLE, without('country_code')).apps()[0]?.seen.find(({ field }) => field === 'country_code')).toMatchObject({ seen: 1, of: 2 });
  });

  it('misses what none had: absent, null, empty, N/A and NULL are one', () => {
    for (const value of [undefined, null, '', 'N/A', 'NULL']) expect(missing({ ...WHOLE, country_code: value })).toEqual(['country_code']);
    // Forwarded booleans are false, not absent.
    expect(missing({ ...WHOLE, is_primary_attribution: false })).toEqual([]);
  });

  it('looks for a field only where it may be', () => {
    expect(missing({ ...without('event_value', 'event_revenue_usd', 'event_revenue', 'event_revenue_currency'), event_name: 'install' })).toEqual([]);
    expect(missing(without('event_value'))).toEqual(['event_value']);
    expect(missing(without('event_revenue_usd'))).toEqual(['event_revenue_usd']);
  });

  it('names the figures that suffer, as the pipeline declares them', () => {
    const [finding] = sampled(without('is_primary_attribution')).apps()[0]?.missing ?? [];
    expect(finding?.figures).toEqual(expect.arrayContaining(['installs', 'conversions', 'revenue_micros', 'secondary_revenue_micros', 'by_event']));
    expect(figuresOf('country_code')).toEqual(['country']);
    for (const field of COVERAGE_FIELDS) if (field !== 'event_value') expect(figuresOf(field), field).not.toEqual([]);
  });

  it('counts apps apart, SKAdNetwork and unreadable records beside, and records without a user', () => {
    const sample = sampled(WHOLE, WHOLE, { ...without('appsflyer_id'), app_id: 'id1' }, { app_id: 'id1', event_uuid: 'u', event_type: 'install' }, 'no json', '[1]', {});
    expect(sample.unreadable).toBe(2);
    expect(sample.apps().map(({ app_id: app, records, without_user: user, skadnetwork_records: skan }) => [app, records, user, skan])).toEqual([['com.example.shop', 2, 0, 0], ['id1', 2, 1, 1], ['', 1, 1, 0]]);
  });

  it('stays bounded, however many apps are named', () => {
    const sample = sampled(...Array.from({ length: 1_500 }, (_, at) => ({ ...WHOLE, app_id: `app${at}` })));
    expect(sample.apps()).toHaveLength(1_001);
    expect(sample.apps()[0]).toMatchObject({ app_id: 'other', records: 500 });
  });
});
