/**
 * The only door to piscina: a small pool for CPU bursts off the hot path (Parquet encoding), never for actors.
 */

import { Piscina } from 'piscina';

export interface Pool<Task, Result> {
  run(task: Task): Promise<Result>;
  readonly queued: number;
  close(): Promise<void>;
}

export function createPool<Task, Result>(options: { readonly module: URL; readonly threads: number; readonly queuedMax: number; readonly memoryMbMax: number }): Pool<Task, Result> {
  const piscina = new Piscina<Task, Result>({
    filename: options.module.href,
    minThreads: 0,
    maxThreads: options.threads,
    maxQueue: options.queuedMax,
    idleTimeout: 30_000,
    concurrentTasksPerWorker: 1,
    resourceLimits: { maxOldGenerationSizeMb: options.memoryMbMax },
  });
  return {
    run: (task) => piscina.run(task),
    get queued() {
      return piscina.queueSize;
    },
    close: () => piscina.destroy(),
  };
}
