/**
 * `npm test`: lint, tidy rules, then the unit and integration suites, the latter end to end also at three actor threads, and what
 * meets the door on node:http too. Prints one closing line with the sums. Plain JavaScript: it only starts other programs.
 *
 * `npm test -- unit` (or tidy, simulation, integration, smoke) runs one part.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const part = process.argv[2] ?? 'all';
const scratch = mkdtempSync(join(tmpdir(), 'millrace-test-'));
const sums = { passed: 0, failed: 0, skipped: 0 };
/** One line for each failure, told again at the end: hours of output may stand between. */
const failures = [];
/** The same each time: a run that fails shows a change, not a find. More of them are `npm run simulate`. */
const SIMULATED_SEEDS = 1_200;
/** Most test files wait more than they work, so two run side by side; these load the machine by themselves. */
const PAIRED = ['--fileParallelism', '--maxWorkers', '2'];
const ALONE = ['daemon/exact', 'daemon/ingress-threads', 'soak/smoke', 'crash/faults'];
/** What of the end-to-end suite meets the door; what lies behind the journal is the same on both. */
const AT_THE_DOOR = ['smoke', 'refusals', 'bad-input', 'credentials', 'message-shapes', 'apps', 'costs', 'disks', 'process-life'];
const vitest = 'node_modules/vitest/vitest.mjs';

try {
  if (part === 'all' || part === 'tidy') {
    // The build that `npm test` begins with has looked at all types.
    if (part === 'tidy') await check('types', ['node_modules/typescript/bin/tsc', '--noEmit', '-p', 'tsconfig.json']);
    await check('lint', ['node_modules/eslint/bin/eslint.js', '-c', 'test/tidy/eslint.config.js', '--max-warnings', '0', 'engine', 'actors', 'ingress', 'sinks', 'bench', 'test']);
    await suite('tidy', ['--project', 'tidy']);
  }
  if (part === 'all' || part === 'unit') await suite('unit', ['--project', 'unit', '--maxWorkers', '2']);
  if (part === 'all' || part === 'simulation') await check(`simulation, ${SIMULATED_SEEDS} seeds`, ['dist/test/simulation/simulate.js', '--seeds', String(SIMULATED_SEEDS)]);
  if (part === 'all' || part === 'integration') {
    await suite('integration', ['--project', 'integration', ...PAIRED, ...ALONE.flatMap((name) => ['--exclude', `**/${name}.test.ts`])]);
    await suite('integration, one at a time', ['--project', 'integration', ...ALONE]);
    // The end-to-end suite again with the other thread count, and on the other door where the first one has loaded.
    await suite('end to end, three actor and two ingress threads', ['--project', 'integration', 'daemon/smoke', 'daemon/exact'], { MILLRACE_TEST_ACTORS: '3', MILLRACE_TEST_INGRESS: '2', MILLRACE_TEST_VARIANT: 'actors' });
    await suite('exact on the node:http door', ['--project', 'integration', 'daemon/exact'], { MILLRACE_TEST_DOOR: 'node', MILLRACE_TEST_VARIANT: 'door' });
    await suite('end to end, node:http door', ['--project', 'integration', ...PAIRED, ...AT_THE_DOOR.map((name) => `daemon/${name}.test.ts`)], { MILLRACE_TEST_DOOR: 'node', MILLRACE_TEST_VARIANT: 'door' });
  }
  if (part === 'smoke') await suite('smoke', ['--project', 'integration', 'test/integration/daemon/smoke']);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
for (const line of failures) process.stdout.write(`\nfailure: ${line}`);
process.stdout.write(`\n${sums.passed} passed, ${sums.failed} failed, ${sums.skipped} skipped\n`);
process.exit(sums.failed > 0 || sums.passed === 0 ? 1 : 0);

async function check(name, args) {
  process.stdout.write(`\n== ${name}\n`);
  const status = await run(args);
  if (status === 0) sums.passed++;
  else fail(name);
}

async function suite(name, args, env = {}) {
  process.stdout.write(`\n== ${name}\n`);
  const report = join(scratch, `${name.replace(/\W+/g, '-')}.json`);
  const status = await run([vitest, 'run', '--config', 'test/vitest.config.ts', '--reporter', 'default', '--reporter', 'json', '--outputFile.json', report, ...args], env);
  if (!existsSync(report)) {
    fail(`${name}: no report, exit code ${status}`);
    return;
  }
  const result = JSON.parse(readFileSync(report, 'utf8'));
  sums.passed += result.numPassedTests;
  sums.failed += result.numFailedTests;
  sums.skipped += result.numPendingTests + result.numTodoTests;
  for (const file of result.testResults) {
    for (const { status: outcome, fullName, failureMessages } of file.assertionResults) {
      if (outcome === 'failed') failures.push(`${name}: ${relative(process.cwd(), file.name)}: ${fullName}: ${String(failureMessages[0]).split('\n')[0]}`);
    }
  }
  // A file that does not load, or an error outside a test, fails the run without failing a test.
  if (status !== 0 && result.numFailedTests === 0) fail(`${name}: exit code ${status} without a failed test`);
}

function fail(line) {
  sums.failed++;
  failures.push(line);
}

function run(args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...env } });
    child.on('exit', (status) => resolve(status ?? 1));
  });
}
