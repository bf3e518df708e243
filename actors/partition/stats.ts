/** What a partition tells of itself to metrics, the live page and `inspect`: plain data, one flat object per partition. */

import type { Conservation } from '../../engine/core/record.ts';

export type PartitionStats = Readonly<Pick<Conservation, keyof Conservation>> & {
  /** Rejected records by code. */
  readonly rejects: Readonly<Record<string, number>>;
  readonly sequence: number;
  readonly offset: number;
  /** When what it folded last was received (log time, epoch ms); -1 until it has folded something in this life. */
  readonly foldedAtMs: number;
  readonly watermarkMs: number;
  readonly closedUpToMs: number;
  readonly cellsInMemory: number;
  readonly dedupeEntries: number;
  readonly dedupeMemoryBytes: number;
  /** Repeats that differ, in what their dedupe mode does not look at, from all that counted. */
  readonly differingRepeats: number;
  readonly deadLetters: number;
  /** Those that no retry has settled. */
  readonly deadLettersWaiting: number;
  readonly deadLetterBytes: number;
  /** Left for newer ones, or for their age; of both together, those that waited. */
  readonly deadLettersExpired: number;
  readonly deadLettersExpiredByAge: number;
  readonly deadLettersExpiredWaiting: number;
  readonly deadLettersDropped: number;
  readonly deadLettersRetriedAccepted: number;
  readonly deadLettersRetriedLate: number;
  readonly deadLettersRetriedDuplicate: number;
  readonly deadLettersRetriedRejected: number;
  /** Passed lake slots that are not spooled. */
  readonly slotsWaiting: number;
  readonly checkpointPressure: number;
  /** Bounds that are reached. */
  readonly alarms: readonly string[];
};
