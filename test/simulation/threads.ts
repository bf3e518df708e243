/** The actor threads of one life: production actor loops over production partitions, each a turn of the world's queue, replaced when they die. */

import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { PagePool, Partition } from '../../actors/partition/index.ts';
import { EngineError } from '../../engine/core/errors.ts';
import { partitionId } from '../../engine/core/types.ts';
import { createRecordCursor, openMergedLog } from '../../engine/log/index.ts';
import { ActorLoop } from '../../engine/runtime/actor-loop.ts';
import { lanesOf } from '../../engine/runtime/lanes.ts';
import type { MemoryStore } from '../../engine/state/index.ts';
import type { ActorToMain, MainToActor } from '../../engine/threads/messages.ts';
import { PROGRESS_WORDS, Progress } from '../../engine/threads/progress.ts';
import type { FaultyDisk } from '../unit/log/faulty-disk.ts';
import type { Plant } from './plants.ts';
import type { LifeSettings, StorySettings } from './settings.ts';
import { SIMULATED_RESOURCES } from './desk.ts';
import { inWorld } from './store.ts';
import { forever, wordsOf, type Words } from './words.ts';
import type { World } from './world.ts';

const MESSAGE_MS_MAX = 2;
const RESTART_MS_MAX = 300;

export type SimulatedActor = ReturnType<typeof openPartition>;

export interface Lane {
  readonly first: number;
  readonly count: number;
}

interface Thread {
  readonly lane: Lane;
  readonly actors: readonly SimulatedActor[];
  readonly loop: ActorLoop;
  running: Promise<void>;
  readonly send: (deliver: () => void) => void;
  /** Never true again: a replacement is a thread of its own. */
  alive: boolean;
}

/** What all threads of a life have. */
export interface LifeParts {
  readonly world: World;
  readonly disk: FaultyDisk;
  /** By number. */
  readonly journals: readonly string[];
  readonly instance: string;
  readonly story: StorySettings;
  readonly settings: LifeSettings;
  readonly words: Words;
  readonly isAlive: () => boolean;
  readonly onFatal: (error: EngineError) => void;
  readonly onBug: (error: unknown) => void;
}

export interface ThreadsOptions extends LifeParts {
  readonly plant: Plant | null;
  /** By partition; a thread that dies leaves its own behind, and its replacement works on copies. */
  readonly stores: MemoryStore[];
  readonly onMessage: (thread: number, message: ActorToMain) => void;
  readonly onDeath: (thread: number) => void;
  /** A replacement has restored its partitions. */
  readonly onRestored: (thread: number) => void;
}

export interface OpenPartition {
  readonly id: number;
  readonly store: MemoryStore;
  readonly partitionCount: number;
  readonly instance: string;
  readonly dedupeMemoryBytesMax?: number;
  readonly dedupePages?: PagePool;
}

/** 16 fingerprints each. */
const DEDUPE_PAGE_WORDS = 64;
/** So small that the fingerprints of a story spill, and are compacted and removed over several checkpoints. */
const DEDUPE_BOUNDS = { capacityMin: 32, mergeEntriesMin: 8, purgeKeysMax: 2 };

export function openPartition({ id, store, partitionCount, instance, dedupeMemoryBytesMax = 64 * 1024, dedupePages = new PagePool(DEDUPE_PAGE_WORDS) }: OpenPartition) {
  return Partition.open({
    id: partitionId(id),
    partitionCount,
    instance,
    pipeline: appsflyerPipeline,
    resources: SIMULATED_RESOURCES,
    store,
    dedupeMemoryBytesMax,
    dedupePages,
    dedupeBounds: DEDUPE_BOUNDS,
    current: new Float64Array(3),
    isPoison: () => false,
    cellIdleCheckpoints: 1,
  });
}

export class Threads {
  readonly #options: ThreadsOptions;
  readonly #threads: Thread[];

  constructor(options: ThreadsOptions) {
    this.#options = options;
    this.#threads = lanesOf(options.story.partitionCount, options.settings.threads).map((lane) => this.#thread(lane));
  }

  get count(): number {
    return this.#threads.length;
  }

  get actors(): SimulatedActor[] {
    return this.#threads.flatMap(({ actors }) => [...actors]);
  }

  get allAlive(): boolean {
    return this.#threads.every(({ alive }) => alive);
  }

  /** By journal. */
  get provenOffsets(): number[] {
    return this.#options.journals.map((_, journal) => Math.max(...this.actors.map(({ offsets }) => offsets[journal] ?? 0)));
  }

  ports(): { lane: Lane; post: (message: MainToActor) => void }[] {
    return this.#threads.map(({ lane }, index) => ({
      lane,
      post: (message) => {
        this.#post(index, message);
      },
    }));
  }

  /** As actor-thread.ts and actor-threads.ts: what a repeat may mend replaces the thread, anything else ends the process. */
  run(index: number): void {
    const thread = this.#threads[index] as Thread;
    thread.running = thread.loop.run().catch((error: unknown) => {
      if (!this.#isAlive(thread)) return;
      if (!(error instanceof EngineError)) this.#options.onBug(error);
      else if (error.retryable) this.kill(index);
      else this.#options.onFatal(error);
    });
  }

  /** One dies where it stands, and is replaced from its checkpoints. */
  kill(index: number): void {
    const at = index % this.#threads.length;
    const thread = this.#threads[at] as Thread;
    const { stores, words, world, isAlive, onDeath, onRestored } = this.#options;
    if (!thread.alive || words.stopping) return;
    thread.alive = false;
    for (let id = thread.lane.first; id < thread.lane.first + thread.lane.count; id++) stores[id] = (stores[id] as MemoryStore).fork();
    onDeath(at);
    void world.schedule(world.pick(1, RESTART_MS_MAX), () => {
      if (!isAlive() || words.stopping) return;
      this.#threads[at] = this.#thread(thread.lane);
      onRestored(at);
      this.run(at);
    });
  }

  /** After the stop flag. */
  async left(): Promise<void> {
    await Promise.all(this.#threads.filter(({ alive }) => alive).map(({ running }) => running));
  }

  /** With the process. */
  die(): void {
    for (const thread of this.#threads) thread.alive = false;
  }

  #isAlive(thread: Thread): boolean {
    return thread.alive && this.#options.isAlive();
  }

  #post(index: number, message: MainToActor): void {
    const thread = this.#threads[index] as Thread;
    thread.send(() => {
      if (this.#isAlive(thread)) thread.loop.onMessage(message);
    });
  }

  #thread(lane: Lane): Thread {
    const { world, disk, journals, instance, plant, settings, story, stores, words, onMessage, onBug } = this.#options;
    const { dedupeMemoryBytesMax } = settings;
    const ids = Array.from({ length: lane.count }, (_, at) => lane.first + at);
    const dedupePages = new PagePool(DEDUPE_PAGE_WORDS);
    const actors = ids.map((id) => openPartition({ id, store: stores[id] as MemoryStore, partitionCount: story.partitionCount, instance, dedupeMemoryBytesMax, dedupePages }));
    const toMain = world.channel(MESSAGE_MS_MAX);
    const isAlive = (): boolean => this.#isAlive(thread);
    const loop = new ActorLoop({
      partitions: actors.map((actor) => {
        const store = inWorld(stores[actor.id] as MemoryStore, world, disk);
        return { actor: plant?.actor?.(actor) ?? actor, store: plant?.store?.(store) ?? store };
      }),
      openLog: (from, nextSequence) => {
        const merge = { durableOf: (journal: number) => words.journals.durableOf(journal), busySince: (journal: number) => (plant?.mergeDoesNotWait === true ? 0 : words.journals.busySince(journal)) };
        return openMergedLog({ directories: journals, lane, from, nextSequence, words: merge, disk: disk.session(isAlive), readAheadBytes: 32 * 1024 });
      },
      cursor: createRecordCursor(),
      words: wordsOf(words, isAlive),
      progress: new Progress(new Int32Array(PROGRESS_WORDS)),
      post: (message) => {
        toMain(() => {
          if (!isAlive()) return;
          try {
            onMessage(this.#threads.indexOf(thread), message);
          } catch (error) {
            onBug(error);
          }
        });
      },
      clock: world.clock,
      turn: async () => {
        await world.sleep(1);
        if (!isAlive()) await forever();
      },
      emitIntervalMs: settings.emitIntervalMs,
      checkpointIntervalMs: settings.checkpointIntervalMs,
      checkpointBytesMax: settings.checkpointBytesMax,
      reportCellsMax: settings.reportCellsMax,
    });
    const thread: Thread = { lane, actors, alive: true, running: Promise.resolve(), loop, send: world.channel(MESSAGE_MS_MAX) };
    return thread;
  }
}
