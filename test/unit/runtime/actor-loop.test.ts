/** The loop's checkpoints, what they say of the log, and when it begins to report. What it folds and tells is tried by the simulation. */

import { describe, expect, it } from 'vitest';
import type { LogBatch } from '../../../engine/core/log.ts';
import type { OrderedStore } from '../../../engine/core/store.ts';
import { partitionId, type Epoch, type Offset } from '../../../engine/core/types.ts';
import { ActorLoop, type PartitionActor } from '../../../engine/runtime/actor-loop.ts';
import { memoryStore } from '../../../engine/state/index.ts';
import type { ActorToMain } from '../../../engine/threads/messages.ts';
import { PROGRESS_WORDS, Progress } from '../../../engine/threads/progress.ts';

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const STEP_MS = 10;

interface LoopTest {
  readonly loop: ActorLoop;
  readonly posted: ActorToMain[];
  /** Partitions in the order in which they were asked for a checkpoint, with the time. */
  readonly taken: { readonly partition: number; readonly atMs: number }[];
  /** Partitions whose checkpoint was committed. */
  readonly committed: number[];
  readonly words: { stopping: boolean };
  readonly nowMs: () => number;
  /** Offsets of the batches that were folded. */
  readonly folded: readonly number[];
  /** One more batch is durable. */
  readonly receive: (records: boolean) => void;
}

/** A loop over partitions that always have something to save, and a log of `batches`, each of which takes a millisecond. A wait for work takes {@link STEP_MS}. */
function loopOver(partitions: number, checkpointIntervalMs: number, storeOf: (partition: number) => Partial<OrderedStore> = () => ({}), batches = 0): LoopTest {
  let nowMs = 0;
  let position = 0;
  const folded: number[] = [];
  const posted: ActorToMain[] = [];
  const taken: { partition: number; atMs: number }[] = [];
  const committed: number[] = [];
  let isRecord = false;
  let durable = batches;
  const words = { stopping: false, wakeCount: 0, wake: () => undefined, waitForWake: async () => {
    nowMs += STEP_MS;
    await turn();
  } };
  const entries = Array.from({ length: partitions }, (_, id) => {
    const store = Object.assign(memoryStore([]), { commit: () => Promise.resolve() }, storeOf(id));
    const actor = {
      id: partitionId(id),
      offsets: [0 as Offset],
      batchSequence: -1,
      sequence: 0,
      hasChanges: true,
      isMidReport: false,
      owesAnswer: false,
      fold: (batch: { readonly offset: number }) => {
        nowMs++;
        folded.push(batch.offset);
      },
      checkpointPressure: 0,
      checkpoint: () => {
        taken.push({ partition: id, atMs: nowMs });
        return { operations: [], offsets: [500 as Offset], epoch: taken.length as Epoch };
      },
      checkpointCommitted: () => void committed.push(id),
      checkpointFailed: () => undefined,
      settled: () => undefined,
      report: () => ({ partition: id, cells: [] }),
      takeShares: () => [],
      pendingSlotOffsets: () => [300 as Offset],
      stats: () => ({}),
    } as unknown as PartitionActor;
    return { actor, store };
  });
  const loop = new ActorLoop({
    partitions: entries,
    openLog: () => ({
      get positions() {
        return [position as Offset];
      },
      read: () => (position < durable ? ({ offset: position, sequence: position++, receivedAtMs: 0, slices: isRecord ? [{ partition: -1 }] : [] } as unknown as LogBatch) : null),
      close: () => undefined,
    }),
    cursor: {} as never,
    words: words,
    progress: new Progress(new Int32Array(PROGRESS_WORDS)),
    post: (message) => void posted.push(message),
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    emitIntervalMs: 25,
    checkpointIntervalMs,
    checkpointBytesMax: 1,
  });
  loop.onMessage({ type: 'go', durable: [batches], settled: [], finalUpToMs: 0 });
  return { loop, posted, taken, committed, words, nowMs: () => nowMs, folded, receive: (records) => {
    isRecord = records;
    durable++;
  } };
}

const until = async (isMet: () => boolean): Promise<void> => {
  for (let turns = 0; !isMet(); turns++) {
    if (turns > 10_000) throw new Error('it never comes to that');
    await turn();
  }
};

describe('an actor loop', () => {
  it('checkpoints its partitions in turn, one at a time, each once in the interval', async () => {
    let [inFlight, inFlightMax] = [0, 0];
    const store = (partition: number): Partial<OrderedStore> => ({
      commit: async () => {
        inFlightMax = Math.max(inFlightMax, ++inFlight);
        // One takes longer than the time between two checkpoints.
        for (let turns = 0; turns < (partition === 1 ? 15 : 1); turns++) await turn();
        inFlight--;
      },
    });
    const { loop, taken, words, nowMs, receive } = loopOver(4, 400, store);
    const running = loop.run();
    for (let atMs = 0; atMs < 1_700; atMs += 100) {
      await until(() => nowMs() >= atMs);
      receive(true);
    }
    const inTurn = [...taken];
    words.stopping = true;
    await running;
    expect(inTurn.map(({ partition }) => partition)).toEqual(inTurn.map((_, index) => index % 4));
    expect(inTurn.length).toBeGreaterThan(11);
    expect(inFlightMax).toBe(1);
    const times = inTurn.filter(({ partition }) => partition === 0).map(({ atMs }) => atMs);
    const pausesMs = times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0));
    for (const pauseMs of pausesMs) expect(Math.abs(pauseMs - 400)).toBeLessThanOrEqual(5 * STEP_MS);
  });

  it('reports nothing before it has replayed to the durable end that it was given, however long that takes', async () => {
    const { loop, posted, words, folded } = loopOver(1, 1_000_000, () => ({}), 300);
    const running = loop.run();
    await until(() => posted.some(({ type }) => type === 'report'));
    expect(folded.length).toBe(300);
    expect(posted.find((message) => message.type === 'report')).toMatchObject({ complete: true });
    words.stopping = true;
    await running;
  });

  it('saves each partition once after the last record, then six times as seldom until the next one', async () => {
    const { loop, taken, words, nowMs, receive } = loopOver(4, 400);
    const running = loop.run();
    receive(true);
    // Ticks change nothing of it.
    for (let atMs = 0; atMs < 5_300; atMs += 100) {
      await until(() => nowMs() >= atMs);
      receive(false);
    }
    expect(taken.filter(({ atMs }) => atMs <= 500).map(({ partition }) => partition)).toEqual([0, 1, 2, 3]);
    const quiet = taken.filter(({ atMs }) => atMs > 500);
    expect(quiet.length).toBeGreaterThanOrEqual(6);
    for (const [index, { atMs }] of quiet.entries()) if (index > 0) expect(Math.abs(atMs - (quiet[index - 1]?.atMs ?? 0) - 600)).toBeLessThanOrEqual(3 * STEP_MS);
    const [before, atMs] = [taken.length, nowMs()];
    receive(true);
    await until(() => nowMs() >= atMs + 450);
    const after = taken.slice(before).map(({ partition }) => partition);
    words.stopping = true;
    await running;
    expect(after.length).toBeGreaterThanOrEqual(4);
    expect(new Set(after).size).toBe(4);
  });

  it('tells what the log must keep once a checkpoint is flushed, and not when it is committed', async () => {
    let flush: () => void = () => undefined;
    const flushed = new Promise<void>((resolve) => (flush = resolve));
    const { loop, posted, committed, words } = loopOver(1, 100, () => ({ flushed: () => flushed }));
    const running = loop.run();
    await until(() => committed.length > 0);
    for (let turns = 0; turns < 50; turns++) await turn();
    expect(committed).toEqual([0]);
    expect(posted.filter(({ type }) => type === 'flushed')).toEqual([]);
    flush();
    await until(() => posted.some(({ type }) => type === 'flushed'));
    // A slot that is not spooled needs more of the log than the checkpoint does.
    expect(posted.find(({ type }) => type === 'flushed')).toEqual({ type: 'flushed', partition: 0, offsets: [500], needed: [300] });
    words.stopping = true;
    await running;
  });

  it('checkpoints every partition before it ends, when it is told to stop', async () => {
    const flushed: number[] = [];
    const closed: number[] = [];
    const { loop, taken, committed, words } = loopOver(3, 1_000_000, (partition) => ({
      flushed: async () => void flushed.push(partition),
      close: async () => void closed.push(partition),
    }));
    const running = loop.run();
    for (let turns = 0; turns < 20; turns++) await turn();
    expect(taken).toEqual([]);
    words.stopping = true;
    await running;
    expect({ committed, flushed, closed }).toEqual({ committed: [0, 1, 2], flushed: [0, 1, 2], closed: [0, 1, 2] });
  });
});
