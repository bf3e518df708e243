/**
 * Reads single batches by offset, for those who know where they want to read: the lake's encoder and `tail`.
 *
 * Any thread, one owner. Offsets come from the journal itself (a batch's `offset`), below the published durable offset.
 */

import { join } from 'node:path';

import { diskErrorCode, readFully, type Disk, type DiskFile } from '../core/disk.ts';
import type { LogBatch } from '../core/log.ts';
import { assert, type Offset } from '../core/types.ts';
import { BATCH_HEADER_BYTES, batchHeaderBytes, batchHeaderBytesAt, batchHeaderIsSound, decodeBatchFacts } from './batch-format.ts';
import { copyControls, JournalBatch, laneSlices, type Lane } from './journal-batch.ts';
import { readMeta, type JournalMeta } from './journal-meta.ts';
import { before } from './journal-reader.ts';
import { nodeDisk } from './node-disk.ts';
import { corrupt } from './damage.ts';
import { offsetOf, positionOf, segmentFileName, segmentOf, segmentSeed } from './segment-format.ts';

/** A lookup jumps between few segments: those of the slots being encoded. Chosen. */
const OPEN_FILES_MAX = 4;

export interface LogLookup {
  /**
   * The batch that starts at `position` of the journal, the first one by default, with the slices of `lane` (all by default). `bytes` is valid until the next call.
   * Raises CHECKPOINT_BEFORE_LOG where retention has taken it, JOURNAL_CORRUPT where it is damaged or does not start there.
   */
  batchAt(position: Offset, lane?: Lane, journal?: number): LogBatch;
  close(): void;
}

export interface LogLookupOptions {
  readonly directory: string;
  readonly disk?: Disk;
}

/** Of several journals. Each is opened when it is first asked for. */
export function openMergedLookup({ directories, disk }: { readonly directories: readonly string[]; readonly disk?: Disk }): LogLookup {
  const lookups = new Map<number, LogLookup>();
  const of = (journal: number): LogLookup => {
    const found = lookups.get(journal);
    if (found !== undefined) return found;
    const directory = directories[journal];
    assert(directory !== undefined, `there is no journal ${journal}`);
    const opened = openLogLookup({ directory, ...(disk && { disk }) });
    lookups.set(journal, opened);
    return opened;
  };
  return {
    batchAt: (position, lane, journal = 0) => of(journal).batchAt(position, lane),
    close: () => {
      for (const lookup of lookups.values()) lookup.close();
    },
  };
}

export function openLogLookup(options: LogLookupOptions): LogLookup {
  const meta = readMeta(options.disk ?? nodeDisk, options.directory);
  if (meta === null) throw corrupt('there is no journal in the directory', { directory: options.directory });
  return new JournalLookup(options.disk ?? nodeDisk, options.directory, meta);
}

class JournalLookup implements LogLookup {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #meta: JournalMeta;
  readonly #everyPartition: Lane;
  /** By segment number; the least recently used stands first. */
  readonly #files = new Map<number, DiskFile>();
  #bytes: Buffer;

  constructor(disk: Disk, directory: string, meta: JournalMeta) {
    this.#disk = disk;
    this.#directory = directory;
    this.#meta = meta;
    this.#everyPartition = { first: 0, count: meta.partitionCount };
    this.#bytes = Buffer.allocUnsafe(Math.max(64 * 1024, batchHeaderBytes(meta.partitionCount)));
  }

  batchAt(at: Offset, lane: Lane = this.#everyPartition): LogBatch {
    const number = segmentOf(at, this.#meta.segmentBytes);
    const position = positionOf(at, this.#meta.segmentBytes);
    const seed = segmentSeed(number, this.#meta.salt);
    const file = this.#file(number, at);
    assert(position + BATCH_HEADER_BYTES <= this.#meta.segmentBytes, 'a batch starts inside its segment');
    const available = readFully(file, this.#bytes, 0, Math.min(this.#bytes.byteLength, this.#meta.segmentBytes - position), position);
    if (!batchHeaderIsSound(this.#bytes, 0, available, seed)) throw this.#damage(at, number, 'no sound batch header');
    const facts = decodeBatchFacts(this.#bytes, 0);
    const batchBytes = facts.headerBytes + facts.bodyBytes;
    if (batchBytes > available) {
      if (this.#bytes.byteLength < batchBytes) this.#bytes = Buffer.allocUnsafe(batchBytes);
      if (readFully(file, this.#bytes, 0, batchBytes, position) !== batchBytes) throw this.#damage(at, number, 'a batch that is cut short');
    }
    assert(batchHeaderBytesAt(this.#bytes, 0) === facts.headerBytes, 'a batch reads the same twice');
    const controls = copyControls(this.#bytes, facts.headerBytes, facts, seed);
    if (controls === null) throw this.#damage(at, number, 'a damaged control record');
    const slices = laneSlices(this.#bytes, 0, facts, lane, facts.headerBytes);
    const endOffset = offsetOf(number, position + batchBytes, this.#meta.segmentBytes);
    return new JournalBatch(at, endOffset, facts, seed, this.#bytes, slices, controls);
  }

  close(): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
  }

  #file(number: number, wanted: Offset): DiskFile {
    let file = this.#files.get(number);
    this.#files.delete(number);
    try {
      file ??= this.#disk.open(join(this.#directory, segmentFileName(number)), 'read');
    } catch (error) {
      if (diskErrorCode(error) === 'ENOENT') throw before(wanted, this.#directory);
      throw error;
    }
    this.#files.set(number, file);
    for (const [oldest, stale] of this.#files) {
      if (this.#files.size <= OPEN_FILES_MAX) break;
      stale.close();
      this.#files.delete(oldest);
    }
    return file;
  }

  /** A retired segment's file may have been reused while it was open here: then the offset is too old, and nothing is damaged. */
  #damage(at: Offset, number: number, what: string): Error {
    this.#files.get(number)?.close();
    this.#files.delete(number);
    if (!this.#disk.list(this.#directory).includes(segmentFileName(number))) return before(at, this.#directory);
    return corrupt(`found ${what}`, { file: join(this.#directory, segmentFileName(number)), offset: at });
  }
}
