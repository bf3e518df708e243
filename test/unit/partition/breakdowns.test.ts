import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Breakdowns } from '../../../actors/partition/breakdowns.ts';
import { NONE, ValueTable } from '../../../actors/partition/value-table.ts';

it('count as maps do, in the order in which names came, what goes beyond their names as other, and are the same once restored', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'other', '__proto__', '7', '3');
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.array(fc.tuple(fc.nat(2), name), { maxLength: 60 }), fc.nat(60), (namesMax, counts, restoredAt) => {
      const values = new ValueTable();
      const breakdowns = new Breakdowns(values, namesMax);
      const plain = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
      const chains = plain.map(() => NONE);
      counts.forEach(([of, one], index) => {
        const map = plain[of] as Map<string, number>;
        const counted = map.has(one) || map.size < namesMax ? one : 'other';
        map.set(counted, (map.get(counted) ?? 0) + 1);
        const chain = chains[of] as number;
        chains[of] = breakdowns.count(chain, one);
        if (index !== restoredAt) return;
        const [names, amounts] = [breakdowns.names(chains[of]), breakdowns.counts(chains[of])];
        breakdowns.free(chains[of]);
        chains[of] = breakdowns.chain(names, amounts);
      });
      plain.forEach((map, of) => {
        expect(breakdowns.names(chains[of] as number)).toEqual([...map.keys()]);
        expect(breakdowns.counts(chains[of] as number)).toEqual([...map.values()]);
      });
      for (const chain of chains) breakdowns.free(chain);
      expect(values.size).toBe(0);
    }),
  );
});
