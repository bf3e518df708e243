import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actorThreadCount, ingressThreadCount, lanesOf, poolThreadCount } from '../../../engine/runtime/lanes.ts';

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

describe('ingress, actor and pool threads', () => {
  it('share out the cores between them and main, two of the pool at least', () => {
    const shares = [1, 2, 4, 8, 16].map((cores) => {
      const [ingress, actors] = [ingressThreadCount(0, cores), actorThreadCount(0, 32, cores)];
      return [ingress, actors, poolThreadCount(0, ingress + actors, cores)];
    });
    expect(shares).toEqual([[1, 1, 2], [1, 1, 2], [1, 1, 2], [3, 2, 2], [6, 4, 5]]);
    expect([ingressThreadCount(3, 1), poolThreadCount(1, 10, 64)]).toEqual([3, 1]);
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
