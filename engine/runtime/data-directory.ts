/**
 * The data directory: who it is, who holds it, and whether it may be used at all.
 *
 * `instance.json` names the directory (instance, generation, partition count, segment size) and is written once, atomically.
 * `running.json` holds what no copy shares (inode, birth of `instance.json`) while a daemon runs in the directory: found in another one
 * it tells of a copy made by hand under a running daemon, whose files do not fit together; such a copy is refused.
 * One daemon at a time: see directory-lock.ts. Journal and LMDB on a network file system are refused: neither's syncs can be trusted there.
 */

import { randomBytes } from 'node:crypto';
import { accessSync, closeSync, constants, existsSync, openSync, readFileSync, readdirSync, rmSync, statSync, statfsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { EngineError, messageOf } from '../core/errors.ts';
import { JOURNALS_MAX } from '../core/log.ts';
import { z } from '../core/schema.ts';
import { nodeDisk } from '../log/index.ts';
import { writeFileAtomically } from './atomic-file.ts';
import { lockDirectory, type DirectoryLock } from './directory-lock.ts';
import { finishPromotion } from './promotion.ts';

/** 2: it holds, or has held, more than one journal, of which a program that knows 1 would read the first alone. */
const FORMAT_VERSION = 2;
const RUNNING_FILE = 'running.json';
/** Marks a finished savepoint, which is restored and never started. */
export const SAVEPOINT_FILE = 'savepoint.json';

export { writeFileAtomically };

/** File system types (statfs) whose syncs or locks cannot be relied on. */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x517b, 'SMB'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x01021997, '9p'],
  [0x47504653, 'GPFS'],
  [0x0bd00bd0, 'Lustre'],
]);

const instanceSchema = z.object({
  version: z.number().int(),
  instance: z.string().regex(/^[0-9a-f]{32}$/),
  generation: z.number().int().positive(),
  partitionCount: z.number().int().positive(),
  segmentBytes: z.number().int().positive(),
});

/** What is fixed for the life of a data directory. `generation` is its creation time, raised by savepoint restore. */
export type InstanceFacts = z.infer<typeof instanceSchema>;

export interface DataDirectory extends InstanceFacts {
  readonly path: string;
  /** By number: those that are written, and those that once were. */
  readonly journals: readonly string[];
  readonly state: string;
  readonly live: string;
  readonly spool: string;
  /** Copies of GeoIP files (geo-files.ts). */
  readonly geoip: string;
  readonly created: boolean;
  /** False where only processes of this network namespace are kept out. */
  readonly lockedAcrossContainers: boolean;
  /** Lets others in; `clean` when every file was closed, so that a copy made from now on is whole. */
  release(end: { readonly clean: boolean }): Promise<void>;
}

export interface DataDirectoryOptions {
  readonly path: string;
  readonly partitionCount: number;
  readonly segmentBytes: number;
  /** As many are written; 1 unless told. */
  readonly journals?: number;
  readonly nowMs: number;
}

/** Creates or opens, checks and locks the directory. Raises DATA_DIR_* and DATA_VERSION. */
export async function openDataDirectory(options: DataDirectoryOptions): Promise<DataDirectory> {
  const path = resolve(options.path);
  prepare(path);
  const lock = await acquireLock(path);
  try {
    finishPromotion(path);
    const existing = readInstance(path);
    if (existing !== null) refuseCopy(path);
    if (existsSync(join(path, SAVEPOINT_FILE))) {
      throw new EngineError('DATA_DIR_FOREIGN', `${path} is a savepoint`, { where: { path }, fix: 'make a data directory of it with millrace savepoint restore, which raises its generation' });
    }
    const facts = existing ?? createInstance(path, options);
    if (facts.partitionCount !== options.partitionCount) {
      throw new EngineError('CONFIG_INVALID', `partitions: ${options.partitionCount}: the data directory was created with ${facts.partitionCount}, which is fixed for its life: set partitions to ${facts.partitionCount} or choose another data_dir`);
    }
    const { journal, ...directories } = directoriesOf(path);
    const journals = journalsOf(path, options.journals ?? 1);
    if (journals.length > 1 && facts.version < FORMAT_VERSION) raiseVersion(path, facts);
    for (const directory of [journal, ...journals, ...Object.values(directories)]) makeDirectory(directory);
    // Each may be a mount or a link of its own.
    for (const directory of [...journals, directories.state, directories.live]) refuseNetwork(directory);
    writeFileAtomically(join(path, RUNNING_FILE), `${JSON.stringify(runningMark(path))}\n`);
    return {
      ...facts,
      ...directories,
      journals,
      path,
      created: existing === null,
      lockedAcrossContainers: lock.acrossContainers,
      release: async ({ clean }) => {
        if (clean) rmSync(join(path, RUNNING_FILE), { force: true });
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error instanceof EngineError ? error : unusable(path, error);
  }
}

export const directoriesOf = (path: string): { journal: string; state: string; live: string; spool: string; geoip: string } => ({
  journal: join(path, 'journal'),
  state: join(path, 'state'),
  live: join(path, 'live'),
  spool: join(path, 'spool'),
  geoip: join(path, 'geoip'),
});

/** Directories of the journals by number: at least so many, and all that are there up to the highest. */
export function journalsOf(path: string, atLeast = 1): string[] {
  const numbers = existsSync(path) ? readdirSync(path).map((name) => Number(/^journal-([1-9])$/.exec(name)?.[1] ?? 0)) : [];
  const count = Math.max(atLeast, ...numbers.map((number) => number + 1));
  if (count > JOURNALS_MAX) throw new EngineError('DATA_VERSION', `${path} holds journal-${count - 1}; this program knows ${JOURNALS_MAX} journals`, { where: { path }, fix: 'start the newer version' });
  return Array.from({ length: count }, (_, number) => join(path, number === 0 ? 'journal' : `journal-${number}`));
}

/** Before the second journal is made. Without the running mark meanwhile: it knows the birth of the file that is replaced here. */
function raiseVersion(path: string, facts: InstanceFacts): void {
  rmSync(join(path, RUNNING_FILE), { force: true });
  nodeDisk.syncDirectory(path);
  writeFileAtomically(join(path, 'instance.json'), `${JSON.stringify({ ...facts, version: FORMAT_VERSION }, null, 2)}\n`);
}

/** Runs `work` while no daemon can use the directory. Rejects DATA_DIR_LOCKED when one does. */
export async function whileLocked<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  const lock = await acquireLock(path);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/** Whether the last daemon that ran here saved all that it had folded. Nobody runs here now. */
export const wasClosedCleanly = (path: string): boolean => !existsSync(join(path, RUNNING_FILE));

/** The facts of a directory without locking it; null when there is none. */
export function readInstance(path: string): InstanceFacts | null {
  const file = join(path, 'instance.json');
  if (!existsSync(file)) {
    if (existsSync(join(path, 'journal')) && statSync(join(path, 'journal')).isDirectory() && existsSync(join(path, 'state'))) {
      throw new EngineError('DATA_DIR_FOREIGN', `${path} holds a journal and state but no instance.json`, { where: { path }, fix: 'restore instance.json from a savepoint, or choose an empty data_dir' });
    }
    return null;
  }
  let raw: unknown;
  try {
    raw = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new EngineError('DATA_DIR_UNUSABLE', `${file} cannot be read: ${messageOf(error)}`, { where: { path }, fix: 'restore it from a savepoint' });
  }
  const version = (raw as { version?: unknown } | null)?.version;
  if (typeof version === 'number' && version > FORMAT_VERSION) {
    throw new EngineError('DATA_VERSION', `${path} was written by a newer Millrace (format ${version}, this one knows ${FORMAT_VERSION})`, { where: { path }, fix: 'start the newer version' });
  }
  const parsed = instanceSchema.safeParse(raw);
  if (!parsed.success) throw new EngineError('DATA_DIR_UNUSABLE', `${file} is damaged`, { where: { path }, fix: 'restore it from a savepoint' });
  return parsed.data;
}

/** Creates what is missing of the path. Raises DISK_FULL or DATA_DIR_UNUSABLE. */
export function makeDirectory(path: string): void {
  try {
    nodeDisk.makeDirectory(path);
  } catch (error) {
    throw unusable(path, error);
  }
}

/** Bytes free to this process on the file system of `path`. */
export function freeBytes(path: string): number {
  const stats = statfsSync(path);
  return stats.bavail * stats.bsize;
}

export function totalBytes(path: string): number {
  const stats = statfsSync(path);
  return stats.blocks * stats.bsize;
}

/** The roots of two file systems have the same inode number; files of the same birth to the nanosecond and their own content they have not. */
const runningMark = (path: string): { inode: number; born: string } => ({ inode: statSync(path).ino, born: String(statSync(join(path, 'instance.json'), { bigint: true }).birthtimeNs) });

function refuseCopy(path: string): void {
  const file = join(path, RUNNING_FILE);
  if (!existsSync(file)) return;
  const { inode, born } = JSON.parse(readFileSync(file, 'utf8')) as { inode: unknown; born: unknown };
  const own = runningMark(path);
  if (inode !== own.inode || born !== own.born) {
    throw new EngineError('DATA_DIR_FOREIGN', `${path} is a copy of a data directory made while its daemon ran`, { where: { path }, fix: 'take a savepoint instead (millrace savepoint take) and restore that' });
  }
}

function prepare(path: string): void {
  makeDirectory(path);
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    // Root passes every permission check: only a write tells of a read-only file system.
    closeSync(openSync(join(path, '.writable'), 'w'));
  } catch (error) {
    throw unusable(path, error);
  }
  refuseNetwork(path);
  syncAbove(path);
}

/** Whoever made the directory may have died before its name was durable. What is above need not be ours to read. */
function syncAbove(path: string): void {
  try {
    nodeDisk.syncDirectory(dirname(path));
  } catch {
    // It was there when the daemon came: its own first sync has been another's duty.
  }
}

function refuseNetwork(path: string): void {
  const network = NETWORK_FILE_SYSTEMS.get(statfsSync(path).type >>> 0);
  if (network !== undefined) {
    throw new EngineError('DATA_DIR_NETWORK', `${path} lies on a network file system (${network})`, { where: { path }, fix: 'put data_dir on a local disk; savepoints and logs may stay there' });
  }
}

function unusable(path: string, error: unknown): EngineError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOSPC' || code === 'EDQUOT') return new EngineError('DISK_FULL', `data_dir ${path} cannot be written: the disk is full`, { where: { path }, fix: 'free space or choose another data_dir', cause: error });
  return new EngineError('DATA_DIR_UNUSABLE', `data_dir ${path} cannot be used: ${messageOf(error)}`, { where: { path }, fix: 'make it a writable directory or set data_dir (MILLRACE_DATA_DIR)', cause: error });
}

function createInstance(path: string, options: DataDirectoryOptions): InstanceFacts {
  const facts: InstanceFacts = {
    version: 1,
    instance: randomBytes(16).toString('hex'),
    generation: options.nowMs,
    partitionCount: options.partitionCount,
    segmentBytes: options.segmentBytes,
  };
  writeFileAtomically(join(path, 'instance.json'), `${JSON.stringify(facts, null, 2)}\n`);
  return facts;
}

async function acquireLock(path: string): Promise<DirectoryLock> {
  try {
    return await lockDirectory(path);
  } catch (error) {
    throw error instanceof EngineError ? error : unusable(path, error);
  }
}
