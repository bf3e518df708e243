import { tmpdir } from 'node:os';

import { expect, it } from 'vitest';

import { benchJournal } from '../../../bench/micro/journal.ts';

it('runs the journal bench small, with its own checks', async () => {
  const result = await benchJournal({ directory: tmpdir(), runs: 1, secondsPerRun: 0.05 });
  expect(result.commits.map((row) => row.recordsPerBatch)).toEqual([1, 64, 512]);
  // Gross regressions only: a shared machine is slower than this by no factor of ten.
  expect(result.reads[0]?.recordsPerSecond).toBeGreaterThan(20_000);
});
