import { describe, expect, it } from 'vitest';
import { RateLimits } from '../../../../ingress/access/rate-limits.ts';

const MS = 1_000_000n;

function bucket(perSecond: number, burstSeconds: number): { limits: RateLimits; pass: (ms: number) => void; sibling: RateLimits } {
  let nowNs = 1_000_000n * MS;
  const options = { memory: RateLimits.memory(), perSecond, burstSeconds, nowNs: () => nowNs };
  return { limits: new RateLimits(options), sibling: new RateLimits(options), pass: (ms) => (nowNs += BigInt(ms) * MS) };
}

describe('rate limits', () => {
  it('let a burst in at once, then as many as the rate, and say when to come again', () => {
    const { limits, pass } = bucket(10, 2);
    for (let record = 0; record < 20; record++) expect(limits.take(7, 1)).toBe(0);
    expect(limits.take(7, 1)).toBe(1);
    pass(99);
    expect(limits.take(7, 1)).toBe(1);
    pass(1);
    expect(limits.take(7, 1)).toBe(0);
    expect(limits.take(7, 1)).toBe(1);
  });

  it('take no more over a long time than rate and burst allow, however often they are asked', () => {
    const { limits, pass } = bucket(50, 1);
    let taken = 0;
    for (let ms = 0; ms < 60_000; ms += 3) {
      for (let times = 0; times < 4; times++) if (limits.take(1, 1) === 0) taken++;
      pass(3);
    }
    expect(taken).toBeGreaterThanOrEqual(60 * 50);
    expect(taken).toBeLessThanOrEqual(61 * 50 + 1);
  });

  it('let a large request in when the bucket is not empty, and make the next one wait for it', () => {
    const { limits, pass } = bucket(100, 1);
    expect(limits.take(3, 1)).toBe(0);
    limits.charge(3, 999);
    expect(limits.take(3, 1)).toBe(10);
    pass(9_000);
    expect(limits.take(3, 1)).toBeGreaterThan(0);
    pass(20);
    expect(limits.take(3, 1)).toBe(0);
  });

  it('keep keys apart, and are the same for all threads', () => {
    const { limits, sibling } = bucket(1, 1);
    expect(limits.take(1, 1)).toBe(0);
    expect(sibling.take(2, 1)).toBe(0);
    expect(sibling.take(1, 1)).toBeGreaterThan(0);
    expect(limits.take(2, 1)).toBeGreaterThan(0);
  });

  it('charge a bucket that has been full for long as a full one, not as one with savings', () => {
    const { limits, pass } = bucket(10, 1);
    expect(limits.take(5, 1)).toBe(0);
    pass(3_600_000);
    for (let record = 0; record < 10; record++) expect(limits.take(5, 1)).toBe(0);
    expect(limits.take(5, 1)).toBeGreaterThan(0);
  });

  it('keep time at rates above a record a nanosecond tick', () => {
    const { limits, pass } = bucket(10_000_000, 1);
    for (let request = 0; request < 1_000; request++) expect(limits.take(9, 10_000)).toBe(0);
    expect(limits.take(9, 10_000)).toBe(1);
    pass(1_000);
    expect(limits.take(9, 1)).toBe(0);
  });
});
