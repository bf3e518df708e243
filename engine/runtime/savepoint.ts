/**
 * A savepoint: a copy of state, live store, spool and the journal that they still need, taken while the daemon runs.
 *
 * Copied in the order state, live store, journal: every offset that the state covers is in the journal copied after it, so that
 * restoring it is an ordinary restart after a crash. Retention is held back meanwhile. The marker file is written last: a directory
 * without it is an aborted savepoint and is refused. Files are copied off the main thread, which goes on emitting.
 */

import { existsSync } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { EngineError, messageOf } from '../core/errors.ts';
import type { OrderedStore } from '../core/store.ts';
import type { Offset } from '../core/types.ts';
import { copyJournal, copySynced, nodeDisk } from '../log/index.ts';
import type { Asker } from './asker.ts';
import { SAVEPOINT_FILE, writeFileAtomically, type DataDirectory } from './data-directory.ts';
import { IDENTITY_FILE } from './identity-mode.ts';

/** How far Pull reports have been read. Older than the state it is copied before, never ahead of it. */
export const PULL_STATE_FILE = 'pull.json';
/** Under which the journal names erased users. */
export const ERASE_SECRET_FILE = 'erasure-secret';
/** Erasures under way. Older than the state it is copied before: what is done by then is done again. */
export const ERASE_STATE_FILE = 'erasures.json';
/** Copied and restored where they are there. */
export const SAVEPOINT_EXTRAS: readonly string[] = [PULL_STATE_FILE, IDENTITY_FILE, ERASE_SECRET_FILE, ERASE_STATE_FILE];

/** For all state files of a thread; a copy that takes longer has met a disk that does not answer. Chosen. */
const STATE_MS_MAX = 10 * 60_000;

export interface SavepointParts {
  readonly directory: DataDirectory;
  readonly asker: Asker;
  readonly live: OrderedStore;
  /** By journal, now. */
  readonly durableOffsets: () => readonly Offset[];
  /** Folders of the spool that are worth nothing after a restart. */
  readonly spoolScratch: readonly string[];
  /** Holds journal retention back; returns the release. */
  readonly pin: () => () => void;
  readonly nowMs: number;
}

/** Resolves with the bytes written. Raises DATA_DIR_UNUSABLE when the target exists or cannot be written. */
export async function writeSavepoint(target: string, parts: SavepointParts): Promise<number> {
  if (existsSync(target)) throw new EngineError('DATA_DIR_UNUSABLE', `${target} exists already`, { fix: 'name a directory that does not exist yet' });
  const release = parts.pin();
  try {
    // Never recursive: on some file systems (procfs) Node tries that for ever.
    await mkdir(target);
    for (const part of ['state', 'live', 'spool', 'geoip', ...parts.directory.journals.map((journal) => basename(journal))]) await mkdir(join(target, part));
    for (const extra of SAVEPOINT_EXTRAS) await unlessGone(copySynced(join(parts.directory.path, extra), join(target, extra)));
    await parts.asker.ask({ what: 'savepoint', directory: join(target, 'state') }, STATE_MS_MAX);
    await parts.live.copyTo(join(target, 'live', 'live.mdb'));
    await copyFolder(parts.directory.spool, join(target, 'spool'), parts.spoolScratch);
    // The state is older than what is there now, and what it needs stays as long as the journal is held.
    await copyFolder(parts.directory.geoip, join(target, 'geoip'));
    // What one journal has and another not yet is no matter: the state is older than all of them.
    const durable = parts.durableOffsets();
    for (const [number, from] of parts.directory.journals.entries()) {
      await copyJournal({ from, to: join(target, basename(from)), durable: durable[number] as Offset, segmentBytes: parts.directory.segmentBytes });
    }
    const poison = join(parts.directory.path, 'poison.json');
    if (existsSync(poison)) await copySynced(poison, join(target, 'poison.json'));
    await copySynced(join(parts.directory.path, 'instance.json'), join(target, 'instance.json'));
    const { instance, generation } = parts.directory;
    writeFileAtomically(join(target, SAVEPOINT_FILE), `${JSON.stringify({ version: 1, instance, generation, takenAtMs: parts.nowMs })}\n`);
    nodeDisk.syncDirectory(dirname(target));
    return await bytesOf(target);
  } catch (error) {
    throw error instanceof EngineError ? error : new EngineError('DATA_DIR_UNUSABLE', `the savepoint ${target} cannot be written: ${messageOf(error)}`, { cause: error });
  } finally {
    release();
  }
}

/** Files and names are durable on return; what leaves `from` meanwhile is left out. `to` exists. */
export async function copyFolder(from: string, to: string, without: readonly string[] = []): Promise<void> {
  for (const entry of (await unlessGone(readdir(from, { withFileTypes: true }))) ?? []) {
    if (without.includes(entry.name)) continue;
    if (entry.isDirectory()) {
      await mkdir(join(to, entry.name));
      await copyFolder(join(from, entry.name), join(to, entry.name));
    } else if (entry.isFile() && !entry.name.endsWith('.tmp')) await unlessGone(copySynced(join(from, entry.name), join(to, entry.name)));
  }
  nodeDisk.syncDirectory(to);
}

/** The uploader may take a spooled file or its folder away while the spool is read: then it is in the lake. */
async function unlessGone<Result>(work: Promise<Result>): Promise<Result | null> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Bytes of all files in a directory, as far as they are there yet. */
export async function bytesOf(directory: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) if (entry.isFile()) sum += (await stat(join(entry.parentPath, entry.name))).size;
  return sum;
}
