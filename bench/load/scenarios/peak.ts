/**
 * Single events as fast as they go (wrk, closed loop), in turns in one run with two servers that take the same POSTs: raw uWebSockets.js that throws
 * them away, the bar; and what one writes in an afternoon, node:http with JSON.parse and Redis (bench/peers). Medians, and the ratio round by round.
 */

import { fileURLToPath } from 'node:url';
import { cpuSeconds, median, rssMiB } from '../../harness/machine.ts';
import { freePort } from '../../../test/support/ports.ts';
import type { TestDaemon } from '../../../test/support/daemon.ts';
import { templates } from '../messages.ts';
import { CONNECTIONS, progress, startRedis, startServer, withDaemon, type Scenario, type ScenarioOptions, type ScenarioReport } from '../scenario.ts';
import { runWrk, type WrkResult } from '../wrk.ts';

export interface PeakRound {
  readonly daemon: WrkResult;
  readonly discard: WrkResult;
  readonly afternoon: WrkResult;
  readonly cpuMicrosPerEvent: number;
  readonly discardCpuMicrosPerEvent: number;
}

export interface PeakReport extends ScenarioReport {
  readonly rounds: readonly PeakRound[];
  readonly daemonPerSecond: number;
  readonly discardPerSecond: number;
  readonly afternoonPerSecond: number;
  readonly ratio: number;
  readonly cpuMicrosPerEvent: number;
  readonly discardCpuMicrosPerEvent: number;
  readonly acknowledged: number;
  readonly settleSeconds: number;
  readonly rssMiB: number;
}

export const peak: Scenario = {
  name: 'peak',
  options: { seconds: 3, rounds: 5 },
  slowOptions: { seconds: 3, rounds: 2 },
  run: (options) => withDaemon(options, (daemon) => runPeak(daemon, options)),
};

const script = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export async function runPeak(daemon: TestDaemon, { rounds, seconds }: ScenarioOptions, name = 'peak'): Promise<PeakReport> {
  const bodies = templates(64, Date.now());
  const pid = daemon.child.pid as number;
  const [discardPort, afternoonPort] = [await freePort(), await freePort()];
  const redis = await startRedis();
  const discard = await startServer(script('../../peers/discard-server.js'), [String(discardPort)]);
  const afternoon = await startServer(script('../../peers/afternoon-server.js'), [String(afternoonPort), String(redis.port)]);
  const results: PeakRound[] = [];
  let acknowledged = 0;
  let settleSeconds = 0;
  const push = (base: string, series: number, repeats = false): Promise<WrkResult> => runWrk({ url: `${base}/v1/appsflyer/push`, bodies, connections: CONNECTIONS, seconds, series, repeats });
  const cpuPerEvent = (process: number, startSeconds: number, events: number): number => ((cpuSeconds(process) - startSeconds) / events) * 1e6;
  try {
    for (let round = 0; round < rounds; round++) {
      const discardStart = cpuSeconds(discard.pid as number);
      const raw = await push(`http://127.0.0.1:${discardPort}`, round, true);
      const discardCpu = cpuPerEvent(discard.pid as number, discardStart, raw.requests);
      const start = cpuSeconds(pid);
      const own = await push(daemon.ingest, round);
      const answered = own.requests - own.refused;
      acknowledged += answered;
      const settleStartMs = performance.now();
      await daemon.settled(acknowledged);
      settleSeconds = Math.max(settleSeconds, (performance.now() - settleStartMs) / 1_000);
      const cpu = cpuPerEvent(pid, start, answered);
      results.push({ daemon: own, discard: raw, afternoon: await push(`http://127.0.0.1:${afternoonPort}`, round), cpuMicrosPerEvent: cpu, discardCpuMicrosPerEvent: discardCpu });
      const { perSecond } = results[round]?.afternoon as WrkResult;
      progress(`round ${round + 1}: ${Math.round(own.perSecond)} durable events/s (${cpu.toFixed(1)} us), ${Math.round(raw.perSecond)} discarded/s (${discardCpu.toFixed(1)} us), ${Math.round(perSecond)}/s by node:http and Redis`);
    }
  } finally {
    for (const child of [discard, afternoon]) child.kill();
    redis.stop();
  }
  const pipeline = await daemon.settled(acknowledged);
  // wrk cuts its last requests short: those may be counted without having been answered, never the other way round.
  const lost = Math.max(0, acknowledged - pipeline.conservation.accepted);
  const summary = {
    daemonPerSecond: median(results.map((round) => round.daemon.perSecond)),
    discardPerSecond: median(results.map((round) => round.discard.perSecond)),
    afternoonPerSecond: median(results.map((round) => round.afternoon.perSecond)),
    ratio: median(results.map((round) => round.daemon.perSecond / round.discard.perSecond)),
    cpuMicrosPerEvent: median(results.map((round) => round.cpuMicrosPerEvent)),
    discardCpuMicrosPerEvent: median(results.map((round) => round.discardCpuMicrosPerEvent)),
    acknowledged,
    settleSeconds,
    rssMiB: rssMiB(pid),
  };
  return {
    scenario: name,
    rounds: results,
    ...summary,
    lost,
    lines: [
      `${name.padEnd(7)} ${summary.daemonPerSecond.toFixed(0)} durable POSTs/s (median of ${rounds}), raw uWebSockets discarding ${summary.discardPerSecond.toFixed(0)}/s, ratio ${summary.ratio.toFixed(2)}, CPU ${summary.cpuMicrosPerEvent.toFixed(1)} and ${summary.discardCpuMicrosPerEvent.toFixed(1)} us/event; node:http, JSON.parse and Redis ${summary.afternoonPerSecond.toFixed(0)}/s; settled ${settleSeconds.toFixed(1)} s after the last answer, RSS ${summary.rssMiB} MiB, lost ${lost}`,
      ...results.map(({ daemon: own, discard: raw }) => `          ${own.perSecond.toFixed(0)}/s p50 ${own.p50Ms.toFixed(1)} p99 ${own.p99Ms.toFixed(1)} p99.9 ${own.p999Ms.toFixed(1)} ms, refused ${own.refused}, errors ${own.errors}; discard ${raw.perSecond.toFixed(0)}/s`),
    ],
  };
}
