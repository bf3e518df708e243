/**
 * Who goes first where cores are short: the door, then the actors, then the pool.
 *
 * A thread of the door that blocks in a sync must get its core back the moment the disk is done, for all its senders wait with it; what an
 * actor or the encoder does may wait, in the journal, and loses nothing. Measured on two cores that the sender shared (bench/load, `peak`, single
 * events): 57,000 a second with all threads alike, 65,500 with the actor at 5 and 73,000 at 10. But where the cores are not enough for all, whoever
 * gives way falls behind, and niceness cannot be taken back: at 10 an actor keeps a tenth of what another one gets, at 5 a third.
 */

import { readlinkSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** Added to what the process was started with. Chosen between the two, see above. */
export const Niceness = { actor: 5, pool: 10 } as const;

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
