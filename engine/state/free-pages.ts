/**
 * The free pages of an LMDB file, read without lmdb: what tells a file that was cut short from one whose last pages were never written.
 *
 * A transaction that takes pages at the end of the file and lets go of them again counts them in the meta and writes none of them: the file
 * ends before its last page, and all that is missing stands in the list of free pages. Seen in 4 of 32 partitions of a daemon that had ended cleanly.
 *
 * ```
 * page    header 24: flags u16 at 18, lower u16 at 20 (2 bytes a node) | node offsets u16 ..., from the end of the header
 * node    low u16 | high u16 | flags u16 | key size u16 | key | data          leaf: size of the data; branch: page, with flags as its upper bits
 * list    count i64 | pages i64 ...       a negative number is the length of a run that begins with the page behind it
 * ```
 */

import { readSync } from 'node:fs';

const HEADER_BYTES = 24;
const NODE_BYTES = 8;
const FLAGS_AT = 18;
const LOWER_AT = 20;
const BRANCH = 1;
const LEAF = 2;
const BIG_DATA = 1;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

export interface FreeListPlace {
  readonly handle: number;
  readonly pageSize: number;
  /** Pages that the file has. */
  readonly pages: number;
  readonly root: bigint;
}

/** True when every page from the end of the file up to `lastPage` is free. False for a list that cannot be read. */
export function areMissingPagesFree(place: FreeListPlace, lastPage: number): boolean {
  const missing = new Set<number>();
  for (let page = place.pages; page <= lastPage; page++) missing.add(page);
  try {
    for (const list of listsOf(place)) for (const page of pagesOf(list)) missing.delete(page);
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
  return missing.size === 0;
}

/** The values of the database at `root`. Raises RangeError where it leads out of the file. */
function* listsOf({ handle, pageSize, pages, root }: FreeListPlace): Generator<Buffer> {
  const open = root === NO_PAGE ? [] : [Number(root)];
  for (let visited = 0; open.length > 0; visited++) {
    const bytes = read(open.pop() as number, 1);
    if (visited > pages) throw new RangeError('the list of free pages leads back to itself');
    const flags = bytes.readUInt16LE(FLAGS_AT);
    const count = bytes.readUInt16LE(LOWER_AT) / 2;
    for (let index = 0; index < count; index++) {
      const node = bytes.subarray(HEADER_BYTES + bytes.readUInt16LE(HEADER_BYTES + 2 * index));
      const size = node.readUInt16LE(0) + node.readUInt16LE(2) * 0x1_0000;
      const data = NODE_BYTES + node.readUInt16LE(6);
      if ((flags & BRANCH) !== 0) open.push(size + node.readUInt16LE(4) * 0x1_0000_0000);
      else if ((flags & LEAF) === 0) throw new RangeError('a page of the list of free pages is of another kind');
      else if ((node.readUInt16LE(4) & BIG_DATA) === 0) yield node.subarray(data, data + size);
      else yield read(Number(node.readBigUInt64LE(data)), Math.ceil((HEADER_BYTES + size) / pageSize)).subarray(HEADER_BYTES, HEADER_BYTES + size);
    }
  }

  function read(page: number, count: number): Buffer {
    if (!(page >= 0 && page + count <= pages)) throw new RangeError('the list of free pages leads out of the file');
    const bytes = Buffer.alloc(count * pageSize);
    readSync(handle, bytes, 0, bytes.byteLength, page * pageSize);
    return bytes;
  }
}

function* pagesOf(list: Buffer): Generator<number> {
  for (let at = 8; at + 8 <= list.byteLength; at += 8) {
    const value = Number(list.readBigInt64LE(at));
    if (value >= 0) yield value;
    else {
      at += 8;
      const first = Number(list.readBigInt64LE(at));
      for (let page = first; page < first - value; page++) yield page;
    }
  }
}
