/**
 * A slower disk: slow-sync.c compiled, and the environment that preloads it. Linux with a C compiler; elsewhere the figures of a slow disk are
 * skipped, with the reason.
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { projectRoot } from '../../test/support/daemon.ts';
import type { DiskFacts } from './disk.ts';

/** What every durable figure is given with, beside the disk as it is. */
export const SLOW_SYNC_MS = 2;

export interface SlowSync {
  readonly addedMs: number;
  /** For the processes that shall be slowed. */
  readonly env: Readonly<Record<string, string>>;
}

export type SlowSyncOutcome = SlowSync | { readonly skipped: string };

/** Compiles the shim into the build folder, in a moment, each time. */
export function slowSync(addedMs: number): SlowSyncOutcome {
  if (process.platform !== 'linux') return { skipped: `preloading is for Linux, this is ${process.platform}` };
  const root = projectRoot();
  const directory = join(root, 'dist', 'bench');
  const library = join(directory, 'slow-sync.so');
  mkdirSync(directory, { recursive: true });
  const { status, error, stderr } = spawnSync('cc', ['-O2', '-Wall', '-shared', '-fPIC', '-o', library, join(root, 'bench', 'harness', 'slow-sync.c'), '-ldl'], { encoding: 'utf8' });
  if (error !== undefined) return { skipped: `there is no C compiler: ${error.message}` };
  if (status !== 0) return { skipped: `the C compiler ended with ${status}: ${stderr.trim().split('\n')[0] ?? ''}` };
  return { addedMs, env: { LD_PRELOAD: library, SLOW_SYNC_MICROS: String(Math.round(addedMs * 1_000)) } };
}

/** The disk by itself (disk.ts) as a process in this environment sees it: whether the shim bites. */
export function measureDiskIn(env: Readonly<Record<string, string>>, directory: string, seconds: number): DiskFacts {
  const script = fileURLToPath(new URL('./disk.js', import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [script, directory, String(seconds)], { encoding: 'utf8', env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  if (status !== 0) throw new Error(`the disk could not be measured with slow syncs: ${script} ended with ${status}`);
  return JSON.parse(stdout) as DiskFacts;
}

/** Raises where the shim does nothing: a figure that says 2 ms were added must not be one of the disk as it is. */
export function requireSlower(slow: DiskFacts, asIs: DiskFacts, addedMs: number): void {
  if (slow.p50Ms < addedMs || slow.p50Ms < asIs.p50Ms + addedMs / 2) throw new Error(`the preloaded shim adds nothing: a sync took p50 ${slow.p50Ms.toFixed(2)} ms with it and ${asIs.p50Ms.toFixed(2)} ms without`);
}

export const diskLine = ({ p50Ms, p99Ms, maxMs }: DiskFacts): string => `p50 ${p50Ms.toFixed(2)}, p99 ${p99Ms.toFixed(2)}, max ${maxMs.toFixed(1)} ms`;
