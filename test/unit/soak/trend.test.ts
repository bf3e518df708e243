import { describe, expect, it } from 'vitest';
import { PartitionTime } from '../../../actors/partition/partition-time.ts';
import type { Rules } from '../../../engine/core/rules.ts';
import { makePlan, DEFAULTS, RETENTION_DAYS } from '../../soak/plan.ts';
import { trendOf, type Series } from '../../soak/trend.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 15 * MINUTE_MS;
const options = { periodMs: DAY_MS, grain: 1 };

/** Every 10 s for half an hour: two periods. */
function series(of: (atMs: number, dice: () => number) => number, minutes = 30): Series {
  let state = 7;
  const dice = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const timesMs = Array.from({ length: minutes * 6 }, (_, index) => 30 * MINUTE_MS + index * 10_000);
  return { timesMs, values: timesMs.map((atMs) => of(atMs, dice)) };
}

describe('a trend', () => {
  it('of what stays the same is flat', () => {
    expect(trendOf(series(() => 165), options)).toMatchObject({ verdict: 'flat', slope: 0, uncertainty: 0, mean: 165 });
  });

  it('of noise is flat', () => {
    expect(trendOf(series((_, dice) => 1_000 + 20 * dice()), options).verdict).toBe('flat');
  });

  it('of a leak of 10 % in an hour under noise is growing, by as much', () => {
    const trend = trendOf(series((atMs, dice) => 1_000 + (100 * atMs) / HOUR_MS + 20 * dice()), options);
    expect(trend.verdict).toBe('growing');
    expect(trend.slope).toBeGreaterThan(80);
    expect(trend.slope).toBeLessThan(120);
  });

  it('of a sawtooth by the day is flat, and of one that starts higher each day growing', () => {
    const sawtooth = (atMs: number): number => 500 + 500 * ((atMs % DAY_MS) / DAY_MS);
    expect(trendOf(series(sawtooth), options).verdict).toBe('flat');
    expect(trendOf(series((atMs) => sawtooth(atMs) + 50 * Math.floor(atMs / DAY_MS)), options).verdict).toBe('growing');
  });

  it('of what a short run cannot tell is unclear', () => {
    const slow = (atMs: number, dice: () => number): number => 1_000 + 200 * Math.sin(atMs / (8 * MINUTE_MS)) + dice();
    expect(trendOf(series(slow, 14), options).verdict).toBe('unclear');
  });

  it('of what shrinks is flat', () => {
    expect(trendOf(series((atMs) => 1_000 - (100 * atMs) / HOUR_MS), options).verdict).toBe('flat');
  });

  it('of less than the grain is flat, however small the mean', () => {
    expect(trendOf(series((atMs) => 0.1 + (0.5 * atMs) / HOUR_MS), options).verdict).toBe('flat');
  });
});

describe('the plan of a soak', () => {
  it('judges two whole days of the clock in an hour, after all that is kept has been full once', () => {
    const plan = makePlan(DEFAULTS);
    expect(plan.daysJudged).toBe(2);
    expect(plan.judgedFromMs).toBeCloseTo(plan.totalMs - 2 * plan.dayMs);
  });

  it('begins to judge after the first cells have left the stores of the partitions, and not while those still grow', () => {
    const time = new PartitionTime(HOUR_MS, 24 * HOUR_MS);
    time.rules = { allowedLatenessMs: 300_000, idleAfterMs: 60_000, cellRetentionMs: RETENTION_DAYS * 24 * HOUR_MS } as Rules;
    const startMs = 20_000 * 24 * HOUR_MS;
    let hours = 0;
    while (time.droppedUpToMs <= startMs) {
      time.see(startMs + ++hours * HOUR_MS, Infinity);
      time.advance();
    }
    expect(hours).toBe(72);
    const plan = makePlan(DEFAULTS);
    expect(((plan.judgedFromMs ?? 0) * DEFAULTS.speedup) / HOUR_MS).toBeGreaterThan(hours);
  });

  it('judges nothing where there is no time for it', () => {
    expect(makePlan({ ...DEFAULTS, hours: 0.05 }).judgedFromMs).toBeNull();
  });
});
