/** The senders of scenarios/refused.ts that may not send, as a process of their own: the good one's clock must not wait for theirs. Prints JSON. */

import { percentile } from '../harness/machine.ts';
import { isProgram } from '../harness/program.ts';
import { templates } from './messages.ts';
import { runOpenLoop } from './open-loop.ts';

export interface FloodPlan {
  readonly url: string;
  readonly seconds: number;
  /** Of each. */
  readonly ratePerSecond: number;
  /** By sender. */
  readonly headers: readonly Readonly<Record<string, string>>[];
  readonly goalMs?: number;
}

export interface FloodReport {
  readonly answered: number;
  readonly acknowledged: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Share of all that was answered. */
  readonly withinGoal: number;
}

async function flood({ url, seconds, ratePerSecond, headers, goalMs = 5 }: FloodPlan): Promise<FloodReport> {
  const bodies = templates(64, Date.now());
  const results = await Promise.all(headers.map((each, sender) => runOpenLoop({ url, bodies, ratePerSecond, seconds, connections: 32, series: 100 + sender, headers: each })));
  const latencies = Float32Array.from(results.flatMap(({ latenciesMs }) => [...latenciesMs])).sort();
  return {
    answered: latencies.length,
    acknowledged: results.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    maxMs: latencies.at(-1) ?? 0,
    withinGoal: latencies.filter((ms) => ms <= goalMs).length / latencies.length,
  };
}

if (isProgram(import.meta.url)) process.stdout.write(JSON.stringify(await flood(JSON.parse(process.argv[2] ?? '{}') as FloodPlan)));
