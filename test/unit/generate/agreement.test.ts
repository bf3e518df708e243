/** The generator's totals, the independent model and the product's own pipeline must tell the same of the same messages. */

import { describe, expect, it } from 'vitest';
import { createGenerator, ExpectedTotals, type GeneratedMessage } from '../../../actors/appsflyer/generate/index.ts';
import { appsflyerPipeline } from '../../../actors/appsflyer/pipeline.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import { eventOf } from '../../model/model-event.ts';
import { Model, type Dimension } from '../../model/model.ts';

const START_MS = Date.UTC(2026, 10, 22, 1);

function* stream(seed: number, count: number, users: number): Generator<GeneratedMessage> {
  const generator = createGenerator({ seed, startMs: START_MS, ratePerMinute: 500, users, garbageShare: 0.02, resendShare: 0.03 });
  for (let sent = 0; sent < count; sent++) yield generator.next();
}

/** As the door makes one of a GET. */
const jsonOf = ({ body, method }: GeneratedMessage): string => (method === 'GET' ? JSON.stringify(Object.fromEntries(new URLSearchParams(body))) : body);

describe('expected totals', () => {
  for (const [seed, users] of [
    [1, 100_000],
    [2, 1],
    [3, 50],
  ] as const) {
    it(`equal the independent model's, and each verdict too (seed ${seed}, ${users} users)`, () => {
      const model = new Model();
      const expected = new ExpectedTotals();
      for (const message of stream(seed, 8_000, users)) {
        const said = model.deliver({ ...message, receivedAtMs: message.dueAtMs });
        const { verdict } = message.effect;
        if (said.verdict !== verdict || (message.effect.verdict === 'rejected' && (said as { code?: string }).code !== message.effect.code)) {
          throw new Error(`made as ${JSON.stringify(message.effect)}, the model says ${JSON.stringify(said)}: ${message.body}`);
        }
        expected.add(message);
      }
      const ours = expected.summarise();
      const theirs = model.summarise();
      expect({ received: ours.received, counted: ours.counted, duplicate: ours.duplicate, rejected: ours.rejected, codes: ours.rejected_by_code }).toEqual({
        received: theirs.received,
        counted: theirs.counted,
        duplicate: theirs.duplicate,
        rejected: theirs.rejected,
        codes: theirs.rejectedByCode,
      });
      expect(ours.totals).toEqual(numbers(theirs.totals));
      expect(ours.rows).toEqual(
        theirs.byHourCampaignCountry.map((row) => ({
          window_start: row.windowStart,
          ...row.dimensions,
          records: Number(row.records),
          ...numbers(row.measures),
          ...(Object.keys(row.byEvent).length === 0 ? {} : { by_event: numbers(row.byEvent) }),
        })),
      );
      expect(Object.keys(ours.totals).length).toBe(15);
    });
  }
});

const numbers = (sums: Readonly<Record<string, bigint>>): Record<string, number> => Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, Number(sum)]));

describe('the pipeline', () => {
  it('decodes each generated message to what the independent model reads in it', () => {
    const rules = appsflyerPipeline.domainRules(null);
    const identities = new Map<string, string>();
    const fingerprint = new Uint32Array(4);
    for (const message of stream(11, 5_000, 1_000)) {
      const bytes = Buffer.from(jsonOf(message));
      const event = appsflyerPipeline.decode(bytes, 0, bytes.byteLength, RecordSource.push, 0);
      const said = eventOf(message);
      if (typeof event === 'string' || typeof said === 'string') {
        expect(event, message.body).toBe(said);
        continue;
      }
      const dimensions = Object.fromEntries(appsflyerPipeline.dimensions.map((dimension) => [dimension.name, dimension.of(event)]));
      expect({ time: event.timeMs, ...dimensions }, message.body).toEqual({ time: said.timeMs, ...(said.dimensions satisfies Record<Dimension, string>) });
      const one = new Model();
      one.deliver(message);
      const measures = appsflyerPipeline.measures.map((measure) => [measure.name, measure.amount(event, rules)] as const).filter(([, amount]) => amount !== 0);
      expect(Object.fromEntries(measures), message.body).toEqual(numbers(one.summarise().totals));
      appsflyerPipeline.fingerprint(event, 'push-ms', fingerprint);
      const identity = JSON.stringify([said.isSkan ? null : said.timeMs, ...said.identity]);
      const before = identities.get(fingerprint.join());
      expect(before ?? identity, message.body).toBe(identity);
      identities.set(fingerprint.join(), identity);
    }
    expect(new Set(identities.values()).size).toBe(identities.size);
  });
});
