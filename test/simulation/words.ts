/** The words that threads share, without threads: those of the journals as they are, and a wait is a timer of the world. */

import type { LogOrder } from '../../engine/core/log.ts';
import type { LoopWords } from '../../engine/runtime/actor-loop.ts';
import { journalOrder } from '../../engine/threads/log-order.ts';
import { SharedWords } from '../../engine/threads/shared-words.ts';
import type { World } from './world.ts';

/** A promise of its own for each wait: one for all would keep whatever ever waited for it. */
export const forever = (): Promise<void> => new Promise(() => undefined);

export class Words implements LoopWords {
  readonly journals: SharedWords;
  stopping = false;
  wakeCount = 0;
  #waiting: (() => void)[] = [];
  readonly #world: World;

  constructor(world: World, journals: number) {
    this.#world = world;
    this.journals = SharedWords.create(1, journals);
  }

  wake(): void {
    this.wakeCount++;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  waitForWake(seen: number, timeoutMs: number): Promise<void> {
    if (this.wakeCount !== seen) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#world.schedule(timeoutMs, resolve);
      this.#waiting.push(() => {
        cancel();
        resolve();
      });
    });
  }
}

/** The words as one thread sees them: once it is dead, no wait of it ends. */
export function wordsOf(words: Words, isAlive: () => boolean): LoopWords {
  return {
    get stopping() {
      return words.stopping;
    },
    get wakeCount() {
      return words.wakeCount;
    },
    wake: () => {
      words.wake();
    },
    waitForWake: async (seen, timeoutMs) => {
      await words.waitForWake(seen, timeoutMs);
      if (!isAlive()) await forever();
    },
  };
}

/** The order as one ingress thread takes part in it: what it does once it is dead changes no word. */
export function orderOf(words: Words, journal: number, isAlive: () => boolean): LogOrder {
  const order = journalOrder(words.journals, journal);
  return {
    raise: (key, runningTimeMs) => {
      if (isAlive()) order.raise(key, runningTimeMs);
    },
    take: (nowUs) => (isAlive() ? order.take(nowUs) : nowUs),
    runningTime: (ownMs) => (isAlive() ? order.runningTime(ownMs) : ownMs),
    settled: () => {
      if (isAlive()) order.settled();
    },
  };
}
