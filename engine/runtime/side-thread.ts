/**
 * A thread beside the pipeline (the Pull poller): started anew after growing pauses when it dies, for nothing else waits for it.
 *
 * One that says it cannot start because of what the user must mend (`failed`) is left alone. Main thread.
 */

import { EngineError, messageOf } from '../core/errors.ts';
import { Thread } from '../threads/worker.ts';

export interface SideThreadOptions<In> {
  readonly name: string;
  readonly module: URL;
  /** Plain data. */
  readonly start: unknown;
  readonly onMessage: (message: In) => void;
  /** It has ended without being asked to, and comes back after the pause. */
  readonly onDeath: (error: EngineError, pauseMs: number) => void;
}

const PAUSE_MIN_MS = 1_000;
const PAUSE_MAX_MS = 60_000;
/** One that has lived so long was well. */
const STEADY_MS = 60_000;
const TERMINATE_MS = 1_000;

export class SideThread<Out, In> {
  readonly #options: SideThreadOptions<In>;
  #thread: Thread<Out, In> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #pauseMs = PAUSE_MIN_MS;
  #stopping = false;
  restarts = 0;

  constructor(options: SideThreadOptions<In>) {
    this.#options = options;
  }

  start(): void {
    const { name, module, start, onMessage } = this.#options;
    const startedMs = performance.now();
    this.#thread = new Thread<Out, In>(name, module, start, {
      onMessage,
      onExit: ({ error }) => {
        this.#thread = null;
        if (!this.#stopping) this.#ended(error, performance.now() - startedMs);
      },
    });
  }

  get isRunning(): boolean {
    return this.#thread !== null;
  }

  /** What is posted to a thread that is not there is lost. */
  post(message: Out, transfer: readonly ArrayBuffer[] = []): void {
    this.#thread?.post(message, transfer);
  }

  /** It is not started again. */
  giveUp(): void {
    this.#stopping = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** Asks it to leave by `message`, and ends it when it has not by then. */
  async stop(message: Out, deadlineMs: number): Promise<void> {
    this.giveUp();
    const thread = this.#thread;
    if (thread === null) return;
    thread.expectExit();
    thread.post(message);
    if (!(await thread.exitedWithin(deadlineMs))) await thread.terminate(TERMINATE_MS);
  }

  #ended(error: Error | null, livedMs: number): void {
    if (livedMs > STEADY_MS) this.#pauseMs = PAUSE_MIN_MS;
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(PAUSE_MAX_MS, 2 * pauseMs);
    this.restarts++;
    this.#options.onDeath(new EngineError('THREAD_DIED', `the ${this.#options.name} thread ended: ${error === null ? 'no reason given' : messageOf(error)}`, { cause: error }), pauseMs);
    this.#timer = setTimeout(() => {
      if (!this.#stopping) this.start();
    }, pauseMs);
  }
}
