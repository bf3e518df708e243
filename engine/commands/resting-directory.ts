/** What a command that restates cells asks of a data directory: nobody runs there, all that the journal holds is counted, and there is room for copies. */

import { join } from 'node:path';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { PARTITION_TABLES, restingState } from '../../actors/partition/index.ts';
import { EngineError } from '../core/errors.ts';
import type { Rules } from '../core/rules.ts';
import { partitionId } from '../core/types.ts';
import { partitionFile } from '../runtime/actor-loop.ts';
import { directoriesOf, freeBytes, journalsOf, readInstance, wasClosedCleanly, type InstanceFacts } from '../runtime/data-directory.ts';
import { bytesOf } from '../runtime/savepoint.ts';
import { openStore } from '../state/index.ts';
import { endsOf, openLive } from './fold-journal.ts';

const MIB = 1024 ** 2;

/** Raises DATA_DIR_UNUSABLE where there is none. */
export function restingFacts(path: string): InstanceFacts {
  const facts = readInstance(path);
  if (facts === null) throw new EngineError('DATA_DIR_UNUSABLE', `${path} holds no data directory`, { fix: 'set data_dir (MILLRACE_DATA_DIR)' });
  return facts;
}

export function refuseUncleanEnd(path: string): void {
  if (!wasClosedCleanly(path)) throw new EngineError('DATA_DIR_UNUSABLE', `the daemon of ${path} did not end by itself the last time`, { where: { path }, fix: 'start it and stop it again, so that all it has taken is saved' });
}

/** For copies of all state. */
export async function refuseWithoutSpace(path: string, { reserveBytes, what }: { readonly reserveBytes: number; readonly what: string }): Promise<void> {
  const { state, live } = directoriesOf(path);
  const needed = (await bytesOf(state)) + (await bytesOf(live));
  if (freeBytes(path) - needed < reserveBytes) throw new EngineError('DISK_FULL', `${what} takes up to ${Math.ceil(needed / MIB)} MiB, and less than that is free above disk.reserve_bytes`, { where: { path }, fix: 'free space' });
}

const fileOf = (path: string, id: number): string => join(directoriesOf(path).state, partitionFile(id));

/** How far a partition of a directory that nobody runs has come; null before its first checkpoint. */
export async function restingPartition(path: string, facts: InstanceFacts, id: number): Promise<ReturnType<typeof restingState>> {
  const store = openStore({ path: fileOf(path, id), tables: PARTITION_TABLES });
  const resting = restingState({ id: partitionId(id), partitionCount: facts.partitionCount, instance: facts.instance, pipeline: appsflyerPipeline, store });
  await store.close();
  return resting;
}

/** State, live store and journal must be of one moment. The rules at it; null before the first. */
export async function refuseUnlessAtEnd(path: string, facts: InstanceFacts): Promise<Rules | null> {
  const ends = endsOf(journalsOf(path));
  const { live, store: liveFile } = openLive(path, facts, 1);
  let rules: Rules | null = null;
  try {
    for (let id = 0; id < facts.partitionCount; id++) {
      const resting = await restingPartition(path, facts, id);
      const isAtEnd = ends.every((end, journal) => (resting?.offsets[journal] ?? 0) >= end) && (live.settledSequences().get(id) ?? 0) === (resting?.sequence ?? 0);
      if (!isAtEnd) throw new EngineError('DATA_DIR_UNUSABLE', `partition ${id} has not counted all that the journal holds`, { where: { file: fileOf(path, id) }, fix: 'start the daemon, and stop it once /v1/pipeline shows no lag' });
      rules ??= resting?.rules ?? null;
    }
  } finally {
    await liveFile.close();
  }
  return rules;
}
