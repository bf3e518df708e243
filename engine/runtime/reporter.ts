/**
 * What an actor thread reports to main, and when: changed cells, answers, and after recovery all that is not settled.
 *
 * Guarantees: one message is in flight until main grants credit for the next, so nothing queues up and changed cells wait in their
 * partitions; a message holds a bounded number of cells, so that main takes it in one short step. A sweep over the partitions takes as many messages
 * as it needs, one after the other; the thread rests behind the last of them, and the next sweep begins with what has changed meanwhile. Answers come first in every message, because main holds
 * cells back for them.
 */

import { packMessage } from '../core/codec.ts';
import type { CellName, PartitionReport } from '../core/cell.ts';
import type { Clock } from '../core/clock.ts';
import type { ActorToMain } from '../threads/messages.ts';
import { Stage, type Progress } from '../threads/progress.ts';

/** A partition, as far as it reports; actors/partition says what the scopes and the head of a report mean. */
export interface ReportingActor {
  readonly hasChanges: boolean;
  /** Its report was cut: the next one goes on with it. */
  readonly isMidReport: boolean;
  readonly owesAnswer: boolean;
  report(scope: 'changed' | 'all' | 'asked', cellsMax: number): PartitionReport;
  request(names: readonly CellName[]): void;
}

export interface ReporterOptions {
  readonly actors: readonly ReportingActor[];
  readonly progress: Progress;
  readonly clock: Clock;
  readonly post: (message: Extract<ActorToMain, { type: 'report' }>, transfer: readonly ArrayBuffer[]) => void;
  readonly emitIntervalMs: number;
  /** Cells of one message. */
  readonly cellsMax: number;
}

/** All that there is to tell when it begins, in as many messages as it takes. */
interface Sweep {
  readonly scope: 'changed' | 'all';
  /** Those that have something left to tell, the first of them perhaps in part. */
  readonly left: ReportingActor[];
  readonly oldestReceivedAtMs: number;
  /** Spent on its messages so far. */
  costMs: number;
}

/**
 * A thread rests from reporting this many times as long as a sweep took to make. At nominal load one takes under 1 ms and the
 * emit interval rules; at peak most cells change between two, and a longer interval lets many events share one. Chosen: a seventeenth, some 150 ms at peak.
 */
const REST_PER_SWEEP = 16;
/**
 * But no longer than this: where a sweep is long, most events have changed cells of their own, and a longer rest lets no more of them share one.
 * Measured (load/steady.ts, 5,000 cells): 500 shows events 0.6 s later and saves a tenth of the CPU; the peak of few cells is the same.
 */
const REST_MS_MAX = 100;

export class Reporter {
  readonly #options: ReporterOptions;
  #sweep: Sweep | null = null;
  #credit: 'all' | 'answers' | 'none' = 'all';
  /** Requests that are not answered in whole yet. */
  #asked: number[] = [];
  #notBeforeMs = 0;
  #oldestReceivedAtMs = 0;
  /** The next sweep is one over all partitions, changed or not. */
  #isProgressDue = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Records received then have been folded. */
  folded(receivedAtMs: number): void {
    if (this.#oldestReceivedAtMs === 0) this.#oldestReceivedAtMs = receivedAtMs;
  }

  /** The partitions stand at the end that they were to recover to: all of them tell everything that is not settled, then `complete`. */
  recovered(): void {
    this.#sweep = { scope: 'all', left: [...this.#options.actors], oldestReceivedAtMs: 0, costMs: 0 };
    this.#oldestReceivedAtMs = 0;
  }

  requested(requestId: number, names: readonly CellName[]): void {
    for (const actor of this.#options.actors) actor.request(names);
    this.#asked.push(requestId);
  }

  /** The next message may be sent; with `answersOnly` it must be, and without changes; if it is urgent, at once. */
  credited({ answersOnly, urgent }: { readonly answersOnly: boolean; readonly urgent: boolean }): void {
    this.#credit = answersOnly ? 'answers' : 'all';
    if (urgent) this.#notBeforeMs = 0;
  }

  mayReport(nowMs: number): boolean {
    return this.#credit !== 'none' && nowMs >= this.#notBeforeMs;
  }

  /** Sends the next message, if there is anything to tell. `isProgressDue`: also how far the partitions are of which no cell changed. */
  report(isProgressDue: boolean): void {
    this.#isProgressDue ||= isProgressDue;
    if (this.#credit === 'all') this.#sweep ??= this.#newSweep();
    // Without anything to answer as well: main has made no other plan to ask for more.
    if (this.#sweep !== null || this.#asked.length > 0 || this.#credit === 'answers') this.#send();
  }

  /** Sends what had begun, and then all there is, without credit. */
  finish(): void {
    this.#credit = 'all';
    while (this.#sweep !== null) this.#send();
    this.#isProgressDue = true;
    for (this.#sweep = this.#newSweep(); this.#sweep !== null; ) this.#send();
  }

  /** How long until there is something to be sent; Infinity while there is nothing, or no credit. */
  idleMs(nowMs: number): number {
    const isDue = this.#credit === 'answers' || this.#sweep !== null || this.#asked.length > 0 || this.#options.actors.some((actor) => actor.hasChanges);
    return this.#credit !== 'none' && isDue ? this.#notBeforeMs - nowMs : Infinity;
  }

  #newSweep(): Sweep | null {
    const { actors } = this.#options;
    const left = this.#isProgressDue ? [...actors] : actors.filter((actor) => actor.hasChanges);
    if (left.length === 0) return null;
    const sweep: Sweep = { scope: 'changed', left, oldestReceivedAtMs: this.#oldestReceivedAtMs, costMs: 0 };
    this.#isProgressDue = false;
    this.#oldestReceivedAtMs = 0;
    return sweep;
  }

  #send(): void {
    const { actors, clock, emitIntervalMs, post } = this.#options;
    const startMs = clock.monotonicMs();
    const sweep = this.#credit === 'answers' ? null : this.#sweep;
    const reports = this.#pieces(sweep);
    const isOver = sweep?.left.length === 0;
    if (isOver) this.#sweep = null;
    const packed = packMessage(reports);
    const answered = actors.some((actor) => actor.owesAnswer) ? [] : this.#asked.splice(0);
    this.#credit = 'none';
    const endMs = clock.monotonicMs();
    const tookMs = endMs - startMs;
    if (sweep !== null) sweep.costMs += tookMs;
    const more = sweep !== null && !isOver;
    // Nobody is served better by a recovery that rests.
    const restMs = more || sweep?.scope === 'all' ? 0 : Math.max(emitIntervalMs - tookMs, Math.min(REST_MS_MAX, REST_PER_SWEEP * (sweep?.costMs ?? tookMs)));
    this.#notBeforeMs = endMs + restMs;
    post({ type: 'report', reports: packed, answered, complete: isOver && sweep.scope === 'all', more, oldestReceivedAtMs: sweep?.oldestReceivedAtMs ?? 0 }, [packed.buffer as ArrayBuffer]);
  }

  #pieces(sweep: Sweep | null): PartitionReport[] {
    const { actors, progress, cellsMax } = this.#options;
    const reports: PartitionReport[] = [];
    let room = cellsMax;
    const take = (actor: ReportingActor, scope: 'changed' | 'all' | 'asked'): void => {
      progress.enter(Stage.reporting);
      const report = actor.report(scope, room);
      room -= report.cells.length;
      reports.push(report);
    };
    for (const actor of actors) if (room > 0 && actor.owesAnswer) take(actor, 'asked');
    while (sweep !== null && room > 0) {
      const actor = sweep.left[0];
      if (actor === undefined) break;
      take(actor, sweep.scope);
      if (actor.isMidReport) break;
      sweep.left.shift();
    }
    return reports;
  }
}
