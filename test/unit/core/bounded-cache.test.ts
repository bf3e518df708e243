import { expect, it } from 'vitest';
import { BoundedCache } from '../../../engine/core/bounded-cache.ts';

it('keeps what is asked for again, and never more than twice its bound', () => {
  const cache = new BoundedCache<number>(10);
  cache.set('often', 1);
  for (let index = 0; index < 1_000; index++) {
    cache.set(`once ${index}`, index);
    expect(cache.get('often')).toBe(1);
    expect(cache.size).toBeLessThanOrEqual(20);
  }
  expect(cache.get('once 0')).toBeUndefined();
  cache.clear();
  expect(cache.size).toBe(0);
});
