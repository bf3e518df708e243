import { describe, expect, it } from 'vitest';
import { isReportHeader, pushName, pushNames } from '../../../ingress/pull/columns.ts';
import { DEFAULT_COLUMNS } from '../../peers/appsflyer-pull.ts';

const contributor = (number: number): [string, string][] => [
  [`Contributor ${number} Partner`, `contributor_${number}_af_prt`],
  [`Contributor ${number} Media Source`, `contributor_${number}_media_source`],
  [`Contributor ${number} Campaign`, `contributor_${number}_campaign`],
  [`Contributor ${number} Touch Type`, `contributor_${number}_touch_type`],
  [`Contributor ${number} Touch Time`, `contributor_${number}_touch_time`],
];

/** The 81 columns that every report has, and what Push calls each. */
const DEFAULT: readonly (readonly [string, string])[] = [
  ['Attributed Touch Type', 'attributed_touch_type'], ['Attributed Touch Time', 'attributed_touch_time'], ['Install Time', 'install_time'], ['Event Time', 'event_time'],
  ['Event Name', 'event_name'], ['Event Value', 'event_value'], ['Event Revenue', 'event_revenue'], ['Event Revenue Currency', 'event_revenue_currency'], ['Event Revenue USD', 'event_revenue_usd'],
  ['Event Source', 'event_source'], ['Is Receipt Validated', 'is_receipt_validated'], ['Partner', 'af_prt'], ['Media Source', 'media_source'], ['Channel', 'af_channel'], ['Keywords', 'af_keywords'],
  ['Campaign', 'campaign'], ['Campaign ID', 'af_c_id'], ['Adset', 'af_adset'], ['Adset ID', 'af_adset_id'], ['Ad', 'af_ad'], ['Ad ID', 'af_ad_id'], ['Ad Type', 'af_ad_type'],
  ['Site ID', 'af_siteid'], ['Sub Site ID', 'af_sub_siteid'], ['Sub Param 1', 'af_sub1'], ['Sub Param 2', 'af_sub2'], ['Sub Param 3', 'af_sub3'], ['Sub Param 4', 'af_sub4'], ['Sub Param 5', 'af_sub5'],
  ['Cost Model', 'af_cost_model'], ['Cost Value', 'af_cost_value'], ['Cost Currency', 'af_cost_currency'], ...contributor(1), ...contributor(2), ...contributor(3),
  ['Region', 'region'], ['Country Code', 'country_code'], ['State', 'state'], ['City', 'city'], ['Postal Code', 'postal_code'], ['DMA', 'dma'],
  ['IP', 'ip'], ['WIFI', 'wifi'], ['Operator', 'operator'], ['Carrier', 'carrier'], ['Language', 'language'], ['AppsFlyer ID', 'appsflyer_id'], ['Advertising ID', 'advertising_id'], ['IDFA', 'idfa'], ['Android ID', 'android_id'],
  ['Customer User ID', 'customer_user_id'], ['IMEI', 'imei'], ['IDFV', 'idfv'], ['Platform', 'platform'], ['Device Type', 'device_type'], ['OS Version', 'os_version'], ['App Version', 'app_version'], ['SDK Version', 'sdk_version'],
  ['App ID', 'app_id'], ['App Name', 'app_name'], ['Bundle ID', 'bundle_id'], ['Is Retargeting', 'is_retargeting'], ['Retargeting Conversion Type', 'retargeting_conversion_type'],
  ['Attribution Lookback', 'af_attribution_lookback'], ['Reengagement Window', 'af_reengagement_window'], ['Is Primary Attribution', 'is_primary_attribution'],
  ['User Agent', 'user_agent'], ['HTTP Referrer', 'http_referrer'], ['Original URL', 'original_url'],
];

/** Those on request. */
const EXTRA: readonly (readonly [string, string])[] = [
  ['App Type', 'app_type'], ['Custom Data', 'custom_data'], ['Network Account ID', 'network_account_id'], ['Install App Store', 'install_app_store'], ['Contributor 1 Match Type', 'contributor_1_match_type'],
  ['Contributor 2 Match Type', 'contributor_2_match_type'], ['Contributor 3 Match Type', 'contributor_3_match_type'], ['Custom Dimension', 'custom_dimension'], ['Campaign Type', 'campaign_type'], ['Conversion Type', 'conversion_type'],
  ['Match Type', 'match_type'], ['Google Play Referrer', 'gp_referrer'], ['Google Play Click Time', 'gp_click_time'], ['Google Play Install Begin Time', 'gp_install_begin'], ['Google Play Broadcast Referrer', 'gp_broadcast_referrer'],
  ['Keyword ID', 'keyword_id'], ['Keyword Match Type', 'keyword_match_type'], ['ATT', 'att'], ['Amazon Fire ID', 'amazon_aid'], ['Device Category', 'device_category'], ['Device Model', 'device_model'], ['Device Download Time', 'device_download_time'],
  ['Deeplink URL', 'deeplink_url'], ['OAID', 'oaid'], ['Is LAT', 'is_lat'], ['Store Reinstall', 'store_reinstall'], ['Placement', 'placement'], ['Segment', 'segment'], ['Ad Unit', 'ad_unit'], ['Mediation Network', 'mediation_network'],
  ['Monetization Network', 'monetization_network'], ['Impressions', 'impressions'], ['Blocked Reason', 'blocked_reason'], ['Blocked Reason Value', 'blocked_reason_value'], ['Blocked Sub Reason', 'blocked_sub_reason'],
  ['Rejected Reason', 'rejected_reason'], ['Rejected Reason Value', 'rejected_reason_value'], ['Rejected Sub Reason', 'rejected_sub_reason'], ['Detection Date', 'detection_date'], ['Fraud Reason', 'fraud_reason'], ['Fraud Sub Reason', 'fraud_sub_reason'],
];

describe('the header of a report', () => {
  it('has 81 columns by default, which the peer of the tests has in the same order', () => {
    expect(DEFAULT.length).toBe(81);
    expect(DEFAULT.map(([heading]) => heading)).toEqual(DEFAULT_COLUMNS);
  });

  it.each([...DEFAULT, ...EXTRA])('calls %s what Push calls %s', (heading, name) => {
    expect(pushName(heading)).toBe(name);
  });

  it('keeps a column that nobody knows yet, under its own name', () => {
    expect([pushName('Some New Column (v2)'), pushName('event_time'), pushName('  Event Time ')]).toEqual(['some_new_column_v2', 'event_time', 'event_time']);
  });

  it('gives no column a name of ours, nor one without letters', () => {
    expect([pushName('Millrace Kind'), pushName('millrace_kind'), pushName('***'), pushName(''), pushName('x'.repeat(101))]).toEqual([null, null, null, null, null]);
  });

  it('takes the first of two columns of one name', () => {
    expect(pushNames(['Event Time', 'Event Name', 'event_time'])).toEqual(['event_time', 'event_name', null]);
  });

  it('is told from what is no report', () => {
    expect(isReportHeader(pushNames(DEFAULT_COLUMNS))).toBe(true);
    expect([['<html>'], ['Date', 'Clicks'], ['Event Time']].map((header) => isReportHeader(pushNames(header)))).toEqual([false, false, false]);
  });
});
