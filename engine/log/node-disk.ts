/**
 * The disk port on Node's file system. Synchronous calls run in the calling thread, asynchronous ones in libuv's pool.
 */

import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

import { diskErrorCode, type Disk, type DiskFile, type DiskOpenMode } from '../core/disk.ts';

const fdatasync = promisify(fs.fdatasync);
const write = promisify(fs.write);

const OPEN_FLAGS: Readonly<Record<DiskOpenMode, string>> = { read: 'r', readwrite: 'r+', create: 'wx+' };

class NodeFile implements DiskFile {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  read(into: Uint8Array, intoStart: number, length: number, position: number): number {
    return fs.readSync(this.#descriptor, into, intoStart, length, position);
  }

  write(from: Uint8Array, fromStart: number, length: number, position: number): number {
    return fs.writeSync(this.#descriptor, from, fromStart, length, position);
  }

  async writeAsync(from: Uint8Array, fromStart: number, length: number, position: number): Promise<number> {
    return (await write(this.#descriptor, from, fromStart, length, position)).bytesWritten;
  }

  sync(): void {
    fs.fdatasyncSync(this.#descriptor);
  }

  syncAsync(): Promise<void> {
    return fdatasync(this.#descriptor);
  }

  truncate(sizeBytes: number): void {
    fs.ftruncateSync(this.#descriptor, sizeBytes);
  }

  sizeBytes(): number {
    return fs.fstatSync(this.#descriptor).size;
  }

  close(): void {
    fs.closeSync(this.#descriptor);
  }
}

/** Not mkdir's own `recursive`: Node 20 loops forever where a parent exists and still answers ENOENT, as /proc does. */
function makeDirectory(path: string): void {
  const parent = dirname(path);
  try {
    fs.mkdirSync(path);
  } catch (error) {
    const code = diskErrorCode(error);
    if (code === 'EEXIST' && fs.statSync(path).isDirectory()) return;
    if (code !== 'ENOENT' || fs.existsSync(parent)) throw error;
    makeDirectory(parent);
    fs.mkdirSync(path);
  }
  syncDirectory(parent);
}

function syncDirectory(directory: string): void {
  const descriptor = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

export const nodeDisk: Disk = {
  open: (path, mode) => new NodeFile(fs.openSync(path, OPEN_FLAGS[mode], 0o640)),
  list: (directory) => fs.readdirSync(directory),
  makeDirectory,
  rename: (from, to) => {
    fs.renameSync(from, to);
  },
  unlink: (path) => {
    fs.unlinkSync(path);
  },
  unlinkAsync: (path) => fs.promises.unlink(path),
  syncDirectory,
  syncDirectoryAsync: async (directory) => {
    const handle = await fs.promises.open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};
