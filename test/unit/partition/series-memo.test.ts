import { describe, expect, it } from 'vitest';
import { Series } from '../../../actors/partition/cell-table.ts';
import { SeriesMemo } from '../../../actors/partition/series-memo.ts';

describe('the memo of series', () => {
  it('finds a series by equal values, not by equal strings', () => {
    const memo = new SeriesMemo();
    const series = new Series('shop/paris');
    memo.find(['shop', 'paris']);
    memo.keep(['shop', 'paris'], series);
    expect(memo.find(['sh'.concat('op'), 'par'.concat('is')])).toBe(series);
    expect(memo.find(['shop', 'paria'])).toBeNull();
    expect(memo.find(['paris', 'shop'])).toBeNull();
  });

  it('never answers with another series, whatever falls into one place', () => {
    const memo = new SeriesMemo();
    const known = new Map<string, Series>();
    // Same length, same end, same middle: all of these want one place.
    const names = Array.from({ length: 3_000 }, (_, index) => [`${index}-campaign-of-one-place`.padStart(30, '0'), index % 2 === 0 ? '' : 'x']);
    for (const values of names) {
      const name = values.join('/');
      expect(memo.find(values)).toBeNull();
      const series = new Series(name);
      known.set(name, series);
      memo.keep(values, series);
      expect(memo.find(values)).toBe(series);
    }
    for (const values of names) expect([null, known.get(values.join('/'))]).toContain(memo.find(values));
  });

  it('keeps a copy: its caller goes on with the same list', () => {
    const memo = new SeriesMemo();
    const values = ['a', 'b'];
    const series = new Series('a/b');
    memo.find(values);
    memo.keep(values, series);
    values[1] = 'c';
    expect(memo.find(['a', 'b'])).toBe(series);
    expect(memo.find(values)).toBeNull();
  });
});
