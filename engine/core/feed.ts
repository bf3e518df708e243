/**
 * The sink port: results are fed from state, not from queues.
 *
 * The live store numbers every change of a merged cell. What an outer sink has settled is one durable mark in that
 * numbering; what it still needs is every cell changed since. A sink that is away misses nothing and costs no memory.
 */

import type { CellKind, MergedCell, PartitionReport } from './cell.ts';
import type { ResultSchema } from './pipeline.ts';
import { emptyConservation, type Conservation } from './record.ts';

/** How far one partition has come, by its latest report. */
export type PartitionProgress = Omit<PartitionReport, 'cells'>;

/** What is known of a partition that has reported nothing yet. */
export const nothingReported = (partition: number): PartitionProgress => ({ partition, sequence: 0, watermarkMs: -1, closedUpToMs: 0, offset: 0, ...emptyConservation() });

/** What the merge hands to the live store, to be written in one transaction or not at all. */
export interface MergeOutput {
  /** Cells whose merged value changed, each once, absolute. */
  readonly changed: readonly MergedCell[];
  /** By partition: every change at or before this sequence number is in the live store once `changed` is. */
  readonly settledSequences: ReadonlyMap<number, number>;
  /** Every hour that ends at or before this is closed in all partitions, and all its cells are written as final. */
  readonly finalUpToMs: number;
  /** Lowest watermark of all partitions; -1 before the first. */
  readonly watermarkMs: number;
  /** Summed over the partitions. */
  readonly counters: Readonly<Conservation>;
  /** By partition number. */
  readonly partitions: readonly PartitionProgress[];
}

/** Cells changed after a mark, each once with its latest value, in order of change. */
export interface ChangedCells {
  readonly cells: readonly MergedCell[];
  /** The mark to settle once `cells` are written. */
  readonly mark: number;
}

/** What sinks read from. Implemented by the live store; all calls on the main thread. */
export interface ResultFeed {
  readonly schema: ResultSchema;
  /** Raised by savepoint restore and promotion; a sink refuses a lower (generation, revision). */
  readonly generation: number;
  /** Names the state directory; 32 hex digits. */
  readonly instance: string;
  /** The newest change number; 0 before the first. */
  readonly latest: number;
  /** The newest change number that no power cut takes back, so that it will never name another change; listeners are told when it rises. */
  readonly durable: number;
  changedSince(mark: number, limit: number): ChangedCells;
  /** All merged cells of one kind and window, or only those whose first dimension is `resultKey`; at most `limit`, in key order. Those without records too, of which a sink shows none (`isShown`): what they were shown in is to be written anew. */
  window(kind: CellKind, windowStartMs: number, resultKey: string | null, limit: number): readonly MergedCell[];
  settledMark(sink: string): number;
  /** `mark` is durable; that it is settled is with the live store's next transaction. */
  settle(sink: string, mark: number): void;
  /** Calls back after changes, and when they have become durable; returns how to stop it. */
  onChange(listener: () => void): () => void;
  /** Closed = every partition has passed it; epoch ms. */
  readonly finalUpToMs: number;
  /** Lowest watermark of all partitions; epoch ms, -1 before the first. */
  readonly watermarkMs: number;
}

/** What a sink remembers on its own side; null when it was flushed, replaced or is new. */
export interface SinkMarker {
  readonly instance: string;
  readonly generation: number;
  readonly settled: number;
}

/**
 * One outer system. Implemented per sink folder; driven by `sinks/sink-writer.ts`, which does retry, backoff, health and marks:
 * methods here either do their work or raise an EngineError (SINK_UNAVAILABLE or SINK_REFUSED).
 */
export interface Sink {
  readonly name: string;
  /** At least this long between two writes; 0 for as soon as something changed. Milliseconds. */
  readonly intervalMs: number;
  /** Connects and reads the marker. Called again after every failure. */
  open(): Promise<SinkMarker | null>;
  /** Writes the latest values of `changed` (and what hangs on them). A refusal by revision counts as written. */
  write(changed: ChangedCells, feed: ResultFeed): Promise<void>;
  /** Stores the marker on the sink's side, after `write`. */
  mark(marker: SinkMarker): Promise<void>;
  /** Reads the marker back; the writer calls it each minute. */
  check(): Promise<SinkMarker | null>;
  close(): Promise<void>;
}

export interface SinkHealth {
  readonly name: string;
  readonly healthy: boolean;
  readonly settledMark: number;
  /** Age of the oldest change that is not settled. Milliseconds. */
  readonly lagMs: number;
  readonly lastError: string | null;
  readonly writes: number;
  readonly failures: number;
  readonly cellsWritten: number;
}
