/** What tests of the built daemon set up: a scratch directory, and daemons that end with their test. */

import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { TestDaemon, message, temporaryDirectory, type DaemonOptions } from '../../support/daemon.ts';

export const MIB = 1024 ** 2;
/** A daemon that should have refused to start is not waited for longer. */
const REFUSAL_LIMIT_MS = 60_000;
/** The promise is 10 s, by the daemon's own clock. A shared machine's disk may hold its last sync up, through no fault of the daemon. */
export const END_MS_MAX = process.env['CI'] === 'true' ? 15_000 : 10_000;

export interface Refusal {
  readonly code: number | null;
  /** What it wrote of errors, on either stream. */
  readonly lines: readonly string[];
}

export interface Daemons {
  readonly scratch: { readonly path: string };
  /** A new directory in the scratch directory. */
  readonly directory: (name: string) => string;
  readonly started: (options: DaemonOptions) => Promise<TestDaemon>;
  /** Runs a daemon that cannot start. */
  readonly refused: (options: DaemonOptions) => Promise<Refusal>;
  /** Some acknowledged events and a clean end. */
  readonly usedDirectory: (path: string, count?: number) => Promise<void>;
}

/** Once at the top of a file. */
export function useDaemons(): Daemons {
  let scratch = { path: '', remove: (): void => undefined };
  beforeEach(() => {
    scratch = temporaryDirectory();
  });
  afterEach(async () => {
    await TestDaemon.endAll();
    scratch.remove();
  });
  const started = (options: DaemonOptions): Promise<TestDaemon> => TestDaemon.start(options);
  return {
    scratch: {
      get path() {
        return scratch.path;
      },
    },
    directory: (name) => {
      const path = join(scratch.path, name);
      mkdirSync(path);
      return path;
    },
    started,
    refused: async (options) => {
      const daemon = TestDaemon.spawn(options);
      const timer = setTimeout(() => daemon.child.kill('SIGKILL'), REFUSAL_LIMIT_MS);
      const { code } = await daemon.exited;
      clearTimeout(timer);
      await daemon.closed;
      const fromLog = daemon.logs.filter((line) => line.level >= 50).map((line) => `${line.msg} ${JSON.stringify(line['fix'] ?? '')}`);
      return { code, lines: [...fromLog, ...daemon.stderr.split('\n').filter((line) => line !== '')] };
    },
    usedDirectory: async (path, count = 200) => {
      const daemon = await started({ dataDir: path });
      const body = Array.from({ length: count }, (_, at) => JSON.stringify(message({ appsflyer_id: `before-${at}` }))).join('\n');
      expect((await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body, headers: { 'content-type': 'application/x-ndjson' } })).status).toBe(200);
      await daemon.settled(count);
      expect(await daemon.stop()).toBe(0);
    },
  };
}

/** As people copy a directory: times, modes and sockets too. A daemon that runs in it may rename a file between cp's look at the folder and at the file. */
export function copyAll(from: string, to: string): void {
  const { status, stderr } = spawnSync('cp', ['-a', from, to], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  const failures = stderr.split('\n').filter((line) => line !== '' && !line.endsWith('No such file or directory'));
  if (status !== 0 && (stderr === '' || failures.length > 0)) throw new Error(`cp ended with ${status}: ${stderr}`);
}

/** The end of what was written, before the zeros of a preallocated file. */
export function dataEnd(file: string): number {
  const bytes = readFileSync(file);
  let end = bytes.byteLength;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}

export function flip(file: string, at: number): void {
  const handle = openSync(file, 'r+');
  const byte = Buffer.alloc(1);
  readSync(handle, byte, 0, 1, at);
  byte[0] = (byte[0] as number) ^ 0xff;
  writeSync(handle, byte, 0, 1, at);
  closeSync(handle);
}
