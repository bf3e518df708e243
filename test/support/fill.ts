/** Fills a file system, for tests of full disks. */

import { closeSync, openSync, statfsSync, writeSync } from 'node:fs';

const MIB = 1024 ** 2;

const freeBytes = (path: string): number => {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
};

/** Takes every byte that is left, but for some. */
export function fill(file: string, spareBytes = 0): void {
  const handle = openSync(file, 'w');
  if (spareBytes > 0) {
    // Looked at anew each time: a daemon may take of it meanwhile.
    for (let left = freeBytes(file) - spareBytes; left > 0; left = freeBytes(file) - spareBytes) writeSync(handle, Buffer.alloc(Math.min(MIB, left)));
    closeSync(handle);
    return;
  }
  for (let size = MIB; size >= 1; size = Math.floor(size / 16)) {
    const block = Buffer.alloc(size);
    try {
      for (;;) if (writeSync(handle, block) < size) break;
    } catch {
      // Full at this size: go on with smaller pieces.
    }
  }
  closeSync(handle);
}
