/**
 * Who goes first where cores are short: the door, then the actors, then the pool.
 *
 * A thread of the door that blocks in a sync must get its core back the moment the disk is done, for all its senders wait with it; what an
 * actor or the encoder does may wait, in the journal, and loses nothing. Measured on two cores that the sender shared (bench/load, `peak`, single
 * events): 57,000 a second with all threads alike and 73,000 with the actor at 10, 20.6 and 16.9 µs of CPU each.
 */

import { readlinkSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** Added to what the process was started with. At 10 a thread gets about a tenth of what another one gets that wants the same core. */
export const Niceness = { actor: 10, pool: 15 } as const;

const NICENESS_MAX = 19;

/** Makes the calling thread give way to others by so much. Only Linux has this per thread: elsewhere it does nothing. */
export function giveWay(niceness: number): void {
  if (process.platform !== 'linux') return;
  try {
    const threadId = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    setPriority(threadId, Math.min(NICENESS_MAX, getPriority(threadId) + niceness));
  } catch {
    // Where /proc is hidden, or the call forbidden, all threads are alike.
  }
}
