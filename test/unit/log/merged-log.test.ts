import { describe, expect, it } from 'vitest';
import { offset } from '../../../engine/core/types.ts';
import type { JournalBatch } from '../../../engine/log/journal-batch.ts';
import type { OrderedReader } from '../../../engine/log/journal-reader.ts';
import { mergedLog } from '../../../engine/log/merged-log.ts';
import { journalOrder } from '../../../engine/threads/log-order.ts';
import { SharedWords } from '../../../engine/threads/shared-words.ts';
import { seededRandom } from './faulty-disk.ts';

/** Journals of nothing but keys: the batch at offset n is the n-th. */
class KeyJournals {
  readonly words: SharedWords;
  readonly keys: number[][];

  constructor(journals: number) {
    this.words = SharedWords.create(1, journals);
    this.keys = Array.from({ length: journals }, () => []);
  }

  publish(journal: number, key: number): void {
    const keys = this.keys[journal] as number[];
    keys.push(key);
    this.words.setDurable(journal, offset(keys.length));
  }

  reader(journal: number, beforeRead: () => void = () => undefined): OrderedReader {
    const keys = this.keys[journal] as number[];
    let at = 0;
    return {
      read: (durable) => {
        beforeRead();
        if (at >= durable) return null;
        const orderKey = keys[at] as number;
        return { offset: offset(at), endOffset: offset(++at), orderKey, sequence: at - 1, journal: 0 } as unknown as JournalBatch;
      },
      get position() {
        return offset(at);
      },
      close: () => undefined,
    };
  }

  log(nextSequence = 0): ReturnType<typeof mergedLog> {
    return mergedLog({ readers: this.keys.map((_, journal) => this.reader(journal)), words: this.words, nextSequence });
  }
}

const keysOf = (log: ReturnType<typeof mergedLog>): number[] => {
  const keys: number[] = [];
  for (let batch = log.read(); batch !== null; batch = log.read()) keys.push((batch as JournalBatch).orderKey);
  return keys;
};

describe('several journals read as one log', () => {
  it('come in the order of their keys, numbered from where the reader begins, each with its journal', () => {
    const journals = new KeyJournals(3);
    for (const [journal, key] of [[0, 10], [2, 11], [2, 12], [0, 13], [1, 14], [0, 15]] as const) journals.publish(journal, key);
    const log = journals.log(40);
    const batches = Array.from({ length: 6 }, () => {
      const batch = log.read() as JournalBatch;
      return [batch.orderKey, batch.sequence, batch.journal];
    });
    expect(batches).toEqual([[10, 40, 0], [11, 41, 2], [12, 42, 2], [13, 43, 0], [14, 44, 1], [15, 45, 0]]);
    expect(log.read()).toBeNull();
    expect(log.positions).toEqual([3, 1, 2]);
  });

  it('do not wait for a journal that is idle', () => {
    const journals = new KeyJournals(3);
    journals.publish(1, 10);
    expect(keysOf(journals.log())).toEqual([10]);
  });

  it('wait for a batch under way that may come earlier, and for no other', () => {
    const journals = new KeyJournals(2);
    const log = journals.log();
    journals.words.setBusySince(1, 15);
    journals.publish(0, 10);
    journals.publish(0, 20);
    expect(keysOf(log)).toEqual([10]);
    journals.publish(1, 15);
    journals.words.setBusySince(1, 30);
    expect(keysOf(log)).toEqual([15, 20]);
  });

  it('take a batch that was published while they looked', () => {
    const journals = new KeyJournals(2);
    journals.publish(1, 20);
    let isOpen = true;
    const late = journals.reader(0, () => {
      if (!isOpen) return;
      isOpen = false;
      // After the durable offset was read, and before the word is.
      journals.publish(0, 10);
    });
    const log = mergedLog({ readers: [late, journals.reader(1)], words: journals.words, nextSequence: 0 });
    expect(keysOf(log)).toEqual([10, 20]);
  });

  it('say of a batch that waits in the reader that it is still to come', () => {
    const journals = new KeyJournals(2);
    const log = journals.log();
    journals.words.setBusySince(1, 5);
    journals.publish(0, 10);
    expect(log.read()).toBeNull();
    expect(log.positions).toEqual([0, 0]);
  });

  it('are with one journal what that journal holds, with its own numbers', () => {
    const journals = new KeyJournals(1);
    for (const key of [7, 7, 9]) journals.publish(0, key);
    journals.words.setBusySince(0, 1);
    expect(keysOf(journals.log(100))).toEqual([7, 7, 9]);
  });

  it('are the same for readers of any pace, whatever steps of the writers come between', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seededRandom(seed);
      const journals = new KeyJournals(3);
      const writers = journals.keys.map((_, journal) => writerOf(journals, journal, random));
      const readers = [0, 1, 2].map(() => ({ log: journals.log(), keys: [] as number[] }));
      for (let step = 0; step < 400; step++) {
        if (random() < 0.6) (writers[Math.floor(random() * 3)] as Iterator<unknown>).next();
        const { log, keys } = readers[Math.floor(random() * 3)] as (typeof readers)[0];
        const batch = log.read() as JournalBatch | null;
        if (batch !== null) keys.push(batch.orderKey);
      }
      const all = journals.keys.flat().sort((left, right) => left - right);
      expect(new Set(all).size).toBe(all.length);
      for (const { keys } of readers) expect(keys).toEqual(all.slice(0, keys.length));
    }
  });
});

/** A writer whose thread may stand still between any two of its words. Some batches are never published. */
function* writerOf(journals: KeyJournals, journal: number, random: () => number): Generator<undefined> {
  const order = journalOrder(journals.words, journal);
  for (;;) {
    const key = order.take(random() < 0.5 ? 1_000 : Math.floor(random() * 2_000));
    yield;
    if (random() < 0.9) journals.publish(journal, key);
    yield;
    order.settled();
    yield;
  }
}

describe('the order of several journals', () => {
  const take = (words: SharedWords, journal: number, nowUs: number): number => journalOrder(words, journal).take(nowUs);

  it('gives each batch a key of its own, above all before it, and not before the clock', () => {
    const words = SharedWords.create(1, 2);
    expect([take(words, 0, 100), take(words, 1, 100), take(words, 0, 50), take(words, 1, 1_000)]).toEqual([100, 101, 102, 1_000]);
  });

  it('begins above what any journal held, and never goes back', () => {
    const words = SharedWords.create(1, 2);
    journalOrder(words, 0).raise(500, 7);
    journalOrder(words, 1).raise(400, 9);
    expect(take(words, 1, 10)).toBe(501);
    expect(journalOrder(words, 0).runningTime(8)).toBe(9);
    expect(journalOrder(words, 0).runningTime(12)).toBe(12);
  });

  it('shows the key of a batch under way until it is settled', () => {
    const words = SharedWords.create(1, 2);
    const order = journalOrder(words, 1);
    const key = order.take(77);
    expect([words.busySince(0), words.busySince(1)]).toEqual([0, key]);
    order.settled();
    expect(words.busySince(1)).toBe(0);
  });

  it('keeps the lower key of a batch that failed and may come back', () => {
    const words = SharedWords.create(1, 2);
    const order = journalOrder(words, 0);
    const failed = order.take(100);
    order.take(200);
    expect(words.busySince(0)).toBe(failed);
  });
});

