/** A rejected record with its bytes, as its partition keeps it and as it is shown. */

import type { RejectCode } from './record.ts';

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
