/**
 * AppsFlyer's Push configuration API as its specification says it behaves: bearer token, whole replacement by PUT, the checks with their codes.
 *
 * What it is no evidence for: what a test message looks like (the specification is silent), how long anything takes, rate limits.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const PUSH_CONFIG_TOKEN = 'eyJ-test.token_1';
const EVENT_TYPES = {
  appsflyer: ['organic-install-in-app-event', 'install', 'organic-install', 're-engagement', 're-attribution', 'reinstall', 'organic-reinstall', 'install-in-app-event', 're-engagement-in-app-event', 're-attribution-in-app-event'],
  skadnetwork: ['in-app-event', 're-download', 'install', 'postbacks-copy', 'postback'],
} as const;
/** Of the 114 that may be selected. */
const FIELDS = [
  'api_version', 'af_c_id', 'campaign', 'is_retargeting', 'media_source', 'original_url', 'user_agent', 'advertising_id', 'android_id', 'amazon_aid', 'app_id', 'app_name', 'appsflyer_id', 'bundle_id', 'country_code', 'customer_user_id', 'device_category', 'event_name',
  'event_revenue', 'event_revenue_currency', 'event_time', 'event_value', 'idfa', 'idfv', 'imei', 'ip', 'platform', 'city', 'event_revenue_usd', 'event_source', 'is_primary_attribution', 'oaid', 'conversion_type', 'campaign_type',
];
const MANDATORY = ['app_id', 'event_name', 'event_time'];
const REQUEST_ID = '8a3f4fa6-a91c-11ec-b909-0242ac120002';

interface Endpoint {
  readonly url?: unknown;
  readonly method?: unknown;
  readonly attributing_entity?: unknown;
  readonly event_types?: unknown;
  readonly selected_fields?: unknown;
  readonly selected_inapps?: unknown;
  readonly enabled?: unknown;
}

export interface PushConfigPeer {
  base: string;
  readonly configs: Map<string, { endpoints: Endpoint[] }>;
  readonly senderTokens: Map<string, { token: string; name: string }>;
  /** Method and path of each request, in order. */
  readonly requests: string[];
  /** Sent to an address that is to be validated. */
  testMessage: string;
  /** Called before a request is answered; a number is its answer. */
  before: (method: string, path: string) => number | undefined;
  stop: () => Promise<void>;
}

export async function startPushConfigPeer(): Promise<PushConfigPeer> {
  const configs = new Map<string, { endpoints: Endpoint[] }>([['com.example.shop', { endpoints: [] }], ['id1234567890', { endpoints: [] }]]);
  const senderTokens = new Map<string, { token: string; name: string }>();
  const requests: string[] = [];
  const peer: PushConfigPeer = { base: '', configs, senderTokens, requests, testMessage: '{}', before: () => undefined, stop: () => Promise.resolve() };
  const server = createServer((request, response) => {
    void answer(peer, request, response);
  });
  await new Promise<void>((settle) => server.listen({ host: '127.0.0.1', port: 0 }, settle));
  const { port } = server.address() as AddressInfo;
  peer.base = `http://127.0.0.1:${port}/api/pushapi/v1.0`;
  peer.stop = () =>
    new Promise<void>((settle) => {
      server.closeAllConnections();
      server.close(() => {
        settle();
      });
    });
  return peer;
}

async function answer(peer: PushConfigPeer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const method = request.method ?? '';
  const path = (request.url ?? '').replace('/api/pushapi/v1.0', '');
  peer.requests.push(`${method} ${path}`);
  const send = (status: number, body: object): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ ...body, request_id: REQUEST_ID }));
  };
  const forced = peer.before(method, path);
  if (forced !== undefined) send(forced, { code: 'Forced', message: `seen with ${request.headers.authorization ?? 'no token'}` });
  else if (request.headers.authorization !== `Bearer ${PUSH_CONFIG_TOKEN}`) send(401, { code: 'AuthenticationFailed', message: 'Authentication failed. The authentication token is not valid.' });
  else {
    try {
      await route(peer, { method, path, body: Buffer.concat(chunks).toString(), send });
    } catch {
      send(400, { code: 'JSONParsingError', message: 'An error occurred while parsing the JSON body. Check the body and try again.' });
    }
  }
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly send: (status: number, body: object) => void;
}

async function route(peer: PushConfigPeer, { method, path, body, send }: Asked): Promise<void> {
  const [, first, second, third] = path.split('/');
  if (method === 'GET' && first === 'fields') send(200, { fields: FIELDS });
  else if (method === 'GET' && first === 'event-types') send(200, { event_types: EVENT_TYPES[second as keyof typeof EVENT_TYPES] });
  else if (method === 'POST' && first === 'validate-url') {
    const { url } = JSON.parse(body) as { url: string };
    const status = await fetch(url, { method: 'POST', body: peer.testMessage, signal: AbortSignal.timeout(2_000) }).then((got) => got.status, () => 0);
    send(status === 200 ? 200 : 207, { tested_endpoint_url_http_response: status });
  } else if (method === 'PUT' && first === 'tokens') {
    const { token, token_name: name } = JSON.parse(body) as { token: string; token_name?: string };
    if (!/^[ \t\-_.a-zA-Z0-9]{0,2000}$/.test(token) || (name !== undefined && !/^(Authorization|X-[a-zA-Z0-9\-_]*)$/.test(name))) send(422, { code: 'SchemaError', message: 'Invalid JSON format or no JSON found. Verify the content and resubmit.' });
    else {
      peer.senderTokens.set(decodeURIComponent(third as string), { token, name: name ?? peer.senderTokens.get(third as string)?.name ?? 'Authorization' });
      send(200, { message: 'Your token has been set successfully' });
    }
  } else if (first === 'app') {
    const app = decodeURIComponent(second as string);
    const config = peer.configs.get(app);
    if (config === undefined) send(403, { code: 'UnknownAppid', message: "The app ID specified wasn't found. Check that the app ID is identical to that in AppsFlyer in your account." });
    else if (method === 'GET') send(200, config);
    else {
      const next = JSON.parse(body) as { endpoints: Endpoint[] };
      const wrong = problemOf(next.endpoints);
      if (wrong !== null) send(422, wrong);
      else {
        peer.configs.set(app, next);
        send(200, {});
      }
    }
  } else send(404, { code: 'InvalidVersion', message: "The API version listed in the URL doesn't exist. Check the API documentation" });
}

function problemOf(endpoints: readonly Endpoint[]): { code: string; message: string } | null {
  if (!(endpoints instanceof Array)) return { code: 'SchemaError', message: 'Invalid JSON format or no JSON found. Verify the content and resubmit.' };
  if (endpoints.length > 6) return { code: 'TooManyEndpoints', message: 'Too many endpoints.' };
  if (new Set(endpoints.map(({ url }) => url)).size < endpoints.length) return { code: 'RepeatingURL', message: 'Repeating URL.' };
  for (const { url, method, attributing_entity: entity, event_types: types, selected_fields: fields, selected_inapps: inApps, enabled } of endpoints) {
    if (typeof url !== 'string' || url.length > 2_048 || !URL.canParse(url)) return { code: 'InvalidURL', message: 'Invalid URL.' };
    if (method !== 'POST' && method !== 'GET') return { code: 'InvalidMethod', message: 'Method must be POST or GET.' };
    if (typeof enabled !== 'boolean' || !Array.isArray(types) || (entity !== 'appsflyer' && entity !== 'skadnetwork')) return { code: 'SchemaError', message: 'Invalid JSON format or no JSON found. Verify the content and resubmit.' };
    if (types.some((type) => !(EVENT_TYPES[entity] as readonly unknown[]).includes(type))) return { code: 'InvalidEventTypes', message: 'Incorrect event types specified.' };
    if (entity === 'skadnetwork') continue;
    if (Array.isArray(fields)) {
      if (new Set(fields).size < fields.length) return { code: 'InvalidMessageFields', message: 'The selected_fields specified are not unique. Use unique selected_fields.' };
      if (fields.some((field) => !FIELDS.includes(field as string))) return { code: 'InvalidMessageFields', message: 'Incorrect message-fields specified.' };
      if (MANDATORY.some((field) => !fields.includes(field))) return { code: 'MissingMandatoryFields', message: 'Every endpoint must include the mandatory selected_fields.' };
    }
    const hasInApp = types.some((type) => String(type).endsWith('in-app-event'));
    if (hasInApp && inApps === undefined) return { code: 'MissingEvents', message: 'Every endpoint must include selected_inapps when an in-app event-type is selected.' };
    if (!hasInApp && inApps !== undefined) return { code: 'MissingEventTypes', message: 'Every endpoint must include an in-app event-type when listing selected_inapps.' };
  }
  return null;
}
