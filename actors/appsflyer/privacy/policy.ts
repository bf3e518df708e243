/**
 * What a privacy policy says, as it stands in the journal: per personal field hash, truncate or drop; what is not named is kept.
 *
 * Names are AppsFlyer's, `event_value.<key>` for each value of that key inside event_value, however deep, and `user_id` for every field that may
 * name the user. Of the secret there is only its id. Pure.
 */

import { FIELD_NAMES, USER_FIELDS } from '../fields.ts';

export const PRIVACY_ACTIONS = ['keep', 'hash', 'truncate', 'drop'] as const;
export type PrivacyAction = (typeof PRIVACY_ACTIONS)[number];

/** Stands for all fields of {@link USER_FIELDS}; those that are named themselves go by their own. */
const USER_ID = 'user_id';
export const EVENT_VALUE = 'event_value';
const KEY_PREFIX = `${EVENT_VALUE}.`;
const IP = 'ip';
/** Each key is looked for in each event. Chosen. */
const FIELDS_MAX = 200;
/** Without what JSON must write otherwise: a key is looked for in the text as it came. */
const KEY = /^[^"\\\u0000-\u001f]{1,100}$/;
export const ROTATION_DAYS_MAX = 3_650;

const USER_NAMES: readonly string[] = USER_FIELDS.map((field) => FIELD_NAMES[field]);
/** What can be named. Fields that the results are counted by are not among them: totals do not change with a policy. */
export const PERSONAL_FIELDS: readonly string[] = [
  USER_ID, ...USER_NAMES, IP, 'user_agent', 'region', 'state', 'city', 'postal_code', 'dma', 'carrier', 'operator', 'language', 'device_model', 'device_type', 'http_referrer', 'original_url', 'deeplink_url',
  'gp_referrer', 'gp_broadcast_referrer', 'custom_data', 'custom_dimension', EVENT_VALUE,
];

/** What `rules.domain.privacy` holds: plain JSON. */
export interface PrivacyData {
  /** `keep` is worth saying of one of the fields that `user_id` stands for. */
  readonly fields: Readonly<Record<string, PrivacyAction>>;
  /** Id of the secret, where something is hashed. */
  readonly secret?: string;
  /** Days, in UTC, after which hashes begin anew; absent for never. */
  readonly rotationDays?: number;
}

/** Ready to be asked by name. */
export interface Policy {
  /** By name of a top-level field, `user_id` resolved. */
  readonly fields: ReadonlyMap<string, PrivacyAction>;
  /** By key inside event_value. */
  readonly keys: ReadonlyMap<string, PrivacyAction>;
  readonly secret: string | null;
  readonly rotationDays: number;
}

/** Reads `rules.domain.privacy`; raises a TypeError that names what is wrong. */
export function parsePolicy(raw: unknown): Policy {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw new TypeError('privacy is not an object');
  const unknown = Object.keys(raw).filter((key) => key !== 'fields' && key !== 'secret' && key !== 'rotationDays');
  if (unknown.length > 0) throw new TypeError(`unknown privacy rules: ${unknown.join(', ')}`);
  const { fields: named = {}, secret = null, rotationDays = 0 } = raw as Partial<PrivacyData>;
  if (!Number.isInteger(rotationDays) || rotationDays < 0 || rotationDays > ROTATION_DAYS_MAX) throw new TypeError(`rotationDays must be a whole number up to ${ROTATION_DAYS_MAX}`);
  const fields = new Map<string, PrivacyAction>();
  const keys = new Map<string, PrivacyAction>();
  const entries = Object.entries(named);
  if (entries.length > FIELDS_MAX) throw new TypeError(`a policy names at most ${FIELDS_MAX} fields`);
  for (const [name, action] of entries) {
    requirePossible(name, action);
    if (name.startsWith(KEY_PREFIX)) keys.set(name.slice(KEY_PREFIX.length), action);
    else if (name === USER_ID) for (const user of USER_NAMES) fields.set(user, (named as Record<string, PrivacyAction>)[user] ?? action);
    else fields.set(name, action);
  }
  if (secret === null && [...fields.values(), ...keys.values()].includes('hash')) throw new TypeError('hashing needs a secret');
  return { fields, keys, secret, rotationDays };
}

/** Raises a TypeError that names field and fix where a policy cannot say this. */
export function requirePossible(name: string, action: unknown): asserts action is PrivacyAction {
  const key = name.startsWith(KEY_PREFIX) ? name.slice(KEY_PREFIX.length) : null;
  if (key !== null && !KEY.test(key)) throw new TypeError(`${name}: a key has 1 to 100 characters, and no quotes, backslashes or control characters`);
  if (key === null && !PERSONAL_FIELDS.includes(name)) throw new TypeError(`${name}: no such personal field: use one of ${PERSONAL_FIELDS.join(', ')} or ${KEY_PREFIX}<key>`);
  if (!PRIVACY_ACTIONS.some((known) => known === action)) throw new TypeError(`${name}: ${JSON.stringify(action)}: use one of ${PRIVACY_ACTIONS.join(', ')}`);
  if (action === 'truncate' && key === null && name !== IP) throw new TypeError(`${name}: only addresses can be truncated (ip, ${KEY_PREFIX}<key>): use hash or drop`);
}
