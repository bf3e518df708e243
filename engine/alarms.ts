/** Limits that are reached: nothing is lost at one, but somebody should know. Shown by name in /v1/pipeline, counted in /metrics. */

import type { PartitionStats } from './threads/messages.ts';

/** Each limit with the number of partitions that have reached it; one of the whole daemon counts as one. `spool`: null before there is one. */
export function reachedLimits(partitions: Iterable<PartitionStats>, spool: { readonly spoolFull: boolean } | null): ReadonlyMap<string, number> {
  const reached = new Map<string, number>();
  for (const { alarms } of partitions) {
    if (Array.isArray(alarms)) for (const alarm of alarms as string[]) reached.set(alarm, (reached.get(alarm) ?? 0) + 1);
  }
  if (spool?.spoolFull === true) reached.set('the lake spool is at its limit: slots wait in the journal until uploads make room', 1);
  return reached;
}
