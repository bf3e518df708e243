/**
 * One life of the daemon in the simulated world: the production batcher, journal, partitions, actor loops, egress, merge, live store, sink
 * writer and lake encoder, wired as engine/main.ts, engine/fold-engine.ts and engine/ingress-thread.ts wire them, with threads that are
 * turns of one queue.
 *
 * A life that is over does nothing more: its timers are dropped, its disk handles are dead, its stores are left to it and copied for the next.
 */

import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { Merge, MERGE_LIMITS } from '../../actors/merge/index.ts';
import { PARTITION_TABLES, Partition } from '../../actors/partition/index.ts';
import type { Schedule } from '../../engine/core/clock.ts';
import { EngineError } from '../../engine/core/errors.ts';
import type { MergeOutput, PartitionProgress } from '../../engine/core/feed.ts';
import { createPartitioner, type Partitioner } from '../../engine/core/partition-key.ts';
import { resultSchema } from '../../engine/core/pipeline.ts';
import { encodeControl } from '../../engine/core/rules.ts';
import { offset, partitionId, type Offset } from '../../engine/core/types.ts';
import { createRecordCursor, openJournal, openLogReader, type JournalWriter } from '../../engine/log/index.ts';
import { ActorLoop, type LoopWords } from '../../engine/runtime/actor-loop.ts';
import { Egress } from '../../engine/runtime/egress.ts';
import { lanesOf } from '../../engine/runtime/lanes.ts';
import { RetentionNeed } from '../../engine/runtime/retention-need.ts';
import { memoryStore, type MemoryStore } from '../../engine/state/index.ts';
import type { ActorToMain, MainToActor } from '../../engine/threads/messages.ts';
import { PROGRESS_WORDS, Progress } from '../../engine/threads/progress.ts';
import { Batcher } from '../../ingress/batcher.ts';
import { LIVE_TABLES, LiveStore } from '../../sinks/live/index.ts';
import { SinkWriter } from '../../sinks/sink-writer.ts';
import type { FaultyDisk } from '../unit/log/faulty-disk.ts';
import type { SimulatedLake } from './lake.ts';
import type { Plant } from './plants.ts';
import type { LifeSettings, StorySettings } from './settings.ts';
import { SimulatedSink, type SimulatedSystem } from './sink.ts';
import type { World } from './world.ts';

export const INSTANCE = '5'.repeat(32);
export const GENERATION = 1;
export const JOURNAL = '/data/journal';
const TICK_AFTER_MS = 1_000;
const RETAIN_INTERVAL_MS = 1_000;
const SINK_CLOSE_MS = 2_000;
const MESSAGE_MS_MAX = 2;

/** What survives a life. */
export interface Durable {
  readonly disk: FaultyDisk;
  readonly partitions: MemoryStore[];
  live: MemoryStore;
  readonly lake: SimulatedLake;
  readonly system: SimulatedSystem;
}

export const newStores = (partitionCount: number): Pick<Durable, 'partitions' | 'live'> => ({
  partitions: Array.from({ length: partitionCount }, () => memoryStore(PARTITION_TABLES)),
  live: memoryStore(LIVE_TABLES),
});

export interface LifeOptions {
  readonly world: World;
  readonly durable: Durable;
  readonly story: StorySettings;
  readonly settings: LifeSettings;
  readonly plant: Plant | null;
  /** What a write to the live store made visible. */
  readonly onVisible: (output: MergeOutput) => void;
  readonly onReady: (live: LiveStore) => void;
  /** A partition has checkpointed. */
  readonly onCheckpoint: (actor: SimulatedActor) => void;
  /** Production code gave up, as it does on damage: the process ends. */
  readonly onFatal: (error: EngineError) => void;
  /** A bug: production code raised where nothing was injected. */
  readonly onBug: (error: unknown) => void;
}

export type SimulatedActor = ReturnType<typeof openPartition>;

interface Thread {
  readonly lane: { readonly first: number; readonly count: number };
  readonly actors: readonly SimulatedActor[];
  loop: ActorLoop;
  running: Promise<void>;
  readonly send: (deliver: () => void) => void;
  /** Never true again: a replacement is a thread of its own. */
  alive: boolean;
}

class Words implements LoopWords {
  durableOffset: Offset = offset(0);
  stopping = false;
  wakeCount = 0;
  #waiting: (() => void)[] = [];
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  wake(): void {
    this.wakeCount++;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  waitForWake(seen: number, timeoutMs: number): Promise<void> {
    if (this.wakeCount !== seen) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#world.schedule(timeoutMs, resolve);
      this.#waiting.push(() => {
        cancel();
        resolve();
      });
    });
  }
}

/** The words as one thread sees them: once it is dead, no wait of it ends. */
function wordsOf(words: Words, isAlive: () => boolean): LoopWords {
  return {
    get durableOffset() {
      return words.durableOffset;
    },
    get stopping() {
      return words.stopping;
    },
    get wakeCount() {
      return words.wakeCount;
    },
    wake: () => {
      words.wake();
    },
    waitForWake: async (seen, timeoutMs) => {
      await words.waitForWake(seen, timeoutMs);
      if (!isAlive()) await forever;
    },
  };
}

const forever = new Promise<void>(() => undefined);

export function openPartition(id: number, store: MemoryStore, partitionCount: number, dedupeMemoryBytesMax = 64 * 1024) {
  return Partition.open({
    id: partitionId(id),
    partitionCount,
    instance: INSTANCE,
    pipeline: appsflyerPipeline,
    store,
    dedupeMemoryBytesMax,
    deadLetterBytesMax: 256 * 1024,
    current: new Float64Array(3),
    isPoison: () => false,
    cellIdleCheckpoints: 1,
  });
}

/** Ticks aside, of which there is always another one. */
const tellsTheSame = (actor: Pick<PartitionProgress, 'received' | 'closedUpToMs'>, stored: PartitionProgress | undefined): boolean => actor.received === stored?.received && actor.closedUpToMs === stored.closedUpToMs;

export class Life {
  readonly words: Words;
  readonly partitioner: Partitioner;
  readonly need: RetentionNeed;
  /** Null until the journal is open: the door answers nobody. */
  batcher: Batcher | null = null;
  writer: JournalWriter | null = null;
  live!: LiveStore;
  alive = true;
  ready = false;
  readonly #options: LifeOptions;
  readonly #threads: Thread[] = [];
  #merge!: Merge;
  #egress!: Egress;
  #sink: SinkWriter | null = null;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.words = new Words(options.world);
    this.partitioner = createPartitioner(appsflyerPipeline.partitionKey, options.story.partitionCount);
    this.need = new RetentionNeed(options.story.partitionCount);
  }

  /** Resolves when the door is open; rejects what the disk raises. */
  async start(): Promise<void> {
    const { settings, story } = this.#options;
    for (const lane of lanesOf(story.partitionCount, settings.threads)) this.#threads.push(this.#thread(lane));
    const writer = await this.#openJournal();
    writer.appendControl(encodeControl({ type: 'generation', generation: GENERATION, instance: INSTANCE, partitionCount: story.partitionCount }));
    writer.appendControl(encodeControl({ type: 'rules', rules: settings.rules }));
    await writer.commit();
    if (!this.alive) return;
    this.#openEgress();
    for (let index = 0; index < this.#threads.length; index++) {
      this.#egress.recovering(index);
      this.#egress.go(index, this.words.durableOffset);
      this.#run(index);
    }
    this.writer = writer;
    this.batcher = this.#openBatcher(writer);
    if (story.retains) this.#retain(writer);
  }

  /** One actor thread dies where it stands, and is replaced from its checkpoints. */
  killThread(index: number): void {
    const thread = this.#threads[index % this.#threads.length];
    if (thread === undefined || !thread.alive || this.words.stopping || this.#egress === undefined) return;
    const at = this.#threads.indexOf(thread);
    const { durable, world } = this.#options;
    thread.alive = false;
    for (let id = thread.lane.first; id < thread.lane.first + thread.lane.count; id++) durable.partitions[id] = (durable.partitions[id] as MemoryStore).fork();
    this.#egress.recovering(at);
    world.schedule(world.pick(1, 300), () => {
      if (!this.alive || this.words.stopping) return;
      this.#threads[at] = this.#thread(thread.lane);
      this.#egress.go(at, this.words.durableOffset);
      this.#run(at);
    });
  }

  /** The process is gone. Power: what was not synced or flushed is, in part, gone too. */
  die(power: boolean): void {
    const { world, durable } = this.#options;
    this.alive = false;
    for (const thread of this.#threads) thread.alive = false;
    if (power) {
      durable.disk.powerCut(world.random);
      for (const store of [...durable.partitions, durable.live]) store.powerLoss((transactions) => world.pick(0, transactions));
    } else durable.disk.processDeath();
    durable.partitions.forEach((store, id) => (durable.partitions[id] = store.fork()));
    durable.live = durable.live.fork();
  }

  /** As SIGTERM: door, actors, sinks, in this order. The caller lets it die then. */
  async stop(): Promise<void> {
    const { batcher, writer } = this;
    this.batcher = null;
    while (batcher !== null && !batcher.idle) await this.#pause(5);
    batcher?.stop();
    this.words.stopping = true;
    this.words.wake();
    await Promise.all(this.#threads.filter(({ alive }) => alive).map(({ running }) => running));
    await this.#egress.close().catch(this.#faultOrBug);
    await this.#sink?.close(SINK_CLOSE_MS);
    await writer?.close();
  }

  failNextCommit(choice: number): void {
    const { durable } = this.#options;
    const stores = [...durable.partitions, durable.live];
    (stores[Math.floor(choice * stores.length)] as MemoryStore).failNextCommit(choice * 1_000 % 1 < 0.5 ? 'DISK_FULL' : 'STATE_WRITE_FAILED');
  }

  /** By partition. */
  stateHashes(): string[] {
    return this.#threads.flatMap(({ actors }) => actors.map((actor) => actor.stateHash()));
  }

  get actors(): SimulatedActor[] {
    return this.#threads.flatMap(({ actors }) => [...actors]);
  }

  /** Everything that is durable is folded, and stored. */
  get isCaughtUp(): boolean {
    if (!this.ready || this.#merge.pendingCount > 0) return false;
    const stored = this.live.partitionStates();
    return this.#threads.every(({ alive, actors }) => alive && actors.every((actor) => actor.offset === this.words.durableOffset && !actor.hasChanges && tellsTheSame(actor.stats(), stored[actor.id])));
  }

  get sinkIsSettled(): boolean {
    return this.#sink?.health().healthy === true && this.live.settledMark('memory') === this.live.latest;
  }

  async #openJournal(): Promise<JournalWriter> {
    const { world, durable, settings, story } = this.#options;
    const provenOffset = Math.max(...this.#threads.flatMap(({ actors }) => actors.map((actor) => actor.offset)));
    const { writer } = await openJournal({
      directory: JOURNAL,
      instance: INSTANCE,
      partitionCount: story.partitionCount,
      segmentBytes: story.segmentBytes,
      batchBytesMax: settings.journalBatchBytesMax,
      slowSyncMs: settings.slowSyncMs,
      provenOffset: offset(provenOffset),
      sparesMax: settings.sparesMax,
      salt: 0x5eed,
      disk: durable.disk.session(),
      clock: world.clock,
      publish: (end) => {
        if (!this.alive) return;
        this.words.durableOffset = end;
        this.words.wake();
      },
    });
    return writer;
  }

  #openBatcher(writer: JournalWriter): Batcher {
    const { world, settings } = this.#options;
    return new Batcher({
      writer,
      clock: world.clock,
      batchBytesMax: settings.batchBytesMax,
      tickAfterMs: TICK_AFTER_MS,
      onFailure: () => undefined,
      timers: {
        soon: (callback) => void this.#schedule(0, callback),
        every: (intervalMs, callback) => {
          let cancel = (): void => undefined;
          const again = (): void => {
            cancel = this.#schedule(intervalMs, () => {
              again();
              callback();
            });
          };
          again();
          return () => {
            cancel();
          };
        },
      },
    });
  }

  #retain(writer: JournalWriter): void {
    const { settings } = this.#options;
    this.#schedule(RETAIN_INTERVAL_MS, () => {
      if (this.words.stopping) return;
      void writer.retain({ needOffset: this.need.offset, maxAgeMs: settings.retentionMs, maxBytes: 1e9 }).catch(() => undefined);
      this.#retain(writer);
    });
  }

  #openEgress(): void {
    const { world, durable, plant, onVisible, onReady, onBug, settings, story } = this.#options;
    const schema = resultSchema(appsflyerPipeline);
    const { partitionCount } = story;
    this.live = LiveStore.open({ store: durable.live, schema, instance: INSTANCE, generation: GENERATION, partitionCount, retentionDays: 40 });
    const live = this.live;
    this.#merge = new Merge({ schema, partitionCount, exists: (name) => live.cell(name), limits: this.#options.settings.mergeLimits });
    this.#egress = new Egress({
      merge: this.#merge,
      store: {
        apply: async (output, nowMs) => {
          const planted = plant?.output?.(output) ?? output;
          await live.apply(planted, nowMs);
          this.#checkBounds();
          if (this.alive && this.ready) onVisible(plant?.visible?.(planted) ?? planted);
        },
        flushed: () => durable.live.flushed(),
        settledSequences: () => live.settledSequences(),
        finalUpToMs: () => live.finalUpToMs,
      },
      actors: () => this.#threads.map((thread, index) => ({ lane: thread.lane, post: (message) => this.#toActor(index, message) })),
      clock: world.clock,
      schedule: this.#schedule,
      intervalMs: settings.emitIntervalMs,
      onFault: () => undefined,
      onFatal: onBug,
      onReady: () => {
        if (!this.alive) return;
        this.ready = true;
        onReady(live);
        this.#sink?.start();
      },
    });
    const sink = new SimulatedSink({ system: durable.system, world, isAlive: () => this.alive });
    this.#sink = new SinkWriter({
      sink: plant?.sink?.(sink, durable.system) ?? sink,
      feed: live,
      world: { clock: world.clock, random: () => world.random(), schedule: this.#schedule },
      timings: { markerCheckMs: settings.markerCheckMs },
      onNotice: (notice) => {
        if (this.alive && notice.type === 'stopped') onBug(notice.error);
      },
    });
  }

  #checkBounds(): void {
    const { refusedLower, refusedFinal, saturatedMeasures } = this.#merge.alarms;
    if (refusedLower + refusedFinal + saturatedMeasures > 0) this.#options.onBug(new Error(`merge: refused ${refusedLower} lower revisions, ${refusedFinal} changes to final cells, ${saturatedMeasures} sums beyond a safe integer`));
    if (this.#merge.pendingCount > MERGE_LIMITS.pendingCellsMax) this.#options.onBug(new Error(`bounds: ${this.#merge.pendingCount} cells wait in the merge`));
  }

  /** What main waits for, as long as this life lasts. */
  readonly #schedule: Schedule = (delayMs, callback) =>
    this.#options.world.schedule(delayMs, () => {
      if (this.alive) this.#guarded(callback);
    });

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#schedule(ms, resolve));
  }

  #guarded(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#options.onBug(error);
    }
  }

  readonly #faultOrBug = (error: unknown): void => {
    if (this.alive && !(error instanceof EngineError && error.retryable)) this.#options.onBug(error);
  };

  #thread(lane: Thread['lane']): Thread {
    const { world, durable, plant, settings, story } = this.#options;
    const actors = Array.from({ length: lane.count }, (_, at) => openPartition(lane.first + at, durable.partitions[lane.first + at] as MemoryStore, story.partitionCount, settings.dedupeMemoryBytesMax));
    const thread: Thread = { lane, actors, alive: true, running: Promise.resolve(), loop: null as unknown as ActorLoop, send: world.channel(MESSAGE_MS_MAX) };
    const toMain = world.channel(MESSAGE_MS_MAX);
    const isAlive = (): boolean => this.alive && thread.alive;
    thread.loop = new ActorLoop({
      partitions: actors.map((actor) => ({ actor: plant?.actor?.(actor) ?? actor, store: plant?.store?.(durable.partitions[actor.id] as MemoryStore) ?? (durable.partitions[actor.id] as MemoryStore) })),
      openReader: (from) => openLogReader({ directory: JOURNAL, lane, from, disk: durable.disk.session(), readAheadBytes: 32 * 1024 }),
      cursor: createRecordCursor(),
      words: wordsOf(this.words, isAlive),
      progress: new Progress(new Int32Array(PROGRESS_WORDS)),
      post: (message) => {
        toMain(() => {
          if (isAlive()) this.#guarded(() => this.#toMain(this.#threads.findIndex((other) => other.lane.first === lane.first), message));
        });
      },
      clock: world.clock,
      turn: async () => {
        await world.sleep(1);
        if (!isAlive()) await forever;
      },
      emitIntervalMs: settings.emitIntervalMs,
      checkpointIntervalMs: settings.checkpointIntervalMs,
      checkpointBytesMax: settings.checkpointBytesMax,
      reportCellsMax: settings.reportCellsMax,
    });
    return thread;
  }

  /** As actor-thread.ts and actor-threads.ts: what a repeat may mend replaces the thread, anything else ends the process. */
  #run(index: number): void {
    const thread = this.#threads[index] as Thread;
    thread.running = thread.loop.run().catch((error: unknown) => {
      if (!this.alive || !thread.alive) return;
      if (!(error instanceof EngineError)) this.#options.onBug(error);
      else if (error.retryable) this.killThread(index);
      else this.#options.onFatal(error);
    });
  }

  #toActor(index: number, message: MainToActor): void {
    const thread = this.#threads[index] as Thread;
    thread.send(() => {
      if (this.alive && thread.alive) thread.loop.onMessage(message);
    });
  }

  #toMain(index: number, message: ActorToMain): void {
    switch (message.type) {
      case 'report':
        this.#egress.report(index, message);
        break;
      case 'shares':
        for (const share of message.shares) {
          this.#options.durable.lake.accept(share, (slot) => {
            if (!this.alive) return;
            for (let at = 0; at < this.#threads.length; at++) this.#toActor(at, { type: 'spooled', slot });
          });
        }
        break;
      case 'flushed': {
        this.need.set(message.partition, message.needed);
        const actor = this.actors.find(({ id }) => id === message.partition);
        if (actor !== undefined) this.#options.onCheckpoint(actor);
        break;
      }
      case 'restored':
      case 'stats':
      case 'answer':
      case 'stopped':
      case 'failed':
        break;
    }
  }
}
