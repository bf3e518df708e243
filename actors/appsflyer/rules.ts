/**
 * The domain's own rules, journaled by the engine as `rules.domain` and effective at their offset.
 *
 * A key that is absent means the default, so that a journal of an older program replays as it was, and what is stored of a default configuration
 * stays the same.
 */

import { dimensionValue } from '../../engine/core/dimension-value.ts';
import { APP_ID_LENGTH_MAX, APPS_MAX, parseAppRules, type AppRules, type AppsData } from './apps.ts';
import type { RuleResources } from '../../engine/core/rule-resources.ts';
import { Enrichment } from './enrich/enrichment.ts';
import { parsePolicy, type PrivacyData } from './privacy/policy.ts';
import { Shield } from './privacy/shield.ts';

export interface AppsflyerRules {
  /** In-app event names that count as conversions, as an event has them: made fit to be dimension values. */
  readonly conversionEvents: ReadonlySet<string>;
  /** Null where nothing is ruled of apps. */
  readonly apps: AppRules | null;
  /** Apps whose copies from the S2S route count, and whose rows of the same events from AppsFlyer do not; see authority.ts. Made fit likewise. */
  readonly s2sAuthoritativeApps: ReadonlySet<string>;
  /** Null: nothing is filled in. */
  readonly enrichment: Enrichment | null;
  /** Null: everything may be shown. */
  readonly shield: Shield | null;
}

/** Default of `metrics.conversion_events`. */
export const DEFAULT_CONVERSION_EVENTS = ['af_purchase', 'af_subscribe', 'af_start_trial', 'af_complete_registration'] as const;
/** Each name is an entry of every cell's `by_event`, so their number is bounded. Chosen. */
export const CONVERSION_EVENTS_MAX = 200;
/** AppsFlyer's own limit of an event name, in characters. */
const EVENT_NAME_LENGTH_MAX = 100;
const FILE_HASH = /^[0-9a-f]{64}$/;

/** What `rules.domain` holds: plain JSON. A key that is not there means its default, so that what is journaled does not change with each new rule. */
export interface AppsflyerRulesData {
  readonly conversionEvents?: readonly string[];
  readonly s2sAuthoritativeApps?: readonly string[];
  readonly apps?: AppsData;
  readonly enrichment?: EnrichmentData;
  readonly privacy?: PrivacyData;
}

export interface EnrichmentData {
  /** SHA-256 of the GeoIP file, in hex; absent for none. */
  readonly geoFileHash?: string;
  /** Absent for false. */
  readonly userAgent?: boolean;
}

const KNOWN_KEYS: ReadonlySet<string> = new Set(['conversionEvents', 's2sAuthoritativeApps', 'apps', 'enrichment', 'privacy'] satisfies (keyof AppsflyerRulesData)[]);

/** Reads `rules.domain`; raises on what it does not know. `null` or nothing gives the defaults. */
export function parseAppsflyerRules(raw: unknown, resources?: RuleResources): AppsflyerRules {
  const data = raw ?? {};
  if (typeof data !== 'object' || Array.isArray(data)) throw new TypeError('domain rules are not an object');
  const unknown = Object.keys(data).filter((key) => !KNOWN_KEYS.has(key));
  if (unknown.length > 0) throw new TypeError(`unknown domain rules: ${unknown.join(', ')}`);
  const { conversionEvents = DEFAULT_CONVERSION_EVENTS, s2sAuthoritativeApps = [], apps, enrichment, privacy } = data as AppsflyerRulesData;
  return {
    conversionEvents: namesOf(conversionEvents, { key: 'conversionEvents', what: 'event names', countMax: CONVERSION_EVENTS_MAX, lengthMax: EVENT_NAME_LENGTH_MAX }),
    apps: parseAppRules(apps),
    enrichment: readEnrichment(enrichment, resources),
    shield: readShield(privacy, resources),
    s2sAuthoritativeApps: namesOf(s2sAuthoritativeApps, { key: 's2sAuthoritativeApps', what: 'app ids', countMax: APPS_MAX, lengthMax: APP_ID_LENGTH_MAX }),
  };
}

/** The part that the lake's columns obey, as JSON text; '' for none. */
export function lakeRules(raw: unknown): string {
  const { s2sAuthoritativeApps, apps, enrichment, privacy } = (raw ?? {}) as AppsflyerRulesData;
  if (s2sAuthoritativeApps === undefined && apps === undefined && enrichment === undefined && privacy === undefined) return '';
  return JSON.stringify({ s2sAuthoritativeApps, apps, enrichment, privacy });
}

function readEnrichment(raw: unknown, resources: RuleResources | undefined): Enrichment | null {
  if (raw === undefined) return null;
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw new TypeError('enrichment is not an object');
  const { geoFileHash, userAgent = false, ...others } = raw as EnrichmentData & Record<string, unknown>;
  if (Object.keys(others).length > 0) throw new TypeError(`unknown enrichment rules: ${Object.keys(others).join(', ')}`);
  if (typeof userAgent !== 'boolean') throw new TypeError('userAgent is no boolean');
  if (geoFileHash === undefined) return userAgent ? new Enrichment({ places: null, readsUserAgent: true }) : null;
  if (typeof geoFileHash !== 'string' || !FILE_HASH.test(geoFileHash)) throw new TypeError('geoFileHash is no SHA-256 in hex');
  return new Enrichment({ places: required(resources).places(geoFileHash), readsUserAgent: userAgent });
}

function readShield(raw: unknown, resources: RuleResources | undefined): Shield | null {
  return raw === undefined ? null : new Shield(parsePolicy(raw), (id) => required(resources).secret(id));
}

function required(resources: RuleResources | undefined): RuleResources {
  if (resources === undefined) throw new Error('bug: rules name a resource where none were brought along');
  return resources;
}

interface NameBounds {
  readonly key: string;
  readonly what: string;
  readonly countMax: number;
  readonly lengthMax: number;
}

function namesOf(names: unknown, { key, what, countMax, lengthMax }: NameBounds): ReadonlySet<string> {
  const isName = (value: unknown): value is string => typeof value === 'string' && value !== '' && value.length <= lengthMax;
  if (!Array.isArray(names) || names.length > countMax || !names.every(isName)) throw new TypeError(`${key} must be at most ${countMax} ${what} of 1 to ${lengthMax} characters`);
  return new Set(names.map(dimensionValue));
}
