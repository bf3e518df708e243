/**
 * The cursor of the tail: for each partition the place of the last record that was looked at. Threads fold at their own pace, so that no
 * single place says what is still to come of all partitions.
 *
 * Text: `<batch sequence>.<index>` per partition in base 36, `.` for none, joined by `-`.
 */

import { EngineError } from './core/errors.ts';
import type { RecordPlace } from './threads/messages.ts';

/** By partition. */
export type TailCursor = readonly (RecordPlace | null)[];

export const encodeTailCursor = (cursor: TailCursor): string => cursor.map((place) => (place === null ? '.' : `${place.batchSequence.toString(36)}.${place.index.toString(36)}`)).join('-');

/** Raises QUERY_INVALID for anything that was not encoded for as many partitions. */
export function decodeTailCursor(text: string, partitions: number): TailCursor {
  const places = text.split('-');
  if (places.length !== partitions || !places.every((place) => /^(\.|[0-9a-z]{1,10}\.[0-9a-z]{1,6})$/.test(place))) {
    throw new EngineError('QUERY_INVALID', `after: ${JSON.stringify(text.slice(0, 100))}: give the cursor of an answer as it is, or leave it out`);
  }
  return places.map((place) => {
    if (place === '.') return null;
    const [batchSequence, index] = place.split('.').map((digits) => parseInt(digits, 36)) as [number, number];
    return { batchSequence, index };
  });
}
