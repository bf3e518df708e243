/** What the poller needs of the world around it; the wiring gives it. */

import type { Clock } from '../../engine/core/clock.ts';
import type { AppendedRecords } from '../../engine/core/own-records.ts';
import type { PullStateStore } from './state.ts';

/** Events of one day that are to be looked for in the lake. */
export interface KnownQuestion {
  /** `yyyy-mm-dd` */
  readonly eventDate: string;
  /** Identities, 16 bytes each. */
  readonly ids: Uint8Array;
  /** What was written before cannot be compared: identities were made otherwise. Epoch ms. */
  readonly comparableFromMs: number;
  /** The lake must have what was received before: later copies dedupe knows. Epoch ms. */
  readonly neededThroughMs: number;
}

/** By index of the identity 1 where the lake has it; null where it holds what cannot be compared. */
export type KnownAnswer = Uint8Array | null;

export interface PullPorts {
  readonly clock: Clock;
  readonly random: () => number;
  /** Resolves after the delay, or at once when `signal` is aborted. */
  readonly pause: (delayMs: number, signal: AbortSignal) => Promise<void>;
  /** Through the journal's door; see AppendRecords. */
  readonly append: (records: readonly Uint8Array[]) => Promise<AppendedRecords>;
  /** Rejects with a retryable EngineError while the lake cannot be read or has not got all that it should. */
  readonly known: (question: KnownQuestion) => Promise<KnownAnswer>;
  /** Writes the 16 bytes of the record's identity at `at`; false for a record that has none. */
  readonly identify: (record: Uint8Array, out: Uint8Array, at: number) => boolean;
  readonly state: PullStateStore;
  /** As it stands now. Raises CONFIG_INVALID where the file cannot be read. */
  readonly token: () => string;
  /** A folder of the poller's own; what is in it is worth nothing but time. */
  readonly directory: string;
  /** False while the disk is short: no report is begun. */
  readonly hasRoom: () => boolean;
  readonly log: (level: 'info' | 'warn' | 'error', facts: Readonly<Record<string, string | number | null>>, text: string) => void;
}

/** How identities are remembered: what decides which rows may be appended without a look into the lake. */
export interface IdentityFacts {
  /** Running time for which an identity is remembered by dedupe. */
  readonly horizonMs: number;
  /** The lake's identities have been made as they are now since then. Epoch ms. */
  readonly sinceMs: number;
  /** Dedupe was off before, or remembered for a shorter time; 0 for never. Epoch ms. */
  readonly rememberedSinceMs: number;
}
