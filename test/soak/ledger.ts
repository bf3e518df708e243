/**
 * What a soak was told is durable, by hour and template: from it every figure that the daemon must answer follows.
 *
 * Memory is bounded by the hours not yet compared. Repeats and damaged records are counted, never in an hour.
 */

import type { Template } from './templates.ts';

const MS_PER_HOUR = 3_600_000;

/** Sums by measure and, as `by_event.<name>`, by conversion; what is zero is not there. */
export type Sums = Map<string, number>;

export interface Acknowledged {
  readonly fresh: number;
  readonly repeats: number;
  readonly damaged: number;
}

export class Ledger {
  readonly #templates: readonly Template[];
  readonly #hours = new Map<number, Uint32Array>();
  fresh = 0;
  repeats = 0;
  damaged = 0;

  constructor(templates: readonly Template[]) {
    this.#templates = templates;
  }

  get received(): number {
    return this.fresh + this.repeats + this.damaged;
  }

  /** The counts by template of the hour of an event time. */
  at(timeMs: number): Uint32Array {
    const hourMs = Math.floor(timeMs / MS_PER_HOUR) * MS_PER_HOUR;
    let counts = this.#hours.get(hourMs);
    if (counts === undefined) this.#hours.set(hourMs, (counts = new Uint32Array(this.#templates.length)));
    return counts;
  }

  add(counts: Uint32Array, template: number): void {
    counts[template] = (counts[template] as number) + 1;
  }

  acknowledge({ fresh, repeats, damaged }: Acknowledged): void {
    this.fresh += fresh;
    this.repeats += repeats;
    this.damaged += damaged;
  }

  /** Starts of the hours that have ended at `timeMs`, oldest first. */
  hoursEndedBy(timeMs: number): number[] {
    return [...this.#hours.keys()].filter((hourMs) => hourMs + MS_PER_HOUR <= timeMs).sort((left, right) => left - right);
  }

  /** It has been compared, and no more will come for it. */
  forget(hourMs: number): void {
    this.#hours.delete(hourMs);
  }

  /** What the rows of an hour must sum up to, by `campaign_id|country`. */
  expected(hourMs: number): Map<string, Sums> {
    const rows = new Map<string, Sums>();
    for (const [index, count] of (this.#hours.get(hourMs) ?? new Uint32Array(0)).entries()) {
      if (count === 0) continue;
      const { effect } = this.#templates[index] as Template;
      const key = `${effect.campaignId}|${effect.country}`;
      let sums = rows.get(key);
      if (sums === undefined) rows.set(key, (sums = new Map<string, number>()));
      for (const [measure, amount] of Object.entries(effect.measures)) addTo(sums, measure, amount * count);
      if (effect.conversion !== null) addTo(sums, `by_event.${effect.conversion}`, count);
    }
    return rows;
  }
}

function addTo(sums: Sums, name: string, amount: number): void {
  const sum = (sums.get(name) ?? 0) + amount;
  if (sum === 0) sums.delete(name);
  else sums.set(name, sum);
}

/** The first difference between an answer's rows and what is expected; null for none. `measures`: those that rows have. */
export function difference(rows: readonly Readonly<Record<string, unknown>>[], expected: ReadonlyMap<string, Sums>, measures: readonly string[]): string | null {
  const seen = new Set<string>();
  for (const row of rows) {
    const key = `${String(row['campaign_id'])}|${String(row['country'])}`;
    const sums = expected.get(key);
    if (sums === undefined) return `${key}: a row that nothing was sent for`;
    seen.add(key);
    const byEvent = (row['by_event'] ?? {}) as Readonly<Record<string, number>>;
    const names = new Set([...measures, ...sums.keys(), ...Object.keys(byEvent).map((name) => `by_event.${name}`)]);
    for (const name of names) {
      const value = name.startsWith('by_event.') ? byEvent[name.slice('by_event.'.length)] : row[name];
      if (Number(value ?? 0) !== (sums.get(name) ?? 0)) return `${key}: ${name} is ${String(value)}, expected ${sums.get(name) ?? 0}`;
    }
  }
  for (const key of expected.keys()) if (!seen.has(key)) return `${key}: no row`;
  return null;
}
