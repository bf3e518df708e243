/**
 * The independent model: what Millrace must answer for a list of delivered messages, computed in the plainest way there is.
 *
 * It imports nothing of the product. It parses with JSON.parse, keeps every identity for ever, sums BigInt micros in Maps, and knows no
 * watermark: every record that is neither duplicate nor rejected counts in its hour and its day. That is the answer of
 * `late=include`, whatever the order in which partitions saw the records; only the split into accepted and late depends on timing.
 *
 * Source: DESIGN section 5 and the data contracts 1.3 to 1.6. Slow, and meant to be.
 */

import { createHash } from 'node:crypto';
import { eventOf, type Attributes, type ModelEvent } from './model-event.ts';

export const DIMENSIONS = ['campaign_id', 'app_id', 'platform', 'media_source', 'country', 'device', 'attribution'] as const;
export type Dimension = (typeof DIMENSIONS)[number];

export interface Delivered {
  /** GET: the query, without `?`. */
  readonly body: string;
  readonly method: 'POST' | 'GET';
  /** When the door got it; without it nothing is too far in the future. */
  readonly receivedAtMs?: number;
}

/** What can be said of one message without knowing any watermark: `counted` is accepted or late. */
export type Expectation = { readonly verdict: 'counted' } | { readonly verdict: 'duplicate' } | { readonly verdict: 'rejected'; readonly code: string };

export interface ModelOptions {
  readonly conversionEvents?: readonly string[];
  readonly dedupe?: 'push-ms' | 'push+pull-seconds' | 'none';
  readonly futureSkewMs?: number;
}

export interface ModelRow {
  readonly windowStart: string;
  /** Values of the dimensions asked for, by name. */
  readonly dimensions: Readonly<Partial<Record<Dimension, string>>>;
  readonly records: bigint;
  /** By name; what is zero is not there. */
  readonly measures: Readonly<Record<string, bigint>>;
  readonly byEvent: Readonly<Record<string, bigint>>;
  /** The campaign name with the latest event time, ties to the greater text; '' for none. */
  readonly campaign: string;
}

export interface ModelSummary {
  readonly received: number;
  readonly counted: number;
  readonly duplicate: number;
  readonly rejected: number;
  readonly rejectedByCode: Readonly<Record<string, number>>;
  readonly totals: Readonly<Record<string, bigint>>;
  /** Late ones included. */
  readonly byHourCampaignCountry: readonly ModelRow[];
}

/** Sums of one window and one set of dimension values. */
class Cell {
  readonly windowStartMs: number;
  readonly dimensions: Partial<Attributes>;
  records = 0n;
  readonly measures = new Map<string, bigint>();
  readonly byEvent = new Map<string, bigint>();
  campaignTimeMs = -1;
  campaign = '';

  constructor(windowStartMs: number, dimensions: Partial<Attributes>) {
    this.windowStartMs = windowStartMs;
    this.dimensions = dimensions;
  }

  offerCampaign(timeMs: number, name: string): void {
    if (name === '') return;
    if (timeMs > this.campaignTimeMs || (timeMs === this.campaignTimeMs && name > this.campaign)) {
      this.campaignTimeMs = timeMs;
      this.campaign = name;
    }
  }

  addAll(other: Cell): void {
    this.records += other.records;
    for (const [name, sum] of other.measures) add(this.measures, name, sum);
    for (const [name, sum] of other.byEvent) add(this.byEvent, name, sum);
    this.offerCampaign(other.campaignTimeMs, other.campaign);
  }
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const DEFAULT_CONVERSIONS = ['af_purchase', 'af_subscribe', 'af_start_trial', 'af_complete_registration'];

const add = (sums: Map<string, bigint>, name: string, amount: bigint): void => void sums.set(name, (sums.get(name) ?? 0n) + amount);
const nonZero = (sums: Map<string, bigint>): Record<string, bigint> => Object.fromEntries([...sums].filter(([, sum]) => sum !== 0n).sort());

export class Model {
  readonly #conversions: ReadonlySet<string>;
  readonly #dedupe: 'push-ms' | 'push+pull-seconds' | 'none';
  readonly #futureSkewMs: number;
  readonly #seen = new Set<string>();
  readonly #hours = new Map<string, Cell>();
  readonly #rejected = new Map<string, number>();
  #received = 0;
  #counted = 0;
  #duplicate = 0;

  constructor(options: ModelOptions = {}) {
    this.#conversions = new Set(options.conversionEvents ?? DEFAULT_CONVERSIONS);
    this.#dedupe = options.dedupe ?? 'push-ms';
    this.#futureSkewMs = options.futureSkewMs ?? 300_000;
  }

  /** In order of delivery. */
  deliver(message: Delivered): Expectation {
    this.#received++;
    const event = eventOf(message);
    if (typeof event === 'string') return this.#reject(event);
    if (message.receivedAtMs !== undefined && event.timeMs > message.receivedAtMs + this.#futureSkewMs) return this.#reject('FUTURE_EVENT_TIME');
    if (this.#isRepeat(event)) {
      this.#duplicate++;
      return { verdict: 'duplicate' };
    }
    this.#counted++;
    this.#count(event);
    return { verdict: 'counted' };
  }

  /** Windows of one kind, grouped by some dimensions, sorted by window and then by their values. */
  rows(window: 'hour' | 'day', groupBy: readonly Dimension[] = DIMENSIONS): ModelRow[] {
    const sizeMs = window === 'hour' ? HOUR_MS : DAY_MS;
    const groups = new Map<string, Cell>();
    for (const cell of this.#hours.values()) {
      const startMs = Math.floor(cell.windowStartMs / sizeMs) * sizeMs;
      const values = groupBy.map((dimension) => cell.dimensions[dimension] as string);
      const key = JSON.stringify([new Date(startMs).toISOString(), ...values]);
      const group = groups.get(key) ?? new Cell(startMs, Object.fromEntries(groupBy.map((dimension, index) => [dimension, values[index]])));
      groups.set(key, group);
      group.addAll(cell);
    }
    return [...groups]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { windowStartMs, dimensions, records, measures, byEvent, campaign }]) => ({
        windowStart: new Date(windowStartMs).toISOString(),
        dimensions,
        records,
        measures: nonZero(measures),
        byEvent: nonZero(byEvent),
        campaign,
      }));
  }

  summarise(): ModelSummary {
    const total = new Cell(0, {});
    for (const cell of this.#hours.values()) total.addAll(cell);
    return {
      received: this.#received,
      counted: this.#counted,
      duplicate: this.#duplicate,
      rejected: [...this.#rejected.values()].reduce((sum, count) => sum + count, 0),
      rejectedByCode: Object.fromEntries([...this.#rejected].sort()),
      totals: nonZero(total.measures),
      byHourCampaignCountry: this.rows('hour', ['campaign_id', 'country']),
    };
  }

  #reject(code: string): Expectation {
    this.#rejected.set(code, (this.#rejected.get(code) ?? 0) + 1);
    return { verdict: 'rejected', code };
  }

  #isRepeat(event: ModelEvent): boolean {
    if (this.#dedupe === 'none') return false;
    const time = this.#dedupe === 'push-ms' ? event.timeMs : Math.floor(event.timeMs / 1_000);
    // SKAdNetwork's uuid is an identity without a time.
    const identity = createHash('sha256').update(JSON.stringify([event.isSkan ? null : time, ...event.identity])).digest('base64');
    if (this.#seen.has(identity)) return true;
    this.#seen.add(identity);
    return false;
  }

  #count(event: ModelEvent): void {
    const hourMs = Math.floor(event.timeMs / HOUR_MS) * HOUR_MS;
    const key = JSON.stringify([hourMs, ...DIMENSIONS.map((dimension) => event.dimensions[dimension])]);
    const cell = this.#hours.get(key) ?? new Cell(hourMs, event.dimensions);
    this.#hours.set(key, cell);
    cell.records += 1n;
    cell.offerCampaign(event.timeMs, event.campaign);
    if (event.isSkan) countSkan(cell, event);
    else if (event.isPrimary) this.#countPrimary(cell, event);
    else this.#countSecondary(cell, event);
  }

  #countPrimary(cell: Cell, event: ModelEvent): void {
    if (event.action === 'install') add(cell.measures, 'installs', 1n);
    if (event.action === 'reinstall') add(cell.measures, 'reinstalls', 1n);
    if (event.action === 're-engagement') add(cell.measures, 're_engagements', 1n);
    if (event.action === 're-attribution') add(cell.measures, 're_attributions', 1n);
    if (event.action === 'in-app') add(cell.measures, 'events', 1n);
    if (event.action === 'in-app' && this.#conversions.has(event.eventName)) {
      add(cell.measures, 'conversions', 1n);
      add(cell.byEvent, event.eventName, 1n);
    }
    if (event.usdMicros !== null) add(cell.measures, 'revenue_micros', event.usdMicros);
    if (event.isUnpriced) add(cell.measures, 'unpriced_events', 1n);
  }

  #countSecondary(cell: Cell, event: ModelEvent): void {
    if (event.action === 'in-app' && this.#conversions.has(event.eventName)) add(cell.measures, 'secondary_conversions', 1n);
    if (event.usdMicros !== null) add(cell.measures, 'secondary_revenue_micros', event.usdMicros);
  }
}

function countSkan(cell: Cell, event: ModelEvent): void {
  if (event.action === 'install') add(cell.measures, 'skan_installs', 1n);
  if (event.action === 're-download') add(cell.measures, 'skan_redownloads', 1n);
  if (event.action === 'postback') add(cell.measures, 'skan_postbacks', 1n);
  if (event.action === 'in-app-event') {
    add(cell.measures, 'skan_events', 1n);
    if (event.usdMicros !== null) add(cell.measures, 'skan_revenue_micros', event.usdMicros);
  }
}
