import { describe, expect, it } from 'vitest';
import { LAKE_ROW_COLUMNS, MEASURES_NOT_IN_ROWS, ROW_DIMENSIONS, ROW_FLAGS, ROW_TEXTS, RowEvents, type LakeRow } from '../../../actors/appsflyer/lake-rows.ts';
import { appsflyerPipeline as pipeline } from '../../../actors/appsflyer/pipeline.ts';
import { RowFold, totalsUnder } from '../../../actors/appsflyer/row-fold.ts';
import { parseAppsflyerRules, type AppsflyerRules, type AppsflyerRulesData } from '../../../actors/appsflyer/rules.ts';
import type { AppsflyerEvent } from '../../../actors/appsflyer/event.ts';
import { CellKind, DIMENSION_SEPARATOR } from '../../../engine/core/cell.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import { MS_PER_HOUR } from '../../../engine/core/types.ts';
import { ORGANIC_INSTALL, PURCHASE, SKAN_INSTALL } from './messages.ts';

interface Case {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly source?: number;
  readonly rules?: AppsflyerRulesData;
}

const PULL = { source: RecordSource.pull };
const S2S = { fields: { app_id: 'com.example.shop', appsflyer_id: '1-1', eventName: 'af_purchase', eventTime: '2026-05-03 10:15:42.318', eventValue: '{"af_revenue":"3"}' }, source: RecordSource.s2s };
const CASES: Readonly<Record<string, Case>> = {
  'a purchase': { fields: PURCHASE },
  'a refund': { fields: { ...PURCHASE, event_revenue_usd: '-13.61' } },
  'its second attribution': { fields: { ...PURCHASE, is_primary_attribution: false } },
  'an event that converts nobody': { fields: { ...PURCHASE, event_name: 'af_level' } },
  'an organic install': { fields: ORGANIC_INSTALL },
  'a re-engagement': { fields: { ...PURCHASE, event_type: 're-engagement', event_name: 're-engagement', conversion_type: 're-engagement', campaign_type: 'retargeting' } },
  'a reinstall': { fields: { ...PURCHASE, event_type: 'reinstall', event_name: 'reinstall' } },
  'a re-attribution': { fields: { ...PURCHASE, event_type: 're-attribution', event_name: 're-attribution', is_primary_attribution: false } },
  'an uninstall': { fields: { ...PURCHASE, millrace_kind: 'uninstall' }, ...PULL },
  'an install found to be fraud': { fields: { ...PURCHASE, millrace_kind: 'detection' }, ...PULL },
  'a blocked event': { fields: { ...PURCHASE, millrace_kind: 'blocked-event' }, ...PULL },
  'ad revenue': { fields: { ...PURCHASE, millrace_kind: 'ad-revenue' }, ...PULL },
  'a SKAdNetwork install': { fields: SKAN_INSTALL },
  'a SKAdNetwork re-download': { fields: { ...SKAN_INSTALL, event_type: 're-download' } },
  'a SKAdNetwork event': { fields: { ...SKAN_INSTALL, event_type: 'in-app-event', event_name: 'af_purchase', skad_revenue: '2' } },
  'a SKAdNetwork postback': { fields: { ...SKAN_INSTALL, event_type: 'postback' } },
  'a copy on the S2S route': S2S,
  'one that counts': { ...S2S, rules: { s2sAuthoritativeApps: ['com.example.shop'] } },
  'a row that a copy stands for': { fields: { ...PURCHASE, event_source: 'S2S' }, rules: { s2sAuthoritativeApps: ['com.example.shop'] } },
  'a record of a test app': { fields: PURCHASE, rules: { apps: { test: ['com.example.shop'] } } },
};

const LISTS = [['af_purchase'], ['af_level'], ['af_purchase', 'af_level'], []];
const under = (names: readonly string[]): AppsflyerRules => ({ ...parseAppsflyerRules(null), conversionEvents: new Set(names) });

function decoded({ fields, source = RecordSource.push, rules = {} }: Case): AppsflyerEvent {
  const bytes = Buffer.from(JSON.stringify(fields));
  const event = pipeline.decode(bytes, 0, bytes.byteLength, source, 0);
  if (typeof event === 'string') throw new Error(event);
  pipeline.enrich?.(event, parseAppsflyerRules(rules));
  return event;
}

/** As the lake writes it and gives it back. */
function rowOf(event: AppsflyerEvent): LakeRow {
  const column = (name: string): unknown => pipeline.lakeColumns.find((one) => one.name === name)?.of(event, { eventId: '', late: false, receivedAtMs: 0 });
  return {
    eventType: column('event_type') as string,
    eventName: column('event_name') as string,
    timeMs: column('timestamp') as number,
    revenueMicros: column('revenue') as number | null,
    isPrimary: column('is_primary') as boolean,
    isTest: column('is_test') as boolean,
    dimensions: ROW_DIMENSIONS.map((name) => column(name) as string),
  };
}

/** What the pipeline counts of it, without what rows cannot tell. */
const counted = (event: AppsflyerEvent, rules: AppsflyerRules): unknown => ({
  measures: Object.fromEntries(pipeline.measures.filter(({ name }) => !MEASURES_NOT_IN_ROWS.has(name)).map(({ name, amount }) => [name, amount(event, rules)])),
  breakdown: pipeline.breakdown.nameOf(event, rules),
  dimensions: pipeline.dimensions.map(({ of }) => of(event)),
});

describe('a row of the lake', () => {
  it.each(Object.entries(CASES))('counts %s as the record itself does, whatever converts', (_, one) => {
    const rows = new RowEvents();
    for (const names of LISTS) {
      const event = decoded(one);
      const expected = counted(event, under(names));
      const again = rows.eventOf(rowOf(event));
      expect(again === null ? null : counted(again, under(names))).toEqual(expected);
    }
  });

  it('has all that is read of it among the columns of the lake, each of the type that is read', () => {
    const types = new Map(pipeline.lakeColumns.map(({ name, type }) => [name, type]));
    const { time, texts, micros, flags } = LAKE_ROW_COLUMNS;
    expect([types.get(time), types.get(micros)]).toEqual(['timestamp_micros', 'decimal_micros']);
    for (const name of texts) expect(['text', 'dictionary']).toContain(types.get(name));
    for (const name of flags) expect(types.get(name)).toBe('boolean');
    expect(texts.slice(0, ROW_TEXTS.length)).toEqual(ROW_TEXTS);
    expect(flags).toEqual(ROW_FLAGS);
  });

  it('of a type that is none is no event', () => {
    expect(new RowEvents().eventOf({ ...rowOf(decoded({ fields: PURCHASE })), eventType: 'constructor' })).toBeNull();
  });
});

describe('rows folded into cells', () => {
  const ALL = Object.values(CASES);
  const fold = new RowFold({ names: new Set(['af_purchase', 'af_level']), isAsked: () => true, cellsMax: 1_000 });
  for (const one of ALL) fold.add(rowOf(decoded(one)), false);

  it.each(LISTS.map((names) => [names.join(' and ') || 'nothing', names] as const))('are what the records count where %s converts', (_, names) => {
    const sums = new Map<string, { records: number; measures: number[]; breakdown: Record<string, number> }>();
    const rules = under(names);
    for (const one of ALL) {
      const event = decoded(one);
      const key = pipeline.dimensions.map(({ of }) => of(event)).join(DIMENSION_SEPARATOR);
      const sum = sums.get(key) ?? { records: 0, measures: pipeline.measures.map(() => 0), breakdown: {} };
      sums.set(key, sum);
      sum.records++;
      pipeline.measures.forEach(({ name, amount }, index) => (sum.measures[index] = (sum.measures[index] as number) + (MEASURES_NOT_IN_ROWS.has(name) ? 0 : amount(event, rules))));
      const name = pipeline.breakdown.nameOf(event, rules);
      if (name !== null) sum.breakdown[name] = (sum.breakdown[name] ?? 0) + 1;
    }
    const folded = fold.hours.flatMap((hour) => [...fold.cells(CellKind.hour, hour)]);
    expect(folded.map(([dimensions, cell]) => [dimensions, { ...totalsUnder(cell, new Set(names)), breakdown: totalsUnder(cell, new Set(names)).breakdown ?? {} }])).toEqual([...sums].map(([dimensions, sum]) => [dimensions, { ...sum, labels: [] }]));
  });

  it('pass over hours that are not asked for, keep late ones apart, and end at their bound', () => {
    const row = rowOf(decoded({ fields: PURCHASE }));
    const hour = Math.floor(row.timeMs / MS_PER_HOUR) * MS_PER_HOUR;
    const narrow = new RowFold({ names: new Set(), isAsked: (start) => start === hour, cellsMax: 2 });
    narrow.add({ ...row, timeMs: hour - 1 }, false);
    narrow.add(row, true);
    narrow.add(row, true);
    expect(narrow.hours).toEqual([hour]);
    expect([...narrow.cells(CellKind.late, hour).values()].map(({ records }) => records)).toEqual([2]);
    expect(narrow.cells(CellKind.hour, hour).size).toBe(0);
    narrow.add(row, false);
    expect(() => narrow.add({ ...row, dimensions: ROW_DIMENSIONS.map(() => 'x') }, false)).toThrow(/more than 2 cells/);
  });
});
