/**
 * Load scenarios against the built daemon with everything on: sync, CRC, dedupe, windows, Redis and lake; each has a daemon of its own, and all
 * run on this machine's cores, their senders too. Prints a table; writes JSON and one HTML page under bench/results/.
 *
 * node dist/bench/load/run.js [smoke] [peak] [batches] [steady] [idle] [--seconds N] [--rounds N]
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureDisk, type DiskFacts } from '../harness/disk.ts';
import { machineFacts } from '../harness/machine.ts';
import { renderPage } from './page.ts';
import type { Scenario, ScenarioReport } from './scenario.ts';
import { batches } from './scenarios/batches.ts';
import { idle } from './scenarios/idle.ts';
import { peak } from './scenarios/peak.ts';
import { smoke } from './scenarios/smoke.ts';
import { steady } from './scenarios/steady.ts';

export interface LoadReport {
  readonly machine: Readonly<Record<string, string>>;
  readonly durability: string;
  /** The disk alone, before the scenarios. */
  readonly disk: DiskFacts;
  readonly at: string;
  readonly scenarios: readonly ScenarioReport[];
}

const SCENARIOS: readonly Scenario[] = [smoke, peak, batches, steady, idle];
const DISK_SECONDS = 10;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { seconds: { type: 'string' }, rounds: { type: 'string' } } });
  const unknown = positionals.find((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown !== undefined) throw new Error(`no such scenario: ${unknown}; use ${SCENARIOS.map(({ name }) => name).join(', ')}`);
  const disk = await diskAlone();
  const scenarios: ScenarioReport[] = [];
  for (const scenario of SCENARIOS) {
    if (positionals.length > 0 && !positionals.includes(scenario.name)) continue;
    const { seconds, rounds } = scenario.options;
    scenarios.push(await scenario.run({ seconds: Number(values.seconds ?? seconds), rounds: Number(values.rounds ?? rounds) }));
  }
  const durability = `one fdatasync per batch, on the disk as it is: alone, a 4 KiB sync took p50 ${disk.p50Ms.toFixed(1)}, p99 ${disk.p99Ms.toFixed(1)}, max ${disk.maxMs.toFixed(0)} ms`;
  const report: LoadReport = { machine: machineFacts(), durability, disk, at: new Date().toISOString(), scenarios };
  process.stdout.write(`\n${[Object.values(report.machine).join(', '), `durability: ${durability}`, ...scenarios.flatMap(({ lines }) => lines)].join('\n')}\n`);
  const directory = join(process.cwd(), 'bench/results');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'load.json'), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(join(directory, 'load.html'), renderPage(report));
  process.stdout.write(`\nbench/results/load.json and load.html written\n`);
  if (scenarios.some(({ lost }) => lost > 0)) process.exitCode = 1;
}

async function diskAlone(): Promise<DiskFacts> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  try {
    return await measureDisk(directory, DISK_SECONDS);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await main();
