/**
 * The lake's files of `events/` without the rows of erased users and of purged days, one object at a time, in the order of names: a walk that goes on where it was.
 *
 * An object is written only if it is still what was read; who lost against another writer reads again. One that loses all rows stays, empty, so that
 * what is there remains a function of the log. In memory is one file. Main thread; files are decoded in the pool.
 */

import type { ErasedFile } from './erase-rows.ts';
import { unavailable, type RewritableTarget } from './target.ts';

export const EVENTS_FOLDER = 'events/';
const EVENT_DATE = /^events\/event_date=(\d{4}-\d\d-\d\d)\//;
const SUFFIX = '.parquet';
/** Objects of one listing; S3 gives no more. */
const LIST_MAX = 1_000;
/** Far above the largest that `lake.rows_per_file` allows. */
export const FILE_BYTES_MAX = 1024 ** 3;
/** Races for one object are lost at most this often before the caller's backoff takes over. */
const ATTEMPTS_MAX = 5;

export interface RewrittenObject {
  readonly name: string;
  /** What it was before: a rewrite that is begun and not known to have ended shows by it. */
  readonly etag: string;
  /** Under which the bucket keeps what it was; null for nowhere. */
  readonly keptVersion: string | null;
  readonly removed: Readonly<Record<string, number>>;
}

export interface EraseObjectWorld {
  readonly target: RewritableTarget;
  /** Runs `eraseRows` in the pool. */
  readonly erase: (file: Uint8Array) => Promise<ErasedFile>;
  /** Before it is written: durable on return, so that no rewrite goes uncounted. */
  readonly begin: (object: RewrittenObject) => Promise<void>;
}

/** The objects behind `after`, null for all; an empty list is the end. Rejects SINK_UNAVAILABLE or SINK_REFUSED. */
export async function eventsAfter(target: RewritableTarget, after: string | null): Promise<string[] | null> {
  const names = await target.listAfter(EVENTS_FOLDER, after, LIST_MAX);
  return names.length === 0 ? null : names;
}

export const isEventsFile = (name: string): boolean => name.startsWith(EVENTS_FOLDER) && name.endsWith(SUFFIX);

/** `YYYY-MM-DD` of the events in a file; null for another name. */
export const eventDateOf = (name: string): string | null => EVENT_DATE.exec(name)?.[1] ?? null;

/** Null where nothing had to go, or nothing is there any more. Rejects SINK_UNAVAILABLE or SINK_REFUSED. */
export async function eraseObject(name: string, { target, erase, begin }: EraseObjectWorld): Promise<RewrittenObject | null> {
  for (let attempt = 1; ; attempt++) {
    const read = await target.read(name, FILE_BYTES_MAX);
    if (read === null) return null;
    const { bytes, removed } = await erase(read.bytes);
    if (bytes === null) return null;
    const object: RewrittenObject = { name, etag: read.etag, keptVersion: read.versionId, removed };
    await begin(object);
    if (await target.replaceRead(name, bytes, read.etag)) return object;
    if (attempt === ATTEMPTS_MAX) throw unavailable(`${name} was changed by another writer ${attempt} times in a row`, { sink: 'lake', file: name }, undefined);
  }
}

/** Whether a rewrite that was begun has come to its end. Nobody else writes the object, so that any other content is it. */
export async function isRewritten({ name, etag }: RewrittenObject, target: RewritableTarget): Promise<boolean> {
  const read = await target.read(name, FILE_BYTES_MAX);
  return read !== null && read.etag !== etag;
}
