/**
 * Control records: rules and facts that can change a verdict or a cell, journaled and effective at their offset.
 *
 * A replay folds each record under the rules of its day; nothing in the fold reads the configuration.
 */

import type { Erasure } from './erasure.ts';
import type { DimensionLimits } from './pipeline.ts';
import { MS_PER_DAY } from './types.ts';

/** How an event's identity is built (see the pipeline's `identity`); `none` switches dedupe off. */
export type DedupeMode = 'push-ms' | 'push+pull-seconds' | 'none';

export interface DeadLetterRules {
  /** Of each partition; the oldest leave. */
  readonly bytesMax: number;
  /** Log time after which they leave in any case. */
  readonly retentionMs: number;
}

/** What holds for a journal whose rules say nothing of dead letters. */
export const deadLetterDefaults = (partitionCount: number): DeadLetterRules => ({ bytesMax: Math.floor(1024 ** 3 / partitionCount), retentionMs: 30 * MS_PER_DAY });

/** Every setting the fold obeys. All times in milliseconds. */
export interface Rules {
  readonly pipelineVersion: number;
  /** How far past a window's end the watermark may go while events still count in it. */
  readonly allowedLatenessMs: number;
  /** How far beyond `receivedAt` an event time may lie. */
  readonly futureSkewMs: number;
  /** Running time without records after which a partition is idle and its watermark follows `receivedAt`. */
  readonly idleAfterMs: number;
  readonly dedupe: DedupeMode;
  /** Running time for which an identity is remembered. */
  readonly dedupeHorizonMs: number;
  /** How long past their end day and late cells are kept and still take records. */
  readonly cellRetentionMs: number;
  /** Distinct values per dimension, partition and day; further ones count as `other`. */
  readonly dimensionLimits: DimensionLimits;
  /** Distinct cells per partition and day; further combinations count as `other` in every dimension. */
  readonly cellsPerDayMax: number;
  /** A lake slot ends at a multiple of this much log time ... */
  readonly slotMs: number;
  /** ... or after this many journal bytes, whichever comes first. */
  readonly slotBytesMax: number;
  /** What of rejected records is kept; missing where it is the default, and in rules from before there was one. */
  readonly deadLetters?: DeadLetterRules;
  /** The pipeline's own rules (for example which events are conversions); JSON, read by the pipeline alone. */
  readonly domain: unknown;
}

/** One control record. `generation` stands first in every journal. */
export type ControlRecord =
  | { readonly type: 'generation'; readonly generation: number; readonly instance: string; readonly partitionCount: number }
  | { readonly type: 'rules'; readonly rules: Rules }
  /** Dead letters that somebody has dropped, by partition. */
  | { readonly type: 'drop-letters'; readonly letters: readonly (readonly [partition: number, ids: readonly number[]])[] }
  /** One user, or some days of an app, whose data is to go; by what came before it. */
  | { readonly type: 'erase'; readonly erasure: Erasure };

export const encodeControl = (record: ControlRecord): Uint8Array => new TextEncoder().encode(JSON.stringify(record));

const TYPES: ReadonlySet<string> = new Set<ControlRecord['type']>(['generation', 'rules', 'drop-letters', 'erase']);

/** Reads back what {@link encodeControl} wrote; the journal's CRC vouches for the bytes. */
export function decodeControl(bytes: Uint8Array): ControlRecord {
  const record = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as ControlRecord;
  if (!TYPES.has(record.type)) throw new Error(`bug: unknown control record ${JSON.stringify(record)}`);
  return record;
}
