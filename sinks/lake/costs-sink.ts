/**
 * `costs/`: one Parquet object per date, rewritten whole when the date's spend has changed.
 *
 * Guarantees: an object holds all rows of its date as of one moment and carries (generation, revision); it is never replaced by a lower one.
 * What the lake has is told by a marker in it, `millrace/costs-<instance>.json`, written after the objects it speaks for and read at the start and
 * each minute: a lake that was emptied or put back is written again from what its own marker says. Another generation's marker says nothing.
 * One step at a time, repeated with backoff for ever. Main thread; Parquet is encoded where `encodeTable` says.
 */

import type { CostFeed } from '../../engine/core/costs.ts';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import type { SinkHealth } from '../../engine/core/feed.ts';
import type { TableData } from './column-builder.ts';
import { costsTable } from './costs-table.ts';
import { LakeMarker, markerText, parseMarker } from './lake-marker.ts';
import { inLanes } from './lanes.ts';
import { RetryLoop, type RetryWorld } from './retry-loop.ts';
import type { LakeTarget } from './target.ts';

export const COSTS_SINK_NAME = 'lake-costs';
const CHECK_INTERVAL_MS = 60_000;
const DATES_AT_ONCE = 2;
/** Dates written before the marker is moved on: what a failure repeats. */
const DATES_PER_STEP = 32;
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 30_000;

export interface CostsSinkOptions {
  readonly feed: CostFeed;
  readonly target: LakeTarget;
  /** Names the state directory; 32 hex digits. */
  readonly instance: string;
  readonly generation: number;
  /** At least this long between two writes. */
  readonly intervalMs: number;
  /** Encodes to Parquet, in the pool. */
  readonly encodeTable: (table: TableData) => Promise<Uint8Array>;
  readonly warn: (message: string, details: Record<string, string | number>) => void;
  readonly pause: () => Promise<void>;
  readonly world: RetryWorld;
}

export const costsPath = (date: string): string => `costs/event_date=${date}/costs.parquet`;

export class CostsSink {
  readonly name = COSTS_SINK_NAME;
  readonly #options: CostsSinkOptions;
  readonly #loop: RetryLoop;
  /** Changes up to here are in the lake; null while its marker has not been read. */
  #settled: number | null = null;
  readonly #marker: LakeMarker;
  #checkedAtMs = -Infinity;
  #wroteAtMs = -Infinity;
  #changedAtMs: number | null = null;
  #writes = 0;
  #rows = 0;
  #cancel: (() => void) | null = null;
  #unfollow: (() => void) | null = null;

  constructor(options: CostsSinkOptions) {
    this.#options = options;
    this.#marker = new LakeMarker(options.target, markerName(options.instance));
    this.#loop = new RetryLoop({
      step: () => this.#step(),
      world: options.world,
      backoffMinMs: BACKOFF_MIN_MS,
      backoffMaxMs: BACKOFF_MAX_MS,
      onFailure: (error, failuresInARow, retryInMs) => {
        // Whether what was sent has landed is asked anew.
        this.#checkedAtMs = -Infinity;
        const fix = error instanceof EngineError && error.fix !== undefined ? { fix: error.fix } : {};
        options.warn("the lake's costs could not be written", { error: messageOf(error), ...fix, failuresInARow, retryInMs: Math.round(retryInMs) });
      },
    });
  }

  start(): void {
    this.#unfollow = this.#options.feed.onChange(() => {
      this.#changedAtMs ??= this.#options.world.monotonicMs();
      this.#loop.wake();
    });
    this.#loop.start();
  }

  /** Lets the step under way end, or the deadline pass: what is left is written by the next life. */
  async close(deadlineMs: number): Promise<void> {
    this.#unfollow?.();
    this.#cancel?.();
    const ended = this.#loop.close();
    await new Promise<void>((resolve) => {
      const cancel = this.#options.world.schedule(deadlineMs, resolve);
      void ended.finally(() => {
        cancel();
        resolve();
      });
    });
  }

  health(): SinkHealth {
    return {
      name: COSTS_SINK_NAME,
      healthy: this.#loop.healthy,
      settledMark: this.#settled ?? 0,
      lagMs: this.#changedAtMs === null ? 0 : this.#options.world.monotonicMs() - this.#changedAtMs,
      lastError: this.#loop.lastError,
      writes: this.#writes,
      failures: this.#loop.failures,
      cellsWritten: this.#rows,
    };
  }

  async #step(): Promise<boolean> {
    const { feed, world, intervalMs } = this.#options;
    // Nothing has ever been told: the lake is not even looked at.
    if (feed.latest === 0) return false;
    const nowMs = world.monotonicMs();
    if (nowMs - this.#checkedAtMs >= CHECK_INTERVAL_MS) await this.#check();
    const settled = this.#settled ?? 0;
    const changed = feed.changedSince(settled).slice(0, DATES_PER_STEP);
    if (changed.length === 0) {
      this.#changedAtMs = null;
      this.#wakeIn(CHECK_INTERVAL_MS);
      return false;
    }
    const restMs = this.#wroteAtMs + intervalMs - nowMs;
    if (restMs > 0) {
      this.#wakeIn(restMs);
      return false;
    }
    await inLanes(changed, DATES_AT_ONCE, ({ date }) => this.#writeDate(date));
    await this.#mark(changed.at(-1)?.revision ?? settled);
    // The rest of many dates follows at once.
    if (feed.changedSince(this.#settled ?? 0).length === 0) {
      this.#wroteAtMs = world.monotonicMs();
      this.#changedAtMs = null;
    }
    return true;
  }

  async #writeDate(date: string): Promise<void> {
    const { feed, target, generation, encodeTable, pause } = this.#options;
    const { rows, revision } = feed.rowsOf(date);
    // None: the date has left the store since.
    if (rows.length === 0 && revision === 0) return;
    const bytes = await encodeTable(await costsTable(rows, { revision, generation }, pause));
    await target.putVersioned(costsPath(date), bytes, { generation, revision: BigInt(revision) });
    this.#writes++;
    this.#rows += rows.length;
  }

  /** What the lake itself says of how far it has been fed. */
  async #check(): Promise<void> {
    const { feed, generation } = this.#options;
    const text = await this.#marker.read();
    if (this.#settled === null || text !== this.#marker.text) {
      const told = text === null ? null : parseMarker(text);
      const isOurs = told !== null && told.generation === generation && told.settled <= feed.latest;
      if (this.#settled !== null && (!isOurs || told.settled < this.#settled)) this.#options.warn('the costs in the lake are not as they were left: they are written again', { url: this.#options.target.url });
      this.#settled = isOurs ? told.settled : 0;
    }
    this.#marker.text = text;
    this.#checkedAtMs = this.#options.world.monotonicMs();
  }

  /** Raises SINK_REFUSED when the marker is not the one that was left: the next step reads what the lake has. */
  async #mark(settled: number): Promise<void> {
    const { instance, generation } = this.#options;
    if (!(await this.#marker.replace(markerText({ instance, generation, settled })))) {
      throw new EngineError('SINK_REFUSED', 'the marker of costs in the lake is not the one that was left there', { where: { sink: this.name, key: this.#marker.name }, fix: 'nothing: costs are written again' });
    }
    this.#settled = settled;
  }

  #wakeIn(delayMs: number): void {
    this.#cancel?.();
    this.#cancel = this.#options.world.schedule(delayMs, () => {
      this.#loop.wake();
    });
  }
}

const markerName = (instance: string): string => `millrace/costs-${instance}.json`;
