/** What the door answers and what it journals: one suite for both doors. */

import { afterEach, describe, expect, it } from 'vitest';
import { RecordFlag, RecordSource } from '../../../engine/core/record.ts';
import { DOORS, EVENTS, PUSH, ask, closeAll, message, open, partitioner, pause, until, untilQuiet } from './harness.ts';
import { MemoryLog } from './memory-log.ts';

afterEach(closeAll);

describe.each(DOORS)('on the %s door', (door) => {
  describe('a push', () => {
    it('is answered with 200 once it is durable, and not before', async () => {
      const { url, log } = await open(door);
      log.hold();
      let answered = false;
      const answer = ask(url + PUSH, { method: 'POST', body: message(1) }).then((got) => {
        answered = true;
        return got;
      });
      await until(() => log.committing, 'the commit to be under way');
      await pause(40);
      expect(answered).toBe(false);
      expect(log.batches).toHaveLength(0);
      log.release();
      expect(await answer).toMatchObject({ status: 200, body: { received: 1 } });
      expect(log.texts).toEqual([message(1)]);
      expect(log.records[0]).toMatchObject({ source: RecordSource.push, flags: RecordFlag.none });
    });

    it('keeps its bytes, whatever its content type, and goes to the partition the partitioner names', async () => {
      const { url, log } = await open(door);
      const body = `{"app_id":"id1", "appsflyer_id":"77","n":123456789012345678901,"s":"\\u00e9 é"}`;
      for (const type of ['application/json', 'application/x-www-form-urlencoded', 'image/png', 'nonsense']) {
        expect(await ask(url + PUSH, { method: 'POST', body, headers: { 'Content-Type': type } })).toMatchObject({ status: 200 });
      }
      const expected = partitioner();
      const bytes = Buffer.from(body);
      expected.locate(bytes, 0, bytes.byteLength);
      expect(log.records.map((record) => [record.bytes.toString(), record.partition])).toEqual(Array.from({ length: 4 }, () => [body, expected.partition]));
    });

    it.each([
      ['nothing', '', 'NOT_JSON'],
      ['no JSON', 'hello', 'NOT_JSON'],
      ['half an object', '{"app_id":"id1"', 'NOT_JSON'],
      ['something behind an object', '{"a":1}x', 'NOT_JSON'],
      ['an array', '[{"app_id":"id1"}]', 'NOT_OBJECT'],
      ['a number', '7', 'NOT_OBJECT'],
      ['null', 'null', 'NOT_OBJECT'],
      ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]), 'NOT_JSON'],
      ['zero bytes', Buffer.alloc(100), 'NOT_JSON'],
    ])('of %s is journaled with a flag before it is answered with 400', async (_, body, code) => {
      const { url, log, ingress } = await open(door);
      expect(await ask(url + PUSH, { method: 'POST', body })).toMatchObject({ status: 400, code });
      expect(log.records.map((record) => record.bytes)).toEqual([Buffer.from(body as string)]);
      expect(log.records[0]?.flags).toBe(code === 'NOT_JSON' ? RecordFlag.malformed : RecordFlag.notObject);
      expect(ingress.stats()).toMatchObject({ recordsMalformed: 1, refusals: {}, requests: { push: { 400: 1 } } });
      expect(ingress.stats().refusals).toEqual({});
      log.fail = 'DISK_FULL';
      expect(await ask(url + PUSH, { method: 'POST', body })).toMatchObject({ status: 503, code: 'DISK_FULL' });
    });

    it('nested 10,000 deep is taken or called malformed, and journaled either way', async () => {
      const { url, log } = await open(door);
      const bodies = [`{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, '{"a":'.repeat(10_000), `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`];
      for (const body of bodies) expect([200, 400]).toContain((await ask(url + PUSH, { method: 'POST', body })).status);
      expect(log.texts).toEqual(bodies);
    });

    it('with form-encoded pairs becomes an object of strings', async () => {
      const { url, log } = await open(door);
      expect((await ask(url + PUSH, { method: 'POST', body: 'app_id=id1&appsflyer_id=7&event_name=af+%C3%A9' })).status).toBe(200);
      expect(log.records.map((record) => [record.source, record.bytes.toString()])).toEqual([[RecordSource.push, '{"app_id":"id1","appsflyer_id":"7","event_name":"af é"}']]);
    });

    it('with too many pairs is malformed, with its own bytes', async () => {
      const { url, log } = await open(door);
      const body = Array.from({ length: 1_001 }, (_, index) => `k${index}=v`).join('&');
      expect(await ask(url + PUSH, { method: 'POST', body })).toMatchObject({ status: 400, code: 'NOT_JSON' });
      expect(log.records[0]).toMatchObject({ flags: RecordFlag.malformed, bytes: Buffer.from(body) });
    });

    it('with too many pairs that are no text is malformed, with its own bytes and no more of them', async () => {
      const { url, log } = await open(door);
      const body = Buffer.from(Array.from({ length: 1_001 }, (_, index) => `k${index}=\xff\xfe`).join('&'), 'latin1');
      expect(await ask(url + PUSH, { method: 'POST', body })).toMatchObject({ status: 400, code: 'NOT_JSON' });
      expect(log.records[0]).toMatchObject({ flags: RecordFlag.malformed, bytes: body });
    });

    it('whose pairs would make too large a record is refused', async () => {
      const { url, log } = await open(door, { record_bytes_max: 4_096 });
      expect(await ask(url + PUSH, { method: 'POST', body: `a=${'\u0001'.repeat(1_000)}` })).toMatchObject({ status: 413 });
      expect(log.records).toEqual([]);
    });

    it('by GET is the object of its query', async () => {
      const { url, log } = await open(door);
      expect(await ask(`${url}${PUSH}?app_id=id1&appsflyer_id=7&event_value=%7B%22a%22%3A1%7D&x=a+b&bad=%zz&raw=1=2`)).toMatchObject({ status: 200, body: { received: 1 } });
      expect(log.records.map((record) => [record.source, record.bytes.toString()])).toEqual([[RecordSource.pushGet, '{"app_id":"id1","appsflyer_id":"7","event_value":"{\\"a\\":1}","x":"a b","bad":"%zz","raw":"1=2"}']]);
    });

    it('by GET with the longest message there is still fits', async () => {
      const { url, log } = await open(door);
      const query = Array.from({ length: 150 }, (_, index) => `some_field_name_${index}=${'%C3%A9'.repeat(10)}`).join('&');
      expect(query.length).toBeGreaterThan(10_000);
      expect((await ask(`${url}${PUSH}?${query}`)).status).toBe(200);
      expect(Object.keys(JSON.parse(log.texts[0] as string) as object)).toHaveLength(150);
    });

    it('by GET with a hostile query is bounded and journaled', async () => {
      const { url, log } = await open(door);
      expect((await ask(`${url}${PUSH}?${'&'.repeat(5_000)}`)).status).toBe(200);
      expect((await ask(`${url}${PUSH}`)).status).toBe(200);
      expect(await ask(`${url}${PUSH}?${'a&'.repeat(1_001)}`)).toMatchObject({ status: 400, code: 'NOT_JSON' });
      expect(log.texts).toEqual(['{}', '{}', 'a&'.repeat(1_001)]);
    });
  });

  describe('an S2S event', () => {
    const S2S = '/v1/appsflyer/s2s/inappevent/';
    const send = (url: string, app: string, body: string | Buffer, headers: Readonly<Record<string, string>> = {}) => ask(url + S2S + app, { method: 'POST', body: Buffer.from(body as string), headers });

    it('is answered once it is durable, whatever its content type, and journaled with the app of its path', async () => {
      const { url, log, ingress } = await open(door);
      const body = '{"appsflyer_id":"7","eventName":"é","eventValue":"","app_id":"theirs"}\n';
      for (const type of ['application/json', 'text/plain', 'image/png']) expect(await send(url, 'com.example.shop?x=1', body, { 'Content-Type': type })).toMatchObject({ status: 200, body: { received: 1 } });
      const record = '{"appsflyer_id":"7","eventName":"é","eventValue":"","app_id":"theirs","app_id":"com.example.shop"}';
      const expected = partitioner();
      expected.locate(Buffer.from(record), 0, Buffer.byteLength(record));
      expect(log.records.map(({ bytes, source, flags, partition }) => [bytes.toString(), source, flags, partition])).toEqual(Array.from({ length: 3 }, () => [record, RecordSource.s2s, RecordFlag.none, expected.partition]));
      expect(ingress.stats()).toMatchObject({ requests: { s2s: { 200: 3 } }, records: { s2s: 3 } });
    });

    it.each([
      ['nothing', '', 'NOT_JSON'],
      ['no JSON', 'eventName=x', 'NOT_JSON'],
      ['half an object', '{"eventName":"x"', 'NOT_JSON'],
      ['something behind an object', '{"eventName":"x"}x', 'NOT_JSON'],
      ['an array', '[{"eventName":"x"}]', 'NOT_OBJECT'],
      ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]), 'NOT_JSON'],
    ])('of %s keeps its own bytes with a flag, and is answered with 400', async (_, body, code) => {
      const { url, log } = await open(door);
      expect(await send(url, 'id1', body)).toMatchObject({ status: 400, code });
      expect(log.records).toMatchObject([{ bytes: Buffer.from(body as string), source: RecordSource.s2s, flags: code === 'NOT_JSON' ? RecordFlag.malformed : RecordFlag.notObject }]);
    });

    it('may be above the 1 KB that AppsFlyer takes, in pieces, up to a record with its app id', async () => {
      const rig = await open(door, { record_bytes_max: 4_096 });
      const body = (bytes: number): string => `{"eventValue":"${'x'.repeat(bytes - 17)}"}`;
      expect((await send(rig.url, 'id1', body(2_000))).status).toBe(200);
      const whole = 4_096 - ',"app_id":"id1"'.length;
      expect((await send(rig.url, 'id1', body(whole))).status).toBe(200);
      expect(await send(rig.url, 'id1', body(whole + 1))).toMatchObject({ status: 413, code: 'TOO_LARGE' });
      expect(await send(rig.url, 'id1', body(4_097))).toMatchObject({ status: 413, code: 'TOO_LARGE' });
      expect(rig.log.records.map(({ bytes }) => bytes.byteLength)).toEqual([2_000 + ',"app_id":"id1"'.length, 4_096]);
      await untilQuiet(rig);
    });

    it('has a path with an app id, and one method', async () => {
      const { url, log } = await open(door);
      expect(await send(url, '', '{}')).toMatchObject({ status: 404 });
      expect(await send(url, 'a%22b', '{}')).toMatchObject({ status: 404 });
      expect(await send(url, 'a/b', '{}')).toMatchObject({ status: 404 });
      expect(await ask(`${url}${S2S}id1`)).toMatchObject({ status: 405 });
      expect((await ask(`${url}${S2S}id1`, { method: 'OPTIONS' })).status).toBe(204);
      expect(log.records).toEqual([]);
    });

    it('is refused with 503 like a push while the journal cannot take it', async () => {
      const { url, log } = await open(door);
      log.fail = 'DISK_FULL';
      expect(await send(url, 'id1', '{}')).toMatchObject({ status: 503, code: 'DISK_FULL' });
    });
  });

  describe('a request with many records', () => {
    const send = (url: string, body: string | Buffer, type?: string) => ask(url + EVENTS, { method: 'POST', body: Buffer.from(body as string), headers: type === undefined ? {} : { 'Content-Type': type } });

    it('may be NDJSON or an array, and is judged record by record', async () => {
      const { url, log } = await open(door);
      const expected = { received: 4, accepted: 2, rejected: [{ index: 1, code: 'NOT_JSON' }, { index: 3, code: 'NOT_OBJECT' }], rejected_count: 2 };
      const records = [message(1), '{"app_id":}', message(2), '7'];
      expect((await send(url, `\ufeff${records[0]}\r\n\r\n${records[1]}\n${records[2]}\n${records[3]}`)).body).toEqual(expected);
      expect((await send(url, `[${records.join(' ,\n')}]`)).body).toEqual(expected);
      expect(log.texts).toEqual([...records, ...records]);
      expect(log.records.map((record) => record.flags)).toEqual([0, 1, 0, 2, 0, 1, 0, 2]);
      expect(new Set(log.records.map((record) => record.source))).toEqual(new Set([RecordSource.events]));
    });

    it('keeps the bytes of an array element: an 18-digit id stays what it is', async () => {
      const { url, log } = await open(door);
      const element = '{ "app_id":"id1","af_c_id": 120211234567890123, "x":1.10 }';
      await send(url, `[ ${element} ]`);
      expect(log.texts).toEqual([element]);
    });

    it('that is a truncated array counts its complete elements, and its rest as one malformed record', async () => {
      const { url, log } = await open(door);
      expect((await send(url, `[${message(1)},${message(2)},{"app_id":"x`)).body).toEqual({ received: 3, accepted: 2, rejected: [{ index: 2, code: 'NOT_JSON' }], rejected_count: 1 });
      expect(log.texts).toEqual([message(1), message(2), '{"app_id":"x']);
    });

    it.each(['[', '[{"app_id":"x', '[7]'])('that is NDJSON by its content type loses a first line of %s alone', async (first) => {
      const { url, log } = await open(door);
      const answer = await send(url, `${first}\n${message(1)}\n${message(2)}`, 'application/x-ndjson; charset=utf-8');
      expect(answer.body).toMatchObject({ received: 3, accepted: 2, rejected: [{ index: 0 }] });
      expect(log.texts).toEqual([first, message(1), message(2)]);
    });

    it('without records is answered at once', async () => {
      const { url, log } = await open(door);
      for (const body of ['', '\n\n', '[]']) expect(await send(url, body)).toMatchObject({ status: 200, body: { received: 0, accepted: 0, rejected: [], rejected_count: 0 } });
      expect(log.batches).toEqual([]);
    });

    it('lists a thousand rejected records and counts the rest', async () => {
      const { url } = await open(door);
      const { body } = await send(url, 'x\n'.repeat(1_500));
      expect(body).toMatchObject({ received: 1_500, accepted: 0, rejected_count: 1_500 });
      expect((body as { rejected: unknown[] }).rejected).toHaveLength(1_000);
    });

    it('is taken with the types of JSON and text, and refused with others', async () => {
      const { url, log } = await open(door);
      for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/X-NDJSON', 'application/ndjson', 'text/plain', undefined]) expect((await send(url, message(1), type)).status).toBe(200);
      for (const type of ['application/xml', 'multipart/form-data', 'json']) expect(await send(url, message(1), type)).toMatchObject({ status: 415, code: 'UNSUPPORTED_TYPE' });
      expect(await ask(url + EVENTS, { method: 'POST', body: message(1), headers: { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' } })).toMatchObject({ status: 415 });
      expect(log.records).toHaveLength(6);
    });

    it('rejects a record that is too large alone: its head is kept, the others are taken', async () => {
      const { url, log } = await open(door, { record_bytes_max: 2_048 });
      const large = message(3, `,"x":"${'y'.repeat(2_048)}"`);
      for (const body of [`[${message(1)},${large},${message(2)}]`, [message(1), large, message(2)].join('\n')]) {
        const answer = await send(url, body);
        expect(answer).toMatchObject({ status: 200, body: { received: 3, accepted: 2, rejected_count: 1, rejected: [{ index: 1, code: 'TOO_LARGE' }] } });
        const kept = log.records.slice(-3);
        expect(kept.map(({ flags }) => flags)).toEqual([RecordFlag.none, RecordFlag.tooLarge, RecordFlag.none]);
        expect(kept[1]?.bytes.toString()).toBe(large.slice(0, 2_048));
      }
    });

    it('is refused whole when it has too many records', async () => {
      const { url, log } = await open(door, { events_records_max: 100 });
      expect((await send(url, '{}\n'.repeat(100))).status).toBe(200);
      expect(await send(url, '{}\n'.repeat(101))).toMatchObject({ status: 413, code: 'TOO_MANY_RECORDS' });
      expect(log.records).toHaveLength(100);
    });

    it('larger than a batch is answered once all of its batches are durable, in order', async () => {
      for (const commitMs of [0, 15]) {
        const { url, log, ingress } = await open(door, { record_bytes_max: 16_384 }, { memory: new MemoryLog(64 * 1024) });
        log.commitMs = commitMs;
        const records = Array.from({ length: 3_000 }, (_, index) => message(index, `,"x":"${'y'.repeat(100)}"`));
        const bystander = ask(url + PUSH, { method: 'POST', body: message('bystander') });
        expect((await send(url, records.join('\n'))).body).toMatchObject({ received: 3_000, accepted: 3_000 });
        // Asked before, but not necessarily first through the door: it may meet a full batch.
        expect([200, 503]).toContain((await bystander).status);
        expect(log.texts.filter((text) => text !== message('bystander'))).toEqual(records);
        expect(log.batches.length).toBeGreaterThan(5);
        await untilQuiet({ ingress, log, url, port: 0 });
      }
    });

    it('of which one batch fails is answered with 503 whole', async () => {
      for (const commitMs of [0, 10]) {
        const { url, log } = await open(door, { record_bytes_max: 16_384 }, { memory: new MemoryLog(64 * 1024) });
        log.commitMs = commitMs;
        log.fail = 'JOURNAL_WRITE_FAILED';
        const answer = send(url, Array.from({ length: 3_000 }, (_, index) => message(index, `,"x":"${'y'.repeat(100)}"`)).join('\n'));
        await until(() => log.failedBatches > 0, 'the first batch to fail');
        log.fail = null;
        expect(await answer).toMatchObject({ status: 503, code: 'JOURNAL_WRITE_FAILED' });
      }
    });
  });

  it('answers 404 and 405 in JSON, with Allow, and OPTIONS and HEAD without a body', async () => {
    const { url, log } = await open(door);
    expect(await ask(`${url}/nowhere?x=1`)).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    expect(await ask(`${url}/nowhere`, { method: 'POST', body: message(1) })).toMatchObject({ status: 404 });
    const wrong = await ask(url + EVENTS, { method: 'DELETE', body: 'x' });
    expect(wrong).toMatchObject({ status: 405, code: 'METHOD_NOT_ALLOWED' });
    expect(wrong.headers.get('allow')).toBe('POST, OPTIONS');
    expect(wrong.headers.get('content-type')).toBe('application/json');
    const options = await ask(url + PUSH, { method: 'OPTIONS' });
    expect([options.status, options.body, options.headers.get('allow')]).toEqual([204, null, 'GET, POST, OPTIONS']);
    expect(await ask(url + PUSH, { method: 'HEAD' })).toMatchObject({ status: 405, body: null });
    expect(log.records).toEqual([]);
  });

  describe('503', () => {
    it.each(['push', 'events'])('with Retry-After goes to a %s while the disk reserve is used up or the journal not open', async (kind) => {
      let full = true;
      let ready = true;
      const { url, log } = await open(door, {}, { diskReserveExhausted: () => full, isOpen: () => ready });
      const send = () => ask(url + (kind === 'push' ? PUSH : EVENTS), { method: 'POST', body: message(1) });
      const answer = await send();
      expect(answer).toMatchObject({ status: 503, code: 'DISK_RESERVE' });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      full = false;
      ready = false;
      expect(await send()).toMatchObject({ status: 503, code: 'NOT_READY' });
      expect(log.records).toEqual([]);
      ready = true;
      expect((await send()).status).toBe(200);
    });

    it('goes to exactly the requests of a failed commit, and the door recovers', async () => {
      for (const commitMs of [0, 20]) {
        const { url, log, ingress } = await open(door);
        log.commitMs = commitMs;
        expect((await ask(url + PUSH, { method: 'POST', body: message('before') })).status).toBe(200);
        log.fail = 'JOURNAL_WRITE_FAILED';
        const failed = await Promise.all(Array.from({ length: 5 }, (_, index) => ask(url + PUSH, { method: 'POST', body: message(index) })));
        for (const answer of failed) {
          expect(answer).toMatchObject({ status: 503, code: 'JOURNAL_WRITE_FAILED' });
          expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
        }
        log.fail = null;
        expect((await ask(url + PUSH, { method: 'POST', body: message('after') })).status).toBe(200);
        expect(log.texts).toEqual([message('before'), message('after')]);
        expect(ingress.stats().commitFailures).toBeGreaterThan(0);
      }
    });

    it('goes to a push that meets a full batch while the disk is slow', async () => {
      const { url, log, ingress } = await open(door, { record_bytes_max: 8_192 }, { memory: new MemoryLog(10_000) });
      log.hold();
      const body = message(1, `,"x":"${'y'.repeat(6_000)}"`);
      const first = ask(url + PUSH, { method: 'POST', body });
      await until(() => log.committing, 'the first commit to be under way');
      const asked = [0, 1, 2].map(() => ask(url + PUSH, { method: 'POST', body }));
      await until(() => ingress.stats().refusals['JOURNAL_BUSY'] === 2, 'two to be refused');
      log.release();
      const others = await Promise.all(asked);
      expect(others.map((answer) => answer.code ?? answer.status).sort()).toEqual([200, 'JOURNAL_BUSY', 'JOURNAL_BUSY']);
      expect((await first).status).toBe(200);
      expect(log.records).toHaveLength(2);
    });
  });

  it('counts requests by route and status, records, bytes and latencies', async () => {
    const rig = await open(door);
    for (let index = 0; index < 5; index++) await ask(rig.url + PUSH, { method: 'POST', body: message(index) });
    await ask(`${rig.url}${PUSH}?a=b`);
    await ask(rig.url + EVENTS, { method: 'POST', body: `${message(1)}\n${message(2)}` });
    await ask(`${rig.url}/nowhere`);
    await untilQuiet(rig);
    const stats = rig.ingress.stats();
    expect(stats).toMatchObject({
      requests: { push: { 200: 5 }, push_get: { 200: 1 }, events: { 200: 1 }, other: { 404: 1 } },
      records: { push: 5, push_get: 1, events: 2 },
      refusals: { NOT_FOUND: 1 },
      recordBytes: 7 * message(1).length + 9,
      recordsCommitted: 8,
      inFlightBytes: 0,
      aborted: 0,
    });
    expect(stats.ackLatency.count).toBe(7);
    expect(structuredClone(stats)).toEqual(stats);
  });

  it('journals a control record while events come in, and ticks in silence', async () => {
    const { ingress, log, url } = await open(door, {}, { tickAfterMs: 50 });
    const pushes = Promise.all(Array.from({ length: 20 }, (_, index) => ask(url + PUSH, { method: 'POST', body: message(index) })));
    await ingress.writeControl(Buffer.from('rule'));
    await pushes;
    const withControls = log.batches.filter((batch) => batch.controls.length > 0);
    expect(withControls.map((batch) => [batch.controls.map(String), batch.records.length])).toEqual([[['rule'], 0]]);
    await until(() => ingress.stats().ticks > 0, 'a tick');
  });
});
