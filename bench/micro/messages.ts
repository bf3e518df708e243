/**
 * Realistic push messages for the micro benches: one batch-like buffer, about 1.6 KB a message, keys in AppsFlyer's order, values that vary.
 */

export interface MessageBuffer {
  readonly bytes: Buffer;
  /** `bytes.subarray(starts[i], ends[i])` is a message. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

export interface MessageOptions {
  readonly count: number;
  /** White space after colons and commas, as Python writes JSON: off the door's fastest path. */
  readonly spaced?: boolean;
  /** A city and a campaign with letters beyond ASCII. */
  readonly wide?: boolean;
  /** Nine of ten are of one campaign, and so of one cell. */
  readonly skewed?: boolean;
}

const COUNTRIES = ['FR', 'DE', 'US', 'BR', 'JP', 'IN', 'GB', 'IT'];
const SOURCES = ['googleadwords_int', 'Facebook Ads', 'tiktokglobal_int', 'applovin_int', 'organic'];

export function buildMessages(options: MessageOptions): MessageBuffer {
  const parts: Buffer[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  let at = 0;
  for (let index = 0; index < options.count; index++) {
    const message = buildMessage(index, options);
    const text = options.spaced === true ? JSON.stringify(message, null, 1).replace(/\n */g, ' ') : JSON.stringify(message);
    // 32 bytes between messages stand for the journal's record headers.
    const part = Buffer.from(text);
    parts.push(Buffer.alloc(32, 0x7d), part);
    starts.push(at + 32);
    at += 32 + part.byteLength;
    ends.push(at);
  }
  return { bytes: Buffer.concat(parts), starts, ends };
}

function buildMessage(index: number, { wide = false, skewed = false }: MessageOptions): Record<string, unknown> {
  const isHot = skewed && index % 10 !== 0;
  const campaign = isHot ? 0 : index % 40;
  const seconds = String(index % 60).padStart(2, '0');
  const source = SOURCES[campaign % SOURCES.length] as string;
  return {
    api_version: '2.0',
    event_type: 'install-in-app-event',
    app_id: campaign % 2 === 0 ? 'com.example.shop' : 'com.example.games.puzzle',
    bundle_id: 'com.example.shop',
    app_name: 'Example Shop',
    app_version: '4.2.0',
    platform: 'android',
    appsflyer_id: `17180000${String(10_000 + index)}-4500123456789${String(100_000 + index)}`,
    customer_user_id: `u-${index}`,
    advertising_id: '11111111-2222-4333-8444-555555555555',
    event_name: 'af_purchase',
    event_time: `2026-05-03 10:15:${seconds}.318`,
    event_time_selected_timezone: `2026-05-03 12:15:${seconds}.318+0200`,
    selected_timezone: 'Europe/Paris',
    event_value: `{"af_revenue":"${index % 90}.50","af_currency":"EUR","af_content_id":"sku-${index}","af_quantity":2}`,
    event_revenue: `${index % 90}.5`,
    event_revenue_currency: 'EUR',
    event_revenue_usd: `${index % 90}.61`,
    selected_currency: 'EUR',
    revenue_in_selected_currency: `${index % 90}.5`,
    event_source: 'SDK',
    install_time: '2026-05-01 08:00:11.004',
    install_time_selected_timezone: '2026-05-01 10:00:11.004+0200',
    attributed_touch_type: 'click',
    attributed_touch_time: '2026-05-01 07:58:40.000',
    media_source: source,
    af_channel: 'ACI_Search',
    campaign: wide ? `été_${campaign}` : `spring_fr_${campaign}`,
    af_c_id: String(21_421_952_000 + campaign),
    af_adset_id: '168145036514',
    af_adset: 'lookalike_2pc',
    af_ad_id: '704817236415',
    campaign_type: 'ua',
    conversion_type: 'install',
    is_retargeting: false,
    is_primary_attribution: true,
    match_type: 'srn',
    country_code: COUNTRIES[isHot ? 0 : index % COUNTRIES.length],
    region: 'EU',
    city: wide ? 'Saint-Étienne' : 'Lyon',
    postal_code: '69002',
    ip: '192.0.2.44',
    device_category: 'phone',
    device_model: 'xiaomi::Redmi Note 8T',
    os_version: '11',
    sdk_version: 'v6.12.2',
    language: 'français'.replace('ç', wide ? 'ç' : 'c'),
    carrier: 'Orange F',
    wifi: true,
    user_agent: 'Dalvik/2.1.0 (Linux; U; Android 11; Redmi Note 8T MIUI/V12.5.6.0)',
  };
}
