/**
 * What does enrichment cost an event on an actor thread, and what do enrichment and privacy cost a row of the lake?
 *
 * Expected limit: off, a test of one pointer; on, nothing more where AppsFlyer sent the fields, two look-ups in a map where it did not and the
 * address and user agent came before, and the file's tree or the parser where they did not. Run: `npm run build && node dist/bench/micro/enrich.js`.
 * Guards actors/appsflyer/enrich and actors/appsflyer/privacy.
 */

import { createHash } from 'node:crypto';
import { readUserAgent } from '../../actors/appsflyer/enrich/user-agent.ts';
import type { AppsflyerEvent } from '../../actors/appsflyer/event.ts';
import { appsflyerPipeline as pipeline } from '../../actors/appsflyer/pipeline.ts';
import { RecordSource } from '../../engine/core/record.ts';
import type { RuleResources } from '../../engine/core/rule-resources.ts';
import { openPlaces } from '../../engine/runtime/geo-file.ts';
import { cityRecord, mmdb } from '../../test/support/mmdb.ts';
import { isProgram } from '../harness/program.ts';
import { measure, printTimings, type MeasureOptions, type Timing } from './measure.ts';

const MESSAGES = 1_000;
/** Networks of the file, a /24 each: its tree is as deep as a real one's. */
const NETWORKS = 2_000;
const MODELS = 200;

const ipOf = (index: number): string => `10.${(index >> 8) & 0xff}.${index & 0xff}.${index % 250}`;
const agentOf = (index: number): string => `Mozilla/5.0 (Linux; Android ${8 + (index % 7)}; SM-A${100 + (index % MODELS)}B) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/1${index % 20}.0 Mobile Safari/537.36`;

export function benchEnrich(options: MeasureOptions): readonly Timing[] {
  const file = mmdb(Array.from({ length: NETWORKS }, (_, index) => ({ network: `10.${(index >> 8) & 0xff}.${index & 0xff}.0/24`, record: cityRecord({ country: index % 2 === 0 ? 'FR' : 'DE', continent: 'EU', state: `S${index % 16}`, city: `City ${index}` }) })));
  const places = openPlaces(file);
  const resources: RuleResources = { places: () => places, secret: () => Buffer.alloc(32, 7) };
  const off = pipeline.domainRules(null);
  const on = pipeline.domainRules({ enrichment: { geoFileHash: createHash('sha256').update(file).digest('hex'), userAgent: true } }, resources);
  const hiding = pipeline.domainRules({ privacy: { fields: { user_id: 'hash', city: 'drop', 'event_value.email': 'drop' }, secret: '0', rotationDays: 90 } }, resources);
  const whole = messages(false);
  const lacking = messages(true);
  const cold = Array.from({ length: 200_000 }, (_, index) => `10.${index % 8}.${(index >> 3) & 0xff}.${(index >> 11) & 0xff}`);
  const enriched = (event: AppsflyerEvent, rules: typeof off): number => {
    pipeline.enrich?.(event, rules);
    return event.country.length + event.device.length;
  };
  const decoded = (set: readonly Buffer[], call: number): AppsflyerEvent => {
    const bytes = set[call % MESSAGES] as Buffer;
    const event = pipeline.decode(bytes, 0, bytes.byteLength, RecordSource.push, 0);
    if (typeof event === 'string') throw new Error(`bug: a bench message was rejected as ${event}`);
    return event;
  };
  const context = { eventId: 'e', late: false, receivedAtMs: 1_800_000_000_000 };
  const row = (set: readonly Buffer[], call: number, rules: typeof off): number => {
    const event = decoded(set, call);
    pipeline.enrich?.(event, rules);
    pipeline.shield?.(event, rules, context.receivedAtMs);
    return pipeline.lakeColumns.reduce((sum, column) => sum + (column.of(event, context) === null ? 0 : 1), 0);
  };
  check(enriched(decoded(lacking, 1), on) === 'FR'.length + 'phone'.length, 'an event that lacks both is filled in');
  return [
    measure('decode alone', options, (call) => decoded(whole, call).timeMs),
    measure('decode and enrich, off', options, (call) => enriched(decoded(whole, call), off)),
    measure('decode and enrich, on, all sent', options, (call) => enriched(decoded(whole, call), on)),
    measure('decode alone, country and device missing', options, (call) => decoded(lacking, call).timeMs),
    measure('decode and enrich, on, both missing', options, (call) => enriched(decoded(lacking, call), on)),
    measure('address not seen before', options, (call) => places.find(cold[call % cold.length] as string)?.country.length ?? 0),
    measure('user agent not seen before', { ...options, calls: Math.ceil(options.calls / 50) }, (call) => readUserAgent(agentOf(call)).device.length),
    measure('decode and lake row, off', options, (call) => row(whole, call, off)),
    measure('decode and lake row, enriched, all missing', options, (call) => row(lacking, call, on)),
    measure('decode and lake row, user hashed, city dropped, event_value opened', options, (call) => row(whole, call, hiding)),
  ];
}

function messages(isLacking: boolean): readonly Buffer[] {
  return Array.from({ length: MESSAGES }, (_, index) => {
    const sent = isLacking ? {} : { country_code: 'FR', device_category: 'phone', city: 'Lyon', region: 'EU', state: 'ARA', os_version: '11' };
    const message = {
      app_id: 'com.example.shop', platform: 'android', appsflyer_id: `1718000000123-${4_500_123_456_789 + index}`, event_name: 'af_purchase', event_time: '2026-05-03 10:15:42.318', event_revenue_usd: '13.61',
      event_value: JSON.stringify({ af_revenue: '12.50', af_currency: 'EUR', email: `user${index}@example.com`, af_content_id: 'sku-7' }), media_source: 'googleadwords_int', campaign: 'spring_fr', af_c_id: '21421952087',
      campaign_type: 'ua', conversion_type: 'install', is_primary_attribution: true, is_retargeting: false, ip: ipOf(index), user_agent: agentOf(index), ...sent,
    };
    return Buffer.from(JSON.stringify(message));
  });
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`bug: ${what}`);
}

if (isProgram(import.meta.url)) {
  printTimings('One push message, enriched', benchEnrich({ rounds: 5, calls: 100_000 }));
}
