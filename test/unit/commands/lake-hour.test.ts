import { describe, expect, it } from 'vitest';
import { appsflyerPipeline } from '../../../actors/appsflyer/pipeline.ts';
import type { RowCell } from '../../../actors/appsflyer/row-fold.ts';
import { answerHour, type HourAnswer, type HourQuestion } from '../../../engine/commands/lake-hour.ts';
import { CellKind, type MergedCell } from '../../../engine/core/cell.ts';
import { resultSchema } from '../../../engine/core/pipeline.ts';

const schema = resultSchema(appsflyerPipeline);
const measured = (values: Readonly<Record<string, number>>): number[] => schema.measures.map(({ name }) => values[name] ?? 0);

const counted = (records: number, values: Readonly<Record<string, number>>, breakdown: Readonly<Record<string, number>> | null = null): ReadonlyMap<string, MergedCell> =>
  new Map([['d', { kind: CellKind.hour, windowStartMs: 0, dimensions: 'd', records, measures: measured({ events: records, ...values }), breakdown, labels: [], revision: 7, final: true, updatedAtMs: 1 }]]);

/** Primary and secondary in-app events by name. */
function rows(names: Readonly<Record<string, readonly [primary: number, secondary: number]>>, changes: Partial<RowCell> = {}): ReadonlyMap<string, RowCell> {
  const primary = Object.values(names).reduce((sum, [count]) => sum + count, 0);
  const secondary = Object.values(names).reduce((sum, [, count]) => sum + count, 0);
  const parts = new Map(Object.entries(names).map(([name, [first, second]]) => [name, { measures: measured({ conversions: first, secondary_conversions: second }), counted: first }]));
  return new Map([['d', { records: primary + secondary, measures: measured({ events: primary }), parts, ...changes }]]);
}

const NONE = { counted: new Map(), rows: new Map() };
const question = (hour: HourQuestion['hour'], changes: Partial<HourQuestion> = {}): HourQuestion => ({ hour, late: NONE, isFinal: true, isWritten: true, current: new Set(['buy']), tried: new Set(['level']), ...changes });

function changeOf(answer: HourAnswer): unknown {
  if (answer.leftOut !== null) return answer.leftOut;
  const [change] = answer.changes;
  if (change === undefined) return null;
  const figure = (name: string): number => change.after.measures[schema.measures.findIndex((measure) => measure.name === name)] as number;
  return { conversions: figure('conversions'), secondary: figure('secondary_conversions'), by: change.after.breakdown, records: change.after.records, unpriced: figure('unpriced_events') };
}

describe('an hour of which all rows are there', () => {
  const all = { buy: [3, 1], level: [2, 2], other: [1, 0] } as const;

  it('becomes what its rows count under other conversion events, and keeps what rows do not carry', () => {
    const hour = { counted: counted(9, { events: 6, conversions: 3, secondary_conversions: 1, unpriced_events: 4 }, { buy: 3 }), rows: rows(all) };
    const answer = answerHour(question(hour));
    expect(changeOf(answer)).toEqual({ conversions: 2, secondary: 2, by: { level: 2 }, records: 9, unpriced: 4 });
    expect(answer).toMatchObject({ gaps: [], changes: [{ before: { revision: 7 }, after: { revision: 7, dimensions: 'd' } }] });
    expect(changeOf(answerHour(question(hour, { tried: new Set(['buy']) })))).toBeNull();
  });

  it('does so whatever it was counted under, and says that it was counted otherwise', () => {
    const mixed = { counted: counted(9, { events: 6, conversions: 2, secondary_conversions: 0 }, { buy: 1, other: 1 }), rows: rows(all) };
    const answer = answerHour(question(mixed));
    expect(changeOf(answer)).toMatchObject({ conversions: 2, secondary: 2, by: { level: 2 } });
    expect(answer.leftOut === null && answer.gaps.map(({ figures }) => figures.map(({ figure, before, after }) => [figure, before, after]))).toEqual([[['conversions', 2, 3], ['secondary_conversions', 0, 1], ['by_event.buy', 1, 3], ['by_event.other', 1, 0]]]);
  });
});

describe('an hour of which rows are missing', () => {
  const hour = { counted: counted(10, { conversions: 6, secondary_conversions: 1 }, { buy: 6 }), rows: rows({ buy: [3, 1], level: [2, 1] }) };

  it('changes by what the rows that are there change: the others keep what they counted', () => {
    const answer = answerHour(question(hour));
    // 6 - 3 + 2, and 1 - 1 + 1 of the second attribution.
    expect(changeOf(answer)).toMatchObject({ conversions: 5, secondary: 1, by: { buy: 3, level: 2 } });
    expect(answer.leftOut === null && answer.gaps[0]?.figures.map(({ figure }) => figure)).toEqual(['records', 'events', 'conversions', 'by_event.buy']);
    expect(changeOf(answerHour(question({ ...hour, rows: new Map() })))).toBeNull();
  });

  it('tells by the counted names what converted then, whatever converts now', () => {
    const before = { counted: counted(10, { conversions: 3 }, { level: 3 }), rows: rows({ buy: [2, 0], level: [2, 1] }) };
    expect(changeOf(answerHour(question(before)))).toBeNull();
    expect(changeOf(answerHour(question(before, { tried: new Set(['buy', 'level']) })))).toMatchObject({ conversions: 5, by: { buy: 2, level: 3 } });
  });

  it('goes by the conversion events of now where a name has second attributions alone', () => {
    const before = { counted: counted(10, { secondary_conversions: 2 }), rows: rows({ buy: [0, 2] }) };
    expect(changeOf(answerHour(question(before)))).toMatchObject({ secondary: 0 });
    expect(changeOf(answerHour(question(before, { current: new Set() })))).toBeNull();
  });

  it('is left out where the conversion events changed within it', () => {
    expect(changeOf(answerHour(question({ ...hour, counted: counted(10, { conversions: 2 }, { buy: 2 }) })))).toBe('undecided');
  });

  it('is left out while they may still come', () => {
    expect(changeOf(answerHour(question(hour, { isWritten: false })))).toBe('unwritten');
    const whole = { counted: counted(7, { conversions: 3, secondary_conversions: 1, events: 5 }, { buy: 3 }), rows: hour.rows };
    expect(changeOf(answerHour(question(whole, { isWritten: false })))).toMatchObject({ conversions: 2 });
  });
});

describe('an hour is left out', () => {
  const right = { counted: counted(3, { conversions: 3 }, { buy: 3 }), rows: rows({ buy: [3, 0] }) };

  it('before it is final', () => {
    expect(changeOf(answerHour(question(right, { isFinal: false })))).toBe('open');
  });

  it.each([
    ['more rows than were counted', rows({ buy: [4, 0] })],
    ['rows under dimensions that were not counted', new Map([['e', rows({ buy: [1, 0] }).get('d') as RowCell]])],
    ['as many rows of another kind', rows({ buy: [3, 0] }, { measures: measured({ installs: 3 }) })],
    ['as many rows of another worth', rows({ buy: [3, 0] }, { measures: measured({ events: 3, revenue_micros: 5 }) })],
    ['fewer rows, and more of a kind', rows({ buy: [1, 0] }, { measures: measured({ events: 1, installs: 1 }) })],
  ])('where the lake has %s', (_, other) => {
    expect(changeOf(answerHour(question({ ...right, rows: other })))).toBe('contradicted');
    expect(changeOf(answerHour(question(right, { late: { ...right, rows: other } })))).toBe('contradicted');
  });

  it('late rows of it may be missing', () => {
    const answer = answerHour(question(right, { late: { counted: counted(2, { conversions: 2 }, { buy: 2 }), rows: rows({ buy: [1, 0] }) }, isWritten: false }));
    expect(answer.leftOut === null && answer.changes.map(({ after }) => after.breakdown)).toEqual([null, { buy: 1 }]);
  });
});
