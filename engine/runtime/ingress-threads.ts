/**
 * The ingress threads: opened together, begun in order, replaced one by one, drained together.
 *
 * No thread writes before the journals of all are open, since the order of batches starts above what any of them holds. The first one begins alone,
 * with the rules of this start and the port; the others follow and share it. A thread that dies later is replaced while the others go on.
 * Where the door is node:http, which cannot share a port, the first thread's is the only one. Runs on the main thread.
 */

import { EngineError } from '../core/errors.ts';
import { assertOwnRecords, type AppendRecords } from '../core/own-records.ts';
import type { Fault } from '../threads/fault.ts';
import type { IngressToMain } from '../threads/messages.ts';
import { IngressSupervisor, type IngressSupervisorOptions } from './ingress-supervisor.ts';

type Listening = Extract<IngressToMain<never, never>, { type: 'listening' }>;

export interface IngressThreadsOptions<Settings, Stats, Recovery> extends Pick<IngressSupervisorOptions<Settings, Stats, Recovery>, 'module' | 'threads' | 'settings' | 'words' | 'clock' | 'stallTimeoutMs' | 'stallsBefore' | 'log' | 'onCosts'> {
  /** Rules of this start, for the first journal. */
  readonly controls: () => readonly Uint8Array[];
  readonly onOpened: (thread: number, recoveries: readonly Recovery[]) => void;
  /** The rules are durable: what is read from now on ends in them. May be told more than once. */
  readonly onBegun: () => void;
  readonly onListening: (thread: number, message: Listening) => void;
  readonly onClosed: (thread: number) => void;
  readonly onStats: (thread: number, stats: Stats) => void;
  readonly onFatal: (error: EngineError) => void;
}

export class IngressThreads<Settings, Stats, Recovery> {
  readonly #options: IngressThreadsOptions<Settings, Stats, Recovery>;
  readonly #threads: readonly IngressSupervisor<Settings, Stats, Recovery>[];
  readonly #opened = new Set<number>();
  /** Those whose door is open. */
  readonly #listening = new Set<number>();
  /** Where the first door listened, once it has; null before. */
  #first: { readonly port: number; readonly door: string } | null = null;

  constructor(options: IngressThreadsOptions<Settings, Stats, Recovery>) {
    this.#options = options;
    this.#threads = Array.from({ length: options.threads }, (_, thread) => this.#supervisor(thread));
  }

  get restarts(): number {
    return this.#threads.reduce((sum, { restarts }) => sum + restarts, 0);
  }

  /** `provenOffsets`: by journal, the highest that a flushed checkpoint covers. */
  start(provenOffsets: readonly number[]): void {
    for (const thread of this.#threads) thread.start(provenOffsets);
  }

  /** False when a thread did not leave in time. */
  async drain(deadlineMs: number): Promise<boolean> {
    const left = await Promise.all(this.#threads.map((thread) => thread.drain(deadlineMs)));
    return left.every(Boolean);
  }

  /** Through the first thread whose door is open. */
  readonly appendRecords: AppendRecords = async (source, records) => {
    assertOwnRecords(records);
    const thread = this.#open[0];
    if (thread === undefined) throw noneOpen();
    return thread.appendRecords(source, records);
  };

  /** What doors have read from files. */
  readAgain(): void {
    for (const thread of this.#threads) thread.readAgain();
  }

  /**
   * Journals a control record in the first journal that takes it; resolves once it is durable. Rejects as {@link appendRecords} does, with what the
   * last thread said. It may be durable in a journal that failed as well: whoever writes one has to mean the same by two.
   */
  readonly writeControl = async (bytes: Uint8Array): Promise<void> => {
    let failure: unknown = noneOpen();
    for (const thread of this.#open) {
      try {
        await thread.control(bytes);
        return;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  };

  /** For fault tests. */
  fault(thread: number, how: Fault): void {
    this.#threads[thread]?.fault(how);
  }

  /** Those that answer: one whose door is not open yet takes neither records nor controls. */
  get #open(): readonly IngressSupervisor<Settings, Stats, Recovery>[] {
    return this.#threads.filter((_, number) => this.#listening.has(number));
  }

  #supervisor(thread: number): IngressSupervisor<Settings, Stats, Recovery> {
    const { module, threads, settings, words, clock, stallTimeoutMs, stallsBefore, log, onOpened, onListening, onClosed, onStats, onBegun, onCosts, onFatal } = this.#options;
    return new IngressSupervisor<Settings, Stats, Recovery>({
      module,
      thread,
      threads,
      settings,
      words,
      clock,
      stallTimeoutMs,
      stallsBefore,
      log,
      onCosts,
      onFatal,
      onOpened: ({ recoveries }) => {
        onOpened(thread, recoveries);
        this.#opened.add(thread);
        this.#beginWhoMay();
      },
      onBegun: () => {
        if (thread === 0) onBegun();
      },
      onListening: (message) => {
        this.#first ??= { port: message.port, door: message.door };
        this.#listening.add(thread);
        onListening(thread, message);
        this.#beginWhoMay();
      },
      onClosed: () => {
        this.#listening.delete(thread);
        onClosed(thread);
      },
      onStats: (stats) => {
        onStats(thread, stats);
      },
    });
  }

  /** Those that do not wait take no notice. */
  #beginWhoMay(): void {
    if (this.#opened.size < this.#threads.length) return;
    const port = this.#first?.port ?? 0;
    // From then on the port is this process's, also in a moment in which none of its doors listens.
    const joins = this.#first !== null;
    this.#threads.forEach((supervisor, thread) => {
      if (thread === 0) supervisor.begin({ controls: this.#options.controls(), port, joins });
      else if (this.#first !== null && this.#first.door === 'uws') supervisor.begin({ controls: [], port, joins });
    });
  }
}

const noneOpen = (): EngineError => new EngineError('DOOR_CLOSED', 'no ingress thread is open', { fix: 'try again in a moment' });
