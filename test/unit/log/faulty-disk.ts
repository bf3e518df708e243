/**
 * A disk in memory that behaves as badly as a real one may.
 *
 * Nothing is durable before a sync. At a power cut each unsynced write is lost, kept, cut at any byte or kept in part by sectors,
 * and of the unsynced changes to each folder a prefix survives (faulty-folders.ts). A failed sync forgets what it was to write and leaves
 * the pages looking clean. Short writes and errors come from hooks. After a cut, files opened before are dead.
 */

import type { Disk, DiskFile, DiskOpenMode } from '../../../engine/core/disk.ts';
import { FaultyFolders } from './faulty-folders.ts';

export type Random = () => number;

/** Mulberry32: small, seeded, good enough to pick faults. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export type DiskOperation = 'open' | 'read' | 'write' | 'sync' | 'truncate' | 'rename' | 'unlink' | 'syncDirectory';

type Change = { readonly position: number; readonly bytes: Buffer } | { readonly size: number };

/** Bytes of a file, in a buffer that may be larger. */
class Content {
  #buffer: Buffer;
  size: number;

  constructor(bytes: Buffer = Buffer.alloc(0)) {
    this.#buffer = bytes;
    this.size = bytes.byteLength;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.size);
  }

  copy(): Content {
    return new Content(Buffer.from(this.bytes));
  }

  apply(change: Change): void {
    if ('size' in change) {
      this.#resize(change.size);
      return;
    }
    const end = change.position + change.bytes.byteLength;
    if (end > this.size) this.#resize(end);
    change.bytes.copy(this.#buffer, change.position);
  }

  #resize(size: number): void {
    if (size > this.#buffer.byteLength) {
      const larger = Buffer.alloc(Math.max(size, 2 * this.#buffer.byteLength));
      this.#buffer.copy(larger, 0, 0, this.size);
      this.#buffer = larger;
    } else if (size < this.size) this.#buffer.fill(0, size, this.size);
    this.size = size;
  }
}

/** As programs see it, as it is after a power cut, and what lies between. Both contents may be the same one. */
export interface Inode {
  cached: Content;
  durable: Content;
  pending: Change[];
}

const SECTOR_BYTES = 512;

export const diskError = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code });

export class FaultyDisk implements Disk {
  /** Raises or returns an error to inject; called before each operation. */
  fault: ((operation: DiskOperation, path: string) => Error | null) | null = null;
  /** Called before each operation of a living disk; the world may end in it. */
  onStep: (() => void) | null = null;
  /** Bytes a write takes of those it was given. */
  shortWrite: ((length: number) => number) | null = null;
  /** Whether a sync says that it is done and does nothing: no disk that durability can be built on. */
  lies: (() => boolean) | null = null;
  /** Awaited before each sync that does not hold up its thread. */
  delay: (() => Promise<void>) | null = null;
  /** After this many operations the power goes. */
  operationsLeft = Infinity;
  operations = 0;
  /** Every operation with its path, unless nobody looks. */
  readonly log: string[] = [];
  isLogging = true;
  #folders = new FaultyFolders();
  #life = 0;
  #dead = false;

  get dead(): boolean {
    return this.#dead;
  }

  /** The power is cut, if it is not off yet, and comes back. */
  powerCut(random: Random): void {
    for (const inode of this.#folders.powerCut(random)) {
      unshare(inode);
      for (const change of inode.pending) tear(inode.durable, change, random);
      inode.pending = [];
      inode.cached = inode.durable;
    }
    this.#restart();
  }

  /** The process dies and the machine goes on: what was written is there, synced or not. */
  processDeath(): void {
    this.#restart();
  }

  #restart(): void {
    this.#life++;
    this.#dead = false;
    this.fault = null;
    this.shortWrite = null;
    this.delay = null;
    this.operationsLeft = Infinity;
  }

  /** A copy that shares nothing, for trying several ends of one story. */
  clone(): FaultyDisk {
    const copies = new Map<Inode, Inode>();
    const disk = new FaultyDisk();
    disk.#folders = this.#folders.clone((inode) => {
      const copy = copies.get(inode) ?? { cached: inode.cached.copy(), durable: inode.durable.copy(), pending: [...inode.pending] };
      copies.set(inode, copy);
      return copy;
    });
    return disk;
  }

  /** The bytes of a file as programs see them; changes to them are there and durable at once. */
  bytesOf(path: string): Buffer {
    const inode = this.#folders.file(path);
    inode.pending = [];
    inode.durable = inode.cached;
    return inode.cached.bytes;
  }

  resize(path: string, size: number): void {
    const inode = this.#folders.file(path);
    inode.pending = [];
    inode.cached = inode.cached.copy();
    inode.cached.apply({ size });
    inode.durable = inode.cached;
  }

  erase(path: string): void {
    this.#folders.erase(path);
  }

  /** Of all files, sorted. */
  get paths(): string[] {
    return this.#folders.paths;
  }

  /** Names as programs see them: for ports that know folders. Each call that changes or asks is one step. */
  folders(operation: DiskOperation, path: string): FaultyFolders {
    this.#step(operation, path);
    return this.#folders;
  }

  /** The disk as one process or thread sees it: dead once that one or the power is gone, though its promises may still run. */
  session(isAlive: () => boolean = () => true): Disk {
    const life = this.#life;
    const alive = (): FaultyDisk => {
      if (life !== this.#life || !isAlive()) throw diskError('EBADF');
      return this;
    };
    return {
      open: (path, mode) => alive().#open(path, mode, () => void alive()),
      list: (directory) => alive().list(directory),
      makeDirectory: () => undefined,
      rename: (from, to) => alive().rename(from, to),
      unlink: (path) => alive().unlink(path),
      unlinkAsync: async (path) => {
        await Promise.resolve();
        alive().unlink(path);
      },
      syncDirectory: (directory) => alive().syncDirectory(directory),
      syncDirectoryAsync: async (directory) => {
        await this.delay?.();
        alive().syncDirectory(directory);
      },
    };
  }

  open(path: string, mode: DiskOpenMode): DiskFile {
    return this.#open(path, mode, () => undefined);
  }

  list(directory: string): string[] {
    return this.#folders.look(directory) === null ? [] : this.#folders.list(directory);
  }

  makeDirectory(): void {
    // The journal's folder is made on the way, and is durable.
  }

  rename(from: string, to: string): void {
    this.folders('rename', from).rename(from, to);
  }

  unlink(path: string): void {
    this.folders('unlink', path).remove(path);
  }

  async unlinkAsync(path: string): Promise<void> {
    await Promise.resolve();
    this.unlink(path);
  }

  syncDirectory(directory: string): void {
    this.folders('syncDirectory', directory).sync(directory);
  }

  async syncDirectoryAsync(directory: string): Promise<void> {
    await Promise.resolve();
    this.syncDirectory(directory);
  }

  #open(path: string, mode: DiskOpenMode, alive: () => void): DiskFile {
    this.#step('open', path);
    if (mode === 'create') {
      if (this.#folders.look(path) !== null) throw diskError('EEXIST');
      this.#folders.addFile(path, { cached: new Content(), durable: new Content(), pending: [] });
    }
    return this.#file(path, this.#folders.file(path), alive);
  }

  #file(path: string, inode: Inode, isAlive: () => void): DiskFile {
    const life = this.#life;
    const open = (): void => {
      if (life !== this.#life) throw diskError('EBADF');
      isAlive();
    };
    const alive = (operation: DiskOperation): void => {
      open();
      this.#step(operation, path);
    };
    const write = (from: Uint8Array, fromStart: number, length: number, position: number): number => {
      alive('write');
      const taken = Math.min(length, this.shortWrite?.(length) ?? length);
      change(inode, { position, bytes: Buffer.from(from.subarray(fromStart, fromStart + taken)) });
      return taken;
    };
    const sync = (): void => {
      // Of a thread that is gone: it never comes to pass, and what others have written to the file since stays theirs to sync.
      open();
      try {
        this.#step('sync', path);
      } catch (error) {
        if (life === this.#life && !this.#dead) inode.pending = [];
        throw error;
      }
      if (this.lies?.() === true) return;
      for (const unsynced of inode.pending) inode.durable.apply(unsynced);
      inode.pending = [];
    };
    return {
      read: (into, intoStart, length, position) => {
        alive('read');
        return inode.cached.bytes.copy(into, intoStart, position, position + length);
      },
      write,
      writeAsync: async (from, fromStart, length, position) => {
        await Promise.resolve();
        return write(from, fromStart, length, position);
      },
      sync,
      syncAsync: async () => {
        await this.delay?.();
        sync();
      },
      truncate: (size) => {
        alive('truncate');
        change(inode, { size });
      },
      sizeBytes: () => inode.cached.size,
      close: () => undefined,
    };
  }

  #step(operation: DiskOperation, path: string): void {
    if (this.#dead) throw diskError('EPOWER');
    const life = this.#life;
    this.onStep?.();
    if (life !== this.#life) throw diskError('EBADF');
    this.operations++;
    if (this.operationsLeft-- <= 0) {
      this.#dead = true;
      throw diskError('EPOWER');
    }
    if (this.isLogging) this.log.push(`${operation} ${path}`);
    const error = this.fault?.(operation, path) ?? null;
    if (error !== null) throw error;
  }
}

/** What is durable must not change with what is cached. */
function unshare(inode: Inode): void {
  if (inode.cached === inode.durable) inode.cached = inode.durable.copy();
}

function change(inode: Inode, made: Change): void {
  unshare(inode);
  inode.cached.apply(made);
  inode.pending.push(made);
}

function tear(content: Content, change: Change, random: Random): void {
  const fate = random();
  if (fate < 0.25) return;
  if (fate < 0.5 || 'size' in change) content.apply(change);
  else if (fate < 0.75) content.apply({ position: change.position, bytes: change.bytes.subarray(0, Math.floor(random() * (change.bytes.byteLength + 1))) });
  else {
    for (let at = 0; at < change.bytes.byteLength; ) {
      const end = Math.min(change.bytes.byteLength, (Math.floor((change.position + at) / SECTOR_BYTES) + 1) * SECTOR_BYTES - change.position);
      if (random() < 0.5) content.apply({ position: change.position + at, bytes: change.bytes.subarray(at, end) });
      at = end;
    }
  }
}
