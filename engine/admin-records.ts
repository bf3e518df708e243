/** The tail as people ask for it, with the event read again from the journal. */

import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import { DIMENSION_SEPARATOR } from './core/cell.ts';
import { REJECT_CODES, VERDICT_NAMES } from './core/record.ts';
import type { Offset } from './core/types.ts';
import { createRecordCursor, openLogLookup } from './log/index.ts';
import type { Daemon } from './main.ts';
import type { TailEntry } from './threads/messages.ts';

export interface TailQuery {
  readonly limit: number;
  readonly app_id?: string | undefined;
  readonly outcome?: string | undefined;
  /** `<batch sequence>.<index>` of the last record shown. */
  readonly after?: string | undefined;
}

/** Asked of each partition: enough for filters to find something, bounded. */
const ENTRIES_PER_PARTITION = 500;
const SHOWN_BYTES_MAX = 4_096;

export async function tailRecords(view: Daemon, query: TailQuery): Promise<{ records: object[]; cursor: string }> {
  const [afterBatch = -1, afterIndex = -1] = query.after === undefined || query.after === '' ? [] : query.after.split('.').map(Number);
  const wanted = query.app_id === undefined ? query.limit : ENTRIES_PER_PARTITION;
  const answers = await view.engine.asker.ask<TailEntry[]>({ what: 'tail', limit: Math.min(ENTRIES_PER_PARTITION, query.outcome === undefined ? wanted : ENTRIES_PER_PARTITION) });
  const entries = answers
    .flat()
    .filter((entry) => entry.batchSequence > afterBatch || (entry.batchSequence === afterBatch && entry.index > afterIndex))
    .filter((entry) => query.outcome === undefined || VERDICT_NAMES[entry.verdict] === query.outcome)
    .sort((left, right) => left.batchSequence - right.batchSequence || left.index - right.index);
  const recent = query.app_id === undefined ? entries.slice(-query.limit) : entries;
  const records = describeAll(view, recent).filter((record) => query.app_id === undefined || record.event?.['app_id'] === query.app_id);
  const last = entries.at(-1);
  return { records: records.slice(-query.limit), cursor: last === undefined ? (query.after ?? '') : `${last.batchSequence}.${last.index}` };
}

interface DescribedRecord {
  readonly event: Readonly<Record<string, string>> | null;
}

function describeAll(view: Daemon, entries: readonly TailEntry[]): (DescribedRecord & object)[] {
  const lookup = openLogLookup({ directory: view.directory.journal });
  const cursor = createRecordCursor();
  try {
    return entries.map((entry) => {
      const payload = payloadOf(lookup, cursor, entry);
      return {
        received_at: new Date(entry.receivedAtMs).toISOString(),
        outcome: VERDICT_NAMES[entry.verdict],
        reason: entry.rejectCode >= 0 ? (REJECT_CODES[entry.rejectCode] ?? null) : null,
        partition: entry.partition,
        offset: entry.batchOffset,
        batch: entry.batchSequence,
        index: entry.index,
        cell: cellOf(view, entry),
        event: eventOf(payload),
        bytes: payload === null ? '' : payload.toString('utf8', 0, SHOWN_BYTES_MAX),
      };
    });
  } finally {
    lookup.close();
  }
}

function payloadOf(lookup: ReturnType<typeof openLogLookup>, cursor: ReturnType<typeof createRecordCursor>, entry: TailEntry): Buffer | null {
  try {
    const batch = lookup.batchAt(entry.batchOffset as Offset);
    const slice = batch.slices.find((candidate) => candidate.partition === entry.partition);
    if (slice === undefined) return null;
    cursor.reset(batch, slice);
    while (cursor.next()) if (cursor.index === entry.index) return Buffer.from(batch.bytes.subarray(cursor.start, cursor.end));
    return null;
  } catch {
    // The segment may have been retired since: the outcome still stands, the bytes are gone.
    return null;
  }
}

function eventOf(payload: Buffer | null): Readonly<Record<string, string>> | null {
  if (payload === null) return null;
  const event = appsflyerPipeline.decode(payload, 0, payload.byteLength);
  return typeof event === 'string' ? null : appsflyerPipeline.describe(event);
}

function cellOf(view: Daemon, entry: TailEntry): object | null {
  if (entry.windowStartMs < 0 || entry.dimensions === '') return null;
  const values = entry.dimensions.split(DIMENSION_SEPARATOR);
  return { window_start: new Date(entry.windowStartMs).toISOString(), dimensions: Object.fromEntries(view.engine.live.schema.dimensions.map((name, index) => [name, values[index] ?? ''])) };
}
