/** The files port on Node's file system. */

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises';
import type { Files } from './files.ts';

export const nodeFiles: Files = {
  list: (folder) => readdir(folder),
  read: (path) => readFile(path),
  look: async (path) => {
    const entry = await stat(path);
    return { isFolder: entry.isDirectory(), sizeBytes: entry.size };
  },
  writeSynced: async (path, bytes) => {
    const file = await open(path, 'w');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  },
  rename: (from, to) => rename(from, to),
  unlink: (path) => unlink(path),
  removeTree: (path) => rm(path, { recursive: true, force: true }),
  makeFolder: (path) => mkdir(path),
  syncFolder: async (path) => {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
  direct: {
    read: (path) => readFileSync(path),
    write: (path, bytes) => {
      writeFileSync(path, bytes);
    },
    writeSynced: (path, bytes) => {
      const descriptor = openSync(path, 'w');
      try {
        for (let at = 0; at < bytes.byteLength; ) at += writeSync(descriptor, bytes, at);
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
    },
    rename: (from, to) => {
      renameSync(from, to);
    },
    removeTree: (path) => {
      rmSync(path, { recursive: true, force: true });
    },
    makeFolders: (path) => {
      mkdirSync(path, { recursive: true });
    },
  },
};
