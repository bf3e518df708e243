import { expect, it } from 'vitest';
import { DEDUPE_CASES, measureDedupe } from '../../../bench/micro/dedupe.ts';

it('runs the dedupe bench small, checking every answer', async () => {
  for (const one of DEDUPE_CASES) {
    const result = await measureDedupe({ ...one, entries: one.entries / 100, memoryBytesMax: one.memoryBytesMax / 100 });
    expect(result.memoryMiB).toBeGreaterThan(0.1);
  }
});
