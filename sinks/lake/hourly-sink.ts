/**
 * `hourly/`: one Parquet object per hour, rewritten whole from the result feed while the hour changes. Driven by `sinks/sink-writer.ts`.
 *
 * Guarantees: an object holds all cells of its hour as of one moment; it carries (generation, revision), revision being the sum of its
 * cells' revisions, and is never replaced by a lower one. A marker object `millrace/marker-<instance>.json`, which no pattern for Parquet
 * files matches, tells whether the lake is still the one that was fed. Main thread; Parquet is encoded where `encodeTable` says.
 */

import { CellKind, type MergedCell } from '../../engine/core/cell.ts';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import type { ChangedCells, ResultFeed, Sink, SinkMarker } from '../../engine/core/feed.ts';
import type { TableData } from './column-builder.ts';
import { hourlyTable } from './hourly-table.ts';
import { LakeMarker, markerText, parseMarker } from './lake-marker.ts';
import { inLanes } from './lanes.ts';
import { isOlder, type LakeTarget, type ObjectVersion } from './target.ts';
import { WrittenHours } from './written-hours.ts';

export const HOURLY_SINK_NAME = 'lake-hourly';
const MARKER_PREFIX = 'millrace/marker-';
const MARKERS_LISTED_MAX = 16;
const HOURS_AT_ONCE = 3;
/** Cells looked at before others get the main thread, where the sink reads on by itself. Chosen: as many as a write brings. */
const CELLS_AT_ONCE = 4_096;
/** Refused hours that are known as such; beyond it they are counted anew. */
const REFUSED_HOURS_MAX = 1_024;

export interface HourlySinkOptions {
  readonly target: LakeTarget;
  /** Names the state directory; 32 hex digits. */
  readonly instance: string;
  readonly intervalMs: number;
  /** An hour with more cells than this is refused rather than cut. */
  readonly cellsPerHourMax: number;
  /** Encodes to Parquet, in the pool. */
  readonly encodeTable: (table: TableData) => Promise<Uint8Array>;
  readonly warn: (message: string, details: Record<string, string | number>) => void;
  /** Gives the thread to others for a moment. */
  readonly pause: () => Promise<void>;
}

export const hourlyPath = (windowStartMs: number): string => {
  const iso = new Date(windowStartMs).toISOString();
  return `hourly/event_date=${iso.slice(0, iso.indexOf('T'))}/hour=${iso.slice(-13, -11)}/metrics.parquet`;
};

export class HourlySink implements Sink {
  readonly name = HOURLY_SINK_NAME;
  readonly intervalMs: number;
  readonly #options: HourlySinkOptions;
  #written = new WrittenHours();
  #writtenGeneration = -1;
  /** Hours with too many cells: none ever gets fewer, and reading them is what costs. */
  readonly #refused = new Set<number>();
  readonly #marker: LakeMarker;
  /** The text last sent as the marker: it may be there although the sending failed. */
  #markerSent: string | null = null;
  #warnedOfOthers = false;

  constructor(options: HourlySinkOptions) {
    this.#options = options;
    this.#marker = new LakeMarker(options.target, markerName(options.instance));
    this.intervalMs = options.intervalMs;
  }

  async open(): Promise<SinkMarker | null> {
    const marker = await this.check();
    await this.#warnOfOthers();
    return marker;
  }

  /**
   * Rewrites each hour in which a cell changed, unless the lake holds it as it is already. An hour with too many cells raises SINK_REFUSED once
   * all others are written, those too that changed after `changed`: the mark stays before that hour, and they would never have their turn.
   */
  async write(changed: ChangedCells, feed: ResultFeed): Promise<void> {
    if (feed.generation !== this.#writtenGeneration) this.#written = new WrittenHours();
    this.#writtenGeneration = feed.generation;
    const written = this.#written;
    const { latest } = feed;
    const refused = await this.#writeHours(changed, feed, written);
    if (refused === null) return;
    written.reached = Math.max(written.reached, changed.mark);
    while (written.reached < latest) {
      const further = feed.changedSince(written.reached, CELLS_AT_ONCE);
      await this.#writeHours(further, feed, written);
      await this.#options.pause();
      // No cell left of what changed: they have been retired.
      written.reached = further.cells.length === 0 ? latest : further.mark;
    }
    throw this.#refusal(refused);
  }

  /** Raises SINK_REFUSED when the marker is not the one that was left: the lake was emptied or replaced, and a new marker would hide it. */
  async mark(marker: SinkMarker): Promise<void> {
    const text = markerText(marker);
    this.#markerSent = text;
    if (!(await this.#marker.replace(text))) {
      throw new EngineError('SINK_REFUSED', 'the marker in the lake is not the one that was left there', { where: { sink: this.name, key: this.#marker.name }, fix: 'nothing: the lake is fed again' });
    }
    this.#written.marked();
  }

  async check(): Promise<SinkMarker | null> {
    const left = this.#marker.text;
    const text = await this.#marker.read();
    this.#marker.text = text;
    const marker = text === null ? null : parseMarker(text);
    // Another marker than was left there, older or newer: the lake is in another state, and hours written since may be gone.
    if (marker === null || (text !== left && text !== this.#markerSent)) {
      this.#written = new WrittenHours();
      this.#markerSent = null;
    } else this.#written.doubt();
    return marker;
  }

  /** The target belongs to the wiring: the events share it. */
  async close(): Promise<void> {}

  /** Returns one of the hours that were refused, null for none. */
  async #writeHours(changed: ChangedCells, feed: ResultFeed, written: WrittenHours): Promise<number | null> {
    const hours = new Set<number>();
    for (const { kind, windowStartMs } of changed.cells) {
      if (kind !== CellKind.day && !written.hasChangesUpTo(changed.mark, windowStartMs)) hours.add(windowStartMs);
    }
    await inLanes([...hours].sort((a, b) => a - b), HOURS_AT_ONCE, (hour) => this.#writeHour(hour, feed, written));
    for (const hour of hours) if (this.#refused.has(hour)) return hour;
    return null;
  }

  async #writeHour(hour: number, feed: ResultFeed, written: WrittenHours): Promise<void> {
    const { doubts } = written;
    const asOf = feed.latest;
    const cells = this.#cellsOf(hour, feed);
    if (cells === null) return;
    const revision = cells.reduce((sum, cell) => sum + BigInt(cell.revision), 0n);
    if (cells.length > 0 && !(await this.#holds(hour, { generation: feed.generation, revision }, written))) {
      const table = await hourlyTable(feed.schema, cells, feed.generation, this.#options.pause);
      // 'refused': a newer content is there, which counts as written.
      await this.#options.target.putVersioned(hourlyPath(hour), await this.#encode(table, hour), { generation: feed.generation, revision });
    } else await this.#options.pause();
    written.remember(hour, { doubts, asOf, revision });
  }

  async #holds(hour: number, version: ObjectVersion, written: WrittenHours): Promise<boolean> {
    if (!written.isAt(version.revision, hour)) return false;
    if (!written.isDoubted(hour)) return true;
    const stored = await this.#options.target.version(hourlyPath(hour));
    return stored !== null && !isOlder(stored, version);
  }

  /** Null for an hour that has too many. */
  #cellsOf(hour: number, feed: ResultFeed): readonly MergedCell[] | null {
    if (this.#refused.has(hour)) return null;
    const { cellsPerHourMax } = this.#options;
    const cells = [CellKind.hour, CellKind.late].flatMap((kind) => feed.window(kind, hour, null, cellsPerHourMax + 1));
    if (cells.length <= cellsPerHourMax) return cells;
    if (this.#refused.size >= REFUSED_HOURS_MAX) this.#refused.clear();
    this.#refused.add(hour);
    return null;
  }

  #refusal(hour: number): EngineError {
    return new EngineError('SINK_REFUSED', `${hourlyPath(hour)} would have more than ${this.#options.cellsPerHourMax} cells: it is not cut, because its sums would be wrong`, {
      where: { sink: this.name, key: hourlyPath(hour) },
      fix: 'raise lake.hourly_cells_max, or lower the limits of the dimensions',
      // Each repeat rewrites the other hours that have changed: not more often than they are otherwise.
      retryAfterMs: this.intervalMs,
    });
  }

  async #encode(table: TableData, hour: number): Promise<Uint8Array> {
    try {
      return await this.#options.encodeTable(table);
    } catch (error) {
      throw new EngineError('SINK_UNAVAILABLE', `an hour could not be encoded: ${messageOf(error)}`, { cause: error, where: { sink: this.name, key: hourlyPath(hour) } });
    }
  }

  /** Two daemons in one lake overwrite each other's hours: most likely a mistake. */
  async #warnOfOthers(): Promise<void> {
    if (this.#warnedOfOthers) return;
    const others = (await this.#options.target.list(MARKER_PREFIX, MARKERS_LISTED_MAX)).filter((name) => name !== this.#marker.name);
    if (others.length === 0) return;
    this.#warnedOfOthers = true;
    this.#options.warn('the lake was fed by another instance too: give each daemon a lake of its own, or remove the old marker', { url: this.#options.target.url, marker: others[0] as string });
  }
}

const markerName = (instance: string): string => `${MARKER_PREFIX}${instance}.json`;
