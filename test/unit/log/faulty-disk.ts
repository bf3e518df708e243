/**
 * A disk in memory that behaves as badly as a real one may.
 *
 * Nothing is durable before a sync. At a power cut each unsynced write is lost, kept, cut at any byte or kept in part by sectors,
 * and of the unsynced changes to the directory a prefix survives. A failed sync forgets what it was to write and leaves the pages
 * looking clean. Short writes and errors come from hooks. After a cut, files opened before are dead.
 */

import { dirname } from 'node:path';

import type { Disk, DiskFile, DiskOpenMode } from '../../../engine/core/disk.ts';

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

interface Inode {
  cached: Buffer;
  durable: Buffer;
  pending: Change[];
}

type NameChange = { readonly kind: 'set'; readonly path: string; readonly inode: Inode } | { readonly kind: 'remove'; readonly path: string } | { readonly kind: 'rename'; readonly from: string; readonly to: string };

const SECTOR_BYTES = 512;

export const diskError = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code });

export class FaultyDisk implements Disk {
  /** Raises or returns an error to inject; called before each operation. */
  fault: ((operation: DiskOperation, path: string) => Error | null) | null = null;
  /** Bytes a write takes of those it was given. */
  shortWrite: ((length: number) => number) | null = null;
  /** Whether a sync says that it is done and does nothing: no disk that durability can be built on. */
  lies: (() => boolean) | null = null;
  /** Awaited before each sync that does not hold up its thread. */
  delay: (() => Promise<void>) | null = null;
  /** After this many operations the power goes. */
  operationsLeft = Infinity;
  operations = 0;
  readonly log: string[] = [];
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #nameChanges: NameChange[] = [];
  #life = 0;
  #dead = false;

  get dead(): boolean {
    return this.#dead;
  }

  /** The power is cut, if it is not off yet, and comes back. */
  powerCut(random: Random): void {
    const kept = Math.floor(random() * (this.#nameChanges.length + 1));
    for (const change of this.#nameChanges.slice(0, kept)) applyName(this.#durableNames, change);
    for (const inode of new Set([...this.#names.values(), ...this.#durableNames.values()])) {
      for (const change of inode.pending) inode.durable = tear(inode.durable, change, random);
      inode.pending = [];
      inode.cached = Buffer.from(inode.durable);
    }
    this.#names = new Map(this.#durableNames);
    this.#nameChanges = [];
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
    const copyOf = (inode: Inode): Inode => {
      const copy = copies.get(inode) ?? { cached: Buffer.from(inode.cached), durable: Buffer.from(inode.durable), pending: [...inode.pending] };
      copies.set(inode, copy);
      return copy;
    };
    const disk = new FaultyDisk();
    for (const [path, inode] of this.#names) disk.#names.set(path, copyOf(inode));
    for (const [path, inode] of this.#durableNames) disk.#durableNames.set(path, copyOf(inode));
    disk.#nameChanges = this.#nameChanges.map((change) => (change.kind === 'set' ? { ...change, inode: copyOf(change.inode) } : change));
    return disk;
  }

  /** The bytes of a file as programs see them; changes to them are there and durable at once. */
  bytesOf(path: string): Buffer {
    const inode = this.#names.get(path);
    if (inode === undefined) throw diskError('ENOENT');
    for (const change of inode.pending) inode.durable = apply(inode.durable, change);
    inode.pending = [];
    inode.cached = inode.durable;
    return inode.durable;
  }

  resize(path: string, size: number): void {
    const inode = this.#names.get(path);
    if (inode === undefined) throw diskError('ENOENT');
    inode.pending = [];
    inode.cached = inode.durable = apply(inode.cached, { size });
  }

  get paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  /** The disk as one process sees it: dead once that process or the power is gone, though its promises may still run. */
  session(): Disk {
    const life = this.#life;
    const alive = (): FaultyDisk => {
      if (life !== this.#life) throw diskError('EBADF');
      return this;
    };
    return {
      open: (path, mode) => alive().open(path, mode),
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
    this.#step('open', path);
    let inode = this.#names.get(path);
    if (mode === 'create') {
      if (inode !== undefined) throw diskError('EEXIST');
      inode = { cached: Buffer.alloc(0), durable: Buffer.alloc(0), pending: [] };
      this.#changeName({ kind: 'set', path, inode });
    }
    if (inode === undefined) throw diskError('ENOENT');
    return this.#file(path, inode, this.#life);
  }

  list(directory: string): string[] {
    return [...this.#names.keys()].filter((path) => dirname(path) === directory).map((path) => path.slice(directory.length + 1));
  }

  makeDirectory(): void {
    // Directories are as good as their files here.
  }

  rename(from: string, to: string): void {
    this.#step('rename', from);
    if (!this.#names.has(from)) throw diskError('ENOENT');
    this.#changeName({ kind: 'rename', from, to });
  }

  unlink(path: string): void {
    this.#step('unlink', path);
    if (!this.#names.has(path)) throw diskError('ENOENT');
    this.#changeName({ kind: 'remove', path });
  }

  async unlinkAsync(path: string): Promise<void> {
    await Promise.resolve();
    this.unlink(path);
  }

  syncDirectory(directory: string): void {
    this.#step('syncDirectory', directory);
    for (const change of this.#nameChanges) applyName(this.#durableNames, change);
    this.#nameChanges = [];
  }

  async syncDirectoryAsync(directory: string): Promise<void> {
    await Promise.resolve();
    this.syncDirectory(directory);
  }

  #file(path: string, inode: Inode, life: number): DiskFile {
    const alive = (operation: DiskOperation): void => {
      if (life !== this.#life) throw diskError('EBADF');
      this.#step(operation, path);
    };
    const write = (from: Uint8Array, fromStart: number, length: number, position: number): number => {
      alive('write');
      const taken = Math.min(length, this.shortWrite?.(length) ?? length);
      const change = { position, bytes: Buffer.from(from.subarray(fromStart, fromStart + taken)) };
      inode.cached = inode.cached === inode.durable ? apply(inode.cached, change) : overwrite(inode.cached, change);
      inode.pending.push(change);
      return taken;
    };
    const sync = (): void => {
      try {
        alive('sync');
      } catch (error) {
        if (life === this.#life && !this.#dead) inode.pending = [];
        throw error;
      }
      if (this.lies?.() === true) return;
      for (const change of inode.pending) inode.durable = inode.cached === inode.durable ? apply(inode.durable, change) : overwrite(inode.durable, change);
      inode.pending = [];
    };
    return {
      read: (into, intoStart, length, position) => {
        alive('read');
        return inode.cached.copy(into, intoStart, position, position + length);
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
        inode.cached = apply(inode.cached, { size });
        inode.pending.push({ size });
      },
      sizeBytes: () => inode.cached.byteLength,
      close: () => undefined,
    };
  }

  #step(operation: DiskOperation, path: string): void {
    if (this.#dead) throw diskError('EPOWER');
    this.operations++;
    if (this.operationsLeft-- <= 0) {
      this.#dead = true;
      throw diskError('EPOWER');
    }
    this.log.push(`${operation} ${path}`);
    const error = this.fault?.(operation, path) ?? null;
    if (error !== null) throw error;
  }

  #changeName(change: NameChange): void {
    applyName(this.#names, change);
    this.#nameChanges.push(change);
  }
}

function applyName(names: Map<string, Inode>, change: NameChange): void {
  if (change.kind === 'set') names.set(change.path, change.inode);
  else if (change.kind === 'remove') names.delete(change.path);
  else {
    const inode = names.get(change.from);
    if (inode === undefined) throw new Error('the model of the directory is wrong');
    names.delete(change.from);
    names.set(change.to, inode);
  }
}

function apply(content: Buffer, change: Change): Buffer {
  if ('size' in change) {
    const resized = Buffer.alloc(change.size);
    content.copy(resized);
    return resized;
  }
  const end = change.position + change.bytes.byteLength;
  // Always a copy: bytes that were handed out or are kept as durable must not change behind their holder's back.
  const written = Buffer.alloc(Math.max(content.byteLength, end));
  content.copy(written);
  change.bytes.copy(written, change.position);
  return written;
}

/** The same where nobody else holds the content: in place, unless it grows. */
function overwrite(content: Buffer, change: Change): Buffer {
  if ('size' in change || change.position + change.bytes.byteLength > content.byteLength) return apply(content, change);
  change.bytes.copy(content, change.position);
  return content;
}

function tear(content: Buffer, change: Change, random: Random): Buffer {
  const fate = random();
  if (fate < 0.25) return content;
  if (fate < 0.5 || 'size' in change) return apply(content, change);
  if (fate < 0.75) {
    return apply(content, { position: change.position, bytes: change.bytes.subarray(0, Math.floor(random() * (change.bytes.byteLength + 1))) });
  }
  let torn = content;
  for (let at = 0; at < change.bytes.byteLength; ) {
    const end = Math.min(change.bytes.byteLength, (Math.floor((change.position + at) / SECTOR_BYTES) + 1) * SECTOR_BYTES - change.position);
    if (random() < 0.5) torn = apply(torn, { position: change.position + at, bytes: change.bytes.subarray(at, end) });
    at = end;
  }
  return torn;
}
