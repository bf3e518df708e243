import { describe, expect, it } from 'vitest';
import { HeapGrowth, heapGrowthFor } from '../../../engine/threads/heap-growth.ts';

const MIB = 1024 ** 2;

describe('heaps', () => {
  it('may double while all of them together are small', () => {
    expect(heapGrowthFor(100 * MIB, HeapGrowth.large)).toBe(HeapGrowth.small);
  });

  it('are held close to what lives in them where they are large, or where nobody has counted them', () => {
    expect(heapGrowthFor(600 * MIB, HeapGrowth.small)).toBe(HeapGrowth.large);
    expect(heapGrowthFor(Infinity, HeapGrowth.small)).toBe(HeapGrowth.large);
  });

  it('stay as they are in between, so that a heap which breathes does not change the rule each time', () => {
    for (const growth of [HeapGrowth.small, HeapGrowth.large]) expect(heapGrowthFor(450 * MIB, growth)).toBe(growth);
  });
});
