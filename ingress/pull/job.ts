/**
 * One app and report: when it is read next, and what follows from each answer. Decisions alone; poller.ts acts on them.
 */

import { MS_PER_MINUTE, MS_PER_SECOND } from '../../engine/core/types.ts';
import type { AnswerVerdict } from './answers.ts';
import type { PullJobFigures } from './figures.ts';
import type { PullOptions } from './options.ts';
import { backfillCallsLeft, callsLeft, nextDayMs, pollIntervalMs, withCall } from './quota.ts';
import type { PullReport } from './reports.ts';
import type { JobRecord } from './state.ts';
import type { RowCounts } from './window-reader.ts';

/** The first repeat after a failure; each further one four times as late, until the next poll would come anyway. */
const BACKOFF_MIN_MS = 10 * MS_PER_SECOND;
const BACKOFF_MAX_MS = 6 * 60 * MS_PER_MINUTE;
const BACKOFF_FACTOR = 4;

export class Job {
  readonly app: string;
  readonly report: PullReport;
  readonly record: JobRecord;
  /** A window of it is being read. */
  isBusy = false;
  /** Lowered once the plan refuses the larger value. */
  maximumRows: number;
  readonly #options: PullOptions;
  #retryAtMs = 0;
  #failuresInARow = 0;
  /** For as long as the process lives: what only the user can mend. */
  #disabled: string | null = null;
  #trouble: string | null = null;
  readonly #totals: RowCounts = { appended: 0, known: 0, skipped: 0, malformed: 0 };
  #calls = 0;
  #failures = 0;

  constructor(app: string, report: PullReport, record: JobRecord, options: PullOptions) {
    this.app = app;
    this.report = report;
    this.record = record;
    this.#options = options;
    this.maximumRows = options.maximum_rows;
  }

  get intervalMs(): number {
    return pollIntervalMs(this.report, this.#options);
  }

  get isDisabled(): boolean {
    return this.#disabled !== null;
  }

  /** When the next window of a poll is to be read, epoch ms; Infinity for never. */
  dueMs(nowMs: number): number {
    if (this.isDisabled || this.isBusy) return Infinity;
    const { pending, startedMs } = this.record;
    const scheduled = pending.length > 0 ? 0 : startedMs + this.intervalMs;
    return Math.max(scheduled, this.#freeMs(callsLeft(this.record, this.#options, nowMs), nowMs));
  }

  /** The same for a window of a back-fill. */
  backfillDueMs(nowMs: number): number {
    if (this.isDisabled || this.isBusy) return Infinity;
    return this.#freeMs(backfillCallsLeft(this.record, this.report, this.#options, nowMs), nowMs);
  }

  #freeMs(left: number, nowMs: number): number {
    return Math.max(this.#retryAtMs, this.record.stoppedUntilMs, left > 0 ? 0 : nextDayMs(nowMs));
  }

  countCall(nowMs: number): void {
    this.#calls++;
    Object.assign(this.record, withCall(this.record, nowMs));
  }

  addRows(counts: RowCounts): void {
    for (const kind of ['appended', 'known', 'skipped', 'malformed'] as const) this.#totals[kind] += counts[kind];
    this.#trouble = counts.skipped === 0 ? null : 'rows from before dedupe.mode was push+pull-seconds cannot be told from those that came by Push and are left out';
  }

  /** A window was read. */
  succeeded(): void {
    this.#failuresInARow = 0;
    this.#retryAtMs = 0;
  }

  /** What follows from an answer that brings no rows, as text for the log. */
  refused(verdict: Exclude<AnswerVerdict, { type: 'rows' | 'token' | 'lookback' | 'rows-limit' }>, said: string, { nowMs, random }: { readonly nowMs: number; readonly random: number }): string {
    this.#failures++;
    switch (verdict.type) {
      case 'quota':
        this.record.stoppedUntilMs = nextDayMs(nowMs);
        return this.#say('AppsFlyer says that the calls of the day are spent: not read before the next 00:00 UTC; lower pull.calls_per_day to what the plan allows');
      case 'plan':
        return this.#disable(`the plan does not have this report (${said}): switched off until a restart; take it out of pull.reports, or ask AppsFlyer for it`);
      case 'not-found':
        return this.#disable(`AppsFlyer knows no such app for this token: switched off until a restart; check pull.apps (iOS ids begin with id) and whose token it is`);
      case 'refused':
        return this.#later(`AppsFlyer refuses the call (${said}): check the plan and the account's list of allowed addresses`, { nowMs, waitMs: this.intervalMs });
      case 'bad-request':
        return this.#later(`AppsFlyer does not take the call (${said})`, { nowMs, waitMs: this.intervalMs });
      case 'wait':
        return this.#later(`AppsFlyer asks to wait (${said})`, { nowMs, waitMs: verdict.waitMs });
      case 'retry':
        return this.failed(`AppsFlyer cannot answer now (${said})`, { nowMs, random, atLeastMs: verdict.retryAfterMs });
    }
  }

  /** Something failed that may pass: later, and ever later. Returns the text for the log. */
  failed(what: string, { nowMs, random, atLeastMs = 0 }: { readonly nowMs: number; readonly random: number; readonly atLeastMs?: number }): string {
    const backoffMs = Math.min(BACKOFF_MAX_MS, this.intervalMs, BACKOFF_MIN_MS * BACKOFF_FACTOR ** this.#failuresInARow);
    this.#failuresInARow++;
    return this.#later(what, { nowMs, waitMs: Math.max(atLeastMs, Math.round(backoffMs * (0.5 + random / 2))) });
  }

  /** The token is refused for all: the job's own word on it. */
  set tokenTrouble(text: string | null) {
    if (text !== null) this.#failures++;
    this.#trouble = text;
  }

  get trouble(): string | null {
    return this.#disabled ?? this.#trouble;
  }

  figures(nowMs: number): PullJobFigures {
    const { record } = this;
    return {
      app: this.app,
      report: this.report.name,
      startedMs: record.startedMs,
      succeededMs: record.succeededMs,
      coveredToMs: record.coveredToMs ?? 0,
      callsLeft: record.stoppedUntilMs > nowMs ? 0 : callsLeft(record, this.#options, nowMs),
      windowsPending: record.pending.length,
      calls: this.#calls,
      ...this.#totals,
      failures: this.#failures,
      trouble: this.trouble,
    };
  }

  #later(what: string, { nowMs, waitMs }: { readonly nowMs: number; readonly waitMs: number }): string {
    this.#retryAtMs = nowMs + waitMs;
    // When is for the log alone: an alarm's text is a label of metrics.
    return `${this.#say(what)}; again in ${Math.ceil(waitMs / MS_PER_SECOND)} s`;
  }

  #disable(text: string): string {
    this.#disabled = text;
    return text;
  }

  #say(text: string): string {
    this.#trouble = text;
    return text;
  }
}
