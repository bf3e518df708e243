/**
 * Which hours a replay of what is left of a journal can speak of. Pure.
 *
 * An hour is complete when every record that may count in it is in the journal, with whatever it repeats. Records are received at most the future
 * skew before their event time, and a repeat has the event time of what it repeats: so these are the hours that begin at or after the first
 * batch that is left, and the skew. Whether a record of such an hour is late depends on later batches alone, for the hour ends after them.
 */

import { MS_PER_HOUR } from './types.ts';

/** What is left of one journal. */
export interface JournalRest {
  /** Its first batch is there: nothing was ever taken from it. */
  readonly isWhole: boolean;
  /** Of the first batch that is left. */
  readonly firstReceivedAtMs: number;
}

/** Hours by their start, `toMs` exclusive; Infinity for no end. */
export interface HourSpan {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Start of the first hour that is complete; 0 where nothing is missing. `futureSkewMs`: the largest that any of the rules allowed. */
export function completeFromMs(journals: readonly JournalRest[], futureSkewMs: number): number {
  const starts = journals.filter(({ isWhole }) => !isWhole).map(({ firstReceivedAtMs }) => firstReceivedAtMs + futureSkewMs);
  return starts.length === 0 ? 0 : Math.ceil(Math.max(...starts) / MS_PER_HOUR) * MS_PER_HOUR;
}

/** What is compared of the hours that were asked for. */
export const comparedSpan = (asked: HourSpan, completeFrom: number): HourSpan => ({ fromMs: Math.max(asked.fromMs, completeFrom), toMs: asked.toMs });

export const isInSpan = ({ fromMs, toMs }: HourSpan, windowStartMs: number): boolean => windowStartMs >= fromMs && windowStartMs < toMs;
