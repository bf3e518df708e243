/**
 * Senders that may not send, 10,000 requests a second of them, beside one that may: without a credential, with a wrong one, with one that was
 * taken out of the file, and over its limit, each at a quarter of the rate from a process of its own. What matters: refusals within 5 ms, and the good
 * sender's latency as it is without them. Nothing of a refused request is received: the events that are counted are those that were acknowledged.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { percentile } from '../../harness/machine.ts';
import type { TestDaemon } from '../../../test/support/daemon.ts';
import { templates } from '../messages.ts';
import { runOpenLoop, type OpenLoopResult } from '../open-loop.ts';
import { FLOOD_WARM_UP_SECONDS, type FloodPlan, type FloodReport } from '../refused-flood.ts';
import { progress, withDaemon, type Scenario, type ScenarioOptions, type ScenarioReport } from '../scenario.ts';

const GOOD = 'good-sender-0123456789';
const EXPIRED = 'expired-sender-0123456789';
const GREEDY = 'greedy-sender-0123456789';
const GOOD_PER_SECOND = 1_000;
/** Above what the good sender needs, below what the greedy one wants. */
const LIMIT_PER_SECOND = 1_200;
/** Of the four together, beyond what the greedy one gets through. */
const REFUSED_PER_SECOND = 10_000;
const GOAL_MS = 5;

export interface RefusedReport extends ScenarioReport {
  readonly refusedPerSecond: number;
  readonly refusedP50Ms: number;
  readonly refusedP99Ms: number;
  readonly withinGoal: number;
  readonly goodP50Ms: { readonly alone: number; readonly beside: number };
  readonly goodP99Ms: { readonly alone: number; readonly beside: number };
}

export const refused: Scenario = {
  name: 'refused',
  options: { seconds: 10, rounds: 1 },
  run: async (options) => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-refused-'));
    const file = join(directory, 'tokens');
    writeFileSync(file, `good=${GOOD}\nexpired=${EXPIRED}\ngreedy=${GREEDY}\n`);
    const env = { ...options.env, MILLRACE_INGEST_AUTH_TOKENS_FILE: file, MILLRACE_INGEST_AUTH_GRACE_SECONDS: '0', MILLRACE_INGEST_LIMITS_PER_CREDENTIAL_PER_SECOND: String(LIMIT_PER_SECOND), MILLRACE_INGEST_LIMITS_BURST_SECONDS: '1' };
    try {
      return await withDaemon({ ...options, env }, async (daemon) => {
        writeFileSync(file, `good=${GOOD}\ngreedy=${GREEDY}\n`);
        daemon.child.kill('SIGHUP');
        await daemon.until(() => daemon.logs.some(({ msg }) => msg === 'the tokens have changed'), 10_000, 'the tokens to be read again');
        return runRefused(daemon, options);
      });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

const authorization = (token: string): Readonly<Record<string, string>> => ({ Authorization: `Bearer ${token}` });

async function runRefused(daemon: TestDaemon, { seconds }: ScenarioOptions): Promise<RefusedReport> {
  const url = `${daemon.ingest}/v1/appsflyer/push`;
  const bodies = templates(64, Date.now());
  const sendGood = (series: number): Promise<OpenLoopResult> => runOpenLoop({ url, bodies, ratePerSecond: GOOD_PER_SECOND, seconds, connections: 64, series, headers: authorization(GOOD) });
  await sendGood(1);
  const alone = await sendGood(2);
  progress('refused: the good sender alone is measured');
  const flood = startFlood({ url, seconds: seconds + 2, ratePerSecond: (REFUSED_PER_SECOND + LIMIT_PER_SECOND) / 4, headers: [{}, authorization('wrong-sender-0123456789'), authorization(EXPIRED), authorization(GREEDY)] });
  await new Promise((resolve) => setTimeout(resolve, 1_000 * (FLOOD_WARM_UP_SECONDS + 1)));
  const beside = await sendGood(3);
  const report = await flood;
  const acknowledged = 3 * GOOD_PER_SECOND * seconds - alone.refused - beside.refused + report.acknowledged;
  const pipeline = await daemon.settled(acknowledged);
  const lost = Math.max(0, acknowledged - pipeline.conservation.accepted);
  const summary = {
    refusedPerSecond: report.refused / (seconds + 2),
    refusedP50Ms: report.p50Ms,
    refusedP99Ms: report.p99Ms,
    withinGoal: report.withinGoal,
    goodP50Ms: { alone: percentile(alone.latenciesMs, 0.5), beside: percentile(beside.latenciesMs, 0.5) },
    goodP99Ms: { alone: percentile(alone.latenciesMs, 0.99), beside: percentile(beside.latenciesMs, 0.99) },
  };
  const { goodP50Ms, goodP99Ms } = summary;
  return {
    scenario: 'refused',
    ...summary,
    lost,
    lines: [
      `refused ${summary.refusedPerSecond.toFixed(0)} requests/s refused in p50 ${report.p50Ms.toFixed(1)}, p99 ${report.p99Ms.toFixed(1)}, max ${report.maxMs.toFixed(1)} ms, ${(100 * report.withinGoal).toFixed(2)} % within ${GOAL_MS} ms; ${report.acknowledged} others of the same senders within the limit and taken`,
      `          a good sender at ${GOOD_PER_SECOND}/s: p50 ${goodP50Ms.alone.toFixed(1)} p99 ${goodP99Ms.alone.toFixed(1)} ms alone, p50 ${goodP50Ms.beside.toFixed(1)} p99 ${goodP99Ms.beside.toFixed(1)} ms beside them, refused ${alone.refused + beside.refused}; lost ${lost}`,
    ],
  };
}

async function startFlood(plan: FloodPlan): Promise<FloodReport> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../refused-flood.js', import.meta.url)), JSON.stringify({ ...plan, goalMs: GOAL_MS })], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const chunk of child.stdout) text += String(chunk);
  return JSON.parse(text) as FloodReport;
}
