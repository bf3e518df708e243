/** An ingress over a log in memory, and clients on bare sockets, for tests of both doors. */

import { connect, type Socket } from 'node:net';
import { systemClock } from '../../../engine/core/clock.ts';
import { createPartitioner } from '../../../engine/core/partition-key.ts';
import { ingressOptionsSchema, openIngress, setHeadBytesMax, type Ingress, type IngressOptions, type IngressParts } from '../../../ingress/index.ts';
import { MemoryLog } from './memory-log.ts';

export const DOORS = ['uws', 'node'] as const;
export type DoorKind = (typeof DOORS)[number];
export const HEAD_BYTES_MAX = 16 * 1024;
export const PARTITIONS = 8;
/** Ticks would stand between the batches of a test that is held up for a second. */
const NO_TICKS_MS = 600_000;

// Read by the library when it is first loaded.
setHeadBytesMax(HEAD_BYTES_MAX);

export const partitioner = () => createPartitioner({ scope: 'app_id', users: ['appsflyer_id'], isPlaceholder: (value) => value === '0' }, PARTITIONS);

export interface Rig {
  readonly ingress: Ingress;
  readonly log: MemoryLog;
  readonly port: number;
  readonly url: string;
}

const rigs = new Set<Rig>();

export async function open(door: DoorKind, options: Partial<IngressOptions> = {}, parts: Partial<IngressParts> & { readonly log?: never; readonly memory?: MemoryLog } = {}): Promise<Rig> {
  const log = parts.memory ?? new MemoryLog();
  const ingress = await openIngress({
    options: ingressOptionsSchema.parse({ host: '127.0.0.1', port: 0, head_bytes_max: HEAD_BYTES_MAX, ...options }),
    door,
    writer: log,
    partitioner: partitioner(),
    diskReserveExhausted: () => false,
    clock: systemClock,
    tickAfterMs: NO_TICKS_MS,
    ...parts,
  });
  const { port } = ingress.door;
  const rig = { ingress, log, port, url: `http://127.0.0.1:${port}` };
  rigs.add(rig);
  return rig;
}

const clients = new Set<RawClient>();

/** A bare connection that ends with the test. */
export function client(port: number): RawClient {
  const opened = new RawClient(port);
  clients.add(opened);
  return opened;
}

/** For afterEach. */
export async function closeAll(): Promise<void> {
  for (const each of clients) each.destroy();
  clients.clear();
  for (const { log } of rigs) log.release();
  await Promise.all([...rigs].map(({ ingress }) => ingress.drain(0)));
  rigs.clear();
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Turns of the event loop, which clients and door share: afterwards the door has read what had arrived before. */
export async function turns(count = 10): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export async function until(condition: () => boolean, what: string, withinMs = 15_000): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`in vain: ${what}`);
    await pause(5);
  }
}

/** Nothing is held any more: no request, no byte. */
export const untilQuiet = (rig: Rig): Promise<void> =>
  until(() => rig.ingress.stats().inFlightRequests === 0 && rig.ingress.stats().inFlightBytes === 0, `quiet: ${JSON.stringify(rig.ingress.stats())}`);

export interface RawReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A client that writes exactly the bytes it is given. */
export class RawClient {
  readonly socket: Socket;
  received = '';
  /** The server has closed its side, or reset the connection. */
  closed = false;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => (this.received += text));
    this.socket.on('end', () => (this.closed = true));
    this.socket.on('error', () => (this.closed = true));
    this.socket.on('close', () => (this.closed = true));
  }

  send(bytes: string | Buffer): this {
    if (typeof bytes === 'string') this.socket.write(bytes, 'latin1');
    else this.socket.write(bytes);
    return this;
  }

  /** Resolves once the bytes have left this side. */
  sent(text: string): Promise<void> {
    return new Promise((resolve) => {
      this.socket.write(text, 'latin1', () => {
        resolve();
      });
    });
  }

  /** The next whole answer. */
  async reply(withinMs = 5_000): Promise<RawReply> {
    let reply = this.#take();
    const endMs = performance.now() + withinMs;
    while (reply === null) {
      if (performance.now() > endMs || (this.closed && this.#take() === null)) throw new Error(`no whole answer (closed: ${this.closed}): ${JSON.stringify(this.received)}`);
      await pause(2);
      reply = this.#take();
    }
    return reply;
  }

  untilClosed(withinMs = 15_000): Promise<void> {
    return until(() => this.closed, 'the connection to be closed', withinMs);
  }

  destroy(): void {
    this.socket.destroy();
  }

  #take(): RawReply | null {
    const headEnd = this.received.indexOf('\r\n\r\n');
    if (headEnd < 0) return null;
    const [statusLine = '', ...lines] = this.received.slice(0, headEnd).split('\r\n');
    const headers: Record<string, string> = {};
    for (const line of lines) headers[line.slice(0, line.indexOf(':')).toLowerCase()] = line.slice(line.indexOf(':') + 1).trim();
    const status = Number(statusLine.split(' ')[1]);
    const rest = this.received.slice(headEnd + 4);
    let body = '';
    let taken = 0;
    if (headers['transfer-encoding'] === 'chunked') {
      const end = rest.indexOf('0\r\n\r\n');
      if (end < 0) return null;
      body = rest.slice(0, end).replace(/[0-9a-f]+\r\n(.*)\r\n/gs, '$1');
      taken = end + 5;
    } else {
      // 405 is also what a HEAD gets, here: announced and not sent, or neither.
      taken = status === 204 || status === 405 || status < 200 ? 0 : Number(headers['content-length'] ?? 0);
      if (rest.length < taken) return null;
      body = rest.slice(0, taken);
    }
    this.received = rest.slice(taken);
    return { status, headers, body };
  }
}

/** The bytes of a POST, with a body in latin1. */
export function post(path: string, body: string, headers: Readonly<Record<string, string>> = {}): string {
  const lines = Object.entries({ Host: 'x', 'Content-Length': String(body.length), ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

export const PUSH = '/v1/appsflyer/push';
export const EVENTS = '/v1/events';
export const message = (user: string | number, more = ''): string => `{"app_id":"id1","appsflyer_id":"${user}"${more}}`;

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly code: string | undefined;
  readonly headers: Headers;
}

/** One request by fetch, its answer parsed. */
export async function ask(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init);
  const text = await response.text();
  const body: unknown = text === '' ? null : JSON.parse(text);
  return { status: response.status, body, code: (body as { error?: { code: string } } | null)?.error?.code, headers: response.headers };
}
