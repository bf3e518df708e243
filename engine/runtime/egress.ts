/**
 * Egress on the main thread: takes the actors' reports, merges them, writes the live store, and grants credit for the next ones.
 *
 * Guarantees: nothing is emitted before every partition is complete; the last report of a sweep is credited only once an output after it is stored,
 * and any only while the merge has room, so a slow disk or slow answers stretch the interval instead of filling memory. The others are credited at
 * once: a cell of 32 partitions changes in many reports of one sweep, and is written once. Merge and store together stay under a quarter of this thread,
 * or under a half where an output takes longer than 50 ms, but for a recovery.
 */

import { unpackMessage } from '../core/codec.ts';
import type { CellName, PartitionReport } from '../core/cell.ts';
import { systemSchedule, type Clock, type Schedule } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import type { MergeOutput } from '../core/feed.ts';
import { LatencyHistogram } from '../core/histogram.ts';
import type { ActorToMain, MainToActor, SettledPartition } from '../threads/messages.ts';

/** The merge as egress drives it. */
export interface EgressMerge {
  accept(report: PartitionReport): void;
  recovering(partitions: readonly number[]): void;
  complete(partition: number): void;
  partition(index: number): { readonly sequence: number };
  readonly ready: boolean;
  /** Another output could be drained at once. */
  readonly hasPending: boolean;
  /** What a report of the partition may hold now. */
  takes(partition: number): 'all' | 'answers' | 'nothing';
  answered(partition: number, requestId: number): void;
  drain(nowMs: number): MergeOutput | null;
  settled(output: MergeOutput): void;
  takeRequests(): { readonly requestId: number; readonly names: readonly CellName[] } | null;
}

/** The live store as egress drives it. */
export interface EgressStore {
  apply(output: MergeOutput, nowMs: number): Promise<void>;
  flushed(): Promise<void>;
  settledSequences(): ReadonlyMap<number, number>;
  finalUpToMs(): number;
}

export interface ActorPort {
  /** Partitions of the thread. */
  readonly lane: { readonly first: number; readonly count: number };
  post(message: MainToActor): void;
}

export interface EgressOptions {
  readonly merge: EgressMerge;
  readonly store: EgressStore;
  readonly actors: () => readonly ActorPort[];
  readonly clock: Clock;
  readonly schedule?: Schedule;
  readonly intervalMs: number;
  /** The live store could not be written; it is tried again. */
  readonly onFault: (error: EngineError) => void;
  /** It never can be again in this process. */
  readonly onFatal: (error: EngineError) => void;
  readonly onReady: () => void;
}

/** Egress rests this many times as long as it worked: it stays under the quarter of a core that it may take. */
const REST_PER_WORK = 4;
/**
 * But no longer than this, or than its work took, so that it may take half of a core where each output is long: changes that are seen late serve nobody, and what is not
 * written in this cycle is in the next. Measured (bench/load, `steady`, 5,000 cells, work of 200 ms a cycle): with four times the work events were seen after
 * 2.2 s, p99 3.5 s; with once the work after 1.3 and 1.7 s, at the same CPU and latency of answers.
 */
const LONG_REST_MS = 200;
/** The parts of a sweep are written at the latest so long after the first of them: its thread may be slow, or have died. Chosen. */
const HOLD_MS_MAX = 500;
/** Settled marks go to the actors at most this often; they only free memory. */
const SETTLED_INTERVAL_MS = 1_000;
const RETRY_MS = 1_000;

export class Egress {
  readonly #options: EgressOptions;
  /** Actors that wait for credit for a report that no output holds yet ... */
  readonly #waiting = new Set<number>();
  /** ... and for one that the output in hand holds. */
  readonly #covered = new Set<number>();
  #running = false;
  readonly #schedule: Schedule;
  #cancel: (() => void) | null = null;
  /** The merge has parts of a sweep that goes on, and no output holds them yet. */
  #isHolding = false;
  /** What is scheduled is for the case that no sweep ends. */
  #isLastResort = false;
  #notBeforeMs = 0;
  #lastSettledMs = 0;
  #wasReady = false;
  /** Sequence of each partition at the end of what it reported after its recovery. */
  readonly #recovered = new Map<number, number>();
  #closed = false;
  #pending: MergeOutput | null = null;
  /** Time spent on reports that no cycle has answered for yet. */
  #acceptMs = 0;
  #cycles = 0;
  #cellsWritten = 0;
  #faults = 0;
  readonly cycleTime = new LatencyHistogram();

  constructor(options: EgressOptions) {
    this.#options = options;
    this.#schedule = options.schedule ?? systemSchedule;
  }

  stats(): { cycles: number; cellsWritten: number; faults: number } {
    return { cycles: this.#cycles, cellsWritten: this.#cellsWritten, faults: this.#faults };
  }

  /** Every partition has recovered once, and the store holds what they reported. */
  get ready(): boolean {
    return this.#wasReady && this.#options.merge.ready;
  }

  /** A thread is about to recover: its partitions report nothing until they are complete. */
  recovering(actorIndex: number): void {
    const { lane } = this.#actor(actorIndex);
    this.#waiting.delete(actorIndex);
    this.#covered.delete(actorIndex);
    this.#options.merge.recovering(partitionsOf(lane));
  }

  /** What a thread is sent to start folding. */
  go(actorIndex: number, durable: readonly number[]): void {
    const actor = this.#actor(actorIndex);
    actor.post({ type: 'go', durable, settled: this.#settledOf(actor.lane), finalUpToMs: this.#options.store.finalUpToMs() });
  }

  report(actorIndex: number, message: Extract<ActorToMain, { type: 'report' }>): void {
    const { merge } = this.#options;
    const startMs = this.#options.clock.monotonicMs();
    const reports = unpackMessage<PartitionReport[]>(message.reports);
    for (const report of reports) merge.accept(report);
    this.#acceptMs += this.#options.clock.monotonicMs() - startMs;
    const partitions = partitionsOf(this.#actor(actorIndex).lane);
    for (const requestId of message.answered) for (const partition of partitions) merge.answered(partition, requestId);
    if (message.complete) {
      for (const partition of partitions) merge.complete(partition);
      if (!this.#wasReady) for (const partition of partitions) this.#recovered.set(partition, merge.partition(partition).sequence);
    }
    this.#waiting.add(actorIndex);
    // Before every partition is complete nothing may be drained, and nobody who recovers may be kept waiting for it.
    if (!merge.ready) this.#grantCredit(this.#waiting);
    else if (message.more && this.#wasReady && merge.takes(partitions[0] as number) === 'all') this.#hold(actorIndex);
    else this.#runSoon(!this.#wasReady);
  }

  /** The thread goes on with its sweep, and an output waits for the end of it. */
  #hold(actorIndex: number): void {
    this.#waiting.delete(actorIndex);
    this.#actor(actorIndex).post({ type: 'credit', answersOnly: false, urgent: false });
    this.#isHolding = true;
    this.#runAtLast();
  }

  #runAtLast(): void {
    if (this.#running || this.#closed || this.#cancel !== null) return;
    this.#startIn(HOLD_MS_MAX);
    this.#isLastResort = true;
  }

  /** Writes what is still pending; call when the actors have sent their last report. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    while (this.#running) await new Promise<void>((resolve) => void this.#schedule(5, resolve));
    const { merge } = this.#options;
    if (merge.ready || this.#pending !== null) {
      do await this.#cycle();
      while (this.#pending === null && merge.hasPending);
    }
    await this.#options.store.flushed();
  }

  #runSoon(urgent = false): void {
    if (this.#running || this.#closed || (this.#cancel !== null && !urgent && !this.#isLastResort)) return;
    this.#cancel?.();
    this.#startIn(urgent ? 0 : Math.max(0, this.#notBeforeMs - this.#options.clock.monotonicMs()));
  }

  #startIn(delayMs: number): void {
    this.#isLastResort = false;
    this.#cancel = this.#schedule(delayMs, () => {
      this.#cancel = null;
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      await this.#cycle();
    } finally {
      this.#running = false;
    }
    if (this.#waiting.size + this.#covered.size > 0 || this.#pending !== null || this.#options.merge.hasPending) this.#runSoon();
    else if (this.#isHolding) this.#runAtLast();
  }

  async #cycle(): Promise<void> {
    const { merge, store, clock, intervalMs } = this.#options;
    const isRecovering = !this.#wasReady;
    const startMs = clock.monotonicMs();
    if (this.#pending === null) {
      for (const index of this.#waiting) this.#covered.add(index);
      // Reports that arrive while the store commits are for the next cycle.
      this.#waiting.clear();
      this.#isHolding = false;
      this.#pending = merge.drain(clock.nowMs());
    }
    const output = this.#pending;
    // After the drain: it is what finds cells whose other shares are not in memory.
    this.#postRequests();
    const acceptMs = this.#acceptMs;
    this.#acceptMs = 0;
    let workMs = acceptMs + clock.monotonicMs() - startMs;
    if (output !== null) {
      try {
        const applying = store.apply(output, clock.nowMs());
        workMs = acceptMs + clock.monotonicMs() - startMs;
        await applying;
      } catch (error) {
        this.#faults++;
        this.#notBeforeMs = clock.monotonicMs() + RETRY_MS;
        this.#tell(error);
        return;
      }
      this.#pending = null;
      merge.settled(output);
      this.#cellsWritten += output.changed.length;
    }
    // Not before the store holds what the replay has found: an answer must show all that was acknowledged in the life before.
    if (!this.#wasReady && merge.ready && this.#holdsRecovery()) {
      this.#wasReady = true;
      this.#options.onReady();
    }
    this.#cycles++;
    this.cycleTime.record(clock.monotonicMs() - startMs);
    // Nobody is served better by a recovery that rests, nor by a rest from it afterwards.
    this.#notBeforeMs = isRecovering ? startMs + (output === null ? intervalMs : 0) : Math.max(startMs + intervalMs, clock.monotonicMs() + restMsAfter(workMs));
    this.#grantCredit(this.#covered);
    void this.#postSettled();
  }

  #holdsRecovery(): boolean {
    const settled = this.#options.store.settledSequences();
    return [...this.#recovered].every(([partition, sequence]) => (settled.get(partition) ?? -1) >= sequence);
  }

  /** Those for whose reports there is no room go on waiting. */
  #grantCredit(actors: Set<number>): void {
    for (const index of actors) {
      const actor = this.#actor(index);
      const taken = this.#options.merge.takes(actor.lane.first);
      if (taken === 'nothing') continue;
      actors.delete(index);
      actor.post({ type: 'credit', answersOnly: taken === 'answers', urgent: !this.#wasReady });
    }
  }

  #postRequests(): void {
    for (let request = this.#options.merge.takeRequests(); request !== null; request = this.#options.merge.takeRequests()) {
      for (const actor of this.#options.actors()) actor.post({ type: 'request', requestId: request.requestId, names: request.names });
    }
  }

  async #postSettled(): Promise<void> {
    const { store, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#lastSettledMs < SETTLED_INTERVAL_MS) return;
    this.#lastSettledMs = nowMs;
    const finalUpToMs = store.finalUpToMs();
    const settled = this.#options.actors().map((actor) => this.#settledOf(actor.lane));
    try {
      // What a partition drops must not come back missing after a power cut: settled means flushed here.
      await store.flushed();
    } catch (error) {
      this.#tell(error);
      return;
    }
    for (const [index, actor] of this.#options.actors().entries()) {
      actor.post({ type: 'settled', settled: settled[index] as SettledPartition[], finalUpToMs });
    }
  }

  /** Of an error of the live store. A bug is not caught. */
  #tell(error: unknown): void {
    if (!(error instanceof EngineError)) throw error;
    if (error.retryable) this.#options.onFault(error);
    else this.#options.onFatal(error);
  }

  #settledOf(lane: { first: number; count: number }): SettledPartition[] {
    const sequences = this.#options.store.settledSequences();
    return partitionsOf(lane).map((partition) => ({ partition, sequence: sequences.get(partition) ?? 0 }));
  }

  #actor(index: number): ActorPort {
    const actor = this.#options.actors()[index];
    if (actor === undefined) throw new Error(`bug: no actor thread ${index}`);
    return actor;
  }
}

const restMsAfter = (workMs: number): number => Math.max(workMs, Math.min(REST_PER_WORK * workMs, LONG_REST_MS));

const partitionsOf = (lane: { first: number; count: number }): number[] => Array.from({ length: lane.count }, (_, index) => lane.first + index);
