/**
 * A clock that runs faster than the world's, the same for a child process (libfaketime) and for this one.
 *
 * Only the time of day is sped up: timers, waits and the monotonic clock of the child stay as they are. The child's clock is behind this
 * one by what it takes to start (some 30 ms, times the factor).
 */

import { execFileSync } from 'node:child_process';

export interface FastClock {
  readonly startMs: number;
  /** Epoch ms of the sped-up time. */
  nowMs(): number;
  /** Environment for a child that is started now. */
  environment(): Record<string, string>;
}

/** Raises where libfaketime is missing. */
export function createFastClock(options: { readonly startMs: number; readonly speedup: number }): FastClock {
  const { startMs, speedup } = options;
  const library = findLibrary();
  const originMs = performance.now();
  const nowMs = (): number => startMs + (performance.now() - originMs) * speedup;
  return {
    startMs,
    nowMs,
    environment: () => {
      const aheadSeconds = (nowMs() - Date.now()) / 1_000;
      return {
        LD_PRELOAD: library,
        FAKETIME: `${aheadSeconds < 0 ? '-' : '+'}${Math.abs(aheadSeconds).toFixed(3)} x${speedup}`,
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        // Times of files stay true, and nothing is left in shared memory by a process that is killed.
        NO_FAKE_STAT: '1',
        FAKETIME_DISABLE_SHM: '1',
      };
    },
  };
}

/** The program knows where its library is. */
function findLibrary(): string {
  try {
    return execFileSync('faketime', ['-m', '-f', '+0', 'printenv', 'LD_PRELOAD'], { encoding: 'utf8' }).trim();
  } catch (error) {
    throw new Error('the soak needs libfaketime: apt-get install faketime', { cause: error });
  }
}

export function hasFastClock(): boolean {
  try {
    return findLibrary() !== '';
  } catch {
    return false;
  }
}
