/**
 * From fields to the text that is sent: JSON in the spellings that senders use, or a query. Pure.
 *
 * All spellings of one message mean the same: booleans and numbers as strings or not, blanks between tokens, escapes, a key that is
 * there twice (the last one counts).
 */

import type { Random } from './random.ts';

/** In order of sending. Null, and texts that are empty, stand for nothing. */
export type Fields = Record<string, string | number | boolean | null>;

/** Sent as JSON strings by most, as numbers by some. */
const NUMERIC_FIELDS = ['event_revenue', 'event_revenue_usd', 'revenue_in_selected_currency', 'af_cost_value', 'af_c_id', 'af_adset_id', 'customer_user_id'];
const NUMBER_SHARE = 0.05;
const BOOLEAN_TEXT_SHARE = 0.04;
const NULLS_SHARE = 0.03;
const PRETTY_SHARE = 0.005;
const ESCAPED_SHARE = 0.01;
const TWICE_SHARE = 0.002;
/** What the GET form carries: a query has no room for all fields. */
const QUERY_FIELDS = new Set([
  ...['app_id', 'platform', 'appsflyer_id', 'customer_user_id', 'advertising_id', 'idfa', 'idfv', 'android_id', 'event_type', 'event_name', 'event_time'],
  ...['event_value', 'event_revenue', 'event_revenue_currency', 'event_revenue_usd', 'media_source', 'campaign', 'af_c_id', 'campaign_type', 'conversion_type'],
  ...['is_retargeting', 'is_primary_attribution', 'country_code', 'device_category', 'install_time', 'event_source', 'ip'],
]);

/** The body of a POST. `fields` is changed. */
export function encodeBody(fields: Fields, random: Random): string {
  if (random.chance(NUMBER_SHARE)) for (const name of NUMERIC_FIELDS) unquote(fields, name);
  if (random.chance(BOOLEAN_TEXT_SHARE)) {
    for (const [name, value] of Object.entries(fields)) if (typeof value === 'boolean') fields[name] = String(value);
  }
  if (random.chance(NULLS_SHARE)) Object.assign(fields, { af_keywords: null, amazon_aid: '', oaid: null, gp_referrer: '' });
  if (random.chance(PRETTY_SHARE)) return JSON.stringify(fields, null, 2);
  let body = JSON.stringify(fields);
  if (random.chance(ESCAPED_SHARE)) body = body.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  if (random.chance(TWICE_SHARE) && 'event_time' in fields) body = `{"event_name":"overwritten","event_time":"1999-01-01 00:00:00.000",${body.slice(1)}`;
  return body;
}

/** A number in place of its text where both have the same digits: ids beyond 2^53 and leading zeros stay text. */
function unquote(fields: Fields, name: string): void {
  const value = fields[name];
  if (typeof value !== 'string' || value === '') return;
  const number = Number(value);
  if (String(number) === value && Math.abs(number) <= Number.MAX_SAFE_INTEGER) fields[name] = number;
}

/** The query of a GET, without the question mark. */
export function encodeQuery(fields: Fields): string {
  let query = '';
  for (const [name, value] of Object.entries(fields)) {
    if (value === null || value === '' || !QUERY_FIELDS.has(name)) continue;
    query += `${query === '' ? '' : '&'}${name}=${encodeURIComponent(value)}`;
  }
  return query;
}

/** AppsFlyer's form of a time: UTC, milliseconds, no zone. */
export function utcText(timeMs: number): string {
  const iso = new Date(timeMs).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 23)}`;
}

/** The same in a zone, `…±hhmm`. */
export function zoneText(timeMs: number, offsetMinutes: number): string {
  const absolute = Math.abs(offsetMinutes);
  const zone = `${offsetMinutes < 0 ? '-' : '+'}${String(Math.floor(absolute / 60)).padStart(2, '0')}${String(absolute % 60).padStart(2, '0')}`;
  return utcText(timeMs + offsetMinutes * 60_000) + zone;
}
