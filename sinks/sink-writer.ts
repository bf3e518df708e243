/**
 * Drives one sink from the result feed: reconnecting, backoff, timeouts, marks, health. The only place where a sink is retried.
 *
 * Guarantees: one write in flight; a mark is left with the sink and settled only after its cells are written and its change number is
 * durable: a number that a power cut takes back will name another change, and a marker that comes back with an old copy of the sink would lie; a sink
 * that fails, hangs or is slow costs one batch of memory and one timer, and touches no other sink; one that forgot what it was
 * given (its marker is gone, older or foreign) is fed again from the mark it has. A write may repeat, so sinks compare revisions.
 *
 * Thread: main. Time, timers and randomness are passed in.
 */

import type { Clock, Schedule } from '../engine/core/clock.ts';
import { systemClock, systemSchedule } from '../engine/core/clock.ts';
import { EngineError, messageOf } from '../engine/core/errors.ts';
import type { ResultFeed, Sink, SinkHealth, SinkMarker } from '../engine/core/feed.ts';
import { assert, MS_PER_MINUTE, MS_PER_SECOND } from '../engine/core/types.ts';

/** What the writer needs of the world; a simulator passes its own. */
export interface SinkWriterWorld {
  readonly clock: Clock;
  readonly schedule: Schedule;
  /** At least 0, below 1. */
  random(): number;
}

export const systemWorld: SinkWriterWorld = {
  clock: systemClock,
  schedule: systemSchedule,
  random: () => Math.random(),
};

export interface SinkWriterTimings {
  /** A step (open, write, mark, check) that takes longer counts as hung. A backstop behind the client's own timeouts. */
  readonly attemptTimeoutMs: number;
  /** First pause after a failure; doubles with each further one. */
  readonly backoffMinMs: number;
  /** Also the longest that a sink that is back waits to be noticed. */
  readonly backoffMaxMs: number;
  readonly markerCheckMs: number;
  /** Cells asked of the feed at once: bounds memory and what a failure repeats. */
  readonly cellsPerWriteMax: number;
}

export const SINK_WRITER_TIMINGS: SinkWriterTimings = {
  attemptTimeoutMs: MS_PER_MINUTE,
  backoffMinMs: 100,
  backoffMaxMs: 5 * MS_PER_SECOND,
  markerCheckMs: MS_PER_MINUTE,
  cellsPerWriteMax: 4_096,
};

/** After a round the writer rests as long as the round took, so that rendering leaves half the thread to others; at most this. Measured (load/steady.ts, 5,000 cells): a second shows events 0.4 s later. */
const REST_MS_MAX = 200;
/** Of the time given to `close`, this much at most is kept for the sink's own closing. */
const CLOSE_RESERVE_MS = 500;

/** What an operator may want to read; the runtime logs it. */
export type SinkNotice =
  | { readonly type: 'opened'; readonly sink: string; readonly mark: number }
  | { readonly type: 'failed'; readonly sink: string; readonly error: Error; readonly failuresInARow: number; readonly retryInMs: number }
  | { readonly type: 'recovered'; readonly sink: string; readonly failuresInARow: number }
  | { readonly type: 'fed_again'; readonly sink: string; readonly fromMark: number; readonly reason: string }
  /** Not tried again: a stale writer, or a bug. */
  | { readonly type: 'stopped'; readonly sink: string; readonly error: Error };

export interface SinkWriterOptions {
  readonly sink: Sink;
  readonly feed: ResultFeed;
  readonly world?: SinkWriterWorld;
  readonly timings?: Partial<SinkWriterTimings>;
  readonly onNotice?: (notice: SinkNotice) => void;
}

export type Resume =
  | { readonly type: 'resume'; readonly mark: number }
  | { readonly type: 'feed_again'; readonly mark: number; readonly reason: string }
  | { readonly type: 'stale'; readonly generation: number };

/** Decides from the sink's marker and our own mark where to go on. A mark of another instance or generation counts other changes: it says nothing. */
export function resumeFrom(marker: SinkMarker | null, own: SinkMarker): Resume {
  if (marker === null) return own.settled === 0 ? { type: 'resume', mark: 0 } : { type: 'feed_again', mark: 0, reason: 'it holds no marker' };
  if (marker.generation > own.generation) return { type: 'stale', generation: marker.generation };
  if (marker.instance !== own.instance) return { type: 'feed_again', mark: 0, reason: `it was fed by instance ${marker.instance}` };
  if (marker.generation < own.generation) return { type: 'feed_again', mark: 0, reason: `it holds generation ${marker.generation}` };
  if (marker.settled < own.settled) return { type: 'feed_again', mark: marker.settled, reason: `it holds mark ${marker.settled} of ${own.settled}` };
  return { type: 'resume', mark: own.settled };
}

type State = 'idle' | 'opening' | 'healthy' | 'failing' | 'stopped' | 'closed';

export class SinkWriter {
  readonly #sink: Sink;
  readonly #feed: ResultFeed;
  readonly #world: SinkWriterWorld;
  readonly #timings: SinkWriterTimings;
  readonly #notify: (notice: SinkNotice) => void;
  #state: State = 'idle';
  /** Everything up to here is written ... */
  #mark = 0;
  /** ... and up to here the sink holds a marker that says so. */
  #marked = 0;
  /** When the oldest change that is not settled came, or an upper bound of its age; monotonic. */
  #pendingSinceMs: number | null = null;
  #failuresInARow = 0;
  #lastError: string | null = null;
  #writes = 0;
  #failures = 0;
  #cellsWritten = 0;
  #markerCheckAtMs = 0;
  #nextRoundAtMs = 0;
  /** A write or mark that timed out and still runs: nothing is written beside it. */
  #abandoned: Promise<unknown> | null = null;
  #wake: ((why: 'change' | 'close') => void) | null = null;
  #stopListening: (() => void) | null = null;
  #running: Promise<void> = Promise.resolve();
  /** Set by close: what is still written before the end. */
  #closeTarget: number | null = null;
  #closed: Promise<void> | null = null;
  /** Past the deadline: touch neither sink nor feed any more. */
  #aborted = false;

  constructor(options: SinkWriterOptions) {
    this.#sink = options.sink;
    this.#feed = options.feed;
    this.#world = options.world ?? systemWorld;
    this.#timings = { ...SINK_WRITER_TIMINGS, ...options.timings };
    this.#notify = options.onNotice ?? (() => undefined);
  }

  /** Starts feeding; failures show in {@link health} and in notices, never as an exception. Call once. */
  start(): void {
    assert(this.#state === 'idle', 'a sink writer starts once');
    const settled = this.#feed.settledMark(this.#sink.name);
    // A mark beyond the feed's newest change belongs to a store that is no more.
    this.#mark = this.#marked = settled <= this.#feed.latest ? settled : 0;
    this.#notePending();
    this.#stopListening = this.#feed.onChange(() => {
      this.#notePending();
      this.#wake?.('change');
    });
    this.#running = this.#run();
  }

  health(): SinkHealth {
    return {
      name: this.#sink.name,
      healthy: this.#state === 'healthy',
      settledMark: this.#marked,
      lagMs: this.#pendingSinceMs === null ? 0 : this.#now() - this.#pendingSinceMs,
      lastError: this.#lastError,
      writes: this.#writes,
      failures: this.#failures,
      cellsWritten: this.#cellsWritten,
    };
  }

  /** Writes what has changed so far if the sink is healthy, then closes it; returns within `deadlineMs` in any case. What is left is written after the next start. */
  close(deadlineMs: number): Promise<void> {
    this.#closed ??= this.#close(deadlineMs);
    return this.#closed;
  }

  async #close(deadlineMs: number): Promise<void> {
    const endMs = this.#now() + deadlineMs;
    this.#closeTarget = this.#feed.latest;
    this.#wake?.('close');
    if (this.#state === 'healthy') await this.#within(deadlineMs - Math.min(CLOSE_RESERVE_MS, deadlineMs / 2), this.#running);
    this.#aborted = true;
    this.#stopListening?.();
    if (this.#state !== 'stopped') this.#state = 'closed';
    await this.#within(Math.max(0, endMs - this.#now()), this.#sink.close());
  }

  async #run(): Promise<void> {
    while (this.#closeTarget === null) {
      try {
        await this.#open();
        await this.#serve();
      } catch (thrown) {
        if (this.#aborted) return;
        const retryInMs = this.#fail(thrown);
        if (retryInMs === null) return;
        if (this.#closeTarget === null) await this.#pause(retryInMs, 'close');
      }
    }
  }

  async #open(): Promise<void> {
    if (this.#state !== 'failing') this.#state = 'opening';
    const marker = await this.#attempt('open', () => this.#sink.open());
    const abandoned = this.#abandoned;
    if (abandoned !== null) await this.#attempt('ending the write before', () => abandoned);
    if (this.#aborted) return;
    // What was written without a marker may have gone with the connection.
    this.#mark = this.#marked;
    await this.#resume(marker);
    if (this.#aborted) return;
    this.#notify({ type: 'opened', sink: this.#sink.name, mark: this.#mark });
    // After a failure with work left, an open sink proves itself healthy by taking it.
    if (this.#failuresInARow === 0) this.#state = 'healthy';
    else if (this.#mark >= this.#feed.latest) this.#noteSuccess();
  }

  /** Feeds an open sink until it fails or the writer closes. */
  async #serve(): Promise<void> {
    while (!this.#aborted) {
      const pending = this.#mark < this.#feed.latest;
      const closing = this.#closeTarget !== null;
      if (this.#markable > this.#marked) await this.#leaveMarker();
      if (closing && this.#mark >= (this.#closeTarget ?? 0)) return;
      const nowMs = this.#now();
      if (pending && (closing || nowMs >= this.#nextRoundAtMs)) await this.#round();
      else if (nowMs >= this.#markerCheckAtMs) await this.#checkMarker();
      else {
        const untilMs = pending ? Math.min(this.#nextRoundAtMs, this.#markerCheckAtMs) : this.#markerCheckAtMs;
        await this.#pause(untilMs - nowMs, pending ? 'close' : 'change');
      }
    }
  }

  /** Writes everything that had changed when the round began, in bounded batches. */
  async #round(): Promise<void> {
    const startedMs = this.#now();
    const target = this.#feed.latest;
    while (this.#mark < target && !this.#aborted) {
      if (this.#now() >= this.#markerCheckAtMs) await this.#checkMarker();
      await this.#writeBatch();
    }
    const endedMs = this.#now();
    this.#nextRoundAtMs = Math.max(startedMs + this.#sink.intervalMs, endedMs + Math.min(endedMs - startedMs, REST_MS_MAX));
  }

  async #writeBatch(): Promise<void> {
    const readAtMs = this.#now();
    const latest = this.#feed.latest;
    const changed = this.#feed.changedSince(this.#mark, this.#timings.cellsPerWriteMax);
    // No cell left of what changed (they may have been retired): all of it counts as written.
    const reached = changed.cells.length === 0 ? Math.max(changed.mark, latest) : changed.mark;
    assert(reached > this.#mark, `the feed does not move past mark ${this.#mark}`);
    if (changed.cells.length > 0) {
      await this.#attempt('write', () => this.#sink.write(changed, this.#feed), true);
      if (this.#aborted) return;
      this.#writes++;
      this.#cellsWritten += changed.cells.length;
    }
    this.#mark = reached;
    if (this.#markable > this.#marked) await this.#leaveMarker();
    if (this.#aborted) return;
    if (reached >= this.#feed.latest) this.#pendingSinceMs = null;
    else if (reached >= latest) this.#pendingSinceMs = readAtMs;
    this.#noteSuccess();
  }

  get #markable(): number {
    return Math.min(this.#mark, this.#feed.durable);
  }

  async #leaveMarker(): Promise<void> {
    const mark = this.#markable;
    await this.#attempt('mark', () => this.#sink.mark(this.#marker(mark)), true);
    if (this.#aborted) return;
    this.#marked = mark;
    this.#feed.settle(this.#sink.name, mark);
  }

  async #checkMarker(): Promise<void> {
    const marker = await this.#attempt('marker check', () => this.#sink.check());
    if (this.#aborted) return;
    await this.#resume(marker);
    if (!this.#aborted) this.#noteSuccess();
  }

  async #resume(marker: SinkMarker | null): Promise<void> {
    const resume = resumeFrom(marker, this.#marker(this.#marked));
    if (resume.type === 'stale') {
      throw new EngineError('SINK_STALE', `${this.#sink.name} holds results of generation ${resume.generation}; this daemon writes generation ${this.#feed.generation} and has stopped feeding it`, {
        where: { sink: this.#sink.name },
        fix: 'stop this daemon: its state was replaced by a restored savepoint or a promoted standby. If this one is right, promote it to a newer generation',
      });
    }
    if (resume.type === 'feed_again') {
      this.#mark = this.#marked = resume.mark;
      this.#feed.settle(this.#sink.name, resume.mark);
      this.#notify({ type: 'fed_again', sink: this.#sink.name, fromMark: resume.mark, reason: resume.reason });
    }
    // Marked before the first write: a sink flushed between that write and its mark would otherwise look as new as before it.
    if (marker === null || resume.type === 'feed_again') await this.#attempt('mark', () => this.#sink.mark(this.#marker(this.#marked)), true);
    if (this.#aborted) return;
    this.#notePending();
    this.#markerCheckAtMs = this.#now() + this.#timings.markerCheckMs;
  }

  /** Counts a failure. Returns how long to wait, or null when trying again cannot help. */
  #fail(thrown: unknown): number | null {
    const error = thrown instanceof Error ? thrown : new Error(messageOf(thrown));
    this.#failures++;
    this.#failuresInARow++;
    // Anything but an EngineError that says so is a bug of ours: repeating it would only hide it.
    if (!(error instanceof EngineError && error.retryable)) {
      this.#state = 'stopped';
      this.#lastError = error instanceof EngineError ? error.message : `bug, not tried again: ${error.message}`;
      this.#stopListening?.();
      this.#notify({ type: 'stopped', sink: this.#sink.name, error });
      return null;
    }
    this.#state = 'failing';
    this.#lastError = error.message;
    const { backoffMinMs, backoffMaxMs } = this.#timings;
    const backoffMs = Math.min(backoffMaxMs, backoffMinMs * 2 ** Math.min(this.#failuresInARow - 1, 30)) * (0.5 + 0.5 * this.#world.random());
    const retryInMs = Math.max(backoffMs, Math.min(error.retryAfterMs ?? 0, MS_PER_MINUTE));
    this.#notify({ type: 'failed', sink: this.#sink.name, error, failuresInARow: this.#failuresInARow, retryInMs });
    return retryInMs;
  }

  /** Only work that was done ends a series of failures: a sink that opens and then refuses must not be hammered. */
  #noteSuccess(): void {
    if (this.#failuresInARow > 0) this.#notify({ type: 'recovered', sink: this.#sink.name, failuresInARow: this.#failuresInARow });
    this.#failuresInARow = 0;
    this.#lastError = null;
    this.#state = 'healthy';
  }

  #notePending(): void {
    if (this.#pendingSinceMs === null && this.#mark < this.#feed.latest) this.#pendingSinceMs = this.#now();
  }

  #marker(settled: number): SinkMarker {
    return { instance: this.#feed.instance, generation: this.#feed.generation, settled };
  }

  #now(): number {
    return this.#world.clock.monotonicMs();
  }

  /** Runs one step of the sink under the attempt timeout. `exclusive` steps are remembered when they time out. */
  #attempt<Value>(step: string, work: () => Promise<Value>, exclusive = false): Promise<Value> {
    const { attemptTimeoutMs } = this.#timings;
    const running = (async () => work())();
    return new Promise<Value>((resolve, reject) => {
      const cancel = this.#world.schedule(attemptTimeoutMs, () => {
        if (exclusive) this.#abandon(running);
        reject(new EngineError('SINK_UNAVAILABLE', `${this.#sink.name}: ${step} did not end within ${attemptTimeoutMs} ms`, { where: { sink: this.#sink.name } }));
      });
      void running.then(resolve, reject).finally(cancel);
    });
  }

  #abandon(running: Promise<unknown>): void {
    const ended = running.then(() => undefined, () => undefined).then(() => {
      if (this.#abandoned === ended) this.#abandoned = null;
    });
    this.#abandoned = ended;
  }

  /** Waits; ends early on close, and with `wakeOn: 'change'` on a change too. */
  #pause(delayMs: number, wakeOn: 'change' | 'close'): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#wake = null;
        cancel();
        resolve();
      };
      const cancel = this.#world.schedule(Math.max(0, delayMs), end);
      this.#wake = (why) => {
        if (why === 'close' || wakeOn === 'change') end();
      };
    });
  }

  /** Waits for the work's end, however it ends, but no longer than this. */
  #within(limitMs: number, work: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#world.schedule(limitMs, resolve);
      const end = (): void => {
        cancel();
        resolve();
      };
      work.then(end, end);
    });
  }
}
