/** A rejected record with its bytes, as its partition keeps it and as it is shown. */

import type { RejectCode, Verdict } from './record.ts';

export interface DeadLetter {
  /** Rises by one per rejected record of its partition. */
  readonly id: number;
  readonly code: RejectCode;
  readonly receivedAtMs: number;
  readonly source: number;
  readonly batchSequence: number;
  readonly index: number;
  /** Bytes of the record; `bytes` may hold fewer. */
  readonly size: number;
  readonly bytes: Uint8Array;
}

/** What became of a letter that was sent again. */
export interface LetterRetry {
  readonly attempts: number;
  /** Of the last attempt. Anything but rejected is the end: it is never taken again. */
  readonly verdict: Verdict;
  /** Of the last attempt, if it was rejected. */
  readonly code: RejectCode | null;
  readonly atMs: number;
}

/** `waiting`: never sent again; `rejected`: sent again in vain; `settled`: counted, or known as a duplicate. */
export const LETTER_STATES = ['waiting', 'rejected', 'settled'] as const;
export type LetterState = (typeof LETTER_STATES)[number];

export interface KeptLetter extends DeadLetter {
  /** Null for one that was never sent again. */
  readonly retry: LetterRetry | null;
}
