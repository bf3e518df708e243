/**
 * The domain's own rules, journaled by the engine as `rules.domain` and effective at their offset.
 */

import { dimensionValue } from '../../engine/core/dimension-value.ts';
import { parseAppRules, type AppRules, type AppsData } from './apps.ts';

export interface AppsflyerRules {
  /** In-app event names that count as conversions, as an event has them: made fit to be dimension values. */
  readonly conversionEvents: ReadonlySet<string>;
  /** Null where nothing is ruled of apps. */
  readonly apps: AppRules | null;
}

/** Default of `metrics.conversion_events`. */
export const DEFAULT_CONVERSION_EVENTS = ['af_purchase', 'af_subscribe', 'af_start_trial', 'af_complete_registration'] as const;
/** Each name is an entry of every cell's `by_event`, so their number is bounded. Chosen. */
export const CONVERSION_EVENTS_MAX = 200;
/** AppsFlyer's own limit of an event name, in characters. */
const EVENT_NAME_LENGTH_MAX = 100;

/** What `rules.domain` holds: plain JSON. A key that is not there means its default, so that what a default configuration journals stays the same. */
export interface AppsflyerRulesData {
  readonly conversionEvents: readonly string[];
  readonly apps?: AppsData;
}

/** Reads `rules.domain`; raises on what it does not know. `null` or nothing gives the defaults. */
export function parseAppsflyerRules(raw: unknown): AppsflyerRules {
  if (raw === null || raw === undefined) return { conversionEvents: new Set(DEFAULT_CONVERSION_EVENTS), apps: null };
  if (typeof raw !== 'object' || Array.isArray(raw)) throw new TypeError('domain rules are not an object');
  const unknown = Object.keys(raw).filter((key) => key !== 'conversionEvents' && key !== 'apps');
  if (unknown.length > 0) throw new TypeError(`unknown domain rules: ${unknown.join(', ')}`);
  const names = (raw as Partial<AppsflyerRulesData>).conversionEvents ?? DEFAULT_CONVERSION_EVENTS;
  if (!Array.isArray(names) || names.length > CONVERSION_EVENTS_MAX || !names.every(isEventName)) {
    throw new TypeError(`conversionEvents must be at most ${CONVERSION_EVENTS_MAX} event names of 1 to ${EVENT_NAME_LENGTH_MAX} characters`);
  }
  return { conversionEvents: new Set(names.map(dimensionValue)), apps: parseAppRules((raw as Partial<AppsflyerRulesData>).apps) };
}

const isEventName = (value: unknown): value is string => typeof value === 'string' && value !== '' && value.length <= EVENT_NAME_LENGTH_MAX;
