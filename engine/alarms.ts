/** Limits that are reached: nothing is lost at one, but somebody should know. Shown by name in /v1/pipeline, counted in /metrics. */

import { MS_PER_MINUTE } from './core/types.ts';
import type { PartitionStats } from './threads/messages.ts';

/** Chosen: as far as an event time may lie ahead of the clock. */
const AHEAD_MS_MAX = 5 * MS_PER_MINUTE;

/**
 * Each limit with the number of partitions that have reached it; one of the whole daemon counts as one. `spool`: null before there is
 * one. `aheadMs`: log time ahead of the clock.
 */
export function reachedLimits(partitions: Iterable<PartitionStats>, spool: { readonly spoolFull: boolean } | null, aheadMs: number): ReadonlyMap<string, number> {
  const reached = new Map<string, number>();
  for (const { alarms } of partitions) {
    if (Array.isArray(alarms)) for (const alarm of alarms as string[]) reached.set(alarm, (reached.get(alarm) ?? 0) + 1);
  }
  if (spool?.spoolFull === true) reached.set('the lake spool is at its limit: slots wait in the journal until uploads make room', 1);
  if (aheadMs > AHEAD_MS_MAX) reached.set('log time is ahead of the clock, which is or was wrong: until the clock has caught up, events may count as late or be rejected as FUTURE_EVENT_TIME', 1);
  return reached;
}
