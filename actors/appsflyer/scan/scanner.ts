/**
 * Reads a message's fields and its fingerprint in WebAssembly, 16 bytes at a time; assembly/ is the source of what runs.
 *
 * A record is copied into the scanner's memory (60 ns for 1.6 KB), validated as JSON in one pass, and its wanted fields are remembered as ranges.
 * The scanner is either sure, and then verdict and fields are those of the reference decoder, or in doubt, and then the reference decides:
 * nested objects and arrays, escaped keys, `\u` in a wanted value, and everything that looks wrong are left to it.
 *
 * Never raises. Hot path: 100 K records a second, at most 900 ns a record of 1.6 KB; bench/micro/decode.ts. One instance per decoder.
 */

import { isUtf8 } from 'node:buffer';
import { assert } from '../../../engine/core/types.ts';
import { FieldTable } from '../field-table.ts';
import { Field, FIELD_NAMES } from '../fields.ts';
import { newScanModule, type ScanModule } from './scan-module.ts';

/** Fields whose values are few: dimensions, flags and types. */
const REPEATING: readonly Field[] = [
  Field.appId,
  Field.eventType,
  Field.eventName,
  Field.campaignType,
  Field.mediaSource,
  Field.conversionType,
  Field.isPrimaryAttribution,
  Field.isRetargeting,
  Field.platform,
  Field.countryCode,
  Field.deviceCategory,
  Field.campaign,
  Field.campaignId,
  Field.millraceKind,
  Field.eventRevenueCurrency,
  Field.skadRedownload,
  Field.adNetworkCampaignName,
  Field.adNetworkCampaignId,
  Field.skadCampaignId,
];

const IN_DOUBT = 0;
const SURE = 1;

export class Scanner {
  /** Of the record that was scanned last. */
  readonly fields: FieldTable;
  readonly #module: ScanModule;
  readonly #memory: Buffer;
  readonly #record: number;
  readonly #recordBytesMax: number;

  constructor() {
    const module = newScanModule();
    const { exports, memory } = module;
    this.#module = module;
    this.#memory = memory;
    this.#record = exports.RECORD.value;
    this.#recordBytesMax = exports.RECORD_BYTES_MAX.value;
    setNames(module);
    memory.set(REPEATING, exports.REPEATING.value);
    exports.setRepeatingCount(REPEATING.length);
    this.fields = new FieldTable(module);
  }

  /** Reads `bytes[start, end)` into {@link fields}; false when in doubt, and then they hold nothing of use. */
  scan(bytes: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (length > this.#recordBytesMax) return false;
    this.#memory.set(bytes.subarray(start, end), this.#record);
    const outcome = this.#module.exports.scan(length);
    if (outcome === IN_DOUBT) return false;
    this.fields.scanned(outcome !== SURE);
    return outcome === SURE || isUtf8(this.#memory.subarray(this.#record, this.#record + length));
  }
}

/** A multiplier for which none of the names share a slot is searched, so that the table has no collisions. */
function setNames({ exports, memory, words }: ScanModule): void {
  const all = FIELD_NAMES.map((text, field) => ({ name: Buffer.from(text), field }));
  const [short, ...others] = all.filter(({ name }) => name.byteLength < NAME_BYTES_MIN);
  const names = all.filter(({ name }) => name.byteLength >= NAME_BYTES_MIN);
  const slots = memory.subarray(exports.SLOTS.value, exports.LENGTHS.value);
  assert(all.length <= exports.FIELDS_MAX.value && names.every(({ name }) => name.byteLength <= exports.NAME_BYTES_MAX.value), 'the scanner has room for all field names');
  assert(short?.name.byteLength === SHORT_NAME_BYTES && others.length === 0, 'one field name has two bytes, all others have four or more');
  exports.setShortName(short.name.readUInt16LE(), short.field);
  // Odd numbers in a fixed pseudo-random order (Knuth's MMIX constants, low half), so that every run finds the same one.
  let candidate = 0x9e3779b1 | 0;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const multiplier = candidate | 1;
    slots.fill(NO_FIELD);
    const isFree = names.every(({ name, field }) => {
      memory.set(name, exports.RECORD.value);
      const slot = exports.slotOfName(name.byteLength, multiplier);
      if (slots[slot] !== NO_FIELD) return false;
      slots[slot] = field;
      return true;
    });
    if (isFree) {
      exports.setMultiplier(multiplier);
      names.forEach(({ name, field }) => {
        memory.set(name, exports.NAMES.value + field * exports.NAME_BYTES_MAX.value);
        words[exports.LENGTHS.value / 4 + field] = name.byteLength;
      });
      return;
    }
    candidate = (Math.imul(candidate, 0x4c957f2d) + 0xf767814f) | 0;
  }
  throw new Error('bug: no multiplier separates the field names; make the table of slots larger');
}

const NAME_BYTES_MIN = 4;
const SHORT_NAME_BYTES = 2;
const ATTEMPTS_MAX = 100_000;
const NO_FIELD = 0xff;
