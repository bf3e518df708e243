/** The routes of the ingest port: path and method to what is done with the request. Shared by both doors. */

import { RecordSource } from '../../engine/core/record.ts';
import { NOT_FOUND, allowedMethods, methodNotAllowed, type Reply } from './replies.ts';

/** How a request's bytes become records. */
export type RouteKind = 'push' | 'push_get' | 's2s' | 'events' | 'costs' | 'other';

export interface Route {
  readonly kind: RouteKind;
  /** Method and path, of s2s the one without its app id; empty for requests that get a fixed answer. */
  readonly method: string;
  readonly path: string;
  readonly source: RecordSource;
  /** The whole answer, when there is nothing to take in. */
  readonly fixed: Reply | null;
}

const PUSH_PATH = '/v1/appsflyer/push';
const EVENTS_PATH = '/v1/events';
/** As AppsFlyer's own path ends: a sender changes the host alone. The app id follows. */
const S2S_PATH = '/v1/appsflyer/s2s/inappevent/';
/** A package name, `id` and digits, or a store's name and something: such ids need no escape in JSON. */
const APP_ID = /^[A-Za-z0-9_][\w.-]{0,254}$/;
const COSTS_PATH = '/v1/costs';

export const PUSH: Route = { kind: 'push', method: 'POST', path: PUSH_PATH, source: RecordSource.push, fixed: null };
export const PUSH_GET: Route = { kind: 'push_get', method: 'GET', path: PUSH_PATH, source: RecordSource.pushGet, fixed: null };
export const EVENTS: Route = { kind: 'events', method: 'POST', path: EVENTS_PATH, source: RecordSource.events, fixed: null };
export const S2S: Route = { kind: 's2s', method: 'POST', path: S2S_PATH, source: RecordSource.s2s, fixed: null };
/** Spend is no record: it goes to the main thread, and `source` is nobody's. */
export const COSTS: Route = { kind: 'costs', method: 'PUT', path: COSTS_PATH, source: RecordSource.events, fixed: null };
/** Those of records. */
export const ROUTES: readonly Route[] = [PUSH, PUSH_GET, S2S, EVENTS];

const fixed = (reply: Reply): Route => ({ kind: 'other', method: '', path: '', source: RecordSource.push, fixed: reply });
const MISSING = fixed(NOT_FOUND);
const METHODS_OF: Readonly<Record<string, string>> = { [PUSH_PATH]: 'GET, POST, OPTIONS', [S2S_PATH]: 'POST, OPTIONS', [EVENTS_PATH]: 'POST, OPTIONS', [COSTS_PATH]: 'PUT, OPTIONS' };
const WRONG_METHOD = new Map(Object.entries(METHODS_OF).map(([path, allow]) => [path, fixed(methodNotAllowed(allow))]));
const OPTIONS = new Map(Object.entries(METHODS_OF).map(([path, allow]) => [path, fixed(allowedMethods(allow))]));

/** Never fails: what is not known is a route with a fixed answer. `method` in upper case, `path` without the query. */
export function routeOf(method: string, path: string): Route {
  // Without an app id this path is none.
  if (path === S2S_PATH) return MISSING;
  const known = s2sAppId(path) === '' ? path : S2S_PATH;
  for (const route of ROUTES) if (route.path === known && route.method === method) return route;
  if (path === COSTS.path && method === COSTS.method) return COSTS;
  if (method === 'OPTIONS') return OPTIONS.get(known) ?? MISSING;
  return WRONG_METHOD.get(known) ?? MISSING;
}

/** The app id in the path of an S2S event; '' where there is none that could be one. */
export function s2sAppId(path: string): string {
  if (!path.startsWith(S2S_PATH)) return '';
  const written = path.slice(S2S_PATH.length);
  const appId = written.includes('%') ? decoded(written) : written;
  return APP_ID.test(appId) ? appId : '';
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
