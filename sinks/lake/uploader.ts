/**
 * Moves spooled files into the lake, oldest slot first, a few at once; a file leaves the spool after its upload. After a failure they go one
 * by one until a slot got through: on a slow link files that share it may all outlast their timeout, and each would begin anew. Main thread.
 */

import { inLanes } from './lanes.ts';
import type { Spool, SpooledFile } from './spool.ts';
import type { LakeTarget } from './target.ts';

/** Enough to hide a bucket's latency; so many files are in memory at once. Chosen. */
const UPLOADS_AT_ONCE = 4;

export class Uploader {
  readonly #spool: Spool;
  readonly #target: LakeTarget;
  /** When the oldest slot that is not uploaded was first seen, by the clock that comes in; null when all is uploaded. */
  pendingSinceMs: number | null = null;
  uploads = 0;
  /** `startMs` of the newest slot of which every file is in the lake; 0 before the first since the start. */
  uploadedStartMs = 0;
  readonly #now: () => number;
  #oneByOne = false;
  #closing = false;

  constructor(options: { readonly spool: Spool; readonly target: LakeTarget; readonly now: () => number }) {
    this.#spool = options.spool;
    this.#target = options.target;
    this.#now = options.now;
  }

  /** Uploads the oldest ready slot; false when there is none. Raises SINK_UNAVAILABLE or SINK_REFUSED, after the uploads under way have ended. */
  async uploadOldest(): Promise<boolean> {
    const [slot] = await this.#spool.readySlots();
    if (slot === undefined) {
      this.pendingSinceMs = null;
      return false;
    }
    this.pendingSinceMs ??= this.#now();
    const files = await this.#spool.files(slot);
    const lanes = this.#oneByOne ? 1 : UPLOADS_AT_ONCE;
    this.#oneByOne = true;
    if (!(await inLanes(files, lanes, (file) => this.#upload(file), () => this.#closing))) return false;
    await this.#spool.removeSlot(slot);
    this.#oneByOne = false;
    this.uploadedStartMs = Math.max(this.uploadedStartMs, slot.startMs);
    this.pendingSinceMs = null;
    return true;
  }

  /** Lets the uploads under way end and begins no other. */
  close(): void {
    this.#closing = true;
  }

  async #upload(file: SpooledFile): Promise<void> {
    const bytes = await this.#spool.read(file);
    if (bytes === null) return;
    await this.#target.put(file.name, bytes);
    await this.#spool.remove(file);
    this.uploads++;
  }
}

