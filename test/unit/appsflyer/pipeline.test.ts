import { describe, expect, it } from 'vitest';
import type { AppsflyerEvent } from '../../../actors/appsflyer/event.ts';
import { appsflyerPipeline as pipeline } from '../../../actors/appsflyer/pipeline.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import { textOf } from '../../support/text-bytes.ts';
import { encode, ORGANIC_INSTALL, PURCHASE, SKAN_INSTALL, variant } from './messages.ts';

const RULES = pipeline.domainRules(null);
const RECEIVED_AT_MS = Date.UTC(2026, 4, 3, 12);

const decode = (message: unknown, source: RecordSource = RecordSource.push): AppsflyerEvent | string => {
  const bytes = encode(message);
  return pipeline.decode(bytes, 0, bytes.byteLength, source, RECEIVED_AT_MS);
};

const accepted = (message: unknown, source?: RecordSource): AppsflyerEvent => {
  const event = decode(message, source);
  if (typeof event === 'string') throw new Error(`rejected: ${event}`);
  return event;
};

const dimensionsOf = (message: unknown): Record<string, string> => {
  const event = accepted(message);
  return Object.fromEntries(pipeline.dimensions.map((dimension) => [dimension.name, dimension.of(event)]));
};

/** The measures that are not zero. */
const measuresOf = (message: unknown, source?: RecordSource): Record<string, number> => {
  const event = accepted(message, source);
  return Object.fromEntries(pipeline.measures.map((measure) => [measure.name, measure.amount(event, RULES)] as const).filter(([, amount]) => amount !== 0));
};

describe('dimensions', () => {
  it('reads those of a purchase', () => {
    expect(dimensionsOf(PURCHASE)).toEqual({
      campaign_id: '21421952087',
      app_id: 'com.example.shop',
      platform: 'android',
      media_source: 'googleadwords_int',
      country: 'FR',
      device: 'phone',
      attribution: 'ua',
    });
  });

  it('decides organic first and fills in what is missing', () => {
    expect(dimensionsOf(variant(ORGANIC_INSTALL, { af_c_id: '7', media_source: 'Organic', platform: undefined, country_code: '' }))).toEqual({
      campaign_id: 'organic',
      app_id: 'id1234567890',
      platform: 'ios',
      media_source: 'organic',
      country: 'unknown',
      device: 'unknown',
      attribution: 'organic',
    });
  });

  it.each([
    [{ af_c_id: undefined }, 'spring_fr', 'name'],
    [{ af_c_id: null, campaign: 'N/A' }, 'none', 'none'],
    [{ af_c_id: 987654321098765432n.toString() }, '987654321098765432', 'id'],
    [{ campaign_type: 'organic' }, 'organic', 'organic'],
  ])('names the campaign: %j gives %s', (changes, campaignId, kind) => {
    const event = accepted(variant(PURCHASE, changes));
    expect([event.campaignId, event.campaignIdKind]).toEqual([campaignId, kind]);
  });

  it('keeps an id that is a number of 18 digits as it was sent', () => {
    const text = JSON.stringify(PURCHASE).replace('"21421952087"', '123456789012345678');
    expect(dimensionsOf(text)).toMatchObject({ campaign_id: '123456789012345678' });
  });

  it.each([
    [{ campaign_type: 'retargeting' }, 'retargeting'],
    [{ campaign_type: undefined, is_retargeting: true }, 'retargeting'],
    [{ campaign_type: undefined, is_retargeting: 'true' }, 'retargeting'],
    [{ campaign_type: '', is_retargeting: '1' }, 'retargeting'],
    [{ campaign_type: undefined, is_retargeting: false }, 'ua'],
    [{ campaign_type: 'ua', is_retargeting: true }, 'ua'],
    [{ campaign_type: undefined, media_source: 'Organic' }, 'organic'],
  ])('derives attribution: %j gives %s', (changes, attribution) => {
    expect(dimensionsOf(variant(PURCHASE, changes))).toMatchObject({ attribution });
  });

  it.each([
    ['id123', 'ios'],
    ['com.example', 'android'],
    ['steam-440', 'steam'],
    ['nativepc-x', 'nativepc'],
    ['whatever', 'unknown'],
  ])('tells the platform from the app id %s', (appId, platform) => {
    expect(dimensionsOf(variant(PURCHASE, { app_id: appId, platform: undefined }))).toMatchObject({ platform });
  });

  it('upper-cases countries and keeps restricted sources', () => {
    expect(dimensionsOf(variant(PURCHASE, { country_code: 'fr', media_source: 'restricted' }))).toMatchObject({ country: 'FR', media_source: 'restricted' });
  });

  it('makes hostile values fit', () => {
    expect(dimensionsOf(variant(PURCHASE, { media_source: 'a\u001fb', device_category: '\ud800' }))).toMatchObject({ media_source: 'a\ufffdb', device: '\ufffd' });
  });
});

describe('measures', () => {
  it('counts a purchase as event, conversion and revenue', () => {
    expect(measuresOf(PURCHASE)).toEqual({ events: 1, conversions: 1, revenue_micros: 13_610_000 });
    expect(pipeline.breakdown.nameOf(accepted(PURCHASE), RULES)).toBe('af_purchase');
  });

  it('subtracts a refund', () => {
    expect(measuresOf(variant(PURCHASE, { event_revenue_usd: '-13.61' }))).toMatchObject({ revenue_micros: -13_610_000 });
  });

  it('counts organic and other installs alike, and other types each by itself', () => {
    expect(measuresOf(ORGANIC_INSTALL)).toEqual({ installs: 1 });
    expect(measuresOf(variant(ORGANIC_INSTALL, { event_type: 'install', campaign_type: 'ua' }))).toEqual({ installs: 1 });
    expect(measuresOf(variant(ORGANIC_INSTALL, { event_type: 'organic-reinstall', event_name: 'reinstall' }))).toEqual({ reinstalls: 1 });
    expect(measuresOf(variant(ORGANIC_INSTALL, { event_type: 're-engagement' }))).toEqual({ re_engagements: 1 });
    expect(measuresOf(variant(ORGANIC_INSTALL, { event_type: 're-attribution' }))).toEqual({ re_attributions: 1 });
  });

  it.each([[false], ['false'], ['FALSE'], ['0'], [0]])('keeps a record whose is_primary_attribution is %j beside the totals', (primary) => {
    expect(measuresOf(variant(PURCHASE, { is_primary_attribution: primary }))).toEqual({ secondary_conversions: 1, secondary_revenue_micros: 13_610_000 });
    expect(pipeline.breakdown.nameOf(accepted(variant(PURCHASE, { is_primary_attribution: primary })), RULES)).toBeNull();
  });

  it.each([[undefined], [null], [''], [true], ['true'], ['1'], ['yes']])('takes is_primary_attribution %j for primary', (primary) => {
    expect(measuresOf(variant(PURCHASE, { is_primary_attribution: primary }))).toMatchObject({ events: 1 });
  });

  it.each([
    [{ event_revenue_usd: undefined, event_revenue_currency: 'USD' }, { revenue_micros: 12_500_000 }],
    [{ event_revenue_usd: undefined }, { unpriced_events: 1 }],
    [{ event_revenue_usd: 'abc' }, { unpriced_events: 1 }],
    [{ event_revenue_usd: '1e30' }, { unpriced_events: 1 }],
    [{ event_revenue_usd: undefined, event_revenue: undefined }, {}],
    [{ event_revenue_usd: 13.61 }, { revenue_micros: 13_610_000 }],
    [{ event_revenue_usd: '0.00001' }, { revenue_micros: 10 }],
    [{ event_revenue_usd: '0', event_revenue: '0' }, {}],
  ])('prices %j as %j', (changes, expected) => {
    expect(measuresOf(variant(PURCHASE, changes))).toEqual({ events: 1, conversions: 1, ...expected });
  });

  it('counts only the configured conversion events', () => {
    const rules = pipeline.domainRules({ conversionEvents: ['level_up'] });
    const conversions = pipeline.measures.find((measure) => measure.name === 'conversions');
    expect(conversions?.amount(accepted(PURCHASE), rules)).toBe(0);
    expect(conversions?.amount(accepted(variant(PURCHASE, { event_name: 'level_up' })), rules)).toBe(1);
    expect(() => pipeline.domainRules({ conversionEvent: [] })).toThrow(/unknown domain rules: conversionEvent/);
    expect(() => pipeline.domainRules({ conversionEvents: [1] })).toThrow(/conversionEvents/);
  });

  it('counts a configured conversion event whose name is too long for a dimension value', () => {
    const name = '購'.repeat(80);
    const rules = pipeline.domainRules({ conversionEvents: [name] });
    const event = accepted(variant(PURCHASE, { event_name: name }));
    expect(pipeline.measures.find((measure) => measure.name === 'conversions')?.amount(event, rules)).toBe(1);
    expect(pipeline.breakdown.nameOf(event, rules)).toBe(event.eventName);
  });

  it('lets SKAdNetwork touch its own measures alone', () => {
    expect(measuresOf(SKAN_INSTALL)).toEqual({ skan_installs: 1 });
    expect(measuresOf(variant(SKAN_INSTALL, { event_type: 're-download' }))).toEqual({ skan_redownloads: 1 });
    expect(measuresOf(variant(SKAN_INSTALL, { event_type: 'postback' }))).toEqual({ skan_postbacks: 1 });
    expect(measuresOf(variant(SKAN_INSTALL, { event_type: 'postbacks-copy' }))).toEqual({});
    const event = variant(SKAN_INSTALL, { event_type: 'in-app-event', event_name: 'af_purchase', skad_revenue: '2.5', event_revenue_usd: '9' });
    expect(measuresOf(event)).toEqual({ skan_events: 1, skan_revenue_micros: 2_500_000 });
    expect(dimensionsOf(SKAN_INSTALL)).toMatchObject({ campaign_id: '1790000000000000001', platform: 'ios' });
  });

  it.each([
    ['uninstall', RecordSource.pull, { uninstalls: 1 }],
    ['blocked-install', RecordSource.pull, { blocked_installs: 1 }],
    ['ad-revenue', RecordSource.pull, { ad_revenue_micros: 13_610_000 }],
    ['detection', RecordSource.pull, { blocked_installs: 1 }],
    ['blocked-event', RecordSource.pull, {}],
  ])('lets rows of kind %s touch nothing else', (kind, source, expected) => {
    expect(measuresOf(variant(PURCHASE, { millrace_kind: kind }), source)).toEqual(expected);
  });

  it.each(Object.entries(RecordSource).filter(([name]) => name !== 's2s'))('reads a kind that the source %s does not set as if it were not there', (name, source) => {
    for (const kind of ['uninstall', 'blocked-install', 'ad-revenue', 's2s-copy']) {
      if (name === 'pull' && kind !== 's2s-copy') continue;
      const event = variant(PURCHASE, { millrace_kind: kind });
      expect(measuresOf(event, source)).toEqual(measuresOf(PURCHASE));
      expect(accepted(event, source)).toMatchObject({ eventType: 'install-in-app-event', isAttributed: true });
    }
  });
});

describe('verdicts', () => {
  it.each([
    ['{', 'NOT_JSON'],
    ['', 'NOT_JSON'],
    ['\ufeff{}', 'NOT_JSON'],
    ['[]', 'NOT_OBJECT'],
    ['null', 'NOT_OBJECT'],
    ['"x"', 'NOT_OBJECT'],
    ['{}', 'NO_APP_ID'],
    [variant(PURCHASE, { app_id: '' }), 'NO_APP_ID'],
    [variant(PURCHASE, { event_name: null }), 'NO_EVENT_NAME'],
    [variant(PURCHASE, { event_time: undefined }), 'BAD_EVENT_TIME'],
    [variant(PURCHASE, { event_time: 'yesterday' }), 'BAD_EVENT_TIME'],
    [variant(PURCHASE, { appsflyer_id: '0', customer_user_id: 'null', advertising_id: '00000000-0000-0000-0000-000000000000' }), 'NO_IDENTITY'],
    [variant(SKAN_INSTALL, { event_uuid: undefined }), 'NO_IDENTITY'],
    [`{"app_id":"${'x'.repeat(1_048_576)}"}`, 'TOO_LARGE'],
  ])('rejects %j as %s', (message, code) => {
    expect(decode(message)).toBe(code);
  });

  it('rejects invalid UTF-8 as no JSON', () => {
    const bytes = Buffer.from(JSON.stringify(PURCHASE));
    bytes[bytes.indexOf('Lyon')] = 0xff;
    expect(pipeline.decode(bytes, 0, bytes.byteLength, RecordSource.push, 0)).toBe('NOT_JSON');
  });

  it('accepts what lacks every optional field', () => {
    const least = { app_id: 'id1', event_name: 'x', event_time: '1970-01-01 00:00:00', idfa: 'A-1' };
    expect(accepted(least)).toMatchObject({ timeMs: 0, eventType: 'install-in-app-event', campaignId: 'none', country: 'unknown' });
  });

  it('accepts SKAdNetwork messages by their timestamp', () => {
    expect(accepted(SKAN_INSTALL).timeMs).toBe(Date.UTC(2026, 4, 3, 10, 20));
    expect(accepted({ app_id: 'id1', event_type: 'install', event_uuid: 'a', timestamp: '2026-05-03 10:20:00' }).eventName).toBe('install');
  });
});

describe('lake columns', () => {
  const context = { eventId: 'e', late: true, receivedAtMs: 5 };
  const row = (message: unknown): Record<string, unknown> => {
    const event = accepted(message);
    return Object.fromEntries(pipeline.lakeColumns.map((column) => [column.name, textOf(column.of(event, context))]));
  };

  it('start with the six that outside readers rely on', () => {
    expect(pipeline.lakeColumns.slice(0, 6).map((column) => column.name)).toEqual(['event_id', 'campaign_id', 'user_id', 'event_type', 'timestamp', 'revenue']);
  });

  it('hold the row of a purchase', () => {
    expect(row(PURCHASE)).toEqual({
      event_id: 'e',
      campaign_id: '21421952087',
      user_id: '1718000000123-4500123456789012345',
      event_type: 'install-in-app-event',
      timestamp: Date.UTC(2026, 4, 3, 10, 15, 42, 318),
      revenue: 13_610_000,
      app_id: 'com.example.shop',
      platform: 'android',
      media_source: 'googleadwords_int',
      country: 'FR',
      device: 'phone',
      attribution: 'ua',
      campaign: 'spring_fr',
      event_name: 'af_purchase',
      is_install: false,
      is_primary: true,
      late: true,
      received_at: 5,
      event_source: 'SDK',
      conversion_type: 'install',
      event_properties: PURCHASE.event_value,
      is_test: false,
      region: null,
      state: null,
      city: 'Lyon',
      os_version: '11',
      browser: null,
      enriched: null,
    });
  });

  it('keep event_properties valid JSON when event_value was cut or is no string', () => {
    expect(row(variant(PURCHASE, { event_value: '{"a":"b' })).event_properties).toBe('"{\\"a\\":\\"b"');
    expect(row(variant(PURCHASE, { event_value: { a: [1] } })).event_properties).toBe('{"a":[1]}');
    const deep = '['.repeat(100) + ']'.repeat(100);
    expect(row(variant(PURCHASE, { event_value: deep })).event_properties).toBe(deep);
    expect(row(variant(PURCHASE, { event_value: `${deep}]` })).event_properties).toBe(`"${deep}]"`);
    expect(row(variant(PURCHASE, { event_value: undefined })).event_properties).toBeNull();
  });
});
