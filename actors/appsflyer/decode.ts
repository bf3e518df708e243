/**
 * Bytes to event: the scanner where it is sure, the reference decoder where it is not or the message has another shape than Push v2; then the rules
 * of derivations.ts.
 *
 * Guarantees: never raises; the verdict and the fields are those of the reference decoder for any bytes; the event is one reused
 * object, valid until the next call. Hot path: 100 K records a second, at most 1.5 µs a record of 1.6 KB; bench/micro/decode.ts.
 */

import type { RejectCode } from '../../engine/core/record.ts';
import { decodeReference } from './decode-reference.ts';
import { EventDerivation } from './derivations.ts';
import type { AppsflyerEvent } from './event.ts';
import { Scanner } from './scan/scanner.ts';
import { completeFields, shapeOf, type Shape } from './shapes.ts';

/** Larger records are rejected unread. Chosen: AppsFlyer's messages are 1 to 4 KB, and one record must not hold up a partition. */
export const EVENT_BYTES_MAX = 1_048_576;

/** Decodes and validates `bytes[start, end)`, a record from `source` (one of RecordSource) that was received at `receivedAtMs`. */
export type Decode = (bytes: Buffer, start: number, end: number, source: number, receivedAtMs: number) => AppsflyerEvent | RejectCode;

/** A decoder with buffers of its own; not to be shared between threads. */
export function createDecoder(): Decode {
  const scanner = new Scanner();
  const { fields } = scanner;
  const derivation = new EventDerivation(fields);
  const read = (bytes: Buffer, start: number, end: number): RejectCode | null => (scanner.scan(bytes, start, end) ? null : decodeReference(bytes, start, end, fields));
  /** Again, for what stands under other names. */
  const readShape = (shape: Shape, bytes: Buffer, start: number, end: number): RejectCode | null =>
    decodeReference(bytes, start, end, fields, (body, text) => {
      completeFields(shape, body, text, fields);
    });
  return (bytes, start, end, source, receivedAtMs) => {
    if (end - start > EVENT_BYTES_MAX) return 'TOO_LARGE';
    const rejected = read(bytes, start, end);
    if (rejected !== null) return rejected;
    const shape = shapeOf(source, fields);
    return (shape === null ? null : readShape(shape, bytes, start, end)) ?? derivation.derive(source, receivedAtMs);
  };
}
