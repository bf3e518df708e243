/** SKAdNetwork messages: Apple's postbacks in AppsFlyer's names, without user, event_time or country. Pure. */

import { decimal } from './in-app.ts';
import { utcText, type Fields } from './encode.ts';
import type { Effect, EffectMeasure } from './effect.ts';
import type { Random } from './random.ts';
import type { Campaign, World } from './world.ts';

type SkanType = readonly [eventType: string, eventName: string, measure: EffectMeasure | null];
const TYPES: readonly [SkanType, ...SkanType[]] = [
  ['install', 'install', 'skan_installs'],
  ['install', 'install', 'skan_installs'],
  ['re-download', 'install', 'skan_redownloads'],
  ['in-app-event', 'af_purchase', 'skan_events'],
  ['postback', 'postback', 'skan_postbacks'],
  ['postbacks-copy', 'postback', null],
];

export function makeSkan(world: World, random: Random, timeMs: number): { fields: Fields; effect: Effect } {
  const [eventType, eventName, measure] = random.pick(TYPES);
  const campaign: Campaign = world.campaign(random, false);
  const app = world.app(1);
  const fields: Fields = {
    app_id: app.appId,
    event_type: eventType,
    event_name: eventName,
    event_uuid: random.uuid(),
    timestamp: utcText(timeMs),
    ad_network_timestamp: utcText(timeMs - 86_400_000),
    install_date: utcText(timeMs - 172_800_000).slice(0, 10),
    install_type: 'click-through',
    media_source: campaign.mediaSource,
    skad_ad_network_id: `${random.hex(10)}.skadnetwork`,
    skad_source_identifier: random.digits(4),
    skad_transaction_id: random.uuid(),
    skad_version: '4.0',
    skad_redownload: eventType === 're-download',
    skad_source_app_id: random.digits(9),
    skad_conversion_value: String(random.between(0, 63)),
    skad_fidelity_type: '1',
    skad_did_win: true,
    skad_postback_sequence_index: '0',
    skad_attribution_signature: `MEYCIQ${random.hex(88)}`,
    af_attribution_flag: true,
  };
  if (campaign.id !== null) fields['ad_network_campaign_id'] = campaign.id;
  if (campaign.name !== null) fields['ad_network_campaign_name'] = campaign.name;
  const measures: Partial<Record<EffectMeasure, number>> = measure === null ? {} : { [measure]: 1 };
  if (measure === 'skan_events') {
    const micros = random.between(1, 9_999) * 10_000;
    fields['skad_revenue'] = decimal(micros);
    measures.skan_revenue_micros = micros;
  }
  return { fields, effect: { verdict: 'counted', timeMs, campaignId: campaign.id ?? campaign.name ?? 'none', country: 'unknown', measures, conversion: null } };
}
