/**
 * The wanted fields of one record as ranges of bytes: most lie in the record itself, those that had escapes, or came from the
 * reference decoder, in a buffer beside it. Nothing is copied or made a string before somebody asks.
 *
 * One table per decoder, reused: valid until the decoder's next call. Hot path; bench/micro/decode.ts.
 */

import { FIELD_COUNT, type Field } from './fields.ts';
import { isNullText, NULL_TEXT_LENGTH_MAX } from './placeholders.ts';

const ABSENT = -1;

export class FieldTable {
  /** The record's bytes. */
  bytes: Buffer = Buffer.alloc(0);
  /** Unescaped values. Never needs more than the record's length: unescaping only shortens. */
  side: Buffer = Buffer.allocUnsafe(16_384);
  sideLength = 0;
  recordLength = 0;
  /** True when the record holds bytes above 0x7f, so that its texts must be decoded as UTF-8. */
  wide = false;
  readonly #starts = new Int32Array(FIELD_COUNT).fill(ABSENT);
  readonly #ends = new Int32Array(FIELD_COUNT);
  readonly #inSide = new Uint8Array(FIELD_COUNT);

  /** Forgets the last record. `recordLength`: bytes of the coming one. */
  begin(bytes: Buffer, recordLength: number): void {
    this.bytes = bytes;
    this.recordLength = recordLength;
    this.sideLength = 0;
    this.wide = false;
    this.#starts.fill(ABSENT);
    if (this.side.byteLength < recordLength) this.side = Buffer.allocUnsafe(2 ** Math.ceil(Math.log2(recordLength)));
  }

  /** A value that stands in the record as it is. A later one of the same name replaces it, as in JSON.parse. */
  setRange(field: Field, start: number, end: number): void {
    this.#inSide[field] = 0;
    this.#starts[field] = end - start <= NULL_TEXT_LENGTH_MAX && isNullText(this.bytes, start, end) ? ABSENT : start;
    this.#ends[field] = end;
  }

  /** A value that was written to `side[start, sideLength)`. */
  setSide(field: Field, start: number): void {
    this.#inSide[field] = 1;
    this.#starts[field] = isNullText(this.side, start, this.sideLength) ? ABSENT : start;
    this.#ends[field] = this.sideLength;
  }

  setText(field: Field, text: string): void {
    const start = this.sideLength;
    this.sideLength += this.side.write(text, start, 'utf8');
    this.wide = true;
    this.setSide(field, start);
  }

  setAbsent(field: Field): void {
    this.#starts[field] = ABSENT;
  }

  has(field: Field): boolean {
    return this.#starts[field] !== ABSENT;
  }

  /** The buffer in which a field's range lies. */
  bufferOf(field: Field): Buffer {
    return this.#inSide[field] === 1 ? this.side : this.bytes;
  }

  startOf(field: Field): number {
    return this.#starts[field] as number;
  }

  endOf(field: Field): number {
    return this.#ends[field] as number;
  }

  /** A field's text in a string of its own; '' when it is not there. */
  text(field: Field): string {
    const start = this.#starts[field] as number;
    if (start === ABSENT) return '';
    return this.bufferOf(field).toString(this.wide ? 'utf8' : 'latin1', start, this.#ends[field]);
  }
}
