/**
 * `journal.json`: what is fixed for the life of a journal directory, written once, atomically, before the first segment.
 *
 * Guarantees: a directory is never opened by a program that does not know its format, under another instance's name, or with
 * another partition count.
 */

import { crc32 } from 'node:zlib';
import { dirname, join } from 'node:path';

import { diskErrorCode, readFully, writeFully, type Disk } from '../core/disk.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { diskFailed, outOfResources } from './damage.ts';

export const META_FILE_NAME = 'journal.json';
const META_TEMPORARY_NAME = 'journal.json.new';
const META_VERSION = 1;
const META_BYTES_MAX = 64 * 1024;

export interface JournalMeta {
  readonly instance: string;
  readonly partitionCount: number;
  readonly segmentBytes: number;
  /** Enters every CRC seed; random, so that no sender can forge a header inside a payload. Unsigned 32 bits. */
  readonly salt: number;
}

/** The stored facts, or null where there is no journal yet. Raises DATA_VERSION, JOURNAL_CORRUPT or DATA_DIR_UNUSABLE. */
export function readMeta(disk: Disk, directory: string): JournalMeta | null {
  const path = join(directory, META_FILE_NAME);
  let text: string;
  try {
    const file = disk.open(path, 'read');
    try {
      const bytes = Buffer.alloc(Math.min(file.sizeBytes(), META_BYTES_MAX));
      text = bytes.toString('utf8', 0, readFully(file, bytes, 0, bytes.byteLength, 0));
    } finally {
      file.close();
    }
  } catch (error) {
    if (diskErrorCode(error) === 'ENOENT') return null;
    throw unusable(directory, error);
  }
  return parseMeta(text, path);
}

/** Creates the directory and its meta file; both are durable on return. */
export function createMeta(disk: Disk, directory: string, meta: JournalMeta): void {
  try {
    disk.makeDirectory(directory);
    disk.syncDirectory(dirname(directory));
    if (disk.list(directory).includes(META_TEMPORARY_NAME)) disk.unlink(join(directory, META_TEMPORARY_NAME));
    const bytes = Buffer.from(serialize(meta));
    const file = disk.open(join(directory, META_TEMPORARY_NAME), 'create');
    try {
      writeFully(file, bytes, 0, bytes.byteLength, 0);
      file.sync();
    } finally {
      file.close();
    }
    disk.rename(join(directory, META_TEMPORARY_NAME), join(directory, META_FILE_NAME));
    disk.syncDirectory(directory);
  } catch (error) {
    throw unusable(directory, error);
  }
}

/** Raises DATA_DIR_FOREIGN or CONFIG_INVALID where the directory is not the one that is meant. */
export function checkMeta(meta: JournalMeta, expected: { readonly instance: string; readonly partitionCount: number }, directory: string): void {
  if (meta.instance !== expected.instance) {
    throw new EngineError('DATA_DIR_FOREIGN', `the journal belongs to instance ${meta.instance}, not to ${expected.instance}`, {
      where: { directory },
      fix: 'give the daemon the data directory that this journal belongs to, or an empty one',
    });
  }
  if (meta.partitionCount !== expected.partitionCount) {
    throw new EngineError('CONFIG_INVALID', `the journal was made for ${meta.partitionCount} partitions, not for ${expected.partitionCount}`, {
      where: { directory },
      fix: `set the partition count to ${meta.partitionCount}; it is fixed for the life of a data directory`,
    });
  }
}

/** What to raise when a disk call failed during open, in the words of the system; anything else passes as it is. */
export function unusable(directory: string, cause: unknown): unknown {
  const code = diskErrorCode(cause);
  if (cause instanceof EngineError || code === '') return cause;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new EngineError('DISK_FULL', `no space for the journal: ${messageOf(cause)}`, { cause, where: { directory }, fix: 'free disk space' });
  }
  const passing = outOfResources(cause, { directory });
  if (passing !== null) return passing;
  if (code === 'EIO') return diskFailed(cause, { directory });
  return new EngineError('DATA_DIR_UNUSABLE', `the journal directory cannot be used: ${messageOf(cause)}`, {
    cause,
    where: { directory },
    fix: 'check that the directory exists, belongs to the daemon and lies on a healthy disk',
  });
}

function serialize(meta: JournalMeta): string {
  const body = { format: META_VERSION, instance: meta.instance, partitionCount: meta.partitionCount, segmentBytes: meta.segmentBytes, salt: meta.salt };
  return `${JSON.stringify({ ...body, check: checkOf(body) }, null, 2)}\n`;
}

const checkOf = (body: Readonly<Record<string, unknown>>): number => crc32(JSON.stringify(body));

function parseMeta(text: string, path: string): JournalMeta {
  let stored: Record<string, unknown>;
  try {
    stored = JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw damaged(path);
  }
  if (typeof stored !== 'object' || stored === null) throw damaged(path);
  const { check, ...body } = stored;
  if (typeof body['format'] === 'number' && body['format'] > META_VERSION) {
    throw new EngineError('DATA_VERSION', `the journal has format ${body['format']}; this program knows up to ${META_VERSION}`, {
      where: { file: path },
      fix: 'start the version of the daemon that wrote it, or a newer one',
    });
  }
  if (body['format'] !== META_VERSION || check !== checkOf(body)) throw damaged(path);
  return body as unknown as JournalMeta;
}

const damaged = (path: string): EngineError =>
  new EngineError('JOURNAL_CORRUPT', `${path} cannot be read back`, {
    where: { file: path },
    fix: `restore ${META_FILE_NAME} from a copy of this directory; without it the segments beside it cannot be read`,
  });
