/**
 * Everything in one command, `npm run bench`: each part as a process of its own, one after the other, its output as it comes; at the end the table of
 * goals (goals.ts), also in bench/results/table.md. Ends with 1 where a part fails or an event is lost.
 */

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { goalsTable } from './goals.ts';
import { forgetFigures, readFigures } from './harness/figures.ts';
import { machineFacts } from './harness/machine.ts';

const PARTS: readonly (readonly string[])[] = [
  ['micro/partition-key.js'],
  ['micro/decode.js'],
  ['micro/partition.js'],
  ['micro/replay.js'],
  ['micro/dedupe.js', '--small'],
  ['micro/memory.js', '--small'],
  ['micro/journal.js'],
  ['micro/merge.js'],
  ['micro/redis-encode.js'],
  ['micro/lake.js'],
  ['peers/flink.js', '--rounds', '2'],
  ['load/run.js'],
];

const startMs = performance.now();
forgetFigures();
for (const [script, ...args] of PARTS) {
  process.stdout.write(`\n== ${[script, ...args].join(' ')}\n`);
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, script as string), ...args], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
const minutes = ((performance.now() - startMs) / 60_000).toFixed(1);
const table = `${goalsTable(readFigures())}\n\n${Object.values(machineFacts()).join(', ')}; measured in ${minutes} minutes\n`;
writeFileSync(join(process.cwd(), 'bench/results/table.md'), table);
process.stdout.write(`\n${table}`);
