/** The words that threads share, without threads: a wait is a timer of the world. */

import type { Offset } from '../../engine/core/types.ts';
import { offset } from '../../engine/core/types.ts';
import type { LoopWords } from '../../engine/runtime/actor-loop.ts';
import type { World } from './world.ts';

/** A promise of its own for each wait: one for all would keep whatever ever waited for it. */
export const forever = (): Promise<void> => new Promise(() => undefined);

export class Words implements LoopWords {
  durableOffset: Offset = offset(0);
  stopping = false;
  wakeCount = 0;
  #waiting: (() => void)[] = [];
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
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
    get durableOffset() {
      return words.durableOffset;
    },
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
