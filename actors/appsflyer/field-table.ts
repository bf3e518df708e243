/**
 * The wanted fields of one record as ranges of bytes in the scanner's memory: of the record itself, or, for those that had escapes or came
 * from the reference decoder, beside it. Nothing is made a string before somebody asks, and what repeats is made one once.
 *
 * One table per scanner, reused: valid until the decoder's next call. Hot path: 100 K records a second, at most 900 ns a record with the scanner; bench/micro/decode.ts.
 */

import { dimensionValue } from '../../engine/core/dimension-value.ts';
import type { TextBytes } from '../../engine/core/pipeline.ts';
import { FIELD_COUNT, type Field } from './fields.ts';
import { isNullText } from './placeholders.ts';
import type { ScanModule } from './scan/scan-module.ts';

const ABSENT = -1;
/** A place of no text. */
const NOWHERE = -1;

export class FieldTable {
  readonly module: ScanModule;
  /** Where all ranges lie: all of the scanner's memory, so that a byte outside of a range is some other field's, or an older record's. */
  readonly bytes: Buffer;
  /** True when the record holds bytes above 0x7f, so that its texts must be decoded as UTF-8. */
  #wide = false;
  #sideEnd = 0;
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;
  /** By field: at least 0 for the place of its text in `#texts`; at most NOT_KEPT for where it could be kept. */
  readonly #places: Int32Array;
  /**
   * Texts that came before, by place: a direct-mapped table of fixed size, so that a million campaign names cost time and no memory. The
   * scanner holds their bytes.
   */
  readonly #texts: string[];
  readonly #range: { view: DataView; start: number; end: number };

  constructor(module: ScanModule) {
    const { exports, memory, words } = module;
    const byField = (address: number): Int32Array => words.subarray(address / 4, address / 4 + FIELD_COUNT);
    this.module = module;
    this.bytes = memory;
    this.#range = { view: new DataView(memory.buffer, memory.byteOffset, memory.byteLength), start: 0, end: 0 };
    this.#starts = byField(exports.STARTS.value).fill(ABSENT);
    this.#ends = byField(exports.ENDS.value);
    this.#places = byField(exports.PLACES.value).fill(NOWHERE);
    this.#texts = new Array<string>(exports.KEPT_COUNT.value).fill('');
  }

  /** The scanner has filled in what a record holds. */
  scanned(wide: boolean): void {
    this.#wide = wide;
  }

  /** Forgets the last record; what comes is set by {@link setText}. */
  begin(): void {
    this.#sideEnd = this.module.exports.SIDE.value;
    this.#wide = true;
    this.#starts.fill(ABSENT);
    this.#places.fill(NOWHERE);
  }

  /** All texts of a record together are at most as long as the record. */
  setText(field: Field, text: string): void {
    const start = this.#sideEnd;
    this.#sideEnd += this.bytes.write(text, start, 'utf8');
    this.#starts[field] = isNullText(this.bytes, start, this.#sideEnd) ? ABSENT : start;
    this.#ends[field] = this.#sideEnd;
  }

  has(field: Field): boolean {
    return this.#starts[field] !== ABSENT;
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
    return this.bytes.toString(this.#wide ? 'utf8' : 'latin1', start, this.#ends[field]);
  }

  /** A field's text as it lies here, UTF-8; null when it is not there. Valid until the next call. */
  range(field: Field): TextBytes | null {
    const start = this.#starts[field] as number;
    if (start === ABSENT) return null;
    this.#range.start = start;
    this.#range.end = this.#ends[field] as number;
    return this.#range;
  }

  /** A field's text as a dimension value, without a new string for what came before; '' when it is not there. */
  value(field: Field): string {
    const place = this.#places[field] as number;
    if (place >= 0) return this.#texts[place] as string;
    return this.#starts[field] === ABSENT ? '' : this.#newValue(field, place);
  }

  #newValue(field: Field, place: number): string {
    const text = this.text(field);
    const value = dimensionValue(text);
    // A value that was changed, or has other than ASCII characters, must not be found by its bytes.
    const isPlain = value === text && text.length === (this.#ends[field] as number) - (this.#starts[field] as number);
    if (!isPlain || place === NOWHERE) return value;
    const kept = this.module.exports.keep(field);
    // Another field of this record may have had its text there.
    for (let other = 0; other < FIELD_COUNT; other++) if (this.#places[other] === kept) this.#places[other] = NOWHERE;
    this.#places[field] = kept;
    this.#texts[kept] = value;
    return value;
  }
}
