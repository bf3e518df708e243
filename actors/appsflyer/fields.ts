/**
 * The fields of AppsFlyer's messages that the engine reads; all others are validated as JSON and skipped.
 *
 * Names and formats: AppsFlyer's Push API field dictionary, version 2.0; the last six are names of version 1 that mark a message of it. What stands
 * under other names still is told by shapes.ts. `millrace_kind` is our own: ingress sets it on rows of Pull reports that have measures of their
 * own, and on those alone it is read.
 */

/** Field numbers: indexes into an event's table of ranges. */
export const Field = {
  millraceKind: 0,
  eventType: 1,
  eventName: 2,
  eventTime: 3,
  eventValue: 4,
  eventSource: 5,
  appId: 6,
  platform: 7,
  conversionType: 8,
  campaignType: 9,
  isPrimaryAttribution: 10,
  isRetargeting: 11,
  mediaSource: 12,
  campaign: 13,
  campaignId: 14,
  countryCode: 15,
  deviceCategory: 16,
  eventRevenue: 17,
  eventRevenueCurrency: 18,
  eventRevenueUsd: 19,
  appsflyerId: 20,
  customerUserId: 21,
  advertisingId: 22,
  idfa: 23,
  idfv: 24,
  androidId: 25,
  amazonAid: 26,
  oaid: 27,
  imei: 28,
  eventUuid: 29,
  timestamp: 30,
  adNetworkCampaignId: 31,
  adNetworkCampaignName: 32,
  skadCampaignId: 33,
  skadNetworkId: 34,
  skadTransactionId: 35,
  skadVersion: 36,
  skadRedownload: 37,
  skadRevenue: 38,
  appsflyerDeviceId: 39,
  attributionType: 40,
  clickTime: 41,
  currency: 42,
  fbCampaignId: 43,
  reTargetingConversionType: 44,
  ip: 45,
  userAgent: 46,
  region: 47,
  state: 48,
  city: 49,
  osVersion: 50,
} as const;
export type Field = (typeof Field)[keyof typeof Field];

/** Texts that no message has under a name of its own: near the end of the table, which has 64 places; the last one stays free. */
export const MadeField = {
  /** The user that event_value names, where nothing else does. */
  hiddenUser: 61,
  /** What tells the rows of one user's ad revenue apart. */
  adPlacement: 62,
} as const;
export type MadeField = (typeof MadeField)[keyof typeof MadeField];
export type AnyField = Field | MadeField;

/** JSON names, by field number. */
export const FIELD_NAMES = [
  'millrace_kind',
  'event_type',
  'event_name',
  'event_time',
  'event_value',
  'event_source',
  'app_id',
  'platform',
  'conversion_type',
  'campaign_type',
  'is_primary_attribution',
  'is_retargeting',
  'media_source',
  'campaign',
  'af_c_id',
  'country_code',
  'device_category',
  'event_revenue',
  'event_revenue_currency',
  'event_revenue_usd',
  'appsflyer_id',
  'customer_user_id',
  'advertising_id',
  'idfa',
  'idfv',
  'android_id',
  'amazon_aid',
  'oaid',
  'imei',
  'event_uuid',
  'timestamp',
  'ad_network_campaign_id',
  'ad_network_campaign_name',
  'skad_campaign_id',
  'skad_ad_network_id',
  'skad_transaction_id',
  'skad_version',
  'skad_redownload',
  'skad_revenue',
  'appsflyer_device_id',
  'attribution_type',
  'click_time',
  'currency',
  'fb_campaign_id',
  're_targeting_conversion_type',
  'ip',
  'user_agent',
  'region',
  'state',
  'city',
  'os_version',
] as const;

export const FIELD_COUNT = FIELD_NAMES.length;

/**
 * Whose an event is, in order of preference; the door and the identity use the same list. `appsflyer_device_id` is what Push v1 calls appsflyer_id; the
 * last one is SKAdNetwork's.
 */
export const USER_FIELDS = [
  Field.appsflyerId,
  Field.appsflyerDeviceId,
  Field.customerUserId,
  Field.advertisingId,
  Field.idfa,
  Field.idfv,
  Field.androidId,
  Field.amazonAid,
  Field.oaid,
  Field.imei,
  Field.eventUuid,
] as const;

/** Where a message has its parameters: on Push, and on S2S. */
export const EVENT_VALUE_NAMES = ['event_value', 'eventValue'] as const;

export const fieldName = (field: Field): string => FIELD_NAMES[field];
