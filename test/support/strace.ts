/** Faults of system calls in a process that runs: strace attaches, fails or delays what matches, and lets go. Needs strace and the right to trace. */

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const canTrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;

export interface Injection {
  readonly pid: number;
  /** As strace names them. */
  readonly calls: readonly string[];
  /** Files, by the names they have now; a file that is renamed later is not met any more. */
  readonly paths: readonly string[];
  /** `error=EIO` or `delay_enter=200000` (microseconds), and strace's `when=` if not each call. */
  readonly fault: string;
}

const ATTACH_MS_MAX = 10_000;

export class Tracer {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #ended: Promise<unknown>;

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
    this.#ended = new Promise((resolve) => child.once('close', resolve));
  }

  /** Resolves once every thread of the process is traced. */
  static async attach({ pid, calls, paths, fault }: Injection): Promise<Tracer> {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-strace-'));
    const trace = calls.join(',');
    const args = ['-f', '-p', String(pid), '-o', join(directory, 'calls'), '-e', `trace=${trace}`, '-e', `inject=${trace}:${fault}`, ...paths.flatMap((path) => ['-P', path])];
    const child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const tracer = new Tracer(child, directory);
    let told = '';
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`strace does not attach: ${told}`));
      }, ATTACH_MS_MAX);
      child.stderr.on('data', (chunk: Buffer) => {
        told += chunk.toString();
        if (told.includes(' attached')) resolve();
      });
      void tracer.#ended.then(() => {
        reject(new Error(`strace has ended: ${told}`));
      });
      child.once('exit', () => {
        clearTimeout(timer);
      });
    });
    return tracer;
  }

  /** Calls that were failed or delayed so far. */
  get injected(): number {
    return readFileSync(join(this.#directory, 'calls'), 'utf8').split('\n').filter((line) => /\((INJECTED|DELAYED)\)$/.test(line)).length;
  }

  /** Lets the process go, and resolves with the number of calls that were met. */
  async detach(): Promise<number> {
    this.#child.kill('SIGTERM');
    await this.#ended;
    const { injected } = this;
    rmSync(this.#directory, { recursive: true, force: true });
    return injected;
  }
}
