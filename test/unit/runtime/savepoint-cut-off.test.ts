import { expect, it } from 'vitest';
import { partitionId, type Offset } from '../../../engine/core/types.ts';
import { ActorLoop, type PartitionActor } from '../../../engine/runtime/actor-loop.ts';
import { memoryStore } from '../../../engine/state/index.ts';
import type { ActorToMain } from '../../../engine/threads/messages.ts';
import { PROGRESS_WORDS, Progress } from '../../../engine/threads/progress.ts';

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

it('a thread that is to stop ends its savepoint with the copy under way, and says so', async () => {
  const progress = new Progress(new Int32Array(PROGRESS_WORDS));
  const posted: ActorToMain[] = [];
  const copies: string[] = [];
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const partitions = [0, 1, 2].map((id) => {
    const store = memoryStore([]);
    store.copyTo = async (path) => {
      copies.push(path);
      await released;
    };
    store.close = () => (copies.length > id ? released : Promise.resolve());
    return { actor: { id: partitionId(id), offsets: [0 as Offset], batchSequence: -1, sequence: 0 } as unknown as PartitionActor, store };
  });
  const words = { stopping: false, wakeCount: 0, wake: () => undefined, waitForWake: turn };
  const loop = new ActorLoop({
    partitions,
    openLog: () => {
      throw new Error('nothing is read');
    },
    cursor: {} as never,
    words,
    progress,
    post: (message) => posted.push(message),
    clock: { nowMs: () => 0, monotonicMs: () => 0 },
    emitIntervalMs: 25,
    checkpointIntervalMs: 1_000,
    checkpointBytesMax: 1,
  });
  const run = loop.run();
  loop.onMessage({ type: 'ask', id: 7, question: { what: 'savepoint', directory: '/savepoint' } });
  await turn();
  expect([copies, progress.isCopying]).toEqual([['/savepoint/p000.mdb'], true]);
  words.stopping = true;
  release();
  await run;
  expect([copies.length, progress.isCopying]).toEqual([1, false]);
  expect(posted.filter(({ type }) => type === 'answer')).toMatchObject([{ id: 7, error: { code: 'NOT_READY', message: expect.stringContaining('cut off') as string } }]);
});
