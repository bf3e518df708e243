/**
 * Wiring of the daemon: data directory, actor threads, ingress thread, egress, sinks, admin server, and their shutdown.
 *
 * Order of start: state tells which offsets it covers, then the journal opens, then the actors replay, and only when all partitions are
 * complete do merge, queries and sinks begin. The door opens as soon as the journal does: what it acknowledges is durable.
 */

import { join } from 'node:path';
import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import { Merge } from '../actors/merge/index.ts';
import { LIVE_TABLES, LiveStore } from '../sinks/live/index.ts';
import { EventsSink, createHourlySink, openLakeTarget, type SlotFiles } from '../sinks/lake/index.ts';
import { createRedisSink } from '../sinks/redis/index.ts';
import { SinkWriter } from '../sinks/sink-writer.ts';
import type { ActorSettings } from './actor-thread.ts';
import { adminRoutes } from './admin-routes.ts';
import { systemClock } from './core/clock.ts';
import { EngineError, messageOf } from './core/errors.ts';
import { resultSchema } from './core/pipeline.ts';
import { encodeControl } from './core/rules.ts';
import { MS_PER_HOUR, type Offset } from './core/types.ts';
import type { IngressSettings, IngressThreadStats } from './ingress-thread.ts';
import type { JournalRecovery } from './log/index.ts';
import type { SlotTask } from './pool-thread.ts';
import { rulesOf } from './rules-of.ts';
import { ActorThreads } from './runtime/actor-threads.ts';
import { openAdminServer } from './runtime/admin-server.ts';
import { Asker } from './runtime/asker.ts';
import { freeBytes, openDataDirectory, totalBytes, type DataDirectory } from './runtime/data-directory.ts';
import { Egress } from './runtime/egress.ts';
import { IngressSupervisor } from './runtime/ingress-supervisor.ts';
import { actorThreadCount } from './runtime/lanes.ts';
import { LatencyTracker } from './runtime/latency.ts';
import type { Logger } from './runtime/logger.ts';
import { PoisonList } from './runtime/poison.ts';
import { RetentionNeed } from './runtime/retention-need.ts';
import type { Settings } from './settings.ts';
import { openStore } from './state/index.ts';
import type { ActorToMain, PartitionStats } from './threads/messages.ts';
import { createPool } from './threads/pool.ts';
import { SharedWords } from './threads/shared-words.ts';

const module = (name: string): URL => new URL(`./${name}.js`, import.meta.url);
const DISK_CHECK_INTERVAL_MS = 1_000;
const GIB = 1024 ** 3;

/** What the admin routes read of the running daemon; facts only. */
export interface DaemonView {
  readonly settings: Settings;
  readonly directory: DataDirectory;
  readonly live: LiveStore;
  readonly asker: Asker;
  readonly sinks: readonly SinkWriter[];
  readonly events: EventsSink;
  readonly latency: LatencyTracker;
  readonly egress: { stats(): { cycles: number; cellsWritten: number; faults: number } };
  readonly startedAtMs: number;
  readonly state: DaemonState;
  threadRestarts(): { actors: number; ingress: number };
  killThread(which: string): Promise<boolean>;
  savepoint(directory: string): Promise<void>;
}

/** What changes while the daemon runs. */
export interface DaemonState {
  ready: boolean;
  draining: boolean;
  diskFreeBytes: number;
  diskReserveExhausted: boolean;
  door: { kind: string; fallbackReason: string | null; port: number; host: string } | null;
  ingress: IngressThreadStats | null;
  recovery: JournalRecovery | null;
  readonly partitions: Map<number, PartitionStats>;
  readonly threads: Map<number, Extract<ActorToMain, { type: 'stats' }>>;
}

export interface Daemon {
  readonly ingestPort: number;
  readonly adminPort: number;
  readonly door: string;
  /** Drains and closes everything; resolves with true when nothing had to be left behind. */
  stop(): Promise<boolean>;
}

/** Starts everything and resolves once the door listens. Rejects with an EngineError that says what to mend. `onFatal`: no restart of a part can help. */
export async function startDaemon(settings: Settings, log: Logger, onFatal: (error: EngineError) => void): Promise<Daemon> {
  const directory = await openDataDirectory({ path: settings.data_dir, partitionCount: settings.partitions, segmentBytes: settings.journal.segment_bytes, nowMs: systemClock.nowMs() });
  const state: DaemonState = {
    ready: false,
    draining: false,
    diskFreeBytes: freeBytes(directory.path),
    diskReserveExhausted: false,
    door: null,
    ingress: null,
    recovery: null,
    partitions: new Map(),
    threads: new Map(),
  };
  const closers: (() => Promise<unknown>)[] = [() => directory.release({ clean: false })];
  try {
    return await assemble(settings, log, onFatal, directory, state, closers);
  } catch (error) {
    for (const close of closers.reverse()) await close().catch(() => undefined);
    throw error;
  }
}

async function assemble(settings: Settings, log: Logger, onFatal: (error: EngineError) => void, directory: DataDirectory, state: DaemonState, closers: (() => Promise<unknown>)[]): Promise<Daemon> {
  const rules = rulesOf(settings);
  const schema = resultSchema(appsflyerPipeline);
  const threadCount = actorThreadCount(settings.threads.actors, settings.partitions);
  const words = SharedWords.create(threadCount);
  const need = new RetentionNeed(settings.partitions);

  // Live store, merge, egress.
  const liveFile = openStore({ path: join(directory.live, 'live.mdb'), tables: LIVE_TABLES });
  closers.push(() => liveFile.close());
  const live = LiveStore.open({ store: liveFile, schema, instance: directory.instance, generation: directory.generation, partitionCount: settings.partitions, retentionDays: settings.cells.retention_days });
  const merge = new Merge({ schema, partitionCount: settings.partitions, exists: (name) => live.cell(name) });
  const sinkNames = [...(settings.redis.url === null ? [] : ['redis']), 'lake-hourly'];
  const latency = new LatencyTracker(sinkNames);

  // Actor threads.
  const actorSettings: ActorSettings = {
    journalDirectory: directory.journal,
    stateDirectory: directory.state,
    instance: directory.instance,
    partitionCount: settings.partitions,
    emitIntervalMs: settings.emit.interval_ms,
    checkpointIntervalMs: settings.checkpoint.interval_ms,
    dedupeMemoryBytesMax: Math.floor(settings.dedupe.memory_bytes_max / settings.partitions),
    deadLetterBytesMax: Math.floor(settings.dead_letters.bytes_max / settings.partitions),
  };
  let opened = false;
  const fatal = (error: EngineError): void => {
    state.ready = false;
    onFatal(error);
  };
  const actors = new ActorThreads<ActorSettings>({
    module: module('actor-thread'),
    settings: actorSettings,
    partitionCount: settings.partitions,
    threads: threadCount,
    words,
    poison: new PoisonList(directory.path),
    clock: systemClock,
    log,
    onMessage: (thread, message) => {
      onActorMessage(thread, message);
    },
    onDeath: (thread) => {
      egress.recovering(thread);
    },
    onFatal: fatal,
  });
  const asker = new Asker(() => actors.ports);
  const oldestReceived = new Map<number, number>();
  const egress = new Egress({
    merge,
    store: {
      apply: async (output, nowMs) => {
        const oldest = Math.min(...oldestReceived.values());
        oldestReceived.clear();
        await live.apply(output, nowMs);
        if (Number.isFinite(oldest)) latency.stored(live.latest, oldest, systemClock.nowMs());
      },
      flushed: () => liveFile.flushed(),
      settledSequences: () => live.settledSequences(),
      get finalUpToMs() {
        return live.finalUpToMs;
      },
    },
    actors: () => actors.ports,
    clock: systemClock,
    intervalMs: settings.emit.interval_ms,
    onFault: (error) => {
      log.error({ error: messageOf(error) }, 'the live store could not be written; trying again');
    },
    onReady: () => {
      state.ready = true;
      log.info({ partitions: settings.partitions }, 'recovery is complete: queries answer and sinks are fed');
      for (const sink of sinks) sink.start();
    },
  });
  for (let thread = 0; thread < threadCount; thread++) egress.recovering(thread);

  function onActorMessage(thread: number, message: ActorToMain): void {
    switch (message.type) {
      case 'restored':
        // A replacement thread: the journal is open already.
        if (opened) egress.go(thread, words.durableOffset);
        break;
      case 'report':
        if (message.oldestReceivedAtMs > 0 && !message.complete) oldestReceived.set(thread, Math.min(oldestReceived.get(thread) ?? Infinity, message.oldestReceivedAtMs));
        egress.report(thread, message);
        break;
      case 'flushed':
        need.set(message.partition, message.needed);
        words.neededOffset = need.offset;
        break;
      case 'shares':
        for (const share of message.shares) events.accept(share);
        break;
      case 'stats':
        state.threads.set(thread, message);
        for (const stats of message.partitions) state.partitions.set(stats.partition, stats);
        break;
      case 'answer':
        asker.answered(message);
        break;
      case 'stopped':
      case 'failed':
        break;
    }
  }

  // Sinks.
  const target = openLakeTarget(settings.lake, directory.path);
  const pool = createPool<SlotTask, SlotFiles>({ module: module('pool-thread'), threads: settings.threads.pool, queuedMax: 4, memoryMbMax: 1_024 });
  const events = new EventsSink({
    partitionCount: settings.partitions,
    spoolDirectory: directory.spool,
    target,
    options: settings.lake,
    encode: (job) => pool.run({ slot: job.slot, shares: job.shares, journalDirectory: directory.journal, spoolDirectory: directory.spool, rowsPerFile: settings.lake.rows_per_file }),
    onSpooled: (slot) => {
      for (const actor of actors.ports) actor.post({ type: 'spooled', slot });
    },
    log,
  });
  await events.open();
  const feed = live;
  const sinkOptions = {
    feed,
    log,
    onSettled: (name: string, mark: number) => {
      latency.settled(name, mark, systemClock.nowMs());
    },
  };
  const sinks: SinkWriter[] = [
    ...(settings.redis.url === null ? [] : [new SinkWriter({ ...sinkOptions, sink: createRedisSink(settings.redis, schema) })]),
    new SinkWriter({ ...sinkOptions, sink: createHourlySink({ target, options: settings.lake, schema, instance: directory.instance }) }),
  ];

  // Ingress.
  const ingressSettings: IngressSettings = {
    journalDirectory: directory.journal,
    instance: directory.instance,
    partitionCount: settings.partitions,
    segmentBytes: settings.journal.segment_bytes,
    retentionMs: settings.journal.retention_hours * MS_PER_HOUR,
    journalBytesMax: settings.journal.bytes_max > 0 ? settings.journal.bytes_max : Math.floor(Math.min(20 * GIB, totalBytes(directory.path) / 4)),
    door: settings.door,
    options: settings.ingest,
  };
  let listening: () => void = () => undefined;
  let failed: (error: EngineError) => void = fatal;
  const ingress = new IngressSupervisor<IngressSettings, IngressThreadStats, JournalRecovery>({
    module: module('ingress-thread'),
    settings: ingressSettings,
    words,
    controls: () => [
      encodeControl({ type: 'generation', generation: directory.generation, instance: directory.instance, partitionCount: settings.partitions }),
      encodeControl({ type: 'rules', rules }),
    ],
    log,
    onOpened: (message) => {
      state.recovery = message.recovery;
      log.info({ ...message.recovery, durableOffset: message.durable }, 'the journal is open');
      if (opened) return;
      opened = true;
      for (let thread = 0; thread < threadCount; thread++) egress.go(thread, message.durable);
    },
    onListening: (message) => {
      state.door = { kind: message.door, fallbackReason: message.fallbackReason, port: message.port, host: message.host };
      if (message.fallbackReason !== null) log.warn({ door: message.door, reason: message.fallbackReason }, 'uWebSockets.js cannot be loaded: node:http serves the ingest port');
      listening();
    },
    onStats: (stats) => {
      state.ingress = stats;
    },
    onFatal: (error) => {
      failed(error);
    },
  });

  const stopParts = { actors, ingress, egress, sinks, events, pool, liveFile, words, state, directory, log };
  closers.push(() => stopAll(stopParts, 2_000));

  const proven = await actors.start();
  const diskTimer = setInterval(() => {
    checkDisk(settings, directory, words, state, log);
  }, DISK_CHECK_INTERVAL_MS);
  checkDisk(settings, directory, words, state, log);
  closers.push(async () => {
    clearInterval(diskTimer);
  });

  const view: DaemonView = {
    settings,
    directory,
    live,
    asker,
    sinks,
    events,
    latency,
    egress,
    startedAtMs: systemClock.nowMs(),
    state,
    threadRestarts: () => ({ actors: actors.restarts, ingress: ingress.restarts }),
    killThread: async (which) => {
      if (which === 'ingress') await ingress.kill();
      else await actors.kill(Number(which));
      return true;
    },
    savepoint: async () => {
      throw new EngineError('NOT_READY', 'not wired');
    },
  };
  const admin = await openAdminServer({ host: settings.admin.host, port: settings.admin.port, version: '0.1.0', routes: adminRoutes(view), onError: (error, path) => {
    log.error({ path, error: messageOf(error) }, 'an admin request failed');
  } });
  closers.push(() => admin.close());

  await new Promise<void>((resolve, reject) => {
    listening = resolve;
    failed = reject;
    ingress.start(proven as Offset);
  });
  failed = fatal;

  return {
    ingestPort: state.door?.port ?? 0,
    adminPort: admin.port,
    door: state.door?.kind ?? '',
    stop: async () => {
      clearInterval(diskTimer);
      const clean = await stopAll(stopParts, 8_000);
      await admin.close();
      await directory.release({ clean });
      return clean;
    },
  };
}
