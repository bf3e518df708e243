import { expect, it } from 'vitest';
import { comparedSpan, completeFromMs, isInSpan } from '../../../engine/core/replay-span.ts';
import { MS_PER_HOUR, MS_PER_MINUTE } from '../../../engine/core/types.ts';

const TEN = 1_795_168_800_000;
const SKEW = 5 * MS_PER_MINUTE;

it('a journal that was never cut has every hour', () => {
  expect(completeFromMs([{ isWhole: true, firstReceivedAtMs: TEN }], SKEW)).toBe(0);
});

it('an hour is complete that begins at the first batch that is left and the skew, or later', () => {
  expect(completeFromMs([{ isWhole: false, firstReceivedAtMs: TEN - SKEW }], SKEW)).toBe(TEN);
  expect(completeFromMs([{ isWhole: false, firstReceivedAtMs: TEN - SKEW + 1 }], SKEW)).toBe(TEN + MS_PER_HOUR);
  expect(completeFromMs([{ isWhole: false, firstReceivedAtMs: TEN }], 0)).toBe(TEN);
});

it('of several journals the one that was cut last decides', () => {
  const journals = [{ isWhole: true, firstReceivedAtMs: TEN + 9 * MS_PER_HOUR }, { isWhole: false, firstReceivedAtMs: TEN + MS_PER_MINUTE }, { isWhole: false, firstReceivedAtMs: TEN - MS_PER_HOUR }];
  expect(completeFromMs(journals, SKEW)).toBe(TEN + MS_PER_HOUR);
});

it('what is compared is what was asked for and is complete, without its end', () => {
  const compared = comparedSpan({ fromMs: TEN, toMs: TEN + 3 * MS_PER_HOUR }, TEN + MS_PER_HOUR);
  expect([0, 1, 2, 3].map((hour) => isInSpan(compared, TEN + hour * MS_PER_HOUR))).toEqual([false, true, true, false]);
  expect(isInSpan(comparedSpan({ fromMs: 0, toMs: Infinity }, 0), TEN)).toBe(true);
});
