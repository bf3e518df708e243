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
import type { Door } from './door.ts';
import { Exchange } from './exchange.ts';
import type { Intake, PortUse } from './intake.ts';
import { listenError } from './listen-error.ts';
import { TOO_MANY_CONNECTIONS, type Reply } from './replies.ts';
import { COSTS, EVENTS, PUSH, PUSH_GET, routeOf, type Route } from './routes.ts';
import type { UwsListenSocket, UwsModule, UwsRequest, UwsResponse } from './uws-api.ts';

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

export async function openUwsDoor(uws: UwsModule, intake: Intake): Promise<Door> {
  const { host, port, connections_max: connectionsMax } = intake.options;
  let connections = 0;
  const app = uws.App();
  app.filter((response, change) => {
    connections += change;
    if (change < 0 || connections <= connectionsMax) return;
    intake.counters.refused(TOO_MANY_CONNECTIONS.code);
    writeReply(response, TOO_MANY_CONNECTIONS, true, false);
  });
  app.post(PUSH.path, (response, request) => {
    const exchange = new UwsExchange(intake, PUSH, response, false);
    exchange.begin(declaredBytes(request), '', '');
  });
  app.get(PUSH_GET.path, (response, request) => {
    const exchange = new UwsExchange(intake, PUSH_GET, response, false);
    exchange.query = request.getQuery() ?? '';
    exchange.begin(declaredBytes(request), '', '');
  });
  const others = (route: Route) => (response: UwsResponse, request: UwsRequest) => {
    const method = request.getCaseSensitiveMethod();
    const exchange = new UwsExchange(intake, route.fixed === null ? route : routeOf(method, request.getUrl()), response, method === 'HEAD');
    exchange.begin(declaredBytes(request), request.getHeader('content-type'), request.getHeader('content-encoding'));
  };
  app.post(EVENTS.path, others(EVENTS));
  app.put(COSTS.path, (response, request) => {
    const exchange = new UwsExchange(intake, COSTS, response, false);
    exchange.query = request.getQuery() ?? '';
    exchange.begin(declaredBytes(request), request.getHeader('content-type'), request.getHeader('content-encoding'));
  });
  app.any('/*', others(routeOf('', '')));

  const listenSocket = await listen(uws, app, { host, port, use: intake.port });
  let listening: UwsListenSocket | null = listenSocket;
  const stopListening = (): void => {
    if (listening === null) return;
    uws.us_listen_socket_close(listening);
    listening = null;
  };
  const close = (): void => {
    process.off('exit', close);
    stopListening();
    app.close();
  };
  process.once('exit', close);
  return {
    kind: 'uws',
    fallbackReason: null,
    port: uws.us_socket_local_port(listenSocket),
    get connections() {
      return connections;
    },
    stopListening,
    close,
  };
}

class UwsExchange extends Exchange {
  readonly #response: UwsResponse;
  readonly #isHead: boolean;

  constructor(intake: Intake, route: Route, response: UwsResponse, isHead: boolean) {
    super(intake, route);
    this.#response = response;
    this.#isHead = isHead;
    response.onAborted(() => {
      this.aborted();
    });
    response.onData((chunk, isLast) => {
      this.chunk(Buffer.from(chunk), isLast);
    });
  }

  protected send(reply: Reply, close: boolean): void {
    writeReply(this.#response, reply, close, this.#isHead);
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
async function listen(uws: UwsModule, app: ReturnType<UwsModule['App']>, { host, port, use }: { readonly host: string; readonly port: number; readonly use: PortUse }): Promise<UwsListenSocket> {
  if (use === 'first') {
    const reason = await reasonNotToListen(host, port);
    if (reason !== null) {
      app.close();
      throw listenError(reason, host, port);
    }
  }
  let listening: UwsListenSocket | false = false;
  app.listen(host, port, use === 'alone' ? uws.LIBUS_LISTEN_EXCLUSIVE_PORT : SHARED_PORT, (socket) => {
    listening = socket;
  });
  if (listening !== false) return listening;
  app.close();
  throw listenError((await reasonNotToListen(host, port)) ?? inUseAMomentAgo(), host, port);
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
