/**
 * A partition: the deterministic fold of its slice of the log, and the sole owner of the state that comes of it.
 *
 * Guarantees: state is a function of the log alone, whatever the checkpoints, restarts, evictions and settlements in between
 * ({@link Partition.stateHash}); each batch is folded once; every record ends in exactly one verdict. No I/O but reads of its own
 * store, no clock, no randomness: batches carry time, control records carry rules, checkpoints are handed out to be committed.
 *
 * Hot path: 100 K records a second, at most 3 µs a record; bench/micro/partition.ts. One owner: an actor thread.
 */

import type { CellName, PartitionReport } from '../../engine/core/cell.ts';
import { CellKind } from '../../engine/core/cell.ts';
import type { DeadLetter, KeptLetter } from '../../engine/core/dead-letter.ts';
import type { SlotId, SlotShare } from '../../engine/core/lake-slot.ts';
import { sumOfOffsets, type LogBatch, type LogSlice, type RecordCursor } from '../../engine/core/log.ts';
import type { ErasureProgress } from '../../engine/core/erasure.ts';
import { Verdict } from '../../engine/core/record.ts';
import { secretsIn } from '../../engine/core/rule-resources.ts';
import { deadLetterDefaults, decodeControl, type ControlRecord, type Rules } from '../../engine/core/rules.ts';
import type { OrderedStore, StoreOperation } from '../../engine/core/store.ts';
import { assert, type Epoch, type Offset, type PartitionId } from '../../engine/core/types.ts';
import { CellChanges } from './cell-changes.ts';
import { CellCodec } from './cell-codec.ts';
import { CellCounter } from './cell-counter.ts';
import { CellSlots } from './cell-slots.ts';
import { CellTable } from './cell-table.ts';
import { readState, rulesOperation, stateOperation, type CheckpointState, type PartitionIdentity, type StoredState } from './checkpoint-state.ts';
import { DeadLetters } from './dead-letters.ts';
import { openDedupe, type DedupeIndex } from './dedupe.ts';
import { Erasures } from './erasures.ts';
import { guardedStore } from './guarded-store.ts';
import { Judge } from './judge.ts';
import { CELL_IDLE_CHECKPOINTS, TABLES, TAIL_ENTRIES, type PartitionOptions } from './options.ts';
import { Outbox } from './outbox.ts';
import { PartitionTime, windowsOf } from './partition-time.ts';
import { foreignJournal, missingBatches, newerPipeline } from './refusals.ts';
import { Reports, type ReportScope } from './reports.ts';
import { SeriesTable } from './series-table.ts';
import { hashState } from './state-hash.ts';
import { statsOf, type PartitionStats } from './stats.ts';
import { Tail, type TailEntry } from './tail.ts';
import { ValueTable } from './value-table.ts';

/** What a checkpoint covers, to be committed as one transaction. */
export interface PartitionCheckpoint {
  readonly operations: StoreOperation[];
  /** By journal, the next offset to fold after it. */
  readonly offsets: readonly Offset[];
  readonly epoch: Epoch;
}

const FINGERPRINT_BYTES = 16;

export class Partition<Event, DomainRules> {
  readonly id: PartitionId;
  readonly #options: PartitionOptions<Event, DomainRules>;
  readonly #identity: PartitionIdentity;
  readonly #hourMs: number;
  readonly #dayMs: number;
  readonly #codec: CellCodec;
  readonly #table: CellTable;
  readonly #changes: CellChanges;
  readonly #counter: CellCounter<Event, DomainRules>;
  readonly #reports: Reports;
  readonly #time: PartitionTime;
  readonly #dedupe: DedupeIndex;
  readonly #outbox: Outbox;
  readonly #deadLetters: DeadLetters;
  readonly #erasures: Erasures;
  readonly #tail: Tail;
  readonly #judge: Judge<Event, DomainRules>;
  #verdicts = new Uint8Array(256);
  #rules: Rules | null = null;
  #areRulesDirty = false;
  #generation = 0;
  /** By journal, as far as any batch of it was folded. */
  #offsets: Offset[] = [0 as Offset];
  #foldedAtMs = -1;
  #batchSequence = -1;
  #sequence = 0;
  #epoch = 0;
  /** Sequence number of the newest checkpoint that is in the store, and of the one in flight. */
  #storedSequence = -1;
  #inFlight: { readonly epoch: Epoch; readonly sequence: number; readonly hadRules: boolean } | null = null;
  #hasHousekeeping = false;

  /** Restores the checkpoint that the store holds, or starts empty. Raises DATA_DIR_FOREIGN, DATA_VERSION and STATE_CORRUPT. */
  static open<Event, DomainRules>(options: PartitionOptions<Event, DomainRules>): Partition<Event, DomainRules> {
    const { pipeline } = options;
    const identity = { instance: options.instance, partition: options.id, partitionCount: options.partitionCount, pipeline: pipeline.name, dimensions: pipeline.dimensions.map(({ name }) => name) };
    return new Partition(options, identity, readState(options.store, identity));
  }

  private constructor(options: PartitionOptions<Event, DomainRules>, identity: PartitionIdentity, stored: StoredState | null) {
    const { id, pipeline, partitionCount } = options;
    const { hour, day } = windowsOf(pipeline);
    this.id = id;
    this.#options = options;
    this.#identity = identity;
    this.#hourMs = hour.sizeMs;
    this.#dayMs = day.sizeMs;
    const store: OrderedStore = guardedStore(options.store, options.current);
    const shape = { measures: pipeline.measures.map(({ name }) => name), labels: pipeline.labels.map(({ name }) => name) };
    this.#codec = new CellCodec(shape, stored?.state.shapes ?? []);
    const values = options.values ?? new ValueTable();
    const slots = new CellSlots({ values, measureCount: shape.measures.length, labelCount: shape.labels.length });
    const dimensionCount = pipeline.dimensions.length;
    this.#table = new CellTable({ store, codec: this.#codec, slots, series: new SeriesTable(values, dimensionCount), dimensionCount });
    this.#changes = new CellChanges(this.#table, this.#codec, shape.measures.length);
    this.#counter = new CellCounter({ pipeline, table: this.#table, changes: this.#changes, partitionCount });
    this.#time = new PartitionTime(this.#hourMs, this.#dayMs);
    this.#reports = new Reports(id, this.#table, this.#changes, this.#time, this.#hourMs);
    this.#dedupe = openDedupe({ store, table: TABLES.dedupe, memoryBytesMax: options.dedupeMemoryBytesMax, ...(options.dedupePages && { pages: options.dedupePages }), ...options.dedupeBounds });
    this.#outbox = new Outbox(id, store);
    this.#deadLetters = new DeadLetters(store);
    this.#erasures = new Erasures({ letters: this.#deadLetters, recordUsers: pipeline.recordUsers, secretOf: secretsIn(options.resources) });
    this.#tail = new Tail(options.tailEntries ?? TAIL_ENTRIES);
    this.#judge = new Judge({
      pipeline,
      isPoison: options.isPoison,
      hourMs: this.#hourMs,
      dayMs: this.#dayMs,
      counter: this.#counter,
      time: this.#time,
      dedupe: this.#dedupe,
      deadLetters: this.#deadLetters,
      tail: this.#tail,
      areLettersUnknown: options.areRulesFixed === true,
    });
    if (stored !== null) this.#restore(stored);
  }

  /** By journal: the next offset to fold; 0 where there is no entry. */
  get offsets(): readonly Offset[] {
    return this.#offsets;
  }

  /** How far it has come: the sum over the journals. */
  get offset(): Offset {
    return sumOfOffsets(this.#offsets);
  }

  /** The last batch folded; -1 before the first. */
  get batchSequence(): number {
    return this.#batchSequence;
  }

  /** Records and ticks folded. */
  get sequence(): number {
    return this.#sequence;
  }

  /** What the fold obeys at this offset; null before the first. */
  get rules(): Rules | null {
    return this.#rules;
  }

  /** Something is to be told to the merge: cells, answers, counts, or an hour that closed. */
  get hasChanges(): boolean {
    const { claimed } = this.#reports;
    return this.#reports.isDue || this.#judge.conservation.received !== claimed.received || this.#time.closedUpToMs !== claimed.closedUpToMs;
  }

  /** Rough bytes that a checkpoint now would write. */
  get checkpointPressure(): number {
    return this.#changes.dirtyBytes + this.#deadLetters.freshBytes + this.#outbox.freshBytes + this.#judge.freshFingerprints * FINGERPRINT_BYTES;
  }

  /**
   * Folds one batch: its controls, its tick, its records. A batch that was folded before is ignored; one that leaves a gap raises
   * CHECKPOINT_BEFORE_LOG. `slice` is this partition's, null when it has no records in the batch.
   */
  fold(batch: LogBatch, slice: LogSlice | null, cursor: RecordCursor): void {
    if (batch.sequence <= this.#batchSequence) return;
    if (batch.sequence !== this.#batchSequence + 1) throw missingBatches(this.id, this.#batchSequence + 1, batch);
    for (let at = 0; at < batch.controls.length; at++) this.#control(decodeControl(batch.controls[at] as Uint8Array), batch);
    this.#tick(batch);
    if (slice !== null) this.#foldRecords(batch, slice, cursor);
    this.#batchSequence = batch.sequence;
    while (this.#offsets.length <= batch.journal) this.#offsets.push(0 as Offset);
    this.#offsets[batch.journal] = batch.endOffset;
    this.#foldedAtMs = batch.receivedAtMs;
  }

  /** A report was cut at its `cellsMax`: the next one goes on with it. */
  get isMidReport(): boolean {
    return this.#reports.hasBegun;
  }

  /** Cells were requested that no report has held yet. */
  get owesAnswer(): boolean {
    return this.#reports.owesAnswer;
  }

  /** The next piece of a report; what it and its head say: reports.ts. */
  report(scope: ReportScope, cellsMax = Infinity): PartitionReport {
    const { watermarkMs, closedUpToMs } = this.#time;
    const now = { partition: this.id, sequence: this.#sequence, watermarkMs, closedUpToMs, offset: this.offset, ...this.#judge.conservation };
    const head = this.#offsets.length === 1 ? now : { ...now, offsets: [...this.#offsets] };
    return this.#reports.next(scope, cellsMax, head, this.#storedSequence);
  }

  /** The next reports hold these cells first, changed or not, as far as this partition has them. */
  request(names: readonly CellName[]): void {
    this.#reports.request(names);
  }

  /** The live store has every change up to `sequence`, and hours that end at or before `finalUpToMs` are final in it. */
  settled(message: { readonly sequence: number; readonly finalUpToMs: number }): void {
    this.#reports.settled(message.sequence, message.finalUpToMs);
    const goneBeforeMs = this.#time.goneUpToMs;
    this.#time.finalUpToMs = message.finalUpToMs;
    if (this.#time.goneUpToMs > goneBeforeMs) this.#changes.dropWindowsBefore(this.#time.goneUpToMs);
  }

  /**
   * Everything since the last committed checkpoint, encoded now; null when there is nothing, or while one is in flight.
   * The caller commits the operations as one transaction and then says {@link checkpointCommitted} or {@link checkpointFailed}.
   */
  checkpoint(): PartitionCheckpoint | null {
    if (this.#inFlight !== null) return null;
    if (this.#sequence === this.#storedSequence && !this.#changes.hasRemovals && !this.#hasHousekeeping) return null;
    const epoch = ++this.#epoch as Epoch;
    const hadRules = this.#areRulesDirty && this.#rules !== null;
    this.#inFlight = { epoch, sequence: this.#sequence, hadRules };
    const operations: StoreOperation[] = [];
    this.#changes.checkpoint(operations, epoch, this.#time.goneUpToMs);
    for (const operation of this.#dedupe.checkpoint(epoch)) operations.push(operation);
    this.#outbox.checkpoint(operations);
    const deadLetters = this.#deadLetters.checkpoint(operations);
    if (hadRules) operations.push(rulesOperation(this.#rules as Rules));
    operations.push(stateOperation(this.#state(epoch, deadLetters)));
    this.#areRulesDirty = false;
    this.#hasHousekeeping = false;
    this.#judge.freshFingerprints = 0;
    return { operations, offsets: [...this.#offsets], epoch };
  }

  checkpointCommitted(epoch: Epoch): void {
    const { sequence } = this.#settleCheckpoint(epoch);
    this.#storedSequence = sequence;
    const savedCount = this.#changes.checkpointCommitted();
    this.#dedupe.checkpointCommitted(epoch);
    this.#outbox.checkpointCommitted();
    this.#deadLetters.checkpointCommitted();
    const idleEpoch = epoch - (this.#options.cellIdleCheckpoints ?? CELL_IDLE_CHECKPOINTS);
    this.#table.evict(savedCount, idleEpoch);
  }

  /**
   * Its commit was refused: everything in it counts as changed again. Unless it stands in the store all the same, as one whose sync failed may:
   * written a second time, its fingerprints would be there twice. Raises what the store does.
   */
  checkpointFailed(epoch: Epoch): void {
    if (readState(this.#options.store, this.#identity)?.state.epoch === epoch) {
      this.checkpointCommitted(epoch);
      return;
    }
    const { hadRules } = this.#settleCheckpoint(epoch);
    this.#changes.checkpointFailed();
    this.#dedupe.checkpointFailed(epoch);
    this.#outbox.checkpointFailed();
    this.#deadLetters.checkpointFailed();
    this.#areRulesDirty ||= hadRules;
    this.#hasHousekeeping = true;
  }

  /** Lake slots that the log has passed since the last call, in order; after a restart again, until they are spooled. */
  takeShares(): SlotShare[] {
    return this.#outbox.takeShares();
  }

  /** Shares up to and including this slot are durable elsewhere. */
  spooled(slot: SlotId): void {
    if (this.#outbox.spooled(slot)) this.#hasHousekeeping = true;
  }

  /** By journal: the oldest offset that a slot of the last committed checkpoint or a later one still needs; the partition's own offset if none does. */
  pendingSlotOffsets(): Offset[] {
    return this.#outbox.pendingOffsets(this.#offsets);
  }

  /** The newest first; `before`: only those with a lower id. */
  deadLetters(limit: number, before?: number): KeptLetter[] {
    return this.#deadLetters.newest(limit, before);
  }

  /** The dead letter of that id, or the next newer one. */
  deadLetterAtOrAfter(id: number): DeadLetter | null {
    return this.#deadLetters.atOrAfter(id);
  }

  /** Those that came lately, and how far they have got. */
  erasures(): ErasureProgress[] {
    return this.#erasures.progress();
  }

  /** The last records, the newest first. */
  tail(limit: number): TailEntry[] {
    return this.#tail.newest(limit);
  }

  stats(): PartitionStats {
    const parts = { judge: this.#judge, time: this.#time, table: this.#table, dedupe: this.#dedupe, outbox: this.#outbox, counter: this.#counter, deadLetters: this.#deadLetters, rules: this.#rules };
    return statsOf({ ...parts, sequence: this.#sequence, offset: this.offset, foldedAtMs: this.#foldedAtMs, checkpointPressure: this.checkpointPressure });
  }

  /** 64 hex digits over all that the log determines; see state-hash.ts. Reads the whole state. */
  stateHash(): string {
    return hashState({
      sequence: this.#sequence,
      time: this.#time,
      judged: this.#judge.state(),
      rules: this.#rules,
      table: this.#table,
      hourMs: this.#hourMs,
      dedupeDigest: this.#dedupe.digest(),
      deadLetterDigest: this.#deadLetters.digest(),
      ...this.#erasures.state(),
    });
  }

  #control(record: ControlRecord, batch: LogBatch): void {
    switch (record.type) {
      case 'generation':
        if (record.instance !== this.#options.instance || record.partitionCount !== this.#options.partitionCount) throw foreignJournal(this.id, record);
        this.#generation = record.generation;
        break;
      case 'rules':
        if (this.#options.areRulesFixed === true) break;
        if (record.rules.pipelineVersion > this.#options.pipeline.version) throw newerPipeline(this.id, record.rules.pipelineVersion, this.#options.pipeline.version);
        this.#obey(record.rules);
        this.#areRulesDirty = true;
        break;
      case 'drop-letters':
        for (const [partition, ids] of record.letters) if (partition === this.id) this.#deadLetters.drop(ids);
        break;
      case 'erase':
        // Journaled again by a life that did not know whether it had been: what came in between is not meant.
        if (this.#erasures.has(record.erasure.id)) break;
        this.#outbox.erase(record.erasure, this.#sequence);
        this.#erasures.begin(record.erasure, batch);
        break;
    }
  }

  #obey(rules: Rules): void {
    this.#rules = rules;
    this.#time.rules = rules;
    const { pipeline, resources } = this.#options;
    this.#deadLetters.limits = rules.deadLetters ?? deadLetterDefaults(this.#options.partitionCount);
    this.#outbox.lakeRules = pipeline.lakeRules?.(rules.domain) ?? '';
    const domainRules = pipeline.domainRules(rules.domain, resources);
    this.#judge.domainRules = domainRules;
    this.#counter.setRules(rules, domainRules);
  }

  #tick(batch: LogBatch): void {
    this.#sequence++;
    this.#time.tick(batch.receivedAtMs, batch.runningTimeMs);
    this.#deadLetters.tick(batch.receivedAtMs);
    this.#erasures.tick(batch.receivedAtMs);
    if (this.#rules === null) return;
    this.#outbox.tick(batch, this.#rules);
    if (this.#time.isStepDue) this.#stepTime();
  }

  /** Hours close and days expire: the cells of a closed hour change once more, by that alone. */
  #stepTime(): void {
    const { closedUpToMs: closedBeforeMs, expiredUpToMs: expiredBeforeMs } = this.#time;
    this.#time.advance();
    const { closedUpToMs, expiredUpToMs } = this.#time;
    if (closedUpToMs > closedBeforeMs) {
      for (const windowStartMs of this.#table.windowStarts(CellKind.hour)) {
        const endMs = windowStartMs + this.#hourMs;
        if (endMs <= closedBeforeMs || endMs > closedUpToMs) continue;
        for (const cell of this.#table.window(CellKind.hour, windowStartMs)) this.#changes.touch(cell, this.#sequence);
      }
    }
    if (expiredUpToMs > expiredBeforeMs) {
      this.#changes.dropWindowsBefore(this.#time.goneUpToMs);
      this.#counter.forgetDaysBefore(expiredUpToMs);
    }
  }

  #foldRecords(batch: LogBatch, slice: LogSlice, cursor: RecordCursor): void {
    const { current } = this.#options;
    const rules = this.#rules;
    assert(rules !== null, 'a record came before any rules');
    this.#judge.conservation.received += slice.recordCount;
    if (this.#verdicts.byteLength < slice.recordCount) this.#verdicts = new Uint8Array(slice.recordCount * 2);
    const verdicts = this.#verdicts;
    const firstSequence = this.#sequence + 1;
    let count = 0;
    let rows = 0;
    cursor.reset(batch, slice);
    current[0] = batch.sequence;
    while (cursor.next()) {
      current[1] = cursor.index;
      current[2] = 1;
      this.#sequence++;
      const verdict = this.#judge.fold(batch, cursor, rules, this.#sequence);
      if (this.#time.isStepDue) this.#stepTime();
      // What fails between two records is nobody's fault: a damaged journal must not make poison of a sound record.
      current[2] = 0;
      verdicts[count++] = verdict;
      if (verdict === Verdict.accepted || verdict === Verdict.late) rows++;
    }
    if (rows > 0) this.#outbox.append(batch, firstSequence, verdicts, count, rows);
  }

  #settleCheckpoint(epoch: Epoch): { readonly sequence: number; readonly hadRules: boolean } {
    const inFlight = this.#inFlight;
    assert(inFlight !== null && inFlight.epoch === epoch, `checkpoint ${epoch} is not in flight`);
    this.#inFlight = null;
    return inFlight;
  }

  #state(epoch: Epoch, deadLetters: CheckpointState['deadLetters']): Omit<CheckpointState, 'format'> {
    return {
      identity: this.#identity,
      shapes: this.#codec.shapes,
      sequence: this.#sequence,
      batchSequence: this.#batchSequence,
      offset: this.#offsets[0] as Offset,
      ...(this.#offsets.length > 1 && { otherOffsets: this.#offsets.slice(1) }),
      epoch,
      generation: this.#generation,
      time: this.#time.state(),
      ...this.#judge.state(),
      deadLetters,
      ...this.#erasures.state(),
    };
  }

  #restore({ state, rules }: StoredState): void {
    this.#offsets = [state.offset, ...(state.otherOffsets ?? [])] as Offset[];
    this.#batchSequence = state.batchSequence;
    this.#sequence = state.sequence;
    this.#storedSequence = state.sequence;
    this.#epoch = state.epoch;
    this.#generation = state.generation;
    this.#judge.restore(state);
    this.#time.restore(state.time);
    if (rules !== null) this.#obey(rules);
    this.#deadLetters.restore(state.deadLetters);
    this.#erasures.restore(state.erasures);
  }
}
