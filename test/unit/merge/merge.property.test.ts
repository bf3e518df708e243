import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Merge } from '../../../actors/merge/merge.ts';
import { CellKind, cellMapKey } from '../../../engine/core/cell.ts';
import type { CellName, MergedCell, PartialCell, PartitionReport } from '../../../engine/core/cell.ts';
import type { MergeOutput } from '../../../engine/core/feed.ts';
import { HOUR_MS, report, schema, StoreModel } from './helpers.ts';

const PARTITIONS = 3;
const NUM_RUNS = 1_000;

interface Head {
  readonly sequence: number;
  readonly closedUpToMs: number;
}

const NOTHING: Head = { sequence: 0, closedUpToMs: 0 };

/** A partition as the merge sees one: its state is what its log folds to, so that a restart loses reports but no fold. */
class PartitionModel {
  readonly index: number;
  sequence = 0;
  closedUpToMs = 0;
  /** Everything ever folded, dropped or not: the truth. */
  readonly truth = new Map<string, PartialCell>();
  readonly dropped = new Set<string>();
  dirty = new Set<string>();
  /** What has begun to be told: cells still to go, and the head that the last of them may claim. */
  begun: { readonly keys: Set<string>; readonly head: Head } | null = null;
  claimed: Head = NOTHING;
  recovering = true;
  asked: { requestId: number; names: readonly CellName[] }[] = [];

  constructor(index: number) {
    this.index = index;
  }

  fold(hour: number, campaign: string, amount: number): void {
    this.sequence++;
    const windowStartMs = hour * HOUR_MS;
    const dimensions = `${campaign}\u001fDE`;
    const label = { timeMs: windowStartMs + (this.sequence % 3), text: `${campaign}${this.sequence % 2}` };
    if (windowStartMs + HOUR_MS <= this.closedUpToMs) this.#count(CellKind.late, windowStartMs, dimensions, amount, label);
    else this.#count(CellKind.hour, windowStartMs, dimensions, amount, label);
    this.#count(CellKind.day, 0, dimensions, amount, label);
  }

  close(hour: number): void {
    const upTo = hour * HOUR_MS;
    if (upTo <= this.closedUpToMs) return;
    this.sequence++;
    for (const [key, cell] of this.truth) {
      if (cell.kind !== CellKind.hour || cell.windowStartMs + HOUR_MS > upTo || cell.windowStartMs + HOUR_MS <= this.closedUpToMs) continue;
      this.truth.set(key, { ...cell, revision: this.sequence });
      this.dirty.add(key);
    }
    this.closedUpToMs = upTo;
  }

  /** The next piece of a report: cells as they are now, the head as it was when the report began and only with its last piece. */
  piece(settledSequence: number, cellsMax: number): PartialCell[] {
    this.begun ??= { keys: this.#unreported(settledSequence), head: { sequence: this.sequence, closedUpToMs: this.closedUpToMs } };
    const { keys, head } = this.begun;
    const cells: PartialCell[] = [];
    for (const key of keys) {
      if (cells.length >= cellsMax) return cells;
      keys.delete(key);
      this.dirty.delete(key);
      if (!this.dropped.has(key)) cells.push(this.truth.get(key) as PartialCell);
    }
    this.claimed = head;
    this.begun = null;
    return cells;
  }

  /** Nothing of the thread is left but its log. */
  restart(): void {
    this.recovering = true;
    this.asked = [];
    this.dirty.clear();
    this.begun = null;
    this.claimed = NOTHING;
  }

  /** After a restart all that is not settled and all hour cells. */
  #unreported(settledSequence: number): Set<string> {
    if (!this.recovering) return new Set(this.dirty);
    return new Set([...this.truth].filter(([, cell]) => cell.kind === CellKind.hour || cell.revision > settledSequence).map(([key]) => key));
  }

  drop(finalUpToMs: number, settledSequence: number): void {
    for (const [key, cell] of this.truth) {
      if (cell.kind === CellKind.hour && cell.windowStartMs + HOUR_MS <= finalUpToMs && cell.revision <= settledSequence) this.dropped.add(key);
    }
  }

  #count(kind: CellKind, windowStartMs: number, dimensions: string, amount: number, label: { timeMs: number; text: string }): void {
    const key = cellMapKey({ kind, windowStartMs, dimensions });
    const former = this.truth.get(key);
    const best = former?.labels[0];
    const keep = best !== undefined && (best.timeMs > label.timeMs || (best.timeMs === label.timeMs && best.text >= label.text));
    this.truth.set(key, {
      kind,
      windowStartMs,
      dimensions,
      revision: this.sequence,
      records: (former?.records ?? 0) + 1,
      measures: [(former?.measures[0] ?? 0) + 1, (former?.measures[1] ?? 0) + amount],
      breakdown: { [`e${amount & 1}`]: ((former?.breakdown ?? {})[`e${amount & 1}`] ?? 0) + 1, ...withoutKey(former?.breakdown, `e${amount & 1}`) },
      labels: [keep ? best : label],
    });
    this.dirty.add(key);
  }
}

const withoutKey = (counts: Readonly<Record<string, number>> | null | undefined, name: string): Record<string, number> =>
  Object.fromEntries(Object.entries(counts ?? {}).filter(([key]) => key !== name));

/** Partitions, merge and live store, driven step by step; crashes keep only what the store model and the partitions' logs keep. */
class World {
  readonly partitions = Array.from({ length: PARTITIONS }, (_, index) => new PartitionModel(index));
  readonly store = new StoreModel();
  settled: ReadonlyMap<number, number> = new Map();
  finalUpToMs = 0;
  merge = this.#newMerge();
  #output: MergeOutput | null = null;
  #sent: PartitionReport[] = [];

  #newMerge(): Merge {
    return new Merge({ schema, partitionCount: PARTITIONS, exists: this.store.exists, limits: { outputCellsMax: 3, idleCellsMax: 1, requestCellsMax: 2, pendingCellsMax: 100 } });
  }

  report(index: number, cellsMax = Infinity): void {
    const partition = this.#at(index);
    this.#send(partition, partition.piece(this.settled.get(index) ?? 0, cellsMax));
    if (partition.recovering && partition.begun === null) {
      this.merge.complete(index);
      partition.recovering = false;
    }
  }

  #send(partition: PartitionModel, cells: readonly PartialCell[]): void {
    const { sequence, closedUpToMs } = partition.claimed;
    const sent = report(partition.index, sequence, cells, { closedUpToMs, watermarkMs: closedUpToMs });
    this.#sent.push(sent);
    this.merge.accept(sent);
  }

  ask(): void {
    const request = this.merge.takeRequests();
    if (request !== null) for (const partition of this.partitions) partition.asked.push(request);
  }

  answer(index: number): void {
    const partition = this.#at(index);
    const request = partition.asked.shift();
    if (request === undefined || partition.recovering) return;
    this.#send(partition, request.names.flatMap((name) => partition.truth.get(cellMapKey(name)) ?? []));
    this.merge.answered(index, request.requestId);
  }

  /** One output, possibly left unsettled, as when the live store's transaction takes long or fails at first. */
  drain(settle: boolean): boolean {
    this.#output ??= this.merge.drain(1);
    if (this.#output === null) return false;
    if (!settle) return true;
    for (const cell of this.#output.changed) this.#checkStep(this.store.exists(cell), cell);
    this.store.apply(this.#output);
    this.settled = this.#output.settledSequences;
    this.finalUpToMs = Math.max(this.finalUpToMs, this.#output.finalUpToMs);
    this.merge.settled(this.#output);
    this.#output = null;
    return true;
  }

  /** Partitions learn at different times what is settled. */
  drop(index: number): void {
    this.#at(index).drop(this.finalUpToMs, this.settled.get(index) ?? 0);
  }

  /** An old report arrives once more. */
  repeat(nth: number): void {
    const old = this.#sent[nth % Math.max(1, this.#sent.length)];
    if (old !== undefined && !this.#at(old.partition).recovering) this.merge.accept(old);
  }

  restartPartition(index: number): void {
    this.#at(index).restart();
    this.merge.recovering([index]);
  }

  restartProcess(): void {
    this.#output = null;
    this.#sent = [];
    for (const partition of this.partitions) partition.restart();
    this.merge = this.#newMerge();
  }

  quiesce(): void {
    for (let turn = 0; turn < 500; turn++) {
      // Twice: the first time may end what had begun before the last changes.
      for (const partition of [...this.partitions, ...this.partitions]) this.report(partition.index);
      while (this.drain(true));
      this.ask();
      for (const partition of this.partitions) while (partition.asked.length > 0) this.answer(partition.index);
      if (!this.drain(true) && this.merge.pendingCount === 0) return;
    }
    throw new Error('does not come to rest');
  }

  check(): void {
    const expected = new Map<string, MergedCell>();
    for (const partition of this.partitions) for (const [key, cell] of partition.truth) expected.set(key, plus(expected.get(key), cell));
    const finalUpToMs = Math.min(...this.partitions.map((partition) => partition.closedUpToMs));
    const finished = [...expected.values()].map((cell) => {
      const final = cell.kind === CellKind.hour && cell.windowStartMs + HOUR_MS <= finalUpToMs;
      return { ...cell, final, revision: cell.revision + (final ? 1 : 0) };
    });
    const order = (a: MergedCell, b: MergedCell) => (cellMapKey(a) < cellMapKey(b) ? -1 : 1);
    expect([...this.store.cells.values()].sort(order)).toEqual(finished.sort(order));
    expect([...this.settled.values()]).toEqual(this.partitions.map((partition) => partition.sequence));
    expect(this.merge.alarms).toEqual({ saturatedMeasures: 0, refusedLower: 0, refusedFinal: 0 });
  }

  #checkStep(stored: MergedCell | null, cell: MergedCell): void {
    if (stored === null) return;
    if (stored.final) throw new Error('a final cell changed');
    if (cell.revision <= stored.revision) throw new Error(`revision fell from ${stored.revision} to ${cell.revision}`);
  }

  #at(index: number): PartitionModel {
    return this.partitions[index] as PartitionModel;
  }
}

const plus = (sum: MergedCell | undefined, cell: PartialCell): MergedCell => {
  if (sum === undefined) return { ...cell, final: false, updatedAtMs: 1 };
  const breakdown: Record<string, number> = { ...sum.breakdown };
  for (const [name, count] of Object.entries(cell.breakdown ?? {})) breakdown[name] = (breakdown[name] ?? 0) + count;
  const [a, b] = [sum.labels[0], cell.labels[0]];
  const label = a === undefined || (b !== undefined && (b.timeMs > a.timeMs || (b.timeMs === a.timeMs && b.text > a.text))) ? b : a;
  return {
    ...sum,
    records: sum.records + cell.records,
    measures: sum.measures.map((value, index) => value + (cell.measures[index] ?? 0)),
    breakdown,
    labels: label === undefined ? [] : [label],
    revision: sum.revision + cell.revision,
  };
};

const partitionIndex = fc.nat(PARTITIONS - 1);
const step = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constant('fold' as const), partitionIndex, fc.nat(4), fc.constantFrom('a', 'b', 'c'), fc.integer({ min: -50, max: 50 })) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('report' as const), partitionIndex, fc.constantFrom(1, 2, Infinity)) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('drain' as const), fc.boolean()) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('close' as const), partitionIndex, fc.nat(4)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('ask' as const)) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('answer' as const), partitionIndex) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('drop' as const), partitionIndex) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('repeat' as const), fc.nat(20)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('restartPartition' as const), partitionIndex) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('restartProcess' as const)) },
);

describe('Merge, against a plain model of sums', () => {
  it('ends with exact sums and revisions, whatever the order of reports, evictions and restarts; revisions only rise, final stays', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 150, size: 'max' }), (steps) => {
        const world = new World();
        for (const move of steps) {
          switch (move[0]) {
            case 'fold':
              (world.partitions[move[1]] as PartitionModel).fold(move[2], move[3], move[4]);
              break;
            case 'report':
              world.report(move[1], move[2]);
              break;
            case 'drain':
              world.drain(move[1]);
              break;
            case 'close':
              (world.partitions[move[1]] as PartitionModel).close(move[2]);
              break;
            case 'ask':
              world.ask();
              break;
            case 'answer':
              world.answer(move[1]);
              break;
            case 'drop':
              world.drop(move[1]);
              break;
            case 'repeat':
              world.repeat(move[1]);
              break;
            case 'restartPartition':
              world.restartPartition(move[1]);
              break;
            case 'restartProcess':
              world.restartProcess();
              break;
          }
        }
        world.quiesce();
        world.check();
      }),
      { numRuns: NUM_RUNS },
    );
  });
});
