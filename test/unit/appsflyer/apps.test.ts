import { describe, expect, it } from 'vitest';
import { appsflyerPipeline as pipeline } from '../../../actors/appsflyer/pipeline.ts';
import { parseAppsflyerRules, type AppsflyerRules } from '../../../actors/appsflyer/rules.ts';
import type { AppsflyerEvent } from '../../../actors/appsflyer/event.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import { PURCHASE } from './messages.ts';

const rules = (apps?: object): AppsflyerRules => parseAppsflyerRules(apps === undefined ? {} : { apps });

function event(fields: object = {}): AppsflyerEvent {
  const bytes = Buffer.from(JSON.stringify({ ...PURCHASE, ...fields }));
  const decoded = pipeline.decode(bytes, 0, bytes.byteLength, RecordSource.push, 0);
  if (typeof decoded === 'string') throw new Error(decoded);
  return decoded;
}

const measured = (fields: object, ruled: AppsflyerRules): Record<string, number> => {
  const one = event(fields);
  pipeline.enrich?.(one, ruled);
  return Object.fromEntries(pipeline.measures.map((measure) => [measure.name, measure.amount(one, ruled)] as const).filter(([, amount]) => amount !== 0));
};

describe('rules of apps', () => {
  it('let in every app where none is listed', () => {
    for (const ruled of [rules(), rules({}), rules({ test: ['id1'] }), rules({ known: [] })]) expect(pipeline.refuse?.(event(), ruled)).toBeNull();
  });

  it('refuse an app that is not listed, and let in those that are, test apps included', () => {
    const ruled = rules({ known: ['com.example.shop'], test: ['id1234567890'] });
    expect(pipeline.refuse?.(event(), ruled)).toBeNull();
    expect(pipeline.refuse?.(event({ app_id: 'id1234567890' }), ruled)).toBeNull();
    expect(pipeline.refuse?.(event({ app_id: 'com.example.shop2' }), ruled)).toBe('UNKNOWN_APP');
    expect(pipeline.refuse?.(event({ app_id: 'COM.EXAMPLE.SHOP' }), ruled)).toBe('UNKNOWN_APP');
  });

  it.each([
    ['a purchase', {}],
    ['an install', { event_name: 'install' }],
    ['a second attribution', { is_primary_attribution: false }],
    ['an amount without a price', { event_revenue_usd: '', event_revenue: '5', event_revenue_currency: 'EUR' }],
  ])('count %s of a test app in test_records alone, and in its own measures otherwise', (_, fields) => {
    expect(measured(fields, rules({ test: [PURCHASE.app_id] }))).toEqual({ test_records: 1 });
    expect(measured(fields, rules({ test: ['another'] }))).not.toHaveProperty('test_records');
    expect(Object.keys(measured(fields, rules())).length).toBeGreaterThan(0);
  });

  it('mark a test app in the lake, and the event after it not', () => {
    const ruled = rules({ test: [PURCHASE.app_id] });
    const column = (name: string, of: AppsflyerEvent): unknown => pipeline.lakeColumns.find((one) => one.name === name)?.of(of, { eventId: '', late: false, receivedAtMs: 0 });
    const install = { event_name: 'install', conversion_type: 'install', event_type: undefined };
    const test = event(install);
    pipeline.enrich?.(test, ruled);
    expect([column('is_test', test), column('is_install', test), column('event_type', test)]).toEqual([true, false, 'install']);
    const other = event({ ...install, app_id: 'com.example.other' });
    pipeline.enrich?.(other, ruled);
    expect([column('is_test', other), column('is_install', other)]).toEqual([false, true]);
  });

  it('leave the breakdown by event to others', () => {
    const one = event();
    pipeline.enrich?.(one, rules({ test: [PURCHASE.app_id] }));
    expect(pipeline.breakdown.nameOf(one, rules())).toBeNull();
  });

  it.each([[{ known: 'id1' }], [{ known: [''] }], [{ test: [7] }], [{ known: ['x'.repeat(256)] }], [{ others: [] }], [[]], [null], [{ known: Array.from({ length: 1_001 }, (_, at) => `id${at}`) }]])('refuse %j', (apps) => {
    expect(() => parseAppsflyerRules({ apps })).toThrow(/apps/);
  });
});
