/**
 * Which events the lake has already: looks through the files of one event date for identities.
 *
 * Asked on the main thread, which lists and fetches; each file is decoded in the pool ({@link findEventIds}). Memory: one file, and the identities that
 * are looked for. A file that was written before identities were made as they are now can tell nothing: the answer is then null.
 */

import { EngineError } from '../../engine/core/errors.ts';
import { slotName } from '../../engine/core/lake-slot.ts';
import type { LakeTarget } from './target.ts';

export interface KnownEventsQuestion {
  /** `yyyy-mm-dd` */
  readonly eventDate: string;
  /** 16 bytes each, in the order of the hex digits of `event_id`. */
  readonly ids: Uint8Array;
  /** Slots that begin before cannot be compared. Epoch ms. */
  readonly comparableFromMs: number;
  /** Everything received before must be in the lake, or nobody can tell. Epoch ms. */
  readonly neededThroughMs: number;
}

/** One file in the pool: 1 for each identity that it has, by index. */
export type FindIds = (file: Uint8Array, ids: Uint8Array) => Promise<Uint8Array>;

const ID_BYTES = 16;
/** Objects of one listing; S3 gives no more. */
const LIST_MAX = 1_000;
/** Of one date. Chosen: a hundred times what 20,000 events a minute make. */
const FILES_MAX = 100_000;
/** Far above the largest that `lake.rows_per_file` allows. */
const FILE_BYTES_MAX = 1024 ** 3;
/** What names of files are made of, behind what they share. */
const NAME_CHARACTERS = [...'0123456789TZ-'];

export interface KnownEventsWorld {
  readonly target: LakeTarget;
  readonly find: FindIds;
  /** See EventsSink.uploadedThroughMs. */
  readonly uploadedThroughMs: () => Promise<number | null>;
}

/** Rejects with SINK_UNAVAILABLE or SINK_REFUSED. */
export async function findKnownEvents({ eventDate, ids, comparableFromMs, neededThroughMs }: KnownEventsQuestion, { target, find, uploadedThroughMs }: KnownEventsWorld): Promise<Uint8Array | null> {
  const uploadedMs = await uploadedThroughMs();
  if (uploadedMs !== null && uploadedMs < neededThroughMs) {
    throw new EngineError('SINK_UNAVAILABLE', `the lake has not got yet what was received before ${new Date(neededThroughMs).toISOString()}: old events cannot be looked for in it`, { fix: 'wait until its sink has caught up: see sinks in /v1/pipeline' });
  }
  const known = new Uint8Array(ids.length / ID_BYTES);
  const folder = `events/event_date=${eventDate}/`;
  const files = (await listAll(target, folder)).filter((name) => name.endsWith('.parquet'));
  const firstComparable = slotName({ startMs: comparableFromMs, part: 0 });
  if (files.some((name) => name.slice(folder.length) < firstComparable)) return null;
  for (const name of files) {
    const bytes = await target.get(name, FILE_BYTES_MAX);
    // Somebody has removed it since it was listed.
    if (bytes === null) continue;
    const found = await find(bytes, ids);
    for (let index = 0; index < known.length; index++) known[index] = (known[index] as number) | (found[index] as number);
  }
  return known;
}

/** All names behind a prefix, however many; where one listing does not hold them, by each further character. */
async function listAll(target: LakeTarget, prefix: string): Promise<string[]> {
  const names = await target.list(prefix, LIST_MAX);
  if (names.length < LIST_MAX) return names;
  const all: string[] = [];
  for (const character of NAME_CHARACTERS) {
    all.push(...(await listAll(target, prefix + character)));
    if (all.length > FILES_MAX) throw new EngineError('SINK_REFUSED', `the lake has more than ${FILES_MAX} files under ${prefix}`, { fix: 'ask for fewer days, or join files of the lake' });
  }
  return all;
}
