/**
 * From the header of a report to the names that Push uses: by name, never by position.
 *
 * Columns that this table does not have keep what they hold under their own name in lower case with underscores, so that a column that AppsFlyer adds
 * is not lost. None may take a name that begins with `millrace_`, which are ours.
 */

const CONTRIBUTOR: Readonly<Record<string, string>> = { Partner: 'af_prt', 'Media Source': 'media_source', Campaign: 'campaign', 'Match Type': 'match_type', 'Touch Type': 'touch_type', 'Touch Time': 'touch_time' };

/** Those whose Push name is more than their own in lower case with underscores. */
const RENAMED: Readonly<Record<string, string>> = {
  Partner: 'af_prt',
  Channel: 'af_channel',
  Keywords: 'af_keywords',
  'Campaign ID': 'af_c_id',
  Adset: 'af_adset',
  'Adset ID': 'af_adset_id',
  Ad: 'af_ad',
  'Ad ID': 'af_ad_id',
  'Ad Type': 'af_ad_type',
  'Site ID': 'af_siteid',
  'Sub Site ID': 'af_sub_siteid',
  'Sub Param 1': 'af_sub1',
  'Sub Param 2': 'af_sub2',
  'Sub Param 3': 'af_sub3',
  'Sub Param 4': 'af_sub4',
  'Sub Param 5': 'af_sub5',
  'Cost Model': 'af_cost_model',
  'Cost Value': 'af_cost_value',
  'Cost Currency': 'af_cost_currency',
  'Attribution Lookback': 'af_attribution_lookback',
  'Reengagement Window': 'af_reengagement_window',
  'Google Play Referrer': 'gp_referrer',
  'Google Play Click Time': 'gp_click_time',
  'Google Play Install Begin Time': 'gp_install_begin',
  'Google Play Broadcast Referrer': 'gp_broadcast_referrer',
  'Amazon Fire ID': 'amazon_aid',
  ...Object.fromEntries([1, 2, 3].flatMap((number) => Object.entries(CONTRIBUTOR).map(([column, name]) => [`Contributor ${number} ${column}`, `contributor_${number}_${name}`]))),
};

const OWN_PREFIX = 'millrace_';
const NAME_CHARACTERS_MAX = 100;

/** The name in a Push message of the column headed so; null for a heading that names nothing. */
export function pushName(heading: string): string | null {
  const text = heading.trim();
  const name = RENAMED[text] ?? text.toLowerCase().replace(/[^a-z0-9]+/g, '_').replace(/^_+|_+$/g, '');
  return name === '' || name.length > NAME_CHARACTERS_MAX || name.startsWith(OWN_PREFIX) ? null : name;
}

/** Push names by column; of two columns of one name the first. */
export function pushNames(header: readonly string[]): (string | null)[] {
  const seen = new Set<string>();
  return header.map((heading) => {
    const name = pushName(heading);
    if (name === null || seen.has(name)) return null;
    seen.add(name);
    return name;
  });
}

/** Whether these are the columns of a raw-data report at all: an error page has none of them. */
export const isReportHeader = (names: readonly (string | null)[]): boolean => names.includes('event_time') && (names.includes('appsflyer_id') || names.includes('event_name'));
