/** Wiring of the Pull poller on the main thread: starts its thread, takes its rows to the journal and its questions to the lake, and keeps its figures. */

import type { BackfillRequest, IdentityFacts, KnownQuestion, PullFigures, PullOptions } from '../ingress/pull/index.ts';
import { EngineError, type Answered } from './core/errors.ts';
import type { AppendRecords } from './core/own-records.ts';
import { RecordSource } from './core/record.ts';
import type { PullStart } from './pull-thread.ts';
import type { Logger } from './runtime/logger.ts';
import { PendingAnswers } from './runtime/pending-answers.ts';
import { SideThread } from './runtime/side-thread.ts';
import type { MainToPull, PullToMain } from './threads/pull-messages.ts';

export interface PullServiceOptions {
  readonly options: PullOptions;
  readonly identity: IdentityFacts;
  readonly dataDirectory: string;
  readonly stateFile: string;
  readonly directory: string;
  readonly reserveBytes: number;
  readonly append: AppendRecords;
  readonly known: (question: KnownQuestion) => Promise<Uint8Array | null>;
  readonly log: Logger;
}

const NO_FIGURES: PullFigures = { jobs: [], backfills: [], alarms: [] };

export class PullService {
  readonly #options: PullServiceOptions;
  readonly #thread: SideThread<MainToPull<BackfillRequest>, PullToMain<PullFigures, KnownQuestion>>;
  readonly #begun = new PendingAnswers<{ readonly keys: readonly string[] }>();
  #figures = NO_FIGURES;
  #failure: string | null = null;

  constructor(options: PullServiceOptions) {
    this.#options = options;
    const start: PullStart = { options: options.options, identity: options.identity, dataDirectory: options.dataDirectory, stateFile: options.stateFile, directory: options.directory, reserveBytes: options.reserveBytes };
    this.#thread = new SideThread({
      name: 'pull',
      module: new URL('./pull-thread.js', import.meta.url),
      start,
      onMessage: (message) => {
        this.#receive(message);
      },
      onDeath: (error, pauseMs) => {
        this.#begun.failAll(error);
        options.log.error({ code: error.code, pauseMs }, `${error.message}; it is started again`);
      },
    });
  }

  start(): void {
    this.#thread.start();
  }

  stop(deadlineMs: number): Promise<void> {
    this.#begun.failAll(new EngineError('NOT_READY', 'the daemon is shutting down'));
    return this.#thread.stop({ type: 'stop' }, deadlineMs);
  }

  get figures(): PullFigures {
    return this.#figures;
  }

  get restarts(): number {
    return this.#thread.restarts;
  }

  get alarms(): readonly string[] {
    return this.#failure === null ? this.#figures.alarms : [`pull: ${this.#failure}`];
  }

  /** Resolves with the keys of its parts in {@link figures}, once it is remembered. Rejects with QUERY_INVALID, NOT_READY or THREAD_DIED. */
  async backfill(request: BackfillRequest): Promise<readonly string[]> {
    if (!this.#thread.isRunning) throw new EngineError('NOT_READY', 'the Pull poller is being started', { fix: 'try again in a moment' });
    const { keys } = await this.#begun.ask((id) => {
      this.#thread.post({ type: 'backfill', id, request });
    });
    return keys;
  }

  #receive(message: PullToMain<PullFigures, KnownQuestion>): void {
    switch (message.type) {
      case 'append':
        void this.#append(message);
        break;
      case 'known':
        void this.#known(message.id, message.question);
        break;
      case 'begun':
        this.#begun.settle(message);
        break;
      case 'figures':
        this.#figures = message.figures;
        break;
      case 'log':
        this.#options.log[message.level](message.facts, message.text);
        break;
      case 'failed':
        this.#failure = message.error.message;
        this.#thread.giveUp();
        this.#options.log.error({ code: message.error.code, fix: message.error.fix }, `pull: ${message.error.message}`);
        break;
    }
  }

  async #append({ id, bytes, ends }: Extract<PullToMain<PullFigures, KnownQuestion>, { type: 'append' }>): Promise<void> {
    const records = Array.from(ends, (end, index) => bytes.subarray(index === 0 ? 0 : (ends[index - 1] as number), end));
    const answer = await this.#options.append(RecordSource.pull, records).catch((error: unknown) => ({ error: EngineError.recordOf(error, 'SINK_UNAVAILABLE') }));
    this.#thread.post({ type: 'appended', id, answer });
  }

  async #known(id: number, question: KnownQuestion): Promise<void> {
    const answer: Answered<{ known: Uint8Array | null }> = await this.#options.known(question).then(
      (known) => ({ known }),
      (error: unknown) => ({ error: EngineError.recordOf(error, 'SINK_UNAVAILABLE') }),
    );
    this.#thread.post({ type: 'known', id, answer });
  }
}
