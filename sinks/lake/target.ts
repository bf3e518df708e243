/**
 * Where a lake lives: named objects in a directory or a bucket. `file-target.ts` and `s3-target.ts` implement it.
 *
 * Each call is one attempt and raises SINK_UNAVAILABLE or SINK_REFUSED: retries belong to the caller's one loop. An object is replaced
 * whole or not at all. The caller has at most one write per object in flight. Main thread.
 */

import { EngineError } from '../../engine/core/errors.ts';

/** Orders the contents of one object. `revision` is a bigint because it sums revisions, which are sums themselves. */
export interface ObjectVersion {
  readonly generation: number;
  readonly revision: bigint;
}

export interface ReplaceCondition {
  readonly expected: Uint8Array | null;
  readonly bytesMax: number;
}

/** An object as it was read. */
export interface ReadObject {
  readonly bytes: Uint8Array;
  /** Tells it from any other content of that name; no secret. */
  readonly etag: string;
  /** Under which a bucket with versions keeps it once it is replaced; null where nothing is kept. */
  readonly versionId: string | null;
}

export interface LakeTarget {
  /** The lake's address, free of secrets. */
  readonly url: string;
  /** Writes or overwrites; for objects whose name determines their content. Conditional on what is there, so that one of our own that lands late puts nothing back. */
  put(name: string, bytes: Uint8Array): Promise<void>;
  /**
   * Writes unless what is there has a higher version: then 'refused'. Conditional on what was read, so that neither another writer
   * nor a write of our own that lands late can put an older content over a newer one.
   */
  putVersioned(name: string, bytes: Uint8Array, version: ObjectVersion): Promise<'written' | 'refused'>;
  /**
   * Writes if what is there is still `expected`, null for nothing; else false. Conditional as well: one that lands late, when somebody has
   * emptied the lake meanwhile, writes nothing. Raises SINK_REFUSED where more than `bytesMax` is there.
   */
  replace(name: string, bytes: Uint8Array, condition: ReplaceCondition): Promise<boolean>;
  /** What {@link putVersioned} left there; null when it is not there, or somebody else's. */
  version(name: string): Promise<ObjectVersion | null>;
  /** Null when it is not there. Raises SINK_REFUSED above `bytesMax`. */
  get(name: string, bytesMax: number): Promise<Uint8Array | null>;
  /** Names that start with `prefix`, at most `limit`, in no order. */
  list(prefix: string, limit: number): Promise<string[]>;
  close(): Promise<void>;
}

/** A lake whose objects can be written anew long after: what an erasure needs. */
export interface RewritableTarget extends LakeTarget {
  /** Like `get`, with what {@link replaceRead} is to compare. */
  read(name: string, bytesMax: number): Promise<ReadObject | null>;
  /** Writes if what is there is still what was read, else false; conditional as {@link replace} is. */
  replaceRead(name: string, bytes: Uint8Array, etag: string): Promise<boolean>;
  /** Names of all objects below a folder (`events/`), in the order of their bytes, those behind `after` alone (null for all), at most `limit`. */
  listAfter(folder: string, after: string | null, limit: number): Promise<string[]>;
}

export const isAsExpected = (there: Uint8Array | null, expected: Uint8Array | null): boolean =>
  there === null || expected === null ? there === expected : Buffer.from(there).equals(expected);

/** Equal versions have equal content: written again, that does no harm. */
export const isOlder = (version: ObjectVersion, than: ObjectVersion): boolean =>
  version.generation < than.generation || (version.generation === than.generation && version.revision < than.revision);

/** Both as decimal digits; null for anything else. */
export function parseVersion(generation: string | undefined, revision: string | undefined): ObjectVersion | null {
  if (generation === undefined || revision === undefined || !/^\d{1,16}$/.test(generation) || !/^\d{1,40}$/.test(revision)) return null;
  return { generation: Number(generation), revision: BigInt(revision) };
}

export const unavailable = (message: string, where: Record<string, string | number>, cause: unknown, fix?: string): EngineError =>
  new EngineError('SINK_UNAVAILABLE', message, { where, cause, ...(fix === undefined ? {} : { fix }) });

export const refused = (message: string, where: Record<string, string | number>, cause: unknown, fix: string): EngineError =>
  new EngineError('SINK_REFUSED', message, { where, cause, fix });
