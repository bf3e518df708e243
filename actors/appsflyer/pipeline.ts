/**
 * The pipeline: every dimension, measure, window, label and lake column of the AppsFlyer domain, with what it means.
 *
 * This is the one file to touch when a measure is added. The engine folds whatever it declares; `/v1/definitions` is generated from
 * it. Any change that could change a verdict or a cell raises `version`.
 *
 * `decode` and `fingerprint` have buffers of their own, one set per thread that loads this module.
 */

import type { DimensionDefinition, LabelDefinition, LakeColumn, MeasureDefinition, PipelineDefinition } from '../../engine/core/pipeline.ts';
import { MS_PER_DAY, MS_PER_HOUR } from '../../engine/core/types.ts';
import { markTestApp, refuseUnknownApp } from './apps.ts';
import { applyAuthority } from './authority.ts';
import { createDecoder } from './decode.ts';
import type { Action, AppsflyerEvent } from './event.ts';
import { userOfEventValue } from './event-value.ts';
import { EVENT_VALUE_NAMES, Field, fieldName, USER_FIELDS } from './fields.ts';
import { IdentityWriter } from './identity.ts';
import { isPlaceholder } from './placeholders.ts';
import * as lake from './lake-values.ts';
import { recordUsers } from './record-users.ts';
import { lakeRules, parseAppsflyerRules, type AppsflyerRules } from './rules.ts';
import { UserSightings } from './user-sightings.ts';

type Event = AppsflyerEvent;

const dimensions: readonly DimensionDefinition<Event>[] = [
  {
    name: 'campaign_id',
    of: (event) => event.campaignId,
    valuesMax: 20_000,
    meaning: {
      title: 'Campaign',
      formula: '`organic` for organic records; else af_c_id; else the campaign name; else `none`. SKAdNetwork: ad_network_campaign_id, else skad_campaign_id, else the name',
      sourceFields: ['af_c_id', 'campaign', 'campaign_type', 'ad_network_campaign_id', 'ad_network_campaign_name', 'skad_campaign_id'],
      externalName: 'Campaign ID',
    },
  },
  {
    name: 'app_id',
    of: (event) => event.appId,
    valuesMax: 1_000,
    meaning: { title: 'App', formula: 'app_id', sourceFields: ['app_id'], externalName: 'App ID' },
  },
  {
    name: 'platform',
    of: (event) => event.platform,
    valuesMax: 50,
    meaning: {
      title: 'Platform',
      formula: 'platform; else from app_id: `ios` for id and digits, a store prefix such as `steam`, `android` for a package name; else by user_agent with enrichment.user_agent; else `unknown`',
      sourceFields: ['platform', 'app_id', 'user_agent'],
      externalName: 'Platform',
    },
  },
  {
    name: 'media_source',
    of: (event) => event.mediaSource,
    valuesMax: 2_000,
    meaning: {
      title: 'Media source',
      formula: 'media_source, `organic` in lower case; else `unknown`',
      sourceFields: ['media_source'],
      externalName: 'Media Source',
    },
  },
  {
    name: 'country',
    of: (event) => event.country,
    valuesMax: 300,
    meaning: { title: 'Country', formula: 'country_code in upper case; else by ip with enrichment.geoip_file; else `unknown`', sourceFields: ['country_code', 'ip'], externalName: 'Country Code' },
  },
  {
    name: 'device',
    of: (event) => event.device,
    valuesMax: 50,
    meaning: { title: 'Device category', formula: 'device_category; else by user_agent with enrichment.user_agent; else `unknown`', sourceFields: ['device_category', 'user_agent'], externalName: 'Device Category' },
  },
  {
    name: 'attribution',
    of: (event) => event.attribution,
    valuesMax: 3,
    meaning: {
      title: 'Attribution',
      formula: '`organic`, `ua` or `retargeting`: campaign_type; else `retargeting` if is_retargeting; else `organic` if media_source or event_type says so; else `ua`',
      sourceFields: ['campaign_type', 'is_retargeting', 'media_source', 'event_type'],
    },
  },
];

/** Counts money left out that is none of `revenue_micros`: those records touch no measure of the primary ones. */
const LEFT_OUT = 'left_out_amounts';

const TYPE_FIELDS = ['event_type', 'conversion_type', 'campaign_type', 'event_name'] as const;
const REVENUE_FIELDS = ['event_revenue_usd', 'event_revenue', 'event_revenue_currency'] as const;

/** Counts the primary records of one action. */
const primaryCount = (name: string, action: Action, title: string, externalName: string): MeasureDefinition<Event, AppsflyerRules> => ({
  name,
  unit: 'count',
  amount: (event) => (event.isPrimary && event.action === action ? 1 : 0),
  meaning: {
    title,
    formula: `number of primary records of type ${action}, organic ones included`,
    sourceFields: [...TYPE_FIELDS, 'is_primary_attribution'],
    externalName,
  },
});

/** Counts all records of one action that stands outside of the metrics of attribution. */
const plainCount = (name: string, action: Action, title: string, sourceFields: readonly string[]): MeasureDefinition<Event, AppsflyerRules> => ({
  name,
  unit: 'count',
  amount: (event) => (event.action === action ? 1 : 0),
  meaning: { title, formula: `number of records of type ${action}`, sourceFields },
});

const isConversion = (event: Event, rules: AppsflyerRules): boolean => event.action === 'in-app' && rules.conversionEvents.has(event.eventName);

const attributionMeasures: readonly MeasureDefinition<Event, AppsflyerRules>[] = [
  primaryCount('installs', 'install', 'Installs', 'Installs'),
  primaryCount('reinstalls', 'reinstall', 'Reinstalls', 'Reinstalls'),
  primaryCount('re_engagements', 're-engagement', 'Re-engagements', 'Re-engagements'),
  primaryCount('re_attributions', 're-attribution', 'Re-attributions', 'Re-attributions'),
  primaryCount('events', 'in-app', 'In-app events', 'In-app events'),
  {
    name: 'conversions',
    unit: 'count',
    amount: (event, rules) => (event.isPrimary && isConversion(event, rules) ? 1 : 0),
    meaning: {
      title: 'Conversions',
      formula: 'number of primary in-app events whose event_name is on metrics.conversion_events',
      sourceFields: ['event_name', 'is_primary_attribution'],
    },
  },
  {
    name: 'revenue_micros',
    unit: 'micros',
    overflowMeasure: 'unpriced_events',
    amount: (event) => (event.isPrimary ? event.revenueMicros : 0),
    meaning: {
      title: 'Revenue in US dollars',
      formula: 'sum of event_revenue_usd of primary records, else of event_revenue when its currency is USD; refunds are negative',
      sourceFields: [...REVENUE_FIELDS, 'is_primary_attribution'],
      externalName: 'Event Revenue USD',
    },
  },
  {
    name: 'unpriced_events',
    unit: 'count',
    amount: (event) => (event.isPrimary && event.isUnpriced ? 1 : 0),
    meaning: {
      title: 'Records without a price',
      formula: 'number of primary records with an amount of money that is in no known US dollars, unreadable, beyond one million, or would carry revenue past what is summed exactly',
      sourceFields: [...REVENUE_FIELDS, 'is_primary_attribution'],
    },
  },
  {
    name: 'secondary_conversions',
    unit: 'count',
    amount: (event, rules) => (event.isSecondary && isConversion(event, rules) ? 1 : 0),
    meaning: {
      title: 'Conversions of the second attribution',
      formula: 'conversions of records whose is_primary_attribution is false: beside the totals, never in them',
      sourceFields: ['event_name', 'is_primary_attribution'],
    },
  },
  {
    name: 'secondary_revenue_micros',
    unit: 'micros',
    overflowMeasure: LEFT_OUT,
    amount: (event) => (event.isSecondary ? event.revenueMicros : 0),
    meaning: {
      title: 'Revenue of the second attribution',
      formula: 'revenue of records whose is_primary_attribution is false: beside the totals, never in them',
      sourceFields: [...REVENUE_FIELDS, 'is_primary_attribution'],
    },
  },
];

const reportMeasures: readonly MeasureDefinition<Event, AppsflyerRules>[] = [
  plainCount('uninstalls', 'uninstall', 'Uninstalls, from Pull reports', ['event_name']),
  plainCount('blocked_installs', 'blocked-install', 'Installs that were blocked, or found to be fraud afterwards, from Pull reports', ['event_name']),
  {
    name: 'ad_revenue_micros',
    unit: 'micros',
    overflowMeasure: LEFT_OUT,
    amount: (event) => (event.action === 'ad-revenue' ? event.revenueMicros : 0),
    meaning: {
      title: 'Ad revenue in US dollars, from Pull reports',
      formula: 'sum of event_revenue_usd of ad revenue rows',
      sourceFields: REVENUE_FIELDS,
      externalName: 'Ad revenue',
    },
  },
];

const skanMeasures: readonly MeasureDefinition<Event, AppsflyerRules>[] = [
  plainCount('skan_installs', 'skan-install', 'SKAdNetwork installs', ['event_type']),
  plainCount('skan_redownloads', 'skan-re-download', 'SKAdNetwork re-downloads', ['event_type', 'skad_redownload']),
  plainCount('skan_events', 'skan-in-app', 'SKAdNetwork in-app events', ['event_type', 'event_name']),
  plainCount('skan_postbacks', 'skan-postback', 'SKAdNetwork postbacks, copies not counted', ['event_type']),
  {
    name: 'skan_revenue_micros',
    unit: 'micros',
    overflowMeasure: LEFT_OUT,
    amount: (event) => (event.action === 'skan-in-app' ? event.revenueMicros : 0),
    meaning: { title: 'SKAdNetwork revenue', formula: 'sum of skad_revenue of in-app events', sourceFields: ['skad_revenue'] },
  },
];

/** Nothing adds to it but amounts that are left out. Measures are stored by position: new ones come last. */
const leftOutMeasure: MeasureDefinition<Event, AppsflyerRules> = {
  name: LEFT_OUT,
  unit: 'count',
  amount: () => 0,
  meaning: {
    title: 'Amounts left out',
    formula: 'number of records of the second attribution, ad revenue rows and SKAdNetwork events whose amount would carry its sum past what is summed exactly; primary records count as unpriced_events',
    sourceFields: [...REVENUE_FIELDS, 'skad_revenue'],
  },
};

/** Records of `apps.test`: they touch nothing else. */
const testMeasure = plainCount('test_records', 'test', 'Records of test apps', ['app_id']);

const labels: readonly LabelDefinition<Event>[] = [
  {
    name: 'campaign',
    of: (event) => event.campaign,
    meaning: { title: 'Campaign name', formula: 'the campaign name with the latest event time', sourceFields: ['campaign'], externalName: 'Campaign' },
  },
  {
    name: 'campaign_id_kind',
    of: (event) => event.campaignIdKind,
    meaning: {
      title: 'What campaign_id is',
      formula: '`id`, `name`, `organic` or `none`',
      sourceFields: ['af_c_id', 'campaign', 'campaign_type'],
    },
  },
];

const textOrNull = (text: string): string | null => (text === '' ? null : text);

const lakeColumns: readonly LakeColumn<Event>[] = [
  { name: 'event_id', type: 'text', of: (_event, context) => context.eventId },
  { name: 'campaign_id', type: 'dictionary', of: (event) => event.campaignId },
  { name: 'user_id', type: 'text', of: lake.userId },
  { name: 'event_type', type: 'dictionary', of: (event) => event.eventType },
  { name: 'timestamp', type: 'timestamp_micros', of: (event) => event.timeMs },
  { name: 'revenue', type: 'decimal_micros', of: (event) => (event.isPriced ? event.revenueMicros : null) },
  ...dimensions.slice(1).map((dimension): LakeColumn<Event> => ({ name: dimension.name, type: 'dictionary', of: dimension.of })),
  { name: 'campaign', type: 'dictionary', of: (event) => textOrNull(event.campaign) },
  { name: 'event_name', type: 'dictionary', of: (event) => event.eventName },
  { name: 'is_install', type: 'boolean', of: (event) => event.action === 'install' },
  { name: 'is_primary', type: 'boolean', of: (event) => !event.isSecondary },
  { name: 'late', type: 'boolean', of: (_event, context) => context.late },
  { name: 'received_at', type: 'timestamp_micros', of: (_event, context) => context.receivedAtMs },
  { name: 'event_source', type: 'dictionary', of: (event) => textOrNull(event.eventSource()) },
  { name: 'conversion_type', type: 'dictionary', of: (event) => textOrNull(event.conversionType) },
  { name: 'event_properties', type: 'text', of: lake.properties },
  { name: 'is_test', type: 'boolean', of: (event) => event.isTest },
  { name: 'region', type: 'dictionary', of: lake.region },
  { name: 'state', type: 'dictionary', of: lake.state },
  { name: 'city', type: 'dictionary', of: lake.city },
  { name: 'os_version', type: 'dictionary', of: lake.osVersion },
  { name: 'browser', type: 'dictionary', of: lake.browser },
  { name: 'enriched', type: 'dictionary', of: lake.enriched },
];

const identity = new IdentityWriter();
const userSightings = new UserSightings();

/** A test app stays one, whoever's word counts for it; what is filled in depends on neither. */
function applyRules(event: AppsflyerEvent, rules: AppsflyerRules): void {
  applyAuthority(event, rules);
  markTestApp(event, rules);
  if (rules.enrichment !== null) rules.enrichment.enrich(event);
}

export const appsflyerPipeline: PipelineDefinition<AppsflyerEvent, AppsflyerRules> = {
  name: 'appsflyer',
  version: 3,
  partitionKey: { scope: fieldName(Field.appId), users: USER_FIELDS.map(fieldName), isPlaceholder, hiddenUser: { keys: EVENT_VALUE_NAMES, userOf: userOfEventValue } },
  windows: [
    { kind: 'hour', sizeMs: MS_PER_HOUR, judged: true },
    { kind: 'day', sizeMs: MS_PER_DAY, judged: false },
  ],
  dimensions,
  measures: [...attributionMeasures, ...reportMeasures, ...skanMeasures, leftOutMeasure, testMeasure],
  breakdown: {
    name: 'by_event',
    nameOf: (event, rules) => (event.isPrimary && isConversion(event, rules) ? event.eventName : null),
    meaning: {
      title: 'Conversions by event name',
      formula: 'conversions, counted by event_name',
      sourceFields: ['event_name', 'is_primary_attribution'],
    },
  },
  labels,
  lakeColumns,
  domainRules: parseAppsflyerRules,
  lakeRules,
  decode: createDecoder(),
  recordUsers,
  scopeOf: (event) => event.appId,
  refuse: refuseUnknownApp,
  eventTimeMs: (event) => event.timeMs,
  dedupeKey: (event, mode, out) => identity.dedupeKey(event, mode, out),
  formerFingerprint: (event, mode, attempt, out) => identity.formerFingerprint(event, mode, attempt, out),
  sightings: userSightings,
  fingerprint: (event, mode, out) => identity.fingerprint(event, mode, out),
  enrich: applyRules,
  shield: (event, rules, receivedAtMs) => {
    if (rules.shield !== null) rules.shield.begin(event, receivedAtMs);
  },
  describe: (event) => ({
    type: event.eventType,
    event_name: event.eventName,
    time: new Date(event.timeMs).toISOString(),
    app_id: event.appId,
    campaign_id: event.campaignId,
    media_source: event.mediaSource,
    country: event.country,
    ...(event.isPriced ? { revenue_micros: String(event.revenueMicros) } : {}),
    ...(event.isSecondary ? { primary: 'false' } : {}),
  }),
};
