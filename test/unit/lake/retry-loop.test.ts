import { describe, expect, test } from 'vitest';
import { RetryLoop } from '../../../sinks/lake/retry-loop.ts';
import { inLanes } from '../../../sinks/lake/lanes.ts';

/** Timers run when the test says so. */
class ManualWorld {
  nowMs = 0;
  readonly delays: number[] = [];
  #timer: (() => void) | null = null;

  monotonicMs(): number {
    return this.nowMs;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    this.delays.push(delayMs);
    this.#timer = callback;
    return () => {
      this.#timer = null;
    };
  }

  random(): number {
    return 1;
  }

  async fire(): Promise<void> {
    const timer = this.#timer;
    this.#timer = null;
    timer?.();
    await settle();
  }
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
};

function loopOf(step: () => Promise<boolean>): { loop: RetryLoop; world: ManualWorld } {
  const world = new ManualWorld();
  return { world, loop: new RetryLoop({ step, world, backoffMinMs: 100, backoffMaxMs: 350, onFailure: () => undefined }) };
}

describe('the retry loop', () => {
  test('works as long as there is work, then sleeps until it is woken', async () => {
    let left = 3;
    let steps = 0;
    const { loop } = loopOf(async () => {
      steps++;
      return left-- > 0;
    });
    loop.start();
    await settle();
    expect(steps).toBe(4);
    left = 1;
    loop.wake();
    await settle();
    expect(steps).toBe(6);
    await loop.close();
  });

  test('a wake during a step that finds nothing is not lost', async () => {
    let steps = 0;
    const { loop } = loopOf(async () => {
      if (++steps === 1) loop.wake();
      return false;
    });
    loop.start();
    await settle();
    expect(steps).toBe(2);
    await loop.close();
  });

  test('backs off further with each failure up to the bound, keeps to its pause when woken, and starts anew after a success', async () => {
    let failing = true;
    let steps = 0;
    const { loop, world } = loopOf(async () => {
      steps++;
      if (failing) throw new Error('away');
      return false;
    });
    loop.start();
    await settle();
    for (let round = 0; round < 3; round++) {
      loop.wake();
      await settle();
      await world.fire();
    }
    expect({ delays: world.delays, steps }).toEqual({ delays: [100, 200, 350, 350], steps: 4 });
    expect(loop).toMatchObject({ healthy: false, failures: 4, lastError: 'away' });
    failing = false;
    await world.fire();
    expect(loop).toMatchObject({ healthy: true, lastError: null });
    failing = true;
    loop.wake();
    await settle();
    expect(world.delays.at(-1)).toBe(100);
    await loop.close();
  });

  test('close ends a pause at once and waits for the step under way', async () => {
    let finish = (): void => undefined;
    const { loop } = loopOf(() => new Promise((resolve) => (finish = () => resolve(true))));
    loop.start();
    await settle();
    let closed = false;
    const closing = loop.close().then(() => (closed = true));
    await settle();
    expect(closed).toBe(false);
    finish();
    await closing;
    const { loop: failing } = loopOf(async () => {
      throw new Error('away');
    });
    failing.start();
    await settle();
    await failing.close();
  });
});

describe('lanes', () => {
  test('run at most so many at once, and all', async () => {
    let running = 0;
    let most = 0;
    const done: number[] = [];
    await inLanes([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
      most = Math.max(most, ++running);
      await settle();
      running--;
      done.push(item);
    });
    expect(most).toBe(3);
    expect(done.sort()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test('after a failure nothing further begins, and what runs ends before it is raised', async () => {
    const began: number[] = [];
    let ended = 0;
    const all = inLanes([1, 2, 3, 4, 5], 2, async (item) => {
      began.push(item);
      if (item === 1) throw new Error('first');
      await settle();
      ended++;
    });
    await expect(all).rejects.toThrow('first');
    expect({ began, ended }).toEqual({ began: [1, 2], ended: 1 });
  });
});
