/**
 * The door on uWebSockets.js, and the only file that loads it.
 *
 * What the library decides for itself and cannot be told otherwise (3.0.6): connections idle or slow with their headers are cut
 * after 10 s (give or take its 4 s timer), bodies slower than 16 KB/s too; a client that closes its half, or sends a second request before the
 * first is answered, loses the connection unanswered, and what it sent is resent; bytes that are no HTTP get its own 400, 431
 * or 505 page. It takes a request line only whole: one that comes in two reads gets 505 (see README).
 *
 * The thread must not end while its handles are open, or Node aborts the process: an exit handler closes them. `terminate()` runs no
 * exit handler, so a thread with this door is ended by a message. Owned by the ingress thread. Hot path: 100 K requests a second, at most 10 µs a request, the kernel
 * and all of the door included; bench/load/scenarios/peak.ts.
 */

import { createServer } from 'node:net';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import type { RequestHead } from '../access/gate.ts';
import type { Door } from './door.ts';
import { Exchange } from './exchange.ts';
import type { Intake, PortUse } from './intake.ts';
import { listenError } from './listen-error.ts';
import { CHALLENGE, TOO_MANY_CONNECTIONS, type Reply } from './replies.ts';
import { COSTS, EVENTS, PUSH, PUSH_GET, routeOf, s2sAppId, type Route } from './routes.ts';
import type { TlsMaterial } from '../tls/tls-files.ts';
import type { UwsApp, UwsListenSocket, UwsModule, UwsRequest, UwsResponse } from './uws-api.ts';

/** Read by the library when it is first loaded in the process, from the process's own environment. */
const HEAD_BYTES_VARIABLE = 'UWS_HTTP_MAX_HEADERS_SIZE';

/**
 * Sets how large a request head the library takes (4,096 bytes unless told, too few for a GET push). Call it on the main thread before
 * the ingress thread starts: a worker's environment is a copy that native code does not see.
 */
export function setHeadBytesMax(bytes: number): void {
  process.env[HEAD_BYTES_VARIABLE] = String(bytes);
}

/** Raises DOOR_UNAVAILABLE with the reason as its cause. */
export async function loadUws(): Promise<UwsModule> {
  // Not a literal: the package is optional, and the compiler would insist on it.
  const name: string = 'uWebSockets.js';
  try {
    const loaded = (await import(name)) as { readonly default: UwsModule };
    return loaded.default;
  } catch (cause) {
    throw new EngineError('DOOR_UNAVAILABLE', `uWebSockets.js cannot be loaded: ${messageOf(cause)}`, {
      cause,
      fix: 'install the optional dependency on a platform it supports, or set door (MILLRACE_DOOR) to auto or node',
    });
  }
}

/** One app of the library with its listening socket; a renewed certificate needs a new one. */
interface Listener {
  readonly app: UwsApp;
  socket: UwsListenSocket | null;
  /** Another one has taken its place: its connections end with their next answer. */
  isRetired: boolean;
}

/** What a retired listener's senders may still be at; then they are cut. Chosen: longer than any deadline of a request. */
const RETIRED_MS = 60_000;

export async function openUwsDoor(uws: UwsModule, intake: Intake): Promise<Door> {
  const { host, port } = intake.options;
  const connections = { count: 0 };
  const listeners = new Set<Listener>();
  let current = newListener(uws, intake, connections, intake.tls);
  // A listener can take another one's place only where both may listen for a moment.
  const use = intake.tls !== null && intake.port === 'alone' ? 'first' : intake.port;
  current.socket = await listen(uws, current.app, { host, port, use });
  listeners.add(current);
  const listeningPort = uws.us_socket_local_port(current.socket);
  let isOpen = true;
  const stopListening = (): void => {
    isOpen = false;
    for (const listener of listeners) closeSocket(uws, listener);
  };
  const close = (): void => {
    process.off('exit', close);
    stopListening();
    for (const { app } of listeners) app.close();
    listeners.clear();
  };
  const renew = (material: TlsMaterial): void => {
    if (!isOpen) return;
    const next = newListener(uws, intake, connections, material);
    next.socket = listenNow(next.app, host, listeningPort, SHARED_PORT);
    if (next.socket === null) {
      next.app.close();
      throw new EngineError('PORT_IN_USE', `port ${listeningPort} cannot be listened on a second time`);
    }
    const former = current;
    current = next;
    listeners.add(next);
    former.isRetired = true;
    // What waits to be accepted is reset with its socket: so right after a turn that has accepted, never behind this work.
    setImmediate(() => {
      setImmediate(closeSocket, uws, former);
    });
    setTimeout(() => {
      if (listeners.delete(former)) former.app.close();
    }, RETIRED_MS).unref();
  };
  process.once('exit', close);
  return {
    kind: 'uws',
    fallbackReason: null,
    port: listeningPort,
    get connections() {
      return connections.count;
    },
    renew,
    stopListening,
    close,
  };
}

function closeSocket(uws: UwsModule, listener: Listener): void {
  if (listener.socket !== null) uws.us_listen_socket_close(listener.socket);
  listener.socket = null;
}

function newListener(uws: UwsModule, intake: Intake, connections: { count: number }, tls: TlsMaterial | null): Listener {
  const app = tls === null ? uws.App() : uws.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile });
  const listener: Listener = { app, socket: null, isRetired: false };
  const { connections_max: connectionsMax } = intake.options;
  app.filter((response, change) => {
    connections.count += change;
    if (change < 0 || connections.count <= connectionsMax) return;
    intake.counters.refused(TOO_MANY_CONNECTIONS.code);
    writeReply(response, TOO_MANY_CONNECTIONS, true, false);
  });
  app.post(PUSH.path, (response, request) => {
    const exchange = new UwsExchange(intake, PUSH, response, listener, false);
    exchange.begin(declaredBytes(request), '', '', headOf(response, request));
  });
  app.get(PUSH_GET.path, (response, request) => {
    const exchange = new UwsExchange(intake, PUSH_GET, response, listener, false);
    exchange.query = request.getQuery() ?? '';
    exchange.begin(declaredBytes(request), '', '', headOf(response, request));
  });
  const others = (route: Route) => (response: UwsResponse, request: UwsRequest) => {
    const method = request.getCaseSensitiveMethod();
    const path = request.getUrl();
    const exchange = new UwsExchange(intake, route.fixed === null ? route : routeOf(method, path), response, listener, method === 'HEAD');
    exchange.appId = s2sAppId(path);
    exchange.begin(declaredBytes(request), request.getHeader('content-type'), request.getHeader('content-encoding'), headOf(response, request));
  };
  app.post(EVENTS.path, others(EVENTS));
  app.put(COSTS.path, (response, request) => {
    const exchange = new UwsExchange(intake, COSTS, response, listener, false);
    exchange.query = request.getQuery() ?? '';
    exchange.begin(declaredBytes(request), request.getHeader('content-type'), request.getHeader('content-encoding'), headOf(response, request));
  });
  app.any('/*', others(routeOf('', '')));
  return listener;
}

class UwsExchange extends Exchange {
  readonly #response: UwsResponse;
  readonly #listener: Listener;
  readonly #isHead: boolean;

  constructor(intake: Intake, route: Route, response: UwsResponse, listener: Listener, isHead: boolean) {
    super(intake, route);
    this.#response = response;
    this.#listener = listener;
    this.#isHead = isHead;
    response.onAborted(() => {
      this.aborted();
    });
    response.onData((chunk, isLast) => {
      this.chunk(Buffer.from(chunk), isLast);
    });
  }

  protected send(reply: Reply, close: boolean): void {
    writeReply(this.#response, reply, close || this.#listener.isRetired, this.#isHead);
  }

  protected sendEarly(reply: Reply): void {
    this.#response.cork(() => {
      // Neither ended nor told to close: `end` with its close flag would write that header behind the body, and closing now would
      // reset the connection under the sender's feet.
      writeHead(this.#response, reply);
      this.#response.writeHeader('Connection', 'close').write(reply.body);
    });
  }

  protected endEarly(): void {
    this.#response.end();
  }

  protected cut(): void {
    this.#response.close();
  }
}

/** One for all requests: it is asked while the library's request is there, and not after. */
class UwsHead implements RequestHead {
  response: UwsResponse | null = null;
  request: UwsRequest | null = null;

  header(name: string): string {
    return (this.request as UwsRequest).getHeader(name);
  }

  peer(): string {
    return Buffer.from((this.response as UwsResponse).getRemoteAddressAsText()).toString('latin1');
  }
}

const head = new UwsHead();

function headOf(response: UwsResponse, request: UwsRequest): RequestHead {
  head.response = response;
  head.request = request;
  return head;
}

// One callback for all answers, with its arguments beside it: a closure for each would be garbage at the rate of the events.
let corked: UwsResponse | null = null;
let corkedReply: Reply = TOO_MANY_CONNECTIONS;
let corkedClose = false;
let corkedWithoutBody = false;

function writeCorked(): void {
  const response = corked as UwsResponse;
  writeHead(response, corkedReply);
  // With a length of its own the library would wait for that body, and close the connection on the next request.
  if (!corkedWithoutBody && corkedReply.status !== 204) response.end(corkedReply.body, corkedClose);
  else if (corkedClose) response.endWithoutBody(0, true);
  else response.endWithoutBody();
}

function writeReply(response: UwsResponse, reply: Reply, close: boolean, withoutBody: boolean): void {
  corked = response;
  corkedReply = reply;
  corkedClose = close;
  corkedWithoutBody = withoutBody;
  response.cork(writeCorked);
  corked = null;
}

function writeHead(response: UwsResponse, reply: Reply): void {
  if (reply.status !== 200) response.writeStatus(reply.statusLine);
  if (reply.status === 401) response.writeHeader('WWW-Authenticate', CHALLENGE);
  if (reply.status !== 204) response.writeHeader('Content-Type', 'application/json');
  if (reply.retryAfter !== '') response.writeHeader('Retry-After', reply.retryAfter);
  if (reply.allow !== '') response.writeHeader('Allow', reply.allow);
}

/** -1 when the head does not say; the library itself answers 400 to a length that is no number. */
function declaredBytes(request: UwsRequest): number {
  const text = request.getHeader('content-length');
  const bytes = text === '' ? -1 : Number(text);
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : -1;
}

/**
 * By default the library shares the port with whoever does so too (SO_REUSEPORT; the system spreads connections evenly): with doors of
 * our own threads that is wanted, but a second daemon would take half of the events. So the first one looks whether anybody is there.
 */
async function listen(uws: UwsModule, app: UwsApp, { host, port, use }: { readonly host: string; readonly port: number; readonly use: PortUse }): Promise<UwsListenSocket> {
  if (use === 'first') {
    const reason = await reasonNotToListen(host, port);
    if (reason !== null) {
      app.close();
      throw listenError(reason, host, port);
    }
  }
  const listening = listenNow(app, host, port, use === 'alone' ? uws.LIBUS_LISTEN_EXCLUSIVE_PORT : SHARED_PORT);
  if (listening !== null) return listening;
  app.close();
  throw listenError((await reasonNotToListen(host, port)) ?? inUseAMomentAgo(), host, port);
}

/** Null when it cannot. */
function listenNow(app: UwsApp, host: string, port: number, options: number): UwsListenSocket | null {
  let listening: UwsListenSocket | false = false;
  app.listen(host, port, options, (socket) => {
    listening = socket;
  });
  return listening === false ? null : listening;
}

const SHARED_PORT = 0;
const inUseAMomentAgo = (): Error => Object.assign(new Error('it was in use a moment ago'), { code: 'EADDRINUSE' });

/** The library says only that it cannot; a plain socket says why. Null when it can. */
function reasonNotToListen(host: string, port: number): Promise<unknown> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', resolve);
    probe.listen({ host, port, exclusive: true }, () => {
      probe.close(() => {
        resolve(null);
      });
    });
  });
}
