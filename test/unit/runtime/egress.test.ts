import { describe, expect, it } from 'vitest';
import { Merge, type MergeLimits } from '../../../actors/merge/index.ts';
import { CellKind, cellMapKey, type CellName, type PartialCell } from '../../../engine/core/cell.ts';
import { packMessage } from '../../../engine/core/codec.ts';
import type { MergeOutput } from '../../../engine/core/feed.ts';
import { Egress } from '../../../engine/runtime/egress.ts';
import type { MainToActor } from '../../../engine/threads/messages.ts';
import { partial, report, schema, StoreModel } from '../merge/helpers.ts';

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Egress over a real merge, with one partition to a thread, a store that writes when told, and time that passes when told. */
class Harness {
  readonly outputs: MergeOutput[] = [];
  readonly posted: MainToActor[][];
  readonly store = new StoreModel();
  readonly merge: Merge;
  readonly egress: Egress;
  /** Writes wait for {@link write}. */
  holds = false;
  /** That a report takes of this thread. */
  acceptMs = 0;
  /** A write keeps the thread for so long before it waits for the disk. */
  workMs = 0;
  workedMs = 0;
  /** Until when what is written may be taken back by a power cut. */
  flushing: Promise<void> = Promise.resolve();
  #nowMs = 0;
  #timers: { readonly atMs: number; readonly callback: () => void }[] = [];
  #write: (() => void) | null = null;

  constructor(threads: number, limits: Partial<MergeLimits> = {}) {
    this.posted = Array.from({ length: threads }, () => []);
    this.merge = new Merge({ schema, partitionCount: threads, exists: this.store.exists, limits });
    const accept = this.merge.accept.bind(this.merge);
    this.merge.accept = (reported) => {
      this.#nowMs += this.acceptMs;
      accept(reported);
    };
    this.egress = new Egress({
      merge: this.merge,
      store: {
        apply: async (output) => {
          this.#nowMs += this.workMs;
          this.workedMs += this.workMs;
          if (this.holds) await new Promise<void>((resolve) => (this.#write = resolve));
          this.outputs.push(output);
          this.store.apply(output);
        },
        flushed: () => this.flushing,
        settledSequences: () => this.outputs.at(-1)?.settledSequences ?? new Map<number, number>(),
        finalUpToMs: () => 0,
      },
      actors: () => this.posted.map((messages, thread) => ({ lane: { first: thread, count: 1 }, post: (message) => messages.push(message) })),
      clock: { nowMs: () => this.#nowMs, monotonicMs: () => this.#nowMs },
      schedule: (delayMs, callback) => {
        const timer = { atMs: this.#nowMs + delayMs, callback };
        this.#timers.push(timer);
        return () => (this.#timers = this.#timers.filter((other) => other !== timer));
      },
      intervalMs: 25,
      onFault: (error) => {
        throw error;
      },
      onFatal: (error) => {
        throw error;
      },
      onReady: () => undefined,
    });
    for (let thread = 0; thread < threads; thread++) this.egress.recovering(thread);
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  report(thread: number, sequence: number, cells: readonly PartialCell[], change: { complete?: boolean; more?: boolean; answered?: readonly number[] } = {}): void {
    this.egress.report(thread, { type: 'report', reports: packMessage([report(thread, sequence, cells)]), answered: change.answered ?? [], complete: change.complete ?? false, more: change.more ?? false, oldestReceivedAtMs: 0 });
  }

  /** Lets time pass, timer by timer. */
  async pass(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    for (;;) {
      this.#timers.sort((left, right) => left.atMs - right.atMs);
      const next = this.#timers[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#timers.shift();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
      await turn();
    }
    this.#nowMs = Math.max(this.#nowMs, endMs);
  }

  async write(): Promise<void> {
    this.holds = false;
    this.#write?.();
    await turn();
  }

  /** What the thread was sent since the last call. */
  taken(thread: number, type: MainToActor['type']): MainToActor[] {
    const messages = this.posted[thread] as MainToActor[];
    return messages.splice(0).filter((message) => message.type === type);
  }

  get writtenCount(): number {
    return this.outputs.reduce((sum, output) => sum + output.changed.length, 0);
  }
}

/** Threads that have a report of changes ready whenever they may send one, and answer what is asked of them; rows of a day that are stored, so that each must be asked for. */
class BusyThreads {
  readonly harness: Harness;
  readonly #cellsPerReport: number;
  readonly #owed: { readonly requestId: number; readonly names: readonly CellName[] }[][];
  readonly #sequences: number[];
  #next = 0;
  pendingMax = 0;

  constructor(threads: number, cellsPerReport: number, limits: Partial<MergeLimits>) {
    this.harness = new Harness(threads, limits);
    this.#cellsPerReport = cellsPerReport;
    this.#owed = Array.from({ length: threads }, () => []);
    this.#sequences = Array.from({ length: threads }, () => 1);
    for (let thread = 0; thread < threads; thread++) this.harness.report(thread, 1, [], { complete: true });
  }

  /** One turn of each thread, and some time. */
  async turn(deaf: readonly number[] = []): Promise<void> {
    for (let thread = 0; thread < this.#owed.length; thread++) {
      if (!deaf.includes(thread)) this.#turnOf(thread, (this.harness.posted[thread] as MainToActor[]).splice(0));
      this.pendingMax = Math.max(this.pendingMax, this.harness.merge.pendingCount);
    }
    await this.harness.pass(30);
  }

  /** The thread is gone, with what it was sent, and has recovered with nothing to tell. */
  replace(thread: number): void {
    this.harness.egress.recovering(thread);
    this.harness.taken(thread, 'credit');
    (this.#owed[thread] as unknown[]).length = 0;
  }

  recovered(thread: number): void {
    this.harness.report(thread, this.#sequences[thread] as number, [], { complete: true });
  }

  #turnOf(thread: number, messages: readonly MainToActor[]): void {
    const owed = this.#owed[thread] as { requestId: number; names: readonly CellName[] }[];
    for (const message of messages) if (message.type === 'request') owed.push(message);
    const credit = messages.find((message) => message.type === 'credit');
    if (credit === undefined) return;
    const answers = owed.flatMap(({ names }) => names).map((name) => partial({ ...name, revision: 1 }));
    const changes = credit.answersOnly ? [] : Array.from({ length: this.#cellsPerReport }, () => this.#changed(thread));
    this.harness.report(thread, this.#sequences[thread] as number, [...answers, ...changes], { answered: owed.splice(0).map(({ requestId }) => requestId) });
  }

  #changed(thread: number): PartialCell {
    const cell = partial({ kind: CellKind.day, dimensions: `d${this.#next++}\u001fDE`, revision: ++(this.#sequences[thread] as number) });
    this.harness.store.cells.set(cellMapKey(cell), { ...cell, revision: this.#owed.length, final: false, updatedAtMs: 0 });
    return cell;
  }
}

const cells = (count: number, change: Partial<PartialCell> = {}): PartialCell[] => Array.from({ length: count }, (_, index) => partial({ dimensions: `c${index}\u001fDE`, ...change }));

describe('egress', () => {
  it('writes a backlog of several outputs without another report', async () => {
    const harness = new Harness(1, { outputCellsMax: 10 });
    harness.report(0, 1, cells(100), { complete: true });
    await harness.pass(500);
    expect(harness.writtenCount).toBe(100);
    expect(harness.egress.ready).toBe(true);
  });

  it('is ready once the store holds the last piece of every recovery', async () => {
    const harness = new Harness(2);
    harness.report(0, 4, [], { complete: true });
    harness.report(1, 0, cells(3));
    expect(harness.taken(1, 'credit')).toHaveLength(1);
    harness.report(1, 0, cells(6));
    await harness.pass(500);
    expect(harness.outputs).toEqual([]);
    harness.holds = true;
    harness.report(1, 7, cells(9), { complete: true });
    await harness.pass(100);
    expect(harness.egress.ready).toBe(false);
    await harness.write();
    expect(harness.egress.ready).toBe(true);
    expect(harness.store.cells.size).toBe(9);
    expect(harness.outputs[0]?.settledSequences).toEqual(new Map([[0, 4], [1, 7]]));
  });

  it('is not ready while a part of what a recovery has told waits for another output', async () => {
    const harness = new Harness(1, { outputCellsMax: 4 });
    harness.report(0, 9, cells(10), { complete: true });
    const readyAfter: [written: number, ready: boolean][] = [];
    for (let step = 0; step < 20 && !harness.egress.ready; step++) {
      harness.holds = true;
      await harness.pass(25);
      readyAfter.push([harness.writtenCount, harness.egress.ready]);
      await harness.write();
    }
    expect(readyAfter.filter(([written]) => written < 10).length).toBeGreaterThan(0);
    expect(readyAfter.filter(([written, ready]) => ready && written < 10)).toEqual([]);
    expect(harness.egress.ready).toBe(true);
  });

  it('tells the threads what is settled once the store has flushed it, and not when it is written', async () => {
    const harness = new Harness(1);
    let flush: () => void = () => undefined;
    harness.flushing = new Promise<void>((resolve) => (flush = resolve));
    await harness.pass(1_000);
    harness.report(0, 5, cells(1), { complete: true });
    await harness.pass(1_000);
    expect(harness.outputs).toHaveLength(1);
    expect(harness.taken(0, 'settled')).toEqual([]);
    flush();
    await turn();
    expect(harness.taken(0, 'settled')).toEqual([{ type: 'settled', settled: [{ partition: 0, sequence: 5 }], finalUpToMs: 0 }]);
  });

  /** Share of the thread that egress takes for `overMs` while a thread has a report of changes ready whenever it may send one. */
  async function shareOfThread(workMs: number, overMs: number): Promise<number> {
    const harness = new Harness(1);
    harness.report(0, 1, cells(1), { complete: true });
    await harness.pass(100);
    harness.taken(0, 'credit');
    harness.workMs = workMs;
    const startMs = harness.nowMs;
    let sequence = 1;
    while (harness.nowMs < startMs + overMs) {
      await harness.pass(1);
      for (let credits = harness.taken(0, 'credit').length; credits > 0; credits--) {
        sequence++;
        harness.report(0, sequence, [partial({ dimensions: `c${sequence}\u001fDE`, revision: sequence })]);
      }
      if (sequence === 1) harness.report(0, ++sequence, [partial({ dimensions: 'first\u001fDE', revision: sequence })]);
    }
    expect(harness.workedMs).toBeGreaterThan(100);
    return harness.workedMs / (harness.nowMs - startMs);
  }

  it('rests as long as its work asks for, so that it stays under a quarter of its thread', async () => {
    expect(await shareOfThread(20, 4_000)).toBeLessThan(0.25);
  });

  it('rests from long work as long as that took, so that what has changed is seen sooner and half of its thread is left', async () => {
    const share = await shareOfThread(300, 12_000);
    expect(share).toBeLessThanOrEqual(0.5);
    expect(share).toBeGreaterThan(0.4);
  });

  it('writes once what a thread tells in several messages, and credits all but the last of them at once', async () => {
    const harness = new Harness(1);
    harness.report(0, 1, [], { complete: true });
    await harness.pass(100);
    harness.taken(0, 'credit');
    for (let part = 2; part <= 4; part++) {
      harness.report(0, part, cells(1, { revision: part }), { more: true });
      expect(harness.taken(0, 'credit')).toHaveLength(1);
      await harness.pass(30);
    }
    expect(harness.writtenCount).toBe(0);
    harness.report(0, 5, cells(1, { revision: 5 }));
    expect(harness.taken(0, 'credit')).toHaveLength(0);
    await harness.pass(100);
    expect(harness.writtenCount).toBe(1);
    expect(harness.taken(0, 'credit')).toHaveLength(1);
  });

  it('writes what a thread has told that does not go on', async () => {
    const harness = new Harness(2);
    for (const thread of [0, 1]) harness.report(thread, 1, [], { complete: true });
    await harness.pass(100);
    harness.report(0, 2, cells(3, { revision: 2 }), { more: true });
    await harness.pass(400);
    expect(harness.writtenCount).toBe(0);
    await harness.pass(200);
    expect(harness.writtenCount).toBe(3);
  });

  it('does not rest from what a recovery has cost before it is ready, nor afterwards', async () => {
    const harness = new Harness(1, { outputCellsMax: 10 });
    harness.acceptMs = 1_000;
    harness.report(0, 1, cells(100), { complete: true });
    await harness.pass(500);
    expect(harness.egress.ready).toBe(true);
    harness.acceptMs = 0;
    harness.report(0, 2, cells(1, { revision: 2 }));
    await harness.pass(100);
    expect(harness.writtenCount).toBe(101);
  });

  it('lets threads rest again once it is ready', async () => {
    const harness = new Harness(1);
    harness.report(0, 1, cells(1));
    expect(harness.taken(0, 'credit')).toMatchObject([{ urgent: true }]);
    harness.report(0, 1, cells(1), { complete: true });
    await harness.pass(100);
    harness.taken(0, 'credit');
    harness.report(0, 2, cells(1, { revision: 2 }));
    await harness.pass(100);
    expect(harness.taken(0, 'credit')).toMatchObject([{ urgent: false }]);
  });

  it('writes all of a backlog when it closes', async () => {
    const harness = new Harness(1, { outputCellsMax: 10 });
    harness.report(0, 1, cells(100), { complete: true });
    await harness.egress.close();
    expect(harness.writtenCount).toBe(100);
  });

  it('takes no more reports while the merge is full, but answers, for which it waits', async () => {
    const threads = new BusyThreads(3, 20, { requestCellsMax: 5, pendingCellsMax: 100 });
    for (let turns = 0; turns < 300; turns++) await threads.turn();
    expect(threads.pendingMax).toBeGreaterThanOrEqual(100);
    expect(threads.pendingMax).toBeLessThan(100 + 3 * 20);
    expect(threads.harness.writtenCount).toBeGreaterThan(1_000);
  });

  it('gets out of a full merge though a thread dies that owes an answer', async () => {
    const threads = new BusyThreads(2, 20, { requestCellsMax: 5, pendingCellsMax: 40 });
    for (let turns = 0; turns < 20; turns++) await threads.turn([1]);
    threads.replace(1);
    const { writtenCount } = threads.harness;
    // Nothing is asked while a partition recovers, so that nothing is left to wait for but the end of that.
    for (let turns = 0; turns < 20; turns++) await threads.turn([1]);
    expect(threads.harness.merge.full).toBe(true);
    threads.recovered(1);
    for (let turns = 0; turns < 100; turns++) await threads.turn();
    expect(threads.harness.writtenCount).toBeGreaterThan(writtenCount + 200);
    expect(threads.pendingMax).toBeLessThan(40 + 2 * 20);
  });

  it('takes the pieces of a recovery though the merge is full', async () => {
    const harness = new Harness(2, { pendingCellsMax: 5 });
    harness.report(0, 1, cells(20), { complete: true });
    expect(harness.taken(0, 'credit')).toEqual([]);
    harness.report(1, 0, cells(20));
    expect(harness.taken(1, 'credit')).toEqual([{ type: 'credit', answersOnly: false, urgent: true }]);
    harness.report(1, 1, [], { complete: true });
    await harness.pass(100);
    expect(harness.writtenCount).toBe(20);
    for (const thread of [0, 1]) expect(harness.taken(thread, 'credit')).toEqual([{ type: 'credit', answersOnly: false, urgent: false }]);
  });

  it('credits a report that came while the store wrote only once it is written, though the thread was replaced meanwhile', async () => {
    const harness = new Harness(1);
    harness.report(0, 1, [], { complete: true });
    await harness.pass(100);
    harness.holds = true;
    harness.report(0, 2, cells(1));
    await harness.pass(100);
    harness.egress.recovering(0);
    harness.report(0, 3, cells(1, { revision: 3 }), { complete: true });
    harness.taken(0, 'credit');
    await harness.write();
    expect(harness.taken(0, 'credit')).toEqual([]);
    await harness.pass(100);
    expect(harness.store.cells.get(cellMapKey(partial({ dimensions: 'c0\u001fDE' })))?.revision).toBe(3);
    expect(harness.taken(0, 'credit')).toHaveLength(1);
  });
});
