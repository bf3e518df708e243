/**
 * Reads reports on a schedule and back-fills on demand: picks what is due, reads one window of it, and remembers what has been read.
 *
 * A window is done once every row of it is durable in the journal; only then is it taken from what is remembered. A report that was downloaded is kept
 * as a file until then, so that a crash costs no second call. `calls_at_once` windows are under way at a time, never two of one app and report.
 * Runs on a thread of its own: parsing a million rows takes seconds.
 */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { MS_PER_DAY, MS_PER_SECOND } from '../../engine/core/types.ts';
import { judgeAnswer, shownText } from './answers.ts';
import { callUrl } from './call.ts';
import { CsvFault } from '../../engine/core/csv.ts';
import { download, DownloadFault } from './download.ts';
import type { PullBackfillFigures, PullFigures } from './figures.ts';
import { Job } from './job.ts';
import type { PullOptions } from './options.ts';
import { planBackfill, type BackfillRequest, type PlannedBackfill } from './plan.ts';
import type { IdentityFacts, PullPorts } from './ports.ts';
import { isReportName, reportOf, type PullReportName } from './reports.ts';
import { backfillKey, jobKey, PullState, type BackfillRecord } from './state.ts';
import { ReportFault, WindowReader, type RowCounts } from './window-reader.ts';
import { halve, pollWindows, withinHistory, windowTime, type PullWindow } from './windows.ts';

const IDLE_MS_MAX = 1_000;
const ALARMS_MAX = 50;
const PART = '.part';

/** One window that is due. `backfill` null: of a poll. */
interface Task {
  readonly job: Job;
  readonly backfill: BackfillRecord | null;
}

export interface PollerOptions {
  readonly options: PullOptions;
  readonly identity: IdentityFacts;
  readonly ports: PullPorts;
}

export class Poller {
  readonly #options: PullOptions;
  readonly #identity: IdentityFacts;
  readonly #ports: PullPorts;
  readonly #state: PullState;
  readonly #reader: WindowReader;
  readonly #jobs = new Map<string, Job>();
  /** Those that are read on schedule; others are there for a back-fill. */
  readonly #polled: readonly Job[];
  readonly #stopping = new AbortController();
  /** Refused with 401: nothing is asked with it again. */
  #refusedToken: string | null = null;
  #lanes: Promise<void>[] = [];

  /** Raises STATE_CORRUPT. */
  constructor({ options, identity, ports }: PollerOptions) {
    this.#options = options;
    this.#identity = identity;
    this.#ports = ports;
    this.#state = PullState.open(ports.state);
    this.#reader = new WindowReader(ports);
    this.#polled = options.apps.flatMap((app) => options.reports.map((name) => this.#jobOf(app, name)));
    mkdirSync(ports.directory, { recursive: true });
    this.#removeLeftovers();
  }

  start(): void {
    this.#lanes = Array.from({ length: this.#options.calls_at_once }, () => this.#run());
  }

  /** Breaks off what is under way; it is read again after the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#lanes);
  }

  /** Begins what was asked for, or goes on with it, durably; returns the keys under which {@link figures} tells of it. Raises QUERY_INVALID. */
  backfill(request: BackfillRequest): string[] {
    const planned = this.plan(request);
    const keys = planned.map(({ app, report, fromMs, toMs, windows }) => {
      const record = { app, report, fromMs, toMs, pending: [...windows], done: 0, rows: 0, known: 0, skipped: 0, malformed: 0 };
      const key = backfillKey(record);
      if ((this.#state.backfills.get(key)?.pending.length ?? 0) === 0) this.#state.backfills.set(key, record);
      this.#jobOf(app, report);
      return key;
    });
    this.#state.save();
    return keys;
  }

  plan(request: BackfillRequest): PlannedBackfill[] {
    return planBackfill(request, this.#options, this.#state.jobs, this.#ports.clock.nowMs());
  }

  figures(): PullFigures {
    const nowMs = this.#ports.clock.nowMs();
    const jobs = [...this.#jobs.values()].map((job) => job.figures(nowMs));
    const token = this.#refusedToken === null ? [] : ['pull: AppsFlyer refuses the token: nothing is read until pull.token or the file of pull.token_file holds another one'];
    const troubles = jobs.flatMap(({ app, report, trouble }) => (trouble === null || token.length > 0 ? [] : [`pull: ${report} of ${app}: ${trouble}`]));
    return { jobs, backfills: [...this.#state.backfills.entries()].map(([key, record]) => this.#backfillFigures(key, record, nowMs)), alarms: [...token, ...troubles].slice(0, ALARMS_MAX) };
  }

  #backfillFigures(key: string, record: BackfillRecord, nowMs: number): PullBackfillFigures {
    const { app, report, pending, done, rows, known, skipped, malformed } = record;
    const job = this.#jobs.get(jobKey(app, report));
    return { key, app, report, windowsDone: done, windowsPending: pending.length, rows, known, skipped, malformed, waits: pending.length === 0 ? null : this.#waits(job, nowMs) };
  }

  #waits(job: Job | undefined, nowMs: number): string | null {
    if (job === undefined) return 'the app is not among pull.apps';
    if (this.#refusedToken !== null) return 'AppsFlyer refuses the token';
    if (job.isBusy) return null;
    const dueMs = job.backfillDueMs(nowMs);
    if (dueMs <= nowMs + IDLE_MS_MAX) return null;
    return `${job.trouble ?? 'the calls of the day are spent'}${Number.isFinite(dueMs) ? `; goes on at ${windowTime(dueMs)} UTC` : ''}`;
  }

  #jobOf(app: string, name: PullReportName): Job {
    const key = jobKey(app, name);
    let job = this.#jobs.get(key);
    if (job === undefined) this.#jobs.set(key, (job = new Job(app, reportOf(name), this.#state.job(app, name), this.#options)));
    return job;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const task = this.#nextTask();
      if (task === null) await this.#ports.pause(IDLE_MS_MAX, signal);
      else await this.#work(task);
    }
  }

  /** Polls before back-fills, the one that is due longest first. */
  #nextTask(): Task | null {
    if (this.#refusedToken !== null && !this.#isTokenNew()) return null;
    const nowMs = this.#ports.clock.nowMs();
    let next: Job | null = null;
    let earliest = nowMs + 1;
    for (const job of this.#polled) {
      const dueMs = job.dueMs(nowMs);
      if (dueMs < earliest) [next, earliest] = [job, dueMs];
    }
    if (next !== null) return { job: next, backfill: null };
    for (const backfill of this.#state.backfills.values()) {
      if (backfill.pending.length === 0 || !this.#options.apps.includes(backfill.app) || !isReportName(backfill.report)) continue;
      const job = this.#jobOf(backfill.app, backfill.report);
      if (job.backfillDueMs(nowMs) <= nowMs) return { job, backfill };
    }
    return null;
  }

  #isTokenNew(): boolean {
    try {
      if (this.#ports.token() === this.#refusedToken) return false;
    } catch {
      return false;
    }
    this.#refusedToken = null;
    for (const job of this.#jobs.values()) job.tokenTrouble = null;
    this.#ports.log('info', {}, 'pull: there is a new token');
    return true;
  }

  async #work(task: Task): Promise<void> {
    const { job } = task;
    job.isBusy = true;
    try {
      const window = this.#windowOf(task);
      if (window !== null) await this.#readWindow(task, window);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#failed(job, messageOf(error));
      // A bug is no fault of the world: it must not look like one for ever.
      if (!isFault(error)) this.#ports.log('error', { app: job.app, report: job.report.name, error: error instanceof Error ? (error.stack ?? error.message) : messageOf(error) }, 'pull: a bug');
    } finally {
      job.isBusy = false;
    }
  }

  /** The window to read now, cut to what AppsFlyer keeps; null where nothing of it is left. */
  #windowOf({ job, backfill }: Task): PullWindow | null {
    const nowMs = this.#ports.clock.nowMs();
    const { record } = job;
    if (backfill === null && record.pending.length === 0) {
      record.pending = pollWindows(job.report, record.coveredToMs, { nowMs, overlapMs: this.#options.overlap_hours * 3_600 * MS_PER_SECOND });
      record.startedMs = nowMs;
      this.#state.save();
    }
    const pending = (backfill ?? record).pending;
    const window = pending[0];
    if (window === undefined) return null;
    const kept = withinHistory(window, nowMs);
    if (kept === null) this.#ports.log('warn', this.#facts(job, window), 'pull: a window is older than what AppsFlyer keeps and is left out');
    else if (kept.fromMs === window.fromMs) return window;
    this.#replaceFirst({ job, backfill }, kept === null ? [] : [kept], window);
    return kept;
  }

  async #readWindow(task: Task, window: PullWindow): Promise<void> {
    const { job } = task;
    const { signal } = this.#stopping;
    const startedMs = this.#ports.clock.nowMs();
    const file = join(this.#ports.directory, fileName(job, window));
    if (!existsSync(file) && !(await this.#fetch(task, window, file))) return;
    const source = { file, report: job.report, appId: job.app, maximumRows: job.maximumRows, identity: this.#identity };
    try {
      let outcome = await this.#reader.read(source, signal, () => undefined);
      if (outcome.type === 'truncated') {
        const halves = halve(window);
        if (halves !== null) {
          this.#ports.log('info', { ...this.#facts(job, window), rows: outcome.rows }, 'pull: the answer is cut: the window is halved');
          this.#replaceFirst(task, halves, window);
          rmSync(file, { force: true });
          return;
        }
        outcome = await this.#reader.read({ ...source, maximumRows: Number.MAX_SAFE_INTEGER }, signal, () => undefined);
        this.#ports.log('error', this.#facts(job, window), 'pull: two minutes hold more rows than one answer: what is beyond it cannot be had by this report');
      }
      if (outcome.type === 'read') this.#done(task, window, outcome.counts, startedMs);
      rmSync(file, { force: true });
    } catch (error) {
      // A report that cannot be read must be fetched anew; where the journal or the lake was in the way it is as good as before.
      if (error instanceof CsvFault || error instanceof ReportFault) rmSync(file, { force: true });
      throw error;
    }
  }

  /** False where the answer was none with rows: what follows from it is then set. */
  async #fetch(task: Task, window: PullWindow, file: string): Promise<boolean> {
    const { job } = task;
    if (!this.#ports.hasRoom()) {
      this.#failed(job, 'the disk is too full to fetch a report (disk.reserve_bytes)');
      return false;
    }
    const token = this.#ports.token();
    const nowMs = this.#ports.clock.nowMs();
    // Before the call: one that is never answered is counted by AppsFlyer all the same.
    job.countCall(nowMs);
    this.#state.save();
    const url = callUrl({ url: this.#options.url, app: job.app, report: job.report, window, maximumRows: job.maximumRows, nowMs });
    const { answer_timeout_seconds, idle_timeout_seconds, answer_bytes_max } = this.#options;
    const answer = await download({ url, token, file: file + PART, bytesMax: answer_bytes_max, hasRoom: this.#ports.hasRoom, answerTimeoutMs: answer_timeout_seconds * MS_PER_SECOND, idleTimeoutMs: idle_timeout_seconds * MS_PER_SECOND, signal: this.#stopping.signal });
    const verdict = judgeAnswer(answer.status, answer.text, answer.retryAfter);
    switch (verdict.type) {
      case 'rows':
        renameSync(file + PART, file);
        return true;
      case 'token':
        this.#refuseToken(token);
        break;
      case 'lookback':
        this.#shorten(task, window);
        break;
      case 'rows-limit':
        if (job.maximumRows > 200_000) job.maximumRows = 200_000;
        else this.#failed(job, 'AppsFlyer does not take maximum_rows');
        break;
      case 'quota':
      case 'plan':
      case 'wait':
      case 'refused':
      case 'not-found':
      case 'retry':
      case 'bad-request': {
        const said = job.refused(verdict, `${answer.status}: ${this.#shown(answer.text, token)}`, { nowMs: this.#ports.clock.nowMs(), random: this.#ports.random() });
        this.#state.save();
        this.#ports.log(job.isDisabled ? 'error' : 'warn', this.#facts(job, window), `pull: ${said}`);
        break;
      }
    }
    return false;
  }

  /** What AppsFlyer said, should it repeat the token without that. */
  #shown(text: string, token: string): string {
    return shownText(text.replaceAll(token, '***'));
  }

  #refuseToken(token: string): void {
    this.#refusedToken = token;
    for (const job of this.#jobs.values()) job.tokenTrouble = 'AppsFlyer refuses the token (401)';
    this.#ports.log('error', {}, 'pull: AppsFlyer refuses the token (401): nothing is read until pull.token or the file of pull.token_file holds another one; the account may be suspended');
  }

  /** By a day: the clocks differ, or less is kept than is told. */
  #shorten(task: Task, window: PullWindow): void {
    const fromMs = window.fromMs + MS_PER_DAY;
    const shorter = fromMs < window.toMs ? [{ fromMs, toMs: window.toMs }] : [];
    this.#replaceFirst(task, shorter, window);
    this.#ports.log('warn', this.#facts(task.job, window), 'pull: AppsFlyer does not keep what lies so far back: the window is shortened by a day');
  }

  #done(task: Task, window: PullWindow, counts: RowCounts, startedMs: number): void {
    const { job, backfill } = task;
    job.succeeded();
    job.addRows(counts);
    if (backfill !== null) {
      backfill.done++;
      backfill.rows += counts.appended;
      backfill.known += counts.known;
      backfill.skipped += counts.skipped;
      backfill.malformed += counts.malformed;
    }
    this.#replaceFirst(task, [], window);
    const facts = { ...this.#facts(job, window), ...counts, ms: this.#ports.clock.nowMs() - startedMs };
    this.#ports.log(counts.skipped > 0 || counts.malformed > 0 ? 'warn' : 'info', facts, 'pull: a report has been read');
  }

  /** The first pending window gives way; the last one of a poll moves the cursor. Durable on return. */
  #replaceFirst({ job, backfill }: Task, windows: readonly PullWindow[], { toMs }: PullWindow): void {
    const holder = backfill ?? job.record;
    holder.pending = [...windows, ...holder.pending.slice(1)];
    if (backfill === null && holder.pending.length === 0) {
      job.record.coveredToMs = Math.max(job.record.coveredToMs ?? 0, toMs);
      job.record.succeededMs = this.#ports.clock.nowMs();
    }
    this.#state.save();
  }

  #failed(job: Job, what: string): void {
    this.#ports.log('warn', { app: job.app, report: job.report.name }, `pull: ${job.failed(what, { nowMs: this.#ports.clock.nowMs(), random: this.#ports.random() })}`);
  }

  #facts(job: Job, { fromMs, toMs }: PullWindow): Record<string, string | number> {
    return { app: job.app, report: job.report.name, from: windowTime(fromMs), to: windowTime(toMs) };
  }

  /** Files of windows that nobody waits for any more. */
  #removeLeftovers(): void {
    const wanted = new Set<string>();
    for (const job of this.#polled) for (const window of job.record.pending) wanted.add(fileName(job, window));
    for (const { app, report, pending } of this.#state.backfills.values()) {
      if (isReportName(report)) for (const window of pending) wanted.add(fileName({ app, report: reportOf(report), maximumRows: this.#options.maximum_rows }, window));
    }
    for (const name of readdirSync(this.#ports.directory)) if (!wanted.has(name)) rmSync(join(this.#ports.directory, name), { force: true, recursive: true });
  }
}

const isFault = (error: unknown): boolean => error instanceof EngineError || error instanceof DownloadFault || error instanceof CsvFault || error instanceof ReportFault || typeof (error as NodeJS.ErrnoException | null)?.code === 'string';

/** Names all that its content depends on: it may be there from the life before. */
function fileName({ app, report, maximumRows }: Pick<Job, 'app' | 'report' | 'maximumRows'>, { fromMs, toMs }: PullWindow): string {
  return `${createHash('sha256').update(`${app}/${report.name}/${fromMs}/${toMs}/${maximumRows}`).digest('hex').slice(0, 32)}.csv`;
}
