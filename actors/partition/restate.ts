/**
 * Corrects cells of a partition that is at rest: what a promotion does to the shares that the partition still holds.
 *
 * The partition has been saved to its last record and nobody runs it. Each correction is added to the share that it has, or makes one, under
 * the next sequence number, so that the revision of the merged cell rises by known steps. Shares may become negative: only sums over all
 * partitions are shown. Verdicts, fingerprints and dead letters stay as they were: they tell what became of each record when it came.
 */

import { cellStoreKey, type CellName, type CellTotals } from '../../engine/core/cell.ts';
import { plusDelta, type TotalsDelta } from '../../engine/core/cell-difference.ts';
import { pack } from '../../engine/core/codec.ts';
import type { OrderedStore, StoreOperation } from '../../engine/core/store.ts';
import type { PartitionId } from '../../engine/core/types.ts';
import { CellCodec } from './cell-codec.ts';
import { readState, stateOperation, type PartitionIdentity } from './checkpoint-state.ts';
import { TABLES } from './options.ts';
import { toPartial, type StoredCell } from './stored-cell.ts';

export interface Correction {
  readonly name: CellName;
  readonly delta: TotalsDelta;
}

export interface RestingPartition {
  readonly id: PartitionId;
  readonly partitionCount: number;
  readonly instance: string;
  readonly pipeline: { readonly name: string; readonly dimensions: readonly { readonly name: string }[]; readonly measures: readonly { readonly name: string }[]; readonly labels: readonly { readonly name: string }[] };
  readonly store: OrderedStore;
}

/** How far a partition at rest has come; null for an empty store. Raises as opening it does. */
export function restingState(partition: RestingPartition): { readonly sequence: number; readonly offsets: readonly number[]; readonly rules: NonNullable<ReturnType<typeof readState>>['rules'] } | null {
  const stored = readState(partition.store, identityOf(partition));
  if (stored === null) return null;
  const { state, rules } = stored;
  return { sequence: state.sequence, offsets: [state.offset, ...(state.otherOffsets ?? [])], rules };
}

/** The operations of one transaction, the sequence number they make, and of each correction the revision that its share had: 0 where there was none. */
export function restate(partition: RestingPartition, corrections: readonly Correction[]): { readonly operations: StoreOperation[]; readonly sequence: number; readonly formerRevisions: readonly number[] } {
  const { store, pipeline } = partition;
  const stored = readState(store, identityOf(partition));
  if (stored === null) throw new Error(`bug: partition ${partition.id} has no state to be corrected`);
  // Its format stays what it was, with all that this says of its fields.
  const { state } = stored;
  const codec = new CellCodec({ measures: pipeline.measures.map(({ name }) => name), labels: pipeline.labels.map(({ name }) => name) }, state.shapes);
  const sequence = state.sequence + 1;
  const operations: StoreOperation[] = [];
  const formerRevisions = corrections.map(({ name, delta }) => {
    const key = cellStoreKey(name);
    const value = store.get(TABLES.cells, key);
    const former = value === null ? null : codec.decode(name, value);
    const next = plusDelta(former === null ? null : toPartial(name, former), delta);
    operations.push({ table: TABLES.cells, key, value: encode(codec.shapes.length - 1, sequence, next, pipeline) });
    return former?.revision ?? 0;
  });
  // The epoch counts checkpoints, of which this is none: fingerprints are filed under it.
  operations.push(stateOperation({ ...state, shapes: codec.shapes, sequence }));
  return { operations, sequence, formerRevisions };
}

function encode(shape: number, revision: number, { records, measures, breakdown, labels }: CellTotals, pipeline: RestingPartition['pipeline']): Uint8Array {
  const names = breakdown === null ? null : Object.keys(breakdown);
  const cell: StoredCell = {
    revision,
    records,
    measures: pipeline.measures.map((_, index) => measures[index] ?? 0),
    breakdownNames: names,
    breakdownCounts: names === null ? null : names.map((name) => breakdown?.[name] as number),
    labelTimesMs: pipeline.labels.map((_, index) => labels[index]?.timeMs ?? -1),
    labelTexts: pipeline.labels.map((_, index) => labels[index]?.text ?? ''),
  };
  return pack([shape, cell.revision, cell.records, cell.measures, cell.breakdownNames, cell.breakdownCounts, cell.labelTimesMs, cell.labelTexts]);
}

const identityOf = ({ id, partitionCount, instance, pipeline }: RestingPartition): PartitionIdentity => ({ instance, partition: id, partitionCount, pipeline: pipeline.name, dimensions: pipeline.dimensions.map(({ name }) => name) });
