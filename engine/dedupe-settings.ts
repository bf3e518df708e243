/**
 * Dedupe as the settings mean it: mode and horizon, and what does not go with Pull. Pure.
 *
 * Pull re-reads what it has read, and reads what Push has sent: both must lie within the horizon and have one identity, or events count twice.
 */

import { EngineError } from './core/errors.ts';
import type { DedupeMode } from './core/rules.ts';
import { MS_PER_HOUR } from './core/types.ts';
import type { Settings } from './settings.ts';

/** Default of dedupe.horizon_hours. AppsFlyer resends for about an hour; of Pull's reports days are read again. */
const HORIZON_HOURS = 24;
const HORIZON_HOURS_WITH_PULL = 72;
/** How long AppsFlyer may take to resend a message. */
const RESEND_HOURS = 2;
/** How late rows of Pull reports may come: what its own reader overlaps by at most. */
const PULL_HOURS = 48;

export interface DedupeSettings {
  readonly mode: DedupeMode;
  readonly horizonMs: number;
  /** What is allowed and may surprise. */
  readonly warnings: readonly string[];
}

/** `pullOverlapHours`: how far back Pull reads again what it has read; null while it is off. Raises CONFIG_INVALID. */
export function dedupeSettings({ mode, horizon_hours }: Settings['dedupe'], pullOverlapHours: number | null): DedupeSettings {
  const hours = horizon_hours > 0 ? horizon_hours : pullOverlapHours === null ? HORIZON_HOURS : HORIZON_HOURS_WITH_PULL;
  if (pullOverlapHours !== null && mode === 'push-ms') {
    throw new EngineError('CONFIG_INVALID', 'dedupe.mode: push-ms: Pull rows have no milliseconds, so that what Push and Pull both bring would count twice: set it to push+pull-seconds');
  }
  if (pullOverlapHours !== null && mode !== 'none' && hours < pullOverlapHours) {
    throw new EngineError('CONFIG_INVALID', `dedupe.horizon_hours: ${hours}: shorter than the ${pullOverlapHours} h that Pull reads again, so that rows would count twice: set it to ${Math.max(HORIZON_HOURS_WITH_PULL, pullOverlapHours)}`);
  }
  return { mode, horizonMs: hours * MS_PER_HOUR, warnings: warningsOf(mode, hours, pullOverlapHours) };
}

/** Null while Pull is off. */
export const pullOverlapHours: (settings: Settings) => number | null = () => null;

function warningsOf(mode: DedupeMode, hours: number, pullOverlapHours: number | null): string[] {
  if (mode === 'none') return pullOverlapHours === null ? [] : ['dedupe.mode is none: each row counts as often as Pull reads it, and once more for Push'];
  if (hours < RESEND_HOURS) return [`dedupe.horizon_hours is below the ${RESEND_HOURS} h that AppsFlyer may take to resend a message`];
  if (mode === 'push+pull-seconds' && hours < PULL_HOURS) return [`dedupe.horizon_hours is below the ${PULL_HOURS} h for which rows of Pull reports keep coming: what you send in of them later than that counts twice`];
  return [];
}
