/**
 * Group commit: many requests share one batch and one sync.
 *
 * Requests append while the event loop handles ready sockets; the first append schedules one flush for when the loop has been round
 * (setImmediate). So a lone event is acknowledged in about one sync, and under load a batch holds whatever arrived during the last
 * one. A member is settled once every batch that holds records of it is durable, or has failed. After a second of silence an empty
 * commit journals the time: a tick.
 *
 * Guarantees: nobody is settled before the commit; a failed commit fails exactly the members of its batch; nothing is awaited
 * between an append and the commit of its batch; the open batch never outgrows the writer.
 * Owned by the ingress thread. Hot path: 100 K appends a second, at most 1.5 µs a push with exchange, take and key search; bench/load/scenarios/peak.ts.
 */

import { systemSchedule, type Clock, type Schedule } from '../engine/core/clock.ts';
import { EngineError } from '../engine/core/errors.ts';
import type { LogWriter } from '../engine/core/log.ts';
import type { PartitionId } from '../engine/core/types.ts';

/** The log writer as ingress needs it: it also says when the open batch is full. */
export interface BatchWriter extends LogWriter {
  /** False when the open batch must be committed before a record of this size is appended. */
  hasRoomFor(payloadBytes: number): boolean;
}

/** A request whose records go through the batcher. The fields are the batcher's own, save `appending`. */
export interface BatchMember {
  /** True while the request still has records to append: it is not settled before. Its owner's to set and to clear. */
  readonly appending: boolean;
  /** Batches that hold records of this member and are not settled; at first 0. */
  batchesPending: number;
  /** Number of the last batch joined; at first 0. */
  lastBatch: number;
  /** Of the first batch that failed; at first null. */
  failure: EngineError | null;

  /** All batches joined so far are settled and nothing is being appended. `nowMs`: monotonic. */
  settled(nowMs: number): void;
  /** Called for a parked member when there is room again; see {@link Batcher.park}. */
  resume(): void;
}

export interface BatcherStats {
  readonly commits: number;
  readonly commitFailures: number;
  readonly ticks: number;
  readonly batchRecordsLast: number;
  readonly batchRecordsMax: number;
  readonly recordsCommitted: number;
  readonly commitMsMax: number;
  readonly commitMsSum: number;
}

export interface BatcherOptions {
  readonly writer: BatchWriter;
  readonly clock: Clock;
  readonly batchBytesMax: number;
  /** Silence after which an empty batch is committed. */
  readonly tickAfterMs: number;
  readonly onFailure: (error: EngineError) => void;
  /** A simulator passes its own. */
  readonly timers?: BatcherTimers;
}

export interface BatcherTimers {
  /** Calls back once this turn of the event loop is done. */
  readonly soon: (callback: () => void) => void;
  /** Calls back once after the delay; returns how to cancel. */
  readonly after: Schedule;
}

const systemTimers: BatcherTimers = { soon: setImmediate, after: systemSchedule };

interface Control {
  readonly bytes: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: EngineError) => void;
}

const NO_MEMBERS: readonly BatchMember[] = [];
const NO_CONTROLS: readonly Control[] = [];

interface Batch {
  readonly members: readonly BatchMember[];
  readonly controls: readonly Control[];
  readonly records: number;
  readonly startedMs: number;
  failure: EngineError | null;
}

export class Batcher {
  readonly #options: BatcherOptions;
  readonly #writer: BatchWriter;
  readonly #soon: BatcherTimers['soon'];
  readonly #after: Schedule;
  readonly #onImmediate = (): void => {
    this.#scheduled = false;
    this.#flush();
  };
  #members: BatchMember[] = [];
  #parked: BatchMember[] = [];
  #controls: Control[] = [];
  /** Settled in the log, their members not yet told. */
  #done: Batch[] = [];
  /** Number of the open batch; 0 is never used. */
  #openBatch = 1;
  #scheduled = false;
  #committing = false;
  #lastCommitMs: number;
  #cancelTick: (() => void) | null = null;
  #commits = 0;
  #commitFailures = 0;
  #ticks = 0;
  #batchRecordsLast = 0;
  #batchRecordsMax = 0;
  #recordsCommitted = 0;
  #commitMsMax = 0;
  #commitMsSum = 0;

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#writer = options.writer;
    this.#lastCommitMs = options.clock.monotonicMs();
    const timers = options.timers ?? systemTimers;
    this.#soon = timers.soon;
    this.#after = timers.after;
    this.#awaitSilence(options.tickAfterMs);
  }

  /**
   * Copies a record into the open batch and makes `member` wait for it. False when the batch is full and the one before it is still
   * being synced: nothing was appended; refuse the request, or {@link park} it.
   */
  append(member: BatchMember, partition: PartitionId, source: number, flags: number, bytes: Uint8Array, from: number, to: number): boolean {
    const writer = this.#writer;
    if (!writer.hasRoomFor(to - from)) {
      if (this.#committing) return false;
      this.#commit();
      this.#schedule();
      // The commit may have gone to the pool: the new batch is empty either way.
    }
    writer.append(partition, source, flags, bytes, from, to);
    if (member.lastBatch !== this.#openBatch) {
      member.lastBatch = this.#openBatch;
      member.batchesPending++;
      this.#members.push(member);
    }
    if (writer.openBytes >= this.#options.batchBytesMax && !this.#committing) this.#commit();
    this.#schedule();
    return true;
  }

  /** Keeps a member that has more to append until there is room; first come, first served. */
  park(member: BatchMember): void {
    this.#parked.push(member);
  }

  /** Journals a control record in the next batch, before its records. Rejects what the commit raises. */
  writeControl(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#controls.push({ bytes, resolve, reject });
      this.#schedule();
    });
  }

  /** Nothing is open, under way or untold. */
  get idle(): boolean {
    return !this.#committing && !this.#scheduled && this.#members.length === 0 && this.#controls.length === 0 && this.#done.length === 0 && this.#parked.length === 0;
  }

  /** Ends the ticks. Call it when {@link idle}. */
  stop(): void {
    this.#cancelTick?.();
  }

  stats(): BatcherStats {
    return {
      commits: this.#commits,
      commitFailures: this.#commitFailures,
      ticks: this.#ticks,
      batchRecordsLast: this.#batchRecordsLast,
      batchRecordsMax: this.#batchRecordsMax,
      recordsCommitted: this.#recordsCommitted,
      commitMsMax: this.#commitMsMax,
      commitMsSum: this.#commitMsSum,
    };
  }

  #schedule(): void {
    // While a commit runs off the thread, its end flushes.
    if (this.#scheduled || (this.#committing && this.#done.length === 0)) return;
    this.#scheduled = true;
    this.#soon(this.#onImmediate);
  }

  #flush(): void {
    if (!this.#committing && (this.#members.length > 0 || this.#controls.length > 0)) this.#commit();
    this.#tell();
    this.#unpark();
  }

  #unpark(): void {
    if (this.#parked.length === 0) return;
    const parked = this.#parked;
    this.#parked = [];
    // One that finds no room parks itself again, in the same order.
    for (const member of parked) member.resume();
  }

  /** Commits the open batch: at once, or off the thread when the disk is slow. */
  #commit(): void {
    const controls = this.#controls.length === 0 ? NO_CONTROLS : this.#appendControls();
    const records = this.#writer.openRecords;
    const batch: Batch = { members: this.#takeMembers(), controls, records, startedMs: this.#options.clock.monotonicMs(), failure: null };
    this.#openBatch++;
    let outcome: true | Promise<true>;
    try {
      outcome = this.#writer.commit();
    } catch (error) {
      this.#settle(batch, faultOf(error));
      return;
    }
    if (outcome === true) {
      this.#settle(batch, null);
      return;
    }
    this.#committing = true;
    outcome.then(
      () => {
        this.#resumeAfter(batch, null);
      },
      (error: unknown) => {
        // A bug must end the thread, and an exception in here would only be an unhandled rejection.
        if (error instanceof EngineError) this.#resumeAfter(batch, error);
        else
          setImmediate(() => {
            throw error;
          });
      },
    );
  }

  /** Never the list that still grows: who joins while an empty batch is being synced belongs to the next one. */
  #takeMembers(): readonly BatchMember[] {
    if (this.#members.length === 0) return NO_MEMBERS;
    const members = this.#members;
    this.#members = [];
    return members;
  }

  /** As many as there is room for: one batch holds few records more than `batchBytesMax`, so some always go. */
  #appendControls(): Control[] {
    let count = 0;
    for (; count < this.#controls.length; count++) {
      const { bytes } = this.#controls[count] as Control;
      if (!this.#writer.hasRoomFor(bytes.byteLength)) break;
      this.#writer.appendControl(bytes);
    }
    return this.#controls.splice(0, count);
  }

  #resumeAfter(batch: Batch, failure: EngineError | null): void {
    this.#committing = false;
    this.#settle(batch, failure);
    this.#flush();
  }

  #settle(batch: Batch, failure: EngineError | null): void {
    const nowMs = this.#options.clock.monotonicMs();
    const tookMs = nowMs - batch.startedMs;
    this.#lastCommitMs = nowMs;
    this.#commitMsSum += tookMs;
    if (tookMs > this.#commitMsMax) this.#commitMsMax = tookMs;
    if (failure === null) {
      this.#commits++;
      this.#recordsCommitted += batch.records;
      this.#batchRecordsLast = batch.records;
      if (batch.records > this.#batchRecordsMax) this.#batchRecordsMax = batch.records;
    } else {
      batch.failure = failure;
      this.#commitFailures++;
      this.#options.onFailure(failure);
    }
    if (batch.members.length > 0 || batch.controls.length > 0) this.#done.push(batch);
  }

  /** Tells the members of settled batches. Kept apart from the commit: a full batch commits in the middle of a request's appends. */
  #tell(): void {
    if (this.#done.length === 0) return;
    const done = this.#done;
    this.#done = [];
    const nowMs = this.#options.clock.monotonicMs();
    for (const { members, controls, failure } of done) {
      for (const member of members) {
        if (failure !== null && member.failure === null) member.failure = failure;
        if (--member.batchesPending === 0 && !member.appending) member.settled(nowMs);
      }
      for (const { resolve, reject } of controls) {
        if (failure === null) resolve();
        else reject(failure);
      }
    }
  }

  /** Looks again when the silence may be long enough, and not before: a door that nobody knocks at wakes once for each tick. */
  #awaitSilence(delayMs: number): void {
    // Timers count whole milliseconds and may come a part of one early, which would cost a second wake.
    this.#cancelTick = this.#after(Math.ceil(delayMs) + 1, () => {
      this.#tick();
    });
  }

  #tick(): void {
    const { tickAfterMs, clock } = this.#options;
    const isBusy = this.#committing || this.#members.length > 0 || this.#controls.length > 0;
    const leftMs = isBusy ? tickAfterMs : this.#lastCommitMs + tickAfterMs - clock.monotonicMs();
    this.#awaitSilence(leftMs > 0 ? leftMs : tickAfterMs);
    if (leftMs > 0) return;
    this.#ticks++;
    this.#commit();
  }
}

/** Faults are answered; anything else is a bug and ends the thread. */
function faultOf(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  throw error;
}
