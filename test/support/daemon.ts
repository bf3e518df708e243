/**
 * Runs the built daemon as a child process, as users do: settings by environment, logs read from stdout, ended by signal.
 *
 * MILLRACE_TEST_DOOR, MILLRACE_TEST_ACTORS, MILLRACE_TEST_INGRESS and MILLRACE_TEST_NODE choose door, thread counts and Node for a whole run of the suite;
 * MILLRACE_TEST_CLI names another build of the program.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/** From the sources and from the build alike. */
export function projectRoot(): string {
  let at = resolve(import.meta.dirname);
  while (!existsSync(join(at, 'package.json'))) at = dirname(at);
  return at;
}
export const CLI = process.env['MILLRACE_TEST_CLI'] ?? join(projectRoot(), 'dist/engine/cli.js');
export const NODE = process.env['MILLRACE_TEST_NODE'] ?? process.execPath;

export interface DaemonOptions {
  readonly dataDir: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly supervise?: boolean;
  /** Program and arguments put before Node, such as strace or faketime. */
  readonly wrap?: readonly string[];
  /** A program of the build instead of the command line, with a channel to it. */
  readonly program?: string;
}

export type LogLine = { readonly level: number; readonly msg: string } & Readonly<Record<string, unknown>>;

export interface HourlyAnswer {
  readonly rows: readonly Record<string, unknown>[];
  readonly as_of: string;
  readonly watermark: string;
}

export interface PipelineAnswer {
  readonly conservation: { readonly received: number; readonly accepted: number; readonly duplicate: number; readonly late: number; readonly rejected: number };
  readonly partitions: readonly { readonly id: number; readonly watermark: string | null; readonly offset: number; readonly lag_records: number }[];
  readonly sinks: readonly { readonly name: string; readonly healthy: boolean; readonly settled_revision: number; readonly lag_ms: number }[];
  readonly journal: { readonly durable_offset: number; readonly bytes: number; readonly oldest: string | null };
  readonly [extra: string]: unknown;
}

export const temporaryDirectory = (): { path: string; remove: () => void } => {
  const path = mkdtempSync(join(tmpdir(), 'millrace-daemon-'));
  return {
    path,
    remove: () => {
      rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    },
  };
};

export class TestDaemon {
  static readonly #living = new Set<TestDaemon>();
  readonly child: ChildProcess;
  readonly logs: LogLine[] = [];
  stderr = '';
  ingestPort = 0;
  adminPort = 0;
  door = '';
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** All it has written is here, and nobody can write more: a child that has lost its supervising parent is gone too. */
  readonly closed: Promise<void>;

  private constructor(child: ChildProcess) {
    this.child = child;
    TestDaemon.#living.add(this);
    this.exited = new Promise((settle) => {
      child.once('exit', (code, signal) => {
        settle({ code, signal });
      });
    });
    this.closed = new Promise((settle) => {
      child.once('close', () => {
        TestDaemon.#living.delete(this);
        settle();
      });
    });
    let rest = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      rest += chunk.toString();
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      for (const text of lines) this.#log(text);
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr = (this.stderr + chunk.toString()).slice(-20_000);
    });
  }

  /** Starts without waiting. */
  static spawn(options: DaemonOptions): TestDaemon {
    const env: Record<string, string> = {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '',
      MILLRACE_DATA_DIR: options.dataDir,
      MILLRACE_INGEST_HOST: '127.0.0.1',
      MILLRACE_INGEST_PORT: '0',
      MILLRACE_ADMIN_PORT: '0',
      MILLRACE_DOOR: process.env['MILLRACE_TEST_DOOR'] ?? process.env['MILLRACE_DOOR'] ?? 'auto',
      MILLRACE_THREADS_ACTORS: process.env['MILLRACE_TEST_ACTORS'] ?? '1',
      MILLRACE_THREADS_INGRESS: process.env['MILLRACE_TEST_INGRESS'] ?? '1',
      MILLRACE_JOURNAL_SEGMENT_BYTES: String(16 * 1024 * 1024),
      MILLRACE_DISK_RESERVE_BYTES: String(64 * 1024 * 1024),
      ...options.env,
    };
    const start = options.program === undefined ? [CLI, 'start', ...(options.supervise === true ? [] : ['--no-supervise'])] : [resolve(CLI, '../..', options.program)];
    const command = [...(options.wrap ?? []), NODE, ...start];
    return new TestDaemon(spawn(command[0] as string, command.slice(1), { cwd: options.dataDir, env, stdio: ['ignore', 'pipe', 'pipe', ...(options.program === undefined ? [] : ['ipc' as const])] }));
  }

  /** Starts and waits until recovery is complete and the door listens. */
  static async start(options: DaemonOptions): Promise<TestDaemon> {
    const daemon = TestDaemon.spawn(options);
    await daemon.up();
    return daemon;
  }

  /** For the end of a test, whatever has become of it: no daemon of this process is left, nor what supervising parents have started. */
  static async endAll(): Promise<void> {
    await Promise.all([...TestDaemon.#living].map((daemon) => daemon.#end()));
  }

  async up(timeoutMs = 60_000): Promise<void> {
    await this.until(() => this.adminPort > 0, timeoutMs, 'the daemon to be up');
    await this.until(async () => (await fetch(`${this.admin}/readyz`).catch(() => null))?.status === 200, timeoutMs, 'the daemon to be ready');
  }

  get ingest(): string {
    return `http://127.0.0.1:${this.ingestPort}`;
  }

  get admin(): string {
    return `http://127.0.0.1:${this.adminPort}`;
  }

  push(message: object | string): Promise<Response> {
    return fetch(`${this.ingest}/v1/appsflyer/push`, { method: 'POST', body: typeof message === 'string' ? message : JSON.stringify(message) });
  }

  async get<Value>(path: string): Promise<Value> {
    const response = await fetch(`${this.admin}${path}`);
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as Value;
  }

  pipeline(): Promise<PipelineAnswer> {
    return this.get<PipelineAnswer>('/v1/pipeline');
  }

  hourly(query: string): Promise<HourlyAnswer> {
    return this.get<HourlyAnswer>(`/v1/metrics/hourly?${query}`);
  }

  /** Waits until everything received has been folded, merged and stored. */
  async settled(received: number, timeoutMs = 60_000): Promise<PipelineAnswer> {
    let last: PipelineAnswer | null = null;
    await this.until(
      async () => {
        last = await this.pipeline().catch(() => null);
        return last !== null && last.conservation.received >= received;
      },
      timeoutMs,
      () => `${received} records to be counted; last seen ${JSON.stringify(last?.conservation)}`,
    );
    return last as unknown as PipelineAnswer;
  }

  async until(condition: () => boolean | Promise<boolean>, timeoutMs: number, what: string | (() => string)): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!(await condition())) {
      const ended = this.child.exitCode !== null || this.child.signalCode !== null;
      if (ended || performance.now() > deadline) {
        const text = typeof what === 'string' ? what : what();
        throw new Error(`${ended ? `the daemon ended (code ${this.child.exitCode}, signal ${this.child.signalCode})` : 'timeout'} while waiting for ${text}\n${this.logs.slice(-15).map((line) => JSON.stringify(line)).join('\n')}\n${this.stderr.slice(-2_000)}`);
      }
      await new Promise((settle) => setTimeout(settle, 20));
    }
  }

  /** SIGTERM; resolves with the exit code once everything it wrote is here. */
  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    await this.closed;
    return (await this.exited).code;
  }

  /** Of a supervised daemon, the parent alone. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }

  async #end(): Promise<void> {
    const children = childrenOf(this.child);
    // The parent first, or it would start another one.
    this.child.kill('SIGKILL');
    for (const pid of children) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone by itself.
      }
    }
    await this.closed;
  }

  #log(text: string): void {
    let line: LogLine;
    try {
      line = JSON.parse(text) as LogLine;
    } catch {
      this.stderr += `not a JSON log line: ${text}\n`;
      return;
    }
    this.logs.push(line);
    if (this.logs.length > 2_000) this.logs.shift();
    if (line.msg !== 'millrace is up') return;
    this.ingestPort = Number(line['ingestPort']);
    this.adminPort = Number(line['adminPort']);
    this.door = String(line['door']);
  }
}

/** Process numbers; none where the process is gone. */
function childrenOf({ pid, exitCode, signalCode }: ChildProcess): number[] {
  if (pid === undefined || exitCode !== null || signalCode !== null) return [];
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter((text) => text !== '').map(Number);
  } catch {
    return [];
  }
}

/** Runs a command of the program to its end. */
export function runCli(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((settle) => {
    const child = spawn(NODE, [CLI, ...args], { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    // Not at its exit: what it wrote last may still be on its way.
    child.on('close', (code) => {
      settle({ code, stdout, stderr });
    });
  });
}

/** `yyyy-mm-dd hh:mm:ss.sss`, as AppsFlyer writes times. */
export const appsflyerTime = (timeMs: number): string => new Date(timeMs).toISOString().replace('T', ' ').replace('Z', '');

/** A Push message with the usual fields; override what matters. */
export const message = (fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  app_id: 'com.example.shop',
  platform: 'android',
  appsflyer_id: '1718000000123-4500123456789012345',
  event_name: 'af_purchase',
  event_time: appsflyerTime(Date.now()),
  event_value: '{}',
  campaign_type: 'ua',
  conversion_type: 'install',
  is_primary_attribution: true,
  is_retargeting: false,
  media_source: 'googleadwords_int',
  campaign: 'spring_fr',
  af_c_id: '21421952087',
  country_code: 'FR',
  device_category: 'phone',
  ...fields,
});
