/**
 * `npm run simulate -- --seeds N --from S [--plant NAME] [--without 2,5] [--shrink] [--go-on] [--workers W]`: many simulated stories, on all
 * cores. Ends with 1 at the first that a checker finds wrong, or after all with `--go-on`, with the command that repeats it; `--shrink` leaves
 * out all misfortunes that it does not need.
 */

import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { scheduleOf, shrink, tell } from './schedule.ts';
import { simulate, type SimulationReport } from './simulation.ts';

/** Seeds of one process: so many that its first hundreds, which take twice as long until their code is compiled, do not count. */
const SEEDS_PER_PROCESS = 2_500;
const PROGRESS_INTERVAL_MS = 30_000;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    plant: { type: 'string' },
    without: { type: 'string', default: '' },
    shrink: { type: 'boolean', default: false },
    'go-on': { type: 'boolean', default: false },
    workers: { type: 'string', default: String(availableParallelism()) },
  },
});
const [seeds, from, workers] = [Number(values.seeds), Number(values.from), Number(values.workers)];
const planted = values.plant === undefined ? {} : { plant: values.plant };
const without = new Set(values.without.split(',').filter((text) => text !== '').map(Number));

interface Failure {
  readonly seed: number;
  readonly text: string;
}

interface Outcome {
  readonly totals: Readonly<Record<string, number>>;
  /** One, or with `--go-on` every one. */
  readonly failures: readonly Failure[];
}

/** The checker's name, which stands before the first colon of what it raises. */
const finder = (error: unknown): string => (error instanceof Error ? error.message.split(':')[0] ?? '' : String(error));

async function runHere(first: number, count: number): Promise<Outcome> {
  const totals: Record<string, number> = {};
  const failures: Failure[] = [];
  for (let seed = first; seed < first + count; seed++) {
    try {
      const report = await simulate({ seed, ...planted, without });
      for (const [name, value] of Object.entries(report) as [keyof SimulationReport, number][]) totals[name] = (totals[name] ?? 0) + value;
    } catch (error) {
      failures.push({ seed, text: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      // A campaign lasts an hour: whoever waits for its end may begin to look now.
      if (process.send !== undefined) process.stderr.write(`seed ${seed}: ${String(error)}\n`);
      if (!values['go-on']) break;
    }
  }
  return { totals, failures };
}

function runElsewhere(first: number, count: number): Promise<Outcome> {
  const args = ['--seeds', String(count), '--from', String(first), '--without', values.without, ...(values.plant === undefined ? [] : ['--plant', values.plant]), ...(values['go-on'] ? ['--go-on'] : [])];
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    let outcome: Outcome | null = null;
    child.on('message', (message: Outcome) => (outcome = message));
    child.on('exit', (code) => {
      if (outcome === null) reject(new Error(`seeds ${first} to ${first + count - 1}: the process ended with ${code}`));
      else resolve(outcome);
    });
  });
}

async function campaign(): Promise<Outcome> {
  const totals: Record<string, number> = {};
  const startMs = performance.now();
  let next = from;
  let done = 0;
  const failures: Failure[] = [];
  const size = Math.max(1, Math.min(SEEDS_PER_PROCESS, Math.ceil(seeds / workers)));
  const tick = setInterval(() => {
    process.stderr.write(`${done} of ${seeds} seeds in ${((performance.now() - startMs) / 1_000).toFixed(0)} s\n`);
  }, PROGRESS_INTERVAL_MS);
  const lane = async (): Promise<void> => {
    while (next < from + seeds && (failures.length === 0 || values['go-on'])) {
      const first = next;
      const count = Math.min(size, from + seeds - first);
      next += count;
      const outcome = await runElsewhere(first, count);
      done += count;
      for (const [name, value] of Object.entries(outcome.totals)) totals[name] = (totals[name] ?? 0) + value;
      failures.push(...outcome.failures);
    }
  };
  await Promise.all(Array.from({ length: workers }, lane));
  clearInterval(tick);
  return { totals, failures: failures.sort((left, right) => left.seed - right.seed) };
}

async function tellShrunk(seed: number): Promise<void> {
  const schedule = scheduleOf(seed).filter(({ number }) => !without.has(number));
  const wanted = await simulate({ seed, ...planted, without }).then(() => '', finder);
  const needless = await shrink(schedule.map(({ number }) => number), async (fewer) => {
    const found = await simulate({ seed, ...planted, without: new Set([...without, ...fewer]) }).then(() => '', finder);
    return found !== '' && found === wanted;
  });
  const left = schedule.filter(({ number }) => !needless.has(number));
  process.stdout.write(`${left.length} of ${schedule.length} misfortunes are needed:\n${left.map(tell).join('\n')}\n`);
  process.stdout.write(`repeat with: ${commandOf(seed, new Set([...without, ...needless]))}\n`);
}

const commandOf = (seed: number, left: ReadonlySet<number>): string =>
  `npm run simulate -- --seeds 1 --from ${seed}${values.plant === undefined ? '' : ` --plant ${values.plant}`}${left.size === 0 ? '' : ` --without ${[...left].sort((a, b) => a - b).join(',')}`}`;

const startMs = performance.now();
const isChild = process.send !== undefined;
const { totals, failures } = isChild || seeds === 1 ? await runHere(from, seeds) : await campaign();
const [failure] = failures;
if (isChild) {
  process.send?.({ totals, failures }, () => process.exit(0));
} else {
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  const told = Object.entries(totals).map(([name, value]) => `${value} ${name}`).join(', ');
  if (failure === undefined) process.stdout.write(`${seeds} seeds from ${from} passed in ${seconds} s: ${told}\n`);
  else {
    process.stdout.write(`seed ${failure.seed}: ${failure.text}\n`);
    if (seeds === 1) process.stdout.write(`${scheduleOf(failure.seed).filter(({ number }) => !without.has(number)).map(tell).join('\n')}\n`);
    for (const { seed, text } of failures.slice(1)) process.stdout.write(`seed ${seed}: ${text.split('\n')[0]}\n`);
    if (values['go-on']) process.stdout.write(`${failures.length} of ${seeds} seeds from ${from} failed in ${seconds} s: ${told}\n`);
    process.stdout.write(`repeat with: ${commandOf(failure.seed, without)}\nshrink with: ${commandOf(failure.seed, without)} --shrink\n`);
    if (values.shrink) await tellShrunk(failure.seed);
  }
  process.exit(failure === undefined ? 0 : 1);
}
