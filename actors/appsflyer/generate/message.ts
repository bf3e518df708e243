/**
 * One action of the generated world as the message(s) it causes: a pure function of (seed, action number, base time), so that a resend
 * is made again, byte for byte, and nothing needs to be kept.
 *
 * Actions differ in identity by construction: each brings a user of its own or an `af_order_id` of its own. Only resends repeat one.
 */

import { CONVERSION_EVENTS, type Effect, type EffectMeasure } from './effect.ts';
import { encodeBody, encodeQuery } from './encode.ts';
import { makeFields, type MissingIds, type Subject } from './fields.ts';
import { makeGarbage } from './garbage.ts';
import { inAppEvent, type InAppEvent } from './in-app.ts';
import { Random, Stream } from './random.ts';
import { makeSkan } from './skan.ts';
import type { Campaign, User, World } from './world.ts';

const MS_PER_MINUTE = 60_000;
const MS_PER_HOUR = 3_600_000;

/** What happens, by cumulative share of the actions that are no garbage; the mix of a store app's stream (chosen). */
const MIX = [
  ['install', 0.14],
  ['reinstall', 0.16],
  ['re-engagement', 0.18],
  ['re-attribution', 0.19],
  ['skan', 0.23],
  ['in-app', 1],
] as const;
type Category = 'garbage' | (typeof MIX)[number][0];

/** How far event times lie behind delivery: [share of actions up to here, least, most]. Seconds for most, days for very few. */
const LAGS = [
  [0.9, 1_000, 45_000],
  [0.98, 45_000, 4 * MS_PER_MINUTE],
  [0.995, 4 * MS_PER_MINUTE, 15 * MS_PER_MINUTE],
  [0.999, 15 * MS_PER_MINUTE, 2 * MS_PER_HOUR],
  [1, 2 * MS_PER_HOUR, 48 * MS_PER_HOUR],
] as const;
/** Share of in-app events by somebody who installed within the last actions, and how many of those are looked back over. */
const NEWCOMER_SHARE = 0.25;
const NEWCOMER_ACTIONS_BACK = 20_000;
const QUERY_SHARE = 0.02;

/** `secondary`: the copy for the original source, in a re-engagement window. */
export type Part = 'primary' | 'secondary';

export interface Message {
  readonly body: string;
  readonly method: 'POST' | 'GET';
  /** AppsFlyer's message type, `skan`, or `garbage`. */
  readonly kind: string;
  /** Of garbage: what it would have been. */
  readonly eventTimeMs: number;
  readonly effect: Effect;
  /** A second message follows for the original source. */
  readonly hasSecondary: boolean;
}

export interface MessageOptions {
  readonly seed: number;
  readonly users: number;
  readonly startMs: number;
  readonly intervalMs: number;
  /** Share of actions that are garbage, 0 to 1. */
  readonly garbageShare: number;
}

export class MessageMaker {
  readonly #options: MessageOptions;
  readonly #world: World;
  readonly #random = new Random(0, Stream.action, 0);
  readonly #other = new Random(0, Stream.action, 0);

  constructor(options: MessageOptions, world: World) {
    this.#options = options;
    this.#world = world;
  }

  /** `baseMs`: when the action's first message is delivered. */
  make(action: number, baseMs: number, part: Part): Message {
    const random = this.#random;
    random.reset(this.#options.seed, Stream.action, action);
    const category = this.#category(random);
    const timeMs = Math.max(0, Math.floor(baseMs) - lagMs(random));
    if (category === 'skan') {
      const { fields, effect } = makeSkan(this.#world, random, timeMs);
      return { body: encodeBody(fields, random), method: 'POST', kind: 'skan', eventTimeMs: timeMs, effect, hasSecondary: false };
    }
    const user = this.#user(category, random, action, timeMs);
    const subject = makeSubject(category, user, timeMs, category === 'in-app' ? inAppEvent(random, user.app, `o-${this.#options.seed}-${action}`) : null);
    const hasSecondary = subject.eventType === 're-engagement-in-app-event' && subject.inApp !== null && action % 2 === 0;
    const sent = part === 'secondary' ? secondaryOf(subject) : subject;
    const missing = missingIds(random);
    const fields = makeFields(sent, missing, random);
    if (category === 'garbage') {
      const { body, code } = makeGarbage(fields, random);
      return { body, method: 'POST', kind: 'garbage', eventTimeMs: timeMs, effect: { verdict: 'rejected', code }, hasSecondary: false };
    }
    const country = spellCountry(fields, user.country, random);
    thinOut(fields, sent, random);
    const effect = effectOf(sent, country);
    const isQuery = random.chance(QUERY_SHARE);
    const body = isQuery ? encodeQuery(fields) : encodeBody(fields, random);
    return { body, method: isQuery ? 'GET' : 'POST', kind: sent.eventType, eventTimeMs: timeMs, effect, hasSecondary: hasSecondary && part === 'primary' };
  }

  #category(random: Random): Category {
    if (random.chance(this.#options.garbageShare)) return 'garbage';
    const share = random.share();
    return MIX.find(([, upTo]) => share < upTo)?.[0] ?? 'in-app';
  }

  /** Installs and the like bring a user nobody else is; in-app events come from those or from the pool. */
  #user(category: Category, random: Random, action: number, timeMs: number): User {
    const { seed, users, startMs, intervalMs } = this.#options;
    if (category === 'install') return this.#world.user(users + action, startMs + Math.floor(action * intervalMs));
    if (category !== 'in-app' && category !== 'garbage') return this.#world.user(users + action, timeMs - random.between(1, 30) * 24 * MS_PER_HOUR);
    const earlier = action - 1 - random.popular(NEWCOMER_ACTIONS_BACK);
    const isNewcomer = random.chance(NEWCOMER_SHARE);
    const fromPool = random.between(0, users - 1);
    if (isNewcomer && earlier >= 0) {
      this.#other.reset(seed, Stream.action, earlier);
      if (this.#category(this.#other) === 'install') return this.#world.user(users + earlier, startMs + Math.floor(earlier * intervalMs));
    }
    return this.#world.user(fromPool, 0);
  }
}

function lagMs(random: Random): number {
  const share = random.share();
  const [, least, most] = LAGS.find(([upTo]) => share < upTo) ?? LAGS[0];
  return random.between(least, most);
}

function makeSubject(category: Category, user: User, timeMs: number, inApp: InAppEvent | null): Subject {
  const base = { user, timeMs, inApp, isPrimary: true } as const;
  const isOrganic = user.campaign === null;
  const prefix = isOrganic ? 'organic-' : '';
  const source = { campaign: user.campaign, campaignType: isOrganic ? 'organic' : 'ua' } as const;
  const retargeting: Campaign | null = user.retargeting?.campaign ?? user.campaign;
  switch (category) {
    case 'reinstall':
      return { ...base, ...source, eventType: `${prefix}reinstall`, eventName: 'reinstall', conversionType: 'reinstall' };
    case 're-engagement':
    case 're-attribution':
      // A retargeting source is never organic: who has none reinstalls instead.
      if (retargeting === null) return { ...base, ...source, eventType: `${prefix}reinstall`, eventName: 'reinstall', conversionType: 'reinstall' };
      return {
        ...base,
        campaign: retargeting,
        campaignType: 'retargeting',
        eventType: category,
        eventName: category,
        conversionType: category === 're-engagement' ? 're-engagement' : 'reinstall',
      };
    case 'in-app': {
      const eventName = inApp?.name ?? '';
      if (user.retargeting === null) return { ...base, ...source, eventType: `${prefix}install-in-app-event`, eventName, conversionType: 'install' };
      const { type, campaign } = user.retargeting;
      return {
        ...base,
        campaign,
        campaignType: 'retargeting',
        eventType: `${type}-in-app-event`,
        eventName,
        conversionType: type === 're-engagement' ? 're-engagement' : 'reinstall',
      };
    }
    case 'install':
    case 'skan':
    case 'garbage':
      return { ...base, ...source, eventType: `${prefix}install`, eventName: 'install', conversionType: 'install' };
  }
}

/** What the original source is told of an event within somebody else's window: the same event, not primary. */
const secondaryOf = (subject: Subject): Subject => ({
  ...subject,
  campaign: subject.user.campaign,
  campaignType: subject.user.campaign === null ? 'organic' : 'ua',
  isPrimary: false,
});

/** Few messages lack their first ids; the vendor's id is then always there, so that no message names nobody. */
function missingIds(random: Random): MissingIds {
  const appsflyerId = random.chance(0.02);
  const customerUserId = random.chance(0.3);
  const advertisingId = random.chance(0.2);
  return { appsflyerId, customerUserId: appsflyerId && customerUserId, advertisingId: appsflyerId && advertisingId };
}

/** Sets country_code, and returns the country that must be counted. */
function spellCountry(fields: Record<string, unknown>, country: string, random: Random): string {
  const share = random.share();
  if (share < 0.01) return 'unknown';
  fields['country_code'] = share < 0.03 ? country.toLowerCase() : country;
  return country;
}

/** Takes out what may be unselected without changing what the message means. */
function thinOut(fields: Record<string, unknown>, subject: Subject, random: Random): void {
  if (random.chance(0.05)) delete fields['event_type'];
  if (random.chance(0.02)) delete fields['platform'];
  if (random.chance(0.95)) fields['device_category'] = subject.user.deviceCategory;
  // Without campaign_type, is_retargeting tells ua from retargeting; organic needs it.
  if (random.chance(0.03) && subject.campaignType !== 'organic') delete fields['campaign_type'];
  if (random.chance(0.1)) fields['a_field_of_next_year'] = { nested: [random.between(0, 9)], note: 'new keys come without notice' };
}

function effectOf(subject: Subject, country: string): Effect {
  const { campaign, inApp, isPrimary, timeMs } = subject;
  const measures: Partial<Record<EffectMeasure, number>> = {};
  const conversion = inApp !== null && CONVERSION_EVENTS.has(inApp.name) ? inApp.name : null;
  if (inApp === null) measures[measureOf(subject.eventName)] = 1;
  else if (isPrimary) measures.events = 1;
  if (conversion !== null) measures[isPrimary ? 'conversions' : 'secondary_conversions'] = 1;
  const money = inApp?.money ?? null;
  if (money !== null) {
    if (money.usdMicros !== null) measures[isPrimary ? 'revenue_micros' : 'secondary_revenue_micros'] = money.usdMicros;
    else if (isPrimary) measures.unpriced_events = 1;
  }
  const campaignId = subject.campaignType === 'organic' ? 'organic' : (campaign?.id ?? campaign?.name ?? 'none');
  return { verdict: 'counted', timeMs, campaignId, country, measures, conversion: isPrimary ? conversion : null };
}

function measureOf(eventName: string): EffectMeasure {
  if (eventName === 'install') return 'installs';
  if (eventName === 'reinstall') return 'reinstalls';
  return eventName === 're-engagement' ? 're_engagements' : 're_attributions';
}
