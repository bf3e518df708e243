/** A result feed in memory, with the semantics of the live store: each change of a cell gets the next number. */

import type { CellKind, MergedCell } from '../../engine/core/cell.ts';
import { cellMapKey, DIMENSION_SEPARATOR } from '../../engine/core/cell.ts';
import type { ChangedCells, ResultFeed } from '../../engine/core/feed.ts';
import type { ResultSchema } from '../../engine/core/pipeline.ts';

export const TEST_SCHEMA: ResultSchema = {
  dimensions: ['campaign_id', 'app_id', 'media_source', 'country', 'device'],
  measures: [
    { name: 'installs', unit: 'count' },
    { name: 'conversions', unit: 'count' },
    { name: 'revenue_micros', unit: 'micros' },
  ],
  breakdown: 'by_event',
  labels: ['campaign', 'campaign_id_kind'],
};

export const TEST_INSTANCE = '0123456789abcdef0123456789abcdef';
export const joined = (...values: readonly string[]): string => values.join(DIMENSION_SEPARATOR);

/** A cell with all that a test does not care about filled in. */
export const cellOf = (part: Pick<MergedCell, 'kind' | 'windowStartMs' | 'dimensions'> & Partial<MergedCell>): MergedCell => ({
  records: 1,
  measures: [1, 0, 0],
  breakdown: null,
  labels: [{ timeMs: 1, text: 'Summer' }, { timeMs: 1, text: 'id' }],
  revision: 1,
  final: false,
  updatedAtMs: part.windowStartMs,
  ...part,
});

export class MemoryFeed implements ResultFeed {
  readonly schema: ResultSchema;
  generation = 1_000;
  instance = TEST_INSTANCE;
  latest = 0;
  /** Null: all of it is. */
  durableUpTo: number | null = null;
  finalUpToMs = 0;
  watermarkMs = -1;
  /** Every mark that was settled, in order. */
  readonly settled: number[] = [];
  readonly #cells = new Map<string, { cell: MergedCell; change: number }>();
  readonly #marks = new Map<string, number>();
  readonly #listeners = new Set<() => void>();

  constructor(schema: ResultSchema = TEST_SCHEMA) {
    this.schema = schema;
  }

  get durable(): number {
    return this.durableUpTo ?? this.latest;
  }

  /** The changes up to this one have become durable. */
  flush(upTo: number): void {
    this.durableUpTo = upTo;
    for (const listener of this.#listeners) listener();
  }

  /** One merge: the cells replace those of the same name. */
  put(...cells: readonly MergedCell[]): void {
    for (const cell of cells) this.#cells.set(cellMapKey(cell), { cell, change: ++this.latest });
    for (const listener of this.#listeners) listener();
  }

  /** As retention does: the cell is gone, its change number is not. */
  retire(cell: MergedCell): void {
    this.#cells.delete(cellMapKey(cell));
  }

  changedSince(mark: number, limit: number): ChangedCells {
    const entries = [...this.#cells.values()].filter(({ change }) => change > mark).sort((left, right) => left.change - right.change).slice(0, limit);
    return { cells: entries.map(({ cell }) => cell), mark: entries.at(-1)?.change ?? mark };
  }

  window(kind: CellKind, windowStartMs: number, resultKey: string | null, limit: number): readonly MergedCell[] {
    return [...this.#cells.values()]
      .map(({ cell }) => cell)
      .filter((cell) => cell.kind === kind && cell.windowStartMs === windowStartMs && (resultKey === null || cell.dimensions.split(DIMENSION_SEPARATOR)[0] === resultKey))
      .sort((left, right) => Buffer.compare(Buffer.from(left.dimensions), Buffer.from(right.dimensions)))
      .slice(0, limit);
  }

  settledMark(sink: string): number {
    return this.#marks.get(sink) ?? 0;
  }

  settle(sink: string, mark: number): void {
    this.settled.push(mark);
    this.#marks.set(sink, mark);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** For tests of what is left behind. */
  get listenerCount(): number {
    return this.#listeners.size;
  }
}
