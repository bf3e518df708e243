/**
 * Asking the partitions for the shares of a cell that are not in memory, before the cell may be changed.
 *
 * A request goes to every partition and is done when all have answered. One that was out when a partition was restarted is
 * asked again as a new one. Main thread.
 */

import type { CellName } from '../../engine/core/cell.ts';
import type { MergeEntry } from './entry.ts';

/** Requests that may be out at once. Chosen: enough to hide a round trip, few enough to bound what an answer can bring. */
const REQUESTS_OUT_MAX = 4;

/** To be sent to every partition; each reports those of the cells it has, asked for or not, and then answers. */
export interface CellRequest {
  readonly requestId: number;
  readonly names: readonly CellName[];
}

interface OpenRequest {
  readonly entries: readonly MergeEntry[];
  readonly answered: Set<number>;
}

export class CellRequests {
  readonly #partitionCount: number;
  readonly #cellsMax: number;
  readonly #open = new Map<number, OpenRequest>();
  #wanted: MergeEntry[] = [];
  #nextId = 1;
  #waitingCount = 0;

  constructor(partitionCount: number, cellsMax: number) {
    this.#partitionCount = partitionCount;
    this.#cellsMax = cellsMax;
  }

  /** Cells wanted or asked for. */
  get waitingCount(): number {
    return this.#waitingCount;
  }

  /** A request is out that the partition has not answered. */
  owesAnswer(partition: number): boolean {
    for (const { answered } of this.#open.values()) if (!answered.has(partition)) return true;
    return false;
  }

  want(entry: MergeEntry): void {
    entry.waiting = true;
    this.#wanted.push(entry);
    this.#waitingCount++;
  }

  take(): CellRequest | null {
    if (this.#wanted.length === 0 || this.#open.size >= REQUESTS_OUT_MAX) return null;
    const entries = this.#wanted.slice(0, this.#cellsMax);
    this.#wanted = this.#wanted.slice(entries.length);
    const requestId = this.#nextId++;
    this.#open.set(requestId, { entries, answered: new Set() });
    return { requestId, names: entries.map(({ kind, windowStartMs, dimensions }) => ({ kind, windowStartMs, dimensions })) };
  }

  /** Returns the cells for which every partition has now answered. Answers to requests that were asked again are ignored. */
  answered(partition: number, requestId: number): readonly MergeEntry[] {
    const request = this.#open.get(requestId);
    if (request === undefined) return [];
    request.answered.add(partition);
    if (request.answered.size < this.#partitionCount) return [];
    this.#open.delete(requestId);
    this.#waitingCount -= request.entries.length;
    for (const entry of request.entries) entry.waiting = false;
    return request.entries;
  }

  /** A partition was restarted: what it had not answered yet may have died with it, and is asked again. */
  restarted(partition: number): void {
    for (const [requestId, request] of this.#open) {
      if (request.answered.has(partition)) continue;
      this.#open.delete(requestId);
      this.#wanted.push(...request.entries);
    }
  }
}
