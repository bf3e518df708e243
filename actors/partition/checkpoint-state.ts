/**
 * What a checkpoint holds beside cells, fingerprints, outbox and dead letters, and whose it is.
 *
 * Two keys of the table `meta`: `state`, rewritten by every checkpoint, and `rules`, by those after a change. Reading checks identity and
 * version: DATA_DIR_FOREIGN for another directory's or partition's file, DATA_VERSION for a newer format, STATE_CORRUPT for neither.
 */

import { pack, unpack } from '../../engine/core/codec.ts';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import type { Rules } from '../../engine/core/rules.ts';
import type { OrderedStore, StoreOperation } from '../../engine/core/store.ts';
import type { CellShape } from './cell-codec.ts';
import type { DeadLetterState } from './dead-letters.ts';
import type { ErasuresState } from './erasures.ts';
import type { JudgedState } from './judge.ts';
import { TABLES } from './options.ts';
import type { TimeState } from './partition-time.ts';

/** Version of everything a partition stores. A newer one is refused; an older one is to be migrated here. */
const FORMAT_VERSION = 2;

const STATE_KEY = new TextEncoder().encode('state');
const RULES_KEY = new TextEncoder().encode('rules');

export interface PartitionIdentity {
  readonly instance: string;
  readonly partition: number;
  readonly partitionCount: number;
  readonly pipeline: string;
  /** Dimensions make the key of a cell: with others no cell could be found again. */
  readonly dimensions: readonly string[];
}

export interface CheckpointState extends JudgedState {
  readonly format: number;
  readonly identity: PartitionIdentity;
  readonly shapes: readonly CellShape[];
  readonly sequence: number;
  readonly batchSequence: number;
  /** Of journal 0. */
  readonly offset: number;
  /** Of the journals after it; missing in states from before there were several. */
  readonly otherOffsets?: readonly number[];
  readonly epoch: number;
  readonly generation: number;
  readonly time: TimeState;
  readonly deadLetters: DeadLetterState;
  readonly erasures?: ErasuresState;
}

export interface StoredState {
  readonly state: CheckpointState;
  readonly rules: Rules | null;
}

export const stateOperation = (state: Omit<CheckpointState, 'format'>): StoreOperation => ({
  table: TABLES.meta,
  key: STATE_KEY,
  value: pack({ format: FORMAT_VERSION, ...state } satisfies CheckpointState),
});

/** As JSON text, the way the control record had them: the order of keys is part of the state hash. */
export const rulesOperation = (rules: Rules): StoreOperation => ({ table: TABLES.meta, key: RULES_KEY, value: new TextEncoder().encode(JSON.stringify(rules)) });

/** Null for an empty store. */
export function readState(store: OrderedStore, expected: PartitionIdentity): StoredState | null {
  const bytes = store.get(TABLES.meta, STATE_KEY);
  if (bytes === null) return null;
  let state: CheckpointState;
  let rules: Rules | null;
  try {
    state = unpack<CheckpointState>(bytes);
    const text = store.get(TABLES.meta, RULES_KEY);
    rules = text === null ? null : (JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text)) as Rules);
  } catch (error) {
    throw new EngineError('STATE_CORRUPT', `the state of partition ${expected.partition} cannot be read: ${messageOf(error)}`, { where: { partition: expected.partition }, cause: error, fix: 'restore it from a savepoint' });
  }
  requireVersion(state, expected);
  requireIdentity(state.identity, expected);
  return { state, rules };
}

function requireVersion(state: CheckpointState, expected: PartitionIdentity): void {
  if (state.format <= FORMAT_VERSION) return;
  throw new EngineError('DATA_VERSION', `the state of partition ${expected.partition} has format ${state.format}, this program knows ${FORMAT_VERSION}`, { where: { partition: expected.partition }, fix: 'start the newer version' });
}

function requireIdentity(found: PartitionIdentity, expected: PartitionIdentity): void {
  for (const fact of ['instance', 'partition', 'partitionCount', 'pipeline', 'dimensions'] as const) {
    if (JSON.stringify(found[fact]) === JSON.stringify(expected[fact])) continue;
    throw new EngineError('DATA_DIR_FOREIGN', `the state file of partition ${expected.partition} says ${fact} ${JSON.stringify(found[fact])} where ${JSON.stringify(expected[fact])} is expected`, {
      where: { partition: expected.partition },
      fix: 'put back the file that belongs to this data directory, or restore a savepoint',
    });
  }
}
