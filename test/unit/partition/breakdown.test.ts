import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Breakdown } from '../../../actors/partition/breakdown.ts';

it('counts as a map does, in the order in which names came, what goes beyond its names as other, and is the same once restored', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'other', '__proto__', '7', '3');
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.array(name, { maxLength: 60 }), fc.nat(60), (namesMax, names, restoredAt) => {
      const plain = new Map<string, number>();
      let breakdown = new Breakdown();
      names.forEach((one, index) => {
        const counted = plain.has(one) || plain.size < namesMax ? one : 'other';
        plain.set(counted, (plain.get(counted) ?? 0) + 1);
        if (index === restoredAt) breakdown = new Breakdown(breakdown.names(), breakdown.counts());
        breakdown.count(one, namesMax, 'other');
      });
      expect(breakdown.entries()).toEqual([...plain]);
      expect(breakdown.size).toBe(plain.size);
      expect(Object.entries(breakdown.toRecord()).sort()).toEqual(Object.entries(Object.fromEntries(plain)).sort());
    }),
  );
});
