/**
 * What the desk of erasures remembers over restarts: one file in the data directory, replaced whole, readable by its owner alone.
 *
 * A user's name is in it sealed (erase-secret.ts), and only until the erasure is done. Of what is done the hashes stay a while, so that nothing shows the
 * user while the journal still has the bytes; the receipt is in the lake.
 */

import { existsSync, readFileSync } from 'node:fs';
import { EngineError, messageOf } from './core/errors.ts';
import { z } from './core/schema.ts';
import type { RewrittenObject } from '../sinks/lake/index.ts';
import type { Erasure } from './core/erasure.ts';
import type { EraseReceipt } from './erase-receipt.ts';
import { writeFileAtomically } from './runtime/data-directory.ts';

/** Erasures and purges under way. Partitions remember twice as many (actors/partition/erasures.ts). */
const OPEN_MAX = 100;
/** Each costs some 150 bytes. Chosen: more than come in a day. */
const DONE_KEPT_MAX = 1_000;
const OWNER_ONLY = 0o600;

export interface OpenErasure {
  readonly erasure: Erasure;
  /** Its user; '' of a purge, which has none. */
  readonly sealed: string;
  /** Its control record is durable. */
  isJournaled: boolean;
  /** Of the batch that it came with; null until that is known. */
  batchSequence: number | null;
  /** When that batch was received; absent where it is not known. */
  upToMs?: number;
  readonly receipt: EraseReceipt;
}

export type DoneErasure = Pick<OpenErasure, 'erasure' | 'batchSequence'>;

/** One walk for all erasures that waited when it began. */
export interface ErasePass {
  readonly ids: readonly string[];
  stage: 'journal' | 'folding' | 'spool' | 'lake' | 'letters';
  /** Of the lake: everything up to this name has been looked at. */
  after: string | null;
  /** Begun, and not known to have ended. */
  rewriting: RewrittenObject | null;
}

export interface EraseStateData {
  open: OpenErasure[];
  done: DoneErasure[];
  pass: ErasePass | null;
}

/** Where it is kept; a simulator has its own place. */
export interface EraseStateKeeper {
  /** Raises STATE_CORRUPT or DATA_VERSION. */
  read(): EraseStateData;
  /** Durable on return. Raises what the file system does. */
  write(state: EraseStateData): void;
}

export const eraseStateIn = (file: string): EraseStateKeeper => ({
  read: () => readEraseState(file),
  write: (state) => {
    writeEraseState(file, state);
  },
});

const envelope = z.object({ version: z.literal(1), open: z.array(z.unknown()), done: z.array(z.unknown()), pass: z.unknown() });

/** Raises NOT_READY where no further one may be asked for. */
export function refuseBeyondMax({ open }: EraseStateData): void {
  if (open.length >= OPEN_MAX) throw new EngineError('NOT_READY', `${OPEN_MAX} erasures are under way`, { fix: 'ask again once some of them are done' });
}

/** Raises STATE_CORRUPT, or DATA_VERSION for what a newer program wrote. */
export function readEraseState(file: string): EraseStateData {
  if (!existsSync(file)) return { open: [], done: [], pass: null };
  let raw: unknown;
  try {
    raw = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new EngineError('STATE_CORRUPT', `${file} cannot be read: ${messageOf(error)}`, { where: { file }, fix: 'restore it from a savepoint, or move it away and ask for the erasures again' });
  }
  const parsed = envelope.safeParse(raw);
  if (parsed.success) return parsed.data as unknown as EraseStateData;
  throw new EngineError('DATA_VERSION', `${file} is of a newer version, or damaged`, { where: { file }, fix: 'run the newer program, or move it away and ask for the erasures again' });
}

export function writeEraseState(file: string, { open, done, pass }: EraseStateData): void {
  writeFileAtomically(file, `${JSON.stringify({ version: 1, open, done: done.slice(-DONE_KEPT_MAX), pass })}\n`, OWNER_ONLY);
}
