/** Wiring of one actor thread: state files, partitions of the AppsFlyer pipeline, journal reader, actor loop. */

import { join } from 'node:path';
import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import { PARTITION_TABLES, PagePool, Partition, ValueTable } from '../actors/partition/index.ts';
import { systemClock } from './core/clock.ts';
import { EngineError } from './core/errors.ts';
import type { OrderedStore } from './core/store.ts';
import { partitionId } from './core/types.ts';
import { createRecordCursor, openMergedLog } from './log/index.ts';
import { resourcesFrom, type RuleSources } from './rule-sources.ts';
import { ActorLoop, partitionFile } from './runtime/actor-loop.ts';
import { beatingStore } from './runtime/beating-store.ts';
import { openStore } from './state/index.ts';
import type { ActorStart, ActorToMain, MainToActor } from './threads/messages.ts';
import { giveWay, Niceness } from './threads/niceness.ts';
import { Stage } from './threads/progress.ts';
import { SharedWords } from './threads/shared-words.ts';
import { heapBytes, insideThread } from './threads/worker.ts';

/** Everything an actor thread needs to know, plain data. */
export interface ActorSettings {
  /** By journal. */
  readonly journalDirectories: readonly string[];
  readonly stateDirectory: string;
  readonly instance: string;
  readonly partitionCount: number;
  readonly emitIntervalMs: number;
  readonly checkpointIntervalMs: number;
  readonly ruleSources: RuleSources;
  /** Per partition. */
  readonly dedupeMemoryBytesMax: number;
  /** The rules of the checkpoints hold for every record, whatever the log says. */
  readonly areRulesFixed: boolean;
}

const CHECKPOINT_BYTES_MAX = 8 * 1024 * 1024;

const { start, post, onMessage, close } = insideThread<ActorStart<ActorSettings>, ActorToMain, MainToActor>();
const { settings, lane } = start;
const words = new SharedWords(start.words);

async function run(): Promise<void> {
  giveWay(Niceness.actor);
  const poison = new Set(start.poison.map((name) => name.join(':')));
  const current = words.current(start.thread);
  const progress = words.progress(start.thread);
  const dedupePages = new PagePool();
  const values = new ValueTable();
  const resources = resourcesFrom(settings.ruleSources);
  const partitions = Array.from({ length: lane.count }, (_, at) => {
    const id = partitionId(lane.first + at);
    progress.enter(Stage.opening);
    const store: OrderedStore = openStore({ path: join(settings.stateDirectory, partitionFile(id)), tables: PARTITION_TABLES });
    progress.enter(Stage.restoring);
    const actor = Partition.open({
      id,
      partitionCount: settings.partitionCount,
      instance: settings.instance,
      pipeline: appsflyerPipeline,
      resources,
      store: beatingStore(store, progress),
      dedupeMemoryBytesMax: settings.dedupeMemoryBytesMax,
      areRulesFixed: settings.areRulesFixed,
      dedupePages,
      values,
      current,
      isPoison: (batchSequence, index) => poison.size > 0 && poison.has(`${batchSequence}:${index}`),
    });
    return { actor, store };
  });
  const loop = new ActorLoop({
    partitions,
    openLog: (from, nextSequence) => openMergedLog({ directories: settings.journalDirectories, lane, from, nextSequence, words }),
    cursor: createRecordCursor(),
    words,
    progress,
    post,
    clock: systemClock,
    figures: () => ({ heapBytes: heapBytes(), sightings: appsflyerPipeline.sightings?.counts() ?? {} }),
    emitIntervalMs: settings.emitIntervalMs,
    checkpointIntervalMs: settings.checkpointIntervalMs,
    checkpointBytesMax: CHECKPOINT_BYTES_MAX,
  });
  onMessage((message) => {
    loop.onMessage(message);
  });
  await loop.run();
  post({ type: 'stopped' });
  close();
}

run().catch((error: unknown) => {
  if (error instanceof EngineError) post({ type: 'failed', error: error.toRecord() });
  // A bug ends the thread with its stack; the supervisor starts it again from its checkpoint.
  setImmediate(() => {
    throw error;
  });
});
