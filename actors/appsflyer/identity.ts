/**
 * The identity of an event: two records with the same one are the same event, sent twice.
 *
 * It is a text of parts, each written as `<length in UTF-8 bytes>:<text>,` and a missing one as `-,`; its MurmurHash3 (x86, 128 bits,
 * seed 0) is the fingerprint, whose hex form is the lake's `event_id`. An outsider can compute it:
 *
 * ```
 * messages of attribution   app_id  user  event_name  event_time  event_value  conversion_type  campaign_type  primary
 * rows of other kinds       kind (uninstall, blocked-install, detection, blocked-event, s2s-copy), then the same eight
 * rows of ad revenue        ad-revenue, then the same eight, then where the ad stood
 * SKAdNetwork               skan  app_id  event_uuid
 * ```
 * `user` is the first of appsflyer_id, appsflyer_device_id, customer_user_id, advertising_id, idfa, idfv, android_id, amazon_aid, oaid, imei, event_uuid
 * that is no placeholder; else the one in event_value (event-value.ts). What stands under other names counts as if it stood under these (shapes.ts). Where an
 * ad stood: monetization_network, mediation_network, ad_unit, placement and segment, joined by U+001F, absent ones empty. `event_time` is epoch milliseconds in digits, or epoch seconds in mode `push+pull-seconds`, because Pull rows have no
 * milliseconds; of an S2S event without one, when it was received. `event_value` is the unescaped string; `{}` counts as missing, because Push writes that where Pull leaves the cell empty. The two
 * are one only if all other texts of event_value are equal byte by byte, a Pull cell after its CSV quotes are taken off. `primary` is `false` or `true`, everything but false being true. Example:
 * `16:com.example.shop,7:1234-56,7:install,13:1777803360871,-,7:install,7:organic,4:true,`
 *
 * Inside the program repeats are known again by a key that serves all modes (engine/core/dedupe-key.ts): the hash of the identity of mode
 * `push+pull-seconds`, its variant the millisecond.
 */

import { NO_VARIANT, withVariant } from '../../engine/core/dedupe-key.ts';
import type { DedupeMode } from '../../engine/core/rules.ts';
import { assert, MS_PER_SECOND } from '../../engine/core/types.ts';
import type { AppsflyerEvent } from './event.ts';
import { Field, FIELD_COUNT, MadeField } from './fields.ts';
import type { ScanModule } from './scan/scan-module.ts';

/** Where a field begins that is not there. */
const ABSENT = -1;
const SKAN_PREFIX = '4:skan,';
const WORDS = 4;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const DOT = 0x2e;
/** Where a fraction of a second begins in `yyyy-mm-dd hh:mm:ss.sss`. */
const FRACTION_AT = 19;
/** SKAdNetwork's identity has no time. */
const TIMELESS_VARIANT = 0;

/** Writes identities in the memory of the scanner that has read the event. One per thread; about 0.1 us for an event, once per record (bench/micro/decode.ts). */
export class IdentityWriter {
  #module: ScanModule | null = null;
  /** Of a message; the same with one part more, of ad revenue; both again without event_value; and of SKAdNetwork. */
  #recipeLength = 0;
  #withoutValue = 0;
  #skanRecipe = 0;
  #skanRecipeLength = 0;
  /** Addresses, of words and of bytes: to ask the module costs as much as hashing some bytes. */
  #fingerprint = 0;
  #recipes = 0;

  /** Writes the fingerprint of the event's identity to `out`, length 4. Always true: the decoder rejects what has none. */
  fingerprint(event: AppsflyerEvent, mode: DedupeMode, out: Uint32Array): boolean {
    this.#write(event, mode, isEmptyObject(event));
    return this.#copy(event, out);
  }

  /** Writes the key by which the event is known again to `out`, length 4. Always true. */
  dedupeKey(event: AppsflyerEvent, mode: DedupeMode, out: Uint32Array): boolean {
    this.#write(event, 'push+pull-seconds', isEmptyObject(event));
    this.#copy(event, out);
    out[WORDS - 1] = withVariant(out[WORDS - 1] as number, variantOf(event, mode));
    return true;
  }

  /** What stood in the place of a key before there were keys: the fingerprint, `{}` taken as it stands; of the mode, then of `push-ms`. */
  formerFingerprint(event: AppsflyerEvent, mode: DedupeMode, attempt: number, out: Uint32Array): boolean {
    if (attempt > (mode === 'push+pull-seconds' ? 1 : 0)) return false;
    this.#write(event, attempt === 0 ? mode : 'push-ms', false);
    return this.#copy(event, out);
  }

  /** The identity as text, for people and tests. */
  text(event: AppsflyerEvent, mode: DedupeMode): string {
    const length = this.#write(event, mode, isEmptyObject(event));
    const { exports, memory } = event.fields.module;
    return memory.toString('utf8', exports.IDENTITY.value, exports.IDENTITY.value + length);
  }

  #copy(event: AppsflyerEvent, out: Uint32Array): true {
    const { words } = event.fields.module;
    for (let index = 0; index < WORDS; index++) out[index] = words[this.#fingerprint + index] as number;
    return true;
  }

  /** Returns its length in bytes. */
  #write(event: AppsflyerEvent, mode: DedupeMode, isWithoutValue: boolean): number {
    const { module } = event.fields;
    if (module !== this.#module) this.#attach(module);
    const { exports } = module;
    const recipe = isWithoutValue ? this.#withoutValue : this.#recipes;
    if (event.userField < 0) return exports.identity(this.#skanRecipe, this.#skanRecipeLength, this.#prefix(module, SKAN_PREFIX), 0, 0, 0);
    const prefixLength = event.isAttributed ? 0 : this.#prefix(module, `${Buffer.byteLength(event.eventType)}:${event.eventType},`);
    const time = mode === 'push+pull-seconds' ? Math.floor(event.timeMs / MS_PER_SECOND) : event.timeMs;
    const length = event.action === 'ad-revenue' ? this.#recipeLength + 1 : this.#recipeLength;
    return exports.identity(recipe, length, prefixLength, event.userField, time, event.isSecondary ? 0 : 1);
  }

  #attach(module: ScanModule): void {
    const { exports, memory } = module;
    const never = exports.FIELDS_MAX.value - 1;
    assert(never >= FIELD_COUNT && never > Math.max(...Object.values(MadeField)), 'a field that no record has is left');
    module.words[exports.STARTS.value / 4 + never] = ABSENT;
    const partsOf = (value: number): number[] => [Field.appId, exports.RECIPE_USER.value, Field.eventName, exports.RECIPE_NUMBER.value, value, Field.conversionType, Field.campaignType, exports.RECIPE_TRUTH.value, MadeField.adPlacement];
    const parts = partsOf(Field.eventValue);
    const skanParts = [Field.appId, Field.eventUuid];
    memory.set([...parts, ...partsOf(never), ...skanParts], exports.RECIPES.value);
    this.#recipes = exports.RECIPES.value;
    this.#withoutValue = this.#recipes + parts.length;
    this.#skanRecipe = this.#withoutValue + parts.length;
    this.#fingerprint = exports.FINGERPRINT.value / WORDS;
    this.#recipeLength = parts.length - 1;
    this.#skanRecipeLength = skanParts.length;
    this.#module = module;
  }

  /** Of the few that there are, the longest is `15:blocked-install,`. */
  #prefix({ exports, memory }: ScanModule, text: string): number {
    assert(text.length <= exports.PREFIX_BYTES_MAX.value, 'an identity has room for what stands before its parts');
    return memory.write(text, exports.PREFIX.value, exports.PREFIX_BYTES_MAX.value, 'utf8');
  }
}

/** `{}`: an event without parameters. */
function isEmptyObject({ fields }: AppsflyerEvent): boolean {
  if (!fields.has(Field.eventValue)) return false;
  const start = fields.startOf(Field.eventValue);
  return fields.endOf(Field.eventValue) - start === 2 && fields.bytes[start] === OPEN_BRACE && fields.bytes[start + 1] === CLOSE_BRACE;
}

/** The millisecond; where seconds are compared, a time without a fraction may be any of its second. */
function variantOf({ timeMs, userField, fields }: AppsflyerEvent, mode: DedupeMode): number {
  if (userField < 0) return TIMELESS_VARIANT;
  const variant = timeMs % MS_PER_SECOND;
  if (variant > 0 || mode !== 'push+pull-seconds' || !fields.has(Field.eventTime)) return variant;
  const fraction = fields.startOf(Field.eventTime) + FRACTION_AT;
  return fraction < fields.endOf(Field.eventTime) && fields.bytes[fraction] === DOT ? variant : NO_VARIANT;
}
