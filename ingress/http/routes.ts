/** The routes of the ingest port: path and method to what is done with the request. Shared by both doors. */

import { RecordSource } from '../../engine/core/record.ts';
import { NOT_FOUND, allowedMethods, methodNotAllowed, type Reply } from './replies.ts';

/** How a request's bytes become records. */
export type RouteKind = 'push' | 'push_get' | 'events' | 'costs' | 'other';

export interface Route {
  readonly kind: RouteKind;
  /** Method and path; empty for requests that get a fixed answer. */
  readonly method: string;
  readonly path: string;
  readonly source: RecordSource;
  /** The whole answer, when there is nothing to take in. */
  readonly fixed: Reply | null;
}

const PUSH_PATH = '/v1/appsflyer/push';
const EVENTS_PATH = '/v1/events';
const COSTS_PATH = '/v1/costs';

export const PUSH: Route = { kind: 'push', method: 'POST', path: PUSH_PATH, source: RecordSource.push, fixed: null };
export const PUSH_GET: Route = { kind: 'push_get', method: 'GET', path: PUSH_PATH, source: RecordSource.pushGet, fixed: null };
export const EVENTS: Route = { kind: 'events', method: 'POST', path: EVENTS_PATH, source: RecordSource.events, fixed: null };
/** Spend is no record: it goes to the main thread, and `source` is nobody's. */
export const COSTS: Route = { kind: 'costs', method: 'PUT', path: COSTS_PATH, source: RecordSource.events, fixed: null };
/** Those of records. */
export const ROUTES: readonly Route[] = [PUSH, PUSH_GET, EVENTS];

const fixed = (reply: Reply): Route => ({ kind: 'other', method: '', path: '', source: RecordSource.push, fixed: reply });
const MISSING = fixed(NOT_FOUND);
const METHODS_OF: Readonly<Record<string, string>> = { [PUSH_PATH]: 'GET, POST, OPTIONS', [EVENTS_PATH]: 'POST, OPTIONS', [COSTS_PATH]: 'PUT, OPTIONS' };
const WRONG_METHOD = new Map(Object.entries(METHODS_OF).map(([path, allow]) => [path, fixed(methodNotAllowed(allow))]));
const OPTIONS = new Map(Object.entries(METHODS_OF).map(([path, allow]) => [path, fixed(allowedMethods(allow))]));

/** Never fails: what is not known is a route with a fixed answer. `method` in upper case, `path` without the query. */
export function routeOf(method: string, path: string): Route {
  for (const route of ROUTES) if (route.path === path && route.method === method) return route;
  if (path === COSTS.path && method === COSTS.method) return COSTS;
  if (method === 'OPTIONS') return OPTIONS.get(path) ?? MISSING;
  return WRONG_METHOD.get(path) ?? MISSING;
}
