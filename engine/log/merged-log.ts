/**
 * Several journals read as one log: their batches in the order of the keys that their writers took (merge.md).
 *
 * Guarantees: every reader at any time sees the same batches in the same order, whichever journal is idle, and never waits for an idle
 * one. With one journal it is that journal's reader and nothing else. Any thread, one owner.
 *
 * Hot path: 2 K batches a second, at most 2 µs a batch beside its reading; bench/micro/replay.ts.
 */

import type { Disk } from '../core/disk.ts';
import type { LogReader, LogStream } from '../core/log.ts';
import type { Offset } from '../core/types.ts';
import type { JournalBatch, Lane } from './journal-batch.ts';
import { openLogReader, type OrderedReader } from './journal-reader.ts';

/** What the writers publish. */
export interface MergeWords {
  durableOf(journal: number): Offset;
  /** 0, or no more than the key of any batch that is not published yet. */
  busySince(journal: number): number;
}

export interface MergedLogOptions {
  /** By journal; owned from here on. */
  readonly readers: readonly OrderedReader[];
  readonly words: MergeWords;
  /** The number that the first batch has among all. */
  readonly nextSequence: number;
}

export interface MergedLogPlace {
  /** By journal. */
  readonly directories: readonly string[];
  readonly lane: Lane;
  /** By journal, the next batch to read; the beginning where there is no entry. */
  readonly from: readonly Offset[];
  readonly words: MergeWords;
  readonly nextSequence: number;
  readonly readAheadBytes?: number;
  readonly disk?: Disk;
}

/** Raises what opening a reader does. */
export function openMergedLog({ directories, from, words, nextSequence, ...shared }: MergedLogPlace): LogStream {
  const readers: OrderedReader[] = [];
  try {
    directories.forEach((directory, journal) => readers.push(openLogReader({ ...shared, directory, from: from[journal] ?? (0 as Offset) })));
  } catch (error) {
    for (const reader of readers) reader.close();
    throw error;
  }
  return mergedLog({ readers, words, nextSequence });
}

export const mergedLog = (options: MergedLogOptions): LogStream => (options.readers.length === 1 ? new SingleLog(options) : new MergedLog(options));

class SingleLog implements LogStream {
  readonly #reader: LogReader;
  readonly #words: MergeWords;

  constructor({ readers, words }: MergedLogOptions) {
    this.#reader = readers[0] as LogReader;
    this.#words = words;
  }

  read(): ReturnType<LogReader['read']> {
    return this.#reader.read(this.#words.durableOf(0));
  }

  get positions(): readonly Offset[] {
    return [this.#reader.position];
  }

  close(): void {
    this.#reader.close();
  }
}

export class MergedLog implements LogStream {
  readonly #readers: readonly OrderedReader[];
  readonly #words: MergeWords;
  /** By journal: its next batch where that is durable, in its reader's own buffer. */
  readonly #heads: (JournalBatch | null)[];
  /** By journal: up to where its reader has looked for a batch. */
  readonly #looked: Offset[];
  #nextSequence: number;

  constructor({ readers, words, nextSequence }: MergedLogOptions) {
    this.#readers = readers;
    this.#words = words;
    this.#heads = readers.map(() => null);
    this.#looked = readers.map(() => 0 as Offset);
    this.#nextSequence = nextSequence;
  }

  read(): JournalBatch | null {
    for (;;) {
      const journal = this.#lowest();
      if (journal < 0) return null;
      const head = this.#heads[journal] as JournalBatch;
      const standing = this.#standingOf(head.orderKey);
      if (standing === 'wait') return null;
      // A batch has come meanwhile: it may be the earlier one.
      if (standing === 'look-again') continue;
      this.#heads[journal] = null;
      head.journal = journal;
      head.sequence = this.#nextSequence++;
      return head;
    }
  }

  get positions(): readonly Offset[] {
    return this.#readers.map((reader, journal) => this.#heads[journal]?.offset ?? reader.position);
  }

  close(): void {
    for (const reader of this.#readers) reader.close();
  }

  /** The journal whose next batch has the lowest key; -1 when none has one. */
  #lowest(): number {
    let lowest = -1;
    let lowestKey = Infinity;
    for (let journal = 0; journal < this.#readers.length; journal++) {
      let head = this.#heads[journal] as JournalBatch | null;
      if (head === null) {
        const durable = this.#words.durableOf(journal);
        head = (this.#readers[journal] as OrderedReader).read(durable);
        this.#heads[journal] = head;
        this.#looked[journal] = durable;
      }
      if (head !== null && head.orderKey < lowestKey) {
        lowest = journal;
        lowestKey = head.orderKey;
      }
    }
    return lowest;
  }

  /** Whether a journal without a next batch may still get one below `key`. The word is read before the durable offset: a writer sets them the other way round. */
  #standingOf(key: number): 'next' | 'wait' | 'look-again' {
    for (let journal = 0; journal < this.#readers.length; journal++) {
      if (this.#heads[journal] !== null) continue;
      const busySince = this.#words.busySince(journal);
      if (busySince !== 0 && busySince <= key) return 'wait';
      if (this.#words.durableOf(journal) !== this.#looked[journal]) return 'look-again';
    }
    return 'next';
  }
}
