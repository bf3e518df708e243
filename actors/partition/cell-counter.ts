/**
 * Counts one event in its cells: what it adds, under which dimensions, without passing any bound. Only what counts is enriched: identity and
 * verdict are those of the message as it was sent.
 *
 * An accepted event counts in its hour and its day, a late one in the `late` cell of its hour and its day, each with the same
 * dimensions and amounts, so that a day is its hours plus their late cells to the unit and the micro. An amount that would carry a
 * total past what all partitions together can sum exactly is left out of all cells and counted in the measure that the pipeline names for it.
 *
 * Hot path: 100 K records a second, at most 1 µs a record, its two cells included; bench/micro/partition.ts. Owned by the partition.
 */

import { CellKind, DIMENSION_SEPARATOR } from '../../engine/core/cell.ts';
import { dimensionValue } from '../../engine/core/dimension-value.ts';
import type { PipelineDefinition } from '../../engine/core/pipeline.ts';
import type { Rules } from '../../engine/core/rules.ts';
import type { CellChanges } from './cell-changes.ts';
import type { CellSlots, Contribution } from './cell-slots.ts';
import type { CellTable } from './cell-table.ts';
import { DayLimits } from './day-limits.ts';
import type { SeriesTable } from './series-table.ts';
import { NONE } from './value-table.ts';

/** Partial totals of this many partitions can be added without leaving the safe integers. */
const PARTITIONS_SUMMED_MIN = 64;
/** Remembered ways from a record's own dimensions to those it counts under, where they differ. */
const ALIASES_MAX = 16_384;

interface Alias {
  readonly dayStartMs: number;
  readonly values: readonly string[];
}

export interface CellCounterOptions<Event, DomainRules> {
  readonly pipeline: PipelineDefinition<Event, DomainRules>;
  readonly table: CellTable;
  readonly changes: CellChanges;
  readonly partitionCount: number;
}

export class CellCounter<Event, DomainRules> {
  readonly #pipeline: PipelineDefinition<Event, DomainRules>;
  readonly #table: CellTable;
  readonly #changes: CellChanges;
  readonly #limits: DayLimits;
  readonly #slots: CellSlots;
  readonly #series: SeriesTable;
  /** Dimension values of the event that is being counted. */
  readonly #values: string[];
  readonly #aliases = new Map<string, Alias>();
  readonly #totalMax: number;
  /** By measure: the one that counts its left out amounts, or -1. */
  readonly #overflowOf: readonly number[];
  readonly #event: Contribution;
  #domainRules: DomainRules | null = null;

  constructor({ pipeline, table, changes, partitionCount }: CellCounterOptions<Event, DomainRules>) {
    this.#pipeline = pipeline;
    this.#table = table;
    this.#slots = table.slots;
    this.#series = table.series;
    this.#changes = changes;
    this.#values = pipeline.dimensions.map(() => '');
    this.#totalMax = Math.floor(2 ** 53 / Math.max(partitionCount, PARTITIONS_SUMMED_MIN));
    const names = pipeline.measures.map((measure) => measure.name);
    this.#overflowOf = pipeline.measures.map(({ overflowMeasure }) => (overflowMeasure === undefined ? -1 : names.indexOf(overflowMeasure)));
    this.#event = { timeMs: 0, amounts: new Float64Array(names.length), touched: new Int32Array(names.length), touchedCount: 0, breakdownName: null, labels: pipeline.labels.map(() => '') };
    this.#limits = new DayLimits(pipeline.dimensions.length, {
      cellsOf: (dayStartMs) => table.dimensionsOf(CellKind.day, dayStartMs),
      hasCell: (dayStartMs, values) => table.find(CellKind.day, dayStartMs, values) !== NONE,
    });
  }

  setRules(rules: Rules, domainRules: DomainRules): void {
    this.#domainRules = domainRules;
    this.#limits.limits = {
      values: this.#pipeline.dimensions.map(({ name, valuesMax }) => rules.dimensionLimits[name] ?? valuesMax),
      cells: rules.cellsPerDayMax,
    };
    this.#aliases.clear();
  }

  /** Counts the event in the day and in its hour or, when late, beside it. Returns the dimensions it counted under. */
  count(event: Event, timeMs: number, hourStartMs: number, dayStartMs: number, isLate: boolean, revision: number): string {
    const table = this.#table;
    const { dimensions, enrich } = this.#pipeline;
    if (enrich !== undefined) enrich(event, this.#domainRules as DomainRules);
    const values = this.#values;
    for (let index = 0; index < dimensions.length; index++) values[index] = (dimensions[index] as (typeof dimensions)[number]).of(event);
    let series = this.#series.find(values);
    let day = series === NONE ? NONE : table.dayCell(series, dayStartMs);
    if (day === NONE) {
      day = this.#admit(dayStartMs);
      series = this.#slots.series(day);
    }
    const hour = isLate ? table.lateCell(series, hourStartMs) : table.hourCell(series, hourStartMs);
    this.#weigh(event, timeMs, day, hour);
    this.#slots.add(day, this.#event);
    this.#slots.add(hour, this.#event);
    this.#changes.touch(day, revision);
    this.#changes.touch(hour, revision);
    return this.#series.dimensions(series);
  }

  forgetDaysBefore(dayStartMs: number): void {
    this.#limits.forgetBefore(dayStartMs);
  }

  alarms(): string[] {
    return [...this.#limits.reached()]
      .sort((left, right) => left - right)
      .map((index) => (index < 0 ? 'cells of a day are at their limit: further combinations count as other' : `dimension ${this.#pipeline.dimensions[index]?.name} is at its limit: further values count as other`));
  }

  /** The day cell of the event whose dimension values stand in `#values`, and whose own one is not in memory. */
  #admit(dayStartMs: number): number {
    const own = this.#aliases.size > 0 ? this.#values.join(DIMENSION_SEPARATOR) : '';
    const alias = this.#aliases.get(own);
    if (alias !== undefined && alias.dayStartMs === dayStartMs) return this.#table.cell(CellKind.day, dayStartMs, alias.values);
    // A pipeline that hands out unfit values is made to fit here; such a record is never found by its own dimensions.
    const fit = this.#values.map(dimensionValue);
    const values = this.#limits.admit(dayStartMs, fit);
    if (!areEqual(values, fit) && areEqual(fit, this.#values)) this.#remember(dayStartMs, values);
    return this.#table.cell(CellKind.day, dayStartMs, values);
  }

  #remember(dayStartMs: number, values: readonly string[]): void {
    if (this.#aliases.size >= ALIASES_MAX) this.#aliases.clear();
    this.#aliases.set(this.#values.join(DIMENSION_SEPARATOR), { dayStartMs, values });
  }

  /** Fills in what the event adds to both cells. */
  #weigh(event: Event, timeMs: number, first: number, second: number): void {
    const { measures, breakdown, labels } = this.#pipeline;
    const rules = this.#domainRules as DomainRules;
    const into = this.#event;
    let touchedCount = 0;
    let hasOverflow = false;
    for (let index = 0; index < measures.length; index++) {
      const amount = (measures[index] as (typeof measures)[number]).amount(event, rules);
      into.amounts[index] = amount;
      if (amount === 0) continue;
      into.touched[touchedCount++] = index;
      if (!this.#fits(amount, this.#slots.measure(first, index), this.#slots.measure(second, index))) hasOverflow = true;
    }
    into.touchedCount = touchedCount;
    into.timeMs = timeMs;
    into.breakdownName = breakdown.nameOf(event, rules);
    for (let index = 0; index < labels.length; index++) into.labels[index] = (labels[index] as (typeof labels)[number]).of(event);
    if (hasOverflow) this.#leaveOut(first, second);
  }

  #fits(amount: number, first: number, second: number): boolean {
    return Number.isSafeInteger(amount) && Math.abs(first + amount) <= this.#totalMax && Math.abs(second + amount) <= this.#totalMax;
  }

  #leaveOut(first: number, second: number): void {
    const { amounts, touched } = this.#event;
    let counted = -1;
    for (let at = 0; at < this.#event.touchedCount; at++) {
      const index = touched[at] as number;
      if (this.#fits(amounts[index] as number, this.#slots.measure(first, index), this.#slots.measure(second, index))) continue;
      amounts[index] = 0;
      counted = Math.max(counted, this.#overflowOf[index] as number);
    }
    // One event counts once, whatever it says of itself.
    if (counted >= 0 && amounts[counted] === 0) {
      amounts[counted] = 1;
      this.#event.touched[this.#event.touchedCount++] = counted;
    }
  }
}

function areEqual(left: readonly string[], right: readonly string[]): boolean {
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false;
  return true;
}
