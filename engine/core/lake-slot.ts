/**
 * Lake slots: stretches of the log whose accepted and late records become the same files of `events/` whenever they are written.
 *
 * A slot ends at the first batch whose `receivedAt` lies in another multiple of `slotMs`, or once `slotBytesMax` of journal have
 * passed: both are functions of the log alone. The outbox of a partition holds journal positions and verdicts, never rows.
 */

import type { PlacedErasure } from './erasure.ts';
import type { DedupeMode } from './rules.ts';

/** Names a slot. `part` counts the slots within one stretch of log time, from 0. */
export interface SlotId {
  readonly startMs: number;
  readonly part: number;
}

/** One partition's share of a slot that the log has passed. */
export interface SlotShare {
  readonly partition: number;
  readonly slot: SlotId;
  readonly dedupe: DedupeMode;
  /** What the pipeline's `lakeRules` made of the rules that all of its records obey; absent for ''. */
  readonly lakeRules?: string;
  /** Users, and days of apps, that have no rows in it up to a record; absent for none. */
  readonly erasures?: readonly PlacedErasure[];
  /** Rows in this share: accepted and late records, also those of erased users. */
  readonly rowCount: number;
  /** Positions and verdicts, as core/verdict-log.ts packs them. */
  readonly entries: Uint8Array;
}

export const slotName = (slot: SlotId): string => {
  const stamp = new Date(slot.startMs).toISOString().replace(/[-:]/g, '').slice(0, 15);
  return `${stamp}Z-${String(slot.part).padStart(4, '0')}`;
};
