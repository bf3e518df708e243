/** What scenarios share: a daemon of their own with everything on, and the shape of what they report. */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestDaemon } from '../../test/support/daemon.ts';
import { freePort } from '../../test/support/ports.ts';

export interface ScenarioOptions {
  readonly seconds: number;
  /** Of scenarios that repeat themselves. */
  readonly rounds: number;
  /** Of the daemon, beside the usual: a slower disk. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Plain data; `lines` is how people read it. */
export interface ScenarioReport {
  readonly scenario: string;
  readonly lines: readonly string[];
  /** Events that were acknowledged and not counted: there must be none. */
  readonly lost: number;
}

export interface Scenario {
  readonly name: string;
  readonly options: ScenarioOptions;
  /** Of the second run, on a slower disk, where it has one; shorter, so that all of it stays within twenty minutes. */
  readonly slowOptions?: ScenarioOptions;
  run(options: ScenarioOptions): Promise<ScenarioReport>;
}

/** Connections of a sender of single events. */
export const CONNECTIONS = 256;

/** Sync, CRC, dedupe, windows, Redis and lake are on. */
export async function withDaemon<Result>({ env }: ScenarioOptions, work: (daemon: TestDaemon, redisPort: number) => Promise<Result>): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const { port: redisPort, stop } = await startRedis();
  const daemon = await TestDaemon.start({
    dataDir: directory,
    env: { MILLRACE_DOOR: process.env['MILLRACE_DOOR'] ?? 'uws', MILLRACE_REDIS_URL: `redis://127.0.0.1:${redisPort}`, MILLRACE_JOURNAL_SEGMENT_BYTES: String(64 * 1024 * 1024), MILLRACE_LOG_LEVEL: 'info', ...env },
  });
  try {
    return await work(daemon, redisPort);
  } finally {
    await daemon.stop();
    stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** One that keeps nothing on disk. */
export async function startRedis(): Promise<{ readonly port: number; readonly stop: () => void }> {
  const port = await freePort();
  const redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], { stdio: 'ignore' });
  return { port, stop: () => void redis.kill() };
}

/** A program of the bench that prints `listening` once it is ready, as its own process. */
export async function startServer(script: string, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', (text: Buffer) => {
      if (text.toString().startsWith('listening')) resolve();
      else reject(new Error(`${script} cannot listen`));
    });
    child.once('exit', () => {
      reject(new Error(`${script} ended`));
    });
  });
  return child;
}

export const progress = (text: string): void => void process.stderr.write(`${text}\n`);
