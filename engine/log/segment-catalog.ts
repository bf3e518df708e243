/**
 * The segments on disk, oldest first, and their retirement.
 *
 * Retention takes whole segments from the front: those that nothing needs any more and that are older than the age limit, or that
 * exceed the size limit. The newest one never goes. Each removal is durable before the next, so that a crash leaves a gap at the
 * front and nowhere else; only then may the file be reused. Owned by the ingress thread.
 */

import { join } from 'node:path';

import type { Disk } from '../core/disk.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import type { Offset } from '../core/types.ts';
import { offsetOf, SEGMENT_HEADER_BYTES, segmentFileName } from './segment-format.ts';
import type { SpareFiles } from './spare-files.ts';

export interface SegmentEntry {
  readonly number: number;
  /** Grows while the segment is the newest. */
  endPosition: number;
  firstReceivedAtMs: number;
  lastReceivedAtMs: number;
  fileBytes: number;
}

export interface RetentionLimits {
  /** Nothing at or past this offset goes: the lowest that a flushed checkpoint or the lake's spool still needs. */
  readonly needOffset: Offset;
  readonly maxAgeMs: number;
  /** Limit of all segments and spares together; the need goes before it. */
  readonly maxBytes: number;
  /** Free space is below what others must have: spares are given back. */
  readonly isScarce?: boolean;
}

export interface RetentionResult {
  readonly retiredSegments: number;
  readonly oldestOffset: Offset;
  readonly oldestReceivedAtMs: number;
  readonly bytesOnDisk: number;
}

export interface CatalogOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly segmentBytes: number;
  readonly spares: SpareFiles;
  readonly entries: readonly SegmentEntry[];
}

export class SegmentCatalog {
  readonly #options: CatalogOptions;
  readonly #entries: SegmentEntry[];
  #retiring: Promise<RetentionResult> | null = null;

  constructor(options: CatalogOptions) {
    this.#options = options;
    this.#entries = [...options.entries];
  }

  get count(): number {
    return this.#entries.length;
  }

  get bytesOnDisk(): number {
    let bytes = this.#options.spares.byteCount;
    for (const entry of this.#entries) bytes += entry.fileBytes;
    return bytes;
  }

  get oldestOffset(): Offset {
    return offsetOf(this.#oldest.number, SEGMENT_HEADER_BYTES, this.#options.segmentBytes);
  }

  get oldestReceivedAtMs(): number {
    return this.#oldest.firstReceivedAtMs;
  }

  add(entry: SegmentEntry): void {
    this.#entries.push(entry);
  }

  /** Retires what the limits allow. Calls do not overlap: a second one gets the first one's answer. */
  retain(limits: RetentionLimits, nowMs: number): Promise<RetentionResult> {
    this.#retiring ??= this.#retain(limits, nowMs).finally(() => {
      this.#retiring = null;
    });
    return this.#retiring;
  }

  async settled(): Promise<void> {
    await this.#retiring?.catch(() => undefined);
  }

  get #oldest(): SegmentEntry {
    return this.#entries[0] as SegmentEntry;
  }

  async #retain(limits: RetentionLimits, nowMs: number): Promise<RetentionResult> {
    let retiredSegments = 0;
    this.#options.spares.scarce = limits.isScarce ?? false;
    while (this.#mayRetire(limits, nowMs)) {
      await this.#retireOldest();
      retiredSegments++;
    }
    this.#options.spares.replenish();
    return { retiredSegments, oldestOffset: this.oldestOffset, oldestReceivedAtMs: this.oldestReceivedAtMs, bytesOnDisk: this.bytesOnDisk };
  }

  #mayRetire(limits: RetentionLimits, nowMs: number): boolean {
    if (this.#entries.length < 2) return false;
    const { number, endPosition, lastReceivedAtMs } = this.#oldest;
    if (offsetOf(number, endPosition, this.#options.segmentBytes) > limits.needOffset) return false;
    return nowMs - lastReceivedAtMs > limits.maxAgeMs || this.bytesOnDisk > limits.maxBytes;
  }

  async #retireOldest(): Promise<void> {
    const { disk, directory, segmentBytes, spares } = this.#options;
    const entry = this.#oldest;
    const path = join(directory, segmentFileName(entry.number));
    const sparePath = entry.fileBytes === segmentBytes && spares.wanted ? spares.freshPath() : null;
    try {
      if (sparePath === null) await disk.unlinkAsync(path);
      else disk.rename(path, sparePath);
      this.#entries.shift();
      await disk.syncDirectoryAsync(directory);
      // Overwriting the file before its old name is surely gone would damage a segment that a crash may bring back.
      if (sparePath !== null && !spares.offer(sparePath)) await disk.unlinkAsync(sparePath);
    } catch (error) {
      // Nobody would know of it until the next open.
      if (sparePath !== null) await disk.unlinkAsync(sparePath).catch(() => undefined);
      throw new EngineError('JOURNAL_WRITE_FAILED', `a segment could not be retired: ${messageOf(error)}`, {
        cause: error,
        where: { file: path },
        fix: 'check the disk; retention is tried again at the next round',
      });
    }
  }
}
