import { describe, expect, it } from 'vitest';
import { EngineError } from '../../../engine/core/errors.ts';
import type { MergeOutput } from '../../../engine/core/feed.ts';
import type { Offset } from '../../../engine/core/types.ts';
import { partitionId } from '../../../engine/core/types.ts';
import { ActorLoop, type PartitionActor } from '../../../engine/runtime/actor-loop.ts';
import { Egress } from '../../../engine/runtime/egress.ts';
import { memoryStore } from '../../../engine/state/index.ts';
import { PROGRESS_WORDS, Progress } from '../../../engine/threads/progress.ts';

const stuck = new EngineError('STATE_STUCK', 'a transaction has not settled');
const refused = new EngineError('STATE_WRITE_FAILED', 'the disk said no');
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Egress over a merge that always has an output, and a store that fails as told. */
function egressOver(fail: { apply?: () => Error | null; flush?: () => Error | null }) {
  let nowMs = 0;
  let due: (() => void) | null = null;
  const told = { faults: [] as unknown[], fatal: [] as EngineError[], settled: 0 };
  const egress = new Egress({
    merge: {
      accept: () => undefined,
      recovering: () => undefined,
      complete: () => undefined,
      partition: () => ({ sequence: 0 }),
      ready: true,
      hasPending: false,
      takes: () => 'all',
      answered: () => undefined,
      drain: () => ({ changed: [] }) as unknown as MergeOutput,
      settled: () => {
        told.settled++;
      },
      takeRequests: () => null,
    },
    store: {
      apply: async () => {
        const error = fail.apply?.() ?? null;
        if (error !== null) throw error;
      },
      flushed: async () => {
        const error = fail.flush?.() ?? null;
        if (error !== null) throw error;
      },
      settledSequences: () => new Map(),
      finalUpToMs: () => 0,
    },
    actors: () => [{ lane: { first: 0, count: 1 }, post: () => undefined }],
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    schedule: (_delayMs, callback) => {
      due = callback;
      return () => {
        due = null;
      };
    },
    intervalMs: 25,
    onFault: (error) => told.faults.push(error),
    onFatal: (error) => told.fatal.push(error),
    onReady: () => undefined,
  });
  const cycle = async (): Promise<void> => {
    nowMs += 2_000;
    const callback = due;
    due = null;
    callback?.();
    for (let turns = 0; turns < 5; turns++) await turn();
  };
  egress.report(0, { type: 'report', reports: Uint8Array.of(0x90), answered: [], complete: true, more: false, oldestReceivedAtMs: 0 });
  return { cycle, told };
}

describe('a store that takes no transaction any more', () => {
  it('ends the daemon where egress meets it', async () => {
    const { cycle, told } = egressOver({ apply: () => stuck });
    await cycle();
    expect(told).toEqual({ faults: [], fatal: [stuck], settled: 0 });
  });

  it('ends the daemon where it cannot be flushed', async () => {
    const { cycle, told } = egressOver({ flush: () => stuck });
    await cycle();
    expect(told).toEqual({ faults: [], fatal: [stuck], settled: 1 });
  });

  it('is told apart from one that refuses a transaction, which egress tries again', async () => {
    let failures = 2;
    const { cycle, told } = egressOver({ apply: () => (failures-- > 0 ? refused : null) });
    for (let round = 0; round < 3; round++) await cycle();
    expect(told).toEqual({ faults: [refused, refused], fatal: [], settled: 1 });
  });

  it('ends the actor thread that meets it at a checkpoint, while a refused checkpoint is tried again', async () => {
    const errors = [refused, stuck];
    const store = memoryStore([]);
    store.commit = async () => {
      throw errors.shift() ?? new Error('a third checkpoint');
    };
    const actor = {
      id: partitionId(0),
      offsets: [0 as Offset],
      batchSequence: -1,
      sequence: 0,
      hasChanges: false,
      checkpointPressure: 1,
      checkpoint: () => ({ operations: [], offsets: [0 as Offset], epoch: 1 }),
      checkpointFailed: () => undefined,
      settled: () => undefined,
      report: () => ({ cells: [] }),
      takeShares: () => [],
      stats: () => ({}),
    } as unknown as PartitionActor;
    let nowMs = 0;
    const loop = new ActorLoop({
      partitions: [{ actor, store }],
      openLog: () => ({ positions: [0 as Offset], read: () => null, close: () => undefined }),
      cursor: {} as never,
      words: { stopping: false, wakeCount: 0, wake: () => undefined, waitForWake: turn },
      progress: new Progress(new Int32Array(PROGRESS_WORDS)),
      post: () => undefined,
      clock: { nowMs: () => nowMs, monotonicMs: () => (nowMs += 100) },
      emitIntervalMs: 25,
      checkpointIntervalMs: 1_000,
      checkpointBytesMax: 0,
    });
    loop.onMessage({ type: 'go', durable: [0], settled: [], finalUpToMs: 0 });
    await expect(loop.run()).rejects.toBe(stuck);
    expect(errors).toEqual([]);
  });
});
