/**
 * The order of several journals' batches, in shared words: what makes one log of them (log/merge.md argues why).
 *
 * Guarantees: no two batches get the same key, and a later one a higher; from before a key is taken until its batch is published, the
 * journal's word says that something with no lower key may still come. Each ingress thread owns the word of its own journal.
 */

import type { LogOrder } from '../core/log.ts';
import type { SharedWords } from './shared-words.ts';

const LAST_KEY = 0;
const RUNNING_TIME = 1;

export function journalOrder(words: SharedWords, journal: number): LogOrder {
  const order = words.order;
  return {
    raise: (key, runningTimeMs) => {
      raiseTo(order, LAST_KEY, BigInt(key));
      raiseTo(order, RUNNING_TIME, BigInt(runningTimeMs));
    },
    take: (nowUs) => {
      const isHeld = words.busySince(journal) !== 0;
      let last = Atomics.load(order, LAST_KEY);
      // Before the key is taken: whoever sees the word at rest after this can only have a lower key than ours.
      if (!isHeld) words.setBusySince(journal, Number(last) + 1);
      for (;;) {
        const next = Math.max(nowUs, Number(last) + 1);
        const found = Atomics.compareExchange(order, LAST_KEY, last, BigInt(next));
        if (found === last) {
          // A batch that failed before this one and may come back holds the word at its own, lower key.
          if (!isHeld) words.setBusySince(journal, next);
          return next;
        }
        last = found;
      }
    },
    runningTime: (ownMs) => Number(raiseTo(order, RUNNING_TIME, BigInt(ownMs))),
    settled: () => {
      words.setBusySince(journal, 0);
    },
  };
}

/** The word's value after it. */
function raiseTo(order: BigInt64Array, at: number, value: bigint): bigint {
  for (let found = Atomics.load(order, at); ; ) {
    if (found >= value) return found;
    const before = Atomics.compareExchange(order, at, found, value);
    if (before === found) return value;
    found = before;
  }
}
