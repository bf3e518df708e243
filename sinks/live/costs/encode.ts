/**
 * How the live store keeps spend. Keys sort by date, then app, media source, campaign and country, so that a day, and a day's rows of one app
 * and source, are ranges. Format version {@link COSTS_VERSION}; a change here raises it.
 */

import { decodeStored, pack, unpack } from '../../../engine/core/codec.ts';
import type { CostRow, StoredCostRow } from '../../../engine/core/costs.ts';
import { STORE_KEY_BYTES_MAX } from '../../../engine/core/store.ts';
import { DIMENSION_VALUE_BYTES_MAX } from '../../../engine/core/cell.ts';
import { assert } from '../../../engine/core/types.ts';

export const COSTS_VERSION = 1;
/** Below every character that a value may hold. */
const SEPARATOR = '\u0000';
const DATE_BYTES = 10;
assert(DATE_BYTES + 4 * (DIMENSION_VALUE_BYTES_MAX + 1) <= STORE_KEY_BYTES_MAX, 'a name of spend fits a key of the store');

type Value = [currency: string, costMicros: number, campaign: string, updatedAtMs: number];

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export type CostName = Pick<CostRow, 'date' | 'appId' | 'mediaSource' | 'campaignId' | 'country'>;

export const costKey = ({ date, appId, mediaSource, campaignId, country }: CostName): Uint8Array => encoder.encode([date, appId, mediaSource, campaignId, country].join(SEPARATOR));

/** All keys of a date, or of a date's rows of one app and media source, begin so. */
export const costPrefix = (...parts: readonly [date: string] | readonly [date: string, appId: string, mediaSource: string]): Uint8Array => encoder.encode([...parts, ''].join(SEPARATOR));

/** The first key behind all that begin with `prefix`, which ends in a separator. */
export function behind(prefix: Uint8Array): Uint8Array {
  const key = prefix.slice();
  key[key.byteLength - 1] = 1;
  return key;
}

export const dateKey = (date: string): Uint8Array => encoder.encode(date);
export const parseDateKey = (key: Uint8Array): string => decoder.decode(key);

export const encodeCost = ({ currency, costMicros, campaign }: CostRow, updatedAtMs: number): Uint8Array => pack([currency, costMicros, campaign, updatedAtMs] satisfies Value);

/** Raises STATE_CORRUPT. */
export function decodeCost(key: Uint8Array, value: Uint8Array): StoredCostRow {
  return decodeStored('a row of spend', () => {
    const [date, appId, mediaSource, campaignId, country, ...more] = decoder.decode(key).split(SEPARATOR);
    const [currency, costMicros, campaign, updatedAtMs] = unpack<Value>(value);
    if (country === undefined || more.length > 0 || typeof currency !== 'string' || !Number.isSafeInteger(costMicros)) throw new TypeError('its name or its amount is missing');
    return { date: date as string, appId: appId as string, mediaSource: mediaSource as string, campaignId: campaignId as string, country, campaign, currency, costMicros, updatedAtMs };
  });
}

/** What is known of a date without its rows. */
export interface CostDate {
  readonly revision: number;
  readonly rows: number;
}

export const encodeCostDate = ({ revision, rows }: CostDate): Uint8Array => pack([revision, rows]);

/** Raises STATE_CORRUPT. */
export const decodeCostDate = (value: Uint8Array): CostDate =>
  decodeStored('a date of spend', () => {
    const [revision, rows] = unpack<[number, number]>(value);
    if (!Number.isSafeInteger(revision) || !Number.isSafeInteger(rows)) throw new TypeError('its change number is missing');
    return { revision, rows };
  });

export const encodeCostState = (latest: number): Uint8Array => pack({ version: COSTS_VERSION, latest });

/** Raises STATE_CORRUPT. */
export const decodeCostState = (value: Uint8Array): { readonly version: number; readonly latest: number } =>
  decodeStored('the state of spend', () => {
    const state = unpack<{ version: number; latest: number }>(value);
    if (!Number.isSafeInteger(state.version) || !Number.isSafeInteger(state.latest)) throw new TypeError('its version or its change number is missing');
    return state;
  });
