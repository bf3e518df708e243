/**
 * The admin HTTP server: routes are declared as data by the wiring, answered on the main thread. The only door to fastify.
 *
 * Requests are bounded (short bodies of JSON for the routes that take one, short headers, few connections), and so is the time to read an answer; an unexpected error answers 500 with a code and is logged, never a stack.
 * The OpenAPI document is generated from the same declarations, so that it cannot disagree with the routes.
 */

import type { Readable } from 'node:stream';
import fastifySwagger from '@fastify/swagger';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { EngineError, messageOf } from '../core/errors.ts';
import { z } from '../core/schema.ts';
import type { AdminAccess } from './admin-access.ts';

export interface AdminReply {
  readonly status?: number;
  readonly contentType: string;
  readonly body: string | Uint8Array | Readable;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface AdminRequest {
  readonly query: Readonly<Record<string, string | readonly string[]>>;
  readonly params: Readonly<Record<string, string>>;
  /** Of a route that takes one; not judged. */
  readonly body: unknown;
  /** Calls back when the client has gone. */
  onClose(listener: () => void): void;
}

export interface AdminRoute {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly summary: string;
  /** Of the query string, for the OpenAPI document; values are checked by the handler. */
  readonly query?: z.ZodType;
  /** The same of the names in the path. */
  readonly params?: z.ZodType;
  /** The same of a body of JSON, of at most {@link BODY_BYTES_MAX}. */
  readonly body?: z.ZodType;
  readonly answers: Readonly<Record<number, string>>;
  readonly contentType: string;
  /** The answer lasts as long as the client or the work does: it has no time limit, and there is no HEAD, which no client would end. */
  readonly lasting?: boolean;
  /** Answers without a credential: for probes that have none. */
  readonly open?: boolean;
  readonly handle: (request: AdminRequest) => AdminReply | Promise<AdminReply>;
}

export interface AdminServer {
  readonly port: number;
  close(): Promise<void>;
}

export interface AdminServerOptions {
  readonly host: string;
  readonly port: number;
  readonly version: string;
  readonly routes: readonly AdminRoute[];
  /** Null: whoever reaches the port may do all. */
  readonly access?: AdminAccess | null;
  readonly onError: (error: unknown, path: string) => void;
  /** How long a client may take to read an answer; {@link ANSWER_MS_MAX} unless told. */
  readonly answerMsMax?: number;
}

export interface ToldError {
  readonly code: string;
  readonly message: string;
}

const CONNECTIONS_MAX = 1_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** A client that reads more slowly loses its connection, and the answer that waits for it its memory. Chosen: 10,000 rows at 1 Mbit/s. */
const ANSWER_MS_MAX = 60_000;
/** Chosen: no route needs more than some names. */
export const BODY_BYTES_MAX = 16 * 1024;
const OPENAPI_PATH = '/openapi.json';

export const json = (value: unknown, status = 200): AdminReply => ({ status, contentType: 'application/json; charset=utf-8', body: JSON.stringify(value) });

/** An error body in the one shape that all of Millrace's HTTP answers share. */
export const errorReply = (status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}): AdminReply => ({
  ...json({ error: { code, message } }, status),
  headers,
});

/** Listens, or raises PORT_IN_USE. */
export async function openAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const server = Fastify({ bodyLimit: 64 * 1024, requestTimeout: REQUEST_TIMEOUT_MS, connectionTimeout: 0, forceCloseConnections: true, routerOptions: { maxParamLength: 500 } });
  server.server.maxConnections = CONNECTIONS_MAX;
  server.server.headersTimeout = 10_000;
  await server.register(fastifySwagger, { openapi: { openapi: '3.1.0', info: { title: 'Millrace admin API', version: options.version } } });
  if (options.access) guard(server, options.access, options.routes.filter(({ open }) => open === true).map(({ path }) => path));
  for (const route of options.routes) addRoute(server, route, options);
  server.get(OPENAPI_PATH, { schema: { hide: true } }, async () => server.swagger());
  for (const path of new Set([OPENAPI_PATH, ...options.routes.map((route) => route.path)])) {
    const methods = path === OPENAPI_PATH ? ['GET', 'HEAD'] : options.routes.filter((route) => route.path === path).flatMap((route) => (hasHead(route) ? ['GET', 'HEAD'] : [route.method]));
    refuseOtherMethods(server, path, methods);
  }
  server.setErrorHandler((error: { readonly statusCode?: number; readonly message: string }, request, reply) => send(reply, refusedBody(error, request.url, options.onError)));
  server.setNotFoundHandler((request, reply) => send(reply, errorReply(404, 'NOT_FOUND', `${request.method} ${request.url.slice(0, 200)}: no such route: see ${OPENAPI_PATH}`)));
  try {
    await server.listen({ host: options.host, port: options.port });
  } catch (error) {
    await server.close();
    throw listenError(error, options);
  }
  const address = server.server.address();
  return { port: typeof address === 'object' && address !== null ? address.port : options.port, close: () => server.close() };
}

/** At the head of every request, unknown paths included: who may not look learns nothing of what there is. */
function guard(server: FastifyInstance, access: AdminAccess, open: readonly string[]): void {
  server.addHook('onRequest', async (request, reply) => {
    if (open.includes(request.routeOptions.url ?? '')) return undefined;
    switch (access.missing(request.method, request.headers.authorization ?? '')) {
      case null:
        return undefined;
      case 'credential':
        return send(reply, errorReply(401, 'UNAUTHORIZED', 'no valid credential came with the request: send a token of admin.read_tokens or admin.operate_tokens as Authorization: Bearer (commands: MILLRACE_ADMIN_TOKEN)', { 'www-authenticate': 'Basic realm="millrace", charset="UTF-8"' }));
      case 'role':
        return send(reply, errorReply(403, 'FORBIDDEN', `${request.method} needs a token of admin.operate_tokens; this one may only read`));
    }
  });
}

const hasHead = (route: AdminRoute): boolean => route.method === 'GET' && route.lasting !== true;

function addRoute(server: FastifyInstance, route: AdminRoute, { onError, answerMsMax = ANSWER_MS_MAX }: AdminServerOptions): void {
  server.route({
    method: route.method,
    url: route.path,
    exposeHeadRoute: hasHead(route),
    bodyLimit: BODY_BYTES_MAX,
    schema: {
      summary: route.summary,
      ...(route.query === undefined ? {} : { querystring: documented(route.query) }),
      ...(route.params === undefined ? {} : { params: documented(route.params) }),
      ...(route.body === undefined ? {} : { body: documented(route.body) }),
      // Errors are JSON everywhere.
      response: Object.fromEntries(Object.entries(route.answers).map(([status, description]) => [status, { description, content: { [Number(status) < 400 ? route.contentType : 'application/json']: { schema: {} } } }])),
    },
    // The handler judges the query itself, with messages that name key, value and fix.
    validatorCompiler: () => () => true,
    serializerCompiler: () => (value) => value as string,
    handler: async (request, reply) => {
      let answer: AdminReply;
      try {
        answer = await route.handle({
          query: request.query as AdminRequest['query'],
          params: request.params as AdminRequest['params'],
          body: request.body,
          onClose: (listener) => {
            request.raw.socket.once('close', listener);
          },
        });
      } catch (error) {
        answer = replyOf(error, route.path, onError);
      }
      if (route.lasting !== true) endUnread(reply, answerMsMax);
      return send(reply, answer);
    },
  });
}

/** From when the answer is made: how long that took is the route's own affair. */
function endUnread(reply: FastifyReply, answerMsMax: number): void {
  const timer = setTimeout(() => reply.raw.destroy(), answerMsMax).unref();
  reply.raw.once('close', () => {
    clearTimeout(timer);
  });
}

const documented = (schema: z.ZodType): object => z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });

/** At the head of the request: a body that came with it is not looked at. */
function refuseOtherMethods(server: FastifyInstance, path: string, allowed: readonly string[]): void {
  const allow = allowed.join(', ');
  server.route({
    method: server.supportedMethods.filter((method) => !allowed.includes(method)),
    url: path,
    schema: { hide: true },
    onRequest: async (request, reply) => send(reply, errorReply(405, 'METHOD_NOT_ALLOWED', `${request.method} ${path}: use ${allow}`, { allow })),
    handler: () => undefined,
  });
}

const send = (reply: FastifyReply, answer: AdminReply): FastifyReply => reply.code(answer.status ?? 200).headers(answer.headers ?? {}).type(answer.contentType).send(answer.body);

function replyOf(error: unknown, path: string, onError: AdminServerOptions['onError']): AdminReply {
  const { code, message } = toldOf(error);
  if (error instanceof EngineError) {
    if (error.code === 'NOT_READY') return errorReply(503, code, message, { 'retry-after': '1' });
    if (error.domain === 'input' || error.domain === 'config') return errorReply(400, code, message);
  }
  onError(error, path);
  return errorReply(500, code, message);
}

/** Handlers answer for their own errors: what comes here is of the request itself. */
function refusedBody(error: { readonly statusCode?: number; readonly message: string }, path: string, onError: AdminServerOptions['onError']): AdminReply {
  const { statusCode = 500 } = error;
  if (statusCode < 500) return errorReply(statusCode, 'BODY_REFUSED', `the body cannot be taken: ${error.message}: send JSON of at most ${BODY_BYTES_MAX} bytes as application/json`);
  onError(error, path);
  return errorReply(500, 'INTERNAL', 'an unexpected error: see the log');
}

/** What a client is told of an error: of a bug, nothing. */
export function toldOf(error: unknown): ToldError {
  if (!(error instanceof EngineError)) return { code: 'INTERNAL', message: 'an unexpected error: see the log' };
  return { code: error.code, message: error.fix === undefined ? error.message : `${error.message}: ${error.fix}` };
}

function listenError(error: unknown, options: AdminServerOptions): EngineError {
  const code = (error as NodeJS.ErrnoException).code;
  const where = { host: options.host, port: options.port };
  if (code === 'EADDRINUSE') return new EngineError('PORT_IN_USE', `admin port ${options.port} on ${options.host} is in use`, { where, fix: 'stop what listens there or set admin.port (MILLRACE_ADMIN_PORT)', cause: error });
  return new EngineError('CONFIG_INVALID', `admin.host ${options.host}, admin.port ${options.port}: cannot listen: ${messageOf(error)}`, { where, fix: 'set admin.host and admin.port to an address of this machine', cause: error });
}
