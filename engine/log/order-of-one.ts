/** The order of a journal that is the only one: keys of the writer's own, and its own running time. */

import type { LogOrder } from '../core/log.ts';

export function orderOfOne(): LogOrder {
  let last = 0;
  return {
    raise: (key) => {
      last = Math.max(last, key);
    },
    take: (nowUs) => (last = Math.max(nowUs, last + 1)),
    runningTime: (ownMs) => ownMs,
    settled: () => undefined,
  };
}
