/**
 * One life of the daemon in the simulated world: the production batcher, journal, partitions, actor loops, egress, merge, live store, sink
 * writer and the lake's sinks, wired as engine/main.ts, engine/fold-engine.ts and engine/daemon-sinks.ts wire them, with threads that are
 * turns of one queue.
 *
 * A life that is over does nothing more: its timers are dropped, its disk handles are dead, its stores are left to it and copied for the next.
 */

import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { Merge, MERGE_LIMITS } from '../../actors/merge/index.ts';
import { PARTITION_TABLES } from '../../actors/partition/index.ts';
import type { Schedule } from '../../engine/core/clock.ts';
import { EngineError } from '../../engine/core/errors.ts';
import type { MergeOutput, PartitionProgress } from '../../engine/core/feed.ts';
import { resultSchema } from '../../engine/core/pipeline.ts';
import { encodeControl } from '../../engine/core/rules.ts';
import type { OrderedStore } from '../../engine/core/store.ts';
import type { EraseDesk } from '../../engine/erase-desk.ts';
import { Asker } from '../../engine/runtime/asker.ts';
import { Egress } from '../../engine/runtime/egress.ts';
import { RetentionNeed } from '../../engine/runtime/retention-need.ts';
import { memoryStore, type MemoryStore } from '../../engine/state/index.ts';
import type { ActorToMain } from '../../engine/threads/messages.ts';
import { LIVE_TABLES, LiveStore } from '../../sinks/live/index.ts';
import { SinkWriter, type SinkNotice } from '../../sinks/sink-writer.ts';
import type { Batcher } from '../../ingress/batcher.ts';
import type { FaultyDisk } from '../unit/log/faulty-disk.ts';
import { openDesk } from './desk.ts';
import { Door } from './door.ts';
import { SimulatedLake, type LakeMemory } from './lake.ts';
import type { Plant } from './plants.ts';
import type { LifeSettings, StorySettings } from './settings.ts';
import { SimulatedSink, type SimulatedSystem } from './sink.ts';
import { inWorld } from './store.ts';
import { Threads, type SimulatedActor } from './threads.ts';
import { Words } from './words.ts';
import type { World } from './world.ts';

export const INSTANCE = '5'.repeat(32);
export const GENERATION = 1;
const JOURNAL = '/data/journal';
const NO_LIMITS = { bytesMax: Number.MAX_SAFE_INTEGER, retentionMs: Number.MAX_SAFE_INTEGER };
const SINK_CLOSE_MS = 2_000;

/** What survives a life. */
export interface Durable {
  readonly disk: FaultyDisk;
  readonly partitions: MemoryStore[];
  live: MemoryStore;
  readonly lake: LakeMemory;
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
  /** The connections to this batcher are gone; of all senders without one. */
  readonly onClosed: (batcher?: Batcher) => void;
  /** An erasure is carried out everywhere. */
  readonly onErased: (id: string) => void;
  /** Production code gave up, as it does on damage: the process ends. */
  readonly onFatal: (error: EngineError) => void;
  /** A bug: production code raised where nothing was injected. */
  readonly onBug: (error: unknown) => void;
}

/** Ticks aside, of which there is always another one. */
const tellsTheSame = (actor: Pick<PartitionProgress, 'received' | 'closedUpToMs'>, stored: PartitionProgress | undefined): boolean => actor.received === stored?.received && actor.closedUpToMs === stored.closedUpToMs;

export class Life {
  readonly words: Words;
  readonly doors: readonly Door[];
  /** By number. */
  readonly journals: readonly string[];
  readonly need: RetentionNeed;
  readonly threads: Threads;
  readonly live: LiveStore;
  readonly lake: SimulatedLake;
  alive = true;
  ready = false;
  #going = false;
  readonly #opened = new Set<number>();
  #hasRules = false;
  readonly #options: LifeOptions;
  readonly #liveFile: OrderedStore;
  readonly #merge: Merge;
  readonly #egress: Egress;
  readonly #sink: SinkWriter;
  readonly #asker: Asker;
  #desk: EraseDesk | null = null;
  readonly #over: (() => void)[] = [];
  #stopped: Promise<void> | null = null;

  constructor(options: LifeOptions) {
    this.#options = options;
    const { world, durable, story, settings, plant, onFatal, onBug, onClosed } = options;
    const schema = resultSchema(appsflyerPipeline);
    const { partitionCount } = story;
    const isAlive = (): boolean => this.alive;
    this.journals = journalsOn(durable.disk, settings.ingresses);
    const shared = { world, disk: durable.disk, journals: this.journals, instance: INSTANCE, story, settings, isAlive, onFatal, onBug };
    this.words = new Words(world, this.journals.length);
    this.need = new RetentionNeed(partitionCount);
    this.threads = new Threads({
      ...shared,
      words: this.words,
      plant,
      stores: durable.partitions,
      onMessage: (thread, message) => {
        this.#receive(thread, message);
      },
      onDeath: (thread) => {
        this.#egress.recovering(thread);
      },
      onRestored: (thread) => {
        if (this.#going) this.#egress.go(thread, this.words.journals.durableOffsets);
      },
    });
    this.#liveFile = inWorld(durable.live, world, durable.disk);
    this.live = LiveStore.open({ store: this.#liveFile, schema, instance: INSTANCE, generation: GENERATION, partitionCount, retentionDays: 40 });
    this.#merge = new Merge({ schema, partitionCount, exists: (name) => this.live.cell(name), limits: settings.mergeLimits });
    this.#egress = this.#newEgress();
    this.#sink = this.#newSink();
    this.#asker = new Asker(() => this.threads.ports(), { clock: world.clock, schedule: this.#schedule });
    this.lake = new SimulatedLake({
      world,
      memory: durable.lake,
      settings,
      partitionCount,
      instance: INSTANCE,
      journals: this.journals,
      feed: this.live,
      plant,
      isAlive,
      schedule: this.#schedule,
      onSpooled: (slot) => {
        for (const port of this.threads.ports()) port.post({ type: 'spooled', slot });
      },
      onNotice: this.#onNotice,
      onBug,
    });
    const controls = [encodeControl({ type: 'generation', generation: GENERATION, instance: INSTANCE, partitionCount }), encodeControl({ type: 'rules', rules: plant?.deadLettersHaveNoLimit === true ? { ...settings.rules, deadLetters: NO_LIMITS } : settings.rules })];
    this.doors = Array.from({ length: settings.ingresses }, (_, number) => new Door({
      ...shared,
      words: this.words,
      number,
      controls: number === 0 ? controls : [],
      neededOf: (journal) => this.need.of(journal),
      onOpened: () => {
        this.#opened.add(number);
        this.#beginWhoMay();
      },
      onBegun: () => {
        if (number > 0) return;
        this.#hasRules = true;
        this.#go();
        this.#beginWhoMay();
      },
      onClosed: (batcher) => {
        if (batcher !== null) onClosed(batcher);
      },
    }));
  }

  /** Rejects what the disk raises. */
  async start(): Promise<void> {
    for (let index = 0; index < this.threads.count; index++) {
      this.#egress.recovering(index);
      this.threads.run(index);
    }
    await this.lake.open();
    if (!this.alive) return;
    const { world, durable, story, onErased } = this.#options;
    if (durable.lake.people !== null) this.#desk = openDesk({ world, disk: durable.disk, partitions: story.partitionCount, lake: this.lake, asker: this.#asker, door: this.doors[0] as Door, isAlive: () => this.alive, schedule: this.#schedule, onDone: onErased });
    for (const door of this.doors) door.start(this.threads.provenOffsets);
  }

  /** Resolves once it is over. */
  over(): Promise<void> {
    return this.alive ? new Promise((resolve) => this.#over.push(resolve)) : Promise.resolve();
  }

  /** The process is gone. Power: what was not synced or flushed is, in part, gone too. */
  die(power: boolean): void {
    const { world, durable, onClosed } = this.#options;
    if (!this.alive) return;
    this.alive = false;
    this.threads.die();
    onClosed();
    if (power) {
      durable.disk.powerCut(world.random);
      for (const store of [...durable.partitions, durable.live]) store.powerLoss((transactions) => world.pick(0, transactions));
    } else durable.disk.processDeath();
    durable.partitions.forEach((store, id) => (durable.partitions[id] = store.fork()));
    durable.live = durable.live.fork();
    // Not at once: this may have come in the middle of a step of production code.
    for (const resolve of this.#over) void world.schedule(0, resolve);
  }

  /** As SIGTERM: door, actors, sinks, in this order; a second one changes nothing. The caller lets it die then. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    await Promise.all(this.doors.map((door) => door.drain((delayMs) => new Promise((resolve) => void this.#schedule(delayMs, resolve)))));
    this.words.stopping = true;
    this.words.wake();
    await this.threads.left();
    await this.#egress.close().catch(this.#faultOrBug);
    await this.#desk?.close(SINK_CLOSE_MS);
    await Promise.all([this.#sink.close(SINK_CLOSE_MS), this.lake.close(SINK_CLOSE_MS)]);
  }

  failNextCommit(choice: number): void {
    const { durable } = this.#options;
    const stores = [...durable.partitions, durable.live];
    (stores[Math.floor(choice * stores.length)] as MemoryStore).failNextCommit(choice * 1_000 % 1 < 0.5 ? 'DISK_FULL' : 'STATE_WRITE_FAILED', choice * 10_000 % 1 < 0.5 ? 'refused' : 'landed');
  }

  /** Everything that is durable is folded, and stored. */
  get isCaughtUp(): boolean {
    if (!this.ready || this.#merge.pendingCount > 0 || !this.threads.allAlive) return false;
    const stored = this.live.partitionStates();
    const durable = this.words.journals.durableOffsets;
    return this.threads.actors.every((actor) => durable.every((end, journal) => (actor.offsets[journal] ?? 0) === end) && !actor.hasChanges && tellsTheSame(actor.stats(), stored[actor.id]));
  }

  /** Where erasures are asked for; null while nobody would be served, and in stories without. */
  get openDesk(): EraseDesk | null {
    return this.alive && this.ready && this.#stopped === null ? this.#desk : null;
  }

  get isOpen(): boolean {
    return this.doors.every(({ batcher }) => batcher !== null);
  }

  /** By journal: what each still holds begins here. */
  oldestOffsets(): number[] {
    return [...this.doors.map(({ writer }) => writer?.stats().oldestOffset ?? 0), ...(this.doors[0]?.sealed ?? []).map(({ oldestOffset }) => oldestOffset)];
  }

  get sinkIsSettled(): boolean {
    return this.#sink.health().healthy && this.live.settledMark('memory') === this.live.latest;
  }

  /** For the message of a story that does not settle. */
  toString(): string {
    return `ready ${this.ready}, doors ${this.doors.map(({ writer }) => (writer === null ? 'shut' : 'open')).join(' ')}, caught up ${this.isCaughtUp} (${this.journals.map((_, journal) => `journal ${journal} to ${this.words.journals.durableOf(journal)}, busy since ${this.words.journals.busySince(journal)}`).join(', ')}; partitions at ${this.threads.actors.map(({ offsets }) => offsets.join('+')).join(' ')}), sink settled ${this.sinkIsSettled}, lake settled ${this.lake.isSettled} (${String(this.lake)}), slots waiting ${this.threads.actors.map((actor) => `${actor.id}: ${actor.stats().slotsWaiting}`).join(' ')}`;
  }

  /** As engine/runtime/ingress-threads.ts. Those that do not wait take no notice. */
  #beginWhoMay(): void {
    if (this.#opened.size < this.doors.length) return;
    this.doors.forEach((door, number) => {
      if (number === 0 || this.#hasRules) door.begin();
    });
  }

  #go(): void {
    if (this.#going || !this.alive) return;
    this.#going = true;
    for (let thread = 0; thread < this.threads.count; thread++) this.#egress.go(thread, this.words.journals.durableOffsets);
  }

  #newEgress(): Egress {
    const { world, plant, onVisible, onReady, onBug, settings } = this.#options;
    const { live } = this;
    return new Egress({
      merge: this.#merge,
      store: {
        apply: async (output, nowMs) => {
          const planted = plant?.output?.(output) ?? output;
          await live.apply(planted, nowMs);
          if (!this.alive) return;
          this.#checkBounds();
          if (this.ready) onVisible(plant?.visible?.(planted) ?? planted);
        },
        flushed: () => this.#liveFile.flushed(),
        settledSequences: () => live.settledSequences(),
        finalUpToMs: () => live.finalUpToMs,
      },
      actors: () => this.threads.ports(),
      clock: world.clock,
      schedule: this.#schedule,
      intervalMs: settings.emitIntervalMs,
      onFault: () => undefined,
      onFatal: onBug,
      onReady: () => {
        if (!this.alive) return;
        this.ready = true;
        onReady(live);
        for (const part of [this.#sink, this.lake, this.#desk]) part?.start();
      },
    });
  }

  #newSink(): SinkWriter {
    const { world, durable, plant, settings } = this.#options;
    const sink = new SimulatedSink({ system: durable.system, world, isAlive: () => this.alive });
    return new SinkWriter({
      sink: plant?.sink?.(sink, durable.system) ?? sink,
      feed: this.live,
      world: { clock: world.clock, random: () => world.random(), schedule: this.#schedule },
      timings: { markerCheckMs: settings.markerCheckMs, attemptTimeoutMs: settings.patienceMs },
      onNotice: this.#onNotice,
    });
  }

  readonly #onNotice = (notice: SinkNotice): void => {
    if (this.alive && notice.type === 'stopped') this.#options.onBug(notice.error);
  };

  #checkBounds(): void {
    const { onBug, settings } = this.#options;
    const { refusedLower, refusedFinal, saturatedMeasures } = this.#merge.alarms;
    if (refusedLower + refusedFinal + saturatedMeasures > 0) onBug(new Error(`merge: refused ${refusedLower} lower revisions, ${refusedFinal} changes to final cells, ${saturatedMeasures} sums beyond a safe integer`));
    const pendingMax = settings.mergeLimits.pendingCellsMax ?? MERGE_LIMITS.pendingCellsMax;
    // Reports on their way, and what partitions tell of themselves while they recover, are taken all the same.
    if (this.#merge.pendingCount > pendingMax + PENDING_CELLS_BESIDE) onBug(new Error(`bounds: ${this.#merge.pendingCount} cells wait in the merge, whose limit is ${pendingMax}`));
    this.lake.checkBounds();
  }

  #checkActor(actor: SimulatedActor): void {
    const { onBug, settings, story } = this.#options;
    const { dedupeMemoryBytes, deadLetterBytes } = actor.stats();
    if (deadLetterBytes > story.deadLetterBytesMax + LETTER_BYTES_MAX) onBug(new Error(`bounds: partition ${actor.id} keeps ${deadLetterBytes} bytes of dead letters, whose limit is ${story.deadLetterBytesMax}`));
    if (dedupeMemoryBytes > settings.dedupeMemoryBytesMax + DEDUPE_BYTES_BESIDE) onBug(new Error(`bounds: partition ${actor.id} keeps ${dedupeMemoryBytes} bytes of fingerprints in memory, whose limit is ${settings.dedupeMemoryBytesMax}`));
  }

  /** What main waits for, as long as this life lasts. */
  readonly #schedule: Schedule = (delayMs, callback) =>
    this.#options.world.schedule(delayMs, () => {
      if (!this.alive) return;
      try {
        callback();
      } catch (error) {
        this.#options.onBug(error);
      }
    });

  readonly #faultOrBug = (error: unknown): void => {
    if (this.alive && !(error instanceof EngineError && error.retryable)) this.#options.onBug(error);
  };

  #receive(thread: number, message: ActorToMain): void {
    switch (message.type) {
      case 'report':
        this.#egress.report(thread, message);
        break;
      case 'shares':
        for (const share of message.shares) this.lake.accept(share);
        break;
      case 'flushed': {
        this.need.set(message.partition, message.needed);
        const actor = this.threads.actors.find(({ id }) => id === message.partition);
        if (actor === undefined) break;
        this.#checkActor(actor);
        this.#options.onCheckpoint(actor);
        break;
      }
      case 'answer':
        this.#asker.answered(message);
        break;
      case 'restored':
      case 'stats':
      case 'stopped':
      case 'failed':
        break;
    }
  }
}

/** Those that this life writes, and those of lives before that wrote more. */
function journalsOn(disk: FaultyDisk, ingresses: number): string[] {
  const numbers = disk.paths.map((path) => Number(/^\/data\/journal-(\d)\//.exec(path)?.[1] ?? 0));
  return Array.from({ length: Math.max(ingresses, ...numbers.map((number) => number + 1)) }, (_, number) => (number === 0 ? JOURNAL : `${JOURNAL}-${number}`));
}

/** Measured: 49 over 20 stories in which each thread recovers several times. */
const PENDING_CELLS_BESIDE = 200;
/** The limit holds for what is stored and for what is new, and one letter stays of each, whatever its size. */
const LETTER_BYTES_MAX = 4 * 1024;
/** Buffers of what no checkpoint has settled yet, and the filter: they do not count against the limit. */
const DEDUPE_BYTES_BESIDE = 64 * 1024;
