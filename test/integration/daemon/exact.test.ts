/** Exact whatever happens: totals, Redis, lake and state hash of the built daemon against an independent model, through kills and changed settings. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { faultNamed } from '../../crash/faults/index.ts';
import { crashRun } from '../../crash/run.ts';
import { TestDaemon, temporaryDirectory } from '../../support/daemon.ts';

/** The runs with the other door and thread count are killed as often, over half of the events, and leave it at that. */
const isVariant = process.env['MILLRACE_TEST_VARIANT'] !== undefined;
const kill = faultNamed('kill');
const killThread = faultNamed('kill-thread');

let scratch: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  scratch = temporaryDirectory();
});
afterEach(async () => {
  await TestDaemon.endAll();
  scratch.remove();
});

describe('totals equal the independent model', () => {
  const lives = [{ MILLRACE_THREADS_ACTORS: process.env['MILLRACE_TEST_ACTORS'] ?? '2' }];

  it('when the process and single actor threads are killed under load', { timeout: 600_000 }, async () => {
    const report = await crashRun({ directory: scratch.path, faults: [kill, killThread], times: 8, events: isVariant ? 30_000 : 60_000, eventsPerSecond: 5_000, seed: 12, lives, replayThreads: 3 });
    expect(report.felt['kill']).toBeGreaterThanOrEqual(4);
    expect(report.felt['kill-thread']).toBe(4);
  });

  if (isVariant) return;

  it('when nothing is disturbed', { timeout: 600_000 }, async () => {
    const report = await crashRun({ directory: scratch.path, faults: [], events: 20_000, eventsPerSecond: 10_000, seed: 11, lives, replayThreads: 2 });
    expect(report.counted).toBeGreaterThan(15_000);
    expect(report).toMatchObject({ lakeRows: report.counted, resent: 0, stateHash: expect.stringMatching(/^[0-9a-f]{16,}/) as unknown });
  });

  it('when thread count, intervals and limits change between restarts', { timeout: 600_000 }, async () => {
    const changing = [
      { MILLRACE_THREADS_ACTORS: '1', MILLRACE_EMIT_INTERVAL_MS: '25' },
      { MILLRACE_THREADS_ACTORS: '3', MILLRACE_CHECKPOINT_INTERVAL_MS: '500' },
      { MILLRACE_THREADS_ACTORS: '2', MILLRACE_EMIT_INTERVAL_MS: '200', MILLRACE_DEDUPE_MEMORY_BYTES_MAX: String(1024 * 1024) },
    ];
    const report = await crashRun({ directory: scratch.path, faults: [kill], times: 3, events: 40_000, eventsPerSecond: 5_000, seed: 13, lives: changing, replayThreads: 1 });
    expect(report.felt['kill']).toBeGreaterThanOrEqual(3);
  });
});
