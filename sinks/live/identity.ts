/** Whose live store a file is: checked when it is opened, written before anything is counted, and with the first transaction after a change. */

import { decodeStored, pack, unpack } from '../../engine/core/codec.ts';
import { EngineError } from '../../engine/core/errors.ts';
import type { ResultSchema } from '../../engine/core/pipeline.ts';
import type { OrderedStore, StoreOperation } from '../../engine/core/store.ts';
import { LIVE_TABLE, LIVE_VERSION } from './encode.ts';

export interface LiveIdentity {
  readonly instance: string;
  readonly generation: number;
  readonly partitionCount: number;
  readonly schema: ResultSchema;
}

interface StoredIdentity {
  readonly version: number;
  readonly instance: string;
  readonly generation: number;
  readonly partitionCount: number;
  readonly dimensions: readonly string[];
  readonly measures: readonly string[];
  readonly labels: readonly string[];
}

const KEY = new TextEncoder().encode('identity');

/**
 * Returns what must be written with the first transaction, or null when the file says it already. Raises DATA_VERSION for a
 * newer format or measures that cannot be read, DATA_DIR_FOREIGN for the file of another data directory or a later life of this one.
 */
export function checkIdentity(store: OrderedStore, identity: LiveIdentity): StoreOperation | null {
  const wanted = stored(identity);
  const write: StoreOperation = { table: LIVE_TABLE.meta, key: KEY, value: pack(wanted) };
  const bytes = store.get(LIVE_TABLE.meta, KEY);
  if (bytes === null) return write;
  const found = decodeStored('the identity of the live store', () => namesRequired(unpack<StoredIdentity>(bytes)));
  if (found.version > wanted.version) throw new EngineError('DATA_VERSION', `the live store has format ${found.version}, this program knows ${wanted.version}`, { fix: 'run the program that wrote it, or a newer one' });
  if (found.instance !== wanted.instance) throw foreign(`it belongs to instance ${found.instance}, the data directory to ${wanted.instance}`);
  if (found.partitionCount !== wanted.partitionCount) throw foreign(`it has ${found.partitionCount} partitions, the data directory ${wanted.partitionCount}`);
  if (found.generation > wanted.generation) throw foreign(`it is of generation ${found.generation}, the data directory of ${wanted.generation}`);
  for (const part of ['dimensions', 'measures', 'labels'] as const) checkNames(part, found[part], wanted[part]);
  return JSON.stringify(found) === JSON.stringify(wanted) ? null : write;
}

/** Raises where a list of names is none. */
function namesRequired(found: StoredIdentity): StoredIdentity {
  for (const part of ['dimensions', 'measures', 'labels'] as const) if (!Array.isArray(found[part])) throw new TypeError(`${part} is no list`);
  return found;
}

/** False for a file that was just made. */
export const hasIdentity = (store: OrderedStore): boolean => store.get(LIVE_TABLE.meta, KEY) !== null;

/** Makes the file this data directory's, flushed: before partitions checkpoint, so that a file without it is one that replaced another. */
export async function writeIdentity(store: OrderedStore, identity: LiveIdentity): Promise<void> {
  const write = checkIdentity(store, identity);
  if (write === null) return;
  await store.commit([write]);
  await store.flushed();
}

const stored = ({ instance, generation, partitionCount, schema }: LiveIdentity): StoredIdentity => ({
  version: LIVE_VERSION,
  instance,
  generation,
  partitionCount,
  dimensions: schema.dimensions,
  measures: schema.measures.map((measure) => measure.name),
  labels: schema.labels,
});

/** Cells are stored by position: names may be added at the end, dimensions not at all. */
function checkNames(part: 'dimensions' | 'measures' | 'labels', found: readonly string[], wanted: readonly string[]): void {
  const extended = found.every((name, index) => wanted[index] === name) && (part !== 'dimensions' || found.length === wanted.length);
  if (extended) return;
  throw new EngineError('DATA_VERSION', `the live store was written with ${part} ${found.join(', ')}, the pipeline has ${wanted.join(', ')}`, {
    where: { part },
    fix: part === 'dimensions' ? 'start with a new data directory and replay' : `add new ${part} after the old ones`,
  });
}

const foreign = (reason: string): EngineError =>
  new EngineError('DATA_DIR_FOREIGN', `the live store is not this data directory's: ${reason}`, { fix: 'restore the whole directory from one savepoint; never mix files of two' });
