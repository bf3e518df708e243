import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actorThreadCount, lanesOf } from '../../../engine/runtime/lanes.ts';

describe('lanes', () => {
  it('are contiguous, cover every partition once, and differ by at most one partition', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_024 }), fc.integer({ min: 1, max: 256 }), (partitions, wanted) => {
        const threads = actorThreadCount(wanted, partitions);
        const lanes = lanesOf(partitions, threads);
        expect(lanes).toHaveLength(threads);
        expect(lanes.flatMap(({ first, count }) => Array.from({ length: count }, (_, index) => first + index))).toEqual(Array.from({ length: partitions }, (_, index) => index));
        const sizes = lanes.map((lane) => lane.count);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        expect(Math.min(...sizes)).toBeGreaterThan(0);
      }),
    );
  });
});

describe('the number of actor threads', () => {
  it('follows the cores when it is not configured, and is at least one', () => {
    expect([1, 2, 3, 4, 7, 10, 64].map((cores) => actorThreadCount(0, 1_024, cores))).toEqual([1, 1, 1, 1, 2, 3, 19]);
  });

  it('is what is configured, whatever the cores', () => {
    expect(actorThreadCount(5, 32, 1)).toBe(5);
  });

  it('is never above the number of partitions: such a thread would own nothing', () => {
    expect(actorThreadCount(8, 3, 2)).toBe(3);
    expect(actorThreadCount(0, 1, 64)).toBe(1);
  });
});
