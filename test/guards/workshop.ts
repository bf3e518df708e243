/**
 * A copy of the sources in which bugs are planted, one at a time, and tests are run.
 *
 * The checkout itself is never touched. What runs as a process (daemon, simulation) runs from the copy's own build, of which each bug changes
 * one file. One test run at a time.
 */

import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import { isSeeded, planted, type Guard, type GuardKind, type NamedTest } from './guard.ts';

const COPIED = ['engine', 'actors', 'ingress', 'sinks', 'bench', 'test', 'deploy', 'dist', '.ci', 'package.json', 'package-lock.json', 'tsconfig.json', 'README.md'];
/** Those of tsconfig.json that matter to one file. */
const COMPILER_OPTIONS = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, rewriteRelativeImportExtensions: true, verbatimModuleSyntax: true } as const;
/** A run that takes longer is ended: a bug that only hangs shows nothing. */
const RUN_LIMIT_MS = 300_000;

/** A test as it was run, by full name; `reason`: the first line of what it failed with. */
export interface Ran {
  readonly file: string;
  readonly name: string;
  readonly reason: string;
}

export interface Outcome {
  readonly passed: readonly Ran[];
  readonly failed: readonly Ran[];
  /** Why there is nothing to judge; empty otherwise. */
  readonly broken: string;
}

const broken = (reason: string): Outcome => ({ passed: [], failed: [], broken: reason });

export class Workshop {
  readonly #root: string;
  readonly #directory = mkdtempSync(join(tmpdir(), 'millrace-guards-'));
  /** Leads the group of all that the run under way has started. */
  #leader: number | null = null;

  /** `root`: a checkout that is built. */
  constructor(root: string) {
    this.#root = root;
    for (const name of COPIED) if (existsSync(join(root, name))) cpSync(join(root, name), join(this.#directory, name), { recursive: true });
    symlinkSync(realpathSync(join(root, 'node_modules')), join(this.#directory, 'node_modules'));
  }

  /** Ends what runs, and leaves nothing behind. */
  close(): void {
    this.#end();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Runs `work` with the bug in place. Raises when the bug cannot be planted or is no TypeScript. */
  async with<Result>(guard: Guard, work: () => Promise<Result>): Promise<Result> {
    const source = readFileSync(join(this.#root, guard.file), 'utf8');
    const bug = planted(source, guard);
    this.#write(guard.file, bug);
    try {
      return await work();
    } finally {
      this.#write(guard.file, source);
    }
  }

  /** Runs the tests as they are named, together. All are of one kind, and not of the simulation. */
  async run(tests: readonly NamedTest[], kind: Exclude<GuardKind, 'simulation'>): Promise<Outcome> {
    const report = join(this.#directory, 'report.json');
    rmSync(report, { force: true });
    const files = [...new Set(tests.map(({ file }) => `test/${file}`))];
    const names = tests.map(({ name }) => name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')).join('|');
    const ended = await this.#node(['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/vitest.config.ts', '--project', kind, '--reporter', 'json', '--outputFile', report, '-t', names, ...files]);
    if (ended.timedOut) return broken(`no end within ${RUN_LIMIT_MS / 1_000} s`);
    if (!existsSync(report)) return broken(`no report: ${ended.output.slice(-300)}`);
    return readReport(readFileSync(report, 'utf8'));
  }

  /** So many stories of the simulation; the name of the checker that found one wrong is the failed test. */
  async simulate(seeds: number): Promise<Outcome> {
    const ended = await this.#node(['dist/test/simulation/simulate.js', '--seeds', String(seeds), '--workers', '1']);
    if (ended.timedOut) return broken(`no end within ${RUN_LIMIT_MS / 1_000} s`);
    if (ended.code === 0) return { passed: [{ file: 'simulation', name: `${seeds} seeds`, reason: '' }], failed: [], broken: '' };
    const found = /^seed (\d+): (?:[A-Za-z]*Error: )?(?:bug: )?([^\n]*)/m.exec(ended.output);
    if (found === null) return broken(ended.output.slice(-300));
    return { passed: [], failed: [{ file: 'simulation', name: found[2] as string, reason: `seed ${found[1]}` }], broken: '' };
  }

  #write(file: string, text: string): void {
    writeFileSync(join(this.#directory, file), text);
    const built = ts.transpileModule(text, { compilerOptions: COMPILER_OPTIONS, fileName: file, reportDiagnostics: true });
    const [fault] = built.diagnostics ?? [];
    if (fault !== undefined) throw new Error(`${file}: ${ts.flattenDiagnosticMessageText(fault.messageText, ' ')}`);
    writeFileSync(join(this.#directory, 'dist', file.replace(/\.ts$/, '.js')), built.outputText);
    // Whoever asks finds the build newer than the sources.
    writeFileSync(join(this.#directory, 'dist/.built'), '');
  }

  #end(): void {
    try {
      if (this.#leader !== null) process.kill(-this.#leader, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }

  #node(args: readonly string[]): Promise<{ readonly code: number | null; readonly output: string; readonly timedOut: boolean }> {
    return new Promise((resolve) => {
      // A group of its own, so that what the run has started ends with it.
      const child = spawn(process.execPath, args, { cwd: this.#directory, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
      this.#leader = child.pid ?? null;
      let output = '';
      let timedOut = false;
      const keep = (bytes: Buffer): void => {
        output = (output + bytes.toString()).slice(-20_000);
      };
      child.stdout.on('data', keep);
      child.stderr.on('data', keep);
      const limit = setTimeout(() => {
        timedOut = true;
        this.#end();
      }, RUN_LIMIT_MS);
      child.on('close', (code) => {
        clearTimeout(limit);
        this.#leader = null;
        resolve({ code, output, timedOut });
      });
    });
  }
}

/** Whether a test that ran is the one that is named. */
export const isOf = (test: NamedTest, { file, name }: Ran): boolean => file.endsWith(`test/${test.file}`) && name.includes(test.name);

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string; readonly failureMessages: readonly string[] }[];
  }[];
}

function readReport(text: string): Outcome {
  const { testResults } = JSON.parse(text) as Report;
  const results = testResults.flatMap(({ name: file, assertionResults }) =>
    assertionResults.map(({ fullName, status, failureMessages }) => ({ file, name: fullName, status, reason: (failureMessages[0] ?? '').split('\n')[0] as string })),
  );
  const passed = results.filter(({ status }) => status === 'passed');
  const failed = results.filter(({ status }) => status === 'failed');
  if (passed.length + failed.length > 0) return { passed, failed, broken: '' };
  return broken(testResults.map(({ message }) => message).find((message) => message !== '') ?? 'no test has this name');
}

/**
 * What a guard's run says: `killed` when its test, and by an assertion or a fault it met, has failed; `survived` when it has passed;
 * else why it proves nothing.
 */
export function verdictOf(guard: Guard, outcome: Outcome): { readonly verdict: 'killed' | 'survived' | 'broken'; readonly detail: string } {
  if (outcome.broken !== '') return { verdict: 'broken', detail: outcome.broken };
  const { test } = guard;
  const [first] = outcome.failed;
  if (first === undefined) return outcome.passed.length > 0 ? { verdict: 'survived', detail: '' } : { verdict: 'broken', detail: 'no test has this name' };
  if (isSeeded(test)) {
    const isMeant = test.finders.some((finder) => first.name.startsWith(finder));
    return isMeant ? { verdict: 'killed', detail: `${first.reason}: ${first.name}` } : { verdict: 'broken', detail: `found by another checker: ${first.name}` };
  }
  const meant = outcome.failed.find((ran) => isOf(test, ran));
  if (meant === undefined) return { verdict: 'broken', detail: `another test failed: ${first.name}` };
  // A name that is not there, or text that is no program: the mutant is nonsense, and any test would fail.
  return /^(SyntaxError|ReferenceError)/.test(meant.reason) ? { verdict: 'broken', detail: meant.reason } : { verdict: 'killed', detail: meant.reason };
}
