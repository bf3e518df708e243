/**
 * Everything in one command, `npm run bench`: each part as a process of its own, one after the other, its output as it comes; at the end the table of
 * goals (goals.ts), also in bench/results/table.md. A part that has not ended within twice its share of the time and a minute more is ended, and
 * named. Ends with 1 where a part fails, hangs, or loses an event. All parts together stay under twenty minutes on two cores.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { goalsTable } from './goals.ts';
import { forgetFigures, readFigures } from './harness/figures.ts';
import { machineFacts } from './harness/machine.ts';
import { runPart } from './harness/part.ts';

interface Part {
  readonly script: string;
  readonly args: readonly string[];
  /** Its share of the time, as measured on two cores. */
  readonly minutes: number;
}

const part = (minutes: number, script: string, ...args: readonly string[]): Part => ({ minutes, script, args });

const PARTS: readonly Part[] = [
  part(0.1, 'micro/partition-key.js'),
  part(0.1, 'micro/access.js'),
  part(0.2, 'micro/decode.js'),
  part(0.1, 'micro/partition.js'),
  part(0.4, 'micro/replay.js'),
  part(0.4, 'micro/scale.js'),
  part(0.1, 'micro/dedupe.js', '--small'),
  part(4.7, 'micro/memory.js'),
  part(0.6, 'micro/journal.js'),
  part(0.1, 'micro/merge.js', '--rounds', '60'),
  part(0.3, 'micro/redis-encode.js'),
  part(0.4, 'micro/lake.js', '--rounds', '2'),
  part(3, 'peers/flink.js', '--rounds', '3', '--small', '120000', '--large', '360000', '--minutes', '3'),
  part(9, 'load/run.js'),
];

/** A part is ended after this many times its share, and a minute: other work on the machine may double what it takes. */
const LIMIT_SHARES = 2;
const LIMIT_MORE_MINUTES = 1;
const MS_PER_MINUTE = 60_000;

const startMs = performance.now();
const minutesSince = (sinceMs: number): string => ((performance.now() - sinceMs) / MS_PER_MINUTE).toFixed(1);
const shares = PARTS.reduce((sum, { minutes }) => sum + minutes, 0);
const amiss: string[] = [];
forgetFigures();
for (const [index, one] of PARTS.entries()) {
  const name = [one.script, ...one.args].join(' ');
  process.stdout.write(`\n== ${index + 1} of ${PARTS.length}, ${minutesSince(startMs)} of about ${shares.toFixed(0)} minutes: ${name}\n`);
  const partMs = performance.now();
  const outcome = await runPart({ script: join(import.meta.dirname, one.script), args: one.args, limitMs: (LIMIT_SHARES * one.minutes + LIMIT_MORE_MINUTES) * MS_PER_MINUTE });
  process.stdout.write(`-- ${outcome} after ${minutesSince(partMs)} minutes; its share is ${one.minutes}\n`);
  if (outcome !== 'ended') amiss.push(`${name} ${outcome === 'hung' ? 'has not ended in its time' : 'failed'}`);
}
const table = [goalsTable(readFigures()), '', `${Object.values(machineFacts()).join(', ')}; measured in ${minutesSince(startMs)} minutes`, ...amiss].join('\n');
const results = join(process.cwd(), 'bench/results');
mkdirSync(results, { recursive: true });
writeFileSync(join(results, 'table.md'), `${table}\n`);
process.stdout.write(`\n${table}\n`);
if (amiss.length > 0) process.exitCode = 1;
