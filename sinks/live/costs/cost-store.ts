/**
 * What was spent, kept in the live store: upserted by name in one transaction a report, numbered by date for those who follow.
 *
 * Guarantees: a report is there whole and flushed when {@link CostStore.put} resolves, or changed nothing; reports are taken one after the
 * other, in the order of their calls; the number of a date rises with every change of its rows, and no number is used twice. Rows are bounded
 * by dates kept and rows a date. Main thread; reads and writes give way every few hundred rows.
 */

import { setImmediate as turn } from 'node:timers/promises';
import { datesKept, type ChangedCostDate, type CostFeed, type CostRow, type StoredCostRow } from '../../../engine/core/costs.ts';
import { EngineError } from '../../../engine/core/errors.ts';
import type { OrderedStore, StoreOperation } from '../../../engine/core/store.ts';
import { LIVE_TABLE } from '../encode.ts';
import { behind, COSTS_VERSION, costKey, costPrefix, dateKey, decodeCost, decodeCostDate, decodeCostState, encodeCost, encodeCostDate, encodeCostState, parseDateKey, type CostDate } from './encode.ts';

export interface CostStoreOptions {
  /** Opened with LIVE_TABLES; the owner closes it. */
  readonly store: OrderedStore;
  readonly retentionDays: number;
  readonly rowsPerDateMax: number;
}

/** Whose rows a report speaks for: by `name`, it changes the rows it has; by `day`, it is all that its apps and media sources spent on its dates. */
export type CostReplace = 'name' | 'day';

export interface CostOutcome {
  readonly inserted: number;
  readonly changed: number;
  readonly unchanged: number;
  /** Rows that a report by day no longer has. */
  readonly removed: number;
}

/** A date would have more rows than are kept; nothing was changed. */
export interface DateFull {
  readonly full: string;
}

const ROWS_PER_TURN = 500;
/** Rows past retention that leave with one report. Chosen: a day of them goes with a few. */
const REMOVALS_MAX = 2_000;
const STATE_KEY = new TextEncoder().encode('costs');

interface Plan {
  readonly operations: StoreOperation[];
  readonly rowsAdded: Map<string, number>;
  inserted: number;
  changed: number;
  unchanged: number;
  removed: number;
}

export class CostStore implements CostFeed {
  readonly #options: CostStoreOptions;
  readonly #store: OrderedStore;
  readonly #dates = new Map<string, CostDate>();
  readonly #listeners = new Set<() => void>();
  #latest = 0;
  /** What an earlier life committed may still be taken back by a power cut, until the file is flushed anew. */
  #durable = 0;
  /** The end of the report before; never rejects. */
  #last: Promise<unknown> = Promise.resolve();

  /** Reads what an earlier life left. Raises DATA_VERSION and STATE_CORRUPT. */
  static open(options: CostStoreOptions): CostStore {
    return new CostStore(options);
  }

  private constructor(options: CostStoreOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#load();
  }

  #load(): void {
    const stored = this.#store.get(LIVE_TABLE.meta, STATE_KEY);
    const { version, latest } = stored === null ? { version: COSTS_VERSION, latest: 0 } : decodeCostState(stored);
    if (version > COSTS_VERSION) throw new EngineError('DATA_VERSION', `spend in the live store has format ${version}, this program knows ${COSTS_VERSION}`, { fix: 'run the program that wrote it, or a newer one' });
    this.#latest = latest;
    this.#dates.clear();
    for (const { key, value } of this.#store.range(LIVE_TABLE.costDates, {})) this.#dates.set(parseDateKey(key), decodeCostDate(value));
  }

  /** The newest change that no power cut takes back. */
  get latest(): number {
    return this.#durable;
  }

  /** Makes what was found at opening durable: until then those who follow see nothing. Rejects as {@link put} does. */
  confirm(): Promise<void> {
    const done = this.#last.then(() => this.#write([{ table: LIVE_TABLE.meta, key: STATE_KEY, value: encodeCostState(this.#latest) }], () => undefined));
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** What there is of all dates. */
  totals(): { readonly dates: number; readonly rows: number } {
    return { dates: this.#dates.size, rows: [...this.#dates.values()].reduce((sum, { rows }) => sum + rows, 0) };
  }

  /** Dates whose rows are kept at that time; others are invisible and leave in time. */
  datesKept(nowMs: number): { readonly first: string; readonly last: string } {
    return datesKept(nowMs, this.#options.retentionDays);
  }

  /** Takes the rows, each named once; flushed when it resolves. Rejects STATE_WRITE_FAILED, DISK_FULL or STATE_STUCK, and may then be called again. */
  put(rows: readonly CostRow[], replace: CostReplace, nowMs: number): Promise<CostOutcome | DateFull> {
    const done = this.#last.then(() => this.#put(rows, replace, nowMs));
    this.#last = done.catch(() => undefined);
    return done;
  }

  changedSince(revision: number): readonly ChangedCostDate[] {
    const changed = [...this.#dates].filter(([, date]) => date.revision > revision && date.revision <= this.#durable).map(([date, { revision: last }]) => ({ date, revision: last }));
    return changed.sort((left, right) => left.revision - right.revision);
  }

  rowsOf(date: string): { readonly rows: readonly StoredCostRow[]; readonly revision: number } {
    const prefix = costPrefix(date);
    const rows = [...this.#store.range(LIVE_TABLE.costs, { from: prefix, to: behind(prefix) })].map(({ key, value }) => decodeCost(key, value));
    return { rows, revision: this.#dates.get(date)?.revision ?? 0 };
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Rows in the order of their names, a page at a time: from `from` on, an encoded name, and before `to`. The caller may pause between pages. */
  *pages(from: Uint8Array, to: Uint8Array): Generator<readonly { readonly key: Uint8Array; readonly row: StoredCostRow }[]> {
    let next = from;
    for (;;) {
      const page = [...this.#store.range(LIVE_TABLE.costs, { from: next, to, limit: ROWS_PER_TURN })];
      if (page.length > 0) yield page.map(({ key, value }) => ({ key, row: decodeCost(key, value) }));
      if (page.length < ROWS_PER_TURN) return;
      next = successor((page.at(-1) as { key: Uint8Array }).key);
    }
  }

  async #put(rows: readonly CostRow[], replace: CostReplace, nowMs: number): Promise<CostOutcome | DateFull> {
    const plan: Plan = { operations: [], rowsAdded: new Map(), inserted: 0, changed: 0, unchanged: 0, removed: 0 };
    const stated = new Set<string>();
    for (const [index, row] of rows.entries()) {
      if (index % ROWS_PER_TURN === ROWS_PER_TURN - 1) await turn();
      this.#plan(plan, row, nowMs);
      if (replace === 'day') stated.add(textOf(costKey(row)));
    }
    if (replace === 'day') await this.#planRemovals(plan, rows, stated);
    const full = [...plan.rowsAdded].find(([date, added]) => added > 0 && this.#rowsOn(date) + added > this.#options.rowsPerDateMax);
    if (full !== undefined) return { full: full[0] };
    await this.#commit(plan, nowMs);
    const { inserted, changed, unchanged, removed } = plan;
    return { inserted, changed, unchanged, removed };
  }

  #plan(plan: Plan, row: CostRow, nowMs: number): void {
    const key = costKey(row);
    const stored = this.#store.get(LIVE_TABLE.costs, key);
    const before = stored === null ? null : decodeCost(key, stored);
    if (before !== null && before.costMicros === row.costMicros && before.currency === row.currency && before.campaign === row.campaign) {
      plan.unchanged++;
      return;
    }
    if (before === null) plan.inserted++;
    else plan.changed++;
    plan.operations.push({ table: LIVE_TABLE.costs, key, value: encodeCost(row, nowMs) });
    plan.rowsAdded.set(row.date, (plan.rowsAdded.get(row.date) ?? 0) + (before === null ? 1 : 0));
  }

  /** What the stated days have besides. */
  async #planRemovals(plan: Plan, rows: readonly CostRow[], stated: ReadonlySet<string>): Promise<void> {
    const groups = new Map(rows.map(({ date, appId, mediaSource }) => [JSON.stringify([date, appId, mediaSource]), { date, prefix: costPrefix(date, appId, mediaSource) }]));
    for (const { date, prefix } of groups.values()) {
      await turn();
      for (const { key } of this.#store.range(LIVE_TABLE.costs, { from: prefix, to: behind(prefix) })) {
        if (stated.has(textOf(key))) continue;
        plan.removed++;
        plan.operations.push({ table: LIVE_TABLE.costs, key, value: null });
        plan.rowsAdded.set(date, (plan.rowsAdded.get(date) ?? 0) - 1);
      }
    }
  }

  async #commit(plan: Plan, nowMs: number): Promise<void> {
    if (plan.rowsAdded.size === 0) {
      // What it states is there already, but a flush that failed then may have left it undurable.
      if (this.#durable < this.#latest) await this.#write([{ table: LIVE_TABLE.meta, key: STATE_KEY, value: encodeCostState(this.#latest) }], () => undefined);
      return;
    }
    const { operations } = plan;
    const dates = new Map<string, CostDate | null>();
    let latest = this.#latest;
    for (const [date, added] of plan.rowsAdded) dates.set(date, { revision: ++latest, rows: this.#rowsOn(date) + added });
    this.#planExpiry(operations, dates, this.datesKept(nowMs).first);
    for (const [date, value] of dates) operations.push({ table: LIVE_TABLE.costDates, key: dateKey(date), value: value === null ? null : encodeCostDate(value) });
    operations.push({ table: LIVE_TABLE.meta, key: STATE_KEY, value: encodeCostState(latest) });
    await this.#write(operations, () => {
      for (const [date, value] of dates) {
        if (value === null) this.#dates.delete(date);
        else this.#dates.set(date, value);
      }
      this.#latest = latest;
    });
  }

  /** One transaction; `committed` is called when readers see it, before it is flushed. */
  async #write(operations: readonly StoreOperation[], committed: () => void): Promise<void> {
    try {
      await this.#store.commit(operations);
    } catch (error) {
      // A commit whose sync failed may have landed: what is there counts, and is made durable when it is stated again.
      this.#load();
      throw error;
    }
    committed();
    await this.#store.flushed();
    this.#durable = this.#latest;
    for (const listener of this.#listeners) queueMicrotask(listener);
  }

  /** A bounded number of rows of dates that are past retention; a date goes with its last row. What the lake has of it stays there. */
  #planExpiry(operations: StoreOperation[], dates: Map<string, CostDate | null>, first: string): void {
    let room = REMOVALS_MAX;
    for (const [date, { revision, rows }] of this.#dates) {
      if (date >= first || dates.has(date)) continue;
      const prefix = costPrefix(date);
      const leaving = [...this.#store.range(LIVE_TABLE.costs, { from: prefix, to: behind(prefix), limit: room })];
      for (const { key } of leaving) operations.push({ table: LIVE_TABLE.costs, key, value: null });
      dates.set(date, leaving.length < rows ? { revision, rows: rows - leaving.length } : null);
      room -= leaving.length;
      if (room <= 0) return;
    }
  }

  #rowsOn(date: string): number {
    return this.#dates.get(date)?.rows ?? 0;
  }
}

const textOf = (key: Uint8Array): string => Buffer.from(key).toString('latin1');

/** The next key in order. */
export function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.byteLength + 1);
  next.set(key);
  return next;
}
