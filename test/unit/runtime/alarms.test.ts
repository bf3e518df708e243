import { expect, it } from 'vitest';
import { reachedLimits } from '../../../engine/alarms.ts';

const QUIET = { nowMs: 1_000_000, durableOffset: 500, aheadMs: 0 };
const partition = (id: number, alarms: readonly string[]) => ({ partition: id, alarms });

it('each limit that is reached is told once, with the number of its partitions', () => {
  expect([...reachedLimits([partition(0, ['a', 'b']), partition(1, []), partition(2, ['b']), { partition: 3 }], [], null, QUIET)]).toEqual([['a', 1], ['b', 2]]);
});

it('what the records of all threads say is one of them', () => {
  expect([...reachedLimits([partition(0, ['a'])], ['b'], null, QUIET)]).toEqual([['a', 1], ['b', 1]]);
});

it('a full spool is one of them, a spool with room is not', () => {
  expect([...reachedLimits([], [], { spoolFull: true }, QUIET).keys()]).toEqual([expect.stringMatching(/^the lake spool is at its limit: /)]);
  expect(reachedLimits([partition(0, [])], [], { spoolFull: false }, QUIET).size).toBe(0);
});

it('name log time that is ahead of the clock by more than an event may be', () => {
  expect(reachedLimits([], [], null, { ...QUIET, aheadMs: 300_000 }).size).toBe(0);
  expect([...reachedLimits([], [], null, { ...QUIET, aheadMs: 300_001 }).keys()]).toEqual([expect.stringMatching(/^log time is ahead of the clock/)]);
});

it('name results that are more than a minute behind, and not a partition that has all there is, however old', () => {
  const at = (offset: number, foldedAtMs: number) => [...reachedLimits([{ partition: 0, offset, foldedAtMs }], [], null, QUIET).keys()];
  expect(at(499, 939_999)).toEqual([expect.stringMatching(/^results are more than a minute behind/)]);
  expect(at(499, 940_000)).toEqual([]);
  expect(at(500, 0)).toEqual([]);
  expect(at(0, -1)).toEqual([]);
});
