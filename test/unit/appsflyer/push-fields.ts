/** All names that Push v2.0 lets its user select, from the configuration API's specification, and which of them are no strings in messages. */

const CONTRIBUTORS = [1, 2, 3].flatMap((number) => ['af_prt', 'campaign', 'match_type', 'media_source', 'touch_time', 'touch_type'].map((name) => `contributor_${number}_${name}`));

export const PUSH_FIELDS: readonly string[] = [
  'api_version', 'af_c_id', 'campaign', 'af_adset_id', 'af_adset', 'af_ad_id', 'af_ad', 'af_ad_type', 'af_channel', 'af_cost_currency', 'af_cost_model', 'af_cost_value', 'af_keywords',
  'af_attribution_lookback', 'af_prt', 'af_reengagement_window', 'af_siteid', 'af_sub_siteid', 'af_sub1', 'af_sub2', 'af_sub3', 'af_sub4', 'af_sub5', 'is_retargeting', 'media_source',
  'original_url', 'user_agent', 'advertising_id', 'android_id', 'amazon_aid', 'app_id', 'app_name', 'app_version', 'appsflyer_id', 'bundle_id', 'carrier', 'country_code', 'custom_data',
  'customer_user_id', 'device_category', 'device_type', 'device_model', 'event_name', 'event_revenue', 'event_revenue_currency', 'event_time', 'event_value', 'idfa', 'idfv', 'imei',
  'install_app_store', 'install_time', 'ip', 'language', 'operator', 'os_version', 'platform', 'sdk_version', 'wifi', 'gp_broadcast_referrer', 'city', 'attributed_touch_time',
  'attributed_touch_type', ...CONTRIBUTORS, 'dma', 'event_revenue_usd', 'event_source', 'http_referrer', 'is_primary_attribution', 'is_receipt_validated', 'match_type', 'postal_code', 'region',
  'retargeting_conversion_type', 'state', 'network_account_id', 'gp_click_time', 'gp_install_begin', 'gp_referrer', 'keyword_match_type', 'selected_currency', 'revenue_in_selected_currency',
  'cost_in_selected_currency', 'attributed_touch_time_selected_timezone', 'install_time_selected_timezone', 'event_time_selected_timezone', 'selected_timezone', 'deeplink_url', 'oaid',
  'keyword_id', 'store_reinstall', 'is_lat', 'device_download_time', 'device_download_time_selected_timezone', 'conversion_type', 'custom_dimension', 'campaign_type',
];

/** Without these a record is rejected; one id is enough. */
export const NEEDED_FIELDS: readonly string[] = ['app_id', 'event_name', 'event_time', 'appsflyer_id'];
