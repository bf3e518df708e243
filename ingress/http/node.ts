/**
 * The door on node:http, for where uWebSockets.js does not load; the only file of the ingress that imports node:http.
 *
 * Same answers, about a fifth of the rate. Requests that a client sends before the first is answered are answered in order.
 * Owned by the ingress thread.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { TLS_VERSION_MIN, type TlsMaterial } from '../tls/tls-files.ts';
import type { Door } from './door.ts';
import { Exchange } from './exchange.ts';
import type { Intake } from './intake.ts';
import { listenError } from './listen-error.ts';
import { BAD_REQUEST, CHALLENGE, TOO_MANY_CONNECTIONS, type Reply } from './replies.ts';
import { routeOf, s2sAppId, type Route } from './routes.ts';

/** How often Node looks for connections past their header timeout. Milliseconds. */
const TIMEOUT_CHECK_INTERVAL_MS = 500;
const NO_BYTES = Buffer.alloc(0);

export async function openNodeDoor(intake: Intake, fallbackReason: string | null): Promise<Door> {
  const { options } = intake;
  const http = {
    maxHeaderSize: options.head_bytes_max,
    headersTimeout: options.header_timeout_ms,
    keepAliveTimeout: options.idle_timeout_ms,
    // The deadline of the body is the exchange's, as on the other door.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_INTERVAL_MS, options.header_timeout_ms),
  };
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    receive(intake, request, response);
  };
  const tlsServer = intake.tls === null ? null : createTlsServer({ ...http, ...secureOptions(intake.tls), handshakeTimeout: options.header_timeout_ms }, listener);
  const server: Server | TlsServer = tlsServer ?? createServer(http, listener);
  const connections = countConnections(server, intake);
  server.on('clientError', refuseGarbage);
  await listen(server, options.host, options.port);
  const { port } = server.address() as AddressInfo;
  return {
    kind: 'node',
    fallbackReason,
    port,
    get connections() {
      return connections.size;
    },
    renew: (material) => {
      tlsServer?.setSecureContext(secureOptions(material));
    },
    stopListening: () => {
      server.close();
      server.closeIdleConnections();
    },
    close: () => {
      server.close();
      for (const socket of connections) socket.destroy();
    },
  };
}

/** Who has to show a certificate and has none is cut in the handshake. */
const secureOptions = ({ cert, key, clientAuthorities }: TlsMaterial): Readonly<Record<string, unknown>> => ({
  cert,
  key,
  minVersion: TLS_VERSION_MIN,
  ...(clientAuthorities !== null && { ca: clientAuthorities, requestCert: true, rejectUnauthorized: true }),
});

class NodeExchange extends Exchange {
  readonly #response: ServerResponse;

  constructor(intake: Intake, route: Route, response: ServerResponse) {
    super(intake, route);
    this.#response = response;
  }

  protected send(reply: Reply, close: boolean): void {
    const response = this.#response;
    response.writeHead(reply.status, headers(reply, close, reply.status === 204 ? -1 : Buffer.byteLength(reply.body)));
    response.end(reply.body);
  }

  protected sendEarly(reply: Reply): void {
    this.#response.writeHead(reply.status, headers(reply, true, -1));
    this.#response.write(reply.body);
  }

  protected endEarly(): void {
    this.#response.end();
  }

  protected cut(): void {
    this.#response.destroy();
  }
}

function receive(intake: Intake, request: IncomingMessage, response: ServerResponse): void {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const exchange = new NodeExchange(intake, routeOf(request.method ?? '', path), response);
  exchange.appId = s2sAppId(path);
  if (mark >= 0) exchange.query = utf8(url.slice(mark + 1));
  const declared = request.headers['content-length'] === undefined ? -1 : Number(request.headers['content-length']);
  let receivedBytes = 0;
  // The end is known with the last byte, so that a body in one piece is used where it lies.
  request.on('data', (chunk: Buffer) => {
    receivedBytes += chunk.byteLength;
    exchange.chunk(chunk, receivedBytes === declared);
  });
  request.on('end', () => {
    if (declared <= 0 || receivedBytes !== declared) exchange.chunk(NO_BYTES, true);
  });
  request.on('error', () => {
    exchange.aborted();
  });
  response.on('close', () => {
    exchange.aborted();
  });
  exchange.begin(declared, request.headers['content-type'] ?? '', request.headers['content-encoding'] ?? '', {
    header: (name) => headerText(request.headers[name]),
    peer: () => request.socket.remoteAddress ?? '',
  });
}

/** A header that came twice, as one: so does the other door say it of the first, and Node joins most of them by itself. */
const headerText = (value: string | string[] | undefined): string => (typeof value === 'string' ? value : (value?.[0] ?? ''));

function headers(reply: Reply, close: boolean, bodyBytes: number): Record<string, string> {
  const named: Record<string, string> = reply.status === 204 ? {} : { 'Content-Type': 'application/json' };
  if (bodyBytes >= 0) named['Content-Length'] = String(bodyBytes);
  if (reply.retryAfter !== '') named['Retry-After'] = reply.retryAfter;
  if (reply.allow !== '') named['Allow'] = reply.allow;
  if (reply.status === 401) named['WWW-Authenticate'] = CHALLENGE;
  if (close) named['Connection'] = 'close';
  return named;
}

/** Node hands the URL over with one character per byte. */
const utf8 = (text: string): string => (/[\u0080-\u00ff]/.test(text) ? Buffer.from(text, 'latin1').toString('utf8') : text);

function countConnections(server: Server | TlsServer, intake: Intake): ReadonlySet<Socket> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
    });
    if (open.size <= intake.options.connections_max) return;
    intake.counters.refused(TOO_MANY_CONNECTIONS.code);
    // Before the handshake nobody could read an answer.
    if (intake.tls !== null) socket.destroy();
    else finishSocket(socket, rawReply(TOO_MANY_CONNECTIONS.statusLine, TOO_MANY_CONNECTIONS));
  });
  return open;
}

/** What is no HTTP gets an answer all the same, and the end of its connection. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: unknown): void {
  const client = socket as Socket;
  if (!client.writable || error.code === 'ECONNRESET') {
    client.destroy();
    return;
  }
  const statusLine = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : BAD_REQUEST.statusLine;
  finishSocket(client, rawReply(statusLine, BAD_REQUEST));
}

function rawReply(statusLine: string, reply: Reply): string {
  const retry = reply.retryAfter === '' ? '' : `Retry-After: ${reply.retryAfter}\r\n`;
  return `HTTP/1.1 ${statusLine}\r\nConnection: close\r\nContent-Type: application/json\r\n${retry}Content-Length: ${Buffer.byteLength(reply.body)}\r\n\r\n${reply.body}`;
}

/** Writes the answer and ends the connection, whether its client reads it or not. */
function finishSocket(socket: Socket, answer: string): void {
  socket.write(answer);
  socket.destroySoon();
}

function listen(server: Server | TlsServer, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (cause: Error): void => {
      reject(listenError(cause, host, port));
    };
    server.once('error', failed);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', failed);
      resolve();
    });
  });
}
