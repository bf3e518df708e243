/** A file that is there whole or not at all, whatever fails. */

import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { nodeDisk } from '../log/index.ts';

/** Writes a file so that it is there whole or not at all, whatever fails. `mode`: who may read it. */
export function writeFileAtomically(file: string, content: string | Uint8Array, mode = 0o666): void {
  const temporary = `${file}.tmp`;
  const handle = openSync(temporary, 'w', mode);
  try {
    // Not writeSync, which may stop short on a full disk without a word.
    writeFileSync(handle, content);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, file);
  nodeDisk.syncDirectory(resolve(file, '..'));
}
