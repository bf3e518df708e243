/**
 * One ingress thread: started once the actors know what they need, replaced when it dies while others go on, drained at shutdown.
 *
 * A replacement reopens the journal like a restarted daemon would: what the shared word published is proof, the tail
 * beyond it is rewritten. It listens where the first one did. A first start that fails again and again is told; once the door has been open,
 * faults of the disk are waited for. Clients of the dead thread see their connections reset and resend. One that
 * hangs behind its open door can neither be ended nor replaced: the process ends and starts again. Runs on the main thread.
 */

import type { Clock } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import type { AppendedRecords } from '../core/own-records.ts';
import type { RecordSource } from '../core/record.ts';
import type { Fault } from '../threads/fault.ts';
import type { CostsAnswered, CostsSent, IngressBegin, IngressStart, IngressToMain, MainToIngress } from '../threads/messages.ts';
import type { SharedWords } from '../threads/shared-words.ts';
import { Thread } from '../threads/worker.ts';
import { PendingAnswers } from './pending-answers.ts';
import { Watchdog } from './watchdog.ts';

export interface IngressSupervisorOptions<Settings, Stats, Recovery> {
  readonly module: URL;
  /** Its number among so many. */
  readonly thread: number;
  readonly threads: number;
  readonly settings: Settings;
  readonly words: SharedWords;
  readonly clock: Clock;
  /** A door that shows no life for so long is given up. */
  readonly stallTimeoutMs: number;
  /** Lives in a row that ended before this one because a thread was stuck. */
  readonly stallsBefore: number;
  readonly log: { info(facts: object, text: string): void; warn(facts: object, text: string): void; error(facts: object, text: string): void };
  /** Its journal is open, and it waits for {@link IngressSupervisor.begin}. */
  readonly onOpened: (message: Extract<IngressToMain<Stats, Recovery>, { type: 'opened' }>) => void;
  readonly onBegun: () => void;
  readonly onListening: (message: Extract<IngressToMain<Stats, Recovery>, { type: 'listening' }>) => void;
  /** The thread is gone and with it its door, until the next {@link onListening}. */
  readonly onClosed: () => void;
  readonly onStats: (stats: Stats) => void;
  /** A report of spend; never rejects. */
  readonly onCosts: (report: CostsSent) => Promise<CostsAnswered>;
  readonly onFatal: (error: EngineError) => void;
}

const RESTART_PAUSE_MS = 200;
/** A disk that is full for hours is looked at this often. */
const RESTART_PAUSE_MAX_MS = 5_000;
/** For the journal to close after the door. */
const LEAVE_MS = 1_000;
const DEATHS_IN_A_ROW_MAX = 5;
const STEADY_MS = 30_000;
/** Callers of one thread at a time, each with one request. Chosen: there are three kinds of them. */
const APPENDS_MAX = 16;

export class IngressSupervisor<Settings, Stats, Recovery> {
  readonly #options: IngressSupervisorOptions<Settings, Stats, Recovery>;
  readonly #controls = new PendingAnswers<undefined>();
  readonly #appends = new PendingAnswers<AppendedRecords>();
  #thread: Thread<MainToIngress, IngressToMain<Stats, Recovery>> | null = null;
  #stopping = false;
  #failure: EngineError | null = null;
  #deaths = 0;
  #startedMs = 0;
  #port = 0;
  #isWaiting = false;
  /** A first thread that dies before its journal is open has published nothing: what the checkpoints prove holds all the same. */
  #provenOffsets: readonly number[] = [];
  #hasListened = false;
  /** Figures that have come: a thread that still turns its loop sends them twice a second. */
  #beats = 0;
  readonly #watchdog: Watchdog;
  #watching: NodeJS.Timeout | null = null;
  restarts = 0;

  constructor(options: IngressSupervisorOptions<Settings, Stats, Recovery>) {
    this.#options = options;
    const beating = (): number => this.#beats;
    this.#watchdog = new Watchdog({
      threads: [
        {
          get beats() {
            return beating();
          },
          stage: 'listening',
        },
      ],
      clock: options.clock,
      timeoutMs: options.stallTimeoutMs,
      stallsBefore: options.stallsBefore,
    });
  }

  /** `provenOffsets`: by journal, the highest that a flushed checkpoint covers. */
  start(provenOffsets: readonly number[]): void {
    this.#provenOffsets = provenOffsets;
    this.#start();
  }

  /** What it waits for once its journal is open; ignored where it does not. It listens where the one before it did, or on `port`. */
  begin(how: IngressBegin): void {
    const thread = this.#thread;
    if (!this.#isWaiting || thread === null) return;
    this.#isWaiting = false;
    // The door comes next.
    thread.isTerminable = false;
    thread.post({ type: 'begin', ...how, port: this.#port > 0 ? this.#port : how.port });
  }

  #start(): void {
    const { module, settings, words, thread, threads } = this.#options;
    const provenOffsets = words.durableOffsets.map((durable, journal) => Math.max(durable, this.#provenOffsets[journal] ?? 0));
    const start: IngressStart<Settings> = { role: 'ingress', thread, threads, words: words.buffer, provenOffsets, settings };
    this.#failure = null;
    this.#isWaiting = false;
    this.#startedMs = performance.now();
    this.#thread = new Thread<MainToIngress, IngressToMain<Stats, Recovery>>(thread === 0 ? 'ingress' : `ingress-${thread}`, module, start, {
      onMessage: (message) => {
        this.#receive(message);
      },
      onExit: (end) => {
        this.#ended(end.expected, end.error);
      },
    });
  }

  /** Journals a control record; resolves once it is durable. */
  async control(bytes: Uint8Array): Promise<void> {
    const thread = this.#thread;
    if (thread === null || this.#stopping) throw new EngineError('DOOR_CLOSED', this.#stopping ? 'the daemon is shutting down' : 'the ingress thread is restarting', { fix: 'try again in a moment' });
    await this.#controls.ask((id) => {
      thread.post({ type: 'control', id, bytes });
    });
  }

  /** Records of the daemon's own: core/own-records.ts. A thread that ends while they are under way rejects with THREAD_DIED. */
  async appendRecords(source: RecordSource, records: readonly Uint8Array[]): Promise<AppendedRecords> {
    const thread = this.#thread;
    if (thread === null || this.#stopping) throw new EngineError('DOOR_CLOSED', this.#stopping ? 'the daemon is shutting down' : 'the ingress thread is restarting', { fix: 'try again in a moment' });
    if (this.#appends.count >= APPENDS_MAX) throw new EngineError('DOOR_CLOSED', `${APPENDS_MAX} requests with records of the daemon's own are under way`, { fix: 'try again in a moment' });
    return this.#appends.ask((id) => {
      thread.post({ type: 'append-records', id, source, records });
    });
  }

  /**
   * Closes the door, answers what is in flight, closes the journal. False when the thread did not do so in time. It is left alone then while its
   * uWebSockets.js sockets are open, for terminating it would abort the process and with it the drain of all others: the process ends around it.
   */
  async drain(deadlineMs: number): Promise<boolean> {
    this.#stopping = true;
    if (this.#watching !== null) clearInterval(this.#watching);
    const thread = this.#thread;
    if (thread === null) return true;
    thread.expectExit();
    thread.post({ type: 'drain', deadlineMs });
    if (await thread.exitedWithin(deadlineMs + LEAVE_MS)) return true;
    this.#options.log.error({ deadlineMs }, 'the ingress thread did not leave in time; requests in it stay unanswered and are sent again');
    if (thread.isTerminable) await thread.terminate(LEAVE_MS);
    return false;
  }

  /** Tokens and certificate. */
  readAgain(): void {
    this.#thread?.post({ type: 'read-again' });
  }

  /** For fault tests: does to the thread what a bug would. */
  fault(how: Fault): void {
    this.#thread?.post({ type: 'fault', how });
  }

  #receive(message: IngressToMain<Stats, Recovery>): void {
    switch (message.type) {
      case 'opened':
        this.#isWaiting = true;
        this.#options.onOpened(message);
        break;
      case 'begun':
        this.#options.onBegun();
        break;
      case 'listening':
        if (this.#thread !== null) this.#thread.isTerminable = message.door !== 'uws';
        this.#port = message.port;
        this.#hasListened = true;
        this.#watch();
        this.#options.onListening(message);
        break;
      case 'stats':
        this.#beats++;
        this.#options.onStats(message.stats);
        break;
      case 'controlled':
        if (message.error === undefined) this.#controls.answer(message.id, undefined);
        else this.#controls.fail(message.id, message.error);
        break;
      case 'appended':
        this.#appends.settle(message);
        break;
      case 'log':
        this.#options.log[message.level](message.fields, message.text);
        break;
      case 'costs':
        this.#answerCosts(message);
        break;
      case 'failed':
        this.#failure = EngineError.fromRecord(message.error);
        break;
      case 'stopped':
        break;
    }
  }

  /** A thread that has died meanwhile has nobody to answer: its senders ask again. */
  #answerCosts({ id, report }: Extract<IngressToMain<Stats, Recovery>, { type: 'costs' }>): void {
    const thread = this.#thread;
    void this.#options.onCosts(report).then((answer) => {
      if (thread === this.#thread) thread?.post({ type: 'costs-answered', id, answer });
    });
  }

  /** From the moment the door listens: opening a journal takes as long as it takes, in one step. */
  #watch(): void {
    this.#watchdog.watch(0);
    this.#watching ??= setInterval(() => {
      for (const { silentMs, stallsInARow } of this.#watchdog.check()) {
        this.#options.onFatal(
          new EngineError('THREAD_STUCK', `the ingress thread has shown no life for ${silentMs} ms: its door does not answer`, {
            where: { thread: 'ingress', silentMs, stallsInARow },
            fix: 'the daemon ends itself and is started again; if this repeats, look at the disk under data_dir',
          }),
        );
      }
    }, this.#watchdog.intervalMs);
  }

  #ended(expected: boolean, error: Error | null): void {
    this.#thread = null;
    this.#watchdog.ignore(0);
    const died = new EngineError('THREAD_DIED', 'the ingress thread ended; what it was sent may be durable or not');
    this.#controls.failAll(died);
    this.#appends.failAll(died);
    if (this.#stopping || expected) return;
    this.#options.onClosed();
    const failure = this.#failure;
    this.#deaths = performance.now() - this.#startedMs > STEADY_MS ? 1 : this.#deaths + 1;
    // What a start cannot do is told; a disk that fills up under a daemon that has served is waited for, however long.
    const isPatient = this.#hasListened && failure !== null;
    if ((failure !== null && !failure.retryable) || (this.#deaths > DEATHS_IN_A_ROW_MAX && !isPatient)) {
      this.#options.onFatal(failure ?? new EngineError('THREAD_DIED', `the ingress thread ended ${this.#deaths} times in a row: ${error?.message ?? 'no reason given'}`));
      return;
    }
    this.restarts++;
    const pauseMs = Math.min(RESTART_PAUSE_MAX_MS, RESTART_PAUSE_MS * 2 ** Math.max(0, this.#deaths - DEATHS_IN_A_ROW_MAX));
    this.#options.log.error({ reason: failure?.message ?? error?.message ?? 'ended', restartInMs: pauseMs }, 'ingress thread died; restarting it');
    setTimeout(() => {
      if (!this.#stopping) this.#start();
    }, pauseMs);
  }
}
