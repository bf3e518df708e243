/**
 * `events/`: gathers the partitions' shares of each slot, has the slot encoded into the spool, tells the partitions, and uploads.
 *
 * ```
 * accept(share) -> held until every partition's is here -> encode (pool) -> spool.commit -> onSpooled(slot) -> upload -> gone from the spool
 * ```
 * Guarantees: slots are spooled in order and once; a share of a spooled slot (partitions send again after a restart) is answered at once;
 * a failure of encoder, disk or lake is repeated with backoff, loses nothing and stops nobody else. Bounds: one slot is encoded at a time,
 * none while the spool is at its limit; held shares beyond their bound go to disk. While the lake is away slots gather in the spool,
 * then in the partitions' outboxes, and the journal keeps what they need. Main thread.
 */

import { join } from 'node:path';
import { slotName, type SlotId, type SlotShare } from '../../engine/core/lake-slot.ts';
import type { SinkHealth } from '../../engine/core/feed.ts';
import { assert } from '../../engine/core/types.ts';
import type { SlotFiles } from './encode-slot.ts';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import type { Files } from './files.ts';
import { isMissing } from './durable-file.ts';
import { HeldShares } from './held-shares.ts';
import { nodeFiles } from './node-files.ts';
import { RetryLoop, systemRetryWorld, type RetryWorld } from './retry-loop.ts';
import { HELD, Spool, uploadedThrough, type SpooledFile } from './spool.ts';
import type { LakeTarget } from './target.ts';
import { Uploader } from './uploader.ts';

export const EVENTS_SINK_NAME = 'lake-events';
const HELD_BYTES_MAX = 64 * 1024 * 1024;
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 60_000;

export interface EncodeSlotJob {
  readonly slot: SlotId;
  /** By rising partition. */
  readonly shares: readonly SlotShare[];
  readonly spoolDirectory: string;
}

export interface EventsSinkOptions {
  readonly target: LakeTarget;
  readonly spoolDirectory: string;
  readonly spoolBytesMax: number;
  readonly partitionCount: number;
  /** Runs `encodeSlotToSpool` in the pool. */
  readonly encode: (job: EncodeSlotJob) => Promise<SlotFiles>;
  /** Every partition may drop its share of the slot. */
  readonly onSpooled: (slot: SlotId) => void;
  readonly warn: (message: string, details: Record<string, string | number>) => void;
  readonly world?: RetryWorld;
  readonly files?: Files;
  readonly heldBytesMax?: number;
  readonly backoffMinMs?: number;
  readonly backoffMaxMs?: number;
}

/** `settledMark` is the start (epoch ms) of the newest slot uploaded since the start; `cellsWritten` counts rows spooled. */
export interface EventsSinkHealth extends SinkHealth {
  readonly spoolBytes: number;
  readonly spoolBytesMax: number;
  /** The alarm: nothing is encoded until uploads make room. */
  readonly spoolFull: boolean;
  readonly slotsHeld: number;
  readonly slotsSpooled: number;
  /** Accepted once, not readable by this program's decoder any more; they are in no file. */
  readonly undecodable: number;
}

export class EventsSink {
  readonly #options: EventsSinkOptions;
  readonly #world: RetryWorld;
  readonly #spool: Spool;
  readonly #held: HeldShares;
  readonly #uploader: Uploader;
  readonly #encoding: RetryLoop;
  readonly #uploading: RetryLoop;
  #opened = false;
  #heldSinceMs: number | null = null;
  #slotsSpooled = 0;
  #rows = 0;
  #undecodable = 0;
  #fullReported = false;
  /** Settles well with the slot that is being encoded, and with whoever uses the spool's files. */
  #encodingTurn: Promise<unknown> = Promise.resolve();
  #spoolTurn: Promise<unknown> = Promise.resolve();

  constructor(options: EventsSinkOptions) {
    this.#options = options;
    this.#world = options.world ?? systemRetryWorld;
    const { spoolDirectory: directory, partitionCount, target, files = nodeFiles } = options;
    this.#spool = new Spool({ directory, bytesMax: options.spoolBytesMax, files });
    this.#held = new HeldShares({ partitionCount, memoryBytesMax: options.heldBytesMax ?? HELD_BYTES_MAX, directory: join(directory, HELD), files: files.direct });
    this.#uploader = new Uploader({ spool: this.#spool, target, now: () => this.#world.monotonicMs() });
    this.#encoding = this.#loop('encode', () => this.#encodeOldest());
    this.#uploading = this.#loop('upload', () => this.#uploadOldest());
  }

  /** Reads what the spool holds. Before the first `accept`. Raises DATA_DIR_UNUSABLE, DATA_VERSION or STATE_CORRUPT. */
  async open(): Promise<void> {
    await this.#spool.open();
    this.#opened = true;
  }

  start(): void {
    assert(this.#opened, 'the spool is open');
    this.#encoding.start();
    this.#uploading.start();
  }

  /** Takes the share as it is. May be called again with the same one. */
  accept(share: SlotShare): void {
    assert(this.#opened, 'the spool is open');
    if (this.#spool.covers(share.slot)) {
      this.#options.onSpooled(share.slot);
      return;
    }
    this.#held.add(share);
    if (this.#held.oldestComplete() === null) return;
    this.#heldSinceMs ??= this.#world.monotonicMs();
    this.#encoding.wake();
  }

  /** Records received before are in the lake, if they are rows at all; epoch ms. Null where there is none before the first slot of this data directory ends. */
  async uploadedThroughMs(): Promise<number | null> {
    const { progress } = this.#spool;
    if (progress === null) return this.#held.slotCount === 0 ? null : 0;
    const [oldest] = await this.#spool.readySlots();
    return uploadedThrough(progress, oldest);
  }

  /**
   * Has each file that waits for upload rewritten, in the order of upload; null for what may stay as it is. What is being encoded meanwhile is waited for first:
   * its shares may be older than whatever is the reason. Uploads go on between two files, so that some may go up as they were. One at a time.
   * No file that was in the spool before, removed or not committed, comes back as it was, whatever dies afterwards.
   */
  async rewriteSpooled(rewrite: (bytes: Uint8Array) => Promise<Uint8Array | null>): Promise<number> {
    await this.#betweenEncodings(() => this.#spool.removeUncommitted());
    await this.#alone(() => this.#spool.confirmRemovals());
    let rewritten = 0;
    for (const slot of await this.#spool.readySlots()) {
      for (const { name } of await this.#spoolFiles(slot)) {
        await this.#alone(async () => {
          const file = (await this.#spoolFiles(slot)).find((one) => one.name === name);
          const bytes = file === undefined ? null : await this.#spool.read(file);
          const other = bytes === null ? null : await rewrite(bytes);
          if (file === undefined || other === null) return;
          await this.#spool.replace(file, other);
          rewritten++;
        });
      }
    }
    return rewritten;
  }

  /** Lets the step under way end, or the deadline pass: what is left is in the spool and in the partitions' outboxes. */
  async close(deadlineMs: number): Promise<void> {
    this.#uploader.close();
    const ended = Promise.all([this.#encoding.close(), this.#uploading.close()]);
    await new Promise<void>((resolve) => {
      const cancel = this.#world.schedule(deadlineMs, resolve);
      void ended.finally(() => {
        cancel();
        resolve();
      });
    });
  }

  health(): EventsSinkHealth {
    const since = Math.min(this.#heldSinceMs ?? Infinity, this.#uploader.pendingSinceMs ?? Infinity);
    return {
      name: EVENTS_SINK_NAME,
      healthy: this.#encoding.healthy && this.#uploading.healthy && !this.#spool.full,
      settledMark: this.#uploader.uploadedStartMs,
      lagMs: since === Infinity ? 0 : this.#world.monotonicMs() - since,
      lastError: this.#uploading.lastError ?? this.#encoding.lastError ?? (this.#spool.full ? 'the spool is at its limit' : null),
      writes: this.#uploader.uploads,
      failures: this.#encoding.failures + this.#uploading.failures,
      cellsWritten: this.#rows,
      spoolBytes: this.#spool.bytes,
      spoolBytesMax: this.#spool.bytesMax,
      spoolFull: this.#spool.full,
      slotsHeld: this.#held.slotCount,
      slotsSpooled: this.#slotsSpooled,
      undecodable: this.#undecodable,
    };
  }

  /** Of a slot that is being uploaded its folder may be gone. */
  async #spoolFiles(slot: SlotId): Promise<SpooledFile[]> {
    return this.#spool.files(slot).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
  }

  /** While nothing else reads or takes files of the spool. */
  #alone<Result>(act: () => Promise<Result>): Promise<Result> {
    const done = this.#spoolTurn.then(act);
    this.#spoolTurn = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }

  /** While no slot is encoded or committed. */
  #betweenEncodings<Result>(act: () => Promise<Result>): Promise<Result> {
    const done = this.#encodingTurn.then(act);
    this.#encodingTurn = done.catch(() => undefined);
    return done;
  }

  #encodeOldest(): Promise<boolean> {
    return this.#betweenEncodings(() => this.#encodeNext());
  }

  async #encodeNext(): Promise<boolean> {
    const slot = this.#held.oldestComplete();
    if (slot === null || this.#refusesMore()) return false;
    const shares = this.#held.sharesOf(slot);
    const hasRows = shares.some((share) => share.rowCount > 0);
    const made = hasRows ? await this.#options.encode({ slot, shares, spoolDirectory: this.#spool.directory }) : { files: 0, bytes: 0, rows: 0, undecodable: 0, erased: 0 };
    await this.#spool.commit(slot, made);
    this.#held.dropUpTo(slot);
    this.#slotsSpooled++;
    this.#rows += made.rows;
    this.#noteUndecodable(slot, made.undecodable);
    this.#heldSinceMs = this.#held.oldestComplete() === null ? null : this.#world.monotonicMs();
    this.#options.onSpooled(slot);
    this.#uploading.wake();
    return true;
  }

  async #uploadOldest(): Promise<boolean> {
    const uploaded = await this.#alone(() => this.#uploader.uploadOldest());
    if (uploaded && !this.#spool.full) this.#encoding.wake();
    return uploaded;
  }

  /** Says so once, until there is room again. */
  #refusesMore(): boolean {
    const { full, bytes, bytesMax } = this.#spool;
    if (full && !this.#fullReported) this.#options.warn('the lake spool is at its limit: slots wait in the journal until uploads make room', { bytes, bytesMax });
    this.#fullReported = full;
    return full;
  }

  #noteUndecodable(slot: SlotId, count: number): void {
    if (count === 0) return;
    this.#undecodable += count;
    this.#options.warn('accepted records could not be decoded again and are missing from the lake', { slot: slotName(slot), count });
  }

  #loop(name: string, step: () => Promise<boolean>): RetryLoop {
    const { backoffMinMs = BACKOFF_MIN_MS, backoffMaxMs = BACKOFF_MAX_MS, warn } = this.#options;
    return new RetryLoop({
      step,
      world: this.#world,
      backoffMinMs,
      backoffMaxMs,
      onFailure: (error, failuresInARow, retryInMs) => {
        const fix = error instanceof EngineError && error.fix !== undefined ? { fix: error.fix } : {};
        warn(`the lake's ${name} failed`, { error: messageOf(error), ...fix, failuresInARow, retryInMs: Math.round(retryInMs) });
      },
    });
  }
}
