/** The admin routes before and after recovery, over the wire: a reader must not see a revision fall back. */

import { afterEach, beforeEach, expect, it } from 'vitest';
import { adminRoutes } from '../../../engine/admin-routes.ts';
import type { Daemon } from '../../../engine/main.ts';
import { openAdminServer, type AdminServer } from '../../../engine/runtime/admin-server.ts';
import { openLive, merged, output } from '../../unit/live/helpers.ts';

const state = { ready: false, draining: false, door: { kind: 'node', fallbackReason: null, port: 1, host: '127.0.0.1' }, diskReserveExhausted: false, diskFreeBytes: 7 };
let server: AdminServer;
let url: string;
beforeEach(async () => {
  const live = openLive();
  await live.apply(output([merged()]), 1);
  // Of the daemon, what these routes read.
  const daemon = { state, settings: { fault_injection: false }, engine: { live } } as unknown as Daemon;
  server = await openAdminServer({ host: '127.0.0.1', port: 0, version: '1', routes: adminRoutes(daemon), onError: () => undefined });
  url = `http://127.0.0.1:${server.port}`;
});
afterEach(() => server.close());

it('queries and the stream answer 503 with Retry-After until recovery is complete, and readiness says why', async () => {
  state.ready = false;
  for (const path of ['/v1/metrics/hourly', '/v1/metrics/daily', '/v1/stream']) {
    const answer = await fetch(url + path);
    expect({ path, status: answer.status, retryAfter: answer.headers.get('retry-after') }).toEqual({ path, status: 503, retryAfter: '1' });
    expect(await answer.json()).toMatchObject({ error: { code: 'NOT_READY' } });
  }
  const notReady = await fetch(`${url}/readyz`);
  expect([notReady.status, await notReady.json()]).toEqual([503, { status: 'not ready', reasons: ['recovery has not finished'] }]);
  state.ready = true;
  const hourly = await fetch(`${url}/v1/metrics/hourly`);
  expect([hourly.status, (await hourly.json() as { rows: unknown[] }).rows.length]).toEqual([200, 1]);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
});
