/**
 * The wanted fields of one record as ranges of bytes in the scanner's memory: of the record itself, or, for those that had escapes or came
 * from the reference decoder, beside it. Nothing is made a string before somebody asks, and what repeats is made one once.
 *
 * One table per scanner, reused: valid until the decoder's next call. Hot path: 100 K records a second, at most 900 ns a record with the scanner; bench/micro/decode.ts.
 */

import { dimensionValue } from '../../engine/core/dimension-value.ts';
import type { TextBytes } from '../../engine/core/pipeline.ts';
import { type AnyField, Field, FIELD_COUNT, MadeField } from './fields.ts';
import { isNullText } from './placeholders.ts';
import type { ScanModule } from './scan/scan-module.ts';

const ABSENT = -1;
/** A place of no text. */
const NOWHERE = -1;
/** Of {@link FieldTable.setMade}: an id, or a few names. */
const MADE_BYTES_MAX = 16_384;
/** UTF-8 bytes of a character of JavaScript's. */
const CHARACTER_BYTES_MAX = 3;

export class FieldTable {
  readonly module: ScanModule;
  /** Where all ranges lie: all of the scanner's memory, so that a byte outside of a range is some other field's, or an older record's. */
  readonly bytes: Buffer;
  /** Of a row of a Pull report: what it carries beyond these fields, as the JSON text of an object. Of other records something old. */
  reportDetails = '';
  /** True when the record holds bytes above 0x7f, so that its texts must be decoded as UTF-8. */
  #wide = false;
  #sideEnd = 0;
  readonly #sideMax: number;
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
    const byField = (address: number): Int32Array => words.subarray(address / 4, address / 4 + exports.FIELDS_MAX.value);
    this.module = module;
    this.bytes = memory;
    this.#range = { view: new DataView(memory.buffer, memory.byteOffset, memory.byteLength), start: 0, end: 0 };
    this.#starts = byField(exports.STARTS.value).fill(ABSENT);
    this.#ends = byField(exports.ENDS.value);
    this.#places = byField(exports.PLACES.value).fill(NOWHERE);
    this.#sideMax = exports.SIDE.value + exports.RECORD_BYTES_MAX.value;
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

  /** For texts of the record, which together are as long as the record at most. What a hostile one has twice and beyond that is not there. */
  setText(field: AnyField, text: string): void {
    const start = this.#sideEnd;
    if (text.length > (this.#sideMax - start) / CHARACTER_BYTES_MAX && Buffer.byteLength(text) > this.#sideMax - start) return;
    this.#sideEnd += this.bytes.write(text, start, 'utf8');
    this.#starts[field] = isNullText(this.bytes, start, this.#sideEnd) ? ABSENT : start;
    this.#ends[field] = this.#sideEnd;
  }

  /** Sets a field that no message has under a name of its own, behind all that the scanner uses; it stays as it was where the text is too long. */
  setMade(field: MadeField, text: string): void {
    if (text.length > MADE_BYTES_MAX / CHARACTER_BYTES_MAX) return;
    const start = this.module.exports.MEMORY_BYTES.value + (field - MadeField.hiddenUser) * MADE_BYTES_MAX;
    const end = start + this.bytes.write(text, start, 'utf8');
    this.#starts[field] = end === start ? ABSENT : start;
    this.#ends[field] = end;
  }

  /** Some field is there that only messages of Push v1 have. Absent is all ones. */
  get hasFieldOfV1(): boolean {
    const starts = this.#starts;
    const all =
      (starts[Field.appsflyerDeviceId] as number) &
      (starts[Field.attributionType] as number) &
      (starts[Field.clickTime] as number) &
      (starts[Field.currency] as number) &
      (starts[Field.fbCampaignId] as number) &
      (starts[Field.reTargetingConversionType] as number);
    return all !== ABSENT;
  }

  has(field: AnyField): boolean {
    return this.#starts[field] !== ABSENT;
  }

  startOf(field: AnyField): number {
    return this.#starts[field] as number;
  }

  endOf(field: AnyField): number {
    return this.#ends[field] as number;
  }

  /** A field's text in a string of its own; '' when it is not there. */
  text(field: AnyField): string {
    const start = this.#starts[field] as number;
    if (start === ABSENT) return '';
    return this.bytes.toString(this.#wide ? 'utf8' : 'latin1', start, this.#ends[field]);
  }

  /** A field's text as it lies here, UTF-8; null when it is not there. Valid until the next call. */
  range(field: AnyField): TextBytes | null {
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
