/**
 * Which fields of an app's messages are never there, and which figures suffer from it: a sample of records in, findings by app out.
 *
 * The figures of a field are those that declare it as a source (pipeline.ts); what its absence does stands beside it here. A field that none of
 * the app's sampled records has counts as missing, most likely unselected; one that only some kinds of messages carry is looked for in
 * those alone. Bounded in apps. Pure.
 */

import { FIELD_NAMES, fieldName, Field, USER_FIELDS } from './fields.ts';
import { appsflyerPipeline } from './pipeline.ts';

/** Which records may carry a field: all of them, in-app events, or those with an amount of money. */
type Where = 'all' | 'in-app' | 'paid';

/** Fields of the Push API without which something cannot be told. Those that another field makes up for are not here. */
const EFFECTS: Readonly<Record<string, { readonly where: Where; readonly effect: string }>> = {
  conversion_type: { where: 'all', effect: 'reinstalls, re-engagements and re-attributions cannot be told from installs and in-app events; retries by Pull count twice' },
  campaign_type: { where: 'all', effect: 'attribution is guessed from is_retargeting and media_source' },
  is_retargeting: { where: 'all', effect: 'retargeting counts as ua where campaign_type is missing too' },
  is_primary_attribution: { where: 'all', effect: 'records of a second attribution count like first ones: conversions and revenue twice in a re-engagement window' },
  media_source: { where: 'all', effect: 'every record has media source unknown' },
  af_c_id: { where: 'all', effect: 'campaign_id is the name: a renamed campaign becomes another, and costs do not join by id' },
  campaign: { where: 'all', effect: 'campaigns have no name, and without af_c_id no campaign_id either' },
  country_code: { where: 'all', effect: 'every record has country unknown' },
  device_category: { where: 'all', effect: 'every record has device unknown' },
  platform: { where: 'all', effect: 'platform is guessed from app_id' },
  event_value: { where: 'in-app', effect: 'event_properties in the lake are empty, and two like events of one moment count as one' },
  event_revenue_usd: { where: 'paid', effect: 'amounts in other currencies than USD count as unpriced_events, not as revenue' },
  event_revenue_currency: { where: 'paid', effect: 'without event_revenue_usd no amount has a price' },
};
const MONEY = ['event_revenue_usd', 'event_revenue'] as const;
const USERS = USER_FIELDS.map(fieldName);
/** The kinds of events that have names of their own. */
const INSTALL_NAMES: ReadonlySet<string> = new Set(['install', 'reinstall', 're-engagement', 're-attribution']);
const APPS_MAX = 1_000;
const OTHER_APPS = 'other';
const APP_ID_LENGTH_MAX = 200;

export interface FieldFinding {
  readonly field: string;
  /** Records that may carry it, and how many did. */
  readonly of: number;
  readonly seen: number;
  readonly figures: readonly string[];
  readonly effect: string;
}

export interface AppCoverage {
  readonly app_id: string;
  readonly records: number;
  /** Fields that no record had. */
  readonly missing: readonly FieldFinding[];
  /** Fields that some or all had. */
  readonly seen: readonly FieldFinding[];
  /** Records without any user or device: no identity, so they are rejected. */
  readonly without_user: number;
  /** SKAdNetwork messages: their fields are not selected, so they are counted alone. */
  readonly skadnetwork_records: number;
}

interface Counted {
  records: number;
  withoutUser: number;
  skan: number;
  readonly of: Record<Where, number>;
  readonly seen: Map<string, number>;
}

export class CoverageSample {
  readonly #apps = new Map<string, Counted>();
  #unreadable = 0;

  /** Records that are no JSON objects. */
  get unreadable(): number {
    return this.#unreadable;
  }

  /** One record's bytes, as they came. */
  add(bytes: Uint8Array): void {
    const fields = objectOf(bytes);
    if (fields === null) {
      this.#unreadable++;
      return;
    }
    const counted = this.#countedOf(textIn(fields, 'app_id').slice(0, APP_ID_LENGTH_MAX));
    counted.records++;
    if (textIn(fields, fieldName(Field.eventUuid)) !== '') {
      counted.skan++;
      return;
    }
    if (USERS.every((name) => textIn(fields, name) === '')) counted.withoutUser++;
    const name = textIn(fields, 'event_name');
    counted.of.all++;
    if (name !== '' && !INSTALL_NAMES.has(name)) counted.of['in-app']++;
    if (MONEY.some((money) => textIn(fields, money) !== '')) counted.of.paid++;
    for (const field of Object.keys(EFFECTS)) if (textIn(fields, field) !== '') counted.seen.set(field, (counted.seen.get(field) ?? 0) + 1);
  }

  /** Apps with the most records first. */
  apps(): AppCoverage[] {
    return [...this.#apps].map(([appId, counted]) => coverageOf(appId, counted)).sort((left, right) => right.records - left.records || (left.app_id < right.app_id ? -1 : 1));
  }

  #countedOf(appId: string): Counted {
    const name = this.#apps.has(appId) || this.#apps.size < APPS_MAX ? appId : OTHER_APPS;
    let counted = this.#apps.get(name);
    if (counted === undefined) {
      counted = { records: 0, withoutUser: 0, skan: 0, of: { all: 0, 'in-app': 0, paid: 0 }, seen: new Map() };
      this.#apps.set(name, counted);
    }
    return counted;
  }
}

function coverageOf(appId: string, { records, withoutUser, skan, of, seen }: Counted): AppCoverage {
  const findings = Object.entries(EFFECTS).map(([field, { where, effect }]): FieldFinding => ({ field, of: of[where], seen: seen.get(field) ?? 0, figures: figuresOf(field), effect }));
  return {
    app_id: appId,
    records,
    // Where no record may carry it, its absence says nothing.
    missing: findings.filter((finding) => finding.of > 0 && finding.seen === 0),
    seen: findings.filter((finding) => finding.seen > 0),
    without_user: withoutUser,
    skadnetwork_records: skan,
  };
}

/** Names of the dimensions, measures and labels that have the field as a source, those of SKAdNetwork and of Pull reports left out. */
export function figuresOf(field: string): string[] {
  const { dimensions, measures, breakdown, labels } = appsflyerPipeline;
  const own = [...dimensions, ...measures, breakdown, ...labels].filter(({ name, meaning }) => meaning.sourceFields.includes(field) && !/^(skan_|uninstalls$|blocked_installs$|ad_revenue_)/.test(name));
  return own.map(({ name }) => name);
}

/** Every field that is looked for is one that is read. */
export const COVERAGE_FIELDS: readonly string[] = Object.keys(EFFECTS).filter((name) => (FIELD_NAMES as readonly string[]).includes(name));

function objectOf(bytes: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')) as unknown;
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}

/** Empty for what counts as not there. */
function textIn(fields: Readonly<Record<string, unknown>>, name: string): string {
  const value = Object.hasOwn(fields, name) ? fields[name] : null;
  if (value === null || value === undefined || value === '' || value === 'N/A' || value === 'NULL') return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
