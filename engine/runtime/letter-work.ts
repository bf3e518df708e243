/**
 * Dead letters sent again or dropped, many at a time: page by page, through the journal, each page awaited before the next.
 *
 * Guarantees: a letter is sent again under the number of its next attempt, and its fold lets one record of that number through: whatever is repeated (a request
 * that failed and may be durable all the same, the whole work after a crash, two works at once) counts once. A drop is a control record, which
 * replays obey. One work at a time; it ends between two pages when its client leaves. In memory is one page. Runs on the main thread.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { EngineError } from '../core/errors.ts';
import { OWN_RECORDS_BYTES_MAX, OWN_RECORDS_MAX, type AppendRecords } from '../core/own-records.ts';
import { RecordSource, VERDICT_NAMES, type RejectCode } from '../core/record.ts';
import { ATTEMPTS_MAX, retriedRecord } from '../core/retried-record.ts';
import { encodeControl } from '../core/rules.ts';
import type { LetterFilter, LetterName, LetterOutcome, LetterPage, RecordPlace, ShownLetter } from '../threads/messages.ts';
import type { Asker } from './asker.ts';
import { letterState, mergePages } from './letter-answers.ts';

/** Outcomes listed in one answer; all are counted. */
const LISTED_MAX = 1_000;
const ATTEMPTS_OF_A_PAGE = 5;
const PAUSE_MS = 500;
/** Chosen: an actor thread that is replaced has folded again by then. */
const FOLD_MS_MAX = 30_000;
const LOOK_INTERVAL_MS = 20;

export interface LetterWorkOptions {
  readonly asker: Pick<Asker, 'ask'>;
  readonly appendRecords: AppendRecords;
  /** Journals a control record; resolves once it is durable. */
  readonly writeControl: (bytes: Uint8Array) => Promise<void>;
  readonly scopeKey: string;
}

/** By name, or all that a filter lets through. */
export type LetterSelection = { readonly names: readonly LetterName[] } | { readonly filter: LetterFilter };

export interface RetryOptions {
  readonly selection: LetterSelection;
  /** Letters that were sent again in vain too. */
  readonly again: boolean;
  /** Nothing is sent. */
  readonly isDryRun: boolean;
  readonly isCancelled: () => boolean;
}

/** Why a letter was not sent. */
export const SKIPPED = ['settled', 'retried_before', 'incomplete', 'poison', 'moved', 'gone'] as const;
export type Skipped = (typeof SKIPPED)[number];

export interface ToldOutcome extends LetterName {
  readonly outcome: string;
  readonly code?: RejectCode;
}

/** `pending`: durable, and the fold had not come to them in time: they count all the same. */
export interface RetryReport {
  selected: number;
  retried: number;
  outcomes: { accepted: number; late: number; duplicate: number; rejected: number; pending: number };
  rejected: Partial<Record<RejectCode, number>>;
  skipped: Record<Skipped, number>;
  /** The first of those that were retried or skipped. */
  letters: ToldOutcome[];
  cancelled: boolean;
}

export interface DropReport {
  selected: number;
  dropped: number;
  cancelled: boolean;
}

export const emptyRetryReport = (): RetryReport => ({
  selected: 0,
  retried: 0,
  outcomes: { accepted: 0, late: 0, duplicate: 0, rejected: 0, pending: 0 },
  rejected: {},
  skipped: { settled: 0, retried_before: 0, incomplete: 0, poison: 0, moved: 0, gone: 0 },
  letters: [],
  cancelled: false,
});

interface Sending {
  readonly letter: ShownLetter;
  readonly attempt: number;
  readonly record: Uint8Array;
}

export class LetterWork {
  readonly #options: LetterWorkOptions;
  /** Settles well with the last work that was asked for. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: LetterWorkOptions) {
    this.#options = options;
  }

  /** `report` grows while the work goes on. Rejects what the journal or the actor threads say: what it holds by then is done. */
  retry(options: RetryOptions, report: RetryReport): Promise<RetryReport> {
    return this.#inTurn(async () => {
      // Of states that need nothing, a filter does not even read the letters.
      const states = options.again ? (['waiting', 'rejected'] as const) : (['waiting'] as const);
      const selection = 'names' in options.selection ? options.selection : { filter: { ...options.selection.filter, states } };
      for await (const page of this.#pages(selection, Infinity, (names) => this.#skip(report, names, 'gone'))) {
        if (options.isCancelled()) return { ...report, cancelled: true };
        report.selected += page.length;
        await this.#retryPage(page, options, report);
      }
      return report;
    });
  }

  drop({ selection, isDryRun, isCancelled }: Omit<RetryOptions, 'again'>, report: DropReport): Promise<DropReport> {
    return this.#inTurn(async () => {
      for await (const page of this.#pages(selection, 0, () => undefined)) {
        if (isCancelled()) return { ...report, cancelled: true };
        report.selected += page.length;
        if (isDryRun || page.length === 0) continue;
        await this.#repeated(() => this.#options.writeControl(encodeControl({ type: 'drop-letters', letters: byPartition(page) })));
        await this.#outcomes(page, (outcomes) => outcomes.length === 0);
        report.dropped += page.length;
      }
      return report;
    });
  }

  #inTurn<Report>(work: () => Promise<Report>): Promise<Report> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Of at most {@link OWN_RECORDS_MAX} letters and, save for the last one, {@link OWN_RECORDS_BYTES_MAX} bytes. */
  async *#pages(selection: LetterSelection, shownBytesMax: number, onGone: (names: readonly LetterName[]) => void): AsyncGenerator<readonly ShownLetter[]> {
    const { asker, scopeKey } = this.#options;
    if ('names' in selection) {
      for (const name of selection.names) {
        const letters = (await asker.ask<ShownLetter[]>({ what: 'letters-named', names: [name], scopeKey })).flat();
        if (letters.length === 0) onGone([name]);
        else yield letters;
      }
      return;
    }
    let before: RecordPlace | null = null;
    do {
      const pages: LetterPage[] = await asker.ask<LetterPage>({ what: 'dead-letters', limit: OWN_RECORDS_MAX, before, filter: selection.filter, scopeKey, shownBytesMax, bytesMax: OWN_RECORDS_BYTES_MAX });
      const page = mergePages(pages, OWN_RECORDS_MAX);
      yield page.letters;
      before = page.lookedTo;
    } while (before !== null);
  }

  async #retryPage(page: readonly ShownLetter[], { again, isDryRun, selection }: RetryOptions, report: RetryReport): Promise<void> {
    const isAsked = 'names' in selection || selection.filter.codes?.includes('POISON') === true;
    const sending: Sending[] = [];
    for (const letter of page) {
      const why = whyNot(letter, { again, isPoisonAsked: isAsked });
      if (why !== null) {
        this.#skip(report, [letter], why);
        continue;
      }
      const { partition, id, source, retry, bytes } = letter;
      const attempt = (retry?.attempts ?? 0) + 1;
      sending.push({ letter, attempt, record: retriedRecord({ partition, id, attempt, source }, bytes) });
    }
    if (isDryRun) {
      for (const { letter } of sending) list(report, { partition: letter.partition, id: letter.id, outcome: 'would be sent again' });
      return;
    }
    for (const request of requestsOf(sending)) await this.#send(request, report);
  }

  async #send(request: readonly Sending[], report: RetryReport): Promise<void> {
    const { rejected } = await this.#repeated(() => this.#options.appendRecords(RecordSource.retry, request.map(({ record }) => record)));
    const moved = new Set(rejected.flatMap(({ index, code }) => (code === 'MOVED' ? [index] : [])));
    const sent = request.filter((_, index) => !moved.has(index));
    this.#skip(report, request.filter((_, index) => moved.has(index)).map(({ letter }) => letter), 'moved');
    report.retried += sent.length;
    const attempts = new Map(sent.map(({ letter, attempt }) => [nameOf(letter), attempt]));
    const isFolded = ({ retry, ...name }: LetterOutcome): boolean => (retry?.attempts ?? 0) >= (attempts.get(nameOf(name)) as number);
    // One that has left meanwhile is not answered for: nothing more becomes of it.
    const outcomes = await this.#outcomes(sent.map(({ letter }) => letter), (found) => found.every(isFolded));
    for (const outcome of outcomes) tell(report, outcome, isFolded(outcome));
    const there = new Set(outcomes.map(nameOf));
    this.#skip(report, sent.flatMap(({ letter }) => (there.has(nameOf(letter)) ? [] : [letter])), 'gone');
  }

  /** As soon as they are as they should be, or as they are after {@link FOLD_MS_MAX}. */
  async #outcomes(letters: readonly LetterName[], isEnough: (outcomes: readonly LetterOutcome[]) => boolean): Promise<readonly LetterOutcome[]> {
    if (letters.length === 0) return [];
    const names = letters.map(({ partition, id }) => ({ partition, id }));
    const deadlineMs = performance.now() + FOLD_MS_MAX;
    for (;;) {
      // A thread that is replaced answers late, and then from what it has folded again.
      const outcomes = await this.#options.asker.ask<LetterOutcome[]>({ what: 'letter-outcomes', names }).then(
        (answers) => answers.flat(),
        () => null,
      );
      const isLate = performance.now() > deadlineMs;
      if (outcomes !== null && (isLate || isEnough(outcomes))) return outcomes;
      if (isLate) throw new EngineError('NOT_READY', 'the actor threads do not tell what became of the letters', { fix: 'ask again: what is durable counts, once' });
      await pause(LOOK_INTERVAL_MS);
    }
  }

  async #repeated<Value>(act: () => Promise<Value>): Promise<Value> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await act();
      } catch (error) {
        if (!(error instanceof EngineError) || !error.retryable || attempt === ATTEMPTS_OF_A_PAGE) throw error;
        await pause(PAUSE_MS * attempt);
      }
    }
  }

  #skip(report: RetryReport, letters: readonly LetterName[], why: Skipped): void {
    report.skipped[why] += letters.length;
    for (const { partition, id } of letters) list(report, { partition, id, outcome: why });
  }
}

const nameOf = ({ partition, id }: LetterName): string => `${partition}/${id}`;

function whyNot(letter: ShownLetter, { again, isPoisonAsked }: { readonly again: boolean; readonly isPoisonAsked: boolean }): Skipped | null {
  const state = letterState(letter);
  if (state === 'settled') return 'settled';
  if (state === 'rejected' && (!again || (letter.retry?.attempts ?? 0) >= ATTEMPTS_MAX)) return 'retried_before';
  if (letter.keptBytes < letter.size || letter.code === 'TOO_LARGE') return 'incomplete';
  // It has stopped the program three times: only who asks for it gets it.
  return letter.code === 'POISON' && !isPoisonAsked ? 'poison' : null;
}

function requestsOf(sending: readonly Sending[]): Sending[][] {
  const requests: Sending[][] = [];
  let bytes = Infinity;
  for (const one of sending) {
    const size = one.record.byteLength;
    const open = requests[requests.length - 1];
    if (open === undefined || bytes + size > OWN_RECORDS_BYTES_MAX || open.length === OWN_RECORDS_MAX) {
      requests.push([one]);
      bytes = size;
    } else {
      open.push(one);
      bytes += size;
    }
  }
  return requests;
}

function byPartition(letters: readonly LetterName[]): (readonly [number, readonly number[]])[] {
  const ids = new Map<number, number[]>();
  for (const { partition, id } of letters) ids.set(partition, [...(ids.get(partition) ?? []), id]);
  return [...ids];
}

function tell(report: RetryReport, { partition, id, retry }: LetterOutcome, isFolded: boolean): void {
  const outcome = retry === null || !isFolded ? 'pending' : VERDICT_NAMES[retry.verdict];
  report.outcomes[outcome]++;
  const code = isFolded ? (retry?.code ?? null) : null;
  if (code !== null) report.rejected[code] = (report.rejected[code] ?? 0) + 1;
  list(report, { partition, id, outcome, ...(code === null ? {} : { code }) });
}

function list(report: RetryReport, told: ToldOutcome): void {
  if (report.letters.length < LISTED_MAX) report.letters.push(told);
}
