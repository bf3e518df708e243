/**
 * `npm run fuzz -- [--target NAME] [--minutes M] [--seed S] [--cases N]`: long runs of all targets in turn, or of one. Ends with 1 at the first failure,
 * after printing the shrunk input, its seed and the command that repeats it.
 */

import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { describeFailure, runTarget } from './target.ts';
import { TARGETS } from './targets.ts';

const MS_PER_MINUTE = 60_000;

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    cases: { type: 'string' },
  },
});
const chosen = TARGETS.filter((target) => values.target === undefined || target.name === values.target);
const [minutes, seed, cases] = [Number(values.minutes), Number(values.seed), Number(values.cases ?? Infinity)];
if (chosen.length === 0 || !(minutes > 0) || !Number.isInteger(seed) || !(cases > 0)) {
  process.stderr.write(`fuzz: give --target ${TARGETS.map(({ name }) => name).join(' | ')}, --minutes above 0, a whole number as --seed, --cases above 0\n`);
  process.exit(1);
}

for (const target of chosen) {
  const report = await runTarget(target, { seed, cases, ms: (minutes * MS_PER_MINUTE) / chosen.length });
  process.stdout.write(`${target.name.padEnd(16)} ${String(report.cases).padStart(10)} cases ${((report.cases / report.ms) * 1_000).toFixed(0).padStart(8)} a second  seed ${seed}\n`);
  if (report.failure === null) continue;
  process.stdout.write(`${describeFailure(target, report.failure)}\n`);
  process.exit(1);
}
