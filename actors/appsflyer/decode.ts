/**
 * Bytes to event: the selective decoder where it is sure, the reference decoder where it is not; then the rules of derivations.ts.
 *
 * Guarantees: never raises; the verdict and the fields are those of the reference decoder for any bytes; the event is one reused
 * object, valid until the next call. Hot path on the actor threads, once per record (bench/micro/decode.ts).
 */

import type { RejectCode } from '../../engine/core/record.ts';
import { decodeReference } from './decode-reference.ts';
import { SelectiveDecoder } from './decode-selective.ts';
import { EventDerivation } from './derivations.ts';
import type { AppsflyerEvent } from './event.ts';
import { FieldTable } from './field-table.ts';

/** Larger records are rejected unread. Chosen: AppsFlyer's messages are 1 to 4 KB, and one record must not hold up a partition. */
export const EVENT_BYTES_MAX = 1_048_576;

/** Decodes and validates `bytes[start, end)`, a record from `source` (one of RecordSource). */
export type Decode = (bytes: Buffer, start: number, end: number, source: number) => AppsflyerEvent | RejectCode;

/** A decoder with buffers of its own; not to be shared between threads. */
export function createDecoder(): Decode {
  const table = new FieldTable();
  const selective = new SelectiveDecoder();
  const derivation = new EventDerivation(table);
  return (bytes, start, end, source) => {
    if (end - start > EVENT_BYTES_MAX) return 'TOO_LARGE';
    const rejected = selective.decode(bytes, start, end, table) ? null : decodeReference(bytes, start, end, table);
    return rejected ?? derivation.derive(source);
  };
}
