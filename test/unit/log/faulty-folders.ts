/**
 * Names on a faulty disk: folders and files as programs see them, and as they are after a power cut.
 *
 * A change of a name is durable once a folder that it touches is synced, and with it what the same folders had before. At a power cut a
 * prefix of each folder's unsynced changes survives; a move touches two folders and survives in both or in neither.
 */

import { basename, dirname } from 'node:path';
import { diskError, type Inode, type Random } from './faulty-disk.ts';

type Entry = Inode | Folder;

interface Change {
  readonly folders: readonly Folder[];
  readonly steps: readonly { readonly folder: Folder; readonly name: string; readonly entry: Entry | null }[];
}

class Folder {
  cached = new Map<string, Entry>();
  durable = new Map<string, Entry>();
}

export class FaultyFolders {
  #root = new Folder();
  #pending: Change[] = [];

  /** Null where there is nothing. */
  look(path: string): 'file' | 'folder' | null {
    const entry = this.#find(path);
    return entry === null ? null : entry instanceof Folder ? 'folder' : 'file';
  }

  /** Raises ENOENT or EISDIR. */
  file(path: string): Inode {
    const entry = this.#find(path);
    if (entry === null) throw diskError('ENOENT');
    if (entry instanceof Folder) throw diskError('EISDIR');
    return entry;
  }

  /** In no order. Raises ENOENT. */
  list(path: string): string[] {
    return [...this.#folder(path).cached.keys()];
  }

  /** Folders are made on the way, durable at once: whoever cares makes them with {@link makeFolder}. */
  addFile(path: string, inode: Inode): void {
    this.#change([{ path, entry: inode }]);
  }

  makeFolder(path: string): void {
    if (this.#find(path) !== null) throw diskError('EEXIST');
    this.#folder(dirname(path));
    this.#change([{ path, entry: new Folder() }]);
  }

  rename(from: string, to: string): void {
    const entry = this.#find(from);
    if (entry === null) throw diskError('ENOENT');
    const there = this.#find(to);
    if (there instanceof Folder && there.cached.size > 0) throw diskError('ENOTEMPTY');
    this.#change([{ path: from, entry: null }, { path: to, entry }]);
  }

  /** Raises ENOENT, or ENOTEMPTY for a folder that holds something. */
  remove(path: string): void {
    const entry = this.#find(path);
    if (entry === null) throw diskError('ENOENT');
    if (entry instanceof Folder && entry.cached.size > 0) throw diskError('ENOTEMPTY');
    this.#change([{ path, entry: null }]);
  }

  /** Somebody else takes it away, with all that is in it, for good. */
  erase(path: string): void {
    const folder = this.#find(dirname(path));
    if (!(folder instanceof Folder)) return;
    folder.cached.delete(basename(path));
    folder.durable.delete(basename(path));
  }

  sync(path: string): void {
    const folder = this.#find(path);
    if (!(folder instanceof Folder) || this.#pending.length === 0) return;
    this.#settle(new Map([[folder, this.#pending.length - 1]]));
  }

  /** Returns the files that are there now or were before, for what becomes of their content. */
  powerCut(random: Random): Set<Inode> {
    const before = this.#allFiles();
    const counts = new Map<Folder, number[]>();
    this.#pending.forEach(({ folders }, index) => {
      for (const folder of folders) counts.set(folder, [...(counts.get(folder) ?? []), index]);
    });
    const upTo = new Map<Folder, number>();
    for (const [folder, indexes] of counts) {
      const kept = Math.floor(random() * (indexes.length + 1));
      if (kept > 0) upTo.set(folder, indexes[kept - 1] as number);
    }
    this.#settle(upTo);
    this.#pending = [];
    forget(this.#root);
    return new Set([...before, ...this.#allFiles()]);
  }

  /** Sorted. */
  get paths(): string[] {
    const paths: string[] = [];
    const walk = (folder: Folder, prefix: string): void => {
      for (const [name, entry] of folder.cached) {
        if (entry instanceof Folder) walk(entry, `${prefix}/${name}`);
        else paths.push(`${prefix}/${name}`);
      }
    };
    walk(this.#root, '');
    return paths.sort();
  }

  clone(copyOf: (inode: Inode) => Inode): FaultyFolders {
    const copies = new Map<Folder, Folder>();
    const entryOf = (entry: Entry): Entry => (entry instanceof Folder ? folderOf(entry) : copyOf(entry));
    const folderOf = (folder: Folder): Folder => {
      let copy = copies.get(folder);
      if (copy === undefined) {
        copy = new Folder();
        copies.set(folder, copy);
        copy.cached = new Map([...folder.cached].map(([name, entry]) => [name, entryOf(entry)]));
        copy.durable = new Map([...folder.durable].map(([name, entry]) => [name, entryOf(entry)]));
      }
      return copy;
    };
    const clone = new FaultyFolders();
    clone.#root = folderOf(this.#root);
    clone.#pending = this.#pending.map(({ folders, steps }) => ({
      folders: folders.map(folderOf),
      steps: steps.map(({ folder, name, entry }) => ({ folder: folderOf(folder), name, entry: entry === null ? null : entryOf(entry) })),
    }));
    return clone;
  }

  /** Makes durable all changes of each folder up to an index, with those that they build on, in order. */
  #settle(upTo: Map<Folder, number>): void {
    const left: Change[] = [];
    const settled: Change[] = [];
    for (let index = this.#pending.length - 1; index >= 0; index--) {
      const change = this.#pending[index] as Change;
      if (change.folders.every((folder) => (upTo.get(folder) ?? -1) < index)) {
        left.push(change);
        continue;
      }
      for (const folder of change.folders) upTo.set(folder, Math.max(index, upTo.get(folder) ?? -1));
      settled.push(change);
    }
    for (const { steps } of settled.reverse()) for (const { folder, name, entry } of steps) setOrDelete(folder.durable, name, entry);
    this.#pending = left.reverse();
  }

  #change(changes: readonly { readonly path: string; readonly entry: Entry | null }[]): void {
    const steps = changes.map(({ path, entry }) => ({ folder: this.#folderMade(dirname(path)), name: basename(path), entry }));
    for (const { folder, name, entry } of steps) setOrDelete(folder.cached, name, entry);
    this.#pending.push({ folders: [...new Set(steps.map(({ folder }) => folder))], steps });
  }

  #find(path: string): Entry | null {
    let at: Entry = this.#root;
    for (const name of path.split('/')) {
      if (name === '') continue;
      const next: Entry | undefined = at instanceof Folder ? at.cached.get(name) : undefined;
      if (next === undefined) return null;
      at = next;
    }
    return at;
  }

  #folder(path: string): Folder {
    const entry = this.#find(path);
    if (entry === null) throw diskError('ENOENT');
    if (!(entry instanceof Folder)) throw diskError('ENOTDIR');
    return entry;
  }

  #folderMade(path: string): Folder {
    let at = this.#root;
    for (const name of path.split('/')) {
      if (name === '') continue;
      let next = at.cached.get(name);
      if (next === undefined) {
        next = new Folder();
        at.cached.set(name, next);
        at.durable.set(name, next);
      }
      if (!(next instanceof Folder)) throw diskError('ENOTDIR');
      at = next;
    }
    return at;
  }

  #allFiles(): Set<Inode> {
    const files = new Set<Inode>();
    const walk = (folder: Folder): void => {
      for (const entry of [...folder.cached.values(), ...folder.durable.values()]) {
        if (entry instanceof Folder) walk(entry);
        else files.add(entry);
      }
    };
    walk(this.#root);
    return files;
  }
}

function setOrDelete(names: Map<string, Entry>, name: string, entry: Entry | null): void {
  if (entry === null) names.delete(name);
  else names.set(name, entry);
}

function forget(folder: Folder): void {
  folder.cached = new Map(folder.durable);
  for (const entry of folder.cached.values()) if (entry instanceof Folder) forget(entry);
}
