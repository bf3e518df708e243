/**
 * Single events at half of the peak that the same run has found a moment before in the same cells, open loop: latency from when each was due to its durable answer,
 * and from sending to Redis. In 5,000 cells; the events' own clock runs six times as fast, so that an hour begins and the one before it closes
 * within the run. `cells` is the same with 100,000.
 */

import { cpuSeconds, percentile, rssMiB } from '../../harness/machine.ts';
import { MS_PER_HOUR } from '../../../engine/core/types.ts';
import type { TestDaemon } from '../../../test/support/daemon.ts';
import { templates } from '../messages.ts';
import { campaignOf, FIRST_CAMPAIGN, runOpenLoop } from '../open-loop.ts';
import { probe } from '../probe.ts';
import { CONNECTIONS, progress, withDaemon, type Scenario, type ScenarioOptions, type ScenarioReport } from '../scenario.ts';
import { runWrk } from '../wrk.ts';

export interface SteadyReport extends ScenarioReport {
  readonly ratePerSecond: number;
  readonly cells: number;
  readonly ack: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number };
  readonly endToEnd: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number; readonly sent: number; readonly lost: number };
  readonly cpuShare: number;
  readonly rssMiB: number;
}

interface Kind {
  readonly name: 'steady' | 'cells';
  readonly cells: number;
}

const PEAK_SECONDS = 5;
const PEAK_BODIES = 4_096;
const WARM_UP_SECONDS = 3;
const SERIES_OF_PEAK = 800;
/** Of the events' clock. With it the 5 minutes of lateness pass in the last 60 s of a run of 90 s, after an hour's beginning. */
const CLOCK_SPEED = 6;
const SHARE_BEFORE_HOUR = 1 / 3;

export const steady: Scenario = {
  name: 'steady',
  options: { seconds: 90, rounds: 1 },
  slowOptions: { seconds: 20, rounds: 1 },
  run: (options) => withDaemon(options, (daemon, redisPort) => runSteady(daemon, redisPort, options, { name: 'steady', cells: 5_000 })),
};

export const cells: Scenario = {
  name: 'cells',
  options: { seconds: 30, rounds: 1 },
  run: (options) => withDaemon(options, (daemon, redisPort) => runSteady(daemon, redisPort, options, { name: 'cells', cells: 100_000 })),
};

async function runSteady(daemon: TestDaemon, redisPort: number, { seconds }: ScenarioOptions, kind: Kind): Promise<SteadyReport> {
  // The hour that begins is one in the past: no event may be ahead of the clock.
  const firstMs = Math.floor(Date.now() / MS_PER_HOUR) * MS_PER_HOUR - MS_PER_HOUR - seconds * 1_000 * CLOCK_SPEED * SHARE_BEFORE_HOUR;
  const bodies = templates(64, firstMs);
  // The peak of the same cells: those of a few are cheaper.
  const peakBodies = Array.from({ length: PEAK_BODIES }, (_, number) => {
    const campaign = campaignOf(number, kind.cells);
    return (bodies[campaign % bodies.length] as string).replace(/"af_c_id":"\d+"/, `"af_c_id":"${FIRST_CAMPAIGN + campaign}"`);
  });
  const url = `${daemon.ingest}/v1/appsflyer/push`;
  const pid = daemon.child.pid as number;
  const peak = await runWrk({ url, bodies: peakBodies, connections: CONNECTIONS, seconds: PEAK_SECONDS, series: SERIES_OF_PEAK });
  // A peak that outruns the actors is none: what is not counted at its end counts as time.
  const settleStartMs = performance.now();
  await daemon.settled(peak.requests - peak.refused);
  const lastingPerSecond = peak.requests / (peak.seconds + (performance.now() - settleStartMs) / 1_000);
  const ratePerSecond = Math.round(lastingPerSecond / 2);
  progress(`${kind.name}: peak ${Math.round(peak.perSecond)}/s, counted ${Math.round(lastingPerSecond)}/s, so ${ratePerSecond}/s`);
  const load = { url, bodies, ratePerSecond, connections: CONNECTIONS, campaigns: kind.cells };
  const warmUp = await runOpenLoop({ ...load, seconds: WARM_UP_SECONDS, series: 1, eventTimeMs: () => firstMs });
  const startMs = performance.now();
  const eventTimeMs = (): number => firstMs + Math.floor((performance.now() - startMs) * CLOCK_SPEED);
  let running = true;
  const probing = probe({ ingest: daemon.ingest, redisPort, intervalMs: 100, until: () => !running, eventTimeMs });
  const startCpu = cpuSeconds(pid);
  const result = await runOpenLoop({ ...load, seconds, series: 2, eventTimeMs });
  const cpuShare = (cpuSeconds(pid) - startCpu) / seconds;
  running = false;
  const probed = await probing;
  const acknowledged = peak.requests - peak.refused + warmUp.acknowledged + result.acknowledged + probed.sent;
  const { conservation } = await daemon.settled(acknowledged);
  const lost = Math.max(0, acknowledged - conservation.accepted - conservation.late) + probed.lost;
  const { latenciesMs } = result;
  const ack = { p50Ms: percentile(latenciesMs, 0.5), p99Ms: percentile(latenciesMs, 0.99), maxMs: latenciesMs.at(-1) ?? 0 };
  const endToEnd = { p50Ms: percentile(probed.latenciesMs, 0.5), p99Ms: percentile(probed.latenciesMs, 0.99), maxMs: probed.latenciesMs.at(-1) ?? 0, sent: probed.sent, lost: probed.lost };
  const rss = rssMiB(pid);
  const rate = result.acknowledged / seconds;
  return {
    scenario: kind.name,
    ratePerSecond: rate,
    cells: kind.cells,
    ack,
    endToEnd,
    cpuShare,
    rssMiB: rss,
    lost,
    lines: [
      `${kind.name.padEnd(7)} rate ${rate.toFixed(0)}/s, half of ${lastingPerSecond.toFixed(0)}, for ${seconds} s in ${kind.cells} cells  ack p50 ${ack.p50Ms.toFixed(1)} p99 ${ack.p99Ms.toFixed(1)} max ${ack.maxMs.toFixed(0)} ms  end to end p50 ${endToEnd.p50Ms.toFixed(0)} p99 ${endToEnd.p99Ms.toFixed(0)} max ${endToEnd.maxMs.toFixed(0)} ms (${endToEnd.sent} probes)  CPU ${(cpuShare * 100).toFixed(0)} %  RSS ${rss} MiB  late ${conservation.late}  refused ${result.refused}  lost ${lost}`,
    ],
  };
}
