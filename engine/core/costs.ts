/**
 * What was spent, by day: the row that comes in, is kept, queried and written to the lake; and the port by which the lake is fed.
 *
 * A row is named by (date, app, media source, campaign, country). Its amount is the absolute spend of that name: a later one replaces it.
 */

import { dateOf, MS_PER_DAY } from './types.ts';

export interface CostRow {
  /** `yyyy-mm-dd`, as the source of the spend counts its days. */
  readonly date: string;
  readonly appId: string;
  readonly mediaSource: string;
  /** As cells have it: the id, else the campaign's name, else `none`. */
  readonly campaignId: string;
  /** Two letters in upper case; empty where the spend is told for all countries together. */
  readonly country: string;
  /** The campaign's name; a label, not part of the row's name. */
  readonly campaign: string;
  /** ISO 4217, as given. Never converted. */
  readonly currency: string;
  /** Millionths of the currency's unit; a safe integer. Negative for a credit. */
  readonly costMicros: number;
}

/** A row as it is kept. */
export interface StoredCostRow extends CostRow {
  /** Epoch ms of the request that last changed it. */
  readonly updatedAtMs: number;
}

/** A date whose rows have changed, and the number of the change: it rises with every change of any date. */
export interface ChangedCostDate {
  readonly date: string;
  readonly revision: number;
}

/** What the lake's costs are written from. */
export interface CostFeed {
  /** Number of the newest change; 0 before the first. */
  readonly latest: number;
  /** Dates that have changed since, each with its last change, oldest change first. */
  changedSince(revision: number): readonly ChangedCostDate[];
  /** All rows of a date as of one moment, in the order of their names, and the change that made them so. */
  rowsOf(date: string): { readonly rows: readonly StoredCostRow[]; readonly revision: number };
  /** Called after every change; returns how to stop. */
  onChange(listener: () => void): () => void;
}

/** The dates that are taken and kept: from `retentionDays` back to tomorrow, since days of some zones begin before those of UTC. */
export const datesKept = (nowMs: number, retentionDays: number): { readonly first: string; readonly last: string } => ({
  first: dateOf(nowMs - retentionDays * MS_PER_DAY),
  last: dateOf(nowMs + MS_PER_DAY),
});
