/**
 * Files that are whole or absent, and durable once written: temporary name, fsync, rename, fsync of the directory.
 *
 * The temporary name is a function of the final one, so that a repeat overwrites what a crash left: one writer per file at a time.
 * Asynchronous for the main thread, synchronous for the pool (whose encoder hands files out one by one).
 */

import { basename, dirname, join } from 'node:path';
import type { DirectFiles, Files } from './files.ts';

/** Matched by no reader of Parquet files. */
const temporaryOf = (path: string): string => join(dirname(path), `.${basename(path)}.tmp`);
export const isTemporary = (name: string): boolean => name.startsWith('.') && name.endsWith('.tmp');

export async function writeDurably(files: Files, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = temporaryOf(path);
  await files.writeSynced(temporary, bytes);
  await files.rename(temporary, path);
  await files.syncFolder(dirname(path));
}

/** The same without the folder's sync: the caller owes it before the name counts. */
export function writeFileSynced(files: DirectFiles, path: string, bytes: Uint8Array): void {
  const temporary = temporaryOf(path);
  files.writeSynced(temporary, bytes);
  files.rename(temporary, path);
}

/**
 * Creates what is missing of a path; each new name is durable in its parent. One call after another: two at once would each see half of
 * what the other makes, and one could return before the other has synced their common parent.
 */
export function makeDirectoryDurably(files: Files, path: string): Promise<void> {
  const made = making.then(() => make(files, path));
  making = made.catch(() => undefined);
  return made;
}

let making: Promise<void> = Promise.resolve();

/** Not mkdir's own `recursive`: under /proc Node 20 loops in it forever. */
async function make(files: Files, path: string): Promise<void> {
  try {
    await files.makeFolder(path);
  } catch (error) {
    if (systemCode(error) === 'EEXIST' && (await isFolder(files, path))) return;
    if (!isMissing(error) || (await isFolder(files, dirname(path)))) throw error;
    await make(files, dirname(path));
    return make(files, path);
  }
  await files.syncFolder(dirname(path));
}

const isFolder = (files: Files, path: string): Promise<boolean> => files.look(path).then((entry) => entry.isFolder, () => false);

/** The code of a file system error, or an empty text. */
export const systemCode = (thrown: unknown): string => {
  const code = thrown instanceof Error ? (thrown as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : '';
};

export const isMissing = (thrown: unknown): boolean => systemCode(thrown) === 'ENOENT';
