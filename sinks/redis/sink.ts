/**
 * The Redis sink: for each result key its newest hour and day, and each hour and day by itself, as JSON values.
 *
 * Guarantees: values are absolute and ordered by (timestamp, generation, revision) inside Redis, so a write that repeats or
 * lands late does no harm; each changed value is rendered once per write; what is under way is bounded in bytes and commands.
 * A flush between two writes is noticed when the marker is replaced, a flush in silence at the next marker check.
 *
 * Thread: main.
 */

import type { MergedCell } from '../../engine/core/cell.ts';
import { CellKind, DIMENSION_SEPARATOR } from '../../engine/core/cell.ts';
import type { Clock } from '../../engine/core/clock.ts';
import { EngineError } from '../../engine/core/errors.ts';
import type { ChangedCells, ResultFeed, Sink, SinkMarker } from '../../engine/core/feed.ts';
import { assert, MS_PER_HOUR } from '../../engine/core/types.ts';
import type { StoreCommand } from './connection.ts';
import { RedisConnection } from './connection.ts';
import type { EncodedValue } from './encode.ts';
import { ValueEncoder } from './encode.ts';
import type { ValueKind } from './keys.ts';
import { markerKeys, NEWEST_HOUR_TTL_MS, newestKey, stampedKey, VALUE_KINDS, windowStamp } from './keys.ts';
import type { RedisOptions } from './options.ts';
import { TimeTexts } from './time-texts.ts';

/** One pipeline ends at this many characters or commands: bounds memory, and what must be answered within one command timeout. Chosen. */
const CHUNK_CHARS_MAX = 1024 * 1024;
const CHUNK_COMMANDS_MAX = 256;
/** Totals must cover every cell of a value; how many there can be is bounded where cells are made (cellsPerDayMax). */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

export interface RedisSinkContext {
  /** Names the state directory; 32 hex digits. */
  readonly instance: string;
  readonly clock: Clock;
}

/** Counted since the start. */
export interface RedisSinkCounts {
  readonly valuesStored: number;
  /** Older than what Redis held: settled all the same. */
  readonly valuesRefused: number;
  /** Keys of ours under which something else stood; it was replaced. More than a few mean that somebody else uses these keys. */
  readonly foreignReplaced: number;
}

/** One value to render: a window of a result key. */
interface ChangedValue {
  readonly kind: ValueKind;
  readonly windowStartMs: number;
  readonly resultKey: string;
  /** Latest change among the changed cells; epoch ms. */
  updatedAtMs: number;
}

interface RenderedValue extends EncodedValue {
  /** It becomes final without another revision: no cell of its own tells when. */
  readonly yieldsToFinal: boolean;
}

export class RedisSink implements Sink {
  readonly name = 'redis';
  readonly intervalMs: number;
  readonly #options: RedisOptions;
  readonly #instance: string;
  readonly #clock: Clock;
  #connection: RedisConnection | null = null;
  /** The marker keys and what each held when last read or written: a marker that differs was touched by somebody else. */
  #markerKeys: readonly string[] = [];
  #markersHeld: readonly string[] = [];
  #encoder: ValueEncoder | null = null;
  readonly #stamps = { hour: new TimeTexts((ms) => windowStamp('hour', ms)), day: new TimeTexts((ms) => windowStamp('day', ms)) };
  #closed = false;
  #counts = { valuesStored: 0, valuesRefused: 0, foreignReplaced: 0 };

  constructor(options: RedisOptions, context: RedisSinkContext) {
    this.#options = options;
    this.#instance = context.instance;
    this.#clock = context.clock;
    this.intervalMs = options.write_interval_ms;
  }

  counts(): RedisSinkCounts {
    return { ...this.#counts };
  }

  async open(): Promise<SinkMarker | null> {
    this.#connection?.drop();
    this.#connection = null;
    const connection = await RedisConnection.create(this.#options);
    // Assigned before it is connected, so that close, or the next open, ends an attempt that hangs.
    if (!this.#closed) this.#connection = connection;
    else throw unavailable('the sink is closed');
    await connection.connect();
    this.#markerKeys = markerKeys(this.#options.key_prefix, this.#instance, connection.isCluster);
    return this.check();
  }

  async check(): Promise<SinkMarker | null> {
    const connection = this.#connected();
    const held = await connection.readMarkers(this.#markerKeys);
    this.#markersHeld = held;
    return commonMarker(held.map(parseMarker));
  }

  async write(changed: ChangedCells, feed: ResultFeed): Promise<void> {
    const connection = this.#connected();
    // The next chunk is rendered while Redis takes the last one; no two are under way at a time, and none when this ends.
    let underWay: Promise<void> | null = null;
    try {
      for (const chunk of this.#chunks(changed, feed)) {
        await underWay;
        underWay = this.#store(connection, chunk);
      }
    } finally {
      await Promise.allSettled([underWay]);
    }
    await underWay;
  }

  *#chunks(changed: ChangedCells, feed: ResultFeed): Generator<readonly StoreCommand[]> {
    const nowMs = this.#clock.nowMs();
    const values = changedValues(changed.cells);
    const newest = newestWindows(values);
    let chunk: StoreCommand[] = [];
    let chunkChars = 0;
    for (const value of values) {
      const targets = this.#targets(value, newest).filter((target) => target.expireAtMs > nowMs);
      if (targets.length === 0) continue;
      const { json, timestamp, revision, yieldsToFinal } = this.#render(value, feed);
      for (const target of targets) {
        chunk.push({ json, timestamp, generation: feed.generation, revision, yieldsToFinal, ...target });
        chunkChars += json.length;
      }
      if (chunkChars < CHUNK_CHARS_MAX && chunk.length < CHUNK_COMMANDS_MAX) continue;
      yield chunk;
      chunk = [];
      chunkChars = 0;
    }
    if (chunk.length > 0) yield chunk;
  }

  async mark(marker: SinkMarker): Promise<void> {
    assert(marker.instance === this.#instance, `the marker is of instance ${marker.instance}, the sink of ${this.#instance}`);
    const text = JSON.stringify({ instance: marker.instance, generation: marker.generation, settled: marker.settled });
    if (!(await this.#connected().replaceMarkers(this.#markerKeys, this.#markersHeld, text))) {
      throw new EngineError('SINK_REFUSED', 'redis no longer holds the marker written last: it was flushed, restored or replaced, or another daemon writes with this data directory', {
        where: { sink: this.name },
        fix: 'none needed after a flush: the values are written again. If it repeats, look for a second daemon, or for an eviction policy that drops keys without expiry',
      });
    }
    this.#markersHeld = this.#markerKeys.map(() => text);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#connection?.drop();
    this.#connection = null;
  }

  #connected(): RedisConnection {
    if (this.#connection === null) throw unavailable('not connected');
    return this.#connection;
  }

  async #store(connection: RedisConnection, chunk: readonly StoreCommand[]): Promise<void> {
    const { stored, refused, replacedForeign } = await connection.store(chunk);
    this.#counts.valuesStored += stored + replacedForeign;
    this.#counts.valuesRefused += refused;
    this.#counts.foreignReplaced += replacedForeign;
  }

  /**
   * Where a value goes and until when. A window's own key is kept for a while after its last change, so that an old hour that was
   * backfilled can be seen; the newest window's key expires with the window, so an old one is not stored there at all.
   */
  #targets(value: ChangedValue, newest: NewestWindows): { key: string; expireAtMs: number }[] {
    const { kind, windowStartMs, resultKey, updatedAtMs } = value;
    const windowEndMs = windowStartMs + VALUE_KINDS[kind].sizeMs;
    const ttlMs = (kind === 'hour' ? this.#options.hour_ttl_hours : this.#options.day_ttl_hours) * MS_PER_HOUR;
    const newestOfKey = newestKey(this.#options.key_prefix, kind, resultKey);
    const targets = [{ key: stampedKey(newestOfKey, this.#stamps[kind].of(windowStartMs)), expireAtMs: Math.max(windowEndMs, updatedAtMs) + ttlMs }];
    if (newest[kind].get(resultKey) === windowStartMs) targets.push({ key: newestOfKey, expireAtMs: windowEndMs + (kind === 'hour' ? NEWEST_HOUR_TTL_MS : ttlMs) });
    return targets;
  }

  #render(value: ChangedValue, feed: ResultFeed): RenderedValue {
    const { kind, windowStartMs, resultKey } = value;
    this.#encoder ??= new ValueEncoder(feed.schema);
    const cells = feed.window(CellKind[kind], windowStartMs, resultKey, NO_LIMIT);
    const closed = windowStartMs + VALUE_KINDS[kind].sizeMs <= feed.finalUpToMs;
    // Days take late records into their sums; hours hold them beside.
    const lateCells = kind === 'hour' ? feed.window(CellKind.late, windowStartMs, resultKey, NO_LIMIT) : null;
    const encoded = this.#encoder.encode({ resultKey, windowStartMs, generation: feed.generation, cells, lateCells, closed });
    return { yieldsToFinal: cells.length === 0 && !closed, ...encoded };
  }
}

const unavailable = (message: string): EngineError => new EngineError('SINK_UNAVAILABLE', `redis: ${message}`, { where: { sink: 'redis' } });

/** The values on which changed cells show, each once, in order of change. A late cell shows on its hour's value. */
export function changedValues(cells: readonly MergedCell[]): ChangedValue[] {
  const values: ChangedValue[] = [];
  const known = { hour: new Map<number, Map<string, ChangedValue>>(), day: new Map<number, Map<string, ChangedValue>>() };
  for (const { kind: cellKind, windowStartMs, dimensions, updatedAtMs } of cells) {
    const kind = cellKind === CellKind.day ? 'day' : 'hour';
    const end = dimensions.indexOf(DIMENSION_SEPARATOR);
    const resultKey = end < 0 ? dimensions : dimensions.slice(0, end);
    const window = known[kind].get(windowStartMs) ?? new Map<string, ChangedValue>();
    if (window.size === 0) known[kind].set(windowStartMs, window);
    const value = window.get(resultKey);
    if (value === undefined) {
      const added = { kind, windowStartMs, resultKey, updatedAtMs } satisfies ChangedValue;
      window.set(resultKey, added);
      values.push(added);
    } else if (updatedAtMs > value.updatedAtMs) {
      value.updatedAtMs = updatedAtMs;
    }
  }
  return values;
}

/** By kind and result key. */
type NewestWindows = Readonly<Record<ValueKind, ReadonlyMap<string, number>>>;

/** Only the newest window of each key within one write can become the newest in Redis. */
function newestWindows(values: readonly ChangedValue[]): NewestWindows {
  const newest = { hour: new Map<string, number>(), day: new Map<string, number>() };
  for (const { kind, windowStartMs, resultKey } of values) {
    if (windowStartMs > (newest[kind].get(resultKey) ?? -1)) newest[kind].set(resultKey, windowStartMs);
  }
  return newest;
}

/** What a stored marker says; null when there is none, or it is none of ours. */
export function parseMarker(text: string): SinkMarker | null {
  if (text === '') return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null) return null;
  const { instance, generation, settled } = parsed as Partial<Record<keyof SinkMarker, unknown>>;
  const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  return typeof instance === 'string' && isWhole(generation) && isWhole(settled) ? { instance, generation, settled } : null;
}

/**
 * What all holders of the marker agree on. The highest generation counts, so that a stale writer sees its successor; of those the
 * lowest mark, and 0 as soon as one holder has none or an older generation: a node that lost its data is fed from the start.
 */
export function commonMarker(markers: readonly (SinkMarker | null)[]): SinkMarker | null {
  let newest: SinkMarker | null = null;
  for (const marker of markers) if (marker !== null && (newest === null || marker.generation > newest.generation)) newest = marker;
  if (newest === null) return null;
  let settled = newest.settled;
  for (const marker of markers) settled = Math.min(settled, marker === null || marker.generation < newest.generation ? 0 : marker.settled);
  return { ...newest, settled };
}
