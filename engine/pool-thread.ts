/** Wiring of the pool's tasks: a lake slot's rows, read again from the journal and encoded into the spool; one table to Parquet; identities looked for in a file; a file without rows that are erased. */

import { LakeUsers, type LakeUsersOptions } from '../actors/appsflyer/lake-users.ts';
import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import { encodeSlotToSpool, encodeTable, eraseRows, findEventIds, type EncodeSlotJob, type ErasedFile, type SlotFiles, type TableData } from '../sinks/lake/index.ts';
import { openMergedLookup, createRecordCursor } from './log/index.ts';
import type { RuleResources } from './core/rule-resources.ts';
import { resourcesFrom, type RuleSources } from './rule-sources.ts';
import { giveWay, Niceness } from './threads/niceness.ts';

/** Plain data: crosses to a pool thread. */
export interface SlotTask extends EncodeSlotJob {
  readonly type: 'slot';
  /** By journal. */
  readonly journalDirectories: readonly string[];
  readonly rowsPerFile: number;
  readonly ruleSources: RuleSources;
}

export interface TableTask {
  readonly type: 'table';
  readonly table: TableData;
}

export interface FindIdsTask {
  readonly type: 'find-ids';
  readonly file: Uint8Array;
  readonly ids: Uint8Array;
}

export interface EraseTask extends LakeUsersOptions {
  readonly type: 'erase';
  readonly file: Uint8Array;
}

export type PoolTask = SlotTask | TableTask | FindIdsTask | EraseTask;
export type PoolResult = SlotFiles | ErasedFile | Uint8Array;

giveWay(Niceness.pool);

/** Kept from task to task: they all name the same sources, and a file is read once. */
let resources: RuleResources | null = null;

export default function run(task: PoolTask): Promise<PoolResult> {
  switch (task.type) {
    case 'slot':
      return encodeSlotTask(task);
    case 'table':
      return encodeTable(task.table);
    case 'find-ids':
      return findEventIds(task.file, task.ids);
    case 'erase':
      return eraseRows(task.file, new LakeUsers(task));
  }
}

async function encodeSlotTask(task: SlotTask): Promise<SlotFiles> {
  const lookup = openMergedLookup({ directories: task.journalDirectories });
  try {
    resources ??= resourcesFrom(task.ruleSources);
    return await encodeSlotToSpool({ ...task, resources, pipeline: appsflyerPipeline, lookup, cursor: createRecordCursor() });
  } finally {
    lookup.close();
  }
}
