/**
 * A sender that keeps its rate whatever the answers do: each request has a moment at which it is due, and its latency counts from then, also while it
 * waits for a free connection. Raw sockets with one request in flight each, for an HTTP client costs more than the server it measures.
 */

import { connect, type Socket } from 'node:net';
import { appsflyerTime } from '../../test/support/daemon.ts';
import { USER_PLACEHOLDER } from './messages.ts';

export interface OpenLoopOptions {
  readonly url: string;
  readonly bodies: readonly string[];
  readonly ratePerSecond: number;
  readonly seconds: number;
  readonly connections: number;
  /** Keeps users apart between runs; below 900. */
  readonly series: number;
  /**
   * So many campaigns, each with one body: as many cells. As popular as campaigns are: each decade of ranks gets as many events (log-uniform). The
   * bodies' own unless told.
   */
  readonly campaigns?: number;
  /** Further ones of each request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What `event_time` says; the bodies' own unless told. */
  readonly eventTimeMs?: () => number;
}

export interface OpenLoopResult {
  readonly acknowledged: number;
  /** Answers other than 2xx, and connections that were closed. */
  readonly refused: number;
  /** Of all, ascending. */
  readonly latenciesMs: Float32Array;
  /** Of those that were answered with anything but 2xx, ascending. */
  readonly refusedLatenciesMs: Float32Array;
}

const USER_DIGITS = 12;
/** Answers still awaited after the last request was sent. */
const PATIENCE_MS = 10_000;

interface Template {
  readonly bytes: Buffer;
  /** Where the user's number stands. */
  readonly users: readonly number[];
  readonly campaignAt: number;
  readonly eventTimeAt: number;
}

const CAMPAIGN_KEY = '"af_c_id":"';
export const FIRST_CAMPAIGN = 31_421_000_000;
const EVENT_TIME_KEY = '"event_time":"';

/** One keep-alive connection. */
class Connection {
  readonly socket: Socket;
  dueMs = 0;
  isBusy = false;

  constructor(host: string, port: number) {
    this.socket = connect({ host, port, noDelay: true });
  }
}

export async function runOpenLoop(options: OpenLoopOptions): Promise<OpenLoopResult> {
  const { ratePerSecond, seconds, series, campaigns = 0, eventTimeMs } = options;
  const total = Math.round(ratePerSecond * seconds);
  const templates = templatesOf(options);
  const latencies = new Float32Array(total);
  const refusedLatencies = new Float32Array(total);
  const free: Connection[] = [];
  const all: Connection[] = [];
  let started = 0;
  let answered = 0;
  let acknowledged = 0;
  let startMs = 0;
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const send = (connection: Connection): void => {
    const campaign = campaigns === 0 ? started : campaignOf(started, campaigns);
    const { bytes, users, campaignAt, eventTimeAt } = templates[campaign % templates.length] as Template;
    // A copy: the kernel may not have taken the last one yet.
    const request = Buffer.from(bytes);
    const user = String((100 + series) * 10 ** (USER_DIGITS - 3) + started);
    for (const at of users) request.write(user, at, USER_DIGITS, 'latin1');
    if (campaigns > 0) request.write(String(FIRST_CAMPAIGN + campaign), campaignAt, 'latin1');
    if (eventTimeMs !== undefined) request.write(appsflyerTime(eventTimeMs()), eventTimeAt, 'latin1');
    connection.dueMs = startMs + (started * 1_000) / ratePerSecond;
    connection.isBusy = true;
    started++;
    connection.socket.write(request);
  };
  const dueCount = (): number => Math.min(total, Math.floor(((performance.now() - startMs) * ratePerSecond) / 1_000) + 1);
  const next = (connection: Connection): void => {
    connection.isBusy = false;
    if (startMs > 0 && started < dueCount()) send(connection);
    else free.push(connection);
  };
  const { hostname, port } = new URL(options.url);
  for (let index = 0; index < options.connections; index++) {
    const connection = new Connection(hostname, Number(port));
    all.push(connection);
    connection.socket.on('connect', () => {
      next(connection);
    });
    connection.socket.on('data', (answer) => {
      if (!connection.isBusy) return;
      const latencyMs = performance.now() - connection.dueMs;
      // `HTTP/1.1 2`
      if (answer[9] === 0x32) acknowledged++;
      else refusedLatencies[answered - acknowledged] = latencyMs;
      latencies[answered++] = latencyMs;
      if (answered === total) finish();
      next(connection);
    });
    const ended = (): void => {
      if (connection.isBusy) {
        refusedLatencies[answered - acknowledged] = Infinity;
        latencies[answered++] = Infinity;
      }
      connection.isBusy = false;
      if (answered === total) finish();
    };
    connection.socket.on('error', ended);
    connection.socket.on('close', ended);
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  startMs = performance.now();
  const timer = setInterval(() => {
    for (let due = dueCount() - started; due > 0 && free.length > 0; due--) send(free.pop() as Connection);
  }, 1);
  const patience = setTimeout(finish, seconds * 1_000 + PATIENCE_MS);
  await finished;
  clearInterval(timer);
  clearTimeout(patience);
  for (const { socket } of all) socket.destroy();
  return { acknowledged, refused: total - acknowledged, latenciesMs: latencies.subarray(0, answered).sort(), refusedLatenciesMs: refusedLatencies.subarray(0, answered - acknowledged).sort() };
}

/** Spreads the numbers evenly over [0, 1) by the golden ratio, so that each run sends the same. */
export const campaignOf = (number: number, campaigns: number): number => Math.floor(campaigns ** ((number * 0.618_033_988_749_895) % 1)) - 1;

function templatesOf({ url, bodies, headers = {} }: OpenLoopOptions): readonly Template[] {
  const { host, pathname } = new URL(url);
  const further = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return bodies.map((body) => {
    const filled = body.replaceAll(USER_PLACEHOLDER, '0'.repeat(USER_DIGITS));
    const head = `POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n${further}Content-Length: ${Buffer.byteLength(filled)}\r\n\r\n`;
    const bytes = Buffer.from(head + body);
    const users: number[] = [];
    for (let at = bytes.indexOf(USER_PLACEHOLDER); at >= 0; at = bytes.indexOf(USER_PLACEHOLDER, at + USER_DIGITS)) users.push(at);
    return { bytes, users, campaignAt: bytes.indexOf(CAMPAIGN_KEY) + CAMPAIGN_KEY.length, eventTimeAt: bytes.indexOf(EVENT_TIME_KEY) + EVENT_TIME_KEY.length };
  });
}
