/** TLS on the ingest port: both doors, renewal of the certificate, certificates of clients. */

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request, type RequestOptions } from 'node:https';
import { connect, type SecureVersion } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ingressOptionsSchema, type IngressOptions } from '../../../ingress/index.ts';
import { TestCertificates, type KeyPair } from '../../peers/certificates.ts';
import { freePort } from '../../support/ports.ts';
import { DOORS, EVENTS, PUSH, closeAll, message, open, pause, until, untilQuiet, type Rig } from './harness.ts';

let ours: TestCertificates;
let first: KeyPair;
let second: KeyPair;
let served: KeyPair;
beforeAll(() => {
  ours = new TestCertificates();
  first = ours.issue('first');
  second = ours.issue('second');
  served = { certFile: ours.file('served.pem'), keyFile: ours.file('served.key') };
});
afterAll(() => {
  ours.remove();
});
afterEach(closeAll);

function tls(given: Partial<IngressOptions['tls']> = {}): Partial<IngressOptions> {
  ours.replace(served, first);
  return { tls: ingressOptionsSchema.parse({ tls: { cert_file: served.certFile, key_file: served.keyFile, ...given } }).tls };
}

interface Told {
  readonly status: number;
  readonly body: string;
  readonly servedBy: string;
  readonly connection: string | undefined;
}

function send(rig: Rig, path: string, body: string, options: RequestOptions = {}): Promise<Told> {
  return new Promise((resolve, reject) => {
    let servedBy = '';
    const asked = request({ host: '127.0.0.1', port: rig.port, path, method: 'POST', ca: readFileSync(ours.caFile), agent: false, ...options }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => {
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString(), servedBy, connection: answer.headers.connection });
      });
    });
    asked.on('socket', (socket) => {
      const look = (): void => {
        servedBy = String((socket as ReturnType<typeof connect>).getPeerCertificate().subject.CN);
      };
      if (socket.connecting) socket.once('secureConnect', look);
      else look();
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

const handshake = (rig: Rig, version: SecureVersion): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: rig.port, ca: readFileSync(ours.caFile), minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' }, () => {
      resolve(socket.getProtocol() ?? '');
      socket.destroy();
    });
    socket.on('error', () => {
      resolve('refused');
    });
  });

describe.each(DOORS)('on the %s door, over TLS', (door) => {
  it('takes what it takes without, whatever its size', async () => {
    const rig = await open(door, tls());
    expect(await send(rig, PUSH, message('anna'))).toMatchObject({ status: 200, body: '{"received":1}', servedBy: 'first' });
    const lines = Array.from({ length: 20_000 }, (_, user) => message(user)).join('\n');
    expect(await send(rig, EVENTS, lines, { headers: { 'content-type': 'application/x-ndjson' } })).toMatchObject({ status: 200 });
    expect(await send(rig, PUSH, 'no json')).toMatchObject({ status: 400 });
    expect(rig.log.records).toHaveLength(20_002);
    expect(rig.ingress.stats().certificateExpiresAtMs).toBeGreaterThan(Date.now());
    await untilQuiet(rig);
  });

  it('speaks TLS 1.2 and 1.3 and nothing older, and no plain HTTP', async () => {
    const rig = await open(door, tls());
    expect(await Promise.all((['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const).map((version) => handshake(rig, version)))).toEqual(['refused', 'refused', 'TLSv1.2', 'TLSv1.3']);
    await expect(fetch(rig.url + PUSH, { method: 'POST', body: message('anna') })).rejects.toThrow();
    expect(rig.log.records).toEqual([]);
  });

  it('gives new connections a renewed certificate and goes on with those that are open', async () => {
    const rig = await open(door, { ...tls(), port: await freePort() });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      expect(await send(rig, PUSH, message('kept'), { agent })).toMatchObject({ status: 200, servedBy: 'first' });
      // A key that does not belong to the certificate changes nothing.
      copyFileSync(second.certFile, served.certFile);
      rig.ingress.readAgain();
      expect(await send(rig, PUSH, message('between'))).toMatchObject({ status: 200, servedBy: 'first' });
      copyFileSync(second.keyFile, served.keyFile);
      rig.ingress.readAgain();
      expect(await send(rig, PUSH, message('kept'), { agent })).toMatchObject({ status: 200, servedBy: 'first' });
      expect(await send(rig, PUSH, message('new'))).toMatchObject({ status: 200, servedBy: 'second' });
      ours.replace(served, first);
      // By itself, as the files change.
      let servedBy = '';
      while (servedBy !== 'first') {
        servedBy = (await send(rig, PUSH, message('looked at'))).servedBy;
        await pause(200);
      }
    } finally {
      agent.destroy();
    }
    await untilQuiet(rig);
    await rig.ingress.drain(1_000);
    await expect(send(rig, PUSH, message('late'))).rejects.toThrow();
  }, 20_000);

  it('loses nothing that it has answered while certificates change under load', async () => {
    const rig = await open(door, { ...tls(), port: await freePort() });
    let stopped = false;
    let answered = 0;
    const sender = async (number: number): Promise<void> => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      for (let sent = 0; !stopped; sent++) {
        const told = await send(rig, PUSH, message(`${number}-${sent}`), { agent }).catch(() => null);
        if (told?.status === 200) answered++;
      }
      agent.destroy();
    };
    const senders = Array.from({ length: 8 }, (_, number) => sender(number));
    for (let round = 0; round < 6; round++) {
      await pause(100);
      ours.replace(served, round % 2 === 0 ? second : first);
      rig.ingress.readAgain();
    }
    stopped = true;
    await Promise.all(senders);
    expect(answered).toBeGreaterThan(50);
    // What was not answered may be there too; never less.
    expect(rig.log.records.length).toBeGreaterThanOrEqual(answered);
    await untilQuiet(rig);
  }, 20_000);

  it('does not open with files that do not fit together', async () => {
    await expect(open(door, tls({ key_file: second.keyFile }))).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('ingest.tls') as unknown });
    await expect(open(door, tls({ cert_file: ours.file('none.pem') }))).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('cert_file') as unknown });
    writeFileSync(ours.file('garbage.pem'), 'no certificate');
    await expect(open(door, tls({ cert_file: ours.file('garbage.pem') }))).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('certificates of clients', () => {
  it('are insisted on by node:http: who has none of the authority is cut before a request is read', async () => {
    const strangers = new TestCertificates('Another CA');
    const client = ours.issue('client');
    const foreign = strangers.issue('foreign');
    const rig = await open('node', tls({ client_ca_file: ours.caFile }));
    const withPair = ({ certFile, keyFile }: KeyPair): RequestOptions => ({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
    expect(await send(rig, PUSH, message('anna'), withPair(client))).toMatchObject({ status: 200 });
    await expect(send(rig, PUSH, message('nobody'))).rejects.toThrow();
    await expect(send(rig, PUSH, message('foreign'), withPair(foreign))).rejects.toThrow();
    await until(() => rig.ingress.stats().connections === 0, 'all to be gone');
    expect(rig.log.records).toHaveLength(1);
    // With them `auto` is node:http, also where the other door loads.
    expect((await open('auto' as 'node', tls({ client_ca_file: ours.caFile }))).ingress.door.kind).toBe('node');
    strangers.remove();
  });

  it('are refused by uWebSockets.js, which would let in who shows none', async () => {
    await expect(open('uws', tls({ client_ca_file: ours.caFile }))).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('client_ca_file') as unknown });
  });
});
