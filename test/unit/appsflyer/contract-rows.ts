/**
 * The data contracts as a table: every row on message types, double attribution, fields, samples, CSV rows and S2S bodies, with what must come of a
 * message that shows it. What is unverified stands in both readings.
 */

import { RecordSource } from '../../../engine/core/record.ts';
import { ORGANIC_INSTALL, PURCHASE, S2S_PURCHASE, SKAN_INSTALL, V1_PURCHASE, variant } from './messages.ts';

export interface ContractRow {
  readonly row: string;
  readonly message: object | string;
  readonly source?: RecordSource;
  /** A reject code, or what the event and the measures that are not zero must hold. */
  readonly is: string | { readonly event?: object; readonly measures?: object; readonly user?: string | null; readonly properties?: string | null };
}

const RECEIVED = '2026-05-03 12:00:00.000';
export const RECEIVED_AT_MS = Date.parse(`${RECEIVED.replace(' ', 'T')}Z`);

const { s2s, pull, pushGet, events } = RecordSource;
const without = (message: Readonly<Record<string, unknown>>, ...names: string[]): object => Object.fromEntries(Object.entries(message).filter(([name]) => !names.includes(name)));
const TYPE_FIELDS = ['event_type', 'conversion_type', 'campaign_type', 'event_name'];
const typed = (eventType: string | undefined, conversionType: string | undefined, campaignType: string | undefined, eventName: string): object =>
  variant(without(PURCHASE, ...TYPE_FIELDS, 'event_revenue', 'event_revenue_usd') as Record<string, unknown>, { event_type: eventType, conversion_type: conversionType, campaign_type: campaignType, event_name: eventName });
const asStrings = (message: Readonly<Record<string, unknown>>): object => Object.fromEntries(Object.entries(message).map(([name, value]) => [name, String(value)]));

/** 1.4: type, conversion type, campaign type, name, measure; and the type as the settings of Push spell it. */
const TYPES = [
  ['install', 'install', 'ua', 'install', 'installs', 'install'],
  ['organic-install', 'install', 'organic', 'install', 'installs', 'install-organic'],
  ['install-in-app-event', 'install', 'ua', 'level_up', 'events', 'install-in-app-events'],
  ['organic-install-in-app-event', 'install', 'organic', 'level_up', 'events', 'install-in-app-events-organic'],
  ['re-engagement', 're-engagement', 'retargeting', 're-engagement', 're_engagements', 're-engagement'],
  ['re-engagement-in-app-event', 're-engagement', 'retargeting', 'level_up', 'events', 're-engagement-in-app-events'],
  ['re-attribution', 'reinstall', 'retargeting', 're-attribution', 're_attributions', 're-attribution'],
  ['re-attribution-in-app-event', 'reinstall', 'retargeting', 'level_up', 'events', 're-attribution-in-app-events'],
  ['reinstall', 'reinstall', 'ua', 'reinstall', 'reinstalls', 'reinstall'],
  ['organic-reinstall', 'reinstall', 'organic', 'reinstall', 'reinstalls', 'reinstall-organic'],
] as const;

const messageTypes: readonly ContractRow[] = TYPES.flatMap(([eventType, conversionType, campaignType, name, measure, setting]) => {
  const is = { event: { eventType, attribution: campaignType, eventName: name }, measures: { [measure]: 1 } };
  return [
    { row: `1.4 ${eventType}, told by event_type`, message: typed(eventType, conversionType, campaignType, name), is },
    { row: `1.4 ${eventType}, event_type not sent`, message: typed(undefined, conversionType, campaignType, name), is },
    { row: `1.4 ${eventType}, in the spelling of the settings`, message: typed(setting, conversionType, campaignType, name), is },
    { row: `1.4 ${eventType}, as the help text capitalizes`, message: typed(undefined, conversionType.toUpperCase(), campaignType.toUpperCase(), name), is },
  ];
});

const skan: readonly ContractRow[] = [
  ...(['install', 're-download', 'in-app-event', 'postback', 'postbacks-copy'] as const).flatMap((type) => {
    const counted = { install: 'skan_installs', 're-download': 'skan_redownloads', 'in-app-event': 'skan_events', postback: 'skan_postbacks', 'postbacks-copy': '' }[type];
    const measures = counted === '' ? {} : { [counted]: 1 };
    return [
      { row: `1.4 SKAdNetwork ${type}`, message: variant(SKAN_INSTALL, { event_type: type }), is: { event: { eventType: `skan-${type}`, platform: 'ios' }, measures, user: null } },
      { row: `1.4 SKAdNetwork ${type}, capitalized`, message: variant(SKAN_INSTALL, { event_type: `${type[0]?.toUpperCase()}${type.slice(1)}` }), is: { event: { eventType: `skan-${type}` }, measures } },
    ];
  }),
  { row: '1.6 SKAdNetwork without event_type: an install by its name', message: variant(SKAN_INSTALL, { event_type: undefined, event_name: 'af_skad_install' }), is: { measures: { skan_installs: 1 } } },
  { row: '1.6 SKAdNetwork without event_type: a re-download by its name', message: variant(SKAN_INSTALL, { event_type: undefined, event_name: 'af_skad_redownload' }), is: { measures: { skan_redownloads: 1 } } },
  { row: '1.6 SKAdNetwork without event_type: all others are events', message: variant(SKAN_INSTALL, { event_type: undefined, event_name: 'af_skad_revenue', skad_revenue: 2.5 }), is: { measures: { skan_events: 1, skan_revenue_micros: 2_500_000 } } },
  { row: '1.6 SKAdNetwork, app id without `id`', message: variant(SKAN_INSTALL, { app_id: '6448786147' }), is: { event: { platform: 'ios', appId: '6448786147' } } },
  { row: '1.6 SKAdNetwork cut down to identity and time', message: { app_id: 'id1', event_type: 'postback', event_uuid: 'a', timestamp: '2026-05-03 10:20:00' }, is: { measures: { skan_postbacks: 1 } } },
  { row: '1.6 SKAdNetwork has no appsflyer_id and no event_time, and needs event_uuid', message: variant(SKAN_INSTALL, { event_uuid: '' }), is: 'NO_IDENTITY' },
];

const sources: readonly ContractRow[] = [
  { row: '1.4 not pushable: an uninstall by Push is an event of that name', message: variant(PURCHASE, { event_type: undefined, event_name: 'uninstall', event_revenue: undefined, event_revenue_usd: undefined }), is: { measures: { events: 1 } } },
  { row: '1.4 restricted stays', message: variant(PURCHASE, { media_source: 'restricted' }), is: { event: { mediaSource: 'restricted' } } },
  { row: '1.4 organic, in v1 Organic', message: variant(ORGANIC_INSTALL, { media_source: 'Organic', campaign_type: undefined, event_type: undefined }), is: { event: { mediaSource: 'organic', attribution: 'organic', campaignId: 'organic' } } },
  { row: '1.4 organic is decided by campaign_type first', message: variant(PURCHASE, { campaign_type: 'organic' }), is: { event: { attribution: 'organic', campaignId: 'organic' } } },
  { row: '1.5 the credited record', message: variant(PURCHASE, { is_primary_attribution: true, is_retargeting: true, conversion_type: 're-engagement', campaign_type: 'retargeting', event_type: undefined }), is: { event: { attribution: 'retargeting' }, measures: { events: 1, conversions: 1, revenue_micros: 13_610_000 } } },
  { row: '1.5 the second record, conversion_type as the help text prints it', message: variant(PURCHASE, { is_primary_attribution: false, is_retargeting: false, conversion_type: 're-engagement', event_type: undefined }), is: { measures: { secondary_conversions: 1, secondary_revenue_micros: 13_610_000 } } },
  { row: '1.5 the second record, conversion_type of its own source', message: variant(PURCHASE, { is_primary_attribution: false, is_retargeting: false, conversion_type: 'install', event_type: undefined }), is: { measures: { secondary_conversions: 1, secondary_revenue_micros: 13_610_000 } } },
];

const fields: readonly ContractRow[] = [
  { row: '1.6 everything may be unselected: only the four that are always there', message: { app_id: 'com.example.shop', event_name: 'x', event_time: '2026-05-03 10:15:42.318', advertising_id: '11111111-2222-4333-8444-555555555555' }, is: { event: { platform: 'android', mediaSource: 'unknown', country: 'unknown', campaignId: 'none' }, measures: { events: 1 }, user: '11111111-2222-4333-8444-555555555555' } },
  { row: '1.6 booleans as strings', message: variant(PURCHASE, { is_primary_attribution: 'FALSE', is_retargeting: 'true', campaign_type: undefined }), is: { event: { isSecondary: true, attribution: 'retargeting' } } },
  { row: '1.6 booleans as 1 and 0', message: variant(PURCHASE, { is_primary_attribution: '0', is_retargeting: 1, campaign_type: undefined }), is: { event: { isSecondary: true, attribution: 'retargeting' } } },
  { row: '1.6 amounts as numbers', message: variant(PURCHASE, { event_revenue_usd: 13.61 }), is: { event: { revenueMicros: 13_610_000 } } },
  { row: '1.6 amounts with five decimals, negative for refunds', message: variant(PURCHASE, { event_revenue_usd: '-0.12345' }), is: { event: { revenueMicros: -123_450 } } },
  { row: '1.6 ids of 18 digits and more never become numbers', message: JSON.stringify(PURCHASE).replace('"21421952087"', '123456789012345678901'), is: { event: { campaignId: '123456789012345678901' } } },
  { row: '1.6 appsflyer_id of iOS and of Android', message: ORGANIC_INSTALL, is: { user: '1718100000456-7654321' } },
  ...([['id1234567890', 'ios'], ['1234567890', 'ios'], ['com.example.shop', 'android'], ['nativepc-7', 'nativepc'], ['steam-440', 'steam'], ['roku-1', 'roku'], ['xbox-1', 'xbox']] as const).map(([appId, platform]) => ({ row: `1.6 platform only from app_id ${appId}`, message: variant(PURCHASE, { app_id: appId, platform: undefined }), is: { event: { platform, appId } } })),
  { row: '1.6 event_time, with milliseconds and no zone: UTC', message: PURCHASE, is: { event: { timeMs: Date.UTC(2026, 4, 3, 10, 15, 42, 318) } } },
  { row: '1.6 event_time, with the zone of the selected_timezone fields', message: variant(PURCHASE, { event_time: '2026-05-03 12:15:42.318+0200' }), is: { event: { timeMs: Date.UTC(2026, 4, 3, 10, 15, 42, 318) } } },
  { row: '1.6 event_name, not English', message: variant(PURCHASE, { event_name: '購入' }), is: { event: { eventName: '購入' } } },
  { row: '1.6 event_value missing on installs', message: ORGANIC_INSTALL, is: { measures: { installs: 1 }, properties: null } },
  { row: '1.6 event_value, "{}" when empty', message: variant(PURCHASE, { event_value: '{}' }), is: { properties: '{}' } },
  { row: '1.6 event_value cut after 1,000 characters', message: variant(PURCHASE, { event_value: '{"a":"bc' }), is: { properties: JSON.stringify('{"a":"bc'), measures: { events: 1, conversions: 1, revenue_micros: 13_610_000 } } },
  { row: '1.6 event_value encoded twice', message: variant(PURCHASE, { event_value: JSON.stringify('{"a":1}') }), is: { properties: '{"a":1}' } },
  { row: '1.6 event_value that is an object', message: variant(PURCHASE, { event_value: { a: 1 } }), is: { properties: '{"a":1}' } },
  ...(['{"user_id":"u7"}', '{"customer_user_id":"u7","user_id":"x"}', '{"params":{"user_id":"u7"}}', JSON.stringify('{"user_id":"u7"}')] as const).map((value) => ({
    row: `1.6 the user only inside event_value ${value}`,
    message: variant(PURCHASE, { appsflyer_id: undefined, customer_user_id: undefined, advertising_id: '00000000-0000-0000-0000-000000000000', event_value: value }),
    is: { user: 'u7', measures: { events: 1, conversions: 1, revenue_micros: 13_610_000 } },
  })),
  { row: '1.6 the user inside event_value, a long number', message: { app_id: 'id1', event_name: 'x', event_time: RECEIVED, event_value: '{"user_id":123456789012345678901}' }, is: { user: '123456789012345678901' } },
  { row: '1.6 a user field wins over the user inside event_value', message: variant(PURCHASE, { event_value: '{"user_id":"u7"}' }), is: { user: '1718000000123-4500123456789012345' } },
  { row: '1.6 no user anywhere', message: variant(PURCHASE, { appsflyer_id: undefined, customer_user_id: undefined, advertising_id: undefined, event_value: '{"user_id":"0"}' }), is: 'NO_IDENTITY' },
  { row: '1.6 no user, and event_value cut before it ends', message: { app_id: 'id1', event_name: 'x', event_time: RECEIVED, event_value: '{"user_id":"u7","x":"' }, is: 'NO_IDENTITY' },
  ...([undefined, null, '', 'N/A', 'NULL'] as const).map((nothing) => ({ row: `1.6 the null convention: ${JSON.stringify(nothing)}`, message: variant(PURCHASE, { country_code: nothing, campaign: nothing, af_c_id: nothing }), is: { event: { country: 'unknown', campaignId: 'none', campaignIdKind: 'none' } } })),
  { row: '1.6 fields that nobody knows yet', message: variant(PURCHASE, { brand_new_field: { a: [1] } }), is: { event: { eventType: 'install-in-app-event' } } },
  { row: '1.7 the purchase', message: PURCHASE, is: { event: { eventType: 'install-in-app-event', campaignId: '21421952087', device: 'phone' }, measures: { events: 1, conversions: 1, revenue_micros: 13_610_000 } } },
  { row: '1.7 the organic install', message: ORGANIC_INSTALL, is: { event: { eventType: 'organic-install', platform: 'ios', country: 'DE' }, measures: { installs: 1 } } },
  { row: '1.7 the second copy by GET', message: { app_id: 'com.example.shop', appsflyer_id: '1718000000123-4500123456789012345', event_name: 'af_purchase', event_time: '2026-05-20 09:00:05.120', event_value: '{"af_revenue":"9.99"}', event_revenue: '9.99', event_revenue_currency: 'USD', event_revenue_usd: '9.99', media_source: 'googleadwords_int', conversion_type: 're-engagement', is_retargeting: 'false', is_primary_attribution: 'false' }, source: pushGet, is: { event: { eventType: 're-engagement-in-app-event' }, measures: { secondary_conversions: 1, secondary_revenue_micros: 9_990_000 } } },
  { row: '1.7 the purchase by GET: all strings', message: asStrings(PURCHASE), source: pushGet, is: { event: { isPrimary: true, attribution: 'ua', revenueMicros: 13_610_000 } } },
];

const v1: readonly ContractRow[] = [
  { row: '1.6 v1 in-app event', message: V1_PURCHASE, source: pushGet, is: { event: { eventType: 'install-in-app-event', campaignId: '23842700000000001', campaign: 'spring_br', attribution: 'ua', country: 'BR', timeMs: Date.UTC(2018, 8, 26, 20, 13, 55) }, measures: { events: 1, conversions: 1, revenue_micros: 11_210_000 }, user: '1537990322285-5695151094453348220' } },
  { row: '1.6 v1 by a forwarder, as JSON with nulls and event_value an object', message: variant(V1_PURCHASE, { event_value: { af_revenue: 11.21 }, customer_user_id: null, fb_campaign_name: null }), source: events, is: { event: { campaignId: '23842700000000001', campaign: '' }, measures: { events: 1, conversions: 1, revenue_micros: 11_210_000 } } },
  { row: '1.6 v1 organic', message: variant(V1_PURCHASE, { attribution_type: 'organic', media_source: undefined, fb_campaign_id: '' }), is: { event: { attribution: 'organic', eventType: 'organic-install-in-app-event', campaignId: 'organic' } } },
  { row: '1.6 v1 in-app event that is named like an install', message: variant(V1_PURCHASE, { event_name: 'install', event_value: '' }), is: { measures: { events: 1 } } },
  { row: '1.6 v1 install, name and time sent', message: variant(V1_PURCHASE, { event_type: 'install', event_name: 'install', event_value: '' }), is: { measures: { installs: 1 } } },
  { row: '1.6 v1 install, neither name nor time sent', message: variant(V1_PURCHASE, { event_type: 'install', event_name: null, event_time: null, event_value: null, attribution_type: 'organic' }), is: { event: { eventType: 'organic-install', timeMs: Date.UTC(2018, 8, 26, 19, 32, 7) }, measures: { installs: 1 } } },
  ...['constructor', '__proto__', 'toString'].map((word) => ({ row: `1.6 v1 with ${word} for a word`, message: variant(V1_PURCHASE, { event_type: word, event_name: '', attribution_type: word, selected_currency: word }), is: 'NO_EVENT_NAME' })),
  { row: '1.6 v1 in-app event without a name', message: variant(V1_PURCHASE, { event_name: null }), is: 'NO_EVENT_NAME' },
  { row: '1.6 v1 re-engagement, by re_targeting_conversion_type', message: variant(V1_PURCHASE, { is_retargeting: 'true', re_targeting_conversion_type: 're-engagement' }), is: { event: { attribution: 'retargeting', eventType: 're-engagement-in-app-event' } } },
  { row: '1.6 v1 re-attribution, by re_targeting_conversion_type', message: variant(V1_PURCHASE, { is_retargeting: true, re_targeting_conversion_type: 're-attribution' }), is: { event: { eventType: 're-attribution-in-app-event' } } },
  { row: '1.6 v1 amount in the currency of the event, no dollars', message: variant(V1_PURCHASE, { currency: 'BRL', selected_currency: 'BRL' }), is: { measures: { events: 1, conversions: 1, unpriced_events: 1 } } },
  { row: '1.6 v1 amount in dollars by the selected currency', message: variant(V1_PURCHASE, { currency: 'BRL', revenue_in_selected_currency: '3.5' }), is: { measures: { events: 1, conversions: 1, revenue_micros: 3_500_000 } } },
  { row: '1.6 v1 amount in parameters that are no JSON', message: variant(V1_PURCHASE, { event_value: '{:af_revenue 11.21, :af_currency "USD"}' }), is: { measures: { events: 1, conversions: 1, unpriced_events: 1 } } },
  { row: '1.6 v1 plain number as event_value is no amount', message: variant(V1_PURCHASE, { event_value: '5' }), is: { measures: { events: 1, conversions: 1 } } },
  { row: '1.6 v1 names beside api_version 2: not v1', message: variant(PURCHASE, { currency: 'USD', fb_campaign_id: '9', event_revenue_usd: undefined, event_revenue: undefined, af_c_id: undefined }), is: { event: { campaignId: 'spring_fr' }, measures: { events: 1, conversions: 1 } } },
  { row: '1.6 v1 and v2 names of one thing: v2 wins', message: variant(V1_PURCHASE, { appsflyer_id: 'new', af_c_id: '7', event_revenue_usd: '2' }), is: { event: { campaignId: '7' }, measures: { events: 1, conversions: 1, revenue_micros: 2_000_000 }, user: 'new' } },
];

const CSV_ROW = { app_id: 'com.example.shop', appsflyer_id: '1718000000123-4500123456789012345', event_name: 'af_purchase', event_time: '2026-05-03 10:15:42', event_value: '{"a":1}', event_revenue: '12.5', event_revenue_currency: 'EUR', event_revenue_usd: '13.61', is_retargeting: 'false', is_primary_attribution: 'true', country_code: 'FR', media_source: 'googleadwords_int', campaign: 'spring_fr', af_c_id: '21421952087', platform: 'android', region: 'EU', postal_code: '', dma: 'N/A', keyword_id: 'NULL' };
const csv = (changes: object): object => ({ ...CSV_ROW, ...changes });
const report = (kind: string, changes: object = {}): object => csv({ millrace_kind: kind, ...changes });

const csvRows: readonly ContractRow[] = [
  { row: '2.3 a row: times without milliseconds, all texts, empty cells', message: CSV_ROW, source: pull, is: { event: { timeMs: Date.UTC(2026, 4, 3, 10, 15, 42), country: 'FR', isPrimary: true }, measures: { events: 1, conversions: 1, revenue_micros: 13_610_000 } } },
  { row: '2.3 a row with conversion_type and campaign_type asked for', message: csv({ conversion_type: 'install', campaign_type: 'organic' }), source: pull, is: { event: { eventType: 'organic-install-in-app-event' } } },
  { row: '2.3 a row without them', message: csv({ event_name: 'install', event_value: '', event_revenue_usd: '' , event_revenue: '' }), source: pull, is: { measures: { installs: 1 } } },
  { row: '2.3 capitals, as some CSV writers have booleans', message: csv({ is_primary_attribution: 'FALSE' }), source: pull, is: { measures: { secondary_conversions: 1, secondary_revenue_micros: 13_610_000 } } },
  { row: '2.3 an uninstall touches nothing else', message: report('uninstall', { event_name: 'uninstall' }), source: pull, is: { event: { eventType: 'uninstall', isAttributed: false }, measures: { uninstalls: 1 } } },
  { row: '2.3 a blocked install, with its reason', message: report('blocked-install', { event_name: 'install', event_value: '', event_revenue_usd: '', blocked_reason: 'bots', blocked_sub_reason: 'x', blocked_reason_value: '' }), source: pull, is: { measures: { blocked_installs: 1 }, properties: '{"blocked_reason":"bots","blocked_sub_reason":"x"}' } },
  { row: '2.3 an install found to be fraud afterwards', message: report('detection', { event_name: 'install', event_value: '', detection_date: '2026-05-05', fraud_reason: 'f', fraud_sub_reason: 's' }), source: pull, is: { event: { eventType: 'detection' }, measures: { blocked_installs: 1 }, properties: '{"detection_date":"2026-05-05","fraud_reason":"f","fraud_sub_reason":"s"}' } },
  { row: '2.3 an install found to be fraud, under the kind of blocked ones', message: report('blocked-install', { fraud_reason: 'f' }), source: pull, is: { measures: { blocked_installs: 1 } } },
  { row: '2.3 a blocked in-app event is in the lake alone', message: report('blocked-event'), source: pull, is: { measures: {} } },
  { row: '2.3 ad revenue, with where the ad stood', message: report('ad-revenue', { event_name: 'af_ad_revenue', event_value: '', event_revenue_usd: '0.00321', monetization_network: 'n', ad_unit: 'banner', placement: 'top', impressions: '3' }), source: pull, is: { measures: { ad_revenue_micros: 3_210 }, properties: '{"monetization_network":"n","ad_unit":"banner","placement":"top","impressions":"3"}' } },
  { row: '2.3 ad revenue without any of it', message: report('ad-revenue', { event_value: '' }), source: pull, is: { measures: { ad_revenue_micros: 13_610_000 }, properties: null } },
  { row: '2.3 ad revenue that is in no dollars counts nowhere', message: report('ad-revenue', { event_revenue_usd: '' }), source: pull, is: { measures: {} } },
  { row: '2.3 a report row without name or time of an event', message: report('uninstall', { event_name: '', event_time: '', install_time: '2026-05-01 08:00:11' }), source: pull, is: { event: { eventName: 'uninstall', timeMs: Date.UTC(2026, 4, 1, 8, 0, 11) }, measures: { uninstalls: 1 } } },
  { row: '2.3 a kind that a sender writes', message: report('uninstall'), is: { measures: { events: 1, conversions: 1, revenue_micros: 13_610_000 } } },
];

const S2S_EVENT = { event: { eventType: 's2s-copy', isAttributed: false, isS2sRecord: true }, measures: {} };
const s2sBodies: readonly ContractRow[] = [
  { row: '3 a body: names, app id and platform from the path, no attribution', message: S2S_PURCHASE, source: s2s, is: { event: { ...S2S_EVENT.event, eventName: 'af_purchase', appId: 'id1234567890', platform: 'ios', mediaSource: 'unknown', campaignId: 'none', timeMs: Date.UTC(2026, 4, 3, 10, 15, 42, 318), revenueMicros: 6_000_000 }, measures: {}, user: '1718000000123-4500123456789012345', properties: S2S_PURCHASE['eventValue'] as string } },
  { row: '3 the three required fields alone; eventTime absent: arrival time', message: { appsflyer_id: '1-2', eventName: 'e', eventValue: '', app_id: 'com.example.shop' }, source: s2s, is: { event: { ...S2S_EVENT.event, timeMs: RECEIVED_AT_MS, platform: 'android' }, properties: null } },
  { row: '3 an eventTime of days ago is the time it happened, not the one AppsFlyer stamps', message: variant(S2S_PURCHASE, { eventTime: '2026-04-30 10:00:00.000' }), source: s2s, is: { event: { timeMs: Date.UTC(2026, 3, 30, 10) } } },
  { row: '3 eventTime without milliseconds', message: variant(S2S_PURCHASE, { eventTime: '2026-05-03 10:15:42' }), source: s2s, is: { event: { timeMs: Date.UTC(2026, 4, 3, 10, 15, 42) } } },
  { row: '3 an eventTime that is none', message: variant(S2S_PURCHASE, { eventTime: 'now' }), source: s2s, is: 'BAD_EVENT_TIME' },
  { row: '3 appsflyer_id missing, another id there', message: variant(S2S_PURCHASE, { appsflyer_id: undefined }), source: s2s, is: { user: 'u-1001' } },
  { row: '3 no id but in eventValue', message: { eventName: 'e', eventValue: '{"user_id":"u7"}', app_id: 'id1' }, source: s2s, is: { user: 'u7' } },
  { row: '3 no id at all', message: { eventName: 'e', eventValue: '', app_id: 'id1' }, source: s2s, is: 'NO_IDENTITY' },
  { row: '3 eventName missing', message: variant(S2S_PURCHASE, { eventName: '' }), source: s2s, is: 'NO_EVENT_NAME' },
  { row: '3 eventValue that is an object', message: variant(S2S_PURCHASE, { eventValue: { af_revenue: 6 } }), source: s2s, is: { event: { revenueMicros: 6_000_000 }, properties: '{"af_revenue":6}' } },
  { row: '3 eventValue that was cut', message: variant(S2S_PURCHASE, { eventValue: '{"af_revenue":"6' }), source: s2s, is: { event: { isPriced: false, isUnpriced: true } } },
  { row: '3 af_revenue negative', message: variant(S2S_PURCHASE, { eventValue: '{"af_revenue":"-6.5"}' }), source: s2s, is: { event: { revenueMicros: -6_500_000 } } },
  { row: '3 eventCurrency absent, af_currency inside', message: variant(S2S_PURCHASE, { eventCurrency: undefined, eventValue: '{"af_revenue":6,"af_currency":"USD"}' }), source: s2s, is: { event: { isPriced: true, revenueMicros: 6_000_000 } } },
  { row: '3 no currency at all: unpriced, for no text says that it is dollars', message: variant(S2S_PURCHASE, { eventCurrency: undefined }), source: s2s, is: { event: { isPriced: false, isUnpriced: true } } },
  { row: '3 another currency', message: variant(S2S_PURCHASE, { eventCurrency: 'EUR' }), source: s2s, is: { event: { isPriced: false, isUnpriced: true } } },
  { row: '3 af_events_api absent', message: variant(S2S_PURCHASE, { af_events_api: undefined }), source: s2s, is: S2S_EVENT },
  { row: '3 hashed and optional fields are not read', message: variant(S2S_PURCHASE, { att: 3, aie: true, sharing_filter: ['x'], consent_data: { a: 1 }, hashed_email: 'h', custom_data: '{}', app_type: 'app_clip', oaid: 'o' }), source: s2s, is: S2S_EVENT },
  { row: '3 an app id of which no platform can be told, and a platform in the body', message: variant(S2S_PURCHASE, { app_id: 'a1b2c3d4e5f6', platform: 'windowsphone' }), source: s2s, is: { event: { platform: 'windowsphone' } } },
  { row: '3 a platform in the body that the app id contradicts', message: variant(S2S_PURCHASE, { platform: 'android' }), source: s2s, is: { event: { platform: 'ios' } } },
  { row: '3 an iOS app id without `id`', message: variant(S2S_PURCHASE, { app_id: '1234567890' }), source: s2s, is: { event: { appId: '1234567890', platform: 'ios' } } },
  { row: '3 Push names in a body win', message: variant(S2S_PURCHASE, { event_name: 'other', event_revenue_usd: '1' }), source: s2s, is: { event: { eventName: 'other', revenueMicros: 1_000_000 } } },
  { row: '3 S2S names by Push are unknown', message: { app_id: 'id1', appsflyer_id: '1-2', eventName: 'e', eventTime: RECEIVED }, is: 'NO_EVENT_NAME' },
];

export const CONTRACT_ROWS: readonly ContractRow[] = [...messageTypes, ...skan, ...sources, ...fields, ...v1, ...csvRows, ...s2sBodies];
