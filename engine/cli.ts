#!/usr/bin/env node
/**
 * The `millrace` command line: argument parsing and nothing else. The only door to commander.
 *
 * Each command lives in commands/ and returns its exit code (runtime/exit-codes.ts). Errors are one line: what, where, how to mend it.
 */

import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { backfill, type BackfillOptions } from './commands/backfill.ts';
import { check } from './commands/check.ts';
import { dropLetters, exportLetters, listLetters, retryLetters, showLetter, type LetterOptions, type WorkOptions } from './commands/dlq.ts';
import { connectAppsflyer, type ConnectOptions } from './commands/connect.ts';
import { API_BASE } from './commands/push-config-api.ts';
import { loadCosts, type LoadCostsOptions } from './commands/costs.ts';
import { coverage, type CoverageOptions } from './commands/coverage.ts';
import { erase, type EraseOptions } from './commands/erase.ts';
import { generate } from './commands/generate.ts';
import { inspect } from './commands/inspect.ts';
import { dropShadow, listShadows, promoteShadow } from './commands/replay-promote.ts';
import { purge, type PurgeOptions } from './commands/purge.ts';
import { replay, type ReplayOptions } from './commands/replay.ts';
import { restoreSavepoint, takeSavepoint } from './commands/savepoint.ts';
import { start } from './commands/start.ts';
import { tail } from './commands/tail.ts';
import { EngineError, messageOf } from './core/errors.ts';
import { endProcess } from './runtime/end-process.ts';
import { exitCodeOf, exitCodes } from './runtime/exit-codes.ts';
import { areThreadsRunning } from './threads/worker.ts';
import { VERSION } from './version.ts';

const count = (text: string): number => {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError('give a whole number');
  return value;
};
const rate = (text: string): number => {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError('give a number above 0');
  return value;
};

const share = (text: string): number => {
  const value = Number(text);
  if (text === '' || !(value >= 0 && value <= 1)) throw new InvalidArgumentError('give a share from 0 to 1');
  return value;
};

// A reader that has seen enough (`millrace check | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(exitCodes.ok);
});

let exitCode: number = exitCodes.ok;
const run = (work: Promise<number>): Promise<void> =>
  work.then((code) => {
    exitCode = code;
  });

const program = new Command('millrace').description("exact hourly and daily metrics from AppsFlyer's event stream").version(VERSION).exitOverride().showHelpAfterError();
const CONFIG = ['-c, --config <file>', 'configuration file (default: millrace.yaml where it is there; or MILLRACE_CONFIG)'] as const;
const ADMIN = ['-a, --admin <url>', 'admin address of the daemon (default: from the configuration)'] as const;

program
  .command('start')
  .description('run the daemon; restarts it when it dies')
  .option(...CONFIG)
  .option('--no-supervise', 'no restarting parent (systemd or a container restarts)')
  .action((options: { config?: string; supervise: boolean }) => run(start(options)));

program
  .command('check')
  .description('check the configuration and say what disk and memory it needs')
  .option(...CONFIG)
  .option('--rate <events per minute>', 'expected load, one event being 1.6 KB', rate, 100_000)
  .action((options: { config?: string; rate: number }) => run(check(options)));

program
  .command('generate')
  .description('send faithful AppsFlyer messages, made from a seed')
  .option(...CONFIG)
  .option('-u, --url <url>', 'ingest address of the daemon (default: from the configuration)')
  .option('-r, --rate <events per minute>', 'how fast', rate, 6_000)
  .option('-n, --count <events>', 'how many; without it until interrupted', count)
  .option('-s, --seed <number>', 'the same seed makes the same messages', count, 1)
  .option('--start <iso time>', 'event time of the first message (default: now, following the clock)')
  .option('--expect', 'print the totals that must come out, as JSON on stdout', false)
  .option('--dry-run', 'print messages on stdout instead of sending them', false)
  .option('--batch <records>', 'records per request, by /v1/events; 1 for single pushes', count, 1)
  .option('--garbage <share>', 'share of malformed messages, 0 to 1', share, 0)
  .action((options: { config?: string; url?: string; rate: number; count?: number; seed: number; start?: string; expect: boolean; dryRun: boolean; garbage: number; batch: number }) => run(generate(options)));

program
  .command('tail')
  .description('the last records with outcome, reason and cell: did mine arrive?')
  .option(...CONFIG)
  .option(...ADMIN)
  .option('-n, --limit <records>', 'how many', count, 20)
  .option('-f, --follow', 'go on showing new ones', false)
  .option('--app <app_id>', 'only this app')
  .option('--outcome <outcome>', 'only accepted, late, duplicate or rejected')
  .option('--json', 'one JSON object a line', false)
  .action((options: { config?: string; admin?: string; limit: number; follow: boolean; app?: string; outcome?: string; json: boolean }) => run(tail(options)));

program
  .command('coverage')
  .description('which fields the last messages of each app lack, and which figures suffer')
  .option(...CONFIG)
  .option(...ADMIN)
  .option('--app <app_id>', 'only this app')
  .option('-n, --records <count>', 'how many of the last records are looked at', count, 2_000)
  .option('--json', 'as JSON', false)
  .action((options: CoverageOptions) => run(coverage(options)));

program
  .command('inspect')
  .description('look into a data directory: journal and checkpoints (stop the daemon first for --state-hash)')
  .option(...CONFIG)
  .option('--state-hash', 'one hash over all state, equal for any replay of the same log', false)
  .option('--json', 'as JSON', false)
  .action((options: { config?: string; stateHash: boolean; json: boolean }) => run(inspect(options)));

const replaying = program
  .command('replay')
  .description('fold the journal, or the rows of the lake, again under other rules, into a shadow, and print how cells differ; or into a fresh directory')
  .option('--into <name>', 'name of the shadow: letters, digits, dashes; with a slash in it: a directory in which state and live store are made')
  .option('--source <source>', 'journal: its records, under any rules; lake: the rows of all hours that are kept, under other metrics.conversion_events', 'journal')
  .option('--pipeline <file>', 'YAML with the rules that are to differ from the configuration')
  .option('--from <time>', 'compare from this hour on; with a directory in --into: the data directory whose journal is read')
  .option('--to <time>', 'compare hours before this one')
  .option('-n, --limit <cells>', 'print so many at most', count, 100)
  .option('--format <format>', 'table, csv or json', 'table')
  .option('--threads <count>', 'actor threads', count, 1)
  .option(...CONFIG)
  .option(...ADMIN)
  .action((options: ReplayOptions) => run(replay(options)));
replaying
  .command('promote <name>')
  .description('put the hours of a shadow into use, under a new generation; the daemon is stopped and has its rules in the configuration')
  .action((name: string, _: object, command: Command) => run(promoteShadow(name, command.optsWithGlobals())));
replaying
  .command('drop <name>')
  .description('remove a shadow')
  .action((name: string, _: object, command: Command) => run(dropShadow(name, command.optsWithGlobals())));
replaying
  .command('ls')
  .description('shadows with size and state')
  .option('--json', 'one JSON object a line', false)
  .action((_: object, command: Command) => run(listShadows(command.optsWithGlobals())));

const dlq = program.command('dlq').description('rejected records: look at them, send them again, keep them elsewhere, drop them');
const filtered = (command: Command): Command =>
  command
    .option(...CONFIG)
    .option(...ADMIN)
    .option('--code <codes>', 'only these codes, joined by commas')
    .option('--app <app_id>', 'only this app, as far as it can be told')
    .option('--source <sources>', 'only from these: push, push_get, events, s2s, pull …')
    .option('--state <states>', 'only waiting, rejected (retried in vain) or settled ones')
    .option('--partition <number>', 'only of this partition', count)
    .option('--from <time>', 'received then or later')
    .option('--to <time>', 'received before');
const acting = (command: Command): Command => filtered(command).option('--all', 'all of them', false).option('--dry-run', 'tell what would be done', false).option('--json', 'as JSON', false);
filtered(dlq.command('ls'))
  .description('the newest first: partition/id, time, code, what became of a retry, source, app, size, bytes')
  .option('-n, --limit <letters>', 'how many', count, 50)
  .option('--json', 'one JSON object a line', false)
  .action((options: LetterOptions & { limit: number; json: boolean }) => run(listLetters(options)));
dlq
  .command('show <partition/id>')
  .description('its bytes on stdout, as they came')
  .option(...CONFIG)
  .option(...ADMIN)
  .action((name: string, options: { config?: string; admin?: string }) => run(showLetter(name, options)));
acting(dlq.command('retry [partition/id...]'))
  .description('send them again through the journal: each counts once, however often this is done')
  .option('--again', 'also those that were retried in vain', false)
  .action((names: string[], options: WorkOptions & { again: boolean }) => run(retryLetters(names, options)));
filtered(dlq.command('export <file>'))
  .description('write them into a new file, one JSON object a line; - for stdout')
  .action((path: string, options: LetterOptions) => run(exportLetters(path, options)));
acting(dlq.command('drop [partition/id...]'))
  .description('remove them for good')
  .action((names: string[], options: WorkOptions) => run(dropLetters(names, options)));

const connect = program.command('connect').description('set up those who send');
connect
  .command('appsflyer')
  .description("merge this daemon's endpoint into an app's Push configuration, through AppsFlyer's API; the token comes from APPSFLYER_API_TOKEN or a file")
  .requiredOption('--app <app_id>', 'the app, as in the dashboard (iOS with id)')
  .requiredOption('--url <url>', 'public address of the push route, such as https://events.example.com/v1/appsflyer/push')
  .option('--fields <which>', 'needed: those that figures depend on; all', 'needed')
  .option('--skan', "SKAdNetwork's messages too (iOS), at the same address with a query of its own", false)
  .option('--api-token-file <file>', 'a file with the API token')
  .option('--sender-token-file <file>', 'a file with the token that AppsFlyer is to send with each message')
  .option('--sender-token-name <header>', 'its header: Authorization, or one that begins with X-')
  .option('--no-validate', 'do not have AppsFlyer call the address first')
  .option('--dry-run', 'show the difference and change nothing', false)
  .option('-y, --yes', 'do not ask', false)
  .option('--api-base <url>', 'address of the API', API_BASE)
  .action((options: ConnectOptions) => run(connectAppsflyer(options)));

const costs = program.command('costs').description('what was spent');
costs
  .command('load <file>')
  .description('send a report of spend (CSV, JSON, NDJSON or Parquet; AppsFlyer names of columns are known) to the running daemon')
  .option(...CONFIG)
  .option('-u, --url <url>', 'ingest address of the daemon (default: from the configuration)')
  .option('--format <format>', 'csv, json, lines or parquet (default: by the ending of the name)')
  .option('--app-id <app_id>', 'app of rows that name none')
  .option('--currency <code>', 'currency of rows that name none')
  .option('--replace <what>', 'name: each row replaces the one of its name; day: the rows replace all of their date, app and media source', 'name')
  .option('--dry-run', 'judge the file and send nothing', false)
  .action((file: string, options: LoadCostsOptions) => run(loadCosts(file, options)));

program
  .command('backfill')
  .description('read days of Pull reports again; what the lake has already is left out')
  .option(...CONFIG)
  .option(...ADMIN)
  .requiredOption('--from <iso time>', 'first day, or time')
  .option('--to <iso time>', 'end, not included (default: now)')
  .option('--app <app ids>', 'only these, joined by commas (default: pull.apps)')
  .option('--report <reports>', 'only these, joined by commas (default: pull.reports)')
  .option('--dry-run', 'print the calls and what they cost instead of making them', false)
  .action((options: BackfillOptions) => run(backfill(options)));

program
  .command('erase')
  .description('remove a user of an app from dead letters and from the lake, and print the receipt; totals stay')
  .option(...CONFIG)
  .option(...ADMIN)
  .option('--app <app_id>', 'the app, as AppsFlyer sends it (iOS with id)')
  .option('--user <id>', 'a value of any field that names a user; - reads it from stdin')
  .option('--wait', 'until all places are through', false)
  .option('--receipt <id>', 'only print the receipt of an erasure that was asked for')
  .action((options: EraseOptions) => run(erase(options)));

program
  .command('purge')
  .description('remove days of an app from results, dead letters and the lake, its daemon stopped, and print the receipt; goes on at the next start')
  .option(...CONFIG)
  .option(...ADMIN)
  .option('--app <app_id>', 'the app, as AppsFlyer sends it (iOS with id)')
  .option('--from <day>', 'first day, YYYY-MM-DD in UTC')
  .option('--to <day>', 'first day that stays')
  .option('--dry-run', 'print what would leave the results, and change nothing', false)
  .option('--receipt <id>', 'only print the receipt of a purge that was asked for, from the running daemon')
  .option('--wait', 'with --receipt: until all places are through', false)
  .action((options: PurgeOptions) => run(purge(options)));

const savepoint = program.command('savepoint').description('a copy of all state, taken while the daemon runs');
savepoint
  .command('take <directory>')
  .description('write a savepoint of the running daemon into a directory that does not exist yet')
  .option(...CONFIG)
  .option(...ADMIN)
  .action((directory: string, options: { config?: string; admin?: string }) => run(takeSavepoint(directory, options)));
savepoint
  .command('restore <directory>')
  .description('make a data directory from a savepoint, with a higher generation')
  .requiredOption('--into <data dir>', 'the new data directory; must not exist yet')
  .action((directory: string, options: { into: string }) => run(restoreSavepoint(directory, options.into)));

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.config;
  else {
    const text = error instanceof EngineError ? `${error.code}: ${error.message}${error.fix === undefined ? '' : `: ${error.fix}`}` : error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
    process.stderr.write(`millrace: ${text}\n`);
    exitCode = exitCodeOf(error);
  }
}
process.exitCode = exitCode;
// A command that failed may have left threads behind, which would keep the process.
if (areThreadsRunning()) await endProcess(exitCode);
