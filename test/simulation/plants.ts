/** Bugs planted at the seams of the simulated daemon: each must be found, or the checker that should find it proves nothing. */

import type { PartitionStats } from '../../actors/partition/index.ts';
import type { MergeOutput } from '../../engine/core/feed.ts';
import { CellKind, cellMapKey, type MergedCell, type PartitionReport } from '../../engine/core/cell.ts';
import type { Sink } from '../../engine/core/feed.ts';
import type { SlotShare } from '../../engine/core/lake-slot.ts';
import type { LogBatch } from '../../engine/core/log.ts';
import { Verdict } from '../../engine/core/record.ts';
import type { OrderedStore } from '../../engine/core/store.ts';
import { readVerdictLog, VerdictLogWriter } from '../../engine/core/verdict-log.ts';
import type { ErasedFile } from '../../sinks/lake/index.ts';
import { fileOf, rowsIn } from './lake-text.ts';
import type { SimulatedSystem } from './sink.ts';
import { altered } from './store.ts';
import type { SimulatedActor } from './threads.ts';

export interface Plant {
  /** Which checkers may find it. */
  readonly finders: readonly string[];
  /** A failed commit is acknowledged all the same. */
  readonly acknowledgesFailures?: boolean;
  /** Nothing is recognised as sent before. */
  readonly forgetsRepeats?: boolean;
  /** Milliseconds are compared although Pull rows have none. */
  readonly comparesMilliseconds?: boolean;
  /** Some syncs do nothing. */
  readonly syncLies?: boolean;
  /** Changes what the merge hands to the live store. */
  readonly output?: (output: MergeOutput) => MergeOutput;
  /** Changes what readers are shown of it. */
  readonly visible?: (output: MergeOutput) => MergeOutput;
  readonly store?: (store: OrderedStore) => OrderedStore;
  readonly sink?: (sink: Sink, system: SimulatedSystem) => Sink;
  readonly actor?: (actor: SimulatedActor) => SimulatedActor;
  /** Changes a file of the lake at the n-th encoding of a life. */
  readonly encode?: (bytes: Uint8Array, attempt: number) => Uint8Array;
  /** A file of the lake is not sent, and counts as sent. */
  readonly skipsUpload?: (name: string) => boolean;
  readonly hourly?: (sink: Sink) => Sink;
  readonly spoolHasNoLimit?: boolean;
  readonly deadLettersHaveNoLimit?: boolean;
  /** Changes what becomes of a file of the lake that is looked at for erased people. */
  readonly erase?: (file: ErasedFile) => ErasedFile;
  /** A batch is folded although one that comes before it may still be under way. */
  readonly mergeDoesNotWait?: boolean;
}

const withHeadOf = ({ sequence, offset, watermarkMs, closedUpToMs, received, accepted, duplicate, late, rejected }: PartitionStats, { partition, cells }: PartitionReport): PartitionReport => ({
  partition,
  sequence,
  offset,
  watermarkMs,
  closedUpToMs,
  received,
  accepted,
  duplicate,
  late,
  rejected,
  cells,
});

const withoutTable = (store: OrderedStore, table: string): OrderedStore => altered(store, { commit: (operations) => store.commit(operations.filter((operation) => operation.table !== table)) });

const mapCells = (output: MergeOutput, change: (cell: MergedCell) => MergedCell): MergeOutput => ({ ...output, changed: output.changed.map(change) });

/** Duplicates are handed to the lake as accepted. */
function withRepeats(share: SlotShare): SlotShare {
  const writer = new VerdictLogWriter();
  let rowCount = 0;
  for (const { journal, batchOffset, firstSequence, verdicts } of readVerdictLog(share.entries)) {
    const changed = verdicts.map((verdict) => (verdict === Verdict.duplicate ? Verdict.accepted : verdict));
    rowCount += changed.filter((verdict) => verdict === Verdict.accepted || verdict === Verdict.late).length;
    writer.append(batchOffset, firstSequence, changed, changed.length, journal);
  }
  return { ...share, rowCount, entries: writer.bytes() };
}

export const PLANTS: Readonly<Record<string, Plant>> = {
  'acknowledged-not-durable': { finders: ['acknowledged'], acknowledgesFailures: true },
  'sync-does-nothing': { finders: ['totals', 'conservation', 'liveness', 'lake', 'hours', 'EngineError'], syncLies: true },
  'repeats-count': { finders: ['totals'], forgetsRepeats: true },
  'pull-rows-count-again': { finders: ['totals'], comparesMilliseconds: true },
  /** A checkpoint whose offset covers cells that are not in it. */
  'checkpoint-without-cells': { finders: ['totals', 'day', 'visible', 'merge', 'replay', 'liveness'], store: (store) => withoutTable(store, 'cells') },
  'checkpoint-without-fingerprints': { finders: ['totals', 'replay', 'lake', 'EngineError'], store: (store) => withoutTable(store, 'dedupe') },
  'checkpoint-without-outbox': { finders: ['lake', 'liveness', 'bug'], store: (store) => withoutTable(store, 'outbox') },
  'flush-says-more-than-it-did': { finders: ['EngineError', 'totals', 'visible', 'liveness', 'merge', 'lake'], store: (store) => altered(store, { flushed: () => Promise.resolve() }) },
  'verdict-not-counted': {
    finders: ['conservation'],
    actor: (actor) => altered(actor, { stats: () => ({ ...actor.stats(), duplicate: 0 }) }),
  },
  'fold-asks-the-wall-clock': {
    finders: ['replay', 'lake', 'visible', 'merge', 'liveness'],
    actor: (actor) => altered(actor, { fold: (batch, slice, cursor) => actor.fold(slice === null && batch.sequence % 7 === 0 ? altered<LogBatch>(batch, { receivedAtMs: batch.receivedAtMs + 90_000 }) : batch, slice, cursor) }),
  },
  'report-claims-too-early': {
    finders: ['merge', 'visible', 'totals', 'day', 'liveness'],
    actor: (actor) => altered(actor, { report: (scope, cellsMax) => withHeadOf(actor.stats(), actor.report(scope, cellsMax)) }),
  },
  'merged-cell-lost': {
    finders: ['day', 'totals', 'liveness', 'sink', 'visible'],
    output: (output) => ({ ...output, changed: output.changed.filter((cell) => !(cell.kind === CellKind.day && cell.revision % 5 === 0)) }),
  },
  'final-too-early': {
    finders: ['visible'],
    visible: (output) => mapCells(output, (cell) => (cell.kind === CellKind.hour && cell.revision % 2 === 0 ? { ...cell, final: true } : cell)),
  },
  'revision-falls': {
    finders: ['visible'],
    visible: (output) => mapCells(output, (cell) => (cell.revision % 7 === 0 ? { ...cell, revision: 0 } : cell)),
  },
  'watermark-falls': {
    finders: ['visible'],
    visible: (output) => ({ ...output, watermarkMs: output.counters.received % 5 === 0 ? output.watermarkMs - 10_000 : output.watermarkMs }),
  },
  'sink-takes-lower-revisions': {
    finders: ['sink'],
    sink: (sink, system) =>
      altered(sink, {
        write: async (changed, feed) => {
          await sink.write({ ...changed, cells: [] }, feed);
          for (const cell of changed.cells) if (cell.revision % 3 !== 0) system.cells.set(cellMapKey(cell), { cell, generation: feed.generation });
        },
      }),
  },
  'sink-write-never-ends': {
    finders: ['liveness'],
    sink: (sink) => altered(sink, { write: (changed, feed) => (changed.mark > 40 ? new Promise<void>(() => undefined) : sink.write(changed, feed)) }),
  },
  'lake-row-twice': {
    finders: ['lake'],
    actor: (actor) => altered(actor, { takeShares: () => actor.takeShares().map(withRepeats) }),
  },
  'lake-file-differs': { finders: ['lake'], encode: (bytes, attempt) => Buffer.from(Buffer.from(bytes).toString().replace('"digest":"', `"digest":"${attempt}`)) },
  'lake-file-not-sent': { finders: ['lake'], skipsUpload: (name) => name.startsWith('events/') && name.endsWith('0001.parquet') },
  /** The mark goes on although hours were not written. */
  'lake-hour-not-written': { finders: ['hours'], hourly: (sink) => altered(sink, { write: (changed, feed) => (changed.mark % 4 === 0 ? Promise.resolve() : sink.write(changed, feed)) }) },
  'spool-has-no-limit': { finders: ['bounds'], spoolHasNoLimit: true },
  'merge-does-not-wait': { finders: ['replay', 'lake', 'totals', 'visible', 'merge', 'liveness', 'day', 'bug'], mergeDoesNotWait: true },
  /** A letter that was sent again is waiting again after a restart. */
  'checkpoint-without-retries': { finders: ['replay'], store: (store) => withoutTable(store, 'retries') },
  'erased-rows-stay': { finders: ['erased'], erase: () => ({ bytes: null, removed: {} }) },
  'erasure-takes-neighbours': { finders: ['lake'], erase: ({ bytes, removed }) => ({ bytes: bytes === null ? null : fileOf(rowsIn(bytes).slice(1)), removed }) },
  /** What is encoded after an erasure knows nothing of it. */
  'slots-forget-erasures': { finders: ['erased'], actor: (actor) => altered(actor, { takeShares: () => actor.takeShares().map((share) => ({ ...share, erasures: [] })) }) },
  'dead-letters-have-no-limit': { finders: ['bounds'], deadLettersHaveNoLimit: true },
};
