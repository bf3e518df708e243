/**
 * From raw fields to the canonical event: message type, dimensions, money, and the reasons for which a record is rejected.
 *
 * Each rule here is stated for users in pipeline.ts. Hot path: 100 K records a second, at most 700 ns a record with times and amounts; bench/micro/decode.ts. One instance per decoder.
 */

import { dimensionValue } from '../../engine/core/dimension-value.ts';
import { RecordSource, type RejectCode } from '../../engine/core/record.ts';
import { readMicros } from './amounts.ts';
import { AppsflyerEvent, type Attribution } from './event.ts';
import { userOfEventValue } from './event-value.ts';
import type { FieldTable } from './field-table.ts';
import { Field, MadeField, USER_FIELDS } from './fields.ts';
import { messageType, ownKind, S2S_COPY, skanMessageType } from './message-type.ts';
import { isPlaceholderBytes } from './placeholders.ts';
import { isTestMessage } from './test-messages.ts';
import { NO_TIME, readTimeMs } from './times.ts';

export const UNKNOWN = 'unknown';
const NO_CAMPAIGN = 'none';
const ORGANIC = 'organic';
const IOS = 'ios';

/** Fills one reused event from a field table. */
export class EventDerivation {
  readonly #event: AppsflyerEvent;
  readonly #fields: FieldTable;

  constructor(fields: FieldTable) {
    this.#fields = fields;
    this.#event = new AppsflyerEvent(fields);
  }

  /** The event, or why it is rejected. `source`: one of RecordSource. `receivedAtMs`: the time of an S2S event that names none. */
  derive(source: number, receivedAtMs: number): AppsflyerEvent | RejectCode {
    const fields = this.#fields;
    const event = this.#event;
    if (!fields.has(Field.appId)) return 'NO_APP_ID';
    const isS2s = source === RecordSource.s2s;
    const skan = !isS2s && isSkan(fields);
    const nameField = skan && !fields.has(Field.eventName) ? Field.eventType : Field.eventName;
    if (!fields.has(nameField)) return 'NO_EVENT_NAME';
    if (isTestMessage(fields.value(nameField), fields)) return 'TEST_MESSAGE';
    event.timeMs = skan ? this.#skanTimeMs() : isS2s && !fields.has(Field.eventTime) ? receivedAtMs : this.#timeMs(Field.eventTime);
    if (event.timeMs === NO_TIME) return 'BAD_EVENT_TIME';
    event.userField = skan ? -1 : firstUser(fields);
    event.isS2sRecord = isS2s;
    if (skan ? !namesSomebody(fields, Field.eventUuid) : event.userField < 0) return 'NO_IDENTITY';
    event.appId = this.#fields.value(Field.appId);
    event.eventName = this.#fields.value(nameField);
    this.#deriveType(skan, source);
    this.#deriveDimensions(skan);
    this.#deriveMoney(skan);
    event.enrichment = null;
    event.shield = null;
    return event;
  }

  #deriveType(skan: boolean, source: number): void {
    const event = this.#event;
    const eventType = this.#fields.value(Field.eventType);
    const campaignType = this.#fields.value(Field.campaignType).toLowerCase();
    event.mediaSource = this.#mediaSource();
    event.attribution = this.#attribution(campaignType, eventType);
    event.conversionType = this.#fields.value(Field.conversionType);
    const own = event.isS2sRecord ? S2S_COPY : skan ? undefined : ownKind(this.#fields.value(Field.millraceKind), source);
    const type = skan
      ? skanMessageType(eventType, event.eventName, isTrue(this.#fields.value(Field.skadRedownload)))
      : (own ?? messageType(eventType, event.eventName, event.conversionType, event.attribution === ORGANIC));
    event.action = type.action;
    event.eventType = type.eventType;
    event.isTest = false;
    event.isReportRow = own !== undefined && own !== S2S_COPY;
    event.isAttributed = !skan && own === undefined;
    const secondary = isFalse(this.#fields.value(Field.isPrimaryAttribution));
    event.isPrimary = event.isAttributed && !secondary;
    event.isSecondary = event.isAttributed && secondary;
  }

  /** By campaign_type, else is_retargeting; where both are absent, the media source or the message type may still say organic. */
  #attribution(campaignType: string, eventType: string): Attribution {
    if (campaignType === ORGANIC || campaignType === 'ua' || campaignType === 'retargeting') return campaignType;
    if (isTrue(this.#fields.value(Field.isRetargeting))) return 'retargeting';
    return this.#event.mediaSource === ORGANIC || eventType.startsWith('organic-') || eventType.endsWith('-organic') ? ORGANIC : 'ua';
  }

  #mediaSource(): string {
    const source = this.#fields.value(Field.mediaSource);
    if (source === '') return UNKNOWN;
    return source.length === ORGANIC.length && source.toLowerCase() === ORGANIC ? ORGANIC : source;
  }

  #deriveDimensions(skan: boolean): void {
    const event = this.#event;
    event.platform = this.#platform(skan);
    event.country = upperCase(this.#fields.value(Field.countryCode)) || UNKNOWN;
    event.device = this.#fields.value(Field.deviceCategory) || UNKNOWN;
    event.campaign = this.#fields.value(skan && !this.#fields.has(Field.campaign) ? Field.adNetworkCampaignName : Field.campaign);
    const id = skan ? this.#skanCampaignId() : this.#fields.value(Field.campaignId);
    if (event.attribution === ORGANIC) {
      event.campaignId = ORGANIC;
      event.campaignIdKind = ORGANIC;
    } else if (id !== '') {
      event.campaignId = id;
      event.campaignIdKind = 'id';
    } else {
      event.campaignId = event.campaign || NO_CAMPAIGN;
      event.campaignIdKind = event.campaign === '' ? 'none' : 'name';
    }
  }

  /** Of S2S the app id's comes first: it is the route's, the body is the sender's. SKAdNetwork is Apple's, whatever form the app id has. */
  #platform(skan: boolean): string {
    const { appId, isS2sRecord } = this.#event;
    const named = this.#fields.value(Field.platform);
    if (!isS2sRecord) return named || (skan ? IOS : platformOfApp(appId));
    const ofApp = platformOfApp(appId);
    return ofApp === UNKNOWN ? named || UNKNOWN : ofApp;
  }

  #skanCampaignId(): string {
    return this.#fields.value(Field.campaignId) || this.#fields.value(Field.adNetworkCampaignId) || this.#fields.value(Field.skadCampaignId);
  }

  /** event_revenue_usd; else event_revenue when it is in US dollars; else the amount, if there is one, has no price. */
  #deriveMoney(skan: boolean): void {
    const event = this.#event;
    const fields = this.#fields;
    const usdField = skan ? Field.skadRevenue : Field.eventRevenueUsd;
    let micros = this.#micros(usdField);
    if (Number.isNaN(micros) && !skan && fields.value(Field.eventRevenueCurrency).toUpperCase() === 'USD') {
      micros = this.#micros(Field.eventRevenue);
    }
    event.isPriced = !Number.isNaN(micros);
    event.revenueMicros = event.isPriced ? micros : 0;
    event.isUnpriced = !event.isPriced && (fields.has(usdField) || fields.has(Field.eventRevenue));
  }

  #micros(field: Field): number {
    const fields = this.#fields;
    return fields.has(field) ? readMicros(fields.bytes, fields.startOf(field), fields.endOf(field)) : NaN;
  }

  #timeMs(field: Field): number {
    const fields = this.#fields;
    return fields.has(field) ? readTimeMs(fields.bytes, fields.startOf(field), fields.endOf(field)) : NO_TIME;
  }

  #skanTimeMs(): number {
    const timeMs = this.#timeMs(Field.timestamp);
    return timeMs === NO_TIME ? this.#timeMs(Field.eventTime) : timeMs;
  }
}

/**
 * SKAdNetwork messages carry fields of Apple's postback; those that were cut down to the least still have an `event_uuid`
 * and a `timestamp` where others have an event_time.
 */
function isSkan(fields: FieldTable): boolean {
  if (fields.has(Field.skadNetworkId) || fields.has(Field.skadTransactionId) || fields.has(Field.skadVersion)) return true;
  return fields.has(Field.timestamp) && !fields.has(Field.eventTime) && fields.has(Field.eventUuid);
}

/** The first user field that names somebody; else the user that event_value names, put into a field; else -1. */
function firstUser(fields: FieldTable): number {
  for (let index = 0; index < USER_FIELDS.length; index++) {
    const field = USER_FIELDS[index] as Field;
    if (namesSomebody(fields, field)) return field;
  }
  return fields.has(Field.eventValue) ? hiddenUser(fields) : -1;
}

function hiddenUser(fields: FieldTable): number {
  const user = userOfEventValue(fields.text(Field.eventValue));
  if (user === '') return -1;
  fields.setMade(MadeField.hiddenUser, user);
  return MadeField.hiddenUser;
}

const namesSomebody = (fields: FieldTable, field: Field): boolean =>
  fields.has(field) && !isPlaceholderBytes(fields.bytes, fields.startOf(field), fields.endOf(field));

export const isTrue = (text: string): boolean => text === 'true' || text === '1' || (text.length === 4 && text.toLowerCase() === 'true');
export const isFalse = (text: string): boolean => text === 'false' || text === '0' || (text.length === 5 && text.toLowerCase() === 'false');

/** Upper case, without a new string for what is two capitals already. */
function upperCase(country: string): string {
  const isUpper = country.length === 2 && country.charCodeAt(0) <= 0x5a && country.charCodeAt(1) <= 0x5a;
  return isUpper ? country : dimensionValue(country.toUpperCase());
}

/** App ids of these stores carry a prefix; iOS ids are `id` and digits, which some senders leave out; Android's are package names. */
const STORE_PREFIX = /^([a-z]{3,12})-/;

export function platformOfApp(appId: string): string {
  if (/^(id)?\d+$/.test(appId)) return IOS;
  const prefix = STORE_PREFIX.exec(appId)?.[1];
  if (prefix !== undefined) return prefix;
  return appId.includes('.') ? 'android' : UNKNOWN;
}
