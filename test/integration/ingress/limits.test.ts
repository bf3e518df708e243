/** Large, slow and many: what hostile clients can and cannot do, on both doors. */

import { afterEach, describe, expect, it } from 'vitest';
import { DOORS, EVENTS, HEAD_BYTES_MAX, PUSH, ask, client, closeAll, message, open, pause, post, until, untilQuiet, type RawClient, type Rig } from './harness.ts';

afterEach(closeAll);

const works = async (rig: Rig): Promise<void> => {
  expect((await ask(rig.url + PUSH, { method: 'POST', body: message('works') })).status).toBe(200);
};

describe.each(DOORS)('on the %s door', (door) => {
  describe('a body that is too large', () => {
    it('is refused by its declared length, before any of it is there, and the connection is closed', async () => {
      for (const path of [PUSH, EVENTS]) {
        const rig = await open(door, { record_bytes_max: 65_536, events_bytes_max: 131_072, linger_timeout_ms: 200 });
        const sender = client(rig.port).send(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n`);
        await until(() => sender.received.includes('"TOO_LARGE"'), 'the refusal');
        expect(sender.received).toMatch(/^HTTP\/1\.1 413 .*\r\nConnection: close\r\n/is);
        await sender.untilClosed();
        await untilQuiet(rig);
        expect(rig.log.batches).toEqual([]);
        await works(rig);
      }
    });

    it('is refused while it streams in chunks of unknown number', async () => {
      const rig = await open(door, { record_bytes_max: 65_536, linger_timeout_ms: 200 });
      const sender = client(rig.port).send(`POST ${PUSH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
      const piece = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
      for (let sent = 0; sent < 10 && !sender.received.includes('413'); sent++) {
        sender.send(piece);
        await pause(5);
      }
      await until(() => sender.received.includes('"TOO_LARGE"'), 'the refusal');
      await sender.untilClosed();
      await untilQuiet(rig);
      expect(rig.log.batches).toEqual([]);
    });

    it('does not keep a sender that sends all of it from reading the answer', async () => {
      const rig = await open(door, { linger_timeout_ms: 30_000 });
      for (let round = 0; round < 5; round++) {
        expect(await ask(rig.url + PUSH, { method: 'POST', body: Buffer.alloc(5_000_000, 'x') })).toMatchObject({ status: 413, code: 'TOO_LARGE' });
      }
      await untilQuiet(rig);
    });

    it('does not keep a sender from its answer that reads nothing before it has sent everything', async () => {
      const rig = await open(door, { linger_timeout_ms: 30_000 });
      const sender = client(rig.port);
      sender.socket.pause();
      const request = Buffer.from(post(PUSH, 'x'.repeat(8_000_000)));
      await new Promise<void>((resolve, reject) => {
        sender.socket.once('error', reject);
        sender.socket.write(request, () => {
          resolve();
        });
      });
      sender.socket.resume();
      expect(await sender.reply()).toMatchObject({ status: 413 });
    });

    it('is cut when its sender does not stop', async () => {
      const rig = await open(door, { linger_timeout_ms: 300 });
      const sender = client(rig.port).send(`POST ${PUSH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
      const started = performance.now();
      while (!sender.closed && performance.now() - started < 5_000) {
        if (sender.socket.writableLength < 1_000_000) sender.send(`10000\r\n${'x'.repeat(0x10000)}\r\n`);
        await pause(2);
      }
      expect(sender.closed).toBe(true);
      await untilQuiet(rig);
    });

    it('of exactly the limit is taken', async () => {
      const rig = await open(door, { record_bytes_max: 65_536 });
      const exact = (bytes: number): string => message(1, `,"x":"${'y'.repeat(bytes - message(1, ',"x":""').length)}"`);
      expect((await ask(rig.url + PUSH, { method: 'POST', body: exact(65_536) })).status).toBe(200);
      expect((await ask(rig.url + PUSH, { method: 'POST', body: exact(65_537) })).status).toBe(413);
      expect(rig.log.texts).toEqual([exact(65_536)]);
    });
  });

  describe('a slow client', () => {
    it('whose body does not come in time is told 503 and cut, byte by byte or not at all, while others do not notice', async () => {
      const rig = await open(door, { body_timeout_ms: 3_000 });
      const started = performance.now();
      const slow = Array.from({ length: 100 }, (_, index) => client(rig.port).send(`POST ${index % 2 === 0 ? PUSH : EVENTS} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n`));
      const trickle = setInterval(() => {
        for (const each of slow.slice(0, 50)) if (!each.closed) each.send('x');
      }, 50);
      try {
        await until(() => rig.ingress.stats().inFlightRequests >= 100, 'all of them to be inside');
        // A byte holds a KiB, whatever was announced.
        expect(rig.ingress.stats().inFlightBytes).toBeLessThanOrEqual(100 * (1_024 + 512));
        for (let index = 0; index < 20; index++) {
          const askedMs = performance.now();
          await works(rig);
          expect(performance.now() - askedMs).toBeLessThan(2_000);
        }
        await Promise.all(slow.map((each) => each.untilClosed(8_000)));
        expect(performance.now() - started).toBeGreaterThanOrEqual(3_000);
      } finally {
        clearInterval(trickle);
      }
      expect(slow.filter((each) => each.received.includes('BODY_TIMEOUT') && each.received.startsWith('HTTP/1.1 503') && /retry-after: \d/i.test(each.received)).length).toBeGreaterThanOrEqual(50);
      await untilQuiet(rig);
      expect(rig.log.texts.every((text) => text === message('works'))).toBe(true);
    });

    it('that never ends its headers, or sends nothing at all, is cut', async () => {
      const rig = await open(door, { header_timeout_ms: 300, idle_timeout_ms: 300 });
      const silent = client(rig.port);
      const slow = client(rig.port).send(`POST ${PUSH} HTTP/1.1\r\nHost: x\r\n`);
      const trickle = setInterval(() => {
        if (!slow.closed) slow.send('X: y\r\n');
      }, 500);
      const kept = client(rig.port).send(post(PUSH, message(1)));
      expect((await kept.reply()).status).toBe(200);
      try {
        // uWebSockets.js keeps a timeout of its own: 10 s, by a timer of 4 s.
        await Promise.all([silent, slow, kept].map((each) => each.untilClosed(20_000)));
      } finally {
        clearInterval(trickle);
      }
      await works(rig);
    });

    it('may take its time within the limit', async () => {
      const rig = await open(door);
      const body = message('slow but steady');
      const sender = client(rig.port).send(post(PUSH, '', { 'Content-Length': String(body.length) }));
      for (const byte of body) {
        sender.send(byte);
        await pause(1);
      }
      expect((await sender.reply()).status).toBe(200);
      expect(rig.log.texts).toEqual([body]);
    });
  });

  describe('the in-flight budget', () => {
    it('is for bytes that are there; what goes beyond is refused before its body is kept, and all of it comes back', async () => {
      const rig = await open(door, { in_flight_bytes_max: 1_048_576, events_bytes_max: 524_288, record_bytes_max: 65_536, body_timeout_ms: 10_000 });
      // Announcing much holds nothing.
      const announcers = Array.from({ length: 10 }, () => client(rig.port).send(`POST ${EVENTS} HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n`));
      await until(() => rig.ingress.stats().inFlightRequests === 10, 'ten announcements');
      await works(rig);
      // Sending much does.
      for (const each of announcers.slice(0, 3)) each.send('x'.repeat(262_144));
      await until(() => rig.ingress.stats().inFlightBytes > 780_000, 'the budget to fill');
      const refused = await ask(rig.url + EVENTS, { method: 'POST', body: 'x'.repeat(400_000) });
      expect(refused).toMatchObject({ status: 503, code: 'BUSY' });
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      // A small one still fits, and so the door is not closed to real events.
      await works(rig);
      for (const each of announcers) each.destroy();
      await untilQuiet(rig);
      expect((await ask(rig.url + EVENTS, { method: 'POST', body: `${message(1)}\n`.repeat(10_000) })).status).toBe(200);
    });

    it('is kept with bodies that do not say how long they are', async () => {
      const rig = await open(door, { in_flight_bytes_max: 1_048_576, events_bytes_max: 524_288, record_bytes_max: 65_536, linger_timeout_ms: 100 });
      const senders = Array.from({ length: 6 }, () => client(rig.port).send(`POST ${EVENTS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`));
      for (let round = 0; round < 16; round++) {
        for (const each of senders) if (!each.closed) each.send(`4000\r\n${'x'.repeat(0x4000)}\r\n`);
        await pause(5);
        expect(rig.ingress.stats().inFlightBytes).toBeLessThanOrEqual(1_048_576);
      }
      await until(() => senders.some((each) => each.received.includes('"BUSY"')), 'a refusal in the middle of a body');
      for (const each of senders) each.destroy();
      await untilQuiet(rig);
      await works(rig);
    });
  });

  it('refuses connections beyond their number with 503, and takes them again afterwards', async () => {
    const rig = await open(door, { connections_max: 5 });
    const held = Array.from({ length: 5 }, () => client(rig.port));
    await until(() => rig.ingress.stats().connections === 5, 'five connections');
    const sixth = client(rig.port);
    await sixth.untilClosed();
    expect(sixth.received).toMatch(/^HTTP\/1\.1 503 /);
    expect(sixth.received).toContain('TOO_MANY_CONNECTIONS');
    expect(rig.ingress.stats().refusals).toMatchObject({ TOO_MANY_CONNECTIONS: 1 });
    expect((await (held[0] as RawClient).send(post(PUSH, message(1))).reply()).status).toBe(200);
    for (const each of held) each.destroy();
    await until(() => rig.ingress.stats().connections === 0, 'them to be gone');
    await works(rig);
  });

  it('refuses a head that is too large, in one piece or many', async () => {
    const rig = await open(door);
    for (const pieces of [1, 8]) {
      const sender = client(rig.port);
      const filler = 'a'.repeat((HEAD_BYTES_MAX * 4) / pieces);
      sender.send(`POST ${PUSH} HTTP/1.1\r\nHost: x\r\n`);
      for (let piece = 0; piece < pieces && !sender.closed; piece++) {
        sender.send(`X-${piece}: ${filler}\r\n`);
        await pause(5);
      }
      await sender.untilClosed();
      expect(sender.received).toMatch(/^HTTP\/1\.1 431 /);
    }
    expect(rig.log.batches).toEqual([]);
    await works(rig);
  });

  it('refuses a query that is too large for a head', async () => {
    const rig = await open(door);
    const sender = client(rig.port).send(`GET ${PUSH}?a=${'b'.repeat(HEAD_BYTES_MAX)} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await until(() => sender.received !== '' || sender.closed, 'an answer');
    expect(sender.received).toMatch(/^HTTP\/1\.1 4(13|31) /);
    expect(rig.log.batches).toEqual([]);
  });
});
