/**
 * Which files of a journal directory are the journal: the newest segment and, backwards, each segment it or its predecessor names.
 *
 * A segment that a newer one passes over is void (its first batch was never acknowledged). A missing one is fine at the front,
 * where retention takes whole segments, oldest first; anywhere else it is damage. Reads only.
 */

import { join } from 'node:path';

import { diskErrorCode, readFully, type Disk } from '../core/disk.ts';
import { EngineError } from '../core/errors.ts';
import { corrupt, unreadable } from './damage.ts';
import type { JournalMeta } from './journal-meta.ts';
import {
  decodeSegmentHeader,
  SEGMENT_HEADER_BYTES,
  segmentFileName,
  segmentNumbers,
  segmentSeed,
  spareIdOf,
  type SegmentHeader,
} from './segment-format.ts';

export interface ChainSegment {
  readonly header: SegmentHeader;
  /** CRC of the header: what its first batch names as predecessor. */
  readonly crc: number;
  readonly seed: number;
  readonly path: string;
  readonly fileBytes: number;
  /** Where it ended, by its successor's word; -1 for the newest. */
  readonly endPosition: number;
}

export interface SegmentChain {
  /** By rising number; empty for a new journal. */
  readonly segments: readonly ChainSegment[];
  /** Files that hold a segment's name and no part of the journal. */
  readonly voidPaths: readonly string[];
  readonly sparePaths: readonly string[];
  /** One more than the highest segment number and spare id ever seen in a name. */
  readonly nextNumber: number;
  readonly nextSpareId: number;
}

/** The header of one segment file, or `absent`. Raises JOURNAL_CORRUPT or DATA_VERSION. */
export function readSegmentHeader(
  disk: Disk,
  directory: string,
  number: number,
  meta: JournalMeta,
): { readonly header: SegmentHeader; readonly crc: number; readonly seed: number; readonly fileBytes: number } | 'absent' {
  const path = join(directory, segmentFileName(number));
  const block = Buffer.alloc(SEGMENT_HEADER_BYTES);
  let length: number;
  let fileBytes: number;
  try {
    const file = disk.open(path, 'read');
    try {
      fileBytes = file.sizeBytes();
      length = readFully(file, block, 0, SEGMENT_HEADER_BYTES, 0);
    } finally {
      file.close();
    }
  } catch (error) {
    if (diskErrorCode(error) === 'ENOENT') return 'absent';
    throw unreadable('a segment cannot be read', { file: path }, error);
  }
  const seed = segmentSeed(number, meta.salt);
  const decoded = decodeSegmentHeader(block.subarray(0, length), number, seed);
  if (decoded.kind === 'newer') {
    throw new EngineError('DATA_VERSION', `segment format ${decoded.version} is newer than this program`, {
      where: { file: path },
      fix: 'start the version of the daemon that wrote it, or a newer one',
    });
  }
  if (decoded.kind === 'damaged') throw corrupt('the header of a segment is damaged', { file: path, position: 0 });
  const { header } = decoded;
  if (header.segmentBytes !== meta.segmentBytes || header.partitionCount !== meta.partitionCount || header.instance !== meta.instance) {
    throw new EngineError('DATA_DIR_FOREIGN', 'a segment belongs to another journal', { where: { file: path }, fix: 'move the foreign file away' });
  }
  return { header, crc: decoded.crc, seed, fileBytes };
}

export function readSegmentChain(disk: Disk, directory: string, meta: JournalMeta): SegmentChain {
  const names = disk.list(directory);
  const numbers = segmentNumbers(names);
  const spareNames = names.filter((name) => spareIdOf(name) >= 0);
  const segments: ChainSegment[] = [];
  const inChain = new Set<number>();
  let endPosition = -1;
  for (let number = numbers.at(-1) ?? -1; number >= 0; ) {
    const path = join(directory, segmentFileName(number));
    const read = readSegmentHeader(disk, directory, number, meta);
    if (read === 'absent') {
      const older = numbers.find((candidate) => candidate < number);
      if (older !== undefined) throw corrupt(`segment ${number} is missing while the older segment ${older} is there`, { file: path });
      break;
    }
    if (endPosition > read.fileBytes) {
      throw corrupt(`a segment is ${read.fileBytes} bytes long, but was durable up to ${endPosition}`, { file: path, position: read.fileBytes });
    }
    segments.push({ header: read.header, crc: read.crc, seed: read.seed, path, fileBytes: read.fileBytes, endPosition });
    inChain.add(number);
    endPosition = read.header.previous?.endPosition ?? -1;
    number = read.header.previous?.number ?? -1;
  }
  segments.reverse();
  return {
    segments,
    voidPaths: numbers.filter((number) => !inChain.has(number)).map((number) => join(directory, segmentFileName(number))),
    sparePaths: spareNames.map((name) => join(directory, name)),
    nextNumber: (numbers.at(-1) ?? -1) + 1,
    nextSpareId: Math.max(-1, ...spareNames.map(spareIdOf)) + 1,
  };
}
