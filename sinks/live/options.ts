/** Limits of the live store. */

import { MS_PER_SECOND } from '../../engine/core/types.ts';

export interface LiveLimits {
  /** Cells in memory: whole recent windows, and what the change log still holds. A cell takes about 700 bytes. */
  readonly memoryCellsMax: number;
  /** Changes in the change log; beyond, the oldest are moved to the tables. Bounds what opening reads again. */
  readonly logCellsMax: number;
  /** A change moves from the log to the tables after this long, unless its cell has changed again. Milliseconds. */
  readonly logAgeMs: number;
  /** Cells past retention removed in one transaction. */
  readonly removalsMax: number;
  /** Late cells told again in one transaction because their hour has become final; the hour that reaches it is told whole. */
  readonly lateFinalsMax: number;
}

/**
 * Chosen. A hot cell changes every few tens of ms, so that five seconds in the log save ~100 writes of it to the tables; at 40 K changes a
 * second that is 200 K changes, which opening reads in about a second.
 */
export const LIVE_LIMITS: LiveLimits = { memoryCellsMax: 200_000, logCellsMax: 250_000, logAgeMs: 5 * MS_PER_SECOND, removalsMax: 500, lateFinalsMax: 10_000 };
