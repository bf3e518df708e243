/** The fields of one message of attribution, in AppsFlyer's names and with their usual fill. Pure. */

import type { Fields } from './encode.ts';
import { utcText, zoneText } from './encode.ts';
import type { InAppEvent, Money } from './in-app.ts';
import type { Random } from './random.ts';
import type { Campaign, User } from './world.ts';

const MS_PER_DAY = 86_400_000;

export interface Subject {
  readonly user: User;
  /** Null for organic. */
  readonly campaign: Campaign | null;
  readonly eventType: string;
  readonly eventName: string;
  readonly conversionType: 'install' | 're-engagement' | 'reinstall';
  readonly campaignType: 'ua' | 'organic' | 'retargeting';
  readonly isPrimary: boolean;
  readonly timeMs: number;
  readonly inApp: InAppEvent | null;
}

/** Which user ids a message leaves out, so that the next one must do. */
export interface MissingIds {
  readonly appsflyerId: boolean;
  readonly customerUserId: boolean;
  readonly advertisingId: boolean;
}

/** All fields; what is absent in fact is absent here. */
export function makeFields(subject: Subject, missing: MissingIds, random: Random): Fields {
  const { user, campaign, timeMs, inApp } = subject;
  const { app } = user;
  const isIos = app.platform === 'ios';
  const fields: Fields = { api_version: '2.0', event_type: subject.eventType, app_id: app.appId, bundle_id: app.bundleId, app_name: app.name, app_version: app.version };
  fields['platform'] = app.platform;
  addIds(fields, user, missing);
  Object.assign(fields, {
    event_name: subject.eventName,
    event_time: utcText(timeMs),
    event_time_selected_timezone: zoneText(timeMs, app.zoneOffsetMinutes),
    selected_timezone: app.timeZone,
    event_source: inApp !== null && random.chance(0.1) ? 'S2S' : 'SDK',
  });
  if (inApp !== null) {
    fields['event_value'] = inApp.value;
    if (inApp.money !== null) addMoney(fields, inApp.money, app.currency);
  }
  const installMs = Math.min(user.installMs, timeMs);
  Object.assign(fields, {
    install_time: utcText(installMs),
    install_time_selected_timezone: zoneText(installMs, app.zoneOffsetMinutes),
    selected_currency: app.currency,
    campaign_type: subject.campaignType,
    conversion_type: subject.conversionType,
    is_retargeting: subject.campaignType === 'retargeting',
    is_primary_attribution: subject.isPrimary,
  });
  if (campaign === null) fields['media_source'] = random.chance(0.1) ? 'Organic' : 'organic';
  else addAttribution(fields, subject, campaign, random);
  addDevice(fields, user, random);
  if (!isIos && subject.eventName === 'install') {
    Object.assign(fields, {
      gp_click_time: utcText(timeMs - random.between(60_000, 900_000)),
      gp_install_begin: utcText(timeMs - random.between(10_000, 59_000)),
      gp_referrer: `utm_source=${encodeURIComponent(campaign?.mediaSource ?? 'google-play')}&utm_medium=organic&af_tranid=${random.hex(16)}`,
    });
  }
  return fields;
}

function addIds(fields: Fields, user: User, missing: MissingIds): void {
  const isIos = user.app.platform === 'ios';
  if (!missing.appsflyerId) fields['appsflyer_id'] = user.appsflyerId;
  if (user.customerUserId !== null && !missing.customerUserId) fields['customer_user_id'] = user.customerUserId;
  if (!missing.advertisingId) fields[isIos ? 'idfa' : 'advertising_id'] = user.advertisingId;
  fields[isIos ? 'idfv' : 'android_id'] = user.vendorId;
}

function addMoney(fields: Fields, money: Money, appCurrency: string): void {
  fields['event_revenue'] = money.amount;
  fields['event_revenue_currency'] = money.currency;
  if (money.usd !== null) fields['event_revenue_usd'] = money.usd;
  if (money.currency === appCurrency) fields['revenue_in_selected_currency'] = money.amount;
}

function addAttribution(fields: Fields, { user, timeMs, campaignType, inApp }: Subject, campaign: Campaign, random: Random): void {
  const touchMs = (campaignType === 'retargeting' ? timeMs : Math.min(user.installMs, timeMs)) - random.between(20_000, 7_200_000);
  Object.assign(fields, {
    attributed_touch_type: campaign.touchType,
    attributed_touch_time: utcText(touchMs),
    media_source: campaign.mediaSource,
    af_channel: campaign.channel,
    match_type: campaign.matchType,
    af_attribution_lookback: '7d',
    af_adset: `adset ${random.between(1, 40)}`,
    af_adset_id: random.digits(12),
    af_ad: `creative_${random.between(1, 200)}_9x16.mp4`,
    af_ad_id: random.digits(12),
    af_ad_type: random.pick(['video', 'banner', 'playable', 'ClickToDownload']),
    af_siteid: random.digits(8),
    af_sub1: random.hex(20),
    network_account_id: random.digits(10),
  });
  const name = campaign.isRenamed && campaign.name !== null ? `${campaign.name}_v${Math.floor(timeMs / MS_PER_DAY) % 7}` : campaign.name;
  if (name !== null) fields['campaign'] = name;
  if (campaign.id !== null) fields['af_c_id'] = campaign.id;
  if (campaign.agency !== null) fields['af_prt'] = campaign.agency;
  if (campaignType === 'retargeting') {
    fields['retargeting_conversion_type'] = user.retargeting?.type ?? 're-engagement';
    fields['af_reengagement_window'] = '30d';
  }
  if (random.chance(0.15)) {
    Object.assign(fields, {
      contributor_1_media_source: 'unityads_int',
      contributor_1_campaign: 'assist',
      contributor_1_touch_type: 'impression',
      contributor_1_touch_time: utcText(touchMs - 3_600_000),
      contributor_1_match_type: 'id_matching',
    });
  }
  if (random.chance(0.1)) Object.assign(fields, { af_cost_model: 'cpi', af_cost_value: `${random.between(0, 4)}.${random.between(1, 9)}`, af_cost_currency: 'USD' });
  if (inApp !== null && random.chance(0.8)) return;
  fields['original_url'] = `https://app.appsflyer.com/${user.app.appId}?pid=${encodeURIComponent(campaign.mediaSource)}&c=${encodeURIComponent(name ?? '')}&clickid=${random.hex(32)}`;
}

function addDevice(fields: Fields, user: User, random: Random): void {
  Object.assign(fields, {
    region: user.region,
    city: user.city,
    postal_code: random.digits(5),
    ip: user.ip,
    language: user.language,
    wifi: random.chance(0.7),
    carrier: user.carrier,
    operator: user.carrier,
    device_model: user.deviceModel,
    device_type: user.deviceType,
    os_version: user.osVersion,
    sdk_version: 'v6.12.2',
    is_lat: user.isTrackingLimited,
    is_receipt_validated: false,
    store_reinstall: false,
    device_download_time: utcText(user.installMs - 45_000),
  });
  // Long texts that many leave unselected for in-app events.
  if (random.chance(0.4)) fields['user_agent'] = user.userAgent;
  if (random.chance(0.4)) fields['custom_data'] = `{"ab_group":"${random.pick(['a', 'b'])}","build":${random.between(100, 999)}}`;
}
