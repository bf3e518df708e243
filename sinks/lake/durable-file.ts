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

/** A folder that may not be opened, or that its file system never syncs: nothing is known of it, and nothing can be done. */
const CANNOT_BE_SYNCED: readonly string[] = ['EACCES', 'EPERM', 'EROFS', 'EINVAL', 'ENOTSUP'];
/** Names that are known to be durable; beyond it they are looked at again. Chosen: hours of five months. */
const KNOWN_MAX = 4_096;

/**
 * Folders under a root, made with what is missing of their path, each name durable in its parent. A folder that is found proves nothing: who
 * made it may have died before its parent was synced, or that sync failed. So each is synced once in a life, and made anew where that fails.
 * One call after another: two at once would each see half of what the other makes.
 */
export class DurableFolders {
  readonly #files: Files;
  readonly #root: string;
  readonly #known = new Set<string>();
  #making: Promise<void> = Promise.resolve();

  constructor(files: Files, root: string) {
    this.#files = files;
    this.#root = root;
  }

  /** `path`: the root or below it. */
  make(path: string): Promise<void> {
    const made = this.#making.then(() => this.#ensure(path));
    this.#making = made.catch(() => undefined);
    return made;
  }

  /** Folders that were there may be gone. */
  forget(): void {
    this.#known.clear();
  }

  async #ensure(path: string): Promise<void> {
    if (this.#known.has(path)) return;
    if (path === this.#root) await this.#ensureRoot(path);
    else {
      await this.#ensure(dirname(path));
      const isNew = await this.#makeOne(path);
      await this.#syncParent(path, isNew);
    }
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    this.#known.add(path);
  }

  /** Above the root nothing is ours: what is there already need not be readable. Any other failure counts: it may have been us who made it, an attempt or a life ago. */
  async #ensureRoot(path: string): Promise<void> {
    let isNew: boolean;
    try {
      isNew = await this.#makeOne(path);
    } catch (error) {
      if (!isMissing(error) || (await isFolder(this.#files, dirname(path)))) throw error;
      await this.#ensureRoot(dirname(path));
      isNew = await this.#makeOne(path);
    }
    await this.#syncParent(path, isNew).catch((error: unknown) => {
      if (isNew || !CANNOT_BE_SYNCED.includes(systemCode(error))) throw error;
    });
  }

  /** Not mkdir's own `recursive`: under /proc Node 20 loops in it forever. */
  async #makeOne(path: string): Promise<boolean> {
    try {
      await this.#files.makeFolder(path);
      return true;
    } catch (error) {
      if (systemCode(error) === 'EEXIST' && (await isFolder(this.#files, path))) return false;
      throw error;
    }
  }

  async #syncParent(path: string, isNew: boolean): Promise<void> {
    try {
      await this.#files.syncFolder(dirname(path));
    } catch (error) {
      // A second sync would say nothing of what the first one lost: the next attempt has a new name to sync.
      if (isNew) await this.#files.removeTree(path).catch(() => undefined);
      throw error;
    }
  }
}

const isFolder = (files: Files, path: string): Promise<boolean> => files.look(path).then((entry) => entry.isFolder, () => false);

/** The code of a file system error, or an empty text. */
export const systemCode = (thrown: unknown): string => {
  const code = thrown instanceof Error ? (thrown as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : '';
};

export const isMissing = (thrown: unknown): boolean => systemCode(thrown) === 'ENOENT';
