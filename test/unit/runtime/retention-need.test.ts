import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RetentionNeed } from '../../../engine/runtime/retention-need.ts';

describe('what the journal must keep', () => {
  it('is everything until each partition has told its need', () => {
    const need = new RetentionNeed(3);
    need.set(0, [500]);
    need.set(2, [700]);
    expect(need.of(0)).toBe(0);
    need.set(1, [600]);
    expect(need.of(0)).toBe(500);
  });

  it('begins at the lowest need', () => {
    const need = new RetentionNeed(2);
    need.set(0, [100]);
    need.set(1, [900]);
    expect(need.of(0)).toBe(100);
    need.set(0, [1_000]);
    expect(need.of(0)).toBe(900);
  });

  it('never grows back: what was given up may be gone', () => {
    const need = new RetentionNeed(1);
    need.set(0, [900]);
    expect(need.of(0)).toBe(900);
    need.set(0, [100]);
    expect(need.of(0)).toBe(900);
  });

  it('stays where it is while anyone pins it, and moves on after the last one lets go', () => {
    const need = new RetentionNeed(1);
    need.set(0, [100]);
    expect(need.of(0)).toBe(100);
    const first = need.pin();
    const second = need.pin();
    need.set(0, [900]);
    expect(need.of(0)).toBe(100);
    first();
    expect(need.of(0)).toBe(100);
    second();
    expect(need.of(0)).toBe(900);
  });

  it('is told for each journal; of one that a partition has not folded yet all is needed', () => {
    const need = new RetentionNeed(2);
    need.set(0, [500, 70]);
    need.set(1, [400]);
    expect([need.of(0), need.of(1)]).toEqual([400, 0]);
    need.set(1, [400, 90]);
    expect([need.of(0), need.of(1)]).toEqual([400, 70]);
  });

  it('is never above any need that has been told last, and never falls, whatever the order', () => {
    const step = fc.record({ partition: fc.integer({ min: 0, max: 3 }), advance: fc.integer({ min: 0, max: 1_000 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const need = new RetentionNeed(4);
        const told = [0, 0, 0, 0];
        let last = 0;
        for (const { partition, advance } of steps) {
          told[partition] = (told[partition] ?? 0) + advance;
          need.set(partition, [told[partition]]);
          expect(need.of(0)).toBeLessThanOrEqual(Math.min(...told));
          expect(need.of(0)).toBeGreaterThanOrEqual(last);
          last = need.of(0);
        }
      }),
    );
  });
});
