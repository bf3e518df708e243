/**
 * The actor threads: started together, replaced one by one from their checkpoints when they die, stopped together.
 *
 * A replacement opens the same state files, replays to the durable end and reports whole before its partitions emit again; the
 * others never stop. A thread that dies again and again is restarted with growing pauses. One that stops moving (watchdog.ts) is asked to
 * leave, then terminated, then replaced like a dead one, but counts against no record; one that survives its termination ends the process.
 * Runs on the main thread.
 */

import { EngineError, messageOf } from '../core/errors.ts';
import type { Clock } from '../core/clock.ts';
import type { Fault } from '../threads/fault.ts';
import type { ActorStart, ActorToMain, MainToActor } from '../threads/messages.ts';
import type { SharedWords } from '../threads/shared-words.ts';
import { isOutOfMemory, Thread } from '../threads/worker.ts';
import type { ActorPort } from './egress.ts';
import { lanesOf, type Lane } from './lanes.ts';
import type { PoisonList } from './poison.ts';
import { Watchdog, type Stall } from './watchdog.ts';

export interface ActorThreadsOptions<Settings> {
  readonly module: URL;
  readonly settings: Settings;
  readonly partitionCount: number;
  readonly threads: number;
  readonly words: SharedWords;
  readonly poison: PoisonList;
  readonly clock: Clock;
  /** A thread that makes no step for so long is replaced. */
  readonly stallTimeoutMs: number;
  /** Lives in a row that ended before this one because a thread was stuck. */
  readonly stallsBefore: number;
  readonly log: { info(facts: object, text: string): void; warn(facts: object, text: string): void; error(facts: object, text: string): void };
  readonly onMessage: (thread: number, message: ActorToMain) => void;
  /** A thread died and its partitions are recovering. */
  readonly onDeath: (thread: number) => void;
  /** A fault that no replacement mends; may be told more than once. */
  readonly onFatal: (error: EngineError) => void;
}

const RESTART_PAUSE_MS = 50;
const RESTART_PAUSE_MAX_MS = 10_000;
/** A thread that lived this long starts again without a pause. */
const STEADY_MS = 30_000;
/** For a thread that moves again to see that it was asked to leave. */
const LEAVE_MS = 1_000;
/** A thread that has not ended by then never will: it is inside a native call. */
const TERMINATE_MS = 2_000;

interface Slot extends ActorPort {
  readonly index: number;
  thread: Thread<MainToActor, ActorToMain> | null;
  startedMs: number;
  deaths: number;
  restarts: number;
  /** Main ended the thread: its death says nothing about the record it was at. */
  stalled: boolean;
  restored: { readonly partition: number; readonly offsets: readonly number[] }[] | null;
  failure: EngineError | null;
}

export class ActorThreads<Settings> {
  readonly #options: ActorThreadsOptions<Settings>;
  readonly #slots: Slot[];
  readonly #watchdog: Watchdog;
  #watching: NodeJS.Timeout | null = null;
  #stopping = false;
  /** Until every state file has been opened once: what cannot be opened then is told, not tried again. */
  #starting = true;
  #restored: (() => void) | null = null;
  /** Threads that made no step for too long. */
  stalls = 0;

  constructor(options: ActorThreadsOptions<Settings>) {
    this.#options = options;
    this.#slots = lanesOf(options.partitionCount, options.threads).map((lane, index) => this.#slot(lane, index));
    const { words, clock, stallTimeoutMs, stallsBefore } = options;
    this.#watchdog = new Watchdog({ threads: this.#slots.map(({ index }) => words.progress(index)), clock, timeoutMs: stallTimeoutMs, stallsBefore });
  }

  get ports(): readonly ActorPort[] {
    return this.#slots;
  }

  get restarts(): number {
    return this.#slots.reduce((sum, slot) => sum + slot.restarts, 0);
  }

  /** Starts all threads; resolves with the highest offset of each journal that any checkpoint covers. Rejects when a state file cannot be used. */
  async start(): Promise<number[]> {
    const restored = new Promise<void>((resolve) => {
      this.#restored = resolve;
    });
    for (const slot of this.#slots) this.#spawn(slot);
    this.#watching = setInterval(() => {
      for (const stall of this.#watchdog.check()) void this.#endStalled(stall);
    }, this.#watchdog.intervalMs);
    await restored;
    this.#starting = false;
    const failed = this.#slots.find((slot) => slot.failure !== null);
    if (failed?.failure) throw failed.failure;
    return highestOffsets(this.#slots.flatMap((slot) => (slot.restored ?? []).map(({ offsets }) => offsets)));
  }

  threadOf(partition: number): number {
    return this.#slots.findIndex(({ lane }) => partition >= lane.first && partition < lane.first + lane.count);
  }

  /** For fault tests: does to a thread what a bug would. */
  fault(index: number, how: Fault): void {
    this.#slots[index]?.post({ type: 'fault', how });
  }

  /**
   * The stop flag must be up. True when all threads checkpointed and left within `deadlineMs`; the others are terminated, and what they had not
   * saved is replayed at the next start.
   */
  async stop(deadlineMs: number): Promise<boolean> {
    this.#stopping = true;
    if (this.#watching !== null) clearInterval(this.#watching);
    const left = await Promise.all(this.#slots.map((slot) => this.#leave(slot, deadlineMs)));
    return left.every(Boolean);
  }

  async #leave({ index, lane, thread }: Slot, deadlineMs: number): Promise<boolean> {
    if (thread === null) return true;
    thread.expectExit();
    if (await thread.exitedWithin(deadlineMs)) return true;
    const ended = await this.#terminate(index, thread);
    this.#options.log.error({ thread: index, partitions: lane, stage: this.#options.words.progress(index).stage, ended }, 'an actor thread did not leave in time; what it had not saved is replayed at the next start');
    return false;
  }

  #slot(lane: Lane, index: number): Slot {
    const slot: Slot = {
      lane,
      index,
      thread: null,
      startedMs: 0,
      deaths: 0,
      restarts: 0,
      stalled: false,
      restored: null,
      failure: null,
      post: (message) => {
        slot.thread?.post(message);
      },
    };
    return slot;
  }

  #spawn(slot: Slot): void {
    const { module, settings, words, poison, clock } = this.#options;
    const start: ActorStart<Settings> = { role: 'actor', thread: slot.index, words: words.buffer, lane: slot.lane, settings, poison: poison.verdicts };
    slot.startedMs = clock.monotonicMs();
    slot.failure = null;
    slot.stalled = false;
    words.progress(slot.index).reset();
    words.current(slot.index).fill(0);
    slot.thread = new Thread<MainToActor, ActorToMain>(`actors-${slot.index}`, module, start, {
      onMessage: (message) => {
        this.#receive(slot, message);
      },
      onExit: (end) => {
        this.#ended(slot, end);
      },
    });
    this.#watchdog.watch(slot.index);
  }

  /** Its death is dealt with where all are; a thread that cannot be ended takes the process with it. */
  async #endStalled(stall: Stall): Promise<void> {
    const slot = this.#slots[stall.thread];
    const thread = slot?.thread;
    if (slot === undefined || thread === null || thread === undefined || this.#stopping) return;
    const { words, log, onFatal } = this.#options;
    const { stage, silentMs, stallsInARow } = stall;
    slot.stalled = true;
    this.stalls++;
    log.error({ thread: slot.index, partitions: slot.lane, stage, silentMs, stallsInARow }, 'actor thread makes no progress; ending it');
    words.progress(slot.index).askToLeave();
    words.wake();
    if ((await thread.exitedWithin(LEAVE_MS)) || (await this.#terminate(slot.index, thread)) || this.#stopping) return;
    onFatal(
      new EngineError('THREAD_STUCK', `actor thread ${slot.index} was terminated and has not ended: it is inside a native call`, {
        where: { thread: slot.index, firstPartition: slot.lane.first, lastPartition: slot.lane.first + slot.lane.count - 1, stage },
        fix: 'the daemon ends itself and is started again; if this repeats, look at the disk under data_dir',
      }),
    );
  }

  /** False when it cannot be ended, or may not be: in the midst of a copy that would abort the process. */
  async #terminate(index: number, thread: Thread<MainToActor, ActorToMain>): Promise<boolean> {
    thread.isTerminable = !this.#options.words.progress(index).isCopying;
    return thread.isTerminable && thread.terminate(TERMINATE_MS);
  }

  #receive(slot: Slot, message: ActorToMain): void {
    if (message.type === 'failed') {
      slot.failure = EngineError.fromRecord(message.error);
      // Not only when it has ended: closing a store that is stuck may keep the thread for ever.
      if (!this.#starting && !this.#stopping && !slot.failure.retryable) this.#options.onFatal(slot.failure);
      return;
    }
    if (message.type === 'restored') {
      slot.restored = [...message.partitions];
      if (this.#slots.every((other) => other.restored !== null || other.failure !== null)) this.#restored?.();
    }
    this.#options.onMessage(slot.index, message);
  }

  #ended(slot: Slot, end: { readonly expected: boolean; readonly error: Error | null }): void {
    slot.thread = null;
    this.#watchdog.ignore(slot.index);
    if (this.#stopping || (end.expected && !slot.stalled)) return;
    const { log, clock, onDeath, onFatal } = this.#options;
    if (slot.failure !== null && (this.#starting || !slot.failure.retryable)) {
      if (slot.restored === null) this.#restored?.();
      onFatal(slot.failure);
      return;
    }
    this.#countPoison(slot, end.error);
    slot.deaths = clock.monotonicMs() - slot.startedMs > STEADY_MS ? 1 : slot.deaths + 1;
    slot.restarts++;
    const pauseMs = slot.deaths === 1 ? 0 : Math.min(RESTART_PAUSE_MAX_MS, RESTART_PAUSE_MS * 2 ** slot.deaths);
    log.error({ thread: slot.index, partitions: slot.lane, reason: slot.stalled ? 'made no progress' : (end.error?.message ?? slot.failure?.message ?? 'ended'), restartInMs: pauseMs }, 'actor thread died; restarting it from its checkpoint');
    slot.restored = null;
    onDeath(slot.index);
    setTimeout(() => {
      if (!this.#stopping) this.#spawn(slot);
    }, pauseMs);
  }

  #countPoison(slot: Slot, error: Error | null): void {
    const [batchSequence = 0, index = 0, folding = 0] = this.#options.words.current(slot.index);
    // A store fault that surfaces while a record is being folded says nothing about the record.
    // A thread that main has ended may have waited for the disk, the processor or a bug beside the record.
    // A heap too small for the state ends a replay at about the same innocent record each time.
    if (folding !== 1 || slot.failure !== null || slot.stalled || isOutOfMemory(error)) return;
    try {
      if (this.#options.poison.death([batchSequence, index])) {
        this.#options.log.error({ batchSequence, index }, 'a record has killed its thread three times and is rejected as POISON from now on');
      }
    } catch (error) {
      this.#options.log.error({ batchSequence, index, error: messageOf(error) }, 'a poison verdict could not be written');
    }
  }
}

/** By journal; as many as any of them has. */
function highestOffsets(all: readonly (readonly number[])[]): number[] {
  const highest: number[] = [];
  for (const offsets of all) offsets.forEach((offset, journal) => (highest[journal] = Math.max(highest[journal] ?? 0, offset)));
  return highest;
}
