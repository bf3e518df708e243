/** Exact whatever happens: totals, lake and state hash of the built daemon against an independent model, through kills and changed settings. */

import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exactRun } from '../../support/exact-run.ts';
import { TestDaemon, temporaryDirectory } from '../../support/daemon.ts';

/** The lake waits for its last slot, a minute each: once in a whole run of the suite is enough for what door and thread count do not touch. */
const lake = process.env['MILLRACE_TEST_VARIANT'] === undefined;

/** Kills are what takes the time; the variants have all of them over half of the events. */
const share = lake ? 1 : 0.5;

let scratch: ReturnType<typeof temporaryDirectory>;
let directories: { dataDir: string; replayDir: string };
beforeEach(() => {
  scratch = temporaryDirectory();
  directories = { dataDir: scratch.path, replayDir: join(scratch.path, 'replayed') };
});
afterEach(async () => {
  await TestDaemon.endAll();
  scratch.remove();
});

describe('totals equal the independent model', () => {
  it('when nothing is disturbed', { timeout: 600_000 }, async () => {
    const report = await exactRun({ ...directories, count: 20_000, seed: 11, kills: 0, replayThreads: 2, lake: false });
    expect(report.received).toBe(20_000);
    expect(report.replayHash).toBe(report.stateHash);
  });

  it('when the process and single actor threads are killed under load', { timeout: 600_000 }, async () => {
    const actorThreads = Number(process.env['MILLRACE_TEST_ACTORS'] ?? 2);
    const report = await exactRun({ ...directories, count: 60_000 * share, seed: 12, kills: 4, threadKills: 4, actorThreads, replayThreads: 3, lake });
    expect(report).toMatchObject({ processKills: 4, threadKills: 4 });
    expect(report.lakeRows).toBe(lake ? report.counted : null);
  });

  it('when thread count, intervals and limits change between restarts', { timeout: 600_000 }, async () => {
    const lives = [
      { MILLRACE_THREADS_ACTORS: '1', MILLRACE_EMIT_INTERVAL_MS: '25' },
      { MILLRACE_THREADS_ACTORS: '3', MILLRACE_CHECKPOINT_INTERVAL_MS: '500' },
      { MILLRACE_THREADS_ACTORS: '2', MILLRACE_EMIT_INTERVAL_MS: '200', MILLRACE_DEDUPE_MEMORY_BYTES_MAX: String(1024 * 1024) },
    ];
    const report = await exactRun({ ...directories, count: 40_000 * share, seed: 13, kills: 3, lives, replayThreads: 1, lake: false });
    expect(report.processKills).toBe(3);
  });
});
