/** Wiring of a pool task: one lake slot's rows, read again from the journal and encoded to Parquet files in the spool. */

import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import { encodeSlotToSpool, type SlotFiles } from '../sinks/lake/index.ts';
import type { SlotId, SlotShare } from './core/lake-slot.ts';
import { openLogLookup, createRecordCursor } from './log/index.ts';

/** Plain data: crosses to a pool thread. */
export interface SlotTask {
  readonly slot: SlotId;
  readonly shares: readonly SlotShare[];
  readonly journalDirectory: string;
  readonly spoolDirectory: string;
  readonly rowsPerFile: number;
}

export default function encode(task: SlotTask): Promise<SlotFiles> {
  const lookup = openLogLookup({ directory: task.journalDirectory });
  const cursor = createRecordCursor();
  return encodeSlotToSpool({ ...task, pipeline: appsflyerPipeline, lookup, cursor }).finally(() => {
    lookup.close();
  });
}
