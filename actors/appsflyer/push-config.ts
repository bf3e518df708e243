/**
 * AppsFlyer's Push configuration of one app: how it has to be so that this daemon gets what it counts, and what that changes.
 *
 * A PUT replaces the whole configuration, so whatever is there and not ours is carried over as it came, keys that are not known here included.
 * Limits and names: the Push API configuration API (v1.0). Pure: configurations in, a configuration and its differences out.
 */

import { isLoopbackUrl } from '../../engine/core/loopback.ts';
import { Field, FIELD_NAMES, fieldName } from './fields.ts';
import { appsflyerPipeline } from './pipeline.ts';

/** Read where they are sent, for enrichment and the lake; no figure depends on them, and they are data of people. */
const FOR_ENRICHMENT: ReadonlySet<string> = new Set([Field.ip, Field.userAgent, Field.region, Field.state, Field.city, Field.osVersion].map(fieldName));

/** One endpoint as the API has it. */
export interface PushEndpoint {
  readonly url: string;
  readonly method?: string;
  readonly attributing_entity?: string;
  readonly event_types?: readonly string[];
  /** `all`, `default` or names. SKAdNetwork's endpoints have none. */
  readonly selected_fields?: string | readonly string[];
  readonly selected_inapps?: string | readonly string[];
  readonly enabled?: boolean;
  readonly [further: string]: unknown;
}

export interface PushConfig {
  readonly endpoints: readonly PushEndpoint[];
}

export const ENDPOINTS_MAX = 6;
export const URL_LENGTH_MAX = 2_048;
const IN_APP = /in-app-event$/;
/** Fields of our own, and of SKAdNetwork messages, which have no selection. */
const NOT_SELECTABLE = /^(millrace_|skad_|ad_network_)/;

/** What is to be had of one attributing entity at one address. */
export interface WantedEndpoint {
  readonly url: string;
  readonly entity: 'appsflyer' | 'skadnetwork';
  readonly eventTypes: readonly string[];
  /** `all` or names; null where there is no selection. */
  readonly fields: 'all' | readonly string[] | null;
}

export type ConfigProblem = { readonly problem: string; readonly fix: string };

/** Names of message fields that some figure, identity or time depends on, out of those that are offered. */
export function neededFields(offered: readonly string[]): string[] {
  const { dimensions, measures, labels, breakdown } = appsflyerPipeline;
  const needed = new Set<string>([...FIELD_NAMES, ...[...dimensions, ...measures, ...labels, breakdown].flatMap(({ meaning }) => meaning.sourceFields)]);
  return offered.filter((name) => needed.has(name) && !FOR_ENRICHMENT.has(name) && !NOT_SELECTABLE.test(name));
}

/** The configuration with the wanted endpoints in it: of one that is there at the same address nothing is taken away. */
export function mergedConfig(current: PushConfig, wanted: readonly WantedEndpoint[]): PushConfig | ConfigProblem {
  let endpoints = [...current.endpoints];
  for (const want of wanted) {
    const problem = problemOfUrl(want.url);
    if (problem !== null) return problem;
    const at = endpoints.findIndex(({ url }) => url === want.url);
    const there = endpoints[at];
    if (there === undefined) endpoints = [...endpoints, freshEndpoint(want)];
    else if ((there.attributing_entity ?? 'appsflyer') !== want.entity) return { problem: `${shownUrl(want.url)} is an endpoint of ${there.attributing_entity} already, and an address may stand in a configuration once`, fix: 'give another address, for example with a query of its own' };
    else endpoints[at] = withWanted(there, want);
  }
  if (endpoints.length > ENDPOINTS_MAX) return { problem: `the app would have ${endpoints.length} endpoints; AppsFlyer takes ${ENDPOINTS_MAX}`, fix: 'remove one in the dashboard, or use an address that is there already' };
  return { ...current, endpoints };
}

function freshEndpoint({ url, entity, eventTypes, fields }: WantedEndpoint): PushEndpoint {
  return {
    method: 'POST',
    url,
    attributing_entity: entity,
    event_types: eventTypes,
    ...(fields === null ? {} : { selected_fields: fields }),
    // Required with in-app types, refused without them, and none of SKAdNetwork's own.
    ...(entity === 'appsflyer' && eventTypes.some((type) => IN_APP.test(type)) ? { selected_inapps: 'all' } : {}),
    enabled: true,
  };
}

function withWanted(there: PushEndpoint, want: WantedEndpoint): PushEndpoint {
  const eventTypes = union(there.event_types ?? [], want.eventTypes);
  return {
    ...there,
    event_types: eventTypes,
    ...(want.fields === null ? {} : { selected_fields: moreFields(there.selected_fields, want.fields) }),
    ...(there.selected_inapps === undefined && want.entity === 'appsflyer' && eventTypes.some((type) => IN_APP.test(type)) ? { selected_inapps: 'all' } : {}),
    enabled: true,
  };
}

/** What `default` holds is AppsFlyer's to say, so it gives way to the names that are needed. */
function moreFields(there: string | readonly string[] | undefined, wanted: 'all' | readonly string[]): string | readonly string[] {
  if (there === 'all' || wanted === 'all') return 'all';
  return union(Array.isArray(there) ? (there as readonly string[]) : [], wanted);
}

const union = (left: readonly string[], right: readonly string[]): string[] => [...new Set([...left, ...right])];

/** AppsFlyer calls ports 80 and 443 alone. */
export function problemOfUrl(text: string): ConfigProblem | null {
  if (text.length > URL_LENGTH_MAX) return { problem: `the address has ${text.length} characters; AppsFlyer takes ${URL_LENGTH_MAX}`, fix: 'give a shorter one' };
  if (!URL.canParse(text)) return { problem: `${text} is no address`, fix: 'write it like https://events.example.com/v1/appsflyer/push' };
  const url = new URL(text);
  const { protocol, port } = url;
  if (protocol !== 'https:' && protocol !== 'http:') return { problem: `${shownUrl(text)} is no web address`, fix: 'write it like https://events.example.com/v1/appsflyer/push' };
  if (port !== '' && port !== '80' && port !== '443' && !isLoopbackUrl(url)) return { problem: `${shownUrl(text)} names port ${port}; AppsFlyer calls 80 and 443 alone`, fix: 'put a proxy on 443 in front' };
  return null;
}

/** An address as it may be shown: others' endpoints carry their secrets in the query. */
export function shownUrl(text: string): string {
  if (!URL.canParse(text)) return text.replace(/\?.*$/s, '?…');
  const url = new URL(text);
  const query = [...url.searchParams].map(([name]) => `${name}=…`).join('&');
  return `${url.protocol}//${url.username === '' ? '' : '…@'}${url.host}${url.pathname}${query === '' ? '' : `?${query}`}`;
}

/** The difference for people to read: one line an endpoint, and one for each of its settings that changes. */
export function configDifference(before: PushConfig, after: PushConfig): string[] {
  const lines: string[] = [];
  for (const endpoint of after.endpoints) {
    const former = before.endpoints.find(({ url }) => url === endpoint.url);
    const changes = settingChanges(former ?? { url: endpoint.url }, endpoint);
    const mark = former === undefined ? '+' : changes.length === 0 ? '=' : '~';
    lines.push(`${mark} ${shownUrl(endpoint.url)}${mark === '=' ? '  (as it is)' : ''}`, ...changes.map((change) => `    ${change}`));
  }
  for (const { url } of before.endpoints) if (!after.endpoints.some((endpoint) => endpoint.url === url)) lines.push(`- ${shownUrl(url)}`);
  return lines;
}

export const isSameConfig = (left: PushConfig, right: PushConfig): boolean => left.endpoints.length === right.endpoints.length && configDifference(left, right).every((line) => line.startsWith('='));

/** What of `wanted` is not there as it was wanted, for people to read; settings that are there besides are AppsFlyer's own. */
export function missingOf(there: PushConfig, wanted: PushConfig): string[] {
  return wanted.endpoints.flatMap((endpoint) => {
    const found = there.endpoints.find(({ url }) => url === endpoint.url);
    if (found === undefined) return [`+ ${shownUrl(endpoint.url)}`];
    const told = Object.fromEntries(Object.keys(endpoint).map((name) => [name, found[name]])) as unknown as PushEndpoint;
    const changes = settingChanges(told, endpoint);
    return changes.length === 0 ? [] : [`~ ${shownUrl(endpoint.url)}`, ...changes.map((change) => `    ${change}`)];
  });
}

function settingChanges(before: PushEndpoint, after: PushEndpoint): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) => name !== 'url');
  return names.flatMap((name) => settingChange(name, before[name], after[name]));
}

function settingChange(name: string, before: unknown, after: unknown): string[] {
  if (Array.isArray(before) && Array.isArray(after)) {
    const [left, right] = [before.map(textOf), after.map(textOf)];
    const gone = left.filter((item) => !right.includes(item));
    const added = right.filter((item) => !left.includes(item));
    return [...(added.length > 0 ? [`+ ${name}: ${added.join(', ')}`] : []), ...(gone.length > 0 ? [`- ${name}: ${gone.join(', ')}`] : [])];
  }
  if (textOf(before) === textOf(after)) return [];
  if (before === undefined) return [`+ ${name}: ${textOf(after)}`];
  return after === undefined ? [`- ${name}: ${textOf(before)}`] : [`~ ${name}: ${textOf(before)} → ${textOf(after)}`];
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : Array.isArray(value) ? value.map(textOf).join(', ') : (JSON.stringify(value) ?? ''));
