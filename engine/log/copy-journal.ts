/**
 * Copies a journal while its writer runs: what is durable up to one offset, and nothing beyond.
 *
 * A segment that is being written must not be copied to its end: a copy that reads one batch before it is there and the next one after it
 * would hold proof of a batch that it does not have. Retention must be held back meanwhile. What is copied is durable on return.
 */

import { createReadStream, createWriteStream } from 'node:fs';
import { copyFile, open } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import type { Offset } from '../core/types.ts';
import { META_FILE_NAME } from './journal-meta.ts';
import { nodeDisk } from './node-disk.ts';
import { positionOf, SEGMENT_HEADER_BYTES, segmentFileName, segmentNumbers, segmentOf } from './segment-format.ts';

/** `to` exists and is empty. `durable`: end of the copy, published by the writer; 0 for a journal without any batch. Rejects what the disk raises. */
export async function copyJournal(options: { readonly from: string; readonly to: string; readonly durable: Offset; readonly segmentBytes: number }): Promise<void> {
  const { from, to, durable, segmentBytes } = options;
  const numbers = segmentNumbers(nodeDisk.list(from));
  // Of a journal that nobody writes retention may have taken the last batch; the empty segment after it says where that ended.
  const newest = Math.max(segmentOf(durable, segmentBytes), numbers[0] ?? 0);
  const end = newest === segmentOf(durable, segmentBytes) ? positionOf(durable, segmentBytes) : 0;
  for (const number of numbers) {
    const name = segmentFileName(number);
    if (number < newest) await copySynced(join(from, name), join(to, name));
    else if (number === newest) await copyHead(join(from, name), join(to, name), Math.max(end, SEGMENT_HEADER_BYTES));
  }
  await copySynced(join(from, META_FILE_NAME), join(to, META_FILE_NAME));
  await nodeDisk.syncDirectoryAsync(to);
}

async function copyHead(from: string, to: string, bytes: number): Promise<void> {
  await pipeline(createReadStream(from, { end: bytes - 1 }), createWriteStream(to));
  await syncFile(to);
}

/** Copies a whole file; its content is durable on return, its name once the directory is synced. */
export async function copySynced(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  await syncFile(to);
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
