import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeadlineQueue, type Deadlined } from '../../../ingress/http/deadlines.ts';

class Item implements Deadlined {
  before: Deadlined | null = null;
  after: Deadlined | null = null;
  dueAtSweep = 0;
  readonly #onExpired: () => void;

  constructor(onExpired: () => void) {
    this.#onExpired = onExpired;
  }

  expired(): void {
    this.#onExpired();
  }
}

describe('deadlines', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('pass never early and at most an eighth late', () => {
    const queue = new DeadlineQueue(800);
    for (const startMs of [0, 1, 50, 99]) {
      const addedMs = Date.now() + startMs;
      vi.advanceTimersByTime(startMs);
      let expiredMs = 0;
      queue.add(new Item(() => (expiredMs = Date.now())));
      vi.advanceTimersByTime(1_000);
      expect(expiredMs - addedMs).toBeGreaterThanOrEqual(800);
      expect(expiredMs - addedMs).toBeLessThanOrEqual(900);
    }
    queue.stop();
  });

  it('pass in order of arrival, without those that have left: first, last, in between, or twice', () => {
    const queue = new DeadlineQueue(800);
    const passed: number[] = [];
    const items = [0, 1, 2, 3, 4, 5].map((index) => new Item(() => passed.push(index)));
    for (const item of items) queue.add(item);
    for (const index of [0, 2, 5, 2]) queue.remove(items[index] as Item);
    vi.advanceTimersByTime(1_000);
    expect(passed).toEqual([1, 3, 4]);
    queue.stop();
  });

  it('allow an item to come back, and another to leave while one passes', () => {
    const queue = new DeadlineQueue(80);
    const passed: string[] = [];
    const second = new Item(() => passed.push('second'));
    const first: Item = new Item(() => {
      passed.push('first');
      queue.remove(second);
      if (passed.length === 1) queue.add(first);
    });
    queue.add(first);
    queue.add(second);
    vi.advanceTimersByTime(300);
    expect(passed).toEqual(['first', 'first']);
    queue.stop();
  });

  it('keep no timer once nothing waits, and pass in time for what comes afterwards', () => {
    const queue = new DeadlineQueue(800);
    expect(vi.getTimerCount()).toBe(0);
    const gone = new Item(() => undefined);
    queue.add(gone);
    queue.remove(gone);
    vi.advanceTimersByTime(1_000);
    expect(vi.getTimerCount()).toBe(0);
    const addedMs = Date.now();
    let expiredMs = 0;
    queue.add(new Item(() => (expiredMs = Date.now())));
    vi.advanceTimersByTime(2_000);
    expect(expiredMs - addedMs).toBeGreaterThanOrEqual(800);
    expect(expiredMs - addedMs).toBeLessThanOrEqual(900);
    expect(vi.getTimerCount()).toBe(0);
  });
});
