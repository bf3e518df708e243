/** A log writer in memory that can be slow, full or broken on demand. */

import type { BatchWriter } from '../../../ingress/index.ts';
import { EngineError, type ErrorCode } from '../../../engine/core/errors.ts';
import { offset, type Offset, type PartitionId } from '../../../engine/core/types.ts';

export interface MemoryRecord {
  readonly partition: number;
  readonly source: number;
  readonly flags: number;
  readonly bytes: Buffer;
}

const FRAME_BYTES = 16;

export class MemoryLog implements BatchWriter {
  /** What has been committed, batch by batch; a tick is an empty one. */
  readonly batches: { readonly records: readonly MemoryRecord[]; readonly controls: readonly Buffer[] }[] = [];
  /** Raised by the next commits while it is set. */
  fail: ErrorCode | null = null;
  /** 0: commits are synchronous; else they settle after so many milliseconds. */
  commitMs = 0;
  failedBatches = 0;
  /** While it is there, commits settle when it does. */
  #gate: Promise<void> | null = null;
  #openGate = (): void => undefined;
  readonly #batchBytesMax: number;
  #open: MemoryRecord[] = [];
  #controls: Buffer[] = [];
  #openBytes = 0;
  #durable = 0;
  #committing = false;

  constructor(batchBytesMax = 8 * 1024 * 1024) {
    this.#batchBytesMax = batchBytesMax;
  }

  get records(): readonly MemoryRecord[] {
    return this.batches.flatMap((batch) => batch.records);
  }

  /** Committed records as text, in order. */
  get texts(): string[] {
    return this.records.map((record) => record.bytes.toString('latin1'));
  }

  get openRecords(): number {
    return this.#open.length;
  }

  /** A commit is under way. */
  get committing(): boolean {
    return this.#committing;
  }

  /** Commits stay under way until {@link release}. */
  hold(): void {
    this.#gate = new Promise((resolve) => {
      this.#openGate = resolve;
    });
  }

  release(): void {
    this.#gate = null;
    this.#openGate();
  }

  get openBytes(): number {
    return this.#openBytes;
  }

  get durableOffset(): Offset {
    return offset(this.#durable);
  }

  hasRoomFor(payloadBytes: number): boolean {
    return this.#openBytes + payloadBytes + FRAME_BYTES <= this.#batchBytesMax;
  }

  append(partition: PartitionId, source: number, flags: number, bytes: Uint8Array, from: number, to: number): void {
    if (!this.hasRoomFor(to - from)) throw new Error('bug: appended to a full batch');
    this.#open.push({ partition, source, flags, bytes: Buffer.from(bytes.subarray(from, to)) });
    this.#openBytes += to - from + FRAME_BYTES;
  }

  appendControl(bytes: Uint8Array): void {
    this.#controls.push(Buffer.from(bytes));
  }

  commit(): true | Promise<true> {
    if (this.#committing) throw new Error('bug: committed while a commit was under way');
    const batch = { records: this.#open, controls: this.#controls };
    this.#open = [];
    this.#controls = [];
    this.#openBytes = 0;
    const settle = (): true => {
      if (this.fail !== null) {
        this.failedBatches++;
        throw new EngineError(this.fail, 'planted');
      }
      this.batches.push(batch);
      this.#durable += 8;
      return true;
    };
    if (this.#gate === null && this.commitMs === 0) return settle();
    this.#committing = true;
    return (this.#gate ?? new Promise<void>((resolve) => setTimeout(resolve, this.commitMs))).then(() => {
      this.#committing = false;
      return settle();
    });
  }

  async close(): Promise<void> {
    // Nothing is held.
  }
}
