/**
 * Cells as stored values. A value names the shape it was written under (which measures and labels, in which order), so that a
 * pipeline with a new measure reads what an older one wrote: measures go by name, what is new starts at 0, what is gone is dropped.
 *
 * Value: `[shape, revision, records, measures, breakdown names, breakdown counts, label times, label texts]`, msgpack.
 */

import type { CellName } from '../../engine/core/cell.ts';
import { unpack } from '../../engine/core/codec.ts';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import type { CellTable } from './cell-table.ts';
import { PackWriter } from './pack-writer.ts';
import type { StoredCell } from './stored-cell.ts';

/** Names of measures and labels in the order of stored arrays. */
export interface CellShape {
  readonly measures: readonly string[];
  readonly labels: readonly string[];
}

type Packed = [
  shape: number,
  revision: number,
  records: number,
  measures: number[],
  breakdownNames: string[] | null,
  breakdownCounts: number[] | null,
  labelTimesMs: number[],
  labelTexts: string[],
];

/** For each index of the current shape, the index in a stored one, or -1. */
type Mapping = { readonly measures: readonly number[]; readonly labels: readonly number[] };

export class CellCodec {
  /** Every shape that values in the store may have; the last one is the pipeline's. Kept in the checkpoint. */
  readonly shapes: readonly CellShape[];
  readonly #writer = new PackWriter();
  readonly #mappings: readonly (Mapping | null)[];

  constructor(current: CellShape, stored: readonly CellShape[]) {
    const isKnown = stored.length > 0 && JSON.stringify(stored[stored.length - 1]) === JSON.stringify(current);
    this.shapes = isKnown ? stored : [...stored, current];
    this.#mappings = this.shapes.map((shape, index) => (index === this.shapes.length - 1 ? null : mapping(current, shape)));
  }

  /** Key and value of a cell in memory, as the store gets them: views on memory that is never written again. */
  encode(table: CellTable, cell: number): { readonly key: Uint8Array; readonly value: Uint8Array } {
    const writer = this.#writer;
    const key = this.key(table, cell);
    writer.begin();
    table.slots.pack(cell, this.shapes.length - 1, writer);
    return { key, value: writer.end() };
  }

  /** As cellStoreKey makes it, which says what it is made of. */
  key(table: CellTable, cell: number): Uint8Array {
    const writer = this.#writer;
    writer.begin();
    writer.byte(table.slots.kind(cell));
    writer.uint48(table.slots.windowStartMs(cell));
    writer.utf8(table.dimensions(cell));
    return writer.end();
  }

  /** In the order of the pipeline's measures and labels. Raises STATE_CORRUPT. */
  decode(name: CellName, value: Uint8Array): StoredCell {
    try {
      const [shape, revision, records, measures, breakdownNames, breakdownCounts, times, texts] = unpack<Packed>(value);
      const map = this.#mappings[shape];
      if (map === undefined) throw new Error(`unknown shape ${shape}`);
      return {
        revision,
        records,
        measures: map === null ? measures : map.measures.map((from) => measures[from] ?? 0),
        breakdownNames,
        breakdownCounts,
        labelTimesMs: map === null ? times : map.labels.map((from) => times[from] ?? -1),
        labelTexts: map === null ? texts : map.labels.map((from) => texts[from] ?? ''),
      };
    } catch (error) {
      throw new EngineError('STATE_CORRUPT', `a stored cell cannot be read: ${messageOf(error)}`, { where: { window: name.windowStartMs, kind: name.kind }, cause: error, fix: 'restore the state from a savepoint' });
    }
  }
}

const mapping = (current: CellShape, stored: CellShape): Mapping => ({
  measures: current.measures.map((name) => stored.measures.indexOf(name)),
  labels: current.labels.map((name) => stored.labels.indexOf(name)),
});
