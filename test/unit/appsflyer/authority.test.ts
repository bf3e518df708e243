import { describe, expect, it } from 'vitest';
import type { AppsflyerEvent } from '../../../actors/appsflyer/event.ts';
import { appsflyerPipeline as pipeline } from '../../../actors/appsflyer/pipeline.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import { encode, PURCHASE, S2S_PURCHASE, SKAN_INSTALL, variant } from './messages.ts';

const APP = 'com.example.shop';
const rulesFor = (...apps: string[]) => pipeline.domainRules({ s2sAuthoritativeApps: apps });

const enriched = (message: unknown, source: number, rules: ReturnType<typeof rulesFor>): AppsflyerEvent => {
  const bytes = encode(message);
  const event = pipeline.decode(bytes, 0, bytes.byteLength, source, 0);
  if (typeof event === 'string') throw new Error(`rejected: ${event}`);
  pipeline.enrich?.(event, rules);
  return event;
};

const measuresOf = (event: AppsflyerEvent, rules: ReturnType<typeof rulesFor>): Record<string, number> =>
  Object.fromEntries(pipeline.measures.map((measure) => [measure.name, measure.amount(event, rules)] as const).filter(([, amount]) => amount !== 0));

const COPY = variant(S2S_PURCHASE, { app_id: APP });
const ROW = variant(PURCHASE, { event_source: 'S2S' });
const COUNTED = { events: 1, conversions: 1, revenue_micros: 6_000_000 };

describe('whose word counts', () => {
  it('is AppsFlyer\'s by default: copies are in the lake alone', () => {
    for (const rules of [pipeline.domainRules(null), rulesFor('another')]) {
      const copy = enriched(COPY, RecordSource.s2s, rules);
      expect([copy.eventType, measuresOf(copy, rules), pipeline.breakdown.nameOf(copy, rules)]).toEqual(['s2s-copy', {}, null]);
      expect(measuresOf(enriched(ROW, RecordSource.push, rules), rules)).toEqual({ events: 1, conversions: 1, revenue_micros: 13_610_000 });
    }
  });

  it('is the server\'s for an app that is declared: its copies count as in-app events', () => {
    const rules = rulesFor(APP);
    const copy = enriched(COPY, RecordSource.s2s, rules);
    expect([copy.eventType, copy.eventSource(), measuresOf(copy, rules), pipeline.breakdown.nameOf(copy, rules)]).toEqual(['s2s-in-app-event', 'S2S', COUNTED, 'af_purchase']);
    expect(measuresOf(enriched(variant(COPY, { eventName: 'install' }), RecordSource.s2s, rules), rules)).toEqual({ events: 1, revenue_micros: 6_000_000 });
  });

  it('leaves the rows of the same events from AppsFlyer to the lake then, by whatever way, the second attribution too', () => {
    const rules = rulesFor(APP);
    for (const source of ['push', 'pushGet', 'events', 'pull', 'kafka'] as const) for (const row of [ROW, variant(ROW, { event_source: 's2s' }), variant(ROW, { is_primary_attribution: false })]) {
      const event = enriched(row, RecordSource[source], rules);
      expect([event.eventType, measuresOf(event, rules)]).toEqual(['s2s-copy', {}]);
    }
  });

  it('does not touch what the SDK reported, other apps, SKAdNetwork or rows of reports', () => {
    const rules = rulesFor(APP);
    expect(measuresOf(enriched(PURCHASE, RecordSource.push, rules), rules)).toMatchObject({ events: 1 });
    expect(measuresOf(enriched(variant(ROW, { app_id: 'id1' }), RecordSource.push, rules), rules)).toMatchObject({ events: 1 });
    expect(measuresOf(enriched(variant(COPY, { app_id: 'id1' }), RecordSource.s2s, rules), rules)).toEqual({});
    expect(measuresOf(enriched(variant(SKAN_INSTALL, { app_id: APP, event_source: 'S2S' }), RecordSource.push, rules), rules)).toEqual({ skan_installs: 1 });
    expect(measuresOf(enriched(variant(ROW, { millrace_kind: 'uninstall' }), RecordSource.pull, rules), rules)).toEqual({ uninstalls: 1 });
  });
});

describe('the rules', () => {
  it('name apps, bounded in number and length', () => {
    expect(pipeline.domainRules({}).s2sAuthoritativeApps.size).toBe(0);
    expect([...rulesFor('a', 'b').s2sAuthoritativeApps]).toEqual(['a', 'b']);
    for (const apps of [['x'.repeat(256)], [''], [7], 'a', Array.from({ length: 1_001 }, (_, index) => `app${index}`)]) expect(() => pipeline.domainRules({ s2sAuthoritativeApps: apps })).toThrow(/s2sAuthoritativeApps/);
  });
});
