/**
 * Who sends: apps, campaigns and users, each a pure function of (seed, number). Nothing is kept, so any number of them is free.
 */

import { Random, Stream } from './random.ts';

const MS_PER_DAY = 86_400_000;
/** Users of the pool installed at most this long before the start. */
const INSTALLED_DAYS_AGO_MAX = 60;

export interface App {
  readonly appId: string;
  readonly bundleId: string;
  readonly name: string;
  readonly platform: 'ios' | 'android';
  readonly version: string;
  readonly currency: string;
  readonly timeZone: string;
  readonly zoneOffsetMinutes: number;
}

export interface Campaign {
  /** Absent in some: then the name stands for the campaign. */
  readonly id: string | null;
  readonly name: string | null;
  /** The name gets a suffix by day: a label that changes while the id stays. */
  readonly isRenamed: boolean;
  readonly mediaSource: string;
  readonly channel: string;
  readonly agency: string | null;
  readonly touchType: 'click' | 'impression';
  readonly matchType: string;
  readonly isRetargeting: boolean;
}

export interface User {
  readonly number: number;
  readonly app: App;
  /** Null for organic users. */
  readonly campaign: Campaign | null;
  /** Set while a re-engagement or re-attribution window is open. */
  readonly retargeting: { readonly type: 're-engagement' | 're-attribution'; readonly campaign: Campaign } | null;
  readonly installMs: number;
  readonly appsflyerId: string;
  readonly customerUserId: string | null;
  /** `advertising_id` or `idfa`; all zeros for users who limit tracking. */
  readonly advertisingId: string;
  /** `android_id` or `idfv`. */
  readonly vendorId: string;
  readonly isTrackingLimited: boolean;
  readonly country: string;
  readonly city: string;
  readonly region: string;
  readonly ip: string;
  readonly language: string;
  readonly deviceCategory: 'phone' | 'tablet';
  readonly deviceModel: string;
  readonly deviceType: string;
  readonly osVersion: string;
  readonly carrier: string;
  readonly userAgent: string;
}

export interface WorldOptions {
  readonly seed: number;
  readonly apps: number;
  readonly campaigns: number;
  readonly users: number;
  readonly startMs: number;
}

type Place = readonly [country: string, city: string, region: string, language: string];
const PLACES: readonly [Place, ...Place[]] = [
  ['US', 'Columbus', 'NA', 'English'],
  ['DE', 'Köln', 'EU', 'Deutsch'],
  ['FR', 'Lyon', 'EU', 'français'],
  ['BR', 'São Paulo', 'SA', 'português'],
  ['JP', '横浜市', 'AS', '日本語'],
  ['GB', 'Leeds', 'EU', 'English'],
  ['IN', 'Pune', 'AS', 'English'],
  ['TR', 'İzmir', 'AS', 'Türkçe'],
  ['MX', 'Mérida', 'NA', 'español'],
  ['KR', '부산', 'AS', '한국어'],
  ['ES', 'Málaga', 'EU', 'español'],
  ['IT', 'Torino', 'EU', 'italiano'],
  ['ID', 'Bandung', 'AS', 'Indonesia'],
  ['SE', 'Malmö', 'EU', 'svenska'],
  ['AE', 'دبي', 'AS', 'العربية'],
  ['NG', 'Lagos', 'AF', 'English'],
];
type Source = readonly [mediaSource: string, channel: string, matchType: string];
const SOURCES: readonly [Source, ...Source[]] = [
  ['googleadwords_int', 'ACI_Search', 'srn'],
  ['Facebook Ads', 'Instagram', 'srn'],
  ['bytedanceglobal_int', 'TikTok', 'srn'],
  ['Apple Search Ads', 'Search', 'srn'],
  ['unityads_int', 'rewarded', 'id_matching'],
  ['applovin_int', 'playable', 'gp_referrer'],
  ['restricted', 'Display', 'srn'],
  ['email_crm', 'newsletter', 'probabilistic'],
];
const THEMES = ['spring_sale', 'brand', 'лето_2026', '新規ユーザー', 'lookalike 1% "best"', 'puzzle/levels', 'win-back', 'ROAS d7'] as const;
type Device = readonly [category: 'phone' | 'tablet', model: string, type: string];
const ANDROID_DEVICES: readonly [Device, ...Device[]] = [
  ['phone', 'xiaomi::Redmi Note 8T', 'Redmi Note 8T'],
  ['phone', 'samsung::SM-G991B', 'SM-G991B'],
  ['tablet', 'samsung::SM-T870', 'SM-T870'],
  ['phone', 'google::Pixel 7', 'Pixel 7'],
];
const IOS_DEVICES: readonly [Device, ...Device[]] = [
  ['phone', 'iPhone 14', 'iPhone14,7'],
  ['phone', 'iPhone 13 Pro', 'iPhone14,2'],
  ['tablet', 'iPad Air', 'iPad13,1'],
];
const CARRIERS = ['Verizon', 'Telekom.de', 'Orange F', 'Vivo', 'SoftBank', 'Turkcell'] as const;
const ZERO_ID = '00000000-0000-0000-0000-000000000000';
type Zone = readonly [name: string, offsetMinutes: number, currency: string];
const ZONES: readonly [Zone, ...Zone[]] = [
  ['Europe/Paris', 120, 'EUR'],
  ['America/New_York', -240, 'USD'],
  ['Asia/Kolkata', 330, 'INR'],
];

export class World {
  readonly #options: WorldOptions;
  readonly #random = new Random(0, Stream.user, 0);
  readonly #apps: readonly App[];
  readonly #campaigns: readonly Campaign[];

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#apps = Array.from({ length: options.apps }, (_, number) => this.#makeApp(number));
    this.#campaigns = Array.from({ length: options.campaigns }, (_, number) => this.#makeCampaign(number));
  }

  app(number: number): App {
    return this.#apps[number % this.#apps.length] as App;
  }

  /** A campaign of the wanted kind; popular ones more often. */
  campaign(random: Random, isRetargeting: boolean): Campaign {
    // Every fourth campaign retargets; with fewer than four there is but one kind.
    const wanted = random.popular(this.#campaigns.length);
    const aligned = wanted - (wanted % 4) + (isRetargeting ? 3 : wanted % 3);
    return this.#campaigns[Math.min(aligned, this.#campaigns.length - 1)] as Campaign;
  }

  /** `installMs`: when a user who is not of the pool installed; those of the pool did before the start. */
  user(number: number, installMs: number): User {
    const random = this.#random;
    random.reset(this.#options.seed, Stream.user, number);
    const app = this.app(random.popular(this.#apps.length));
    const [country, city, region, language] = PLACES[random.popular(PLACES.length)] as Place;
    const isIos = app.platform === 'ios';
    const [deviceCategory, deviceModel, deviceType] = random.pick(isIos ? IOS_DEVICES : ANDROID_DEVICES);
    const osVersion = isIos ? `${random.between(15, 18)}.${random.between(0, 6)}.1` : String(random.between(10, 15));
    const campaign = random.chance(0.38) ? null : this.campaign(random, false);
    const isTrackingLimited = random.chance(isIos ? 0.4 : 0.08);
    const installed = number < this.#options.users ? this.#options.startMs - random.between(1, INSTALLED_DAYS_AGO_MAX * MS_PER_DAY) : installMs;
    return {
      number,
      app,
      campaign,
      retargeting: random.chance(0.14) ? { type: random.chance(0.75) ? 're-engagement' : 're-attribution', campaign: this.campaign(random, true) } : null,
      installMs: installed,
      appsflyerId: `${installed}-${isIos ? random.digits(7) : random.digits(19)}`,
      customerUserId: random.chance(0.6) ? String(1_000_000 + number) : null,
      advertisingId: isTrackingLimited ? ZERO_ID : random.uuid(),
      vendorId: isIos ? random.uuid().toUpperCase() : random.hex(16),
      isTrackingLimited,
      country,
      city,
      region,
      language,
      // Addresses of the documentation ranges: never anybody's own.
      ip: `${random.pick(['192.0.2', '198.51.100', '203.0.113'])}.${random.between(1, 254)}`,
      deviceCategory,
      deviceModel,
      deviceType,
      osVersion,
      carrier: random.pick(CARRIERS),
      userAgent: isIos
        ? `${app.name.replaceAll(' ', '')}/${app.version} CFNetwork/1410.0.3 Darwin/22.6.0 (${deviceType}; iOS ${osVersion})`
        : `Dalvik/2.1.0 (Linux; U; Android ${osVersion}; ${deviceType} Build/TP1A.220624.014)`,
    };
  }

  #makeApp(number: number): App {
    const random = new Random(this.#options.seed, Stream.app, number);
    const isIos = number % 2 === 1;
    const [timeZone, zoneOffsetMinutes, currency] = random.pick(ZONES);
    const word = ['shop', 'puzzle', 'fit', 'chat'][number % 4] as string;
    return {
      appId: isIos ? `id1${random.digits(9)}` : `com.example.${word}${number}`,
      bundleId: isIos ? `com.example.${word}${number}.ios` : `com.example.${word}${number}`,
      name: `Example ${word} ${number}`,
      platform: isIos ? 'ios' : 'android',
      version: `${random.between(1, 9)}.${random.between(0, 20)}.${random.between(0, 9)}`,
      currency,
      timeZone,
      zoneOffsetMinutes,
    };
  }

  #makeCampaign(number: number): Campaign {
    const random = new Random(this.#options.seed, Stream.campaign, number);
    const [mediaSource, channel, matchType] = random.pick(SOURCES);
    // One in sixteen has only a name, one in forty neither; the first ones, which bring the most traffic, have both.
    const form = number < 4 ? 0 : number % 40 === 9 ? 2 : number % 16 === 5 ? 1 : 0;
    return {
      id: form === 0 ? (number % 5 === 0 ? `6${random.digits(17)}` : random.digits(11)) : null,
      name: form === 2 ? null : `${random.pick(THEMES)}_${number}`,
      isRenamed: form === 0 && number % 8 === 2,
      mediaSource,
      channel,
      agency: random.chance(0.15) ? 'goodagency' : null,
      touchType: random.chance(0.8) ? 'click' : 'impression',
      matchType,
      isRetargeting: number % 4 === 3,
    };
  }
}
