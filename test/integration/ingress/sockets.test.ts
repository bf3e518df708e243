/** What happens on the wire: reuse, pipelining, halves, aborts and garbage, on both doors. */

import { afterEach, describe, expect, it } from 'vitest';
import { DOORS, EVENTS, PUSH, ask, client, closeAll, message, open, pause, post, turns, until, untilQuiet } from './harness.ts';

afterEach(closeAll);

describe.each(DOORS)('on the %s door', (door) => {
  it('keeps a connection for many requests, of all outcomes', async () => {
    const rig = await open(door);
    const sender = client(rig.port);
    const statuses: number[] = [];
    for (const request of [post(PUSH, message(1)), post(PUSH, 'x'), post(EVENTS, message(2)), post('/nowhere', 'x'), `GET ${PUSH}?a=b HTTP/1.1\r\nHost: x\r\n\r\n`, `OPTIONS ${PUSH} HTTP/1.1\r\nHost: x\r\n\r\n`, post(PUSH, message(3)), `HEAD ${PUSH} HTTP/1.1\r\nHost: x\r\n\r\n`, post(PUSH, message(4))]) {
      statuses.push((await sender.send(request).reply()).status);
    }
    expect(statuses).toEqual([200, 400, 200, 404, 200, 204, 200, 405, 200]);
    expect(rig.ingress.stats().connections).toBe(1);
    expect(sender.closed).toBe(false);
  });

  it('closes it when the client asks', async () => {
    const rig = await open(door);
    const sender = client(rig.port).send(post(PUSH, message(1), { Connection: 'close' }));
    expect((await sender.reply()).status).toBe(200);
    await sender.untilClosed();
  });

  it('takes bodies in any pieces, chunked or not', async () => {
    const rig = await open(door);
    const body = message('pieces', ',"x":"é"');
    const bytes = Buffer.from(body);
    for (const size of [1, 2, 7, bytes.byteLength - 1]) {
      for (const chunked of [false, true]) {
        const sender = client(rig.port).send(`POST ${PUSH} HTTP/1.1\r\nHost: x\r\n${chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${bytes.byteLength}`}\r\n\r\n`);
        for (let at = 0; at < bytes.byteLength; at += size) {
          const piece = bytes.subarray(at, at + size);
          sender.send(chunked ? Buffer.concat([Buffer.from(`${piece.byteLength.toString(16)}\r\n`), piece, Buffer.from('\r\n')]) : piece);
          await pause(1);
        }
        if (chunked) sender.send('0\r\n\r\n');
        expect((await sender.reply()).status).toBe(200);
      }
    }
    expect(rig.log.records.map((record) => record.bytes.toString())).toEqual(Array.from({ length: 8 }, () => body));
    await untilQuiet(rig);
  });

  it('does not mix up bodies that share buffers', async () => {
    const rig = await open(door);
    const long = message('long', `,"x":"${'y'.repeat(5_000)}"`);
    const short = message('short');
    for (const body of [long, short, long, short]) {
      const sender = client(rig.port).send(post(PUSH, '', { 'Content-Length': String(body.length) }));
      sender.send(body.slice(0, 10));
      await pause(10);
      sender.send(body.slice(10));
      expect((await sender.reply()).status).toBe(200);
    }
    expect(rig.log.texts).toEqual([long, short, long, short]);
  });

  it('says 100 Continue to those who wait for it', async () => {
    const rig = await open(door);
    const sender = client(rig.port).send(post(PUSH, '', { 'Content-Length': String(message(1).length), Expect: '100-continue' }));
    expect((await sender.reply()).status).toBe(100);
    expect((await sender.send(message(1)).reply()).status).toBe(200);
  });

  it('answers a second request sent before the first answer in order, or closes the connection without a wrong answer', async () => {
    const rig = await open(door);
    const sender = client(rig.port).send(post(PUSH, message(1)) + post('/nowhere', 'x') + post(PUSH, message(3)));
    if (door === 'node') {
      expect([(await sender.reply()).status, (await sender.reply()).status, (await sender.reply()).status]).toEqual([200, 404, 200]);
    } else {
      await sender.untilClosed();
      expect(sender.received).toBe('');
    }
    await untilQuiet(rig);
    await until(() => rig.log.records.length > 0, 'what came whole to be kept');
    expect((await ask(rig.url + PUSH, { method: 'POST', body: message(4) })).status).toBe(200);
  });

  it('keeps what a client sent whole before it closed its half', async () => {
    const rig = await open(door);
    const sender = client(rig.port).send(post(PUSH, message('half')));
    sender.socket.end();
    await sender.untilClosed();
    await untilQuiet(rig);
    expect(rig.log.texts).toEqual([message('half')]);
  });

  it('forgets uploads that are broken off', async () => {
    const rig = await open(door);
    for (const sent of [0, 1, 3_000]) {
      const sender = client(rig.port).send(`POST ${EVENTS} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(sent)}`);
      await until(() => rig.ingress.stats().inFlightRequests === 1, 'it to be inside');
      sender.destroy();
      await untilQuiet(rig);
    }
    expect(rig.log.batches).toEqual([]);
    expect(rig.ingress.stats()).toMatchObject({ aborted: 3, inFlightBytes: 0 });
  });

  it('keeps the records of clients that leave before their answer, and answers the others', async () => {
    const rig = await open(door);
    rig.log.hold();
    const leaving = Array.from({ length: 10 }, (_, index) => client(rig.port).send(post(PUSH, message(`leaves ${index}`))));
    const staying = client(rig.port).send(post(PUSH, message('stays')));
    await until(() => rig.ingress.stats().records['push'] === 11, 'all to be inside');
    for (const each of leaving) each.socket.resetAndDestroy();
    await until(() => rig.ingress.stats().aborted === 10, 'them to be missed');
    rig.log.release();
    expect((await staying.reply()).status).toBe(200);
    await untilQuiet(rig);
    expect([...rig.log.texts].sort()).toEqual([...leaving.map((_, index) => message(`leaves ${index}`)), message('stays')].sort());
    expect(rig.ingress.stats().aborted).toBe(10);
    expect((await ask(rig.url + PUSH, { method: 'POST', body: message('after') })).status).toBe(200);
  });

  it('closes connections that speak something else, and stands', async () => {
    const rig = await open(door);
    const requests = [
      '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello \r\n\r\n',
      'hello\r\n\r\n',
      '\x00'.repeat(1_000),
      `POST ${PUSH} HTTP/1.1\r\nHost: x\r\nContent-Length: -2\r\n\r\nhi`,
      `POST ${PUSH} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\nhi`,
      `POST ${PUSH} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
      `POST ${PUSH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n`,
      `POST ${PUSH} HTTP/9.9\r\nHost: x\r\n\r\n`,
      ...Array.from({ length: 20 }, (_, seed) => String.fromCharCode(...Array.from({ length: 300 }, (__, index) => (index * index * 31 + seed * 97 + (index ^ seed) * 13) & 0xff))),
    ];
    for (const request of requests) {
      const sender = client(rig.port).send(`${request}\r\n\r\n`);
      // One or the other: refused at once, or waiting for more of it until a timeout.
      await Promise.race([sender.untilClosed(), pause(100)]);
      if (sender.received !== '') expect(sender.received).toMatch(/^HTTP\/1\.1 (4|5)\d\d /);
      sender.destroy();
    }
    await untilQuiet(rig);
    expect(rig.log.records.every((record) => record.flags !== 0)).toBe(true);
    expect((await ask(rig.url + PUSH, { method: 'POST', body: message(1) })).status).toBe(200);
  });

  it('takes a head in two pieces, wherever it is cut after the request line', async () => {
    const rig = await open(door);
    const request = post(PUSH, message(1), { 'X-Some-Header': 'value' });
    const line = request.indexOf('\r\n') + 2;
    const headEnd = request.indexOf('\r\n\r\n') + 4;
    for (let at = line; at < headEnd; at++) {
      const sender = client(rig.port).send(request.slice(0, at));
      await pause(4);
      expect((await sender.send(request.slice(at)).reply()).status).toBe(200);
    }
  });

  it('takes a request line in two pieces, or (uWebSockets.js 3.0.6, see README) sends 505, on which AppsFlyer resends', async () => {
    const rig = await open(door);
    const sender = client(rig.port);
    await sender.sent(`GET ${PUSH}?app_id=id1&appsfl`);
    await turns();
    sender.send('yer_id=7 HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => sender.received !== '', 'an answer');
    expect(sender.received).toMatch(door === 'node' ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 505 /);
  });
});
