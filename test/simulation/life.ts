/**
 * One life of the daemon in the simulated world: the production journal, partitions, actor loops, egress, merge, live store and sink writer,
 * wired as engine/main.ts and engine/fold-engine.ts wire them, with threads that are turns of one queue.
 *
 * A life that is over does nothing more: its timers are dropped, its disk handles are dead, its stores are left to it and copied for the next.
 */

import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { Merge } from '../../actors/merge/index.ts';
import { PARTITION_TABLES, Partition } from '../../actors/partition/index.ts';
import type { Schedule } from '../../engine/core/clock.ts';
import type { MergeOutput } from '../../engine/core/feed.ts';
import { createPartitioner, type Partitioner } from '../../engine/core/partition-key.ts';
import { resultSchema } from '../../engine/core/pipeline.ts';
import { encodeControl, type Rules } from '../../engine/core/rules.ts';
import { offset, partitionId, type Offset } from '../../engine/core/types.ts';
import { createRecordCursor, openJournal, openLogReader, type JournalWriter } from '../../engine/log/index.ts';
import { ActorLoop, type LoopWords } from '../../engine/runtime/actor-loop.ts';
import { Egress } from '../../engine/runtime/egress.ts';
import { lanesOf } from '../../engine/runtime/lanes.ts';
import { memoryStore, type MemoryStore } from '../../engine/state/index.ts';
import type { ActorToMain, MainToActor } from '../../engine/threads/messages.ts';
import { PROGRESS_WORDS, Progress } from '../../engine/threads/progress.ts';
import { LIVE_TABLES, LiveStore } from '../../sinks/live/index.ts';
import { SinkWriter } from '../../sinks/sink-writer.ts';
import { MemorySink, type MemorySystem } from '../conformance/memory-sink.ts';
import type { FaultyDisk } from '../unit/log/faulty-disk.ts';
import type { SimulatedLake } from './lake.ts';
import type { Plant } from './plants.ts';
import type { World } from './world.ts';

export const PARTITIONS = 4;
export const INSTANCE = '5'.repeat(32);
export const GENERATION = 1;
export const JOURNAL = '/data/journal';
const SEGMENT_BYTES = 256 * 1024;
const BATCH_BYTES = 64 * 1024;

/** What survives a life. */
export interface Durable {
  readonly disk: FaultyDisk;
  readonly partitions: MemoryStore[];
  live: MemoryStore;
  readonly lake: SimulatedLake;
  readonly system: MemorySystem;
}

export const newStores = (): Pick<Durable, 'partitions' | 'live'> => ({
  partitions: Array.from({ length: PARTITIONS }, () => memoryStore(PARTITION_TABLES)),
  live: memoryStore(LIVE_TABLES),
});

export interface LifeOptions {
  readonly world: World;
  readonly durable: Durable;
  readonly rules: Rules;
  readonly threads: number;
  readonly checkpointIntervalMs: number;
  readonly plant: Plant | null;
  /** What a write to the live store made visible. */
  readonly onVisible: (output: MergeOutput) => void;
  readonly onReady: (live: LiveStore) => void;
  /** A bug: production code raised where nothing was injected. */
  readonly onBug: (error: unknown) => void;
}

interface Thread {
  readonly lane: { readonly first: number; readonly count: number };
  readonly actors: readonly ReturnType<typeof openPartition>[];
  loop: ActorLoop;
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

export function openPartition(id: number, store: MemoryStore) {
  return Partition.open({
    id: partitionId(id),
    partitionCount: PARTITIONS,
    instance: INSTANCE,
    pipeline: appsflyerPipeline,
    store,
    dedupeMemoryBytesMax: 64 * 1024,
    deadLetterBytesMax: 256 * 1024,
    current: new Float64Array(3),
    isPoison: () => false,
    cellIdleCheckpoints: 1,
  });
}

export class Life {
  readonly words: Words;
  readonly partitioner: Partitioner = createPartitioner(appsflyerPipeline.partitionKey, PARTITIONS);
  writer!: JournalWriter;
  live!: LiveStore;
  alive = true;
  ready = false;
  readonly #options: LifeOptions;
  readonly #threads: Thread[] = [];
  #egress!: Egress;
  #sink: SinkWriter | null = null;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.words = new Words(options.world);
  }

  /** Resolves when the journal is open; rejects what the disk raises. */
  async start(): Promise<void> {
    const { world, durable, rules } = this.#options;
    for (const lane of lanesOf(PARTITIONS, this.#options.threads)) this.#threads.push(this.#thread(lane));
    const provenOffset = Math.max(...this.#threads.flatMap(({ actors }) => actors.map((actor) => actor.offset)));
    const { writer } = await openJournal({
      directory: JOURNAL,
      instance: INSTANCE,
      partitionCount: PARTITIONS,
      segmentBytes: SEGMENT_BYTES,
      batchBytesMax: BATCH_BYTES,
      provenOffset: offset(provenOffset),
      sparesMax: 1,
      salt: 0x5eed,
      disk: durable.disk.session(),
      clock: world.clock,
      publish: (end) => {
        if (!this.alive) return;
        this.words.durableOffset = end;
        this.words.wake();
      },
    });
    this.writer = writer;
    writer.appendControl(encodeControl({ type: 'generation', generation: GENERATION, instance: INSTANCE, partitionCount: PARTITIONS }));
    writer.appendControl(encodeControl({ type: 'rules', rules }));
    await writer.commit();
    if (!this.alive) return;
    this.#openEgress();
    for (let index = 0; index < this.#threads.length; index++) {
      this.#egress.recovering(index);
      this.#egress.go(index, this.words.durableOffset);
      this.#run(index);
    }
  }

  /** One actor thread dies where it stands, and is replaced from its checkpoints. */
  killThread(index: number): void {
    const thread = this.#threads[index % this.#threads.length] as Thread;
    if (!thread.alive || this.#egress === undefined) return;
    const at = this.#threads.indexOf(thread);
    const { durable, world } = this.#options;
    thread.alive = false;
    for (let id = thread.lane.first; id < thread.lane.first + thread.lane.count; id++) durable.partitions[id] = (durable.partitions[id] as MemoryStore).fork();
    this.#egress.recovering(at);
    world.schedule(world.pick(1, 300), () => {
      if (!this.alive) return;
      this.#threads[at] = this.#thread(thread.lane);
      this.#egress.go(at, this.words.durableOffset);
      this.#run(at);
    });
  }

  /** The process is gone. Power: what was not flushed is too. */
  die(power: boolean): void {
    const { world, durable } = this.#options;
    this.alive = false;
    for (const thread of this.#threads) thread.alive = false;
    if (power) {
      durable.disk.powerCut(world.random);
      for (const store of [...durable.partitions, durable.live]) store.powerLoss();
    } else durable.disk.processDeath();
    durable.partitions.forEach((store, id) => (durable.partitions[id] = store.fork()));
    durable.live = durable.live.fork();
  }

  failNextCommit(): void {
    const { world, durable } = this.#options;
    const stores = [...durable.partitions, durable.live];
    (stores[world.pick(0, stores.length - 1)] as MemoryStore).failNextCommit(world.chance(0.5) ? 'DISK_FULL' : 'STATE_WRITE_FAILED');
  }

  /** By partition. */
  stateHashes(): string[] {
    return this.#threads.flatMap(({ actors }) => actors.map((actor) => actor.stateHash()));
  }

  /** Everything that is durable is folded, and stored. */
  get isCaughtUp(): boolean {
    return this.ready && this.#threads.every(({ alive, actors }) => alive && actors.every((actor) => actor.offset === this.words.durableOffset && !actor.hasChanges)) && this.live.partitionStates().every(({ offset: at }) => at === this.words.durableOffset);
  }

  get sinkIsSettled(): boolean {
    return this.live.settledMark('memory') === this.live.latest;
  }

  #openEgress(): void {
    const { world, durable, plant, onVisible, onReady, onBug } = this.#options;
    const schema = resultSchema(appsflyerPipeline);
    this.live = LiveStore.open({ store: durable.live, schema, instance: INSTANCE, generation: GENERATION, partitionCount: PARTITIONS, retentionDays: 40 });
    const live = this.live;
    this.#egress = new Egress({
      merge: new Merge({ schema, partitionCount: PARTITIONS, exists: (name) => live.cell(name) }),
      store: {
        apply: async (output, nowMs) => {
          const planted = plant?.output?.(output) ?? output;
          await live.apply(planted, nowMs);
          if (this.alive && this.ready) onVisible(output);
        },
        flushed: () => durable.live.flushed(),
        settledSequences: () => live.settledSequences(),
        finalUpToMs: () => live.finalUpToMs,
      },
      actors: () => this.#threads.map((thread, index) => ({ lane: thread.lane, post: (message) => this.#toActor(index, message) })),
      clock: world.clock,
      schedule: this.#schedule,
      intervalMs: 25,
      onFault: () => undefined,
      onFatal: onBug,
      onReady: () => {
        if (!this.alive) return;
        this.ready = true;
        onReady(live);
        this.#sink?.start();
      },
    });
    const sink = new MemorySink(durable.system);
    sink.hook = () => {
      if (!this.alive) throw new Error('the process is gone');
    };
    this.#sink = new SinkWriter({
      sink: plant?.sink?.(sink, durable.system) ?? sink,
      feed: live,
      world: { clock: world.clock, random: () => world.random(), schedule: this.#schedule },
      onNotice: (notice) => {
        if (this.alive && notice.type === 'stopped') onBug(notice.error);
      },
    });
  }

  /** What main waits for, as long as this life lasts. */
  readonly #schedule: Schedule = (delayMs, callback) =>
    this.#options.world.schedule(delayMs, () => {
      if (this.alive) this.#guarded(callback);
    });

  #guarded(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#options.onBug(error);
    }
  }

  #thread(lane: Thread['lane']): Thread {
    const { world, durable, plant, checkpointIntervalMs } = this.#options;
    const actors = Array.from({ length: lane.count }, (_, at) => openPartition(lane.first + at, durable.partitions[lane.first + at] as MemoryStore));
    const thread: Thread = { lane, actors, alive: true, loop: null as unknown as ActorLoop };
    const isAlive = (): boolean => this.alive && thread.alive;
    thread.loop = new ActorLoop({
      partitions: actors.map((actor) => ({ actor, store: plant?.store?.(durable.partitions[actor.id] as MemoryStore) ?? (durable.partitions[actor.id] as MemoryStore) })),
      openReader: (from) => openLogReader({ directory: JOURNAL, lane, from, disk: durable.disk.session(), readAheadBytes: 32 * 1024 }),
      cursor: createRecordCursor(),
      words: wordsOf(this.words, isAlive),
      progress: new Progress(new Int32Array(PROGRESS_WORDS)),
      post: (message) => {
        world.schedule(world.pick(0, 2), () => {
          if (isAlive()) this.#guarded(() => this.#toMain(this.#threads.findIndex((other) => other.lane.first === lane.first), message));
        });
      },
      clock: world.clock,
      turn: async () => {
        await world.sleep(1);
        if (!isAlive()) await forever;
      },
      emitIntervalMs: 25,
      checkpointIntervalMs,
      checkpointBytesMax: 64 * 1024,
    });
    return thread;
  }

  #run(index: number): void {
    const thread = this.#threads[index] as Thread;
    thread.loop.run().catch((error: unknown) => {
      if (this.alive && thread.alive) this.#options.onBug(error);
    });
  }

  #toActor(index: number, message: MainToActor): void {
    const { world } = this.#options;
    const thread = this.#threads[index] as Thread;
    world.schedule(world.pick(0, 2), () => {
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
          if (!this.#options.durable.lake.accept(share)) continue;
          for (let at = 0; at < this.#threads.length; at++) this.#toActor(at, { type: 'spooled', slot: share.slot });
        }
        break;
      case 'restored':
      case 'flushed':
      case 'stats':
      case 'answer':
      case 'stopped':
      case 'failed':
        break;
    }
  }
}
