/**
 * The only door to piscina: a small pool for CPU bursts off the hot path (Parquet encoding), never for actors.
 *
 * A thread in which a task has failed is not used again: a WebAssembly instance that has trapped, and a module whose import has failed, stay as
 * they are for as long as their thread lives. Piscina names no thread to its caller, so all of them are replaced.
 */

import { Piscina } from 'piscina';

export interface Pool<Task, Result> {
  run(task: Task): Promise<Result>;
  close(): Promise<void>;
}

export interface PoolOptions {
  /** Its default export takes a task. */
  readonly module: URL;
  readonly threads: number;
  readonly queuedMax: number;
  readonly memoryMbMax: number;
}

interface Threads<Task, Result> {
  readonly piscina: Piscina<Task, Result>;
  /** Tasks that have not ended. */
  running: number;
  /** Why a thread could not start. */
  failure: unknown;
}

export function createPool<Task, Result>(options: PoolOptions): Pool<Task, Result> {
  const leaving = new Set<Threads<Task, Result>>();
  const start = (): Threads<Task, Result> => {
    const started = { piscina: newPiscina<Task, Result>(options), running: 0, failure: null as unknown };
    // A thread that cannot start tells no task: without this they would wait in the queue for ever.
    started.piscina.on('error', (error: unknown) => {
      started.failure = error;
      void started.piscina.destroy();
    });
    return started;
  };
  let threads = start();

  const leaveIfIdle = (left: Threads<Task, Result>): void => {
    if (left.running === 0 && leaving.delete(left)) void left.piscina.destroy();
  };
  const replace = (failed: Threads<Task, Result>): void => {
    if (failed !== threads) return;
    leaving.add(failed);
    threads = start();
  };

  return {
    run: async (task) => {
      const used = threads;
      used.running++;
      try {
        return await used.piscina.run(task);
      } catch (error) {
        replace(used);
        throw used.failure ?? error;
      } finally {
        used.running--;
        leaveIfIdle(used);
      }
    },
    close: async () => {
      await Promise.all([threads, ...leaving].map(({ piscina }) => piscina.destroy()));
    },
  };
}

const newPiscina = <Task, Result>({ module, threads, queuedMax, memoryMbMax }: PoolOptions): Piscina<Task, Result> =>
  new Piscina({
    filename: module.href,
    minThreads: 0,
    maxThreads: threads,
    maxQueue: queuedMax,
    idleTimeout: 30_000,
    concurrentTasksPerWorker: 1,
    resourceLimits: { maxOldGenerationSizeMb: memoryMbMax },
  });
