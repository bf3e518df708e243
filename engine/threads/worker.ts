/**
 * The only door to worker_threads: starts a thread from a built module, types its messages, and ends it for certain.
 *
 * A thread is asked to stop by a flag and a message, never killed in the middle of a store transaction. One that does not leave
 * within a deadline is terminated; one that survives that cannot be helped from inside the process.
 */

import { getHeapStatistics } from 'node:v8';
import { Worker, isMainThread, parentPort, threadId, workerData } from 'node:worker_threads';
import { assert } from '../core/types.ts';
import { limitHeapGrowthAtFirst } from './heap-growth.ts';

export { isMainThread, threadId };

/** Short-lived objects of a busy thread die before they are copied: with V8's own 48 MB its helpers took 13 us of CPU an event at peak. Chosen. */
const YOUNG_GENERATION_MB = 96;

export interface ThreadHandlers<In> {
  readonly onMessage: (message: In) => void;
  /** Called once, however the thread ended. `expected` after {@link Thread.expectExit}. */
  readonly onExit: (end: { readonly expected: boolean; readonly error: Error | null }) => void;
}

/** Bytes of the calling thread's heap, free pages in it included, and of the buffers that it holds outside. */
export function heapBytes(): number {
  const { total_heap_size: heap, external_memory: outside } = getHeapStatistics();
  return heap + outside;
}

/** What {@link endThreads} needs of the threads that have not ended. */
const running = new Set<{ readonly isTerminable: boolean; terminate(deadlineMs: number): Promise<boolean> }>();

export const areThreadsRunning = (): boolean => running.size > 0;

/**
 * Before the process ends: terminates every thread. False when one is left that cannot be ended, or may not be: `process.exit` would
 * then hang, or abort.
 */
export async function endThreads(deadlineMs: number): Promise<boolean> {
  const ended = await Promise.all([...running].filter((thread) => thread.isTerminable).map((thread) => thread.terminate(deadlineMs)));
  return ended.every(Boolean) && running.size === 0;
}

export class Thread<Out, In> {
  readonly name: string;
  /** False while the thread holds what only itself can close: terminating it then aborts the process. */
  isTerminable = true;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #expected = false;
  #ended = false;

  constructor(name: string, module: URL, start: unknown, handlers: ThreadHandlers<In>) {
    this.name = name;
    limitHeapGrowthAtFirst();
    this.#worker = new Worker(module, { workerData: start, name, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB } });
    running.add(this);
    let error: Error | null = null;
    this.#worker.on('message', (message: In) => {
      handlers.onMessage(message);
    });
    this.#worker.on('error', (thrown) => {
      error = thrown instanceof Error ? thrown : new Error(String(thrown));
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        this.#ended = true;
        running.delete(this);
        handlers.onExit({ expected: this.#expected, error });
        resolve();
      });
    });
  }

  post(message: Out, transfer: readonly ArrayBuffer[] = []): void {
    if (!this.#ended) this.#worker.postMessage(message, [...transfer]);
  }

  expectExit(): void {
    this.#expected = true;
  }

  /** True when the thread has ended within `deadlineMs`. */
  async exitedWithin(deadlineMs: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => {
        resolve(this.#ended);
      }, deadlineMs);
    });
    const exited = await Promise.race([this.#exited.then(() => true), late]);
    clearTimeout(timer);
    return exited;
  }

  /** Kills the thread; false when it has not ended `deadlineMs` later (a native call that never returns). */
  async terminate(deadlineMs: number): Promise<boolean> {
    this.#expected = true;
    void this.#worker.terminate();
    return this.exitedWithin(deadlineMs);
  }
}

/** The thread's heap was full, whatever it was at. */
export const isOutOfMemory = (error: Error | null): boolean => error !== null && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';

/** The inside of a thread: its start data and the port to its parent. */
export function insideThread<Start, Out, In>(): { start: Start; post: (message: Out, transfer?: readonly ArrayBuffer[]) => void; onMessage: (handler: (message: In) => void) => void; close: () => void } {
  const port = parentPort;
  assert(port !== null, 'this module runs as a worker thread only');
  return {
    start: workerData as Start,
    post: (message, transfer = []) => {
      port.postMessage(message, [...transfer]);
    },
    onMessage: (handler) => {
      port.on('message', handler);
    },
    close: () => {
      port.close();
    },
  };
}
