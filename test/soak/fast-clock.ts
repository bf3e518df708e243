/**
 * A clock that runs faster than the world's, the same for the daemon (fast-clock-preload.ts) and for this process.
 *
 * The time of day is sped up, and the journal's running time: timers, waits and monotonic clocks stay as they are.
 */

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CLI } from '../support/daemon.ts';

export interface FastClock {
  /** Epoch ms of the sped-up time. */
  nowMs(): number;
  /** Environment for a Node process that runs on this clock. */
  readonly environment: Readonly<Record<string, string>>;
}

/** The daemon and what is loaded before it are those of one build. */
const PRELOAD = join(CLI, '../../test/soak/fast-clock-preload.js');

export function createFastClock(options: { readonly startMs: number; readonly speedup: number }): FastClock {
  const { startMs, speedup } = options;
  const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;
  const originMs = monotonicMs();
  return {
    nowMs: () => startMs + (monotonicMs() - originMs) * speedup,
    environment: { SOAK_CLOCK: [startMs, originMs, speedup].join(','), NODE_OPTIONS: `--import=${pathToFileURL(PRELOAD).href}` },
  };
}
