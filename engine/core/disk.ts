/**
 * The disk port: every disk call of the journal goes through it, so that a simulator can put a faulty disk under production code.
 *
 * Calls raise Node's error objects (`code`: ENOENT, ENOSPC, EIO, ...). The synchronous form and the asynchronous one do the same;
 * the second leaves the calling thread free meanwhile.
 */

/** `create` refuses a path that exists. */
export type DiskOpenMode = 'read' | 'readwrite' | 'create';

/** An open file. Positions are absolute; nothing moves a file pointer. */
export interface DiskFile {
  /** Bytes read, 0 at the end of the file. */
  read(into: Uint8Array, intoStart: number, length: number, position: number): number;
  /** Bytes written, which may be fewer than asked for. */
  write(from: Uint8Array, fromStart: number, length: number, position: number): number;
  writeAsync(from: Uint8Array, fromStart: number, length: number, position: number): Promise<number>;
  /** fdatasync. After it has failed, nobody can know what is on disk: never call it again to find out. */
  sync(): void;
  syncAsync(): Promise<void>;
  truncate(sizeBytes: number): void;
  sizeBytes(): number;
  close(): void;
}

export interface Disk {
  open(path: string, mode: DiskOpenMode): DiskFile;
  /** Names in a directory, in no order. */
  list(directory: string): string[];
  /** Creates a directory and its missing parents, each durable in its own; fine when it exists. */
  makeDirectory(path: string): void;
  /** Replaces `to` when it exists. Durable once the directory is synced. */
  rename(from: string, to: string): void;
  unlink(path: string): void;
  unlinkAsync(path: string): Promise<void>;
  /** Makes creations, renames and removals in a directory durable. */
  syncDirectory(directory: string): void;
  syncDirectoryAsync(directory: string): Promise<void>;
}

/** Node's error code of anything thrown, or the empty string. */
export const diskErrorCode = (thrown: unknown): string => {
  const code = (thrown as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : '';
};

/** Writes all of `from[fromStart, fromStart + length)`, over as many calls as the disk needs. */
export function writeFully(file: DiskFile, from: Uint8Array, fromStart: number, length: number, position: number): void {
  let done = 0;
  while (done < length) {
    const written = file.write(from, fromStart + done, length - done, position + done);
    if (written <= 0) throw Object.assign(new Error('EIO: the disk takes no more bytes'), { code: 'EIO' });
    done += written;
  }
}

/** Reads up to `length` bytes and stops early only at the end of the file. */
export function readFully(file: DiskFile, into: Uint8Array, intoStart: number, length: number, position: number): number {
  let done = 0;
  while (done < length) {
    const read = file.read(into, intoStart + done, length - done, position + done);
    if (read <= 0) break;
    done += read;
  }
  return done;
}
