/** The senders of scenarios/refused.ts that may not send, as a process of their own: the good one's clock must not wait for theirs. Prints JSON. */

import { percentile } from '../harness/machine.ts';
import { isProgram } from '../harness/program.ts';
import { templates } from './messages.ts';
import { runOpenLoop, type OpenLoopResult } from './open-loop.ts';

/** Before anything is measured. */
export const FLOOD_WARM_UP_SECONDS = 3;

export interface FloodPlan {
  readonly url: string;
  /** Beside the warming up. */
  readonly seconds: number;
  /** Of each. */
  readonly ratePerSecond: number;
  /** By sender. */
  readonly headers: readonly Readonly<Record<string, string>>[];
  readonly goalMs?: number;
}

export interface FloodReport {
  /** Refused; latencies are theirs. */
  readonly refused: number;
  /** Within the limit of the greedy sender. */
  readonly acknowledged: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Share of what was refused. */
  readonly withinGoal: number;
}

async function flood({ url, seconds, ratePerSecond, headers, goalMs = 5 }: FloodPlan): Promise<FloodReport> {
  const bodies = templates(64, Date.now());
  const run = (lastSeconds: number, series: number): Promise<OpenLoopResult[]> => Promise.all(headers.map((each, sender) => runOpenLoop({ url, bodies, ratePerSecond, seconds: lastSeconds, connections: 32, series: series + sender, headers: each })));
  // What is compiled while it runs first is neither the sender's nor the door's latency.
  const before = await run(FLOOD_WARM_UP_SECONDS, 100);
  const results = await run(seconds, 200);
  const latencies = Float32Array.from(results.flatMap(({ refusedLatenciesMs }) => [...refusedLatenciesMs])).sort();
  return {
    refused: latencies.length,
    acknowledged: [...before, ...results].reduce((sum, { acknowledged }) => sum + acknowledged, 0),
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    maxMs: latencies.at(-1) ?? 0,
    withinGoal: latencies.filter((ms) => ms <= goalMs).length / latencies.length,
  };
}

if (isProgram(import.meta.url)) process.stdout.write(JSON.stringify(await flood(JSON.parse(process.argv[2] ?? '{}') as FloodPlan)));
