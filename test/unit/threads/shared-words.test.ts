import { describe, expect, it } from 'vitest';
import { SharedWords } from '../../../engine/threads/shared-words.ts';
import type { Offset } from '../../../engine/core/types.ts';

describe('the shared words', () => {
  it('let a thread that waits do other work, and wake it', async () => {
    const words = SharedWords.create(1);
    const other = new SharedWords(words.buffer);
    const done: string[] = [];
    setTimeout(() => {
      done.push('other work');
      other.wake();
    }, 5);
    await words.waitForWake(words.wakeCount, 20_000);
    done.push('woken');
    expect(done).toEqual(['other work', 'woken']);
  });

  it('do not wait when a wake came after the last look, nor beyond the time given', async () => {
    const words = SharedWords.create(1);
    const seen = words.wakeCount;
    words.wake();
    await words.waitForWake(seen, 20_000);
    await words.waitForWake(words.wakeCount, 1);
    expect(words.wakeCount).toBe(seen + 1);
  });

  it('hold offsets beyond 32 bits whole, a writer each', () => {
    const words = SharedWords.create(2);
    const other = new SharedWords(words.buffer);
    words.setDurable(0, (2 ** 52 + 1) as Offset);
    words.setNeeded(0, (2 ** 40 + 3) as Offset);
    expect([other.durableOf(0), other.neededOf(0), other.stopping, other.diskReserveExhausted]).toEqual([2 ** 52 + 1, 2 ** 40 + 3, false, false]);
    words.diskReserveExhausted = true;
    expect([other.stopping, other.diskReserveExhausted]).toEqual([false, true]);
    other.requestStop();
    expect([words.stopping, words.wakeCount]).toEqual([true, 1]);
  });
});
