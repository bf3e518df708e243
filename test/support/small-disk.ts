/** A file system of its own, a few megabytes large, for tests of full and read-only disks. Needs root and mount(8). */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';

export interface SmallDisk {
  readonly path: string;
  readOnly(): void;
  remove(): void;
}

export const canMount = ((): boolean => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const path = mkdtempSync(join(tmpdir(), 'millrace-mount-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', path]).status === 0;
  if (mounted) spawnSync('umount', [path]);
  rmdirSync(path);
  return mounted;
})();

/** Tests that need a mounted disk: skipped by name where none may be mounted. */
export function describeWithDisk(name: string, body: () => void): void {
  if (canMount) describe(name, body);
  else describe.skip(`${name} (skipped: mounting a tmpfs needs root)`, body);
}

export function smallDisk(bytes: number): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), 'millrace-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', path]);
  return {
    path,
    readOnly: () => {
      execFileSync('mount', ['-o', 'remount,ro', path]);
    },
    remove: () => {
      // Lazily: a daemon of a failed test may still hold files.
      execFileSync('umount', ['-l', path]);
      rmdirSync(path);
    },
  };
}
