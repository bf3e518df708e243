/** Noise on the sockets of both listeners, as port scanners and broken proxies make it: a client beside it notices nothing, and nothing dies of it. */

import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mutate, Random, realistic } from '../../fuzz/json-bytes.ts';
import { TestDaemon, temporaryDirectory } from '../../support/daemon.ts';
import { Load, conserved, expectExact } from '../../support/load.ts';

const SOCKETS = 600;
const AT_ONCE = 12;
const SOCKET_MS_MAX = 300;
const PATHS = ['/v1/appsflyer/push', '/v1/events', '/', '/v1/metrics/hourly?from=', '/v1/stream', '/metrics', '/v1/dead-letters?limit=', '/%00', '/..%2f..%2f', '*'];
const HEADERS = ['Host: a', 'Content-Length: 5', 'Content-Length: -1', 'Content-Length: 99999999999999999999', 'Transfer-Encoding: chunked', 'Transfer-Encoding: gzip, chunked', 'Expect: 100-continue', 'Connection: upgrade', 'Upgrade: websocket', 'Content-Type: application/x-www-form-urlencoded', 'Content-Encoding: gzip', 'X: \u0000', ': ', 'a'.repeat(9_000)];

/** A request, spoilt in its head and its body, cut anywhere. */
function noise(random: Random): Buffer {
  const body = realistic(random);
  const some = HEADERS.filter(() => random.below(6) === 0);
  const length = random.below(3) === 0 ? [] : [`Content-Length: ${Buffer.byteLength(body) + random.below(3)}`];
  const head = `${random.pick(['POST', 'GET', 'PUT', 'OPTIONS', 'CONNECT', 'PRI', 'post'])} ${random.pick(PATHS)} ${random.pick(['HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9'])}\r\n${['Host: x', ...length, ...some].join('\r\n')}\r\n\r\n`;
  const text = `${head}${random.below(4) === 0 ? '5;x=y\r\nhello\r\n0\r\n\r\n' : body}`;
  const bytes = random.below(3) === 0 ? mutate(random, text) : Buffer.from(text);
  const whole = random.below(4) === 0 ? Buffer.concat([bytes, bytes]) : bytes;
  return random.below(3) === 0 ? whole.subarray(0, random.below(whole.byteLength + 1)) : whole;
}

/** Ends with the other side, or by itself: now half closed, now torn off. */
function sendNoise(port: number, random: Random): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const timer = setTimeout(() => socket.destroy(), SOCKET_MS_MAX);
    socket.on('error', () => undefined).on('data', () => undefined).on('close', () => {
      clearTimeout(timer);
      resolve();
    });
    const bytes = noise(random);
    const cut = random.below(bytes.byteLength + 1);
    socket.write(bytes.subarray(0, cut));
    socket.write(bytes.subarray(cut));
    if (random.below(3) === 0) socket.end();
    if (random.below(8) === 0) socket.once('connect', () => socket.destroy());
  });
}

describe('noise on the sockets', () => {
  const scratch = temporaryDirectory();
  let daemon: TestDaemon;

  beforeAll(async () => {
    daemon = await TestDaemon.start({ dataDir: scratch.path });
  });
  afterAll(async () => {
    await TestDaemon.endAll();
    scratch.remove();
  });

  it.each(['ingest', 'admin'] as const)('of the %s port harms nobody', async (which) => {
    const seed = randomInt(2 ** 31);
    const port = which === 'ingest' ? daemon.ingestPort : daemon.adminPort;
    const bystander = new Load({ url: daemon.ingest, requestsPerSecond: 20, batch: 1, name: `beside-${which}` });
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < SOCKETS) await sendNoise(port, new Random(seed + next++));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    await expectExact(daemon, `beside-${which}`, await bystander.stop());
    expect(conserved((await daemon.pipeline()).conservation), `seed ${seed}`).toBe(true);
    const alarming = daemon.logs.filter(({ level }) => level >= 50);
    expect(alarming, `seed ${seed}`).toEqual([]);
    expect(daemon.child.exitCode).toBeNull();
  });
});
