/**
 * The names by which the columns of a cost report are known: plain ones, and AppsFlyer's, where they are public.
 *
 * Sources: Cost ETL files (`date, app_id, media_source, campaign, campaign_id, geo, currency, cost, adset, ad …`), Cost Import's CSV
 * (`date, app-id, media-source, campaign, campaign-id, geo, currency, spend`), aggregate reports (`Date, Agency/PMD (af_prt), Media Source (pid),
 * Campaign (c), Country, Total Cost`). Compared in lower case, runs of anything but letters and digits as one underscore.
 * What attribution links carry (`af_cost_value`, `Cost Value`) is another thing, and in no list.
 */

export const COST_FIELDS = ['date', 'app_id', 'media_source', 'campaign_id', 'campaign', 'country', 'currency', 'cost'] as const;
export type CostField = (typeof COST_FIELDS)[number];

/** In order of preference, where a report has two of them. */
const NAMES: Readonly<Record<CostField, readonly string[]>> = {
  date: ['date'],
  app_id: ['app_id'],
  media_source: ['media_source', 'media_source_pid', 'pid'],
  campaign_id: ['campaign_id', 'af_c_id'],
  campaign: ['campaign', 'campaign_name', 'campaign_c', 'c'],
  country: ['country', 'geo', 'country_code'],
  currency: ['currency', 'cost_currency'],
  cost: ['cost', 'spend', 'total_cost'],
};

/** Columns by which a report may be finer than a row: lines that differ in one of them are parts of one amount. */
const DETAILS: ReadonlySet<string> = new Set([
  'adset', 'adset_id', 'adset_name', 'af_adset', 'af_adset_id', 'ad', 'ad_id', 'ad_name', 'af_ad', 'af_ad_id', 'ad_account', 'ad_account_id', 'channel', 'af_channel',
  'site_id', 'af_siteid', 'keyword', 'keywords', 'keyword_id', 'keyword_term', 'agency', 'af_prt', 'agency_pmd_af_prt', 'partner', 'os', 'platform', 'region', 'state', 'city', 'dma',
]);

/** How a name is compared. */
export const plainName = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_|_$/g, '');

/** Where the fields stand in a list of names. */
export interface CostColumns {
  /** By field: positions, the preferred one first; none for a field that is not there. */
  readonly of: Readonly<Record<CostField, readonly number[]>>;
  readonly details: readonly number[];
}

export function costColumns(names: readonly string[]): CostColumns {
  const plain = names.map(plainName);
  const positions = (field: CostField): number[] => NAMES[field].flatMap((name) => plain.flatMap((other, at) => (other === name ? [at] : [])));
  return {
    of: Object.fromEntries(COST_FIELDS.map((field) => [field, positions(field)])) as Record<CostField, number[]>,
    details: plain.flatMap((name, at) => (DETAILS.has(name) ? [at] : [])),
  };
}

/** Whether a report's column says anything of spend; others need not be read. */
export const isCostColumn = (name: string): boolean => {
  const plain = plainName(name);
  return DETAILS.has(plain) || COST_FIELDS.some((field) => NAMES[field].includes(plain));
};
