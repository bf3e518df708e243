/**
 * One message as the model understands it: fields, identity, dimensions, money. Written from DESIGN section 5 and the data contracts 1.3
 * to 1.6 alone; part of model.ts and as independent of the product as that is.
 */

import type { Delivered, Dimension } from './model.ts';

export type Attributes = Readonly<Record<Dimension, string>>;

export interface ModelEvent {
  readonly timeMs: number;
  /** The parts of the identity besides the time. */
  readonly identity: readonly (string | null)[];
  readonly isSkan: boolean;
  readonly isPrimary: boolean;
  /** `install`, `reinstall`, `re-engagement`, `re-attribution`, `in-app`; of SKAdNetwork its event_type. */
  readonly action: string;
  readonly eventName: string;
  /** Micros of US dollars; null for none. */
  readonly usdMicros: bigint | null;
  readonly isUnpriced: boolean;
  readonly campaign: string;
  readonly dimensions: Attributes;
}

type Get = (name: string) => string | null;

const USER_FIELDS = ['appsflyer_id', 'customer_user_id', 'advertising_id', 'idfa', 'idfv', 'android_id', 'amazon_aid', 'oaid', 'imei'];
const PLACEHOLDERS = ['null', 'none', 'unknown', 'undefined', 'n/a', 'na', 'nil'];

/** The event, or the code with which the message is rejected. */
export function eventOf(message: Delivered): ModelEvent | string {
  const fields = fieldsOf(message);
  if (typeof fields === 'string') return fields;
  const get: Get = (name) => {
    const value = fields.get(name);
    // Absent, null and "" are one; a number or a boolean is its own text.
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    return typeof value === 'string' && value !== '' ? value : null;
  };
  const isSkan = [...fields.keys()].some((name) => name.startsWith('skad_'));
  if (get('app_id') === null) return 'NO_APP_ID';
  const eventName = get('event_name');
  if (eventName === null) return 'NO_EVENT_NAME';
  const timeMs = readTime(get(isSkan ? 'timestamp' : 'event_time'));
  if (timeMs === null) return 'BAD_EVENT_TIME';
  const isPrimary = !isFalse(get('is_primary_attribution'));
  const identity = isSkan ? skanIdentity(get) : attributedIdentity(get, isPrimary);
  if (identity === null) return 'NO_IDENTITY';
  const money = moneyOf(get, isSkan);
  return {
    timeMs,
    identity,
    isSkan,
    isPrimary,
    action: isSkan ? (get('event_type') ?? 'unknown') : actionOf(get, eventName),
    eventName,
    usdMicros: money.usd,
    isUnpriced: money.usd === null && money.isThere,
    campaign: get('campaign') ?? (isSkan ? get('ad_network_campaign_name') : null) ?? '',
    dimensions: dimensionsOf(get, isSkan),
  };
}

/** Top-level fields by name, or a reject code. Of a key that is there twice the last one counts, as in JSON.parse. */
function fieldsOf({ body, method }: Delivered): Map<string, unknown> | string {
  if (method === 'GET') return new Map(new URLSearchParams(body));
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return 'NOT_JSON';
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return 'NOT_OBJECT';
  return new Map(Object.entries(parsed));
}

/** `yyyy-mm-dd hh:mm:ss[.s…]`, UTC. Date.parse forgives days that a month lacks, so the day is read back. */
function readTime(text: string | null): number | null {
  const match = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d+))?$/.exec(text ?? '');
  if (match === null) return null;
  const [, date, time, fraction] = match;
  const timeMs = Date.parse(`${date}T${time}.${(fraction ?? '').padEnd(3, '0').slice(0, 3)}Z`);
  if (Number.isNaN(timeMs) || new Date(timeMs).toISOString().slice(0, 10) !== date) return null;
  return timeMs;
}

function skanIdentity(get: Get): (string | null)[] | null {
  const uuid = get('event_uuid');
  return uuid === null ? null : ['skan', get('app_id'), uuid];
}

function attributedIdentity(get: Get, isPrimary: boolean): (string | null)[] | null {
  const user = USER_FIELDS.map(get).find((id) => id !== null && !isPlaceholder(id));
  if (user === undefined) return null;
  // What Push writes of an event without parameters, where Pull leaves the cell empty.
  const value = get('event_value') === '{}' ? null : get('event_value');
  return [get('app_id'), user, get('event_name'), value, get('conversion_type'), get('campaign_type'), isPrimary ? 'primary' : 'false'];
}

const isPlaceholder = (id: string): boolean => /^[0\- ]*$/.test(id) || PLACEHOLDERS.includes(id.toLowerCase());
const isTrue = (text: string | null): boolean => text !== null && ['true', '1'].includes(text.toLowerCase());
const isFalse = (text: string | null): boolean => text !== null && ['false', '0'].includes(text.toLowerCase());

/** The table of data contracts 1.4: by event_type, else by the name and the conversion type. */
function actionOf(get: Get, eventName: string): string {
  const eventType = get('event_type')?.replace(/^organic-/, '');
  if (eventType !== undefined) return eventType.endsWith('-in-app-event') ? 'in-app' : eventType;
  const conversionType = get('conversion_type');
  if (eventName === 'install' && conversionType === 'install') return 'install';
  if (eventName === 're-engagement' && conversionType === 're-engagement') return 're-engagement';
  if ((eventName === 'reinstall' || eventName === 're-attribution') && conversionType === 'reinstall') return eventName;
  return 'in-app';
}

function dimensionsOf(get: Get, isSkan: boolean): Attributes {
  const appId = get('app_id') ?? '';
  const campaignType = get('campaign_type')?.toLowerCase();
  const attribution = campaignType ?? (isTrue(get('is_retargeting')) ? 'retargeting' : 'ua');
  const mediaSource = get('media_source') ?? 'unknown';
  const ownId = isSkan ? (get('ad_network_campaign_id') ?? get('ad_network_campaign_name')) : (get('af_c_id') ?? get('campaign'));
  return {
    campaign_id: attribution === 'organic' ? 'organic' : (ownId ?? 'none'),
    app_id: appId,
    platform: get('platform') ?? (/^id\d+$/.test(appId) ? 'ios' : 'android'),
    media_source: mediaSource.toLowerCase() === 'organic' ? 'organic' : mediaSource,
    country: get('country_code')?.toUpperCase() ?? 'unknown',
    device: get('device_category') ?? 'unknown',
    attribution,
  };
}

/** event_revenue_usd; else event_revenue when its currency is USD. */
function moneyOf(get: Get, isSkan: boolean): { usd: bigint | null; isThere: boolean } {
  if (isSkan) return { usd: readMicros(get('skad_revenue')), isThere: false };
  const usd = readMicros(get('event_revenue_usd'));
  if (usd !== null) return { usd, isThere: true };
  const own = get('event_revenue_currency') === 'USD' ? readMicros(get('event_revenue')) : null;
  return { usd: own, isThere: get('event_revenue') !== null };
}

/** Decimal text with up to six decimals, as a whole number of millionths. */
function readMicros(text: string | null): bigint | null {
  const match = /^(-?)(\d+)(?:\.(\d{1,6}))?$/.exec(text ?? '');
  if (match === null) return null;
  const [, sign, whole, fraction] = match;
  const micros = BigInt(whole as string) * 1_000_000n + BigInt((fraction ?? '').padEnd(6, '0'));
  return sign === '-' ? -micros : micros;
}
