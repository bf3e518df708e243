import { expect, it } from 'vitest';
import { reachedLimits } from '../../../engine/alarms.ts';

const partition = (id: number, alarms: readonly string[]) => ({ partition: id, alarms });

it('each limit that is reached is told once, with the number of its partitions', () => {
  expect([...reachedLimits([partition(0, ['a', 'b']), partition(1, []), partition(2, ['b']), { partition: 3 }], null, 0)]).toEqual([['a', 1], ['b', 2]]);
});

it('a full spool is one of them, a spool with room is not', () => {
  expect([...reachedLimits([], { spoolFull: true }, 0).keys()]).toEqual([expect.stringMatching(/^the lake spool is at its limit: /)]);
  expect(reachedLimits([partition(0, [])], { spoolFull: false }, 0).size).toBe(0);
});

it('name log time that is ahead of the clock by more than an event may be', () => {
  expect(reachedLimits([], null, 300_000).size).toBe(0);
  expect([...reachedLimits([], null, 300_001).keys()]).toEqual([expect.stringMatching(/^log time is ahead of the clock/)]);
});
