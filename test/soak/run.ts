/**
 * `npm run soak -- --hours H`: prints samples as they come, then the table of slopes; writes `soak.json` and `soak.html` to `--out`.
 *
 * Ends with 0 only when nothing grows and every total is exact. Needs the build and redis-server.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { machineFacts } from '../../bench/harness/machine.ts';
import { temporaryDirectory } from '../support/daemon.ts';
import { renderPage } from './page.ts';
import { DEFAULTS, type SoakOptions } from './plan.ts';
import { judge, printable } from './report.ts';
import { soak } from './soak.ts';

const positive = (value: string): number => {
  const number = Number(value);
  if (!(number > 0)) throw new RangeError(`${value}: give a number above 0`);
  return number;
};

const program = new Command('soak')
  .option('--hours <h>', 'how long, of real time', positive, DEFAULTS.hours)
  .option('--rate <n>', 'records a second', positive, DEFAULTS.ratePerSecond)
  .option('--speedup <n>', 'seconds of the daemon\'s clock in one', positive, DEFAULTS.speedup)
  .option('--horizon <h>', 'dedupe.horizon_hours, of the daemon\'s clock', positive, DEFAULTS.horizonHours)
  .option('--record-bytes <n>', 'pad records to this size; 0: as the generator makes them', Number, DEFAULTS.recordBytes)
  .option('--batch <n>', 'records in a request', positive, DEFAULTS.recordsPerRequest)
  .option('--sample <s>', 'seconds between samples', positive, DEFAULTS.sampleSeconds)
  .option('--seed <n>', 'of the messages', Number, DEFAULTS.seed)
  .option('--data <directory>', 'where the temporary data directory is made; default: the system\'s')
  .option('--out <directory>', 'for soak.json and soak.html', 'bench/results')
  .parse();

interface Flags {
  readonly hours: number;
  readonly rate: number;
  readonly speedup: number;
  readonly horizon: number;
  readonly recordBytes: number;
  readonly batch: number;
  readonly sample: number;
  readonly seed: number;
  readonly data?: string;
  readonly out: string;
}

const flags = program.opts<Flags>();
const options: SoakOptions = { hours: flags.hours, ratePerSecond: flags.rate, speedup: flags.speedup, horizonHours: flags.horizon, recordBytes: flags.recordBytes, recordsPerRequest: flags.batch, sampleSeconds: flags.sample, seed: flags.seed };
if (flags.data !== undefined) process.env['TMPDIR'] = flags.data;
const scratch = temporaryDirectory();
try {
  const result = await soak({
    options,
    dataDir: scratch.path,
    say: (text) => {
      process.stdout.write(`${text}\n`);
    },
  });
  const report = judge(result);
  mkdirSync(flags.out, { recursive: true });
  writeFileSync(join(flags.out, 'soak.json'), `${JSON.stringify(report, null, 1)}\n`);
  writeFileSync(join(flags.out, 'soak.html'), renderPage(report, machineFacts()));
  process.stdout.write(`\n${printable(report)}${join(flags.out, 'soak.html')} and soak.json written\n`);
  process.exitCode = report.ok ? 0 : 1;
} finally {
  scratch.remove();
}
