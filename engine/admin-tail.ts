/**
 * The last records as people ask for them: where each one ended, and its event read again from the journal.
 *
 * The newest, or with a cursor the next ones after it. Bounded in records looked at and in bytes read, however rare the ones that are
 * asked for; each batch is read once, and the event loop has its turn between batches.
 */

import { setImmediate as turn } from 'node:timers/promises';
import { appsflyerPipeline } from '../actors/appsflyer/pipeline.ts';
import { decodeTailCursor, encodeTailCursor, type TailCursor } from './admin-tail-cursor.ts';
import { DIMENSION_SEPARATOR } from './core/cell.ts';
import type { RecordCursor } from './core/log.ts';
import { REJECT_CODES, VERDICT_NAMES } from './core/record.ts';
import type { Offset } from './core/types.ts';
import { createRecordCursor, openMergedLookup, type LogLookup } from './log/index.ts';
import type { Daemon } from './main.ts';
import { ERASED, type ShownBytes } from './shown-bytes.ts';
import { comparePlaces } from './runtime/answers.ts';
import type { Question, RecordPlace, TailAnswer, TailEntry } from './threads/messages.ts';

export interface TailQuery {
  readonly limit: number;
  readonly app_id?: string | undefined;
  readonly outcome?: (typeof VERDICT_NAMES)[number] | undefined;
  /** The cursor of the answer before. */
  readonly after?: string | undefined;
}

export interface TailPage {
  /** Oldest first. */
  readonly records: readonly object[];
  readonly cursor: string;
  /** Further ones are there already. */
  readonly more: boolean;
}

/** Where the tail comes from: the running daemon. */
export interface TailSource {
  readonly partitions: number;
  readonly dimensions: readonly string[];
  readonly ask: (question: Extract<Question, { what: 'tail' }>) => Promise<readonly TailAnswer[]>;
  readonly openLookup: () => LogLookup;
  /** What the privacy policy lets be shown of a record. */
  readonly shown: ShownBytes;
  /** Whether a record of that batch is of somebody who was erased. */
  readonly hides: (bytes: Buffer, batchSequence: number) => boolean;
}

/** Chosen: what an app with a hundredth of the traffic is found in, read in some 100 ms. */
export const LOOKED_AT_MAX = 2_000;
export const READ_BYTES_MAX = 64 * 1024 ** 2;
/** Decoding takes some 20 µs. */
const LOOKED_AT_PER_TURN = 100;
const SHOWN_BYTES_MAX = 4_096;

export const tailSourceOf = (view: Daemon): TailSource => ({
  partitions: view.settings.partitions,
  dimensions: view.engine.live.schema.dimensions,
  ask: (question) => view.engine.asker.ask<TailAnswer>(question),
  openLookup: () => openMergedLookup({ directories: view.directory.journals }),
  shown: view.shownBytes,
  hides: (bytes, batchSequence) => view.erasures?.hides(bytes, batchSequence) ?? false,
});

/** Raises QUERY_INVALID for a cursor that is none. */
export async function tailRecords(source: TailSource, query: TailQuery): Promise<TailPage> {
  const after = query.after === undefined || query.after === '' ? null : decodeTailCursor(query.after, source.partitions);
  const verdict = query.outcome === undefined ? null : VERDICT_NAMES.indexOf(query.outcome);
  const limit = query.app_id === undefined && after === null ? query.limit : LOOKED_AT_MAX;
  const answers = await source.ask({ what: 'tail', limit, after, verdict });
  const forwards = after !== null;
  const entries = answers.flatMap((answer) => answer.entries).sort(forwards ? comparePlaces : (left, right) => comparePlaces(right, left));
  const { records, lookedAt } = await describe(source, entries, query);
  if (!forwards) records.reverse();
  const places = forwards ? entries.slice(0, lookedAt) : answers.flatMap((answer) => answer.heads);
  const more = forwards && (lookedAt < entries.length || answers.some((answer) => answer.entries.length === limit));
  return { records, cursor: encodeTailCursor(moved(after ?? new Array<null>(source.partitions).fill(null), places)), more };
}

/** `places` in the order of each partition. */
function moved(cursor: TailCursor, places: readonly (RecordPlace & { readonly partition: number })[]): TailCursor {
  const next = [...cursor];
  for (const { partition, batchSequence, index } of places) next[partition] = { batchSequence, index };
  return next;
}

/** Describes entries in their order until there are enough. */
async function describe(source: TailSource, entries: readonly TailEntry[], query: TailQuery): Promise<{ records: object[]; lookedAt: number }> {
  const records: object[] = [];
  const reader = new PayloadReader(source.openLookup());
  let lookedAt = 0;
  try {
    for (const entry of entries) {
      if (records.length === query.limit || lookedAt === LOOKED_AT_MAX || reader.bytesRead >= READ_BYTES_MAX) break;
      const isNewBatch = !reader.holds(entry);
      if (isNewBatch || lookedAt % LOOKED_AT_PER_TURN === 0) await turn();
      if (isNewBatch) reader.read(entry);
      const payload = reader.payload(entry);
      const event = payload === null ? null : eventOf(payload, entry.receivedAtMs);
      if (query.app_id === undefined || event?.['app_id'] === query.app_id) records.push(described(source, entry, event, payload));
      lookedAt++;
    }
    return { records, lookedAt };
  } finally {
    reader.close();
  }
}

function described(source: TailSource, entry: TailEntry, event: Readonly<Record<string, string>> | null, payload: Payload | null): object {
  return {
    received_at: new Date(entry.receivedAtMs).toISOString(),
    outcome: VERDICT_NAMES[entry.verdict],
    reason: entry.rejectCode >= 0 ? (REJECT_CODES[entry.rejectCode] ?? null) : null,
    partition: entry.partition,
    journal: entry.journal,
    offset: entry.batchOffset,
    batch: entry.batchSequence,
    index: entry.index,
    cell: cellOf(source, entry),
    event,
    bytes: payload === null ? '' : source.hides(payload.bytes, entry.batchSequence) ? ERASED : source.shown(payload.bytes, SHOWN_BYTES_MAX, entry.receivedAtMs),
  };
}

function eventOf({ bytes, source }: Payload, receivedAtMs: number): Readonly<Record<string, string>> | null {
  const event = appsflyerPipeline.decode(bytes, 0, bytes.byteLength, source, receivedAtMs);
  return typeof event === 'string' ? null : appsflyerPipeline.describe(event);
}

function cellOf({ dimensions }: TailSource, entry: TailEntry): object | null {
  if (entry.windowStartMs < 0 || entry.dimensions === '') return null;
  const values = entry.dimensions.split(DIMENSION_SEPARATOR);
  return { window_start: new Date(entry.windowStartMs).toISOString(), dimensions: Object.fromEntries(dimensions.map((name, index) => [name, values[index] ?? ''])) };
}

export interface Payload {
  readonly bytes: Buffer;
  readonly source: number;
}

/** Payloads of one batch at a time, found in one walk over it. */
export class PayloadReader {
  bytesRead = 0;
  readonly #lookup: LogLookup;
  readonly #cursor: RecordCursor = createRecordCursor();
  #batchSequence = -1;
  /** Views of the lookup's buffer, by index in the batch. */
  readonly #payloads = new Map<number, Payload>();

  constructor(lookup: LogLookup) {
    this.#lookup = lookup;
  }

  holds(entry: TailEntry): boolean {
    return entry.batchSequence === this.#batchSequence;
  }

  /** The batch of the entry. Where its segment has been retired since, or is damaged, the outcomes still stand and the bytes are gone. */
  read(entry: TailEntry): void {
    this.#batchSequence = entry.batchSequence;
    this.#payloads.clear();
    try {
      const batch = this.#lookup.batchAt(entry.batchOffset as Offset, undefined, entry.journal);
      for (const slice of batch.slices) {
        this.bytesRead += slice.end - slice.start;
        this.#cursor.reset(batch, slice);
        while (this.#cursor.next()) {
          const { index, start, end, source } = this.#cursor;
          this.#payloads.set(index, { bytes: batch.bytes.subarray(start, end), source });
        }
      }
    } catch {
      this.#payloads.clear();
    }
  }

  /** Valid until the next `read`. */
  payload(entry: TailEntry): Payload | null {
    return this.#payloads.get(entry.index) ?? null;
  }

  close(): void {
    this.#lookup.close();
  }
}
