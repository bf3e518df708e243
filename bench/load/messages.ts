/** Realistic Push messages of 1.6 KB for load tests: a handful of campaigns and countries, each request a user of its own. */

import { appsflyerTime } from '../../test/support/daemon.ts';

/** Stands where the user's number goes; 12 digits. */
export const USER_PLACEHOLDER = '@@USER@NUM@@';

const CAMPAIGNS = 20;
const COUNTRIES = ['FR', 'DE', 'US', 'BR', 'IN', 'JP'];
const EVENTS = ['af_purchase', 'af_subscribe', 'af_content_view', 'af_add_to_cart', 'install'];

/** `count` different bodies, all of one length, with {@link USER_PLACEHOLDER} in place of the user. */
export function templates(count: number, nowMs: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const eventName = EVENTS[index % EVENTS.length] as string;
    const body = JSON.stringify({
      api_version: '2.0', app_id: `com.example.app${index % 3}`, bundle_id: 'com.example.shop', app_name: 'Example Shop', app_version: '4.2.0', platform: 'android',
      appsflyer_id: `1718000000123-${USER_PLACEHOLDER}`, customer_user_id: `u-${USER_PLACEHOLDER}`, advertising_id: '11111111-2222-4333-8444-555555555555',
      event_name: eventName, event_time: appsflyerTime(nowMs - (index % 60) * 1_000), event_time_selected_timezone: '2026-05-03 12:15:42.318+0200', selected_timezone: 'Europe/Paris',
      event_value: '{"af_revenue":"12.50","af_currency":"EUR","af_content_id":"sku-7","af_quantity":2}', event_revenue: '12.5', event_revenue_currency: 'EUR', event_revenue_usd: '13.61',
      selected_currency: 'EUR', revenue_in_selected_currency: '12.5', event_source: 'SDK', install_time: '2026-05-01 08:00:11.004', attributed_touch_type: 'click', attributed_touch_time: '2026-05-01 07:58:40.000',
      media_source: 'googleadwords_int', af_channel: 'ACI_Search', campaign: `campaign_${index % CAMPAIGNS}`, af_c_id: String(21_421_952_000 + (index % CAMPAIGNS)), af_adset_id: '168145036514', af_ad_id: '712345678901',
      campaign_type: 'ua', conversion_type: 'install', is_retargeting: false, is_primary_attribution: true, match_type: 'srn', country_code: COUNTRIES[index % COUNTRIES.length], city: 'Lyon', region: 'EU', state: 'ARA', postal_code: '69001', ip: '192.0.2.44',
      device_category: 'phone', device_model: 'xiaomi::Redmi Note 8T', device_type: 'Redmi', os_version: '11', sdk_version: 'v6.12.2', wifi: true, language: 'français', carrier: 'Orange F', operator: 'Orange F', user_agent: 'Dalvik/2.1.0 (Linux; U; Android 11)',
    });
    return body;
  }).map((body, _, all) => {
    const longest = Math.max(1_600, ...all.map((other) => Buffer.byteLength(other)));
    const padding = longest - Buffer.byteLength(body) + 20;
    return `${body.slice(0, -1)},"af_sub1":"${'x'.repeat(padding)}"}`;
  });
}
