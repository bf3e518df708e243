/**
 * What does it cost to judge who sends a request?
 *
 * Expected limit: one SHA-256 over some hundred bytes, about 1 µs, for a token; a word of shared memory and big integers, 0.3 µs, for each limit.
 * Run: `npm run build && node dist/bench/micro/access.js`. Guards ingress/access/gate.ts and ingress/access/rate-limits.ts.
 */

import { systemClock } from '../../engine/core/clock.ts';
import { Gate, limitMemory, type GateWaiter, type RequestHead } from '../../ingress/access/gate.ts';
import { PUSH } from '../../ingress/http/routes.ts';
import { ingressOptionsSchema } from '../../ingress/options.ts';
import { silentLog } from '../../ingress/log.ts';
import { isProgram } from '../harness/program.ts';
import { measure, printTimings, type MeasureOptions, type Timing } from './measure.ts';

const TOKEN = 'token-0123456789.of-appsflyer';
/** Never reached: what is measured is a sender that may send. */
const RATE = 10_000_000;
const ALLOWED = 0;
const REFUSED = 1;

const nobody: GateWaiter = { judged: () => undefined };
const headOf = (token: string): RequestHead => ({ header: (name) => (name === 'authorization' ? token : ''), peer: () => '45.92.116.9' });

function gateOf(settings: object): Gate {
  const gate = Gate.open({ options: ingressOptionsSchema.parse(settings), directory: null, memory: limitMemory(), clock: systemClock, nowNs: () => process.hrtime.bigint(), log: silentLog });
  if (gate === null) throw new Error('bug: settings without a gate are measured');
  return gate;
}

export function benchAccess(options: MeasureOptions): readonly Timing[] {
  const good = headOf(`Bearer ${TOKEN}`);
  const bad = headOf(`${TOKEN}-of-somebody-else`);
  const auth = { tokens: [TOKEN] };
  const limits = { per_credential_per_second: RATE };
  const judged = (gate: Gate, head: RequestHead, expected: number) => (): number => ((gate.judge(PUSH, head, nobody) === null ? ALLOWED : REFUSED) === expected ? expected : NaN);
  const apps = gateOf({ limits: { per_app_per_second: RATE } });
  return [
    measure('a token', options, judged(gateOf({ auth }), good, ALLOWED)),
    measure('a wrong token', options, judged(gateOf({ auth }), bad, REFUSED)),
    measure('an address', options, judged(gateOf({ allow_from: ['appsflyer'] }), good, ALLOWED)),
    measure('a token, an address and its rate', options, judged(gateOf({ auth, limits, allow_from: ['appsflyer'] }), good, ALLOWED)),
    measure('the rate of an app', options, (call) => (apps.takeOfApp(PUSH, call % 50) === null ? ALLOWED : NaN)),
  ];
}

if (isProgram(import.meta.url)) {
  printTimings('Who sends a request', benchAccess({ rounds: 5, calls: 100_000 }));
}
