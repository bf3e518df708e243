/** What is to be delivered later, earliest first: a binary heap of a few numbers per delivery, bounded. Pure. */

import type { Part } from './message.ts';

/** Chosen: an hour of resends at a million messages a minute. Beyond it resends are left out, on every machine alike. */
const SIZE_MAX = 1_000_000;

export interface Delivery {
  readonly dueAtMs: number;
  readonly action: number;
  readonly baseMs: number;
  readonly part: Part;
  /** 1 for the first sending. */
  readonly attempt: number;
}

export class Schedule {
  readonly #heap: Delivery[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** When the earliest is due; Infinity when there is none. */
  get nextDueMs(): number {
    return this.#heap[0]?.dueAtMs ?? Infinity;
  }

  /** False when it is full. */
  add(delivery: Delivery): boolean {
    const heap = this.#heap;
    if (heap.length >= SIZE_MAX) return false;
    let at = heap.length;
    heap.push(delivery);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!isBefore(delivery, heap[parent] as Delivery)) break;
      heap[at] = heap[parent] as Delivery;
      at = parent;
    }
    heap[at] = delivery;
    return true;
  }

  take(): Delivery | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Delivery, heap[child] as Delivery)) child++;
      if (!isBefore(heap[child] as Delivery, last)) break;
      heap[at] = heap[child] as Delivery;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

/** A total order, so that the heap's shape never shows. */
function isBefore(a: Delivery, b: Delivery): boolean {
  if (a.dueAtMs !== b.dueAtMs) return a.dueAtMs < b.dueAtMs;
  if (a.action !== b.action) return a.action < b.action;
  if (a.part !== b.part) return a.part === 'primary';
  return a.attempt < b.attempt;
}
