/**
 * The one place where messages of other shapes than Push v2 become the same fields: which name stands for which field, and what wins.
 *
 * ```
 * s2s      what a user's server sends to AppsFlyer's S2S API, and to us: known by its route
 * v1       Push before 2021, which old forwarders still send: known by a field that only v1 has, and no api_version 2
 * report   rows of Pull reports that have measures of their own: known by the millrace_kind that ingress wrote
 * ```
 * One principle for all: a field under its Push v2 name wins; where it is absent, the first rule below that has a text fills it in. An amount that
 * is there and cannot be read is filled in as one that nobody can read, so that it counts as unpriced and not as none. Such messages are rare, and
 * go through JSON.parse. The test of this table goes through {@link FIELD_RULES} itself.
 *
 * Sources: AppsFlyer's S2S specification; of v1 its bulletin of the removal and messages that receivers have published.
 */

import { topLevelTokens } from '../../engine/core/json-tokens.ts';
import { RecordSource } from '../../engine/core/record.ts';
import { parameterOf, parametersOf } from './event-value.ts';
import type { FieldTable } from './field-table.ts';
import { Field } from './fields.ts';
import { ownKind } from './message-type.ts';
import { DETAIL_FIELDS, fillReport } from './report-rows.ts';

export type Shape = 's2s' | 'v1' | 'report';

export interface FieldRule {
  readonly shape: Shape;
  readonly field: Field;
  /** A name of the message; or, after {@link PARAMETER}, of a parameter in event_value. */
  readonly from: string;
  /** Only where another name of the message has this value, in any case. */
  readonly when?: { readonly name: string; readonly is: string };
  /** Only these texts, in lower case, and what they become. */
  readonly values?: ReadonlyMap<string, string>;
}

export const PARAMETER = 'event_value.';

/** Names of v1's event types that are names of events in v2. */
const NAMES_OF_TYPES: ReadonlyMap<string, string> = new Map(['install', 'reinstall', 're-engagement', 're-attribution'].map((name) => [name, name]));

export const FIELD_RULES: readonly FieldRule[] = [
  { shape: 's2s', field: Field.eventName, from: 'eventName' },
  { shape: 's2s', field: Field.eventValue, from: 'eventValue' },
  { shape: 's2s', field: Field.eventTime, from: 'eventTime' },
  { shape: 's2s', field: Field.eventRevenueCurrency, from: 'eventCurrency' },
  { shape: 's2s', field: Field.eventRevenueCurrency, from: `${PARAMETER}af_currency` },
  { shape: 's2s', field: Field.eventRevenue, from: `${PARAMETER}af_revenue` },

  { shape: 'v1', field: Field.eventName, from: 'event_type', values: NAMES_OF_TYPES },
  { shape: 'v1', field: Field.eventTime, from: 'install_time', when: { name: 'event_type', is: 'install' } },
  { shape: 'v1', field: Field.campaignId, from: 'fb_campaign_id' },
  { shape: 'v1', field: Field.campaign, from: 'fb_campaign_name' },
  // The other value, `regular`, says no more than that: is_retargeting tells the rest.
  { shape: 'v1', field: Field.campaignType, from: 'attribution_type', values: new Map([['organic', 'organic']]) },
  { shape: 'v1', field: Field.conversionType, from: 're_targeting_conversion_type' },
  { shape: 'v1', field: Field.eventRevenueUsd, from: 'revenue_in_selected_currency', when: { name: 'selected_currency', is: 'usd' } },
  { shape: 'v1', field: Field.eventRevenueCurrency, from: 'currency' },
  { shape: 'v1', field: Field.eventRevenueCurrency, from: `${PARAMETER}af_currency` },
  { shape: 'v1', field: Field.eventRevenue, from: `${PARAMETER}af_revenue` },

  { shape: 'report', field: Field.eventName, from: 'millrace_kind' },
  { shape: 'report', field: Field.eventTime, from: 'install_time' },
];

const RULES_OF: Readonly<Record<Shape, readonly FieldRule[]>> = {
  s2s: FIELD_RULES.filter(({ shape }) => shape === 's2s'),
  v1: FIELD_RULES.filter(({ shape }) => shape === 'v1'),
  report: FIELD_RULES.filter(({ shape }) => shape === 'report'),
};

const AMOUNT = 'af_revenue';
const UNREADABLE_AMOUNT = '?';

/** Null for Push v2, in next to no time. `fields`: those under their Push names. */
export function shapeOf(source: number, fields: FieldTable): Shape | null {
  if (source === RecordSource.s2s) return 's2s';
  if (source === RecordSource.pull) return fields.has(Field.millraceKind) && ownKind(fields.value(Field.millraceKind), source) !== undefined ? 'report' : null;
  return fields.hasFieldOfV1 ? 'v1' : null;
}

/** Fills in what a message of this shape has under other names. `body`, whose JSON text is `text`, has its fields under Push names in the table already. */
export function completeFields(shape: Shape, body: Readonly<Record<string, unknown>>, text: string, fields: FieldTable): void {
  const message = new MessageReader(body, text);
  if (shape === 'v1' && message.text('api_version').startsWith('2')) return;
  let parameters: string | null | undefined;
  for (const { field, from, when, values } of RULES_OF[shape]) {
    if (fields.has(field)) continue;
    if (when !== undefined && message.text(when.name).toLowerCase() !== when.is) continue;
    let found: string;
    if (from.startsWith(PARAMETER)) {
      parameters ??= parametersOf(fields.text(Field.eventValue));
      found = parameters === null ? '' : parameterOf(parameters, from.slice(PARAMETER.length));
    } else found = message.text(from);
    if (values !== undefined) found = values.get(found.toLowerCase()) ?? '';
    if (found !== '') fields.setText(field, found);
  }
  if (shape === 'report') fillReport(message, fields);
  else if (parameters === null && !fields.has(Field.eventRevenue) && fields.text(Field.eventValue).includes(AMOUNT)) fields.setText(Field.eventRevenue, UNREADABLE_AMOUNT);
}

/** Names that rules ask for, besides those of event_value's parameters. */
const ASKED_NAMES: ReadonlySet<string> = new Set(['api_version', ...DETAIL_FIELDS, ...FIELD_RULES.flatMap(({ from, when }) => [from, ...(when === undefined ? [] : [when.name])])]);

/** Texts of a parsed message by a name of {@link ASKED_NAMES}: a string's characters, a boolean's name, of a number, an object or an array the text as it was sent; '' for none. */
class MessageReader {
  readonly #body: Readonly<Record<string, unknown>>;
  readonly #text: string;
  /** Read once, however many are asked for. */
  #tokens: ReadonlyMap<string, string> | null = null;

  constructor(body: Readonly<Record<string, unknown>>, text: string) {
    this.#body = body;
    this.#text = text;
  }

  text(name: string): string {
    const value = Object.hasOwn(this.#body, name) ? this.#body[name] : null;
    if (typeof value === 'string') return value === 'N/A' || value === 'NULL' ? '' : value;
    if (value === null || value === undefined) return '';
    if (typeof value === 'boolean') return String(value);
    this.#tokens ??= topLevelTokens(this.#text, ASKED_NAMES);
    return this.#tokens.get(name) as string;
  }
}
