/**
 * Single events at a rate that leaves room, open loop: latency from when each was due to its durable answer, and from sending to Redis. The rate
 * is half of the peak that the same run has found a moment before.
 */

import { cpuSeconds, percentile, rssMiB } from '../../harness/machine.ts';
import type { TestDaemon } from '../../../test/support/daemon.ts';
import { templates } from '../messages.ts';
import { runOpenLoop } from '../open-loop.ts';
import { probe } from '../probe.ts';
import { CONNECTIONS, progress, withDaemon, type Scenario, type ScenarioOptions, type ScenarioReport } from '../scenario.ts';
import { runWrk } from '../wrk.ts';

export interface SteadyReport extends ScenarioReport {
  readonly ratePerSecond: number;
  readonly ack: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number };
  readonly endToEnd: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number; readonly sent: number; readonly lost: number };
  readonly cpuShare: number;
  readonly rssMiB: number;
}

const PEAK_SECONDS = 6;
const WARM_UP_SECONDS = 3;
const SERIES_OF_PEAK = 800;

export const steady: Scenario = {
  name: 'steady',
  options: { seconds: 60, rounds: 1 },
  slowOptions: { seconds: 30, rounds: 1 },
  run: (options) => withDaemon(options, (daemon, redisPort) => runSteady(daemon, redisPort, options)),
};

async function runSteady(daemon: TestDaemon, redisPort: number, { seconds }: ScenarioOptions): Promise<SteadyReport> {
  const bodies = templates(64, Date.now());
  const url = `${daemon.ingest}/v1/appsflyer/push`;
  const pid = daemon.child.pid as number;
  const peak = await runWrk({ url, bodies, connections: CONNECTIONS, seconds: PEAK_SECONDS, series: SERIES_OF_PEAK });
  const ratePerSecond = Math.round(peak.perSecond / 2);
  progress(`peak ${Math.round(peak.perSecond)}/s, so ${ratePerSecond}/s`);
  const warmUp = await runOpenLoop({ url, bodies, ratePerSecond, seconds: WARM_UP_SECONDS, connections: CONNECTIONS, series: 1 });
  let running = true;
  const probing = probe({ ingest: daemon.ingest, redisPort, intervalMs: 100, until: () => !running });
  const startCpu = cpuSeconds(pid);
  const result = await runOpenLoop({ url, bodies, ratePerSecond, seconds, connections: CONNECTIONS, series: 2 });
  const cpuShare = (cpuSeconds(pid) - startCpu) / seconds;
  running = false;
  const probed = await probing;
  const acknowledged = peak.requests - peak.refused + warmUp.acknowledged + result.acknowledged + probed.sent;
  const pipeline = await daemon.settled(acknowledged);
  const lost = Math.max(0, acknowledged - pipeline.conservation.accepted) + probed.lost;
  const { latenciesMs } = result;
  const ack = { p50Ms: percentile(latenciesMs, 0.5), p99Ms: percentile(latenciesMs, 0.99), maxMs: latenciesMs.at(-1) ?? 0 };
  const endToEnd = { p50Ms: percentile(probed.latenciesMs, 0.5), p99Ms: percentile(probed.latenciesMs, 0.99), maxMs: probed.latenciesMs.at(-1) ?? 0, sent: probed.sent, lost: probed.lost };
  const rss = rssMiB(pid);
  return {
    scenario: 'steady',
    ratePerSecond: result.acknowledged / seconds,
    ack,
    endToEnd,
    cpuShare,
    rssMiB: rss,
    lost,
    lines: [
      `steady  rate ${(result.acknowledged / seconds).toFixed(0)}/s, half of ${peak.perSecond.toFixed(0)}, for ${seconds} s  ack p50 ${ack.p50Ms.toFixed(1)} p99 ${ack.p99Ms.toFixed(1)} max ${ack.maxMs.toFixed(0)} ms  end to end p50 ${endToEnd.p50Ms.toFixed(0)} p99 ${endToEnd.p99Ms.toFixed(0)} max ${endToEnd.maxMs.toFixed(0)} ms (${endToEnd.sent} probes)  CPU ${(cpuShare * 100).toFixed(0)} %  RSS ${rss} MiB  refused ${result.refused}  lost ${lost}`,
    ],
  };
}
