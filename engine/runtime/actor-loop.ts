/**
 * The loop of one actor thread: folds its lane of the log into its partitions, reports what changed, checkpoints in rotation.
 *
 * Guarantees: a partition reports nothing before it has replayed to the durable end it was given; checkpoints are
 * encoded at batch boundaries and one is in flight per thread. Live folding is replay that has caught up: one code path.
 *
 * Hot path: 100 K records a second, at most 4 µs a record in batches of 128 over 32 partitions; bench/micro/replay.ts.
 */

import type { Clock } from '../core/clock.ts';
import type { ErasureProgress } from '../core/erasure.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import type { SlotId, SlotShare } from '../core/lake-slot.ts';
import { sumOfOffsets, type LogBatch, type LogSlice, type LogStream, type RecordCursor } from '../core/log.ts';
import type { OrderedStore, StoreOperation } from '../core/store.ts';
import type { Epoch, Offset, PartitionId } from '../core/types.ts';
import { raiseFault } from '../threads/fault.ts';
import type { ActorToMain, ErasureAnswer, MainToActor, PartitionStats, ThreadFigures } from '../threads/messages.ts';
import { Stage, type Progress } from '../threads/progress.ts';
import { tailOf, type AnsweringActor } from './answers.ts';
import { answerOfLetters } from './letter-answers.ts';
import { Reporter, type ReportingActor } from './reporter.ts';

/** One partition as the loop drives it; actors/partition implements it. */
export interface PartitionActor extends AnsweringActor, ReportingActor {
  readonly id: PartitionId;
  /** By journal. */
  readonly offsets: readonly Offset[];
  /** The last batch folded; -1 before the first. */
  readonly batchSequence: number;
  readonly sequence: number;
  readonly checkpointPressure: number;
  fold(batch: LogBatch, slice: LogSlice | null, cursor: RecordCursor): void;
  settled(message: { sequence: number; finalUpToMs: number }): void;
  checkpoint(): { operations: StoreOperation[]; offsets: readonly Offset[]; epoch: Epoch } | null;
  checkpointCommitted(epoch: Epoch): void;
  checkpointFailed(epoch: Epoch): void;
  takeShares(): SlotShare[];
  spooled(slot: SlotId): void;
  pendingSlotOffsets(): Offset[];
  stats(): Omit<PartitionStats, 'partition'>;
  stateHash(): string;
  erasures(): readonly ErasureProgress[];
}

/** The shared words as the loop uses them. */
export interface LoopWords {
  readonly stopping: boolean;
  readonly wakeCount: number;
  wake(): void;
  waitForWake(seen: number, timeoutMs: number): Promise<void>;
}

export interface ActorLoopOptions {
  readonly partitions: readonly { readonly actor: PartitionActor; readonly store: OrderedStore }[];
  /** `from` is by journal; the batch there has the number `nextSequence` in the order of all. */
  readonly openLog: (from: readonly Offset[], nextSequence: number) => LogStream;
  readonly cursor: RecordCursor;
  readonly words: LoopWords;
  /** Lets messages and disk have their turn; resolves in the next one of the event loop. */
  readonly turn?: () => Promise<void>;
  /** Beaten at each step, so that main can tell a thread at work from one that is stuck. */
  readonly progress: Progress;
  readonly post: (message: ActorToMain, transfer?: readonly ArrayBuffer[]) => void;
  readonly clock: Clock;
  /** Of the thread; none where nobody asks. */
  readonly figures?: () => ThreadFigures;
  readonly emitIntervalMs: number;
  readonly checkpointIntervalMs: number;
  /** Bytes that a partition's next checkpoint may grow to before it is taken early. */
  readonly checkpointBytesMax: number;
  /** Cells of one report to main; {@link REPORT_CELLS_MAX} unless told. */
  readonly reportCellsMax?: number;
}

/** Folding gives way to messages and disk after this long, so that they wait no longer. Chosen: a fraction of the emit interval. */
const FOLD_SLICE_MS = 4;
/** Measured (bench/micro/merge.ts): main takes a cell in 1.5 to 5 µs, so a report in under 10 ms. */
const REPORT_CELLS_MAX = 2_000;
/** Progress (watermark, sequence) is reported at least this often, even when no cell changed. */
const PROGRESS_INTERVAL_MS = 1_000;
/** A wait ends a little later than that: in silence the tick of each second does, and one wake serves both. */
const PROGRESS_WAIT_MS = 1_200;
/** While no records come, partitions that have all been saved since are saved this many times as seldom. Chosen: a minute of ticks, by default, costs a replay nothing. */
const QUIET_CHECKPOINT_INTERVALS = 6;
/** How long a stopping thread may fold what is already durable before it checkpoints where it stands. */
const STOP_FOLD_MS = 1_500;
const CHECKPOINT_RETRY_MS = 1_000;
const NO_FIGURES: ThreadFigures = { heapBytes: 0, sightings: {} };

type Entry = ActorLoopOptions['partitions'][number];

export class ActorLoop {
  readonly #options: ActorLoopOptions;
  readonly #partitions: readonly Entry[];
  readonly #turn: () => Promise<void>;
  readonly #reporter: Reporter;
  #log: LogStream | null = null;
  /** By journal. */
  #recoveryEnd: readonly number[] | null = null;
  #complete = false;
  #lastProgressMs = 0;
  #nextCheckpointMs: number;
  #checkpointTurn = 0;
  /** Checkpoints since the last record: after one round of them nothing but time has passed. */
  #quietCheckpoints = 0;
  /** After a failure even a pressed partition waits: a full disk must not be hammered. */
  #checkpointNotBeforeMs = 0;
  #checkpointing: Promise<void> | null = null;
  #checkpoints = 0;
  #checkpointFailures = 0;
  #batches = 0;
  #busyMs = 0;
  #failure: Error | null = null;

  constructor(options: ActorLoopOptions) {
    this.#options = options;
    this.#partitions = options.partitions;
    this.#turn = options.turn ?? (() => new Promise((resolve) => void setImmediate(resolve)));
    const { progress, clock, post, emitIntervalMs, reportCellsMax } = options;
    this.#reporter = new Reporter({ actors: options.partitions.map(({ actor }) => actor), progress, clock, post, emitIntervalMs, cellsMax: reportCellsMax ?? REPORT_CELLS_MAX });
    this.#nextCheckpointMs = options.clock.monotonicMs() + this.#checkpointSpacingMs;
  }

  /** Never raises: what a message breaks stops the loop. */
  onMessage(message: MainToActor): void {
    try {
      this.#handle(message);
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(messageOf(error));
      this.#options.words.wake();
    }
  }

  /**
   * Runs until the stop flag is up; then every partition is checkpointed and flushed. A thread that is asked to leave alone saves nothing:
   * its replacement replays. Rejects on a bug or a fault that needs a restart.
   */
  async run(): Promise<void> {
    const { words, progress, clock, post } = this.#options;
    post({ type: 'restored', partitions: this.#partitions.map(({ actor }) => ({ partition: actor.id, offsets: actor.offsets, sequence: actor.sequence })) });
    while (!words.stopping && !progress.isAskedToLeave) {
      this.#raiseFailure();
      const seen = words.wakeCount;
      const caughtUp = this.#foldFor(FOLD_SLICE_MS);
      const nowMs = clock.monotonicMs();
      this.#emit(nowMs);
      this.#checkpointWhenDue(nowMs);
      progress.enter(this.#log === null ? Stage.waiting : Stage.idle);
      if (caughtUp) await words.waitForWake(seen, this.#idleMs(nowMs));
      else await this.#turn();
    }
    progress.enter(Stage.leaving);
    if (words.stopping) await this.#finish();
    await this.#close();
  }

  #handle(message: MainToActor): void {
    switch (message.type) {
      case 'go':
        this.#start(message);
        break;
      case 'credit':
        this.#reporter.credited(message);
        break;
      case 'settled':
        this.#settle(message.settled, message.finalUpToMs);
        break;
      case 'request':
        this.#reporter.requested(message.requestId, message.names);
        break;
      case 'spooled':
        for (const { actor } of this.#partitions) actor.spooled(message.slot);
        break;
      case 'ask':
        this.#answer(message);
        break;
      case 'fault':
        raiseFault(message.how, 'the actor thread');
        break;
    }
    this.#options.words.wake();
  }

  #start(message: Extract<MainToActor, { type: 'go' }>): void {
    this.#settle(message.settled, message.finalUpToMs);
    this.#recoveryEnd = message.durable;
    // A thread that was replaced while all were about to start is told twice.
    this.#log?.close();
    // All partitions fold one order of batches: the one that has folded the fewest is behind the others in every journal.
    const { offsets, batchSequence } = this.#partitions.map(({ actor }) => actor).reduce((least, actor) => (actor.batchSequence < least.batchSequence ? actor : least));
    this.#log = this.#options.openLog(offsets, batchSequence + 1);
  }

  #settle(settled: readonly { partition: number; sequence: number }[], finalUpToMs: number): void {
    const sequences = new Map(settled.map((entry) => [entry.partition, entry.sequence]));
    for (const { actor } of this.#partitions) {
      const sequence = sequences.get(actor.id);
      if (sequence !== undefined) actor.settled({ sequence, finalUpToMs });
    }
  }

  /** Folds what is durable for at most `sliceMs`; true when caught up. */
  #foldFor(sliceMs: number): boolean {
    const log = this.#log;
    if (log === null) return true;
    const { progress, clock } = this.#options;
    const startMs = clock.monotonicMs();
    const stage = this.#complete ? Stage.folding : Stage.replaying;
    let nowMs = startMs;
    let caughtUp = false;
    while (nowMs - startMs < sliceMs) {
      progress.enter(stage);
      const batch = log.read();
      if (batch === null) {
        caughtUp = true;
        break;
      }
      this.#foldBatch(batch);
      nowMs = clock.monotonicMs();
    }
    this.#busyMs += clock.monotonicMs() - startMs;
    if (!this.#complete && this.#hasRecovered(log)) {
      this.#complete = true;
      this.#reporter.recovered();
    }
    return caughtUp;
  }

  #hasRecovered({ positions }: LogStream): boolean {
    return this.#recoveryEnd !== null && this.#recoveryEnd.every((end, journal) => (positions[journal] as number) >= end);
  }

  #foldBatch(batch: LogBatch): void {
    const { cursor } = this.#options;
    let slice = 0;
    for (const { actor } of this.#partitions) {
      const candidate = batch.slices[slice];
      const own = candidate !== undefined && candidate.partition === actor.id ? candidate : null;
      if (own !== null) slice++;
      // Partitions checkpoint in rotation: after a restart some are ahead of where the thread must read again.
      if (batch.sequence > actor.batchSequence) actor.fold(batch, own, cursor);
    }
    this.#batches++;
    if (batch.slices.length === 0) return;
    this.#quietCheckpoints = 0;
    this.#reporter.folded(batch.receivedAtMs);
  }

  #emit(nowMs: number): void {
    if (!this.#complete) return;
    this.#postShares();
    if (!this.#reporter.mayReport(nowMs)) return;
    const isProgressDue = nowMs - this.#lastProgressMs >= PROGRESS_INTERVAL_MS;
    if (isProgressDue) this.#postStats(nowMs);
    this.#reporter.report(isProgressDue);
  }

  #postShares(): void {
    for (const { actor } of this.#partitions) {
      const shares = actor.takeShares();
      if (shares.length > 0) this.#options.post({ type: 'shares', shares });
    }
  }

  #postStats(nowMs: number): void {
    this.#lastProgressMs = nowMs;
    this.#options.post({
      type: 'stats',
      partitions: this.#partitions.map(({ actor }) => ({ partition: actor.id, ...actor.stats() })),
      offset: sumOfOffsets(this.#log?.positions ?? []),
      batches: this.#batches,
      busyMs: this.#busyMs,
      checkpoints: this.#checkpoints,
      checkpointFailures: this.#checkpointFailures,
      ...(this.#options.figures?.() ?? NO_FIGURES),
    });
  }

  #checkpointWhenDue(nowMs: number): void {
    if (this.#checkpointing !== null || this.#log === null || nowMs < this.#checkpointNotBeforeMs) return;
    const pressed = this.#partitions.find(({ actor }) => actor.checkpointPressure > this.#options.checkpointBytesMax);
    if (pressed === undefined && nowMs < this.#checkpointDueMs()) return;
    const entry = pressed ?? this.#partitions[this.#checkpointTurn++ % this.#partitions.length];
    if (entry === undefined) return;
    if (pressed === undefined) this.#quietCheckpoints++;
    const spacingMs = this.#checkpointSpacingMs;
    // Keep the rotation's pace, but never make up for a long pause with a burst.
    this.#nextCheckpointMs = Math.max(this.#nextCheckpointMs + spacingMs, nowMs);
    this.#checkpointing = this.#checkpoint(entry)
      .catch((error: unknown) => {
        this.#checkpointFailures++;
        this.#quietCheckpoints = 0;
        this.#checkpointNotBeforeMs = this.#options.clock.monotonicMs() + CHECKPOINT_RETRY_MS;
        if (!(error instanceof EngineError && error.retryable)) this.#failure = error instanceof Error ? error : new Error(messageOf(error));
      })
      .finally(() => {
        this.#checkpointing = null;
      });
  }

  get #checkpointSpacingMs(): number {
    return this.#options.checkpointIntervalMs / this.#partitions.length;
  }

  #checkpointDueMs(): number {
    const isQuiet = this.#quietCheckpoints >= this.#partitions.length;
    return this.#nextCheckpointMs + (isQuiet ? QUIET_CHECKPOINT_INTERVALS * this.#checkpointSpacingMs : 0);
  }

  async #checkpoint({ actor, store }: Entry): Promise<void> {
    this.#options.progress.enter(Stage.checkpointing);
    const checkpoint = actor.checkpoint();
    if (checkpoint === null) return;
    try {
      await store.commit(checkpoint.operations);
    } catch (error) {
      actor.checkpointFailed(checkpoint.epoch);
      throw error;
    }
    actor.checkpointCommitted(checkpoint.epoch);
    this.#checkpoints++;
    await store.flushed();
    const pending = actor.pendingSlotOffsets();
    const needed = checkpoint.offsets.map((offset, journal) => Math.min(offset, pending[journal] as number));
    this.#options.post({ type: 'flushed', partition: actor.id, offsets: checkpoint.offsets, needed });
  }

  #answer({ id, question }: Extract<MainToActor, { type: 'ask' }>): void {
    const { post } = this.#options;
    const actors = this.#partitions.map(({ actor }) => actor);
    switch (question.what) {
      case 'tail':
        post({ type: 'answer', id, value: tailOf(actors, question) });
        break;
      case 'state-hash':
        post({ type: 'answer', id, value: actors.map((actor) => ({ partition: actor.id, hash: actor.stateHash() })) });
        break;
      case 'dead-letters':
      case 'letters-named':
      case 'letter-outcomes':
      case 'dead-letter':
        post({ type: 'answer', id, value: answerOfLetters(actors, question) });
        break;
      case 'erasures':
        // Shares that lack an erasure are replaced before anybody learns of it.
        if (this.#complete) this.#postShares();
        post({ type: 'answer', id, value: this.#complete ? actors.map((actor): ErasureAnswer => ({ partition: actor.id, erasures: actor.erasures() })) : [] });
        break;
      case 'savepoint':
        void this.#savepoint(id, question.directory);
        break;
    }
  }

  async #savepoint(id: number, directory: string): Promise<void> {
    try {
      for (const { actor, store } of this.#partitions) await this.#copy(store, `${directory}/${partitionFile(actor.id)}`);
      this.#options.post({ type: 'answer', id, value: this.#partitions.length });
    } catch (error) {
      const record = EngineError.recordOf(error, 'STATE_WRITE_FAILED');
      this.#options.post({ type: 'answer', id, value: null, error: record });
    }
  }

  async #copy(store: OrderedStore, path: string): Promise<void> {
    const { words, progress } = this.#options;
    // A thread that leaves waits for one copy, not for all.
    if (words.stopping || progress.isAskedToLeave) throw new EngineError('NOT_READY', 'the savepoint was cut off: the daemon or a thread of it is ending', { fix: 'take it again once the daemon is ready' });
    progress.isCopying = true;
    await store.copyTo(path).finally(() => {
      progress.isCopying = false;
    });
  }

  async #finish(): Promise<void> {
    const { clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + STOP_FOLD_MS;
    while (!this.#foldFor(FOLD_SLICE_MS) && clock.monotonicMs() < deadlineMs) await this.#turn();
    if (this.#complete) this.#reporter.finish();
    await this.#checkpointing;
    // A thread that never got its log has nothing new to save.
    if (this.#log !== null) {
      for (const entry of this.#partitions) await this.#checkpoint(entry);
    }
  }

  async #close(): Promise<void> {
    await this.#checkpointing;
    this.#log?.close();
    for (const { store } of this.#partitions) await store.close();
  }

  #idleMs(nowMs: number): number {
    if (!this.#complete) return 50;
    const progressMs = this.#lastProgressMs + PROGRESS_WAIT_MS - nowMs;
    const checkpointMs = this.#checkpointing === null ? this.#checkpointDueMs() - nowMs : Infinity;
    return Math.max(1, Math.min(this.#reporter.idleMs(nowMs), progressMs, checkpointMs, PROGRESS_WAIT_MS));
  }

  #raiseFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }
}

/** Name of a partition's state file. */
export const partitionFile = (partition: number): string => `p${String(partition).padStart(3, '0')}.mdb`;
