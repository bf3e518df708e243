/** The admin server over the wire: what it answers where no route or another method was meant. */

import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { json, openAdminServer, type AdminRoute, type AdminServer } from '../../../engine/runtime/admin-server.ts';

const routeOf = (method: 'GET' | 'POST', path: string): AdminRoute => ({ method, path, summary: path, answers: { 200: 'done' }, contentType: 'application/json', handle: ({ params }) => json({ path, ...params }) });

let server: AdminServer;
let url: string;
beforeEach(async () => {
  server = await openAdminServer({ host: '127.0.0.1', port: 0, version: '1', routes: [routeOf('GET', '/v1/facts'), routeOf('GET', '/v1/things/:id'), routeOf('POST', '/v1/acts'), routeOf('GET', '/v1/both'), routeOf('POST', '/v1/both'), { ...routeOf('GET', '/v1/lasting'), lasting: true }], onError: () => undefined });
  url = `http://127.0.0.1:${server.port}`;
});
afterEach(() => server.close());

const ask = async (method: string, path: string, init: RequestInit = {}): Promise<[status: number, allow: string | null, code: string | undefined]> => {
  const answer = await fetch(url + path, { ...init, method });
  const text = await answer.text();
  return [answer.status, answer.headers.get('allow'), text === '' ? undefined : (JSON.parse(text) as { error?: { code: string } }).error?.code];
};

describe('the admin server', () => {
  it('answers another method than a route has with 405 and the methods it has, before it looks at the body', async () => {
    const refused = (allow: string): unknown => [405, allow, 'METHOD_NOT_ALLOWED'];
    expect(await ask('POST', '/v1/facts')).toEqual(refused('GET, HEAD'));
    expect(await ask('POST', '/v1/facts?x=1', { body: 'no JSON', headers: { 'content-type': 'application/json' } })).toEqual(refused('GET, HEAD'));
    expect(await ask('PUT', '/v1/facts', { body: 'x', headers: { 'content-type': 'image/png' } })).toEqual(refused('GET, HEAD'));
    expect(await ask('DELETE', '/v1/things/7')).toEqual(refused('GET, HEAD'));
    expect(await ask('POST', '/openapi.json')).toEqual(refused('GET, HEAD'));
    expect(await ask('GET', '/v1/acts')).toEqual(refused('POST'));
    expect(await ask('HEAD', '/v1/acts')).toEqual([405, 'POST', undefined]);
    expect(await ask('PATCH', '/v1/both')).toEqual(refused('GET, HEAD, POST'));
    expect(await ask('PATCH', '/v1/lasting')).toEqual(refused('GET'));
  });

  it('answers what it has, and 404 where it has nothing', async () => {
    for (const [method, path] of [['GET', '/v1/facts'], ['HEAD', '/v1/facts'], ['GET', '/v1/things/7'], ['POST', '/v1/acts'], ['GET', '/v1/both'], ['POST', '/v1/both']]) {
      expect(await ask(method as string, path as string), `${method} ${path}`).toEqual([200, null, undefined]);
    }
    for (const method of ['GET', 'POST', 'DELETE']) expect(await ask(method, '/v1/nothing')).toEqual([404, null, 'NOT_FOUND']);
  });

  it('has no HEAD where an answer lasts: nothing would end it', async () => {
    expect(await ask('HEAD', '/v1/lasting')).toEqual([405, 'GET', undefined]);
    expect(await ask('GET', '/v1/lasting')).toEqual([200, null, undefined]);
  });

  it('keeps the refused methods out of its own description', async () => {
    const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: Record<string, object> };
    expect(Object.fromEntries(Object.entries(paths).map(([path, methods]) => [path, Object.keys(methods).sort()]))).toEqual({ '/v1/facts': ['get'], '/v1/things/{id}': ['get'], '/v1/acts': ['post'], '/v1/both': ['get', 'post'], '/v1/lasting': ['get'] });
  });
});

describe('an answer', () => {
  const ANSWER_MS_MAX = 300;
  const LARGE_BYTES = 32 * 1024 ** 2;

  /** Asks for a large answer and reads nothing of it; tells when the answer was thrown away. */
  async function unread(route: Partial<AdminRoute>, ms: number): Promise<boolean> {
    let isClosed = false;
    const chunk = Buffer.alloc(64 * 1024);
    const handle = (): { contentType: string; body: Readable } => {
      const body = Readable.from(Array.from({ length: LARGE_BYTES / chunk.byteLength }, () => chunk));
      body.once('close', () => {
        isClosed = true;
      });
      return { contentType: 'text/plain', body };
    };
    const slow = await openAdminServer({ host: '127.0.0.1', port: 0, version: '1', answerMsMax: ANSWER_MS_MAX, onError: () => undefined, routes: [{ ...routeOf('GET', '/large'), handle, ...route }] });
    const client = connect({ host: '127.0.0.1', port: slow.port }).on('error', () => undefined);
    client.pause().write('GET /large HTTP/1.1\r\nhost: x\r\n\r\n');
    await pause(ms);
    const wasClosed = isClosed;
    client.destroy();
    await slow.close();
    return wasClosed;
  }

  it('that its client does not read is thrown away in time', async () => {
    expect(await unread({}, ANSWER_MS_MAX * 4)).toBe(true);
  });

  it('that lasts as long as the client does is not', async () => {
    expect(await unread({ lasting: true }, ANSWER_MS_MAX * 4)).toBe(false);
  });

  it('may take longer to make, and another may follow on the same connection', async () => {
    const slow = await openAdminServer({ host: '127.0.0.1', port: 0, version: '1', answerMsMax: 50, onError: () => undefined, routes: [{ ...routeOf('GET', '/late'), handle: () => pause(200, json({})) }] });
    for (let at = 0; at < 3; at++) expect((await fetch(`http://127.0.0.1:${slow.port}/late`)).status).toBe(200);
    await slow.close();
  });

  it('whose client has gone before it was made is thrown away at once', async () => {
    let isClosed = false;
    const handle = async (): Promise<{ contentType: string; body: Readable }> => {
      await pause(100);
      const body = Readable.from(['x']);
      body.once('close', () => {
        isClosed = true;
      });
      return { contentType: 'text/plain', body };
    };
    const slow = await openAdminServer({ host: '127.0.0.1', port: 0, version: '1', onError: () => undefined, routes: [{ ...routeOf('GET', '/gone'), handle }] });
    const client = connect({ host: '127.0.0.1', port: slow.port }).on('error', () => undefined);
    client.write('GET /gone HTTP/1.1\r\nhost: x\r\n\r\n');
    await pause(50);
    client.destroy();
    await pause(200);
    expect(isClosed).toBe(true);
    await slow.close();
  });
});
