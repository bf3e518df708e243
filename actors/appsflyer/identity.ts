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
 * milliseconds; of an S2S event without one, when it was received. `event_value` is the unescaped string. `primary` is `false` or `true`, everything but false being true. Example:
 * `16:com.example.shop,7:1234-56,7:install,13:1777803360871,-,7:install,7:organic,4:true,`
 */

import type { DedupeMode } from '../../engine/core/rules.ts';
import { assert, MS_PER_SECOND } from '../../engine/core/types.ts';
import type { AppsflyerEvent } from './event.ts';
import { Field, MadeField } from './fields.ts';
import type { ScanModule } from './scan/scan-module.ts';

const SKAN_PREFIX = '4:skan,';
const WORDS = 4;

/** Writes identities in the memory of the scanner that has read the event. One per thread; about 0.1 us for an event, once per record (bench/micro/decode.ts). */
export class IdentityWriter {
  #module: ScanModule | null = null;
  /** Of a message; then the same with one part more, of ad revenue; then of SKAdNetwork. */
  #recipeLength = 0;
  #skanRecipe = 0;
  #skanRecipeLength = 0;
  /** Addresses, of words and of bytes: to ask the module costs as much as hashing some bytes. */
  #fingerprint = 0;
  #recipes = 0;

  /** Writes the fingerprint of the event's identity to `out`, length 4. Always true: the decoder rejects what has none. */
  fingerprint(event: AppsflyerEvent, mode: DedupeMode, out: Uint32Array): boolean {
    this.#write(event, mode);
    const { words } = event.fields.module;
    for (let index = 0; index < WORDS; index++) out[index] = words[this.#fingerprint + index] as number;
    return true;
  }

  /** The identity as text, for people and tests. */
  text(event: AppsflyerEvent, mode: DedupeMode): string {
    const length = this.#write(event, mode);
    const { exports, memory } = event.fields.module;
    return memory.toString('utf8', exports.IDENTITY.value, exports.IDENTITY.value + length);
  }

  /** Returns its length in bytes. */
  #write(event: AppsflyerEvent, mode: DedupeMode): number {
    const { module } = event.fields;
    if (module !== this.#module) this.#attach(module);
    const { exports } = module;
    const recipe = this.#recipes;
    if (event.userField < 0) return exports.identity(this.#skanRecipe, this.#skanRecipeLength, this.#prefix(module, SKAN_PREFIX), 0, 0, 0);
    const prefixLength = event.isAttributed ? 0 : this.#prefix(module, `${Buffer.byteLength(event.eventType)}:${event.eventType},`);
    const time = mode === 'push+pull-seconds' ? Math.floor(event.timeMs / MS_PER_SECOND) : event.timeMs;
    const length = event.action === 'ad-revenue' ? this.#recipeLength + 1 : this.#recipeLength;
    return exports.identity(recipe, length, prefixLength, event.userField, time, event.isSecondary ? 0 : 1);
  }

  #attach(module: ScanModule): void {
    const { exports, memory } = module;
    const parts = [Field.appId, exports.RECIPE_USER.value, Field.eventName, exports.RECIPE_NUMBER.value, Field.eventValue, Field.conversionType, Field.campaignType, exports.RECIPE_TRUTH.value];
    const skanParts = [Field.appId, Field.eventUuid];
    memory.set([...parts, MadeField.adPlacement, ...skanParts], exports.RECIPES.value);
    this.#recipes = exports.RECIPES.value;
    this.#skanRecipe = this.#recipes + parts.length + 1;
    this.#fingerprint = exports.FINGERPRINT.value / WORDS;
    this.#recipeLength = parts.length;
    this.#skanRecipeLength = skanParts.length;
    this.#module = module;
  }

  /** Of the few that there are, the longest is `15:blocked-install,`. */
  #prefix({ exports, memory }: ScanModule, text: string): number {
    assert(text.length <= exports.PREFIX_BYTES_MAX.value, 'an identity has room for what stands before its parts');
    return memory.write(text, exports.PREFIX.value, exports.PREFIX_BYTES_MAX.value, 'utf8');
  }
}
