/**
 * The lines of one report made rows: what is finer than a row adds up, what is said twice of the same thing counts as it was said last.
 *
 * A report by ad set, channel or agency has several lines for one (date, app, media source, campaign, country); their amounts are parts of
 * one row. Two lines that are alike in all of these state the same amount twice, and the later one holds. Pure.
 */

import type { CostRow } from '../../engine/core/costs.ts';
import { COST_MICROS_MAX } from './amount.ts';
import type { CostCode, JudgedLine } from './judge.ts';

interface Gathered {
  row: CostRow;
  /** Amounts by what tells lines apart. */
  readonly parts: Map<string, number>;
  total: number;
}

const SEPARATOR = '\u001f';

export class CostGatherer {
  readonly #rows = new Map<string, Gathered>();

  /** Null when the line has been taken. */
  add({ row, detail }: JudgedLine): CostCode | null {
    const key = [row.date, row.appId, row.mediaSource, row.campaignId, row.country].join(SEPARATOR);
    const gathered = this.#rows.get(key);
    if (gathered === undefined) {
      this.#rows.set(key, { row, parts: new Map([[detail, row.costMicros]]), total: row.costMicros });
      return null;
    }
    // Only a wholly restated row may change its currency.
    const isOnlyPart = gathered.parts.size === 1 && gathered.parts.has(detail);
    if (gathered.row.currency !== row.currency && !isOnlyPart) return 'MIXED_CURRENCY';
    const total = gathered.total - (gathered.parts.get(detail) ?? 0) + row.costMicros;
    if (Math.abs(total) > COST_MICROS_MAX) return 'BAD_COST';
    gathered.parts.set(detail, row.costMicros);
    gathered.total = total;
    gathered.row = row.campaign === '' ? { ...row, campaign: gathered.row.campaign } : row;
    return null;
  }

  /** In order of their first lines. */
  rows(): CostRow[] {
    return [...this.#rows.values()].map(({ row, total }) => ({ ...row, costMicros: total }));
  }
}
