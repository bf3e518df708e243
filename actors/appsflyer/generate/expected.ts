/**
 * The totals that must come out of what a generator made: what `millrace generate --expect` prints.
 *
 * Sums what each message was made to mean; it reads no body, decodes nothing and shares no code with the pipeline. Late records count in
 * their hour here, as in `/v1/metrics/hourly?late=include&group_by=campaign_id,country`. Bounded by hours x campaigns x countries.
 * A message whose sending failed for good must not be added; one that was sent again after a failure is added once.
 */

import type { RejectCode } from '../../../engine/core/record.ts';
import type { EffectMeasure } from './effect.ts';
import type { GeneratedMessage } from './generator.ts';

const MS_PER_HOUR = 3_600_000;

export interface ExpectedRow extends Partial<Readonly<Record<EffectMeasure, number>>> {
  readonly window_start: string;
  readonly campaign_id: string;
  readonly country: string;
  readonly records: number;
  /** Conversions by name; absent where there are none. */
  readonly by_event?: Readonly<Record<string, number>>;
}

export interface ExpectedSummary {
  readonly received: number;
  /** Accepted and late together: which of the two depends on when a message arrives. */
  readonly counted: number;
  readonly duplicate: number;
  readonly rejected: number;
  readonly rejected_by_code: Readonly<Partial<Record<RejectCode, number>>>;
  readonly totals: Readonly<Partial<Record<EffectMeasure, number>>>;
  /** By hour, campaign, country; zero measures left out. */
  readonly rows: readonly ExpectedRow[];
}

interface Cell {
  readonly hourMs: number;
  readonly campaignId: string;
  readonly country: string;
  records: number;
  readonly measures: Map<EffectMeasure, number>;
  readonly conversions: Map<string, number>;
}

const addTo = <Key>(sums: Map<Key, number>, key: Key, amount: number): void => {
  const sum = (sums.get(key) ?? 0) + amount;
  if (!Number.isSafeInteger(sum)) throw new Error(`bug: the expected total of ${String(key)} is beyond exact integers`);
  sums.set(key, sum);
};

export class ExpectedTotals {
  readonly #cells = new Map<string, Cell>();
  readonly #rejected = new Map<RejectCode, number>();
  #received = 0;
  #counted = 0;
  #duplicate = 0;

  /** The message was sent and acknowledged, or refused for good with 400. */
  add({ effect }: Pick<GeneratedMessage, 'effect'>): void {
    this.#received++;
    if (effect.verdict === 'duplicate') this.#duplicate++;
    else if (effect.verdict === 'rejected') addTo(this.#rejected, effect.code, 1);
    else {
      this.#counted++;
      const cell = this.#cell(Math.floor(effect.timeMs / MS_PER_HOUR) * MS_PER_HOUR, effect.campaignId, effect.country);
      cell.records++;
      for (const [measure, amount] of Object.entries(effect.measures)) addTo(cell.measures, measure as EffectMeasure, amount);
      if (effect.conversion !== null) addTo(cell.conversions, effect.conversion, 1);
    }
  }

  summarise(): ExpectedSummary {
    const totals = new Map<EffectMeasure, number>();
    const rows = [...this.#cells].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, cell]): ExpectedRow => {
      for (const [measure, amount] of cell.measures) addTo(totals, measure, amount);
      return {
        window_start: new Date(cell.hourMs).toISOString(),
        campaign_id: cell.campaignId,
        country: cell.country,
        records: cell.records,
        ...nonZero(cell.measures),
        ...(cell.conversions.size === 0 ? {} : { by_event: Object.fromEntries([...cell.conversions].sort()) }),
      };
    });
    return {
      received: this.#received,
      counted: this.#counted,
      duplicate: this.#duplicate,
      rejected: [...this.#rejected.values()].reduce((sum, count) => sum + count, 0),
      rejected_by_code: Object.fromEntries([...this.#rejected].sort()),
      totals: nonZero(totals),
      rows,
    };
  }

  #cell(hourMs: number, campaignId: string, country: string): Cell {
    const key = `${String(hourMs).padStart(15, '0')} ${campaignId}\u001f${country}`;
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      cell = { hourMs, campaignId, country, records: 0, measures: new Map(), conversions: new Map() };
      this.#cells.set(key, cell);
    }
    return cell;
  }
}

const nonZero = (sums: ReadonlyMap<EffectMeasure, number>): Partial<Record<EffectMeasure, number>> => Object.fromEntries([...sums].filter(([, sum]) => sum !== 0));
