/**
 * Looks at a state file before lmdb does: lmdb 3.5.6 ends the process (SIGSEGV, SIGBUS) instead of raising when a file is none of
 * its own, is cut short, or cannot be written. What is refused here is refused with a code and a fix.
 *
 * ```
 * meta  page header (24 bytes: flags at 18) | magic u32 | version u32 | address u64 | map size u64 | 2 databases x 48 | last page u64 | ...
 * ```
 * There are three metas: at byte 0, half a page, and one page (the first database's `pad` holds the page size).
 */

import { closeSync, fstatSync, openSync, readSync, statfsSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { EngineError, messageOf } from '../core/errors.ts';
import { areMissingPagesFree } from './free-pages.ts';

const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const META_FLAG = 8;
const META = { flags: 18, magic: 24, version: 28, pageSize: 48, freeRoot: 88, lastPage: 144, size: 160 } as const;
const PAGE_BYTES_MIN = 4_096;
/** A new file needs its first pages; lmdb writes a few at once. */
const CREATE_BYTES_MIN = 256 * 1024;

/** Removes the stub of a creation that was cut off. Raises STATE_CORRUPT, DATA_VERSION, DISK_FULL or DATA_DIR_UNUSABLE. */
export function inspectStateFile(path: string): void {
  let handle: number;
  try {
    handle = openSync(path, 'a+');
  } catch (error) {
    throw new EngineError('DATA_DIR_UNUSABLE', `${path} cannot be opened: ${messageOf(error)}`, { where: { file: path }, cause: error, fix: 'make it readable and writable, or set data_dir (MILLRACE_DATA_DIR)' });
  }
  try {
    const { size } = fstatSync(handle);
    if (size >= 2 * PAGE_BYTES_MIN) inspectMetas(path, handle, size);
    // Shorter than two pages nothing was ever committed to it.
    else if (size > 0) unlinkSync(path);
    if (size < 2 * PAGE_BYTES_MIN) requireRoom(path);
  } finally {
    closeSync(handle);
  }
}

function inspectMetas(path: string, handle: number, size: number): void {
  const first = readMeta(handle, 0);
  if (first.readUInt32LE(META.magic) !== MAGIC || (first.readUInt16LE(META.flags) & META_FLAG) === 0) {
    throw corrupt(path, 'it is not a state file');
  }
  const version = first.readUInt32LE(META.version) & 0xffff;
  if (version !== DATA_VERSION) {
    throw new EngineError('DATA_VERSION', `${path} has file format ${version}, this program knows ${DATA_VERSION}`, { where: { file: path }, fix: 'start the version of Millrace that wrote it' });
  }
  const pageSize = first.readUInt32LE(META.pageSize);
  const metas = [0, pageSize / 2, pageSize].map((at) => readMeta(handle, at)).filter((meta) => meta.readUInt32LE(META.magic) === MAGIC);
  const pages = Math.floor(size / pageSize);
  const isWhole = (meta: Buffer): boolean => {
    const lastPage = Number(meta.readBigUInt64LE(META.lastPage));
    return lastPage < pages || areMissingPagesFree({ handle, pageSize, pages, root: meta.readBigUInt64LE(META.freeRoot) }, lastPage);
  };
  // The newest meta may be ahead of a file that lost power; one whole one is enough.
  if (pageSize < PAGE_BYTES_MIN || !metas.some(isWhole)) throw corrupt(path, `it is cut short at ${size} bytes`);
}

function readMeta(handle: number, at: number): Buffer {
  const bytes = Buffer.alloc(META.size);
  readSync(handle, bytes, 0, META.size, at);
  return bytes;
}

function requireRoom(path: string): void {
  const { bavail, bsize } = statfsSync(dirname(path));
  if (bavail * bsize < CREATE_BYTES_MIN) {
    throw new EngineError('DISK_FULL', `${path} cannot be created: the disk is full`, { where: { file: path }, fix: 'free space on the file system of data_dir' });
  }
}

const corrupt = (path: string, reason: string): EngineError =>
  new EngineError('STATE_CORRUPT', `${path} cannot be read: ${reason}`, { where: { file: path }, fix: 'restore it from a savepoint' });
