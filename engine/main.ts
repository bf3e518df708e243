/**
 * Wiring of the daemon: data directory, fold engine, ingress thread, sinks, admin server, and their shutdown.
 *
 * Order of start: state tells which offsets it covers, then the journal opens, then the actors replay, and only when all partitions are
 * complete do merge, queries and sinks begin. The door opens as soon as the journal does: what it acknowledges is durable.
 */

import { join } from 'node:path';
import { openDaemonSinks, type DaemonSinks } from './daemon-sinks.ts';
import { setHeadBytesMax } from '../ingress/index.ts';
import { isPullOn } from '../ingress/pull/index.ts';
import { CostStore } from '../sinks/live/index.ts';
import { SPOOL_SCRATCH, type EventsSinkHealth } from '../sinks/lake/index.ts';
import { adminRoutes } from './admin-routes.ts';
import { reachedLimits } from './alarms.ts';
import { systemClock } from './core/clock.ts';
import { messageOf, type EngineError } from './core/errors.ts';
import type { SinkHealth } from './core/feed.ts';
import { sumOfOffsets } from './core/log.ts';
import { isLoopback } from './core/loopback.ts';
import type { AppendRecords } from './core/own-records.ts';
import { encodeControl } from './core/rules.ts';
import { CostsDesk } from './costs-desk.ts';
import { MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from './core/types.ts';
import { EraseDesk } from './erase-desk.ts';
import { makeEraseSecret } from './erase-secret.ts';
import { eraseStateIn } from './erase-state.ts';
import { FoldEngine } from './fold-engine.ts';
import { GeoWatch } from './geo-watch.ts';
import { ingressFigures, type IngressFigures } from './ingress-figures.ts';
import { ingressSettings } from './ingress-settings.ts';
import type { IngressSettings, IngressThreadStats } from './ingress-thread.ts';
import { SCOPE_KEY } from './letter-query.ts';
import type { JournalRecovery } from './log/index.ts';
import { dedupeSettings } from './dedupe-settings.ts';
import { PullService } from './pull-service.ts';
import { rulesOf } from './rules-of.ts';
import { AdminAccess } from './runtime/admin-access.ts';
import { openAdminServer, type AdminServer } from './runtime/admin-server.ts';
import { freeBytes, openDataDirectory, type DataDirectory } from './runtime/data-directory.ts';
import { noteIdentityMode, type IdentityMode } from './runtime/identity-mode.ts';
import { IngressThreads } from './runtime/ingress-threads.ts';
import { LetterWork } from './runtime/letter-work.ts';
import type { Logger } from './runtime/logger.ts';
import { connectionsMax, openFilesMax } from './runtime/open-files.ts';
import { ERASE_STATE_FILE, PULL_STATE_FILE, writeSavepoint } from './runtime/savepoint.ts';
import { resourcesFrom, secretsOf } from './rule-sources.ts';
import { shownBytesOf, type ShownBytes } from './shown-bytes.ts';
import { ingressThreadsOf, type Settings } from './settings.ts';
import type { Fault } from './threads/fault.ts';
import { areThreadsRunning } from './threads/worker.ts';
import { VERSION } from './version.ts';

const DISK_CHECK_INTERVAL_MS = 1_000;
/** Journals count their time each by themselves: no batch that is durable now is later than this. Chosen, generously: a copy is kept a little longer. */
const LOG_TIME_SLACK_MS = 60_000;
/** The drain in parts: poller, door, actors, erasures, sinks; together within the 10 s that SIGTERM is given. */
const DRAIN_PULL_MS = 300;
const DRAIN_DOOR_MS = 2_000;
const DRAIN_ACTORS_MS = 4_000;
const DRAIN_ERASURES_MS = 200;
const DRAIN_SINKS_MS = 2_000;
const ABANDON_DOOR_MS = 500;

/** What changes while the daemon runs. */
export interface DaemonState {
  ready: boolean;
  draining: boolean;
  diskFreeBytes: number;
  diskReserveExhausted: boolean;
  door: { kind: string; fallbackReason: string | null; port: number; host: string } | null;
  /** Of all ingress threads together. */
  ingress: IngressFigures | null;
}

interface DaemonParts {
  readonly settings: Settings;
  readonly directory: DataDirectory;
  readonly geo: GeoWatch;
  readonly eraseSecret: string;
  readonly log: Logger;
  readonly onFatal: (error: EngineError) => void;
  readonly stallsBefore: number;
}

/** The running daemon, as the admin routes see it. */
export class Daemon {
  readonly settings: Settings;
  readonly directory: DataDirectory;
  readonly engine: FoldEngine;
  /** Dead letters sent again or dropped. */
  readonly letters: LetterWork;
  readonly costs: CostStore;
  #sinks: DaemonSinks | null = null;
  #pull: PullService | null = null;
  #erasures: EraseDesk | null = null;
  readonly state: DaemonState;
  readonly startedAtMs = systemClock.nowMs();
  readonly #log: Logger;
  readonly #onFatal: (error: EngineError) => void;
  readonly #costsDesk: CostsDesk;
  readonly #ingress: IngressThreads<IngressSettings, IngressThreadStats, JournalRecovery>;
  /** By thread. */
  readonly #ingressStats = new Map<number, IngressThreadStats>();
  readonly #doors = new Set<number>();
  readonly #geo: GeoWatch;
  readonly #eraseSecret: string;
  /** What the admin port may show of records. */
  readonly shownBytes: ShownBytes;
  #admin: AdminServer | null = null;
  #diskTimer: NodeJS.Timeout | null = null;
  #listening: { resolve: () => void; reject: (error: EngineError) => void } | null = null;

  private constructor({ settings, directory, geo, eraseSecret, log, onFatal, stallsBefore }: DaemonParts) {
    this.settings = settings;
    this.directory = directory;
    this.#log = log;
    this.#onFatal = onFatal;
    this.#geo = geo;
    this.#eraseSecret = eraseSecret;
    this.shownBytes = shownBytesOf(rulesOf(settings).domain, resourcesFrom({ geoDirectory: directory.geoip, secrets: secretsOf(settings) }));
    this.state = { ready: false, draining: false, diskFreeBytes: freeBytes(directory.path), diskReserveExhausted: false, door: null, ingress: null };
    this.engine = new FoldEngine({
      settings,
      directory,
      journalDirectories: directory.journals,
      geoDirectory: directory.geoip,
      eraseSecret,
      sinkNames: settings.redis === undefined ? ['lake-hourly'] : ['redis', 'lake-hourly'],
      log,
      stallsBefore,
      onReady: () => {
        this.state.ready = true;
        log.info({ partitions: settings.partitions }, 'recovery is complete: queries answer and sinks are fed');
        this.#sinks?.start();
        this.#erasures?.start();
      },
      onShares: (shares) => {
        for (const share of shares) this.#sinks?.events.accept(share);
      },
      onFatal: (error) => {
        this.#fatal(error);
      },
    });
    this.costs = CostStore.open({ store: this.engine.liveFile, retentionDays: settings.costs.retention_days, rowsPerDateMax: settings.costs.rows_per_date_max });
    this.#costsDesk = new CostsDesk({
      store: this.costs,
      linesMax: settings.ingest.costs_rows_max,
      clock: systemClock,
      onFault: (error) => {
        log.error({ error: messageOf(error) }, 'a report of spend could not be kept; its sender was told to send it again');
      },
    });
    this.#ingress = this.#ingressThreads(stallsBefore);
    this.letters = new LetterWork({ asker: this.engine.asker, appendRecords: this.#ingress.appendRecords, writeControl: this.#ingress.writeControl, scopeKey: SCOPE_KEY });
    for (const warning of dedupeSettings(settings).warnings) log.warn({ mode: settings.dedupe.mode }, warning);
  }

  /** Starts everything and resolves once the door listens. Rejects with an EngineError that says what to mend. `onFatal`: no restart of a part can help. `stallsBefore`: lives in a row that a stuck thread ended. */
  static async start(settings: Settings, log: Logger, onFatal: (error: EngineError) => void, stallsBefore = 0): Promise<Daemon> {
    const directory = await openDataDirectory({ path: settings.data_dir, partitionCount: settings.partitions, segmentBytes: settings.journal.segment_bytes, journals: ingressThreadsOf(settings), nowMs: systemClock.nowMs() });
    let daemon: Daemon | null = null;
    if (!directory.lockedAcrossContainers) log.warn({ path: directory.path }, 'the file system of data_dir has no sockets: a daemon in another container would not be kept out of it');
    try {
      const geo = await GeoWatch.open({ file: settings.enrichment.geoip_file, directory: directory.geoip, log });
      daemon = new Daemon({ settings, directory, geo, eraseSecret: makeEraseSecret(directory.path), log, onFatal, stallsBefore });
      await daemon.#start();
      return daemon;
    } catch (error) {
      await daemon?.stop().catch(() => undefined);
      await release(directory, false);
      throw error;
    }
  }

  sinkHealth(): SinkHealth[] {
    return this.#sinks?.health() ?? [];
  }

  /** Null until the sinks are open. */
  eventsHealth(): EventsSinkHealth | null {
    return this.#sinks?.events.health() ?? null;
  }

  /** Limits that are reached, each with the number of partitions that have. */
  alarms(): ReadonlyMap<string, number> {
    // A recovery is behind by its nature.
    const durableOffset = this.state.ready ? sumOfOffsets(this.engine.words.durableOffsets) : 0;
    const limits = reachedLimits(this.engine.partitionStats.values(), this.engine.sightingAlarms(), this.eventsHealth(), { nowMs: systemClock.nowMs(), durableOffset, aheadMs: this.state.ingress?.journal.aheadMs ?? 0 });
    return this.#pull === null ? limits : new Map([...limits, ...this.#pull.alarms.map((alarm): [string, number] => [alarm, 1])]);
  }

  /** Null until the sinks are open. */
  get erasures(): EraseDesk | null {
    return this.#erasures;
  }

  /** Null while it is off. */
  get pull(): PullService | null {
    return this.#pull;
  }

  get adminPort(): number {
    return this.#admin?.port ?? 0;
  }

  get threadRestarts(): { actors: number; ingress: number } {
    return { actors: this.engine.threadRestarts, ingress: this.#ingress.restarts };
  }

  /** Records of the daemon's own enter the journal here: rows that it pulled, dead letters sent again. */
  get appendRecords(): AppendRecords {
    return this.#ingress.appendRecords;
  }

  /** What the doors have read from files: tokens, certificate. */
  readAgain(): void {
    this.#ingress.readAgain();
  }

  /** For fault tests. */
  faultThread(which: string, how: Fault): void {
    const ingress = /^ingress(?:-(\d))?$/.exec(which);
    if (ingress !== null) this.#ingress.fault(Number(ingress[1] ?? 0), how);
    else this.engine.faultThread(Number(which), how);
  }

  /** Resolves with the bytes written. */
  savepoint(target: string): Promise<number> {
    return writeSavepoint(target, { directory: this.directory, asker: this.engine.asker, live: this.engine.liveFile, durableOffsets: () => this.engine.words.durableOffsets, spoolScratch: SPOOL_SCRATCH, pin: () => this.engine.need.pin(), nowMs: systemClock.nowMs() });
  }

  /** Before an exit that cannot wait for a drain: an ingress thread that still has its door open when the process exits aborts it, and the exit code is lost. */
  async abandon(): Promise<void> {
    this.state.draining = true;
    await this.#ingress.drain(ABANDON_DOOR_MS);
  }

  /** Drains and closes everything; false when something had to be left behind, which a restart replays. */
  async stop(): Promise<boolean> {
    this.state.draining = true;
    if (this.#diskTimer !== null) clearInterval(this.#diskTimer);
    this.#geo.stop();
    // A report that is broken off is read again.
    await this.#pull?.stop(DRAIN_PULL_MS);
    const doorClosed = await this.#ingress.drain(DRAIN_DOOR_MS);
    const actorsLeft = await this.engine.stop(DRAIN_ACTORS_MS);
    await this.#erasures?.close(DRAIN_ERASURES_MS);
    await this.#sinks?.close(DRAIN_SINKS_MS);
    await this.#admin?.close();
    await this.engine.close();
    const clean = doorClosed && actorsLeft;
    await release(this.directory, clean);
    return clean;
  }

  async #start(): Promise<void> {
    setHeadBytesMax(this.settings.ingest.head_bytes_max);
    const proven = await this.engine.start();
    this.#watchDisk();
    this.#diskTimer = setInterval(() => {
      this.#watchDisk();
    }, DISK_CHECK_INTERVAL_MS);
    // What an earlier life kept is durable before the lake is told of it.
    if (this.costs.totals().dates > 0) await this.costs.confirm();
    const { directory, settings } = this;
    const { mode, horizonMs } = dedupeSettings(settings);
    const identity = noteIdentityMode(directory.path, { mode, horizonMs, isNew: directory.created, nowMs: systemClock.nowMs(), slotMs: settings.lake.slot_minutes * MS_PER_MINUTE });
    const sinks = await openDaemonSinks({ settings, directory, engine: this.engine, costs: this.costs, eraseSecret: this.#eraseSecret, log: this.#log });
    this.#erasures = this.#eraseDesk(sinks);
    this.#sinks = sinks;
    this.#admin = await openAdminServer({
      host: this.settings.admin.host,
      port: this.settings.admin.port,
      version: VERSION,
      routes: adminRoutes(this),
      access: this.#adminAccess(),
      onError: (error, path) => {
        this.#log.error({ path, error: messageOf(error) }, 'an admin request failed');
      },
    });
    await new Promise<void>((resolve, reject) => {
      this.#listening = { resolve, reject };
      this.#ingress.start(proven);
    });
    this.#listening = null;
    this.#pull = this.#startPull(identity, sinks);
  }

  #eraseDesk({ target, events, erase }: DaemonSinks): EraseDesk {
    const { settings, directory, engine } = this;
    return new EraseDesk({
      state: eraseStateIn(join(directory.path, ERASE_STATE_FILE)),
      secret: this.#eraseSecret,
      partitions: settings.partitions,
      retentionMs: settings.journal.retention_hours * MS_PER_HOUR,
      target,
      events,
      erase,
      asker: engine.asker,
      writeControl: this.#ingress.writeControl,
      clock: systemClock,
      log: this.#log,
    });
  }

  #startPull(identity: IdentityMode, sinks: DaemonSinks): PullService | null {
    const { settings, directory } = this;
    if (!isPullOn(settings.pull)) return null;
    const pull = new PullService({
      options: settings.pull,
      identity: { ...identity, horizonMs: dedupeSettings(settings).horizonMs },
      dataDirectory: directory.path,
      stateFile: join(directory.path, PULL_STATE_FILE),
      directory: join(directory.path, 'pull'),
      reserveBytes: settings.disk.reserve_bytes,
      append: this.appendRecords,
      known: (question) => sinks.known(question),
      log: this.#log,
    });
    pull.start();
    return pull;
  }

  #ingressThreads(stallsBefore: number): IngressThreads<IngressSettings, IngressThreadStats, JournalRecovery> {
    const { settings, directory } = this;
    const threads = ingressThreadsOf(settings);
    const generation = encodeControl({ type: 'generation', generation: directory.generation, instance: directory.instance, partitionCount: settings.partitions });
    const rules = (geoFileHash: string | null): Uint8Array => encodeControl({ type: 'rules', rules: rulesOf(settings, geoFileHash) });
    return new IngressThreads({
      module: new URL('./ingress-thread.js', import.meta.url),
      threads,
      settings: ingressSettings(settings, directory, { threads, connections: this.#connectionsMax() }),
      words: this.engine.words,
      controls: () => [generation, rules(this.#geo.hash), ...(this.#erasures?.controls() ?? [])],
      clock: systemClock,
      stallTimeoutMs: settings.threads.stall_timeout_ms,
      stallsBefore,
      log: this.#log,
      onOpened: (thread, [own, ...sealed]) => {
        this.#log.info({ ...(threads > 1 && { thread }), ...own }, 'the journal is open');
        sealed.forEach((recovery, at) => {
          this.#log.info({ journal: threads + at, ...recovery }, 'a journal that no thread writes any more is open');
        });
      },
      onBegun: () => {
        this.engine.go(this.engine.words.durableOffsets);
        this.#geo.start(
          {
            change: (hash) => this.#ingress.writeControl(rules(hash)),
            oldestReceivedAtMs: () => this.state.ingress?.journal.oldestReceivedAtMs ?? null,
            logTimeMs: () => systemClock.nowMs() + (this.state.ingress?.journal.aheadMs ?? 0) + LOG_TIME_SLACK_MS,
          },
          settings.enrichment.reload_interval_seconds * MS_PER_SECOND,
        );
      },
      onListening: (thread, message) => {
        this.#doors.add(thread);
        this.state.door = { kind: message.door, fallbackReason: message.fallbackReason, port: message.port, host: message.host };
        if (threads > 1 && message.door === 'node') this.#log.warn({ threads }, 'node:http cannot share its port: one ingress thread has the door, the others stay idle');
        this.#listening?.resolve();
      },
      onClosed: (thread) => {
        this.#doors.delete(thread);
        if (this.#doors.size === 0) this.state.door = null;
      },
      onStats: (thread, stats) => {
        this.#ingressStats.set(thread, stats);
        this.state.ingress = ingressFigures(this.#ingressStats);
      },
      onCosts: (report) => this.#costsDesk.take(report),
      onFatal: (error) => {
        this.#fatal(error);
      },
    });
  }

  #adminAccess(): AdminAccess | null {
    const { admin } = this.settings;
    const access = AdminAccess.open(admin);
    if (access === null && !isLoopback(admin.host)) this.#log.warn({ host: admin.host }, 'the admin port listens beyond this machine and asks for no credential (admin.allow_unauthenticated): whoever reaches it may read results and raw records, and act');
    return access;
  }

  /** As set, or as many as there are files for. */
  #connectionsMax(): number {
    const wanted = this.settings.ingest.connections_max;
    const filesMax = openFilesMax();
    const allowed = connectionsMax(wanted, filesMax);
    if (allowed < wanted) this.#log.warn({ wanted, allowed, openFilesMax: filesMax }, 'ingest.connections_max is lowered to what the limit of open files allows: raise that limit (ulimit -n, LimitNOFILE)');
    return allowed;
  }

  #fatal(error: EngineError): void {
    this.state.ready = false;
    if (this.#listening !== null) this.#listening.reject(error);
    else this.#onFatal(error);
  }

  /** The door closes while enough is still free for every partition to checkpoint. */
  #watchDisk(): void {
    const { state, settings, directory } = this;
    try {
      state.diskFreeBytes = freeBytes(directory.path);
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, 'free disk space cannot be read');
      return;
    }
    const exhausted = state.diskFreeBytes < settings.disk.reserve_bytes;
    if (exhausted !== state.diskReserveExhausted) {
      const facts = { freeBytes: state.diskFreeBytes, reserveBytes: settings.disk.reserve_bytes };
      if (exhausted) this.#log.error(facts, 'less than disk.reserve_bytes is free: the door answers 503 until there is room');
      else this.#log.info(facts, 'there is room again: the door is open');
    }
    state.diskReserveExhausted = exhausted;
    this.engine.words.diskReserveExhausted = exhausted;
  }
}

/** A thread that could not be ended may still write: the lock then goes with the process. */
async function release(directory: DataDirectory, clean: boolean): Promise<void> {
  if (!areThreadsRunning()) await directory.release({ clean });
}
