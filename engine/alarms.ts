/** Limits that are reached: nothing is lost at one, but somebody should know. Shown by name in /v1/pipeline, counted in /metrics. */

import { MS_PER_MINUTE } from './core/types.ts';
import type { PartitionStats } from './threads/messages.ts';

/** Chosen: as far as an event time may lie ahead of the clock. */
const AHEAD_MS_MAX = 5 * MS_PER_MINUTE;
/** Chosen: a minute is far above what a checkpoint, a collection of garbage or a busy neighbour takes. */
const BEHIND_MS_MAX = MS_PER_MINUTE;

export interface LogPosition {
  readonly nowMs: number;
  readonly durableOffset: number;
  /** Log time ahead of the clock. */
  readonly aheadMs: number;
}

/**
 * Each limit with the number of partitions that have reached it; one of the whole daemon counts as one. `sightings`: what the pipeline has
 * to say of its records. `spool`: null before there is one.
 */
export function reachedLimits(partitions: Iterable<PartitionStats>, sightings: readonly string[], spool: { readonly spoolFull: boolean } | null, log: LogPosition): ReadonlyMap<string, number> {
  const reached = new Map<string, number>();
  const add = (alarm: string): void => {
    reached.set(alarm, (reached.get(alarm) ?? 0) + 1);
  };
  for (const stats of partitions) {
    const { alarms } = stats;
    if (Array.isArray(alarms)) for (const alarm of alarms as string[]) add(alarm);
    if (isBehind(stats, log)) add('results are more than a minute behind what is acknowledged: the machine does not keep up');
  }
  for (const alarm of sightings) add(alarm);
  if (spool?.spoolFull === true) add('the lake spool is at its limit: slots wait in the journal until uploads make room');
  if (log.aheadMs > AHEAD_MS_MAX) add('log time is ahead of the clock, which is or was wrong: until the clock has caught up, events may count as late or be rejected as FUTURE_EVENT_TIME');
  return reached;
}

/** A partition that has all there is to fold is not behind, however long nothing has come. */
function isBehind({ offset, foldedAtMs }: PartitionStats, { nowMs, durableOffset }: LogPosition): boolean {
  return typeof offset === 'number' && typeof foldedAtMs === 'number' && foldedAtMs >= 0 && offset < durableOffset && nowMs - foldedAtMs > BEHIND_MS_MAX;
}
