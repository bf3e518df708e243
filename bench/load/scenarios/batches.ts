/** Forwarders: NDJSON requests of 500 lines as fast as they go (wrk, closed loop). */

import { cpuSeconds, median, rssMiB } from '../../harness/machine.ts';
import type { TestDaemon } from '../../../test/support/daemon.ts';
import { templates } from '../messages.ts';
import { progress, withDaemon, type Scenario, type ScenarioOptions, type ScenarioReport } from '../scenario.ts';
import { runWrk, type WrkResult } from '../wrk.ts';

export interface BatchesReport extends ScenarioReport {
  readonly recordsPerRequest: number;
  readonly rounds: readonly WrkResult[];
  readonly eventsPerSecond: number;
  /** Durable and counted, by round. */
  readonly ratesPerSecond: readonly number[];
  readonly cpuMicrosPerEvent: number;
  readonly acknowledged: number;
  /** From the last answer until all is counted: longer than a moment where the actors are behind the door. */
  readonly settleSeconds: number;
  readonly rssMiB: number;
}

const RECORDS_PER_REQUEST = 500;
/** Enough that one is always on its way: a request is 0.8 MB. */
const CONNECTIONS = 8;

export const batches: Scenario = {
  name: 'batches',
  options: { seconds: 2, rounds: 5 },
  slowOptions: { seconds: 2, rounds: 2 },
  run: (options) => withDaemon(options, (daemon) => runBatches(daemon, options)),
};

async function runBatches(daemon: TestDaemon, { rounds, seconds }: ScenarioOptions): Promise<BatchesReport> {
  const bodies = templates(64, Date.now());
  const pid = daemon.child.pid as number;
  const results: WrkResult[] = [];
  const cpu: number[] = [];
  const rates: number[] = [];
  let acknowledged = 0;
  let settleSeconds = 0;
  for (let round = 0; round < rounds; round++) {
    const startCpu = cpuSeconds(pid);
    const result = await runWrk({ url: `${daemon.ingest}/v1/events`, bodies, connections: CONNECTIONS, seconds, series: round, recordsPerRequest: RECORDS_PER_REQUEST });
    const answered = (result.requests - result.refused) * RECORDS_PER_REQUEST;
    acknowledged += answered;
    const startMs = performance.now();
    await daemon.settled(acknowledged);
    const settledSeconds = (performance.now() - startMs) / 1_000;
    settleSeconds = Math.max(settleSeconds, settledSeconds);
    results.push(result);
    cpu.push(((cpuSeconds(pid) - startCpu) / answered) * 1e6);
    // What is acknowledged and not yet counted is no rate that lasts.
    rates.push(answered / (result.seconds + settledSeconds));
    progress(`round ${round + 1}: ${Math.round(answered / result.seconds)} durable events/s in batches, all counted ${settledSeconds.toFixed(1)} s later`);
  }
  const pipeline = await daemon.settled(acknowledged);
  const lost = Math.max(0, acknowledged - pipeline.conservation.accepted);
  const [eventsPerSecond, cpuMicrosPerEvent, rss] = [median(rates), median(cpu), rssMiB(pid)];
  return {
    scenario: 'batches',
    recordsPerRequest: RECORDS_PER_REQUEST,
    rounds: results,
    eventsPerSecond,
    ratesPerSecond: rates,
    cpuMicrosPerEvent,
    acknowledged,
    lost,
    settleSeconds,
    rssMiB: rss,
    lines: [
      `batches ${eventsPerSecond.toFixed(0)} events/s durable and counted (median of ${rounds}) in requests of ${RECORDS_PER_REQUEST}, CPU ${cpuMicrosPerEvent.toFixed(1)} us/event, all counted at most ${settleSeconds.toFixed(1)} s after the last answer, RSS ${rss} MiB, lost ${lost}`,
      ...results.map((result) => `          ${(result.perSecond * RECORDS_PER_REQUEST).toFixed(0)}/s acknowledged, p50 ${result.p50Ms.toFixed(1)} p99 ${result.p99Ms.toFixed(1)} ms, refused ${result.refused}, errors ${result.errors}`),
    ],
  };
}
