/** Which door opens, on which port, and what is said when it cannot. */

import { afterEach, describe, expect, it, vi } from 'vitest';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { EngineError } from '../../../engine/core/errors.ts';
import type { UwsListenSocket } from '../../../ingress/http/uws-api.ts';
import { loadUws } from '../../../ingress/http/uws.ts';
import type { IngressLog } from '../../../ingress/index.ts';
import { freePort } from '../../support/ports.ts';
import { DOORS, PUSH, ask, closeAll, message, open } from './harness.ts';

afterEach(closeAll);

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === '::1'));
const hosts = ['127.0.0.1', '0.0.0.0'] as const;
const pairs = DOORS.flatMap((first) => DOORS.flatMap((second) => hosts.flatMap((firstHost) => hosts.map((secondHost) => [first, firstHost, second, secondHost] as const))));

describe('a port that is taken', () => {
  it.each(pairs)('by %s on %s is refused to %s on %s', async (first, firstHost, second, secondHost) => {
    const holder = await open(first, { host: firstHost, port: await freePort('0.0.0.0') });
    await expect(open(second, { host: secondHost, port: holder.port })).rejects.toMatchObject({ code: 'PORT_IN_USE', where: { port: holder.port } });
    expect((await ask(holder.url + PUSH, { method: 'POST', body: message(1) })).status).toBe(200);
  });

  it.each(DOORS)('by a server that would share it is refused to %s', async (door) => {
    const uws = await loadUws();
    const sharing = uws.App();
    let socket: UwsListenSocket | false = false;
    sharing.listen('127.0.0.1', await freePort('0.0.0.0'), 0, (listening) => (socket = listening));
    if (socket === false) throw new Error('no port');
    await expect(open(door, { port: uws.us_socket_local_port(socket) })).rejects.toMatchObject({ code: 'PORT_IN_USE' });
    sharing.close();
  });

  it.each(DOORS)('by a plain socket is refused to %s, and free again once that is gone', async (door) => {
    const plain = createServer();
    const port = await freePort('0.0.0.0');
    await new Promise<void>((resolve) => plain.listen(port, '0.0.0.0', resolve));
    await expect(open(door, { port })).rejects.toMatchObject({ code: 'PORT_IN_USE' });
    await new Promise((resolve) => plain.close(resolve));
    const rig = await open(door, { port });
    expect(rig.port).toBe(port);
  });
});

describe.each(DOORS)('the %s door', (door) => {
  it('names an address that is not of this machine', async () => {
    await expect(open(door, { host: '192.0.2.1', port: 18_080 })).rejects.toMatchObject({ code: 'CONFIG_INVALID', where: { host: '192.0.2.1' } });
    await expect(open(door, { host: 'no.such.host.invalid', port: 18_080 })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('opens again on a port it has just left', async () => {
    const port = await freePort('0.0.0.0');
    const first = await open(door, { port });
    await ask(first.url + PUSH, { method: 'POST', body: message(1) });
    await closeAll();
    const second = await open(door, { port: first.port });
    expect((await ask(second.url + PUSH, { method: 'POST', body: message(1) })).status).toBe(200);
  });

  it.skipIf(!hasIpv6)('listens on IPv6 (needs ::1)', async () => {
    const rig = await open(door, { host: '::1' });
    expect((await ask(`http://[::1]:${rig.port}${PUSH}`, { method: 'POST', body: message(1) })).status).toBe(200);
  });
});

describe('the choice of door', () => {
  it('is uWebSockets.js where that loads', async () => {
    const rig = await open('uws', {}, { door: 'auto' });
    expect(rig.ingress.door).toEqual({ kind: 'uws', fallbackReason: null, port: rig.port });
  });

  it('falls back to node:http, saying why in one line, or fails when uWebSockets.js was asked for', async () => {
    vi.resetModules();
    vi.doMock('../../../ingress/http/uws.ts', async (original) => ({
      ...(await original<object>()),
      loadUws: () => Promise.reject(new EngineError('DOOR_UNAVAILABLE', 'uWebSockets.js cannot be loaded', { cause: new Error('no binary for this platform') })),
    }));
    // EngineError must be the same class on both sides of the mock.
    vi.doMock('../../../engine/core/errors.ts', () => ({ EngineError, messageOf: (thrown: Error) => thrown.message }));
    try {
      const { openDoor } = await import('../../../ingress/http/door.ts');
      const { ingressOptionsSchema } = await import('../../../ingress/options.ts');
      const warnings: unknown[] = [];
      const log: IngressLog = { info: () => undefined, warn: (fields, text) => warnings.push([fields, text]), error: () => undefined };
      const intake = { options: ingressOptionsSchema.parse({ host: '127.0.0.1', port: 0 }), tls: null } as unknown as Parameters<typeof openDoor>[1];
      const door = await openDoor('auto', intake, log);
      expect([door.kind, door.fallbackReason]).toEqual(['node', 'no binary for this platform']);
      door.close();
      expect(warnings).toEqual([[{ door: 'node', reason: 'no binary for this platform' }, expect.stringContaining('node:http')]]);
      await expect(openDoor('uws', intake, log)).rejects.toMatchObject({ code: 'DOOR_UNAVAILABLE' });
    } finally {
      vi.doUnmock('../../../ingress/http/uws.ts');
      vi.doUnmock('../../../engine/core/errors.ts');
      vi.resetModules();
    }
  });
});
