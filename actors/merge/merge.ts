/**
 * The merge: makes one cell out of every partition's share of it.
 *
 * Each partition reports absolute totals. The merge keeps the latest report of each, so that a repeated or replayed report
 * changes nothing, and hands out sums with a revision that only rises. Nothing is handed out before every partition has
 * completed its recovery; afterwards a restarted partition keeps the shares it had reported, so that the others go on.
 *
 * Memory: hour cells until they are final and settled (the partitions bound their number), day and late cells only while they
 * changed lately. A day or late cell that is stored but not in memory is changed only after all partitions reported their
 * shares of it again. No I/O, no clock; main thread. Hot path: 40 K reported cells a second, at most 6.25 µs a cell, the live store included; bench/micro/merge.ts.
 */

import { CellKind } from '../../engine/core/cell.ts';
import type { CellName, MergedCell, PartialCell, PartitionReport } from '../../engine/core/cell.ts';
import { nothingReported, type MergeOutput, type PartitionProgress } from '../../engine/core/feed.ts';
import type { ResultSchema } from '../../engine/core/pipeline.ts';
import type { Conservation } from '../../engine/core/record.ts';
import { emptyConservation } from '../../engine/core/record.ts';
import { assert, MS_PER_HOUR } from '../../engine/core/types.ts';
import { CellTables } from './cell-table.ts';
import { MergeEntry } from './entry.ts';
import type { CellShape } from './entry.ts';
import { CellRequests } from './requests.ts';
import type { CellRequest } from './requests.ts';
import { Rounds } from './rounds.ts';
import type { Progress } from './rounds.ts';

export interface MergeLimits {
  /** Cells of one output; further ones follow in the next. Measured: 10 to 40 ms of main to drain and encode, where 20,000 took 50 to 300. */
  readonly outputCellsMax: number;
  /** Day and late cells kept in memory although nothing of them is pending ... */
  readonly idleCellsMax: number;
  /** ... and for how long after their last change, by the watermark. */
  readonly idleMsMax: number;
  /** Cells of one request to the partitions. */
  readonly requestCellsMax: number;
  /** Pending cells at which no more changes are taken: {@link Merge.takes}. */
  readonly pendingCellsMax: number;
}

/** An idle cell costs about 2 KB; one that changes again later than `idleMsMax` costs a question to every partition. Chosen: two hours. */
export const MERGE_LIMITS: MergeLimits = { outputCellsMax: 5_000, idleCellsMax: 100_000, idleMsMax: 2 * MS_PER_HOUR, requestCellsMax: 1_000, pendingCellsMax: 200_000 };

/** Cells looked at for one output, as a multiple of those that it may hold. Chosen: some 10 ms. */
const LOOKS_PER_WRITE = 10;

export interface MergeOptions {
  readonly schema: ResultSchema;
  readonly partitionCount: number;
  /** The merged cell as the live store has it, or null. Must see every output that was settled. */
  readonly exists: (name: CellName) => MergedCell | null;
  readonly limits?: Partial<MergeLimits>;
}

/** What a partition's latest report said of it. */
export interface PartitionStatus extends PartitionProgress {
  readonly recovering: boolean;
}

/** Things that should not happen, counted since the start. */
export interface MergeAlarms {
  /** Measures shown as the nearest safe integer, because their true total lies beyond. Counted at each writing. */
  saturatedMeasures: number;
  /** Changes not shown because they would have lowered a stored revision: shares have left a partition too early. */
  refusedLower: number;
  /** Reported changes to cells that were final. */
  refusedFinal: number;
}

interface PartitionState {
  latest: PartitionProgress;
  recovering: boolean;
  /** Has completed a recovery since the merge was made: its shares are here. */
  known: boolean;
}

export class Merge {
  readonly #shape: CellShape;
  readonly #exists: MergeOptions['exists'];
  readonly #limits: MergeLimits;
  readonly #partitions: readonly PartitionState[];
  readonly #tables = new CellTables();
  readonly #requests: CellRequests;
  readonly #rounds: Rounds;
  readonly #alarms: MergeAlarms = { saturatedMeasures: 0, refusedLower: 0, refusedFinal: 0 };
  /** Pending cells whose shares are all here, in order of change. */
  #queue: MergeEntry[] = [];
  /** Day and late cells with nothing pending, the longest unchanged first, with the watermark at which each became so. */
  readonly #idle = new Map<MergeEntry, number>();
  #inFlight: { output: MergeOutput; entries: readonly MergeEntry[] } | null = null;
  /** Something was reported that no output has shown yet. */
  #touched = false;
  #unknownCount: number;
  #recoveringCount: number;

  constructor(options: MergeOptions) {
    this.#shape = { measureCount: options.schema.measures.length, labelCount: options.schema.labels.length };
    this.#exists = options.exists;
    this.#limits = { ...MERGE_LIMITS, ...options.limits };
    const count = options.partitionCount;
    this.#partitions = Array.from({ length: count }, (_, partition) => ({ latest: nothingReported(partition), recovering: true, known: false }));
    this.#requests = new CellRequests(count, this.#limits.requestCellsMax);
    this.#rounds = new Rounds({ sequences: new Map(), finalUpToMs: 0, watermarkMs: -1 });
    this.#unknownCount = count;
    this.#recoveringCount = count;
  }

  /** Every partition has completed a recovery, so that outputs are whole. Stays true when a partition is restarted later. */
  get ready(): boolean {
    return this.#unknownCount === 0;
  }

  get recoveringCount(): number {
    return this.#recoveringCount;
  }

  /** Cells that are waiting to be written. */
  get pendingCount(): number {
    return this.#queue.length + this.#requests.waitingCount;
  }

  /** Something is left for the next output, whether or not a report comes before it. */
  get hasPending(): boolean {
    return this.#queue.length > 0;
  }

  get full(): boolean {
    return this.pendingCount >= this.#limits.pendingCellsMax;
  }

  /**
   * What the caller may take of the partition now. While the merge is full nothing that could add to it, but all that it needs to get out:
   * - Cells that are queued leave with each output, whoever reports or not.
   * - Cells that wait for shares are asked for as soon as no partition recovers, some at a time, and are queued once every partition has
   *   answered. So one that owes an answer may give it: answers alone, which hold shares of cells that are pending already.
   * - One that recovers may report all that it must, or nothing would ever be asked again. That is bounded by what had not been settled.
   * So a full merge ends by itself, as long as the live store can be written and threads that die are replaced.
   */
  takes(partition: number): 'all' | 'answers' | 'nothing' {
    if (!this.full || this.#state(partition).recovering) return 'all';
    return this.#requests.owesAnswer(partition) ? 'answers' : 'nothing';
  }

  /** Cells in memory. */
  get cellCount(): number {
    return this.#tables.size;
  }

  get alarms(): Readonly<MergeAlarms> {
    return this.#alarms;
  }

  partition(index: number): PartitionStatus {
    const state = this.#state(index);
    return { ...state.latest, recovering: state.recovering };
  }

  /** A thread was started again: these partitions report nothing until {@link complete}. */
  recovering(partitions: readonly number[]): void {
    for (const partition of partitions) {
      const state = this.#state(partition);
      if (!state.recovering) this.#recoveringCount++;
      state.recovering = true;
      this.#requests.restarted(partition);
    }
  }

  /** The partition has replayed to the durable end and has reported, through {@link accept}, all that is not settled and all its hour cells. */
  complete(partition: number): void {
    const state = this.#state(partition);
    if (state.recovering) this.#recoveringCount--;
    if (!state.known) this.#unknownCount--;
    state.recovering = false;
    state.known = true;
    this.#touched = true;
  }

  /**
   * Takes the report's cells. Its head speaks for every change up to its sequence number, so all of them must have come with it
   * or before it, whether cells were asked for or not; cells may be ahead of the head. A share whose revision is not above the known one is ignored, and so is the head of
   * an older report.
   */
  accept(report: PartitionReport): void {
    const state = this.#state(report.partition);
    if (report.sequence >= state.latest.sequence) {
      state.latest = headOf(report);
    }
    for (const cell of report.cells) this.#acceptCell(report.partition, cell);
    this.#touched = true;
  }

  /** What to send to every partition, or null. Nothing is asked while a partition recovers: it could not answer. */
  takeRequests(): CellRequest | null {
    return this.#recoveringCount > 0 ? null : this.#requests.take();
  }

  /** The partition has reported those cells of the request that it has. */
  answered(partition: number, requestId: number): void {
    this.#state(partition);
    for (const entry of this.#requests.answered(partition, requestId)) {
      this.#queue.push(entry);
      this.#touched = true;
    }
  }

  /**
   * The next output, or null when nothing has happened, recovery is not done, or the former output is not settled yet.
   * The caller writes it to the live store, as often as it takes, and then calls {@link settled}.
   */
  drain(nowMs: number): MergeOutput | null {
    if (!this.#touched || this.#inFlight !== null || !this.ready) return null;
    this.#touched = false;
    const progress = this.#progress();
    for (const table of this.#tables.close(progress.finalUpToMs)) for (const entry of table.cells.values()) this.#markPending(entry);
    this.#rounds.close(progress);
    const { entries, changed } = this.#takeQueue(nowMs);
    const settled = this.#rounds.advance();
    const output: MergeOutput = {
      changed,
      settledSequences: settled.sequences,
      finalUpToMs: settled.finalUpToMs,
      watermarkMs: settled.watermarkMs,
      counters: this.#counters(),
      partitions: this.#partitions.map(({ latest }) => latest),
    };
    this.#inFlight = { output, entries };
    return output;
  }

  /** The live store has committed `output`: frees what is final, and of the rest what has not changed for longest. */
  settled(output: MergeOutput): void {
    assert(this.#inFlight?.output === output, 'settled() names another output than the last one');
    const { entries } = this.#inFlight;
    this.#inFlight = null;
    for (const entry of entries) {
      if (entry.round !== null) continue;
      if (entry.kind !== CellKind.hour) this.#idle.set(entry, output.watermarkMs);
      else if (entry.writtenFinal) this.#tables.remove(entry);
    }
    const { idleCellsMax, idleMsMax } = this.#limits;
    for (const [entry, sinceMs] of this.#idle) {
      if (this.#idle.size <= idleCellsMax && output.watermarkMs - sinceMs <= idleMsMax) break;
      this.#idle.delete(entry);
      this.#tables.remove(entry);
    }
  }

  #acceptCell(partition: number, cell: PartialCell): void {
    const entry = this.#tables.find(cell) ?? this.#admit(cell);
    if (entry === null) return;
    if (entry.writtenFinal) {
      // A restarted partition repeats its share until it learns that the final cell is settled: that is no change.
      if (cell.revision > entry.shareRevision(partition)) this.#alarms.refusedFinal++;
      return;
    }
    if (entry.replace(partition, cell) === 'changed') this.#markPending(entry);
  }

  /** Makes the entry of a cell that is not in memory; null for a stored final one, which partitions repeat until they drop it. */
  #admit(cell: PartialCell): MergeEntry | null {
    const stored = this.#exists(cell);
    if (stored !== null && stored.final) return null;
    const table = this.#tables.at(cell);
    const entry = new MergeEntry(cell, table, this.#shape, stored === null ? -1 : stored.revision);
    this.#tables.add(entry);
    // Hour cells never wait: every partition reports all it has of them before it completes, and keeps them until they are final.
    if (stored !== null && cell.kind !== CellKind.hour) this.#requests.want(entry);
    return entry;
  }

  #markPending(entry: MergeEntry): void {
    if (entry.round !== null) return;
    entry.round = this.#rounds.enter();
    this.#idle.delete(entry);
    if (!entry.waiting) this.#queue.push(entry);
  }

  /** Takes from the queue what fills an output. After a restart most cells in it need no writing: those cost next to nothing, and count little. */
  #takeQueue(nowMs: number): { readonly entries: readonly MergeEntry[]; readonly changed: readonly MergedCell[] } {
    const { outputCellsMax } = this.#limits;
    const end = Math.min(this.#queue.length, LOOKS_PER_WRITE * outputCellsMax);
    const changed: MergedCell[] = [];
    let at = 0;
    while (at < end && changed.length < outputCellsMax) {
      const merged = this.#write(this.#queue[at++] as MergeEntry, nowMs);
      if (merged !== null) changed.push(merged);
    }
    const entries = this.#queue.slice(0, at);
    this.#queue = this.#queue.slice(at);
    if (this.#queue.length > 0) this.#touched = true;
    return { entries, changed };
  }

  /** The cell to write, or null where the live store has it already (after a restart) or has a higher revision. */
  #write(entry: MergeEntry, nowMs: number): MergedCell | null {
    if (entry.round !== null) this.#rounds.leave(entry.round);
    entry.round = null;
    const revision = entry.revision;
    if (revision <= entry.writtenRevision) {
      if (revision < entry.writtenRevision) this.#alarms.refusedLower++;
      return null;
    }
    entry.writtenRevision = revision;
    entry.writtenFinal = entry.table.final;
    return entry.merged(nowMs, this.#alarms);
  }

  #progress(): Progress {
    let finalUpToMs = Number.MAX_SAFE_INTEGER;
    let watermarkMs = Number.MAX_SAFE_INTEGER;
    const sequences = new Map<number, number>();
    for (const { latest } of this.#partitions) {
      sequences.set(latest.partition, latest.sequence);
      finalUpToMs = Math.min(finalUpToMs, latest.closedUpToMs);
      watermarkMs = Math.min(watermarkMs, latest.watermarkMs);
    }
    return { sequences, finalUpToMs, watermarkMs };
  }

  #counters(): Conservation {
    const sum = emptyConservation();
    for (const { latest } of this.#partitions) {
      sum.received += latest.received;
      sum.accepted += latest.accepted;
      sum.duplicate += latest.duplicate;
      sum.late += latest.late;
      sum.rejected += latest.rejected;
    }
    return sum;
  }

  #state(partition: number): PartitionState {
    const state = this.#partitions[partition];
    assert(state !== undefined, `partition ${partition} does not exist`);
    return state;
  }
}

const headOf = (report: PartitionReport): PartitionProgress => ({
  partition: report.partition,
  sequence: report.sequence,
  watermarkMs: report.watermarkMs,
  closedUpToMs: report.closedUpToMs,
  offset: report.offset,
  received: report.received,
  accepted: report.accepted,
  duplicate: report.duplicate,
  late: report.late,
  rejected: report.rejected,
  ...(report.offsets && { offsets: report.offsets }),
});
