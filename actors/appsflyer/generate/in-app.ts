/** What users do in apps: event names, their parameters, and money in every form that AppsFlyer sends it. Pure. */

import type { Random } from './random.ts';
import type { App } from './world.ts';

export interface InAppEvent {
  readonly name: string;
  /** The string that holds JSON, as the app sent it; in a few it was cut and is JSON no more. */
  readonly value: string;
  readonly money: Money | null;
}

/** Amounts are texts here; `usdMicros` is what counts, null for an amount without a price in US dollars. */
export interface Money {
  readonly amount: string;
  readonly currency: string;
  readonly usd: string | null;
  readonly usdMicros: number | null;
}

type Name = readonly [name: string, weight: number, paid: boolean];
const NAMES: readonly Name[] = [
  ['af_content_view', 30, false],
  ['af_purchase', 20, true],
  ['af_add_to_cart', 14, false],
  ['af_login', 10, false],
  ['af_level_achieved', 8, false],
  ['af_complete_registration', 6, false],
  ['af_subscribe', 4, true],
  ['af_start_trial', 3, false],
  ['покупка_подарка', 3, true],
  ['share "best" clip', 1, false],
  ['cancel_purchase', 1, true],
];
const WEIGHT = NAMES.reduce((sum, [, weight]) => sum + weight, 0);
/** Units of the currency to one dollar; invented, and stable. */
const RATES: Readonly<Record<string, number>> = { EUR: 0.918, INR: 83.12, JPY: 149.3, GBP: 0.79, USD: 1 };
const REFUND_SHARE = 0.03;
/** AppsFlyer may cut a long parameter, so that the string is no JSON any more. */
const CUT_SHARE = 0.01;

/** `unique` makes the event unlike every other of the same user, name and time. */
export function inAppEvent(random: Random, app: App, unique: string): InAppEvent {
  let at = random.between(1, WEIGHT);
  const [name, , isPaid] = NAMES.find(([, weight]) => (at -= weight) <= 0) as Name;
  const money = isPaid ? makeMoney(random, app, name === 'cancel_purchase') : null;
  const parameters: Record<string, unknown> = { af_order_id: unique };
  if (money !== null) Object.assign(parameters, { af_revenue: money.amount, af_currency: money.currency, af_quantity: random.between(1, 4) });
  parameters['af_content_id'] = `sku-${random.between(1, 5_000)}`;
  parameters['af_content_type'] = random.pick(['shoes', 'Möbel', '玩具', 'books & more']);
  // Both shapes are seen in one app: parameters plain, and once more encoded within a value.
  if (random.chance(0.2)) parameters['params'] = JSON.stringify({ user_id: `u-${random.between(1, 99_999)}`, screen: 'cart', ab: ['a', 'b'] });
  const value = JSON.stringify(parameters);
  return { name, value: random.chance(CUT_SHARE) ? value.slice(0, value.length - 7) : value, money };
}

function makeMoney(random: Random, app: App, isRefund: boolean): Money {
  const currency = random.chance(0.45) ? 'USD' : app.currency === 'USD' ? random.pick(['EUR', 'JPY', 'GBP']) : app.currency;
  const sign = isRefund || random.chance(REFUND_SHARE) ? '-' : '';
  const usdMicros = random.chance(0.1) ? random.between(1, 99_999) * 10 : random.between(10, 29_999) * 10_000;
  const amount = sign + decimal(Math.round((usdMicros * (RATES[currency] as number)) / 10) * 10);
  const usd = sign + decimal(usdMicros);
  const signed = sign === '' ? usdMicros : -usdMicros;
  if (currency !== 'USD') return random.chance(0.15) ? { amount, currency, usd: null, usdMicros: null } : { amount, currency, usd, usdMicros: signed };
  return { amount: usd, currency, usd: random.chance(0.1) ? null : usd, usdMicros: signed };
}

/** Micros as decimal text, without trailing zeros: 12,500,000 is `12.5`. Five decimals at most come out. */
export function decimal(micros: number): string {
  const whole = Math.floor(micros / 1_000_000);
  const rest = String(micros % 1_000_000).padStart(6, '0').replace(/0+$/, '');
  return rest === '' ? String(whole) : `${whole}.${rest}`;
}
