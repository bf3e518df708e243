import { expect, it } from 'vitest';
import { benchPartition } from '../../../bench/micro/partition.ts';

it('runs the partition bench small, every record of it accepted', () => {
  const timings = benchPartition({ events: 600, rounds: 1 });
  expect(timings).toHaveLength(5);
  expect(timings[0]?.medianNs).toBeGreaterThan(0);
});
