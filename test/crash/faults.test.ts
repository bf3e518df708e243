/** Kinds of faults that no test of the daemon inflicts otherwise: one short run of each. The others, and many runs, are `npm run crash-campaign`. */

import { afterEach, describe, expect, test } from 'vitest';
import { temporaryDirectory, TestDaemon } from '../support/daemon.ts';
import { faultNamed, missingOf } from './faults/index.ts';
import { crashRun } from './run.ts';

const SHORT = ['store-write-eio', 'store-sync-eio', 'journal-sync-eio', 'kill-supervised'].map(faultNamed);

describe('a daemon under load, with a real fault', () => {
  afterEach(() => TestDaemon.endAll());

  for (const fault of SHORT) {
    const missing = missingOf([fault]);
    const run = missing.length === 0 || process.env['CI'] === 'true' ? test : test.skip;
    run(`${fault.name}: ${fault.what}; ends exact and ready without a hand${missing.length === 0 ? '' : ` (${missing.join(', ')} missing)`}`, { timeout: 300_000 }, async () => {
      const scratch = temporaryDirectory();
      const report = await crashRun({ faults: [fault], times: 2, events: 4_000, seed: 7, directory: scratch.path });
      expect(report.felt[fault.name]).toBeGreaterThan(0);
      scratch.remove();
    });
  }
});
