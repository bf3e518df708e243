/**
 * Branded numbers that must not be mixed up, and their makers.
 *
 * A brand costs nothing at run time; it stops a partition from being passed where an offset is meant.
 */

declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** A partition's number, from 0 to P - 1. P is fixed for the life of a state directory. */
export type PartitionId = Branded<number, 'PartitionId'>;

/**
 * A position in one journal: `segment number x segment size + byte position in the segment`.
 * It only rises, and a stored offset names the next record to read. Safe integer.
 */
export type Offset = Branded<number, 'Offset'>;

/** A checkpoint's ever-rising number within one partition. */
export type Epoch = Branded<number, 'Epoch'>;

/** When an event happened, by its own account; epoch milliseconds, UTC. */
export type EventTimeMs = Branded<number, 'EventTimeMs'>;

export const partitionId = (value: number): PartitionId => value as PartitionId;
export const offset = (value: number): Offset => value as Offset;
export const epoch = (value: number): Epoch => value as Epoch;
export const eventTimeMs = (value: number): EventTimeMs => value as EventTimeMs;

export const MS_PER_SECOND = 1_000;
export const MS_PER_MINUTE = 60_000;
export const MS_PER_HOUR = 3_600_000;
export const MS_PER_DAY = 86_400_000;
/** Money is summed as integers of this many to the unit, so that totals are exact and order-free. */
export const MICROS_PER_UNIT = 1_000_000;

/** The UTC date of a time, `yyyy-mm-dd`. */
export const dateOf = (timeMs: number): string => new Date(timeMs).toISOString().slice(0, 10);

/** Fails loudly where the code contradicts itself; on in production (STYLE: a bug, never caught for business reasons). */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`bug: ${message}`);
}
