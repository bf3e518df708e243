/**
 * Wiring of everything between journal and sinks: actor threads, merge, live store, egress. The daemon puts a door and
 * sinks around it; a replay gives it a journal that nobody writes.
 */

import { join } from 'node:path';
import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import { Merge, type MergeAlarms } from '../actors/merge/index.ts';
import { LIVE_TABLES, LiveStore, hasIdentity, writeIdentity, type LiveIdentity } from '../sinks/live/index.ts';
import type { ActorSettings } from './actor-thread.ts';
import { systemClock } from './core/clock.ts';
import { EngineError } from './core/errors.ts';
import type { MergeOutput } from './core/feed.ts';
import type { SlotId, SlotShare } from './core/lake-slot.ts';
import { resultSchema } from './core/pipeline.ts';
import type { OrderedStore } from './core/store.ts';
import { ActorThreads } from './runtime/actor-threads.ts';
import { Asker } from './runtime/asker.ts';
import type { DataDirectory } from './runtime/data-directory.ts';
import { Egress } from './runtime/egress.ts';
import { actorThreadCount } from './runtime/lanes.ts';
import { LatencyTracker } from './runtime/latency.ts';
import type { Logger } from './runtime/logger.ts';
import { PoisonList } from './runtime/poison.ts';
import { RetentionNeed } from './runtime/retention-need.ts';
import type { Settings } from './settings.ts';
import { openStore } from './state/index.ts';
import type { Fault } from './threads/fault.ts';
import { limitHeapGrowth } from './threads/heap-growth.ts';
import type { ActorToMain, PartitionStats } from './threads/messages.ts';
import { SharedWords } from './threads/shared-words.ts';
import { heapBytes } from './threads/worker.ts';

export interface FoldEngineOptions {
  readonly settings: Settings;
  readonly directory: DataDirectory;
  /** Where the log is read, by journal; the data directory's own, or another one's in a replay. */
  readonly journalDirectories: readonly string[];
  /** Where the log's rules find their files. */
  readonly geoDirectory: string;
  /** Under which the log names erased users; null where there is none. */
  readonly eraseSecret: string | null;
  /** The rules of the checkpoints hold for every record, whatever the log says. */
  readonly areRulesFixed?: boolean;
  readonly sinkNames: readonly string[];
  readonly log: Logger;
  /** Lives in a row that ended before this one because a thread was stuck. */
  readonly stallsBefore?: number;
  readonly onReady: () => void;
  readonly onShares: (shares: readonly SlotShare[]) => void;
  readonly onFatal: (error: EngineError) => void;
}

export class FoldEngine {
  readonly live: LiveStore;
  readonly asker: Asker;
  readonly latency: LatencyTracker;
  readonly words: SharedWords;
  readonly need: RetentionNeed;
  readonly partitionStats = new Map<number, PartitionStats>();
  readonly threadStats = new Map<number, Extract<ActorToMain, { type: 'stats' }>>();
  readonly liveFile: OrderedStore;
  readonly #options: FoldEngineOptions;
  readonly #identity: LiveIdentity;
  readonly #actors: ActorThreads<ActorSettings>;
  readonly #merge: Merge;
  readonly #egress: Egress;
  /** `receivedAt` of the oldest record in the reports of each thread that are not stored yet. */
  readonly #oldestReceived = new Map<number, number>();
  #going = false;

  constructor(options: FoldEngineOptions) {
    const { settings, directory, log } = options;
    const schema = resultSchema(appsflyerPipeline);
    const threads = actorThreadCount(settings.threads.actors, settings.partitions);
    this.#options = options;
    this.words = SharedWords.create(threads, options.journalDirectories.length);
    this.need = new RetentionNeed(settings.partitions);
    this.latency = new LatencyTracker(options.sinkNames);
    this.liveFile = openStore({ path: join(directory.live, 'live.mdb'), tables: LIVE_TABLES });
    this.#identity = { schema, instance: directory.instance, generation: directory.generation, partitionCount: settings.partitions };
    this.live = LiveStore.open({ ...this.#identity, store: this.liveFile, retentionDays: settings.cells.retention_days });
    this.#actors = new ActorThreads({
      module: new URL('./actor-thread.js', import.meta.url),
      settings: actorSettings(options),
      partitionCount: settings.partitions,
      threads,
      words: this.words,
      poison: new PoisonList(directory.path),
      clock: systemClock,
      stallTimeoutMs: settings.threads.stall_timeout_ms,
      stallsBefore: options.stallsBefore ?? 0,
      log,
      onMessage: (thread, message) => {
        this.#receive(thread, message);
      },
      onDeath: (thread) => {
        this.#egress.recovering(thread);
      },
      onFatal: options.onFatal,
    });
    this.asker = new Asker(() => this.#actors.ports);
    this.#merge = new Merge({ schema, partitionCount: settings.partitions, exists: (name) => this.live.cell(name) });
    this.#egress = new Egress({
      merge: this.#merge,
      store: {
        apply: (output, nowMs) => this.#apply(output, nowMs),
        flushed: () => this.liveFile.flushed(),
        settledSequences: () => this.live.settledSequences(),
        finalUpToMs: () => this.live.finalUpToMs,
      },
      actors: () => this.#actors.ports,
      clock: systemClock,
      intervalMs: settings.emit.interval_ms,
      onFault: (error) => {
        log.error({ code: error.code, where: error.where, error: error.message }, 'the live store could not be written; trying again');
      },
      onFatal: options.onFatal,
      onReady: options.onReady,
    });
    for (let thread = 0; thread < threads; thread++) this.#egress.recovering(thread);
  }

  /** A figure over all partitions; 0 where none tells it. */
  sumOf(figure: string): number {
    return [...this.partitionStats.values()].reduce((total, stats) => total + (typeof stats[figure] === 'number' ? stats[figure] : 0), 0);
  }

  /** Restores all partitions; resolves with the highest offset of each journal that a checkpoint covers. Raises DATA_DIR_FOREIGN where the live store is gone. */
  async start(): Promise<number[]> {
    const proven = await this.#actors.start();
    this.#refuseMissingJournals(proven);
    if (proven.some((offset) => offset > 0) && !hasIdentity(this.liveFile)) {
      throw new EngineError('DATA_DIR_FOREIGN', 'the partitions have checkpoints, but live/live.mdb is new: hours that only the former one held would be missing', {
        where: { file: join(this.#options.directory.live, 'live.mdb') },
        fix: 'put back the live.mdb that belongs to this data directory, or restore a savepoint',
      });
    }
    await writeIdentity(this.liveFile, this.#identity);
    return proven;
  }

  /** The log is durable up to `durable`, by journal: recover up to there, then follow the shared words. */
  go(durable: readonly number[]): void {
    if (this.#going) return;
    this.#going = true;
    for (let thread = 0; thread < this.#actors.ports.length; thread++) this.#egress.go(thread, durable);
  }

  spooled(slot: SlotId): void {
    for (const actor of this.#actors.ports) actor.post({ type: 'spooled', slot });
  }

  /** Every partition has recovered and nothing was held back from the live store since. */
  get ready(): boolean {
    return this.#egress.ready;
  }

  /** What the records of all threads say together. */
  sightingAlarms(): string[] {
    return appsflyerPipeline.sightings?.alarms([...this.threadStats.values()].map(({ sightings }) => sightings)) ?? [];
  }

  /** Things that should not happen, counted since the start. */
  get mergeAlarms(): Readonly<MergeAlarms> {
    return this.#merge.alarms;
  }

  egressStats(): { cycles: number; cellsWritten: number; faults: number } {
    return this.#egress.stats();
  }

  get threadRestarts(): number {
    return this.#actors.restarts;
  }

  get actorStalls(): number {
    return this.#actors.stalls;
  }

  /** For fault tests. */
  faultThread(index: number, how: Fault): void {
    this.#actors.fault(index, how);
  }

  /** Checkpoints, writes the last reports to the live store. Nothing may feed on it any more. True when all threads left in time. */
  async stop(deadlineMs: number): Promise<boolean> {
    this.words.requestStop();
    const left = await this.#actors.stop(deadlineMs);
    await this.#egress.close();
    return left;
  }

  /** After the sinks, which read from the live store until they end. */
  close(): Promise<void> {
    return this.liveFile.close();
  }

  #refuseMissingJournals(proven: readonly number[]): void {
    const missing = proven.findIndex((offset, journal) => offset > 0 && journal >= this.words.journals);
    if (missing < 0) return;
    throw new EngineError('CHECKPOINT_BEYOND_LOG', `the partitions have folded journal ${missing}, and there is none of that number`, {
      where: { journal: missing, offset: proven[missing] as number },
      fix: 'journals and state must come from the same moment: put the journal back, or restore both from one copy',
    });
  }

  async #apply(output: MergeOutput, nowMs: number): Promise<void> {
    const oldest = Math.min(...this.#oldestReceived.values());
    this.#oldestReceived.clear();
    await this.live.apply(output, nowMs);
    if (Number.isFinite(oldest)) this.latency.stored(this.live.latest, oldest, systemClock.nowMs());
  }

  #receive(thread: number, message: ActorToMain): void {
    switch (message.type) {
      case 'restored':
        // A replacement thread: the others run already.
        if (this.#going) this.#egress.go(thread, this.words.durableOffsets);
        break;
      case 'report':
        if (message.oldestReceivedAtMs > 0 && !message.complete) this.#oldestReceived.set(thread, Math.min(this.#oldestReceived.get(thread) ?? Infinity, message.oldestReceivedAtMs));
        this.#egress.report(thread, message);
        break;
      case 'flushed':
        this.need.set(message.partition, message.needed);
        for (let journal = 0; journal < this.words.journals; journal++) this.words.setNeeded(journal, this.need.of(journal));
        break;
      case 'shares':
        this.#options.onShares(message.shares);
        break;
      case 'stats':
        if (message.checkpointFailures > (this.threadStats.get(thread)?.checkpointFailures ?? 0)) {
          this.#options.log.error({ thread, failures: message.checkpointFailures }, 'checkpoints cannot be written; they are tried again');
        }
        this.threadStats.set(thread, message);
        for (const stats of message.partitions) this.partitionStats.set(stats.partition, stats);
        limitHeapGrowth([...this.threadStats.values()].reduce((sum, { heapBytes: own }) => sum + own, heapBytes()));
        break;
      case 'answer':
        this.asker.answered(message);
        break;
      case 'stopped':
      case 'failed':
        break;
    }
  }
}

function actorSettings({ settings, directory, journalDirectories, geoDirectory, eraseSecret, areRulesFixed = false }: FoldEngineOptions): ActorSettings {
  return {
    journalDirectories,
    stateDirectory: directory.state,
    instance: directory.instance,
    partitionCount: settings.partitions,
    // Those of the configuration hide what goes to the lake, which actors have no part in.
    ruleSources: { geoDirectory, secrets: eraseSecret === null ? [] : [eraseSecret] },
    emitIntervalMs: settings.emit.interval_ms,
    checkpointIntervalMs: settings.checkpoint.interval_ms,
    dedupeMemoryBytesMax: Math.floor(settings.dedupe.memory_bytes_max / settings.partitions),
    areRulesFixed,
  };
}
