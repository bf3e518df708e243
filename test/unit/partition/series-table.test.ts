import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeriesTable } from '../../../actors/partition/series-table.ts';
import { NONE, ValueTable } from '../../../actors/partition/value-table.ts';

describe('the table of series', () => {
  it('finds a series by equal values, not by equal strings', () => {
    const table = new SeriesTable(new ValueTable(), 2);
    const series = table.make(['shop', 'paris']);
    expect(table.find(['sh'.concat('op'), 'par'.concat('is')])).toBe(series);
    expect(table.find(['shop', 'paria'])).toBe(NONE);
    expect(table.find(['paris', 'shop'])).toBe(NONE);
    expect(table.dimensions(series)).toBe('shop\u001fparis');
  });

  it('keeps each series apart while others come and go, and leaves no value behind', () => {
    const values = new ValueTable();
    const name = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 0, max: 400 }).map(String));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), name), { maxLength: 1_200 }), (steps) => {
        const table = new SeriesTable(values, 2);
        const known = new Map<string, number>();
        for (const [comes, own] of steps) {
          const key = own.join('\u001f');
          const before = known.get(key);
          expect(table.find(own)).toBe(before ?? NONE);
          if (comes && before === undefined) {
            const series = table.make(own);
            table.retain(series);
            known.set(key, series);
          } else if (!comes && before !== undefined) {
            table.release(before);
            known.delete(key);
          }
        }
        expect(table.count).toBe(known.size);
        for (const [key, series] of known) {
          expect(table.find(key.split('\u001f'))).toBe(series);
          expect(table.dimensions(series)).toBe(key);
          table.release(series);
        }
        expect(values.size).toBe(0);
      }),
      { numRuns: 30 },
    );
  });
});
