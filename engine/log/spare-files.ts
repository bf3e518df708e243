/**
 * Files of full size that wait to become segments: retired ones as they are, new ones filled with zeros off the ingress loop.
 *
 * Overwriting allocated blocks makes a sync about half as long as growing a file does (4 KiB sync p50: 218 µs growing, 107 µs
 * zero-filled). While segments fill within seconds none is made: batches are large then, a sync is shared by many events, and filling would
 * write every byte of the log twice (bench/load at peak: 4 of 24 us of CPU an event). What a spare holds does not matter: no CRC of its
 * earlier life is valid under a new segment number. At most `sparesMax` files are kept, and none while space is scarce. Owned by the ingress
 * thread.
 */

import { join } from 'node:path';

import type { Clock } from '../core/clock.ts';
import { diskErrorCode, type Disk, type DiskFile } from '../core/disk.ts';
import { spareFileName } from './segment-format.ts';

/** Small, so that the pool's threads and the disk's queue stay free for syncs. Chosen. */
const FILL_CHUNK_BYTES = 256 * 1024;
/** Syncing in steps keeps one big flush from standing before a batch's sync. Chosen. */
const FILL_SYNC_BYTES = 4 * 1024 * 1024;
/** Two segments begun within this time, and filling rests for as long. Chosen: ten times the nominal rate still gets filled ones. */
const HURRY_MS = 3_000;

export interface SpareFile {
  readonly file: DiskFile;
  readonly path: string;
  /** Holds bytes of an earlier life. */
  readonly recycled: boolean;
  readonly fileBytes: number;
}

export interface SpareOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly directory: string;
  readonly segmentBytes: number;
  readonly sparesMax: number;
  readonly nextSpareId: number;
}

export class SpareFiles {
  readonly #options: SpareOptions;
  readonly #ready: SpareFile[] = [];
  #nextSpareId: number;
  #filling: Promise<void> | null = null;
  #closed = false;
  #scarce = false;
  #fillFailures = 0;
  #takenAtMs = -Infinity;
  #fillFromMs = -Infinity;

  constructor(options: SpareOptions) {
    this.#options = options;
    this.#nextSpareId = options.nextSpareId;
  }

  get byteCount(): number {
    return this.#ready.length * this.#options.segmentBytes;
  }

  get readyCount(): number {
    return this.#ready.length;
  }

  /** Zero-fillings that failed, for want of space as a rule. */
  get fillFailures(): number {
    return this.#fillFailures;
  }

  get wanted(): boolean {
    return !this.#closed && !this.#scarce && this.#ready.length < this.#options.sparesMax;
  }

  /** While space is scarce no spare is kept or made: it belongs to those that must write. */
  set scarce(scarce: boolean) {
    this.#scarce = scarce;
    if (scarce) for (const spare of this.#ready.splice(0)) discard(this.#options.disk, spare);
  }

  /** A path in the journal directory that no file has. */
  freshPath(): string {
    return join(this.#options.directory, spareFileName(this.#nextSpareId++));
  }

  /** A waiting spare, or an empty file that will grow. The caller owns it. Raises what the disk raises. */
  take(): SpareFile {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#takenAtMs < HURRY_MS) this.#fillFromMs = nowMs + HURRY_MS;
    this.#takenAtMs = nowMs;
    const spare = this.#ready.shift();
    if (spare !== undefined) return spare;
    const path = this.freshPath();
    return { file: this.#options.disk.open(path, 'create'), path, recycled: false, fileBytes: 0 };
  }

  /**
   * A waiting spare, or one filled now; for the first segment of a life, while no client waits. Only where filling fails does it grow.
   * A growing segment makes every sync a commit of the file system's own journal, which waits for what else is being written: under
   * load beside the filling of spares 14 ms a sync, against 0.2 ms filled.
   */
  async takeFilled(): Promise<SpareFile> {
    if (this.#ready.length > 0) return this.take();
    const path = this.freshPath();
    const file = this.#options.disk.open(path, 'create');
    try {
      if (await this.#fillFile(file)) return { file, path, recycled: false, fileBytes: this.#options.segmentBytes };
    } catch {
      this.#fillFailures++;
    }
    discard(this.#options.disk, { file, path });
    return this.take();
  }

  /** Takes in a file that nobody else uses, and whose name is durable: kept when it has full size and is wanted. Says whether. */
  offer(path: string): boolean {
    if (!this.wanted) return false;
    const { disk, segmentBytes } = this.#options;
    const file = disk.open(path, 'readwrite');
    if (file.sizeBytes() !== segmentBytes) {
      file.close();
      return false;
    }
    this.#ready.push({ file, path, recycled: true, fileBytes: segmentBytes });
    return true;
  }

  /** Starts to fill the next spare unless enough are there or segments fill too fast for it; returns at once. */
  replenish(): void {
    if (this.#filling !== null || !this.wanted || this.#options.clock.monotonicMs() < this.#fillFromMs) return;
    this.#filling = this.#fill().finally(() => {
      this.#filling = null;
    });
  }

  /** Resolves when no filling runs. */
  async settled(): Promise<void> {
    while (this.#filling !== null) await this.#filling;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.settled();
    for (const spare of this.#ready.splice(0)) spare.file.close();
  }

  /** Never rejects: a spare is a matter of speed, not of truth, and the next roll does without. */
  async #fill(): Promise<void> {
    while (this.wanted && this.#options.clock.monotonicMs() >= this.#fillFromMs) {
      const path = this.freshPath();
      let file: DiskFile | null = null;
      try {
        file = this.#options.disk.open(path, 'create');
        const complete = await this.#fillFile(file);
        if (complete && this.wanted) {
          this.#ready.push({ file, path, recycled: false, fileBytes: this.#options.segmentBytes });
          continue;
        }
      } catch {
        this.#fillFailures++;
      }
      if (file !== null) discard(this.#options.disk, { file, path });
      return;
    }
  }

  /** False when it was given up because the journal closes. */
  async #fillFile(file: DiskFile): Promise<boolean> {
    const { segmentBytes } = this.#options;
    const zeros = Buffer.alloc(Math.min(FILL_CHUNK_BYTES, segmentBytes));
    let unsynced = 0;
    for (let at = 0; at < segmentBytes; ) {
      if (this.#closed) return false;
      const written = await file.writeAsync(zeros, 0, Math.min(zeros.byteLength, segmentBytes - at), at);
      if (written <= 0) throw new Error('the disk takes no more bytes');
      at += written;
      unsynced += written;
      if (unsynced < FILL_SYNC_BYTES && at < segmentBytes) continue;
      await file.syncAsync();
      unsynced = 0;
    }
    return true;
  }
}

/** Closes and removes a file that never became a segment; what fails here is cleaned up at the next open. */
export function discard(disk: Disk, spare: { readonly file: DiskFile; readonly path: string }): void {
  try {
    spare.file.close();
  } catch {
    // The descriptor is gone either way.
  }
  try {
    disk.unlink(spare.path);
  } catch (error) {
    if (diskErrorCode(error) === 'ENOENT') return;
  }
}
