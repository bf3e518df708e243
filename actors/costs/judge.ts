/**
 * One line of a cost report judged: the row that it states, or the code of what is wrong with it. Pure.
 *
 * Names are those of cells, so that spend joins the metrics: `organic` in lower case, country in upper case, campaign_id the id, else the
 * campaign's name, else `none`. Absent, null, empty, `N/A` and `NULL` are one.
 */

import type { CostRow } from '../../engine/core/costs.ts';
import { dimensionValue } from '../../engine/core/dimension-value.ts';
import { costMicros, type MoreDecimals } from './amount.ts';
import { COST_FIELDS, type CostColumns, type CostField } from './columns.ts';

/** Why a line is no row, and what that means. */
export const COST_CODES = {
  NOT_JSON: 'the line is not valid JSON',
  NOT_OBJECT: 'the line is JSON but not one object',
  BAD_COLUMNS: 'the line has more or fewer columns than the header',
  BAD_VALUE: 'a name, date or id is neither text nor a whole number that JSON carries exactly: send it as text',
  NO_DATE: 'there is no date',
  BAD_DATE: 'the date is not yyyy-mm-dd, yyyy/mm/dd, mm-dd-yyyy or mm/dd/yyyy, or there is no such day',
  DATE_OUT_OF_RANGE: 'the date is after tomorrow, or before costs.retention_days',
  NO_APP_ID: 'there is no app_id',
  NO_MEDIA_SOURCE: 'there is no media source',
  BAD_COUNTRY: 'the country is not two letters',
  NO_CURRENCY: 'there is no currency',
  BAD_CURRENCY: 'the currency is not three letters (ISO 4217)',
  NO_COST: 'there is no amount',
  BAD_COST: 'the amount is no decimal of at most six places and nine billion units; numbers beyond a thousand million must be texts',
  MIXED_CURRENCY: 'another line of the same date, app, media source, campaign and country has another currency',
} as const;
export type CostCode = keyof typeof COST_CODES;

export interface CostJudgeOptions {
  /** First and last date that is taken, `yyyy-mm-dd`. */
  readonly dates: { readonly first: string; readonly last: string };
  /** For lines that have none: reports of one app say neither app nor currency. */
  readonly defaults: { readonly appId: string | null; readonly currency: string | null };
  readonly moreDecimals: MoreDecimals;
}

/** A row, and what tells its line from others that are parts of the same row. */
export interface JudgedLine {
  readonly row: CostRow;
  readonly detail: string;
}

const SEPARATOR = '\u001f';
const TEXTS = COST_FIELDS.filter((field) => field !== 'cost');
/** Ids may come as JSON numbers; of 18 digits they would be others by now. */
const isText = (value: unknown): boolean => typeof value === 'string' || Number.isSafeInteger(value);

export class CostJudge {
  readonly #options: CostJudgeOptions;
  /** The line's fields as text, by field; an amount may be a number. */
  readonly #values = Object.fromEntries(COST_FIELDS.map((field) => [field, ''])) as Record<CostField, unknown>;

  constructor(options: CostJudgeOptions) {
    this.#options = options;
  }

  /** `cells`: as many as there are names in `columns`. */
  judge(cells: readonly unknown[], columns: CostColumns): JudgedLine | CostCode {
    for (const field of COST_FIELDS) {
      this.#values[field] = '';
      for (const at of columns.of[field]) {
        if (isAbsent(cells[at])) continue;
        this.#values[field] = cells[at];
        break;
      }
    }
    for (const field of TEXTS) if (!isText(this.#values[field])) return 'BAD_VALUE';
    const row = this.#row();
    return typeof row === 'string' ? row : { row, detail: columns.details.map((at) => (isAbsent(cells[at]) ? '' : String(cells[at]))).join(SEPARATOR) };
  }

  #row(): CostRow | CostCode {
    const { dates, defaults, moreDecimals } = this.#options;
    const dateText = this.#text('date');
    if (dateText === '') return 'NO_DATE';
    const date = readDate(dateText);
    if (date === null) return 'BAD_DATE';
    if (date < dates.first || date > dates.last) return 'DATE_OUT_OF_RANGE';
    const appId = this.#text('app_id') || (defaults.appId ?? '');
    if (appId === '') return 'NO_APP_ID';
    const source = this.#text('media_source');
    if (source === '') return 'NO_MEDIA_SOURCE';
    const country = this.#text('country');
    if (country !== '' && !/^[A-Za-z]{2}$/.test(country)) return 'BAD_COUNTRY';
    const currency = this.#text('currency') || (defaults.currency ?? '');
    if (currency === '') return 'NO_CURRENCY';
    if (!isCurrency(currency)) return 'BAD_CURRENCY';
    const amount = this.#values.cost;
    if (amount === '') return 'NO_COST';
    const micros = costMicros(amount, moreDecimals);
    if (micros === null) return 'BAD_COST';
    const campaign = this.#text('campaign');
    const mediaSource = source.toLowerCase() === 'organic' ? 'organic' : source;
    return {
      date,
      appId: dimensionValue(appId),
      mediaSource: dimensionValue(mediaSource),
      campaignId: dimensionValue(this.#text('campaign_id') || campaign || 'none'),
      country: country.toUpperCase(),
      campaign: dimensionValue(campaign),
      currency,
      costMicros: micros,
    };
  }

  #text(field: CostField): string {
    return String(this.#values[field]).trim();
  }
}

/** Kept as given, so it is not put into upper case here. */
export const isCurrency = (text: string): boolean => /^[A-Za-z]{3}$/.test(text);

const isAbsent = (value: unknown): boolean => value === undefined || value === null || value === '' || value === 'N/A' || value === 'NULL';

/** `yyyy-mm-dd` of the four ways in which Cost Import takes a date; a time of day behind it is not looked at. Null for none. */
export function readDate(text: string): string | null {
  const day = text.replace(/[T ]\d\d:\d\d.*$/, '');
  const match = /^(?<year>\d{4})([-/])(?<month>\d\d)\2(?<day>\d\d)$/.exec(day) ?? /^(?<month>\d{1,2})([-/])(?<day>\d{1,2})\2(?<year>\d{4})$/.exec(day);
  const parts = match?.groups;
  if (parts === undefined) return null;
  const date = `${parts['year'] as string}-${(parts['month'] as string).padStart(2, '0')}-${(parts['day'] as string).padStart(2, '0')}`;
  const timeMs = Date.parse(`${date}T00:00:00Z`);
  return Number.isFinite(timeMs) && new Date(timeMs).toISOString().startsWith(date) ? date : null;
}
