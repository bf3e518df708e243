/**
 * `npm run crash-campaign`: real faults against the built daemon under load, run after run, each of which must end exact.
 *
 * Ends with 1 if one was not: its directory is kept, and the command that repeats it is printed. `--results FILE` adds a line for each run
 * and prints the table of all lines of that file, so that several campaigns add up.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { temporaryDirectory } from '../support/daemon.ts';
import type { Fault } from './faults/fault.ts';
import { FAULTS, faultNamed, missingOf } from './faults/index.ts';
import { appendOutcome, readOutcomes, tableOf, type Outcome } from './results.ts';
import { crashRun } from './run.ts';

const EVENTS = 15_000;
const USAGE = `npm run crash-campaign -- [options]
  --kinds a,b,c+d   kinds of faults, c and d in one run; by default each by itself
  --runs N          runs of each kind (1)
  --kills K         faults of a run; by default what the kind says
  --events E        messages of a run, at least (${EVENTS})
  --rate R          messages a second (3000)
  --seed S          of the first run, the next has S + 1
  --minutes M       begins no further run after so long
  --results FILE    adds a line of JSON for each run, and prints the table of all lines
  --list            names the kinds
`;

interface Plan {
  readonly kinds: readonly (readonly Fault[])[];
  readonly runs: number;
  readonly kills: number | null;
  readonly events: number;
  readonly rate: number;
  readonly seed: number;
  readonly minutes: number;
  readonly results: string | null;
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

function planOf(args: readonly string[]): Plan | null {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ args: [...args], options: { kinds: text, runs: text, kills: text, events: text, rate: text, seed: text, minutes: text, results: text, list: { type: 'boolean' }, help: { type: 'boolean' } } });
  if (values.help === true) {
    say(USAGE);
    return null;
  }
  if (values.list === true) {
    for (const { name, what, how } of FAULTS) say(`| \`${name}\` | ${what} | ${how} |`);
    return null;
  }
  const number = (value: string | undefined, otherwise: number): number => {
    const read = value === undefined ? otherwise : Number(value);
    if (!(read >= 0)) throw new Error(`${value} is no number\n${USAGE}`);
    return read;
  };
  return {
    kinds: (values.kinds?.split(',') ?? FAULTS.map(({ name }) => name)).map((names) => names.split('+').map(faultNamed)),
    runs: number(values.runs, 1),
    kills: values.kills === undefined ? null : number(values.kills, 0),
    events: number(values.events, EVENTS),
    rate: number(values.rate, 3_000),
    seed: number(values.seed, Date.now() % 1_000_000),
    minutes: number(values.minutes, Infinity),
    results: values.results ?? null,
  };
}

async function run(plan: Plan, faults: readonly Fault[], seed: number): Promise<Outcome> {
  const kind = faults.map(({ name }) => name).join('+');
  const scratch = temporaryDirectory();
  const directory = join(scratch.path, kind);
  mkdirSync(directory);
  say(`\n== ${kind}, seed ${seed}, in ${directory}`);
  const about = { kind, seed, at: new Date().toISOString() };
  try {
    const report = await crashRun({ faults, events: plan.events, seed, directory, eventsPerSecond: plan.rate, say, ...(plan.kills === null ? {} : { times: plan.kills }) });
    say(`exact: ${JSON.stringify(report)}`);
    scratch.remove();
    return { ...about, exact: true, inflicted: report.inflicted, felt: Object.values(report.felt).reduce((sum, count) => sum + count, 0), events: report.events, seconds: Math.round(report.seconds) };
  } catch (error) {
    const failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const kills = plan.kills === null ? '' : ` --kills ${plan.kills}`;
    say(`NOT EXACT, files kept in ${directory}: ${failure}`);
    say(`again: npm run crash-campaign -- --kinds ${kind} --seed ${seed} --events ${plan.events} --rate ${plan.rate}${kills}`);
    return { ...about, exact: false, inflicted: 0, felt: 0, events: 0, seconds: 0, failure: failure.slice(0, 2_000) };
  }
}

async function campaign(plan: Plan): Promise<boolean> {
  const endMs = performance.now() + plan.minutes * 60_000;
  const outcomes: Outcome[] = [];
  const missed = new Set<string>();
  let seed = plan.seed;
  for (let round = 0; round < plan.runs; round++) {
    for (const faults of plan.kinds) {
      if (performance.now() > endMs) break;
      const missing = missingOf(faults);
      if (missing.length > 0) {
        missed.add(`${faults.map(({ name }) => name).join('+')}: ${missing.join(', ')} missing`);
        continue;
      }
      const outcome = await run(plan, faults, seed++);
      outcomes.push(outcome);
      if (plan.results !== null) appendOutcome(plan.results, outcome);
    }
  }
  say(`\n${tableOf(plan.results === null ? outcomes : readOutcomes(plan.results))}`);
  for (const line of missed) say(`not run: ${line}`);
  return outcomes.length > 0 && outcomes.every(({ exact }) => exact);
}

const plan = planOf(process.argv.slice(2));
// A sender of a failed run may still try: nothing of it is wanted any more.
if (plan !== null) process.exit((await campaign(plan)) ? 0 : 1);
