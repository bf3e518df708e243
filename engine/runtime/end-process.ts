/**
 * Ends the process with an exit code, for certain: `process.exit` waits for every thread and every open store, and what is inside a native
 * call never comes.
 *
 * Threads that can be are terminated first. When one is left, the code says that something is stuck, or a store is being copied, the process
 * ends by SIGKILL, which takes no waiting and no exit code: the supervising parent is told the code and does it; without a parent it shows as
 * signal 9. For journal and state it is a power cut of the process: what was acknowledged is durable, what was not checkpointed is replayed.
 */

import { isCopying } from '../state/index.ts';
import { endThreads } from '../threads/worker.ts';
import { exitCodes } from './exit-codes.ts';

/** Long enough for the parent to hear and act. */
const PARENT_MS = 1_000;

export interface EndingMessage {
  readonly ending: number;
}

export async function endProcess(code: number, threadsDeadlineMs = 2_000): Promise<never> {
  if ((await endThreads(threadsDeadlineMs)) && code !== exitCodes.stuck && !isCopying()) process.exit(code);
  if (process.connected) {
    const message: EndingMessage = { ending: code };
    process.send?.(message, () => undefined);
    await new Promise((settle) => setTimeout(settle, PARENT_MS));
  }
  process.kill(process.pid, 'SIGKILL');
  // The kernel spares process 1 of a container its own signals.
  process.abort();
}
