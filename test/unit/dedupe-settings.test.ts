import { describe, expect, it } from 'vitest';
import { MS_PER_HOUR } from '../../engine/core/types.ts';
import { dedupeSettings } from '../../engine/dedupe-settings.ts';
import { settingsSchema } from '../../engine/settings.ts';

const dedupe = (settings: Record<string, unknown>, overlapHours: number | null = null) =>
  dedupeSettings(settingsSchema.parse({ dedupe: settings, pull: overlapHours === null ? {} : { apps: ['com.example.shop'], token: 'secret', overlap_hours: overlapHours } }));
const SECONDS = { mode: 'push+pull-seconds' };

describe('dedupe by its settings', () => {
  it('remembers for a day, with Pull for three, and always for as long as is set', () => {
    expect(dedupe({}).horizonMs).toBe(24 * MS_PER_HOUR);
    expect(dedupe(SECONDS).horizonMs).toBe(24 * MS_PER_HOUR);
    expect(dedupe(SECONDS, 48).horizonMs).toBe(72 * MS_PER_HOUR);
    expect(dedupe({ ...SECONDS, horizon_hours: 50 }, 48).horizonMs).toBe(50 * MS_PER_HOUR);
    expect(dedupe({ horizon_hours: 5 }).horizonMs).toBe(5 * MS_PER_HOUR);
  });

  it('refuses milliseconds with Pull, whose rows have none', () => {
    expect(() => dedupe({}, 48)).toThrow(/dedupe\.mode: "push-ms": .*push\+pull-seconds/);
  });

  it('refuses a horizon that the overlap of Pull outlasts', () => {
    expect(() => dedupe({ ...SECONDS, horizon_hours: 47 }, 48)).toThrow(/dedupe\.horizon_hours: 47: shorter than the 48 h.*set it to 72/);
    expect(() => dedupe(SECONDS, 100)).toThrow(/dedupe\.horizon_hours: 72: shorter than the 100 h.*set it to 100/);
    expect(dedupe({ ...SECONDS, horizon_hours: 48 }, 48).warnings).toEqual([]);
  });

  it('warns of what is allowed and counts twice', () => {
    expect(dedupe({ mode: 'none' }).warnings).toEqual([]);
    expect(dedupe({ mode: 'none' }, 48).warnings).toEqual([expect.stringContaining('each row counts as often as Pull reads it')]);
    expect(dedupe({ horizon_hours: 1 }).warnings).toEqual([expect.stringContaining('below the 2 h')]);
    expect(dedupe({ horizon_hours: 2 }).warnings).toEqual([]);
    expect(dedupe(SECONDS).warnings).toEqual([expect.stringContaining('below the 48 h')]);
  });
});
