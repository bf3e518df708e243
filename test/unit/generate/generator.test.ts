import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createGenerator, ExpectedTotals, type GeneratedMessage, type GeneratorOptions } from '../../../actors/appsflyer/generate/index.ts';

const START_MS = Date.UTC(2026, 10, 22, 1);

function take(count: number, options: Partial<GeneratorOptions> = {}): GeneratedMessage[] {
  const generator = createGenerator({ seed: 7, startMs: START_MS, ...options });
  return Array.from({ length: count }, () => generator.next());
}

const share = (messages: readonly GeneratedMessage[], test: (message: GeneratedMessage) => boolean): number => messages.filter(test).length / messages.length;

describe('the generator', () => {
  const messages = take(20_000);

  it('makes the same bytes from the same seed on every machine', () => {
    const hash = createHash('sha256');
    for (const { body, method, dueAtMs, attempt } of take(2_000, { garbageShare: 0.05 })) hash.update(`${method} ${dueAtMs} ${attempt} ${body}\n`);
    // A change of this value is a change of every stream that was ever described by its seed: only on purpose.
    expect(hash.digest('hex').slice(0, 16)).toBe('55fe0970090608c4');
    expect(take(50, { seed: 8 }).map(({ body }) => body)).not.toEqual(take(50).map(({ body }) => body));
  });

  it('makes all message types, both methods and both platforms', () => {
    const kinds = new Set(messages.map(({ kind }) => kind));
    const installs = ['install', 'organic-install', 'install-in-app-event', 'organic-install-in-app-event', 'reinstall', 'organic-reinstall'];
    for (const kind of [...installs, 're-engagement', 're-engagement-in-app-event', 're-attribution', 're-attribution-in-app-event', 'skan', 'garbage']) {
      expect(kinds, kind).toContain(kind);
    }
    expect(share(messages, ({ method }) => method === 'GET')).toBeCloseTo(0.019, 2);
    for (const platform of ['ios', 'android']) expect(share(messages, ({ body }) => body.includes(`"platform":"${platform}"`))).toBeGreaterThan(0.2);
  });

  it('has the size of real messages: most of the fields, about 1.6 KB', () => {
    const meanBytes = messages.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0) / messages.length;
    expect(meanBytes).toBeGreaterThan(1_500);
    expect(meanBytes).toBeLessThan(1_900);
    const posts = messages.filter(({ kind, method }) => method === 'POST' && kind !== 'garbage').map(({ body }) => Object.keys(JSON.parse(body) as object));
    expect(new Set(posts.flat()).size).toBeGreaterThan(95);
    expect(messages.every(({ body, method }) => method === 'POST' || body.length < 2_048)).toBe(true);
  });

  it('resends the same bytes, after seconds or quarters of an hour', () => {
    const all = take(20_000, { ratePerMinute: 300 });
    const first = new Map(all.filter(({ attempt, kind }) => attempt === 1 && kind !== 'garbage').map((message) => [message.body, message.dueAtMs]));
    const resends = all.filter(({ attempt }) => attempt > 1);
    // Garbage may be alike by chance.
    const spoilt = all.filter(({ kind }) => kind === 'garbage').length;
    expect(resends.length).toBeGreaterThan(200);
    for (const { body, dueAtMs } of resends) {
      const afterMs = dueAtMs - (first.get(body) ?? NaN);
      expect((afterMs >= 2_000 && afterMs <= 30_000) || (afterMs % 900_000 === 0 && afterMs <= 3_600_000), String(afterMs)).toBe(true);
    }
    expect(first.size).toBe(all.length - resends.length - spoilt);
  });

  it('delivers in order of due time, and event times lag: seconds mostly, hours seldom, never ahead', () => {
    expect(messages.every(({ dueAtMs }, index) => index === 0 || dueAtMs >= (messages[index - 1]?.dueAtMs ?? 0))).toBe(true);
    const lags = messages.filter(({ attempt, kind }) => attempt === 1 && kind !== 'garbage').map(({ dueAtMs, eventTimeMs }) => dueAtMs - eventTimeMs);
    expect(Math.min(...lags)).toBeGreaterThan(0);
    expect(lags.filter((lag) => lag <= 45_000).length / lags.length).toBeGreaterThan(0.85);
    expect(lags.filter((lag) => lag > 7_200_000).length).toBeGreaterThan(0);
    expect(lags.filter((lag) => lag > 7_200_000).length / lags.length).toBeLessThan(0.003);
  });

  it('sends doubly attributed events as a pair that differs in is_primary_attribution', () => {
    const pairs = messages.filter(({ body }) => /"is_primary_attribution":"?false/.test(body));
    expect(pairs.length).toBeGreaterThan(100);
    const orderOf = (body: string): string | undefined => /o-7-\d+/.exec(body)?.[0];
    const primaries = new Set(messages.filter(({ body }) => /"is_primary_attribution":"?true/.test(body)).map(({ body }) => orderOf(body)));
    expect(share(pairs, ({ body }) => primaries.has(orderOf(body)))).toBeGreaterThan(0.9);
  });

  it('has refunds, amounts without a price, numbers and texts, organic installs without attribution or event_value', () => {
    expect(share(messages, ({ body }) => /"event_revenue_usd":"?-/.test(body))).toBeGreaterThan(0.002);
    expect(share(messages, ({ body }) => body.includes('"event_revenue":') && !body.includes('event_revenue_usd'))).toBeGreaterThan(0.002);
    expect(share(messages, ({ body }) => /"event_revenue_usd":-?\d/.test(body))).toBeGreaterThan(0.002);
    const organic = messages.filter(({ kind, method }) => kind === 'organic-install' && method === 'POST').map(({ body }) => JSON.parse(body) as Record<string, unknown>);
    expect(organic.length).toBeGreaterThan(100);
    for (const fields of organic) for (const name of ['campaign', 'af_c_id', 'attributed_touch_type', 'event_value']) expect(fields).not.toHaveProperty(name);
  });

  it('follows the clock it is given, and its resends keep the times they were first sent with', () => {
    const generator = createGenerator({ seed: 3, startMs: START_MS, followsClock: true, resendShare: 0.2 });
    const bodies = new Map<string, number>();
    let resends = 0;
    for (let at = 0; at < 5_000; at++) {
      const nowMs = START_MS + 1e9 + at * 20;
      const { body, dueAtMs, attempt, eventTimeMs, kind } = generator.next(nowMs);
      if (attempt === 1 && kind !== 'garbage') {
        expect(dueAtMs).toBeLessThanOrEqual(nowMs);
        expect(eventTimeMs).toBeLessThan(nowMs);
        bodies.set(body, nowMs);
      } else if (attempt > 1) {
        expect(bodies.has(body)).toBe(true);
        resends++;
      }
    }
    expect(resends).toBeGreaterThan(100);
    expect(() => generator.next()).toThrow(TypeError);
  });

  it('makes garbage in the share asked for, none without', () => {
    expect(take(5_000, { garbageShare: 0 }).filter(({ kind }) => kind === 'garbage')).toEqual([]);
    expect(share(take(5_000, { garbageShare: 0.2 }), ({ effect }) => effect.verdict === 'rejected')).toBeCloseTo(0.2, 1);
  });

  it('sums what it made', () => {
    const expected = new ExpectedTotals();
    for (const message of messages) expected.add(message);
    const summary = expected.summarise();
    expect(summary.received).toBe(messages.length);
    expect(summary.received).toBe(summary.counted + summary.duplicate + summary.rejected);
    expect(summary.rows.reduce((sum, row) => sum + row.records, 0)).toBe(summary.counted);
  });
});
