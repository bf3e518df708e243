import { describe, expect, it } from 'vitest';
import { journalBytesMax, settingsSchema } from '../../engine/settings.ts';

const GIB = 1024 ** 3;

describe('the journal', () => {
  it('may take 20 GiB, at most a quarter of the file system', () => {
    const settings = settingsSchema.parse({});
    expect([8, 40, 80, 1_000].map((disk) => journalBytesMax(settings, disk * GIB) / GIB)).toEqual([2, 10, 20, 20]);
  });

  it('may take what is set, whatever the file system', () => {
    expect(journalBytesMax(settingsSchema.parse({ journal: { bytes_max: 30 * GIB } }), 40 * GIB)).toBe(30 * GIB);
  });
});
