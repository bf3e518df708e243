/**
 * The actor threads: started together, replaced one by one from their checkpoints when they die, stopped together.
 *
 * A replacement opens the same state files, replays to the durable end and reports whole before its partitions emit again; the
 * others never stop. A thread that dies again and again is restarted with growing pauses. Runs on the main thread.
 */

import { EngineError, messageOf } from '../core/errors.ts';
import type { Clock } from '../core/clock.ts';
import type { ActorStart, ActorToMain, MainToActor } from '../threads/messages.ts';
import type { SharedWords } from '../threads/shared-words.ts';
import { Thread } from '../threads/worker.ts';
import type { ActorPort } from './egress.ts';
import { lanesOf, type Lane } from './lanes.ts';
import type { PoisonList } from './poison.ts';

export interface ActorThreadsOptions<Settings> {
  readonly module: URL;
  readonly settings: Settings;
  readonly partitionCount: number;
  readonly threads: number;
  readonly words: SharedWords;
  readonly poison: PoisonList;
  readonly clock: Clock;
  readonly log: { info(facts: object, text: string): void; warn(facts: object, text: string): void; error(facts: object, text: string): void };
  readonly onMessage: (thread: number, message: ActorToMain) => void;
  /** A thread died and its partitions are recovering. */
  readonly onDeath: (thread: number) => void;
  /** A fault that no replacement mends. */
  readonly onFatal: (error: EngineError) => void;
}

const RESTART_PAUSE_MS = 50;
const RESTART_PAUSE_MAX_MS = 10_000;
/** A thread that lived this long starts again without a pause. */
const STEADY_MS = 30_000;

interface Slot extends ActorPort {
  readonly index: number;
  thread: Thread<MainToActor, ActorToMain> | null;
  startedMs: number;
  deaths: number;
  restarts: number;
  restored: { readonly partition: number; readonly offset: number }[] | null;
  failure: EngineError | null;
}

export class ActorThreads<Settings> {
  readonly #options: ActorThreadsOptions<Settings>;
  readonly #slots: Slot[];
  #stopping = false;
  /** Until every state file has been opened once: what cannot be opened then is told, not tried again. */
  #starting = true;
  #restored: (() => void) | null = null;

  constructor(options: ActorThreadsOptions<Settings>) {
    this.#options = options;
    this.#slots = lanesOf(options.partitionCount, options.threads).map((lane, index) => this.#slot(lane, index));
  }

  get ports(): readonly ActorPort[] {
    return this.#slots;
  }

  get restarts(): number {
    return this.#slots.reduce((sum, slot) => sum + slot.restarts, 0);
  }

  /** Starts all threads; resolves with the highest offset any checkpoint covers. Rejects when a state file cannot be used. */
  async start(): Promise<number> {
    const restored = new Promise<void>((resolve) => {
      this.#restored = resolve;
    });
    for (const slot of this.#slots) this.#spawn(slot);
    await restored;
    this.#starting = false;
    const failed = this.#slots.find((slot) => slot.failure !== null);
    if (failed?.failure) throw failed.failure;
    return Math.max(...this.#slots.flatMap((slot) => (slot.restored ?? []).map((entry) => entry.offset)));
  }

  threadOf(partition: number): number {
    return this.#slots.findIndex(({ lane }) => partition >= lane.first && partition < lane.first + lane.count);
  }

  /** For fault tests: ends a thread as a bug would. */
  kill(index: number): void {
    this.#slots[index]?.post({ type: 'fault' });
  }

  /** The stop flag must be up. Resolves true when all threads checkpointed and left within `deadlineMs`. */
  async stop(deadlineMs: number): Promise<boolean> {
    this.#stopping = true;
    for (const slot of this.#slots) slot.thread?.expectExit();
    const left = await Promise.all(this.#slots.map((slot) => slot.thread?.exitedWithin(deadlineMs) ?? Promise.resolve(true)));
    return left.every(Boolean);
  }

  #slot(lane: Lane, index: number): Slot {
    const slot: Slot = {
      lane,
      index,
      thread: null,
      startedMs: 0,
      deaths: 0,
      restarts: 0,
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
    words.current(slot.index).fill(0);
    slot.thread = new Thread<MainToActor, ActorToMain>(`actors-${slot.index}`, module, start, {
      onMessage: (message) => {
        this.#receive(slot, message);
      },
      onExit: (end) => {
        this.#ended(slot, end);
      },
    });
  }

  #receive(slot: Slot, message: ActorToMain): void {
    if (message.type === 'failed') {
      slot.failure = EngineError.fromRecord(message.error);
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
    if (this.#stopping || end.expected) return;
    const { log, clock, onDeath, onFatal } = this.#options;
    if (slot.failure !== null && (this.#starting || !slot.failure.retryable)) {
      if (slot.restored === null) this.#restored?.();
      onFatal(slot.failure);
      return;
    }
    this.#countPoison(slot);
    slot.deaths = clock.monotonicMs() - slot.startedMs > STEADY_MS ? 1 : slot.deaths + 1;
    slot.restarts++;
    const pauseMs = slot.deaths === 1 ? 0 : Math.min(RESTART_PAUSE_MAX_MS, RESTART_PAUSE_MS * 2 ** slot.deaths);
    log.error({ thread: slot.index, partitions: slot.lane, reason: end.error?.message ?? slot.failure?.message ?? 'ended', restartInMs: pauseMs }, 'actor thread died; restarting it from its checkpoint');
    slot.restored = null;
    onDeath(slot.index);
    setTimeout(() => {
      if (!this.#stopping) this.#spawn(slot);
    }, pauseMs);
  }

  #countPoison(slot: Slot): void {
    const [batchSequence = 0, index = 0, folding = 0] = this.#options.words.current(slot.index);
    // A store fault that surfaces while a record is being folded says nothing about the record.
    if (folding !== 1 || slot.failure !== null) return;
    try {
      if (this.#options.poison.death([batchSequence, index])) {
        this.#options.log.error({ batchSequence, index }, 'a record has killed its thread three times and is rejected as POISON from now on');
      }
    } catch (error) {
      this.#options.log.error({ batchSequence, index, error: messageOf(error) }, 'a poison verdict could not be written');
    }
  }
}
