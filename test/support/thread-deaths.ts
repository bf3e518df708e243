/** Ends threads of a daemon that runs with fault injection. `thread`: the number of an actor thread, or `ingress`. */

import type { TestDaemon } from './daemon.ts';

/** Threads that were replaced since the daemon's start. */
export const restartsOf = async (daemon: TestDaemon): Promise<{ actors: number; ingress: number }> => (await daemon.pipeline())['thread_restarts'] as { actors: number; ingress: number };

/** The answer's status. */
export const killThread = async (daemon: TestDaemon, thread: string): Promise<number> => (await fetch(`${daemon.admin}/v1/faults/kill-thread?thread=${thread}`, { method: 'POST' })).status;

/** Until it is missed: a thread that is not back yet cannot die. */
export async function killOnce(daemon: TestDaemon, thread: string): Promise<void> {
  const before = await restartsOf(daemon);
  await daemon.until(
    async () => {
      const status = await killThread(daemon, thread);
      if (status !== 200) throw new Error(`kill-thread answered ${status}`);
      const now = await restartsOf(daemon);
      return now.actors + now.ingress > before.actors + before.ingress;
    },
    60_000,
    `thread ${thread} to be missed`,
  );
}
