/**
 * Files that are whole or absent, and durable once written: temporary name, fsync, rename, fsync of the directory.
 *
 * The temporary name is a function of the final one, so that a repeat overwrites what a crash left: one writer per file at a time.
 * Asynchronous for the main thread, synchronous for the pool (whose encoder hands files out one by one).
 */

import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { mkdir, open, rename, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Matched by no reader of Parquet files. */
const temporaryOf = (path: string): string => join(dirname(path), `.${basename(path)}.tmp`);
export const isTemporary = (name: string): boolean => name.startsWith('.') && name.endsWith('.tmp');

export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = temporaryOf(path);
  const file = await open(temporary, 'w');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** The same without the directory's fsync: the caller owes it before the name counts. */
export function writeFileSynced(path: string, bytes: Uint8Array): void {
  const temporary = temporaryOf(path);
  const descriptor = openSync(temporary, 'w');
  try {
    for (let at = 0; at < bytes.byteLength; ) at += writeSync(descriptor, bytes, at);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, path);
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/**
 * Creates what is missing of a path; each new name is durable in its parent. One call after another: two at once would each see half of
 * what the other makes, and one could return before the other has synced their common parent.
 */
export function makeDirectoryDurably(path: string): Promise<void> {
  const made = making.then(() => make(path));
  making = made.catch(() => undefined);
  return made;
}

let making: Promise<void> = Promise.resolve();

/** Not mkdir's own `recursive`: under /proc Node 20 loops in it forever. */
async function make(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (systemCode(error) === 'EEXIST' && (await isDirectory(path))) return;
    if (!isMissing(error) || (await isDirectory(dirname(path)))) throw error;
    await make(dirname(path));
    return make(path);
  }
  await syncDirectory(dirname(path));
}

const isDirectory = (path: string): Promise<boolean> => stat(path).then((entry) => entry.isDirectory(), () => false);

/** The code of a file system error, or an empty text. */
export const systemCode = (thrown: unknown): string => {
  const code = thrown instanceof Error ? (thrown as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : '';
};

export const isMissing = (thrown: unknown): boolean => systemCode(thrown) === 'ENOENT';
