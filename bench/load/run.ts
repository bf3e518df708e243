/**
 * Load scenarios against the built daemon with everything on: sync, CRC, dedupe, windows, Redis and lake; each has a daemon of its own, and all
 * run on this machine's cores, their senders too. Durable figures are given twice: on the disk as it is, and, of peak, batches and steady, with 2 ms
 * added to each sync of the daemon (harness/slow-sync.ts). Prints a table; writes JSON and one HTML page under bench/results/.
 *
 * node dist/bench/load/run.js [smoke] [peak] [encoding] [batches] [steady] [cells] [recovery] [idle] [refused] [--seconds N] [--rounds N] [--slow-sync-ms N]
 * With --slow-sync-ms all that is named runs once, as slow as that; 0 leaves the second run away.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureDisk, type DiskFacts } from '../harness/disk.ts';
import { machineFacts } from '../harness/machine.ts';
import { diskLine, measureDiskIn, requireSlower, SLOW_SYNC_MS, slowSync, type SlowSync } from '../harness/slow-sync.ts';
import { writeFigures } from '../harness/figures.ts';
import { loadFigures } from './load-figures.ts';
import { renderPage } from './page.ts';
import { progress, type Scenario, type ScenarioOptions, type ScenarioReport } from './scenario.ts';
import { batches } from './scenarios/batches.ts';
import { encoding } from './scenarios/encoding.ts';
import { idle } from './scenarios/idle.ts';
import { peak } from './scenarios/peak.ts';
import { recovery } from './scenarios/recovery.ts';
import { refused } from './scenarios/refused.ts';
import { smoke } from './scenarios/smoke.ts';
import { cells, steady } from './scenarios/steady.ts';

export interface LoadReport {
  readonly machine: Readonly<Record<string, string>>;
  readonly durability: string;
  /** The disk alone, before the scenarios. */
  readonly disk: DiskFacts;
  /** The same with the shim preloaded; null where no scenario ran with it. */
  readonly slowDisk: DiskFacts | null;
  readonly at: string;
  readonly scenarios: readonly ScenarioReport[];
  /** Those with slower syncs. */
  readonly slowScenarios: readonly ScenarioReport[];
}

const SCENARIOS: readonly Scenario[] = [smoke, peak, encoding, batches, steady, cells, recovery, idle, refused];
const DISK_SECONDS = 5;
const SLOW_DISK_SECONDS = 2;

interface Disks {
  readonly asIs: DiskFacts;
  /** Null where there is no slower one, or none is asked for. */
  readonly slow: { readonly facts: DiskFacts; readonly sync: SlowSync } | null;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { seconds: { type: 'string' }, rounds: { type: 'string' }, 'slow-sync-ms': { type: 'string' } } });
  const unknown = positionals.find((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown !== undefined) throw new Error(`no such scenario: ${unknown}; use ${SCENARIOS.map(({ name }) => name).join(', ')}`);
  const asked = values['slow-sync-ms'];
  const disks = await measureDisks(Number(asked ?? SLOW_SYNC_MS));
  const chosen = SCENARIOS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const optionsOf = ({ seconds, rounds }: ScenarioOptions): ScenarioOptions => ({ seconds: Number(values.seconds ?? seconds), rounds: Number(values.rounds ?? rounds) });
  const isSlowAlone = asked !== undefined && Number(asked) > 0;
  const scenarios: ScenarioReport[] = [];
  if (!isSlowAlone) for (const scenario of chosen) scenarios.push(await scenario.run(optionsOf(scenario.options)));
  const slowScenarios: ScenarioReport[] = [];
  if (disks.slow !== null) {
    const { env, addedMs } = disks.slow.sync;
    for (const scenario of chosen) {
      const options = isSlowAlone ? scenario.options : scenario.slowOptions;
      if (options === undefined) continue;
      progress(`${scenario.name}, ${addedMs} ms added to each sync`);
      slowScenarios.push(await scenario.run({ ...optionsOf(options), env }));
    }
  }
  const durability = `one fdatasync per batch, on the disk as it is: alone, a 4 KiB sync took ${diskLine(disks.asIs)}`;
  const report: LoadReport = { machine: machineFacts(), durability, disk: disks.asIs, slowDisk: disks.slow?.facts ?? null, at: new Date().toISOString(), scenarios, slowScenarios };
  process.stdout.write(`\n${[Object.values(report.machine).join(', '), `durability: ${durability}`, ...scenarios.flatMap(({ lines }) => lines), ...slowLines(disks.slow, slowScenarios)].join('\n')}\n`);
  const directory = join(process.cwd(), 'bench/results');
  mkdirSync(directory, { recursive: true });
  writeFigures({ ...loadFigures(scenarios, ''), ...loadFigures(slowScenarios, 'slow.') });
  writeFileSync(join(directory, 'load.json'), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(join(directory, 'load.html'), renderPage(report, slowLines(disks.slow, slowScenarios)));
  process.stdout.write(`\nbench/results/load.json and load.html written\n`);
  if ([...scenarios, ...slowScenarios].some(({ lost }) => lost > 0)) process.exitCode = 1;
}

const slowLines = (slow: Disks['slow'], reports: readonly ScenarioReport[]): string[] =>
  slow === null || reports.length === 0 ? [] : [`with ${slow.sync.addedMs} ms added to each sync of the daemon: alone, a 4 KiB sync took ${diskLine(slow.facts)}`, ...reports.flatMap(({ lines }) => lines)];

/** `addedMs` of 0: none is slower. */
async function measureDisks(addedMs: number): Promise<Disks> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  try {
    const asIs = await measureDisk(directory, DISK_SECONDS);
    if (!(addedMs > 0)) return { asIs, slow: null };
    const sync = slowSync(addedMs);
    if ('skipped' in sync) {
      progress(`figures with ${addedMs} ms added to each sync are skipped: ${sync.skipped}`);
      return { asIs, slow: null };
    }
    const facts = measureDiskIn(sync.env, directory, SLOW_DISK_SECONDS);
    requireSlower(facts, asIs, addedMs);
    return { asIs, slow: { facts, sync } };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await main();
