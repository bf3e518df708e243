/** What an erasure or a purge has done, as `GET /v1/erasures/<id>` and the file in the lake tell it: counts, and what was not reached. Holds no name of a user. */

import { isPurge, type Erasure, type Purge } from './core/erasure.ts';
import { dateOf } from './core/types.ts';
import type { RewrittenObject } from '../sinks/lake/index.ts';

/** Rewritten files that are listed; all are counted. */
const LISTED_MAX = 200;

/** What left the results, before anything else did. */
export interface PurgedCells {
  readonly removed: number;
  readonly days: readonly PurgedDay[];
}

export interface PurgedDay {
  readonly date: string;
  /** Of the day, its hours, and late ones. */
  readonly cells: number;
  readonly records: number;
  /** Measures that were not 0; a text where it is too large for a number to be exact. */
  readonly sums: Readonly<Record<string, number | string>>;
}

export interface EraseReceipt {
  readonly id: string;
  readonly app_id: string;
  /** Keyed hash of the user, as the journal has it. Of an erasure alone. */
  readonly user?: string;
  /** Of a purge alone, `YYYY-MM-DD`: the first day, and the first one that stays. */
  readonly from?: string;
  readonly to?: string;
  /** Of a purge alone. */
  readonly cells?: PurgedCells;
  readonly asked_at: string;
  done: boolean;
  finished_at: string | null;
  /** What it is at. */
  stage: 'asked' | 'folding' | 'spool' | 'lake' | 'dead letters' | 'done';
  dead_letters: { removed: number };
  lake: {
    files_looked_at: number;
    files_rewritten: number;
    rows_removed: number;
    /** The first of them. */
    rewritten: { readonly name: string; readonly rows_removed: number; readonly was: string; readonly kept_version?: string }[];
  };
  /** Files that had not been uploaded. */
  spool: { rows_removed: number };
  journal: { readonly gone_by: string; readonly note: string };
  not_reached: string[];
}

export interface ReceiptWorld {
  readonly retentionMs: number;
  readonly lakeUrl: string;
}

export function newReceipt(erasure: Erasure, { retentionMs, lakeUrl }: ReceiptWorld): EraseReceipt {
  const { id, scope, atMs } = erasure;
  return {
    id,
    app_id: scope,
    ...(isPurge(erasure) ? { from: dateOf(erasure.days.fromMs), to: dateOf(erasure.days.toMs) } : { user: erasure.user }),
    asked_at: new Date(atMs).toISOString(),
    done: false,
    finished_at: null,
    stage: 'asked',
    dead_letters: { removed: 0 },
    lake: { files_looked_at: 0, files_rewritten: 0, rows_removed: 0, rewritten: [] },
    spool: { rows_removed: 0 },
    journal: { gone_by: new Date(atMs + retentionMs).toISOString(), note: 'what came before is in the journal until it is retired (journal.retention_hours), later only where a lake that is away, a savepoint under way or a full segment holds it; nothing that is shown comes from it' },
    not_reached: [
      'savepoints, shadows until they are dropped (millrace replay ls), and copies of the data directory or of the lake',
      'freed pages of the state files, until something else is written there',
      isPurge(erasure) ? 'records that were counted as other, the app being beyond the limit of distinct values; spend (costs)' : 'rows of the lake that show another id of the user than the one given: they are found by user_id and by what event_properties names',
      ...(lakeUrl.startsWith('s3:') ? ['versions that the bucket keeps of objects: those of rewritten files are named as kept_version, older ones have to be looked for'] : []),
    ],
  };
}

export const newPurgeReceipt = (purge: Purge, cells: PurgedCells, world: ReceiptWorld): EraseReceipt => ({ ...newReceipt(purge, world), cells });

/** Counts a rewritten file for one erasure. */
export function noteRewritten({ lake }: EraseReceipt, { name, etag, keptVersion }: RewrittenObject, rows: number): void {
  lake.files_rewritten++;
  lake.rows_removed += rows;
  if (lake.rewritten.length >= LISTED_MAX) return;
  lake.rewritten.push({ name, rows_removed: rows, was: etag, ...(keptVersion !== null && { kept_version: keptVersion }) });
}
