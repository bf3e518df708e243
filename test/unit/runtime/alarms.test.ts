import { expect, it } from 'vitest';
import { reachedLimits } from '../../../engine/alarms.ts';

const partition = (id: number, alarms: readonly string[]) => ({ partition: id, alarms });

it('each limit that is reached is told once, with the number of its partitions', () => {
  expect([...reachedLimits([partition(0, ['a', 'b']), partition(1, []), partition(2, ['b']), { partition: 3 }], null)]).toEqual([['a', 1], ['b', 2]]);
});

it('a full spool is one of them, a spool with room is not', () => {
  expect([...reachedLimits([], { spoolFull: true }).keys()]).toEqual([expect.stringMatching(/^the lake spool is at its limit: /)]);
  expect(reachedLimits([partition(0, [])], { spoolFull: false }).size).toBe(0);
});
