/** Reports of spend at the door: what reaches whoever keeps them, and what is answered. One suite for both doors. */

import { afterEach, describe, expect, it } from 'vitest';
import type { CostsAnswer, CostsPort, CostsRequest } from '../../../ingress/index.ts';
import { DOORS, ask, client, closeAll, open, until, untilQuiet } from './harness.ts';

afterEach(closeAll);

const COSTS = '/v1/costs';
const OK: CostsAnswer = { status: 200, code: '', body: '{"received":1}', retryAfterSeconds: 0 };

/** Keeps what it is given; answers when it is told to. */
function keeper(): { port: CostsPort; seen: CostsRequest[]; answer: (answer: CostsAnswer | Error) => void } {
  const seen: CostsRequest[] = [];
  const waiting: ((answer: CostsAnswer | Error) => void)[] = [];
  return {
    seen,
    port: (request) =>
      new Promise((resolve, reject) => {
        seen.push(request);
        waiting.push((answer) => {
          if (answer instanceof Error) reject(answer);
          else resolve(answer);
        });
      }),
    answer: (answer) => waiting.shift()?.(answer),
  };
}

const put = (url: string, body: string, headers: Record<string, string> = {}): Promise<{ status: number; body: unknown; code: string | undefined; headers: Headers }> => ask(url, { method: 'PUT', body, headers });

describe.each(DOORS)('on the %s door', (door) => {
  describe('a report of spend', () => {
    it('is handed over whole, with its form and its query, and answered when it is kept', async () => {
      const { port, seen, answer } = keeper();
      const rig = await open(door, {}, { costs: port });
      const body = `[${' '.repeat(300_000)}1]`;
      let answered = false;
      const asked = put(`${rig.url}${COSTS}?replace=day&app_id=a%20b`, body, { 'content-type': 'Application/JSON; charset=utf-8' }).then((got) => {
        answered = true;
        return got;
      });
      await until(() => seen.length === 1, 'the report to come');
      expect(answered).toBe(false);
      expect(Buffer.from(seen[0]?.body as Uint8Array).toString()).toBe(body);
      expect(seen[0]).toMatchObject({ format: 'json', query: 'replace=day&app_id=a%20b' });
      answer(OK);
      expect(await asked).toMatchObject({ status: 200, body: { received: 1 } });
      expect(rig.log.records).toEqual([]);
      expect(rig.ingress.stats().requests).toEqual({ costs: { 200: 1 } });
      await untilQuiet(rig);
    });

    it.each([
      ['', 'json'],
      ['text/plain', 'json'],
      ['application/x-ndjson', 'lines'],
      ['text/csv', 'csv'],
    ])('of type %j is read as %s', async (type, format) => {
      const { port, seen, answer } = keeper();
      const { url, port: number } = await open(door, {}, { costs: port });
      if (type === '') client(number).send(`PUT ${COSTS} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx`);
      else void put(url + COSTS, 'x', { 'content-type': type });
      await until(() => seen.length === 1, 'the report to come');
      expect(seen[0]?.format).toBe(format);
      answer(OK);
    });

    it('is answered as it was told: with its status, code and pause', async () => {
      const { port, seen, answer } = keeper();
      const { url, ingress } = await open(door, {}, { costs: port });
      for (const told of [{ status: 400, code: 'ROWS_REJECTED' }, { status: 413, code: 'DATE_FULL' }, { status: 503, code: 'DISK_FULL' }] as const) {
        const asked = put(url + COSTS, 'x');
        await until(() => seen.length > 0, 'the report to come');
        seen.length = 0;
        answer({ ...told, body: JSON.stringify({ error: { code: told.code } }), retryAfterSeconds: told.status === 503 ? 10 : 0 });
        const got = await asked;
        expect([got.status, got.code, got.headers.get('retry-after')]).toEqual([told.status, told.code, told.status === 503 ? '10' : null]);
      }
      const asked = put(url + COSTS, 'x');
      await until(() => seen.length > 0, 'the report to come');
      answer(new Error('gone'));
      expect(await asked).toMatchObject({ status: 503, code: 'COSTS_FAILED' });
      expect(ingress.stats().refusals).toEqual({ DATE_FULL: 1, DISK_FULL: 1, COSTS_FAILED: 1 });
    });

    it('is refused before it is kept: too large, compressed, of another type or method', async () => {
      const { port, seen } = keeper();
      const { url } = await open(door, { costs_bytes_max: 1_024 }, { costs: port });
      expect(await put(url + COSTS, 'x'.repeat(1_025))).toMatchObject({ status: 413, code: 'TOO_LARGE' });
      expect(await put(url + COSTS, 'x', { 'content-type': 'application/parquet' })).toMatchObject({ status: 415 });
      expect(await put(url + COSTS, 'x', { 'content-type': 'text/csv', 'content-encoding': 'gzip' })).toMatchObject({ status: 415 });
      const wrong = await ask(url + COSTS, { method: 'POST', body: 'x' });
      expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'PUT, OPTIONS']);
      expect((await ask(url + COSTS, { method: 'OPTIONS' })).status).toBe(204);
      expect(seen).toEqual([]);
    });

    it('is refused with 503 where nobody keeps it and while too many are on their way; a drain waits for those', async () => {
      const without = await open(door);
      expect(await put(without.url + COSTS, 'x')).toMatchObject({ status: 503, code: 'NOT_READY' });
      const { port, seen, answer } = keeper();
      const rig = await open(door, {}, { costs: port });
      const waiting = Array.from({ length: 4 }, () => put(rig.url + COSTS, 'x'));
      await until(() => seen.length === 4, 'four reports to come');
      expect(await put(rig.url + COSTS, 'x')).toMatchObject({ status: 503, code: 'BUSY' });
      // What is under way is waited for.
      const drained = rig.ingress.drain(5_000);
      for (let report = 0; report < 4; report++) answer(OK);
      expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      expect(await drained).toBe(0);
    });

    it('whose sender has gone leaves nothing behind', async () => {
      const { port, seen, answer } = keeper();
      const rig = await open(door, {}, { costs: port });
      const gone = client(rig.port);
      gone.send(`PUT ${COSTS} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx`);
      await until(() => seen.length === 1, 'the report to come');
      gone.destroy();
      await until(() => rig.ingress.stats().aborted === 1, 'the door to notice');
      answer(OK);
      await untilQuiet(rig);
    });
  });
});
