/** Fault injection, in the thread it is meant for: what a bug, a loop without end and a native call that never returns do to it. */

import { pbkdf2Sync } from 'node:crypto';

/**
 * `die` raises. `hang` stops for ever in script, where terminating the thread still helps. `hang-native` stops in a native call, where
 * nothing inside the process helps any more.
 */
export const FAULTS = ['die', 'hang', 'hang-native'] as const;
export type Fault = (typeof FAULTS)[number];

/** About half an hour of hashing: the longest call of Node's own that needs nothing of the system. */
const ROUNDS = 2 ** 31 - 1;

export function raiseFault(how: Fault, where: string): void {
  if (how === 'die') throw new Error(`fault injection: ${where} dies`);
  if (how === 'hang') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  else pbkdf2Sync('', '', ROUNDS, 64, 'sha512');
}
