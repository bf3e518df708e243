import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { benchReader, writeReport } from '../../../bench/micro/pull.ts';

it('runs the bench of Pull reports small, with its own checks', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-pull-bench-'));
  const file = join(directory, 'report.csv');
  try {
    await writeReport(file, 5_000, Date.now());
    // Gross regressions only.
    for (const areOld of [false, true]) expect((await benchReader(file, 5_000, { areOld })).rowsPerSecond).toBeGreaterThan(1_000);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
