/**
 * What is ruled of apps: which are known, and which are tests.
 *
 * A record of an app that is not on the list is rejected as UNKNOWN_APP, with its bytes: once the app is listed, it can be sent again. A record of a test app
 * counts in `test_records` and in nothing else; the lake has it, marked `is_test`. Identity and verdict are those of any other record.
 */

import { dimensionValue } from '../../engine/core/dimension-value.ts';
import type { AppsflyerEvent } from './event.ts';
import type { AppsflyerRules } from './rules.ts';

/** Of each list. Chosen: as many as an app_id dimension holds by default. */
export const APPS_MAX = 1_000;
/** In characters. */
export const APP_ID_LENGTH_MAX = 255;

/** What `rules.domain.apps` holds; a list that is not there is empty. */
export interface AppsData {
  /** Empty: all. */
  readonly known?: readonly string[];
  readonly test?: readonly string[];
}

export interface AppRules {
  /** As events have them; null: all. */
  readonly known: ReadonlySet<string> | null;
  readonly test: ReadonlySet<string>;
}

/** Raises on what it does not know. Null where nothing is ruled. */
export function parseAppRules(raw: unknown): AppRules | null {
  if (raw === undefined) return null;
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw new TypeError('apps is not an object');
  const { known = [], test = [], ...others } = raw as AppsData & Record<string, unknown>;
  if (Object.keys(others).length > 0) throw new TypeError(`unknown rules of apps: ${Object.keys(others).join(', ')}`);
  const tests = readApps('test', test);
  const listed = readApps('known', known);
  // A test app that is listed as one need not be listed twice.
  return { known: listed.size === 0 ? null : new Set([...listed, ...tests]), test: tests };
}

function readApps(key: string, names: unknown): ReadonlySet<string> {
  const isName = (value: unknown): value is string => typeof value === 'string' && value !== '' && value.length <= APP_ID_LENGTH_MAX;
  if (!Array.isArray(names) || names.length > APPS_MAX || !names.every(isName)) throw new TypeError(`apps.${key} must be at most ${APPS_MAX} app ids of 1 to ${APP_ID_LENGTH_MAX} characters`);
  return new Set(names.map(dimensionValue));
}

/** Whether the app is one of those that are taken. */
export const refuseUnknownApp = ({ appId }: AppsflyerEvent, { apps }: AppsflyerRules): 'UNKNOWN_APP' | null => (apps === null || apps.known === null || apps.known.has(appId) ? null : 'UNKNOWN_APP');

/** Takes a test app's event out of all measures but `test_records`. Called once it has its identity, and by the lake. */
export function markTestApp(event: AppsflyerEvent, { apps }: AppsflyerRules): void {
  if (apps === null || !apps.test.has(event.appId)) return;
  event.isTest = true;
  event.action = 'test';
  event.isAttributed = false;
  event.isPrimary = false;
  event.isSecondary = false;
}
