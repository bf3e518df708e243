/**
 * `millrace start` is this small parent: it starts the daemon as a child and starts it again with growing pauses when it dies.
 *
 * Exit codes that a repeat cannot mend (configuration, ports, data directory, corruption) end the parent with the same code.
 * The child holds an IPC channel to its parent and drains when that breaks, so that no daemon outlives its supervisor unseen.
 */

import { fork } from 'node:child_process';
import type { Logger } from './logger.ts';
import { exitCodes } from './exit-codes.ts';

const PAUSE_MIN_MS = 200;
const PAUSE_MAX_MS = 30_000;
const STEADY_MS = 60_000;

/** Runs until the daemon ends for good; resolves with the exit code. */
export async function superviseDaemon(module: string, args: readonly string[], log: Logger): Promise<number> {
  let stopping = false;
  let child: ReturnType<typeof fork> | null = null;
  let wake: (() => void) | null = null;
  const forward = (signal: NodeJS.Signals): void => {
    stopping = true;
    child?.kill(signal);
    wake?.();
  };
  process.on('SIGTERM', forward);
  process.on('SIGINT', forward);
  let deaths = 0;
  for (;;) {
    const startedMs = performance.now();
    child = fork(module, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const end = await new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
      child?.once('exit', (code, signal) => {
        resolve({ code, signal });
      });
    });
    // A child that dies of the forwarded signal was too young to handle it: it had nothing to drain.
    if (stopping) return end.code ?? (end.signal === 'SIGTERM' || end.signal === 'SIGINT' ? exitCodes.ok : exitCodes.failure);
    if (end.code === 0 || (end.code !== null && end.code !== exitCodes.failure)) return end.code;
    deaths = performance.now() - startedMs > STEADY_MS ? 1 : deaths + 1;
    const pauseMs = Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** (deaths - 1));
    log.error({ ...end, restartInMs: pauseMs }, 'the daemon died; starting it again');
    await new Promise<void>((resolve) => {
      wake = resolve;
      setTimeout(resolve, pauseMs);
    });
    if (stopping) return exitCodes.ok;
  }
}
