/**
 * The lake of one life: the production sinks of `events/` and `hourly/`, their spool on the faulty disk, and behind them a bucket or a
 * directory on that disk. What outlives a life is in {@link LakeMemory}: what was written where, for the checkers.
 */

import { createHash } from 'node:crypto';
import type { LakeErasure } from '../../actors/appsflyer/lake-users.ts';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { slotName, type SlotId, type SlotShare } from '../../engine/core/lake-slot.ts';
import { readVerdictLog } from '../../engine/core/verdict-log.ts';
import type { ResultFeed } from '../../engine/core/feed.ts';
import { createRecordCursor, openMergedLookup } from '../../engine/log/index.ts';
import type { TableData } from '../../sinks/lake/column-builder.ts';
import { encodeSlotToSpool, type SlotFiles } from '../../sinks/lake/encode-slot.ts';
import { EventsSink, type EncodeSlotJob } from '../../sinks/lake/events-sink.ts';
import { FileTarget } from '../../sinks/lake/file-target.ts';
import { HourlySink, HOURLY_SINK_NAME } from '../../sinks/lake/hourly-sink.ts';
import type { ErasedFile } from '../../sinks/lake/index.ts';
import { S3Target } from '../../sinks/lake/s3-target.ts';
import type { RewritableTarget } from '../../sinks/lake/target.ts';
import { SinkWriter, type SinkNotice } from '../../sinks/sink-writer.ts';
import type { FaultyDisk } from '../unit/log/faulty-disk.ts';
import type { SimulatedBucket } from './bucket.ts';
import { SIMULATED_RESOURCES } from './desk.ts';
import { faultyFiles } from './faulty-files.ts';
import { encodeAsRows, encodeAsText, eraseText, idsIn, rowsIn } from './lake-text.ts';
import type { People } from './people.ts';
import type { Plant } from './plants.ts';
import type { LifeSettings } from './settings.ts';
import type { World } from './world.ts';

export const SPOOL = '/data/spool';
export const LAKE = '/lake';
const POOL_MS_MAX = 20;

export interface SpooledSlot {
  readonly slot: SlotId;
  readonly shares: SlotShare[];
  readonly rowsPerFile: number;
}

/** What checkers know of the lake, over all lives. */
export class LakeMemory {
  /** A lake in a directory does not answer. */
  away = false;
  /** In a bucket, else in a directory. */
  readonly bucket: SimulatedBucket | null;
  readonly disk: FaultyDisk;
  /** In stories with erasures. */
  readonly people: People | null;
  /** By slot name. */
  readonly slots = new Map<string, SpooledSlot>();
  /** By object name, the digest of its first content. */
  readonly #contents = new Map<string, string>();
  #rows = 0;

  constructor(disk: FaultyDisk, bucket: SimulatedBucket | null, people: People | null) {
    this.disk = disk;
    this.people = people;
    this.bucket = bucket;
  }

  /** Rows of `events/` that were handed to the lake, each name once. */
  get rows(): number {
    return this.#rows;
  }

  /** Raises where a file comes again with another content. */
  saw(name: string, bytes: Uint8Array): void {
    if (!name.startsWith('events/')) return;
    if (this.people !== null) {
      this.#sawRows(name, bytes, this.people);
      return;
    }
    const digest = createHash('sha1').update(bytes).digest('hex');
    const before = this.#contents.get(name);
    if (before !== undefined && before !== digest) throw new Error(`lake: ${name} became another file when it was written again`);
    this.#contents.set(name, digest);
  }

  acknowledged(name: string, bytes: Uint8Array): void {
    if (!name.startsWith('events/') || this.#acknowledgedNames.has(name)) return;
    this.#acknowledgedNames.add(name);
    for (const id of idsIn(bytes)) {
      this.#rows++;
      if (this.people !== null) this.#ids.add(id);
    }
  }

  readonly #acknowledgedNames = new Set<string>();
  readonly #ids = new Set<string>();

  /** Everything that counts has been handed to the lake, but for what may be erased. */
  hasAll(counted: number): boolean {
    const { people } = this;
    if (people === null || this.#rows >= counted) return this.#rows >= counted;
    return [...people.records].every((record) => !record.isCounted || people.rowNamesOf(record).some((id) => this.#ids.has(id) || people.mayBeGone(id)));
  }

  /** A file that is written again may only have lost rows of erased people. */
  #sawRows(name: string, bytes: Uint8Array, people: People): void {
    const before = this.#contents.get(name);
    const now = rowsIn(bytes).map((row) => JSON.stringify(row));
    this.#contents.set(name, now.join('\n'));
    if (before === undefined) return;
    const former = before === '' ? [] : before.split('\n');
    const [more, fewer] = former.length > now.length ? [former, now] : [now, former];
    if (!isWithout(more, fewer, people)) throw new Error(`lake: ${name} became another file when it was written again`);
  }

  /** All objects, by name. */
  objects(): ReadonlyMap<string, Uint8Array> {
    if (this.bucket !== null) return this.bucket.objects;
    return new Map(this.disk.paths.filter((path) => path.startsWith(`${LAKE}/`) && !path.endsWith('.tmp')).map((path) => [path.slice(LAKE.length + 1), this.disk.bytesOf(path)]));
  }
}

/** Whether the lines are the same, in order, but for some of erased people. */
export function isWithout(whole: readonly string[], left: readonly string[], people: People): boolean {
  let at = 0;
  for (const line of whole) {
    if (line === left[at]) at++;
    else if (!people.mayBeGone((JSON.parse(line) as [string])[0])) return false;
  }
  return at === left.length;
}

/** What a share says but where the batches lie. */
const rowsOf = (share: SlotShare): string => JSON.stringify([...readVerdictLog(share.entries)].map(({ journal, firstSequence, verdicts }) => [journal, firstSequence, ...verdicts]));

export interface SimulatedLakeOptions {
  readonly world: World;
  readonly memory: LakeMemory;
  readonly settings: LifeSettings;
  readonly partitionCount: number;
  readonly instance: string;
  readonly journals: readonly string[];
  readonly feed: ResultFeed;
  readonly plant: Plant | null;
  readonly isAlive: () => boolean;
  readonly schedule: (delayMs: number, callback: () => void) => () => void;
  readonly onSpooled: (slot: SlotId) => void;
  readonly onNotice: (notice: SinkNotice) => void;
  readonly onBug: (error: unknown) => void;
}

export class SimulatedLake {
  readonly #options: SimulatedLakeOptions;
  readonly target: RewritableTarget;
  readonly #events: EventsSink;
  readonly #hourly: SinkWriter;
  readonly #latest = new Map<string, SpooledSlot>();
  #encodings = 0;
  #openedBytes = 0;
  #largestSlotBytes = 0;

  constructor(options: SimulatedLakeOptions) {
    this.#options = options;
    const { world, memory, settings, partitionCount, instance, feed, schedule, isAlive, plant } = options;
    const files = faultyFiles(memory.disk, isAlive, (path) => memory.away && path.startsWith(LAKE));
    const warn = (): void => undefined;
    this.target = this.#observed(
      memory.bucket === null
        ? new FileTarget(`file:${LAKE}`, files)
        : new S3Target({
            url: 's3://lake?region=eu-central-1',
            credentials: null,
            requestTimeoutMs: settings.patienceMs,
            warn,
            client: memory.bucket.client(isAlive),
            abortAfter: (delayMs) => {
              const controller = new AbortController();
              void schedule(delayMs, () => {
                controller.abort();
              });
              return controller.signal;
            },
          }),
    );
    const { target } = this;
    this.#events = new EventsSink({
      target,
      spoolDirectory: SPOOL,
      spoolBytesMax: plant?.spoolHasNoLimit === true ? Infinity : settings.spoolBytesMax,
      partitionCount,
      files,
      encode: (job) => this.#encode(job, files.direct),
      onSpooled: (slot) => {
        this.#spooled(slot);
      },
      warn,
      world: { monotonicMs: () => world.clock.monotonicMs(), random: () => world.random(), schedule },
      heldBytesMax: settings.heldBytesMax,
    });
    const hourly = new HourlySink({
      target,
      instance,
      intervalMs: settings.hourlyIntervalMs,
      cellsPerHourMax: 10_000,
      encodeTable: async (table) => {
        await this.#pause(world.pick(0, POOL_MS_MAX));
        return encodeAsText(table);
      },
      warn,
      pause: () => this.#pause(0),
    });
    this.#hourly = new SinkWriter({
      sink: plant?.hourly?.(hourly) ?? hourly,
      feed,
      world: { clock: world.clock, random: () => world.random(), schedule },
      timings: { markerCheckMs: settings.markerCheckMs, attemptTimeoutMs: 2 * settings.patienceMs },
      onNotice: options.onNotice,
    });
  }

  /** Rejects what the disk raises. */
  async open(): Promise<void> {
    await this.#events.open();
    this.#openedBytes = this.#events.health().spoolBytes;
  }

  start(): void {
    this.#events.start();
    this.#hourly.start();
  }

  async close(deadlineMs: number): Promise<void> {
    await Promise.all([this.#hourly.close(deadlineMs), this.#events.close(deadlineMs)]);
  }

  accept(share: SlotShare): void {
    const slot = this.#options.memory.slots.get(slotName(share.slot));
    const at = slot?.shares.findIndex(({ partition }) => partition === share.partition) ?? -1;
    const known = slot?.shares[at];
    if (known !== undefined && (known.rowCount !== share.rowCount || rowsOf(known) !== rowsOf(share))) {
      throw new Error(`lake: slot ${slotName(share.slot)} of partition ${share.partition} came again with other rows (${known.rowCount} and ${share.rowCount})`);
    }
    // With several journals a slot may be handed out while the last batch of one is not proven: the next open moves that batch, and its rows with it.
    if (slot !== undefined && known !== undefined) slot.shares[at] = { ...share, erasures: known.erasures ?? [] };
    this.#events.accept(share);
  }

  get events(): EventsSink {
    return this.#events;
  }

  /** As the pool does it. */
  async erase(file: Uint8Array, erased: readonly LakeErasure[]): Promise<ErasedFile> {
    const { world, plant } = this.#options;
    await this.#pause(world.pick(0, POOL_MS_MAX));
    const done = eraseText(file, erased);
    return plant?.erase?.(done) ?? done;
  }

  /** Whole slots have nothing to wait for. */
  get isSettled(): boolean {
    const { spoolBytes } = this.#events.health();
    const { feed } = this.#options;
    return spoolBytes === 0 && this.#hourly.health().healthy && feed.settledMark(HOURLY_SINK_NAME) === feed.latest;
  }

  /** Tells of a bug when what waits is more than the settings allow. */
  checkBounds(): void {
    const { spoolBytes } = this.#events.health();
    const allowed = Math.max(this.#options.settings.spoolBytesMax, this.#openedBytes) + this.#largestSlotBytes;
    if (spoolBytes > allowed) this.#options.onBug(new Error(`bounds: the spool holds ${spoolBytes} bytes, at most ${allowed} may be there: its limit or what a life before has left, and one slot`));
  }

  toString(): string {
    const { spoolBytes, slotsHeld, lastError } = this.#events.health();
    const hourly = this.#hourly.health();
    return `spool ${spoolBytes} bytes, ${slotsHeld} slots held, ${String(lastError)}; hourly at ${hourly.settledMark}, ${String(hourly.lastError)}`;
  }

  async #encode(job: EncodeSlotJob, files: ReturnType<typeof faultyFiles>['direct']): Promise<SlotFiles> {
    const { world, memory, settings, journals, isAlive, plant } = this.#options;
    await this.#pause(world.pick(0, POOL_MS_MAX));
    const attempt = ++this.#encodings;
    const lookup = openMergedLookup({ directories: journals, disk: memory.disk.session(isAlive) });
    try {
      const encodeRows = memory.people === null ? encodeAsText : encodeAsRows;
      const encodeTable = (table: TableData): Uint8Array => plant?.encode?.(encodeRows(table), attempt) ?? encodeRows(table);
      const made = await encodeSlotToSpool({ ...job, pipeline: appsflyerPipeline, resources: SIMULATED_RESOURCES, lookup, cursor: createRecordCursor(), rowsPerFile: settings.rowsPerFile, encodeTable, files });
      this.#largestSlotBytes = Math.max(this.#largestSlotBytes, made.bytes);
      this.#latest.set(slotName(job.slot), { slot: job.slot, shares: [...job.shares], rowsPerFile: settings.rowsPerFile });
      return made;
    } finally {
      lookup.close();
    }
  }

  #spooled(slot: SlotId): void {
    const { isAlive, memory, onSpooled } = this.#options;
    if (!isAlive()) return;
    const name = slotName(slot);
    const encoded = this.#latest.get(name);
    if (encoded !== undefined && !memory.slots.has(name)) memory.slots.set(name, encoded);
    onSpooled(slot);
  }

  /** The files of `events/` tell the memory what they hold. */
  #observed(target: RewritableTarget): RewritableTarget {
    const { memory, onBug, plant } = this.#options;
    return {
      url: target.url,
      put: async (name, bytes) => {
        try {
          memory.saw(name, bytes);
        } catch (error) {
          onBug(error);
        }
        if (plant?.skipsUpload?.(name) !== true) await target.put(name, bytes);
        memory.acknowledged(name, bytes);
      },
      putVersioned: (name, bytes, version) => target.putVersioned(name, bytes, version),
      version: (name) => target.version(name),
      replace: (name, bytes, condition) => target.replace(name, bytes, condition),
      get: (name, bytesMax) => target.get(name, bytesMax),
      list: (prefix, limit) => target.list(prefix, limit),
      read: (name, bytesMax) => target.read(name, bytesMax),
      replaceRead: (name, bytes, etag) => target.replaceRead(name, bytes, etag),
      listAfter: (folder, after, limit) => target.listAfter(folder, after, limit),
      close: () => target.close(),
    };
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.#options.schedule(delayMs, resolve));
  }
}
