/**
 * The files port: every call that the lake makes to a file system goes through it, so that a simulator can put a faulty disk under the spool
 * and under a lake in a directory. `node-files.ts` is the real one.
 *
 * Calls raise Node's error objects (`code`: ENOENT, ENOSPC, EIO, ...). A new, renamed or removed name is durable once its folder is synced;
 * nothing else about a call is, unless it says so.
 */

export interface Files {
  /** Names in a folder, in no order. */
  list(folder: string): Promise<string[]>;
  read(path: string): Promise<Uint8Array>;
  /** Raises ENOENT where there is nothing. */
  look(path: string): Promise<{ readonly isFolder: boolean; readonly sizeBytes: number }>;
  /** Creates the file or writes it anew from its start; its content is durable on return. */
  writeSynced(path: string, bytes: Uint8Array): Promise<void>;
  /** Of a file or of a whole folder. Replaces a file of that name. */
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** A file or a folder with all that is in it; fine when it is not there. */
  removeTree(path: string): Promise<void>;
  /** In a parent that exists. Raises EEXIST. */
  makeFolder(path: string): Promise<void>;
  syncFolder(path: string): Promise<void>;
  /** For pool threads, and for what must not be interleaved. */
  readonly direct: DirectFiles;
}

/** Each holds up its thread. */
export interface DirectFiles {
  read(path: string): Uint8Array;
  /** What is written is worth nothing after a crash. */
  write(path: string, bytes: Uint8Array): void;
  writeSynced(path: string, bytes: Uint8Array): void;
  rename(from: string, to: string): void;
  removeTree(path: string): void;
  /** With its missing parents; fine when it exists. */
  makeFolders(path: string): void;
}
