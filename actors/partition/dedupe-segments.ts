/**
 * The segments of a dedupe index: numbered spans of arrivals, each within one bucket and between two checkpoints.
 *
 * ```
 * numbers   expired | liveFrom … evictThrough | … settledThrough | … | open
 *                     leaving memory            in the store       not settled yet
 * ```
 * Numbers rise with time and every mark only rises. Owned by the actor thread.
 */

import { assert } from '../../engine/core/types.ts';

/** Settled neighbours in one bucket are joined up to this many entries, so that the list stays short. */
const SEGMENT_ENTRIES_MAX = 16_384;

/** Numbers from the one after the segment before to `last`. `count`: entries it brought to memory. */
interface Segment {
  readonly bucket: number;
  readonly last: number;
  readonly count: number;
}

export class DedupeSegments {
  /** The first number that counts. */
  liveFrom = 1;
  /** The number for what arrives now, and how much has. */
  open = 1;
  openCount = 0;
  /** Entries up to this number leave memory; all of them are in the store. */
  evictThrough = 0;
  /** Sealed segments that count, oldest first. */
  #sealed: Segment[] = [];
  #taken = 0;
  #settledThrough = 0;

  /** Ends the open segment, which lay in `bucket`. */
  seal(bucket: number): void {
    if (this.openCount === 0) return;
    this.#sealed.push({ bucket, last: this.open, count: this.openCount });
    this.open++;
    this.openCount = 0;
  }

  /** All sealed segments are in the checkpoint that now begins. */
  take(): void {
    this.#taken = this.open - 1;
  }

  settled(): void {
    this.#settledThrough = this.#taken;
    this.#join();
  }

  expireBefore(bucketMin: number): void {
    let expired = 0;
    while (expired < this.#sealed.length && (this.#sealed[expired] as Segment).bucket < bucketMin) expired++;
    if (expired > 0) this.liveFrom = (this.#sealed[expired - 1] as Segment).last + 1;
    this.#sealed.splice(0, expired);
  }

  /** Lets the oldest settled segments go until they bring `entries`; false when there is none to go. */
  evict(entries: number): boolean {
    let evicted = 0;
    for (const segment of this.#sealed) {
      if (evicted >= entries || segment.last > this.#settledThrough) break;
      if (segment.last <= this.evictThrough) continue;
      evicted += segment.count;
      this.evictThrough = segment.last;
    }
    return evicted > 0;
  }

  bucketOf(number: number): number {
    let low = 0;
    let high = this.#sealed.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sealed[middle] as Segment).last < number) low = middle + 1;
      else high = middle;
    }
    const segment = this.#sealed[low];
    assert(segment !== undefined && number <= segment.last, `segment ${number} is not sealed`);
    return segment.bucket;
  }

  /** The number of what a restore brings back: one segment per bucket. */
  restoredNumber(bucket: number, bucketMin: number): number {
    return bucket - bucketMin + 1;
  }

  /** After a restore: `resident` entries in memory by bucket, all of them settled. */
  restore(resident: ReadonlyMap<number, number>, bucketMin: number): void {
    for (const bucket of [...resident.keys()].sort((a, b) => a - b)) {
      const last = this.restoredNumber(bucket, bucketMin);
      this.#sealed.push({ bucket, last, count: resident.get(bucket) ?? 0 });
      this.open = last + 1;
      this.#settledThrough = last;
    }
  }

  #join(): void {
    const joined: Segment[] = [];
    for (const segment of this.#sealed) {
      const before = joined[joined.length - 1];
      const isOne =
        before !== undefined && before.bucket === segment.bucket && segment.last <= this.#settledThrough && before.count + segment.count <= SEGMENT_ENTRIES_MAX;
      // An evicted segment and one in memory stay apart: the mark between them must not move back.
      if (isOne && before.last !== this.evictThrough) joined[joined.length - 1] = { ...segment, count: before.count + segment.count };
      else joined.push(segment);
    }
    this.#sealed = joined;
  }
}
