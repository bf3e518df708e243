/** The nominal load, 100 K events a minute, open loop (autocannon at a fixed rate): latency from request to durable answer, and from sending to Redis. */

import autocannon from 'autocannon';
import { cpuSeconds, percentile, rssMiB } from '../../harness/machine.ts';
import { USER_PLACEHOLDER, templates } from '../messages.ts';
import { probe, type ProbeResult } from '../probe.ts';
import { withDaemon, type Scenario, type ScenarioOptions, type ScenarioReport } from '../scenario.ts';
import type { TestDaemon } from '../../../test/support/daemon.ts';

export interface SmokeReport extends ScenarioReport {
  readonly ratePerSecond: number;
  readonly ack: { readonly p50Ms: number; readonly p99Ms: number; readonly p999Ms: number; readonly maxMs: number };
  readonly endToEnd: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number; readonly sent: number; readonly lost: number };
  readonly endToEndSeries: ProbeResult['series'];
  readonly acknowledged: number;
  readonly cpuShare: number;
  readonly rssMiB: number;
}

const NOMINAL_PER_SECOND = 100_000 / 60;
const WARM_UP_SECONDS = 5;

export const smoke: Scenario = {
  name: 'smoke',
  options: { seconds: 20, rounds: 1 },
  run: (options) => withDaemon(options, (daemon, redisPort) => runSmoke(daemon, redisPort, options)),
};

async function runSmoke(daemon: TestDaemon, redisPort: number, { seconds }: ScenarioOptions): Promise<SmokeReport> {
  const bodies = templates(64, Date.now());
  const pid = daemon.child.pid as number;
  let user = 0;
  const load = (duration: number): ReturnType<typeof autocannon> =>
    autocannon({
      url: `${daemon.ingest}/v1/appsflyer/push`,
      connections: 32,
      duration,
      overallRate: Math.round(NOMINAL_PER_SECOND),
      requests: [
        {
          method: 'POST',
          setupRequest: (request) => ({ ...request, body: (bodies[user % bodies.length] as string).replaceAll(USER_PLACEHOLDER, String(100_000_000_000 + user++)) }),
        },
      ],
    });
  // Compilers of both sides warm up: the first second of a process is not its nominal load.
  const warmUp = await load(WARM_UP_SECONDS);
  let running = true;
  const probing = probe({ ingest: daemon.ingest, redisPort, intervalMs: 100, until: () => !running });
  const startCpu = cpuSeconds(pid);
  const result = await load(seconds);
  const cpuShare = (cpuSeconds(pid) - startCpu) / seconds;
  const peakRss = rssMiB(pid);
  running = false;
  const probed = await probing;
  const acknowledged = warmUp['2xx'] + result['2xx'] + probed.sent;
  const pipeline = await daemon.settled(acknowledged);
  const ack = { p50Ms: result.latency.p50, p99Ms: result.latency.p99, p999Ms: result.latency.p99_9, maxMs: result.latency.max };
  const endToEnd = { p50Ms: percentile(probed.latenciesMs, 0.5), p99Ms: percentile(probed.latenciesMs, 0.99), maxMs: probed.latenciesMs.at(-1) ?? 0, sent: probed.sent, lost: probed.lost };
  const lost = Math.max(0, acknowledged - pipeline.conservation.accepted) + probed.lost;
  return {
    scenario: 'smoke',
    ratePerSecond: result.requests.average,
    ack,
    endToEnd,
    endToEndSeries: probed.series,
    acknowledged,
    lost,
    cpuShare,
    rssMiB: peakRss,
    lines: [
      `smoke   rate ${result.requests.average.toFixed(0)}/s  ack p50 ${ack.p50Ms} p99 ${ack.p99Ms} p99.9 ${ack.p999Ms} ms  end to end p50 ${endToEnd.p50Ms.toFixed(0)} p99 ${endToEnd.p99Ms.toFixed(0)} max ${endToEnd.maxMs.toFixed(0)} ms (${endToEnd.sent} probes)  CPU ${(cpuShare * 100).toFixed(0)} %  RSS ${peakRss} MiB  lost ${lost}`,
    ],
  };
}
