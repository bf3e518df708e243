/**
 * Dedupe as the settings mean it: mode and horizon, and what does not go with Pull. Pure.
 *
 * Pull re-reads what it has read, and reads what Push has sent: both must lie within the horizon and have one identity, or events count twice.
 */

import { EngineError } from './core/errors.ts';
import type { DedupeMode } from './core/rules.ts';
import { MS_PER_HOUR } from './core/types.ts';
import { pullOverlapHours } from '../ingress/pull/index.ts';
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

/** Raises CONFIG_INVALID for what would count twice. */
export function dedupeSettings({ dedupe: { mode, horizon_hours }, pull }: Pick<Settings, 'dedupe' | 'pull'>): DedupeSettings {
  const overlapHours = pullOverlapHours(pull);
  const hours = horizon_hours > 0 ? horizon_hours : overlapHours === null ? HORIZON_HOURS : HORIZON_HOURS_WITH_PULL;
  if (overlapHours !== null) refuseWhatPullOutlasts(mode, hours, overlapHours);
  return { mode, horizonMs: hours * MS_PER_HOUR, warnings: warningsOf(mode, hours, overlapHours) };
}

/** Rows of Pull have no milliseconds, and come again for as long as the windows of two polls overlap. */
function refuseWhatPullOutlasts(mode: DedupeMode, hours: number, overlapHours: number): void {
  if (mode === 'push-ms') {
    throw new EngineError('CONFIG_INVALID', 'dedupe.mode: "push-ms": with pull.apps set each event would count twice, once by Push and once by Pull: set it to push+pull-seconds (MILLRACE_DEDUPE_MODE)');
  }
  if (mode === 'none' || hours >= overlapHours) return;
  throw new EngineError('CONFIG_INVALID', `dedupe.horizon_hours: ${hours}: shorter than the ${overlapHours} h of pull.overlap_hours, for which reports are read again: set it to ${Math.max(HORIZON_HOURS_WITH_PULL, overlapHours)} (MILLRACE_DEDUPE_HORIZON_HOURS)`);
}

function warningsOf(mode: DedupeMode, hours: number, overlapHours: number | null): string[] {
  if (mode === 'none') return overlapHours === null ? [] : ['dedupe.mode is none: each row counts as often as Pull reads it, and once more for Push'];
  if (hours < RESEND_HOURS) return [`dedupe.horizon_hours is below the ${RESEND_HOURS} h that AppsFlyer may take to resend a message`];
  if (mode === 'push+pull-seconds' && hours < PULL_HOURS) return [`dedupe.horizon_hours is below the ${PULL_HOURS} h for which rows of Pull reports keep coming: what you send in of them later than that counts twice`];
  return [];
}
