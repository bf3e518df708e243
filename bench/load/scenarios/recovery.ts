/**
 * How soon is a daemon ready that was killed with much journal behind its last checkpoint? No partition checkpoints while the tail is sent; each
 * round is a kill -9 and a start that folds the same tail again. The slope between that and a start with nothing to fold tells of 10 M events.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestDaemon } from '../../../test/support/daemon.ts';
import { median } from '../../harness/machine.ts';
import { templates } from '../messages.ts';
import { progress, type Scenario, type ScenarioOptions, type ScenarioReport } from '../scenario.ts';
import { runWrk } from '../wrk.ts';

export interface RecoveryReport extends ScenarioReport {
  readonly tailEvents: number;
  readonly readySeconds: readonly number[];
  /** From the start with nothing to fold. */
  readonly emptySeconds: number;
  readonly secondsForTenMillion: readonly number[];
}

const RECORDS_PER_REQUEST = 500;
const CONNECTIONS = 4;
const SEND_SECONDS = 2;
const TEN_MILLION = 10_000_000;
const SETTLE_MS = 120_000;

export const recovery: Scenario = {
  name: 'recovery',
  options: { seconds: 6, rounds: 3 },
  run: async (options) => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
    const start = (): TestDaemon =>
      TestDaemon.spawn({ dataDir: directory, env: { MILLRACE_DOOR: process.env['MILLRACE_DOOR'] ?? 'uws', MILLRACE_JOURNAL_SEGMENT_BYTES: String(64 * 1024 * 1024), MILLRACE_CHECKPOINT_INTERVAL_MS: '3600000' } });
    try {
      return await runRecovery(start, options);
    } finally {
      // Where a round has failed, its daemon still runs.
      await TestDaemon.endAll();
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

async function runRecovery(start: () => TestDaemon, { rounds, seconds }: ScenarioOptions): Promise<RecoveryReport> {
  const bodies = templates(64, Date.now());
  let daemon = start();
  await daemon.up();
  let tailEvents = 0;
  for (let series = 0; series * SEND_SECONDS < seconds; series++) {
    const { requests, refused } = await runWrk({ url: `${daemon.ingest}/v1/events`, bodies, connections: CONNECTIONS, seconds: SEND_SECONDS, series, recordsPerRequest: RECORDS_PER_REQUEST });
    tailEvents += (requests - refused) * RECORDS_PER_REQUEST;
  }
  // What wrk was cut off in may be counted without an answer: that it is all there is what counts.
  const { conservation } = await daemon.settled(tailEvents, SETTLE_MS);
  let lost = Math.max(0, tailEvents - conservation.accepted);
  const ready: number[] = [];
  const restart = async (): Promise<number> => {
    const startMs = performance.now();
    daemon = start();
    await daemon.up(SETTLE_MS);
    return (performance.now() - startMs) / 1_000;
  };
  for (let round = 0; round < rounds; round++) {
    await daemon.kill();
    ready.push(await restart());
    const after = await daemon.settled(tailEvents, SETTLE_MS);
    lost = Math.max(lost, conservation.accepted - after.conservation.accepted);
    progress(`round ${round + 1}: ready after ${(ready.at(-1) as number).toFixed(1)} s with ${tailEvents} events behind the checkpoint`);
  }
  await daemon.stop();
  const emptySeconds = await restart();
  await daemon.stop();
  const secondsForTenMillion = ready.map((took) => emptySeconds + ((took - emptySeconds) / tailEvents) * TEN_MILLION);
  return {
    scenario: 'recovery',
    tailEvents,
    readySeconds: ready,
    emptySeconds,
    secondsForTenMillion,
    lost,
    lines: [`recovery ready ${median(ready).toFixed(1)} s after kill -9 with ${tailEvents} events behind the last checkpoint (median of ${rounds}), ${emptySeconds.toFixed(1)} s with none: ${median(secondsForTenMillion).toFixed(1)} s for 10 M by slope; lost ${lost}`],
  };
}
