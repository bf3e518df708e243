import { describe, expect, test } from 'vitest';
import { benchRedisEncode } from '../../../bench/micro/redis-encode.ts';
import type { MergedCell } from '../../../engine/core/cell.ts';
import { CellKind } from '../../../engine/core/cell.ts';
import { decimalOfMicros, ValueEncoder } from '../../../sinks/redis/encode.ts';
import type { ValueInput } from '../../../sinks/redis/encode.ts';
import { keyPart, newestKey, windowKey } from '../../../sinks/redis/keys.ts';
import { HEAD_BYTES, TAIL_BYTES } from '../../../sinks/redis/script.ts';
import { cellOf, joined, TEST_SCHEMA } from '../../conformance/memory-feed.ts';

const HOUR_MS = Date.UTC(2026, 10, 22, 1);
const hour = (dimensions: string, part: Partial<MergedCell> = {}): MergedCell => cellOf({ kind: CellKind.hour, windowStartMs: HOUR_MS, dimensions, ...part });
const late = (dimensions: string, part: Partial<MergedCell> = {}): MergedCell => cellOf({ kind: CellKind.late, windowStartMs: HOUR_MS, dimensions, ...part });
const encode = (part: Partial<ValueInput>) => new ValueEncoder(TEST_SCHEMA).encode({ resultKey: 'c1', windowStartMs: HOUR_MS, generation: 1_763_000_000_000, cells: [], lateCells: [], closed: false, ...part });

interface Value {
  readonly cells: readonly Record<string, unknown>[];
  readonly [field: string]: unknown;
}
const parsed = (part: Partial<ValueInput>): Value => JSON.parse(encode(part).json) as Value;

describe('a Redis value', () => {
  test('is exactly this JSON', () => {
    const cells = [
      hour(joined('c1', 'id1', 'facebook', 'DE', 'phone'), { measures: [2, 1, 3_610_000], breakdown: { af_purchase: 1 }, revision: 7, final: true, updatedAtMs: HOUR_MS + 5 }),
      hour(joined('c1', 'id2', 'google "ads"', 'FR', 'tablet'), { measures: [5, 3, 10_000_000], breakdown: { af_subscribe: 2, af_purchase: 1 }, revision: 11, final: true, updatedAtMs: HOUR_MS + 9, labels: [{ timeMs: 8, text: 'Winter' }, { timeMs: 8, text: 'id' }] }),
    ];
    const lateCells = [late(joined('c1', 'id1', 'facebook', 'DE', 'phone'), { records: 4, measures: [100, 100, 100], revision: 3, updatedAtMs: HOUR_MS + 7 })];
    expect(encode({ cells, lateCells })).toEqual({
      timestamp: '2026-11-22T01:00:00Z',
      revision: 21,
      updatedAtMs: HOUR_MS + 9,
      json:
        '{"timestamp":"2026-11-22T01:00:00Z","generation":1763000000000,"revision":21,"campaign_id":"c1","campaign":"Winter","campaign_id_kind":"id",' +
        '"installs":7,"conversions":4,"revenue":13.61,"revenue_micros":13610000,"by_event":{"af_purchase":2,"af_subscribe":2},"late_records":4,"cells":[' +
        '{"app_id":"id2","media_source":"google \\"ads\\"","country":"FR","device":"tablet","installs":5,"conversions":3,"revenue":10,"revenue_micros":10000000},' +
        '{"app_id":"id1","media_source":"facebook","country":"DE","device":"phone","installs":2,"conversions":1,"revenue":3.61,"revenue_micros":3610000,"late":4}' +
        '],"final":true,"updated_at":"2026-11-22T01:00:00.009Z"}',
    });
  });

  test('shows no cell without records, not in its revision either, and may be of none at all', () => {
    const empty = (dimensions: string): MergedCell => hour(dimensions, { records: 0, measures: [0, 0, 0], revision: 9, final: true, updatedAtMs: HOUR_MS + 3 });
    const [one, two] = [joined('c1', 'id1', 'a', 'DE', 'phone'), joined('c1', 'id2', 'a', 'DE', 'phone')];
    const value = parsed({ cells: [hour(one, { revision: 2, final: true }), empty(two)], lateCells: [late(one, { records: 0, revision: 5 })] });
    expect(value).toMatchObject({ revision: 2, installs: 1, late_records: 0, final: true });
    expect(value.cells).toEqual([expect.objectContaining({ app_id: 'id1' })]);
    expect(value.cells[0]).not.toHaveProperty('late');
    expect(parsed({ cells: [empty(one)] })).toMatchObject({ revision: 0, installs: 0, revenue: 0, campaign: '', cells: [], final: true, updated_at: new Date(HOUR_MS + 3).toISOString() });
  });

  test('puts what the compare script reads within the bytes it reads, however large the numbers', () => {
    const { json } = encode({ generation: Number.MAX_SAFE_INTEGER, cells: [hour(joined('c1', 'a', 'b', 'c', 'd'), { revision: Number.MAX_SAFE_INTEGER })] });
    expect(json.slice(0, HEAD_BYTES)).toMatch(/^\{"timestamp":"[^"]+","generation":9007199254740991,"revision":9007199254740991,/);
  });

  test('says at its very end whether it is final, as the store script reads it', () => {
    const closed = encode({ cells: [hour('c1', { final: true, updatedAtMs: 8_640_000_000_000_000 })] });
    expect(closed.json.slice(-TAIL_BYTES)).toContain('"final":true,"updated_at":');
    expect(encode({ cells: [hour('c1')] }).json.slice(-TAIL_BYTES)).toContain('"final":false,"updated_at":');
  });

  test('is valid JSON for hostile names', () => {
    const name = '"},{"\\\u0000\u2028\ud800__proto__<script>';
    const value = parsed({ resultKey: name, cells: [hour(joined(name, name, name, name, name), { breakdown: JSON.parse('{"__proto__": 3, "constructor": 4}') as Record<string, number> })] });
    expect(value['campaign_id']).toBe(name);
    expect(value.cells[0]?.['country']).toBe(name);
    expect(Object.entries(value['by_event'] as object)).toEqual([['__proto__', 3], ['constructor', 4]]);
  });

  test('is final only when every hour cell is', () => {
    const open = hour(joined('c1', 'a', 'b', 'c', 'd'));
    const closed = hour(joined('c1', 'a', 'b', 'c', 'e'), { final: true });
    expect(parsed({ cells: [open, closed] })['final']).toBe(false);
    expect(parsed({ cells: [closed] })['final']).toBe(true);
  });

  test('with late records alone shows them beside sums of 0, final once the window has closed', () => {
    const lateCells = [late(joined('c1', 'a', 'b', 'c', 'd'), { records: 2, measures: [9, 9, 9] })];
    expect(parsed({ lateCells, closed: true })).toMatchObject({ installs: 0, revenue: 0, late_records: 2, final: true, cells: [{ app_id: 'a', installs: 0, late: 2 }] });
    expect(parsed({ lateCells, closed: false })['final']).toBe(false);
  });

  test('of a day has no late records beside it: they are in its sums', () => {
    expect(parsed({ cells: [hour(joined('c1', 'a', 'b', 'c', 'd'))], lateCells: null })).not.toHaveProperty('late_records');
  });

  test('a late record alone raises the revision', () => {
    const cells = [hour(joined('c1', 'a', 'b', 'c', 'd'), { revision: 5 })];
    expect(encode({ cells, lateCells: [late(joined('c1', 'a', 'b', 'c', 'd'), { revision: 1 })] }).revision).toBe(6);
  });

  test('shows 1,000 cells and says that there are more, while the sums cover all', () => {
    const cells = Array.from({ length: 1_500 }, (_, index) => hour(joined('c1', 'app', 'net', 'DE', `d${String(index).padStart(4, '0')}`), { measures: [index % 10, 1, 1] }));
    const value = parsed({ cells });
    expect(value.cells.length).toBe(1_000);
    expect(value['truncated']).toBe(true);
    expect(value['conversions']).toBe(1_500);
    // 9 down to 4 are 900 cells; of the 150 with 3 installs the first 100 in key order have a place.
    expect(value.cells.map((cell) => cell['installs'])).toEqual([...Array<number>(150).fill(9), ...Array<number>(150).fill(8), ...Array<number>(150).fill(7), ...Array<number>(150).fill(6), ...Array<number>(150).fill(5), ...Array<number>(150).fill(4), ...Array<number>(100).fill(3)]);
    expect(value.cells.slice(-3).map((cell) => cell['device'])).toEqual(['d0973', 'd0983', 'd0993']);
    expect(parsed({ cells: cells.slice(0, 1_000) })).not.toHaveProperty('truncated');
  });

  test('the same cells give the same bytes', () => {
    const cells = Array.from({ length: 2_000 }, (_, index) => hour(joined('c1', 'app', 'net', 'DE', `d${index}`), { measures: [(index * 7919) % 13, 0, 0] }));
    expect(encode({ cells }).json).toBe(encode({ cells }).json);
  });

  test('works for a schema of one dimension', () => {
    const encoder = new ValueEncoder({ dimensions: ['key'], measures: [{ name: 'seen', unit: 'count' }], breakdown: 'by', labels: [] });
    const { json } = encoder.encode({ resultKey: 'k', windowStartMs: HOUR_MS, generation: 1, cells: [hour('k')], lateCells: [], closed: false });
    expect((JSON.parse(json) as Value).cells).toEqual([{ seen: 1 }]);
  });
});

test.each([
  [13_610_000, '13.61'],
  [0, '0'],
  [1, '0.000001'],
  [-500_000, '-0.5'],
  [-13_000_001, '-13.000001'],
  [2_000_000, '2'],
  [9_007_199_254_740_991, '9007199254.740991'],
])('%d micros are %s', (micros, decimal) => {
  expect(decimalOfMicros(micros)).toBe(decimal);
});

describe('keys', () => {
  test('are those of the contract', () => {
    expect(newestKey('', 'hour', 'c1')).toBe('metrics:hourly:c1');
    expect(windowKey('x:', 'hour', 'c1', HOUR_MS)).toBe('x:metrics:hourly:c1:2026-11-22T01');
    expect(newestKey('', 'day', 'c1')).toBe('metrics:daily:c1');
    expect(windowKey('', 'day', 'c1', HOUR_MS)).toBe('metrics:daily:c1:2026-11-22');
  });

  test('encode %, : and control characters of an id, and nothing else', () => {
    expect(keyPart('100%:a\u0000\n\u007f\u0085 é{x}/?ж')).toBe('100%25%3Aa%00%0A%7F%C2%85 é{x}/?ж');
  });
});

test('the bench of this runs', () => {
  expect(benchRedisEncode({ rounds: 1, calls: 10 }).length).toBe(10);
});
