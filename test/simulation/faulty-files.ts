/** The lake's files port on the faulty disk: the spool, and a lake in a directory. Each call is made of the steps that the real one makes. */

import { dirname } from 'node:path';
import type { DirectFiles, Files } from '../../sinks/lake/files.ts';
import { diskError, type FaultyDisk } from '../unit/log/faulty-disk.ts';

/** `away`: whether a path is on a file system that does not answer. Dead once the process is gone. */
export function faultyFiles(disk: FaultyDisk, isAlive: () => boolean, away: (path: string) => boolean): Files {
  const session = disk.session(isAlive);
  const reach = (path: string): void => {
    session.list('/');
    if (away(path)) throw diskError('EIO');
  };
  const direct: DirectFiles = {
    read: (path) => {
      reach(path);
      const file = session.open(path, 'read');
      const bytes = Buffer.alloc(file.sizeBytes());
      file.read(bytes, 0, bytes.byteLength, 0);
      return bytes;
    },
    write: (path, bytes) => {
      reach(path);
      const isThere = disk.folders('open', path).look(path) !== null;
      const file = session.open(path, isThere ? 'readwrite' : 'create');
      if (isThere) file.truncate(0);
      for (let at = 0; at < bytes.byteLength; ) at += file.write(bytes, at, bytes.byteLength - at, at);
    },
    writeSynced: (path, bytes) => {
      direct.write(path, bytes);
      session.open(path, 'readwrite').sync();
    },
    rename: (from, to) => {
      reach(to);
      disk.folders('rename', from).rename(from, to);
    },
    removeTree: (path) => {
      reach(path);
      const kind = disk.folders('open', path).look(path);
      if (kind === 'folder') for (const name of disk.folders('open', path).list(path)) direct.removeTree(`${path}/${name}`);
      if (kind !== null) disk.folders('unlink', path).remove(path);
    },
    makeFolders: (path) => {
      reach(path);
      if (path === '/' || disk.folders('open', path).look(path) === 'folder') return;
      direct.makeFolders(dirname(path));
      disk.folders('open', path).makeFolder(path);
    },
  };
  const later = async <Value>(action: () => Value): Promise<Value> => {
    await Promise.resolve();
    return action();
  };
  return {
    direct,
    read: (path) => later(() => direct.read(path)),
    rename: (from, to) => later(() => {
      direct.rename(from, to);
    }),
    list: (folder) => later(() => {
      reach(folder);
      return disk.folders('open', folder).list(folder);
    }),
    look: (path) => later(() => {
      reach(path);
      const kind = disk.folders('open', path).look(path);
      if (kind === null) throw diskError('ENOENT');
      return { isFolder: kind === 'folder', sizeBytes: kind === 'file' ? session.open(path, 'read').sizeBytes() : 0 };
    }),
    writeSynced: async (path, bytes) => {
      await later(() => {
        direct.write(path, bytes);
      });
      await session.open(path, 'readwrite').syncAsync();
    },
    unlink: (path) => later(() => {
      reach(path);
      session.unlink(path);
    }),
    removeTree: (path) => later(() => {
      direct.removeTree(path);
    }),
    makeFolder: (path) => later(() => {
      reach(path);
      disk.folders('open', path).makeFolder(path);
    }),
    syncFolder: async (path) => {
      reach(path);
      await session.syncDirectoryAsync(path);
    },
  };
}
