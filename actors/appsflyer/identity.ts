/**
 * The identity of an event: two records with the same one are the same event, sent twice.
 *
 * It is a text of parts, each written as `<length in UTF-8 bytes>:<text>,` and a missing one as `-,`; its MurmurHash3 (x86, 128 bits,
 * seed 0) is the fingerprint, whose hex form is the lake's `event_id`. An outsider can compute it:
 *
 * ```
 * messages of attribution   app_id  user  event_name  event_time  event_value  conversion_type  campaign_type  primary
 * rows of other kinds       kind (uninstall, blocked-install, ad-revenue, s2s-copy), then the same eight
 * SKAdNetwork               skan  app_id  event_uuid
 * ```
 * `user` is the first of appsflyer_id, customer_user_id, advertising_id, idfa, idfv, android_id, amazon_aid, oaid, imei, event_uuid that
 * is no placeholder. `event_time` is epoch milliseconds in digits, or epoch seconds in mode `push+pull-seconds`, because Pull rows have no
 * milliseconds. `event_value` is the unescaped string. `primary` is `false` or `true`, everything but false being true. Example:
 * `16:com.example.shop,7:1234-56,7:install,13:1777803360871,-,7:install,7:organic,4:true,`
 */

import { hash128 } from '../../engine/core/hash.ts';
import type { DedupeMode } from '../../engine/core/rules.ts';
import { MS_PER_SECOND } from '../../engine/core/types.ts';
import type { AppsflyerEvent } from './event.ts';
import { Field } from './fields.ts';

const COMMA = 0x2c;
const COLON = 0x3a;
const DASH = 0x2d;
const ZERO = 0x30;
/** Shorter ranges are copied faster by a loop than by a call out of JavaScript (measured: about 60 ns a call). */
const LOOP_COPY_MAX = 48;
/** What the parts besides user texts can need: eight lengths, marks, times. */
const OVERHEAD_BYTES = 512;

const SKAN_PART = Buffer.from('4:skan,');
const TRUE_PART = Buffer.from('4:true,');
const FALSE_PART = Buffer.from('5:false,');

/** Writes identities into a buffer of its own. One per thread. */
export class IdentityWriter {
  #bytes = Buffer.alloc(4_096);
  #view: DataView = viewOf(this.#bytes);
  #length = 0;

  /** Writes the fingerprint of the event's identity to `out`, length 4. Always true: the decoder rejects what has none. */
  fingerprint(event: AppsflyerEvent, mode: DedupeMode, out: Uint32Array): boolean {
    this.#write(event, mode);
    hash128(this.#view, 0, this.#length, out);
    return true;
  }

  /** The identity as text, for people and tests. */
  text(event: AppsflyerEvent, mode: DedupeMode): string {
    this.#write(event, mode);
    return this.#bytes.toString('utf8', 0, this.#length);
  }

  #write(event: AppsflyerEvent, mode: DedupeMode): void {
    const fields = event.fields;
    this.#length = 0;
    this.#reserve(fields.recordLength);
    if (event.userField < 0) {
      this.#constant(SKAN_PART);
      this.#field(event, Field.appId);
      this.#field(event, Field.eventUuid);
      return;
    }
    if (!event.isAttributed) this.#text(event.eventType);
    this.#field(event, Field.appId);
    this.#field(event, event.userField as Field);
    this.#field(event, Field.eventName);
    this.#number(mode === 'push+pull-seconds' ? Math.floor(event.timeMs / MS_PER_SECOND) : event.timeMs);
    this.#field(event, Field.eventValue);
    this.#field(event, Field.conversionType);
    this.#field(event, Field.campaignType);
    this.#constant(event.isSecondary ? FALSE_PART : TRUE_PART);
  }

  #reserve(recordLength: number): void {
    const needed = recordLength + OVERHEAD_BYTES;
    if (this.#bytes.byteLength >= needed) return;
    this.#bytes = Buffer.allocUnsafe(2 ** Math.ceil(Math.log2(needed)));
    this.#view = viewOf(this.#bytes);
  }

  #field(event: AppsflyerEvent, field: Field): void {
    const fields = event.fields;
    if (!fields.has(field)) {
      this.#bytes[this.#length++] = DASH;
      this.#bytes[this.#length++] = COMMA;
      return;
    }
    this.#part(fields.bufferOf(field), fields.startOf(field), fields.endOf(field));
  }

  #part(source: Buffer, start: number, end: number): void {
    this.#digits(end - start);
    const target = this.#bytes;
    target[this.#length++] = COLON;
    if (end - start > LOOP_COPY_MAX) {
      source.copy(target, this.#length, start, end);
      this.#length += end - start;
    } else {
      let at = this.#length;
      for (let from = start; from < end; from++) target[at++] = source[from] as number;
      this.#length = at;
    }
    target[this.#length++] = COMMA;
  }

  #constant(part: Buffer): void {
    for (let at = 0; at < part.byteLength; at++) this.#bytes[this.#length++] = part[at] as number;
  }

  #text(text: string): void {
    const bytes = Buffer.from(text);
    this.#part(bytes, 0, bytes.byteLength);
  }

  #number(value: number): void {
    this.#digits(digitCount(value));
    this.#bytes[this.#length++] = COLON;
    this.#digits(value);
    this.#bytes[this.#length++] = COMMA;
  }

  #digits(value: number): void {
    let rest = value;
    const end = this.#length + digitCount(value);
    for (let at = end - 1; at >= this.#length; at--) {
      const quotient = Math.floor(rest / 10);
      this.#bytes[at] = ZERO + rest - quotient * 10;
      rest = quotient;
    }
    this.#length = end;
  }
}

const viewOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function digitCount(value: number): number {
  let count = 1;
  for (let bound = 10; value >= bound; bound *= 10) count++;
  return count;
}
