/**
 * The long form of the exact runs: `npm run exact -- [events] [kills] [seed]`, by default 1,000,000 events and 20 kill -9.
 *
 * Ends with 0 only when every total, the lake and the state hash are exact. Needs the build.
 */

import { join } from 'node:path';
import { exactRun } from '../support/exact-run.ts';
import { temporaryDirectory } from '../support/daemon.ts';

const [count = 1_000_000, kills = 20, seed = Date.now() % 1_000_000] = process.argv.slice(2).map(Number);
const scratch = temporaryDirectory();
process.stdout.write(`${count} events, ${kills} kills, seed ${seed}\n`);
try {
  const report = await exactRun({
    dataDir: scratch.path,
    replayDir: join(scratch.path, 'replayed'),
    count,
    kills,
    seed,
    replayThreads: 3,
    lake: true,
    batch: 200,
    say: (text) => {
      process.stdout.write(`${text}\n`);
    },
  });
  process.stdout.write(`exact: ${JSON.stringify(report, null, 2)}\n`);
  scratch.remove();
} catch (error) {
  process.stdout.write(`NOT EXACT, data kept in ${scratch.path}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  // The sender still tries: nothing of it is wanted any more.
  process.exit(1);
}
