/**
 * `millrace start` is this small parent: it starts the daemon as a child and starts it again with growing pauses when it dies.
 *
 * Exit codes that a repeat cannot mend (configuration, ports, data directory, corruption) end the parent with the same code; a data directory
 * that cannot be used is waited for once a daemon has died in it.
 * The child holds an IPC channel to its parent and drains when that breaks, so that no daemon outlives its supervisor unseen. A child that
 * cannot end by itself, because a thread of it is stuck, says so there with the exit code it means, and is killed.
 */

import { fork, type ChildProcess } from 'node:child_process';
import type { Logger } from './logger.ts';
import type { EndingMessage } from './end-process.ts';
import { exitCodes, isWorthRestart } from './exit-codes.ts';
import { STALL_ROW_MS } from './watchdog.ts';

const PAUSE_MIN_MS = 200;
const PAUSE_MAX_MS = 30_000;
const STEADY_MS = 60_000;
/** A daemon ends within 10 s of SIGTERM by its own clock; one whose main thread hangs in a native call never looks at it. */
const DRAIN_LIMIT_MS = 12_000;
/** Tells a child how many before it, in a row, ended with a thread that was stuck: its watchdog is the more patient. */
const STALLS_BEFORE = 'MILLRACE_STALLS_BEFORE';

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Runs until the daemon ends for good; resolves with the exit code. `drainLimitMs`: after a signal the child has so long to end. */
export async function superviseDaemon(module: string, args: readonly string[], log: Pick<Logger, 'error'>, drainLimitMs = DRAIN_LIMIT_MS): Promise<number> {
  let stopping = false;
  let child: ReturnType<typeof fork> | null = null;
  let wake: (() => void) | null = null;
  const forward = (signal: NodeJS.Signals): void => {
    if (!stopping) {
      setTimeout(() => {
        log.error({ limitMs: drainLimitMs }, 'the daemon has not ended and is killed; what is missing is replayed from the journal at the next start');
        child?.kill('SIGKILL');
      }, drainLimitMs).unref();
    }
    stopping = true;
    child?.kill(signal);
    wake?.();
  };
  process.on('SIGTERM', forward);
  process.on('SIGINT', forward);
  // Files are to be read again; of a terminal that is closed the child hears by itself.
  if (process.stdout.isTTY !== true) process.on('SIGHUP', () => child?.kill('SIGHUP'));
  let deaths = 0;
  let stalls = 0;
  for (;;) {
    const startedMs = performance.now();
    child = fork(module, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: { ...process.env, [STALLS_BEFORE]: String(stalls) } });
    const end = await endOf(child);
    // A child that dies of the forwarded signal was too young to handle it: it had nothing to drain.
    if (stopping) return end.code ?? (end.signal === 'SIGTERM' || end.signal === 'SIGINT' ? exitCodes.ok : exitCodes.failure);
    if (end.code !== null && !isWorthRestart(end.code, deaths > 0)) return end.code;
    const livedMs = performance.now() - startedMs;
    deaths = livedMs > STEADY_MS ? 1 : deaths + 1;
    if (end.code !== exitCodes.stuck) stalls = 0;
    else stalls = livedMs > STALL_ROW_MS ? 1 : stalls + 1;
    const pauseMs = Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** (deaths - 1));
    log.error({ ...end, restartInMs: pauseMs }, 'the daemon died; starting it again');
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    wake = null;
    if (stopping) return exitCodes.ok;
  }
}

/** By the child itself, by a signal, or by this parent when the child says that it cannot end. */
function endOf(child: ChildProcess): Promise<End> {
  let told: number | null = null;
  child.on('message', (message: Partial<EndingMessage>) => {
    if (!Number.isInteger(message.ending)) return;
    told = message.ending as number;
    child.kill('SIGKILL');
  });
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      resolve({ code: code ?? told, signal });
    });
    // Not even started: too many processes, or no memory for one more.
    child.once('error', () => {
      if (child.pid === undefined) resolve({ code: exitCodes.failure, signal: null });
    });
  });
}

/** Inside the child. */
export function stallsBefore(): number {
  const count = Number(process.env[STALLS_BEFORE]);
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
}
