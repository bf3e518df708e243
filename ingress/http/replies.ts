/**
 * Every answer the door gives, as constant objects: the hot path builds none.
 *
 * Error bodies are `{"error":{"code","message"}}`. What AppsFlyer should send again is always 5xx (it resends on nothing else).
 */

import type { Refusal } from '../admission.ts';
import type { CostsAnswer } from '../costs.ts';
import type { EngineError } from '../../engine/core/errors.ts';
import type { RouteKind } from './routes.ts';

export interface Reply {
  readonly status: number;
  /** As HTTP writes it: `200 OK`. */
  readonly statusLine: string;
  /** Code of the body's error; empty for success. */
  readonly code: string;
  readonly body: string;
  /** Whole seconds; empty for none. */
  readonly retryAfter: string;
  /** Value of `Allow`; empty for none. */
  readonly allow: string;
}

const STATUS_LINES = {
  200: '200 OK',
  204: '204 No Content',
  400: '400 Bad Request',
  401: '401 Unauthorized',
  403: '403 Forbidden',
  404: '404 Not Found',
  405: '405 Method Not Allowed',
  413: '413 Content Too Large',
  415: '415 Unsupported Media Type',
  429: '429 Too Many Requests',
  503: '503 Service Unavailable',
} as const;
type Status = keyof typeof STATUS_LINES;

/** Chosen: short, for a load that passes; a disk takes longer. Seconds. */
const RETRY_SOON = '1';
const RETRY_LATER = '10';

const success = (body: string): Reply => ({ status: 200, statusLine: STATUS_LINES[200], code: '', body, retryAfter: '', allow: '' });

function failure(status: Status, code: string, message: string, extra: { retryAfter?: string; allow?: string } = {}): Reply {
  const body = JSON.stringify({ error: { code, message } });
  return { status, statusLine: STATUS_LINES[status], code, body, retryAfter: extra.retryAfter ?? '', allow: extra.allow ?? '' };
}

export const PUSH_OK = success('{"received":1}');
export const PUSH_NOT_JSON = failure(400, 'NOT_JSON', 'the body is not valid JSON; it is kept as a dead letter');
export const PUSH_NOT_OBJECT = failure(400, 'NOT_OBJECT', 'the body is JSON but not one object; it is kept as a dead letter');
export const NOT_FOUND = failure(404, 'NOT_FOUND', 'nothing is here: events go to POST /v1/appsflyer/push, POST /v1/appsflyer/s2s/inappevent/<app id> or POST /v1/events, spend to PUT /v1/costs');
export const UNSUPPORTED_TYPE = failure(415, 'UNSUPPORTED_TYPE', 'send application/json, application/x-ndjson or text/plain, not compressed');
export const UNSUPPORTED_COSTS_TYPE = failure(415, 'UNSUPPORTED_TYPE', 'send application/json, application/x-ndjson or text/csv, not compressed');
export const BODY_TIMEOUT = failure(503, 'BODY_TIMEOUT', 'the body did not arrive in time', { retryAfter: RETRY_SOON });
export const TOO_MANY_CONNECTIONS = failure(503, 'TOO_MANY_CONNECTIONS', 'too many connections are open', { retryAfter: RETRY_SOON });
export const JOURNAL_BUSY = failure(503, 'JOURNAL_BUSY', 'the disk is slower than the events that come in', { retryAfter: RETRY_SOON });
export const COSTS_FAILED = failure(503, 'COSTS_FAILED', 'the rows could not be kept: send them again', { retryAfter: RETRY_LATER });
export const BAD_REQUEST = failure(400, 'BAD_REQUEST', 'this is not a valid HTTP/1.1 request');

export const UNAUTHORIZED = failure(401, 'UNAUTHORIZED', 'no valid credential came with the request: send the token in the header that ingest.auth.header names');
/** Of a 401, as HTTP wants it. */
export const CHALLENGE = 'Basic realm="millrace", Bearer realm="millrace"';
export const AUTH_UNAVAILABLE = failure(503, 'AUTH_UNAVAILABLE', 'the directory of senders does not answer', { retryAfter: RETRY_SOON });
export const AUTH_BUSY = failure(503, 'AUTH_BUSY', 'too many unknown senders at once', { retryAfter: RETRY_SOON });
export const FORBIDDEN = failure(403, 'FORBIDDEN', 'this address may not send: ingest.allow_from does not have it');

/** Longer waits are told as this: who was so far over its limit may ask before. Seconds. */
const WAIT_SECONDS_MAX = 60;
const TOO_FAST: readonly Readonly<Record<429 | 503, Reply>>[] = Array.from({ length: WAIT_SECONDS_MAX }, (_, index) => {
  const told = [`RATE_LIMIT`, 'more records came than the limit of this credential or app allows', { retryAfter: String(index + 1) }] as const;
  return { 429: failure(429, ...told), 503: failure(503, ...told) };
});

/** Push routes say 503: AppsFlyer resends on nothing else. `waitSeconds`: at least 1. */
export const tooFast = (kind: RouteKind, waitSeconds: number): Reply => (TOO_FAST[Math.min(waitSeconds, WAIT_SECONDS_MAX) - 1] as (typeof TOO_FAST)[number])[kind === 'events' || kind === 'costs' ? 429 : 503];

/** 503 by reason. */
export const REFUSED: Readonly<Record<Refusal, Reply>> = {
  NOT_READY: failure(503, 'NOT_READY', 'the journal is not open yet', { retryAfter: RETRY_SOON }),
  DRAINING: failure(503, 'DRAINING', 'the daemon is shutting down', { retryAfter: RETRY_SOON }),
  DISK_RESERVE: failure(503, 'DISK_RESERVE', 'the disk is almost full', { retryAfter: RETRY_LATER }),
  BUSY: failure(503, 'BUSY', 'too many bytes are in flight', { retryAfter: RETRY_SOON }),
};

const JOURNAL_FAILED = failure(503, 'JOURNAL_WRITE_FAILED', 'the events could not be made durable', { retryAfter: RETRY_LATER });
const DISK_FULL = failure(503, 'DISK_FULL', 'the disk is full', { retryAfter: RETRY_LATER });

export const commitFailed = (error: EngineError): Reply => (error.code === 'DISK_FULL' ? DISK_FULL : JOURNAL_FAILED);

export const methodNotAllowed = (allow: string): Reply => failure(405, 'METHOD_NOT_ALLOWED', `use ${allow}`, { allow });
export const allowedMethods = (allow: string): Reply => ({ status: 204, statusLine: STATUS_LINES[204], code: '', body: '', retryAfter: '', allow });

export const bodyTooLarge = (bytesMax: number): Reply => failure(413, 'TOO_LARGE', `at most ${bytesMax} bytes are taken`);
export const tooManyRecords = (countMax: number): Reply => failure(413, 'TOO_MANY_RECORDS', `at most ${countMax} records are taken in one request; none was`);

/** One rejected record of a request with many. */
export interface RejectedRecord {
  readonly index: number;
  readonly code: 'NOT_JSON' | 'NOT_OBJECT' | 'TOO_LARGE';
}

/** `rejected` may be cut; `rejectedCount` is not. */
export function eventsReply(received: number, rejectedCount: number, rejected: readonly RejectedRecord[]): Reply {
  return success(`{"received":${received},"accepted":${received - rejectedCount},"rejected":${JSON.stringify(rejected)},"rejected_count":${rejectedCount}}`);
}

/** What the main thread answers to a report of spend. */
export const costsReply = ({ status, code, body, retryAfterSeconds }: CostsAnswer): Reply => ({ status, statusLine: STATUS_LINES[status], code, body, retryAfter: retryAfterSeconds === 0 ? '' : String(retryAfterSeconds), allow: '' });
