import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bestSplit, daemonSplit, modelText, ratesOf, sweepSeconds, valuesOf, withModel } from '../../../bench/scale-model.ts';

const page = readFileSync(join(resolve(import.meta.dirname, '../../..'), 'bench/scale.md'), 'utf8');
const values = valuesOf();

describe('the model of more cores', () => {
  it('is what bench/scale.md shows', () => {
    expect(withModel(page, modelText(values)) === page, 'node dist/bench/scale-model.js').toBe(true);
  });

  it('splits cores as the daemon does, with one for main, and never more than there are', () => {
    expect(daemonSplit(16)).toEqual({ ingress: 6, actors: 4, pool: 5 });
    for (const cores of [4, 8, 16, 64]) {
      for (const { ingress, actors, pool } of [daemonSplit(cores), bestSplit(cores, values)]) expect(ingress + actors + pool).toBe(cores - 1);
    }
  });

  it('finds a split that is no slower than the own one, and names the stage that bounds it', () => {
    for (const cores of [4, 16, 64]) expect(ratesOf(bestSplit(cores, values), values, false).least).toBeGreaterThanOrEqual(ratesOf(daemonSplit(cores), values, false).least);
    expect(ratesOf(daemonSplit(16), valuesOf({ fold: 100 }), false).boundBy).toBe('fold');
    expect(ratesOf(daemonSplit(16), valuesOf({ lake: 100 }), false).boundBy).toBe('lake');
  });

  it('has a sweep that costs main its share, no more than all cells cost, and no less than the emit interval', () => {
    expect(sweepSeconds(1, 40, values)).toBe(0.025);
    const { partitions, partial, merged, mainShare } = values;
    const all = (2 * 5_000 * (partitions * partial + merged)) / 1e6 / mainShare;
    expect(sweepSeconds(1e9, 5_000, values)).toBeCloseTo(all, 3);
    expect(sweepSeconds(50_000, 5_000, values)).toBeLessThan(all);
  });
});
