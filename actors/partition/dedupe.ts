/**
 * The dedupe index of one partition: which 128-bit fingerprints were seen within the horizon, exactly, at any size.
 *
 * Fingerprints lie in buckets of running hours. One is a repeat when its bucket is at or after the oldest that counts,
 * `running hour - ceil(horizon)`, which only rises; what has been purged, spilled or compacted never matters. The newest are in
 * one memory table. Past the memory budget the oldest settled ones leave it: a filter stays, and its hits are confirmed in the
 * store's sorted runs, so an answer is never a guess. Memory passes the budget only by what no checkpoint has settled yet
 * and by the filter itself (about 2 bytes per fingerprint in the store).
 *
 * An entry carries the number of its *segment*: what arrived in one bucket between two checkpoints. Numbers rise with time, so
 * one comparison says live or expired, another says settled or not.
 *
 * Hot: {@link DedupeIndex.admit} once per decoded record (up to 100 K/s per thread); no allocation, and housekeeping bounded per
 * call. Guarded by `bench/micro/dedupe.ts`. Owned by the partition's actor thread.
 */

import type { OrderedStore, StoreOperation } from '../../engine/core/store.ts';
import { MS_PER_HOUR, assert } from '../../engine/core/types.ts';
import { FingerprintDigest } from './dedupe-digest.ts';
import { FilterLayers } from './dedupe-filter.ts';
import { PendingFingerprints } from './dedupe-pending.ts';
import { FINGERPRINT_WORDS } from './dedupe-run.ts';
import { DedupeRuns, type DedupeBounds } from './dedupe-runs.ts';
import { DedupeSegments } from './dedupe-segments.ts';
import { DedupeTable, SLOT_BYTES } from './dedupe-table.ts';

/** Slots moved or examined per admit. Derived: a pass over the table ends before a tenth of it is filled anew. */
const HOUSEKEEPING_SLOTS = 10;
const CAPACITY_MIN = 1_024;
/** Used share of the table at which it grows or evicts (measured: an absent fingerprint costs 3 to 4 probes) ... */
const LOAD_HIGH = 0.65;
/** ... at which it grows whatever the budget, because nothing may be evicted ... */
const LOAD_LIMIT = 0.82;
/** ... which an eviction aims at, which a smaller table may start from, and below which the table is made smaller. */
const LOAD_AFTER_EVICTION = 0.4;
const LOAD_LOW = 0.45;
const LOAD_SHRINK = 0.08;
const GROWTH = 1.6;
/** Growth by less than this is not worth a migration: evict instead. */
const GROWTH_MIN = 1.2;
/** Share of the budget that a restore fills with the table; the rest waits for filters and pending entries. */
const RESTORE_SHARE = 0.6;
/** Share of the budget that the first filter layer may take, and its bytes per fingerprint. */
const LAYER_SHARE = 1 / 32;
const LAYER_ENTRY_BYTES = 2;

export interface DedupeIndex {
  /** True when new (and then remembered in the bucket of `runningTimeMs`, which never goes back); false for a repeat within the horizon. */
  admit(fingerprint: Uint32Array, runningTimeMs: number, horizonMs: number): boolean;
  /** Fingerprints remembered within the horizon, in memory and store. */
  readonly entries: number;
  readonly memoryBytes: number;
  /**
   * Operations for this checkpoint: what is new since the last settled one as sorted runs, a slice of compaction, removal of
   * expired buckets. One checkpoint at a time: it settles by {@link checkpointCommitted} or {@link checkpointFailed}.
   */
  checkpoint(epoch: number): StoreOperation[];
  checkpointCommitted(epoch: number): void;
  checkpointFailed(epoch: number): void;
  /** Order-free digest, 40 hex digits, of the fingerprints within the horizon and their buckets. Reads the whole store: not for the hot path. */
  digest(): string;
}

export interface DedupeOptions extends DedupeBounds {
  readonly store: OrderedStore;
  readonly table: string;
  readonly memoryBytesMax: number;
}

/** Restores from what the store's last commit holds. Raises STATE_CORRUPT and DATA_VERSION. */
export const openDedupe = (options: DedupeOptions): DedupeIndex => new Dedupe(options);

class Dedupe implements DedupeIndex {
  readonly #memoryBytesMax: number;
  readonly #capacityMin: number;
  readonly #table: DedupeTable;
  readonly #filters: FilterLayers;
  readonly #runs: DedupeRuns;
  readonly #pending = new PendingFingerprints();
  readonly #segments = new DedupeSegments();

  /** The fingerprint that the filter is asked about. */
  #asked: Uint32Array = new Uint32Array(FINGERPRINT_WORDS);

  #horizonMs = -1;
  /** The running hour, -1 before the first admit, and its bounds. */
  #bucket = -1;
  #bucketStartMs = 0;
  #bucketEndMs = 0;
  #entries = 0;
  /** Entries of the running hour; those of the others by bucket. */
  #bucketEntries = 0;
  #olderEntries = new Map<number, number>();

  /** Slots that the sweep under way has still to examine; it waits for a migration. */
  #sweepSlotsLeft = 0;
  #migrationSlots = HOUSEKEEPING_SLOTS;
  /** Used slots at which {@link #relieve} is due. */
  #usedHigh = 0;

  constructor({ store, table, memoryBytesMax, ...bounds }: DedupeOptions) {
    this.#memoryBytesMax = memoryBytesMax;
    this.#capacityMin = bounds.capacityMin ?? CAPACITY_MIN;
    this.#table = new DedupeTable(this.#capacityMin);
    this.#filters = new FilterLayers(Math.max(512, Math.floor((memoryBytesMax * LAYER_SHARE) / LAYER_ENTRY_BYTES)));
    this.#runs = new DedupeRuns(store, table, bounds);
    this.#restore();
  }

  get entries(): number {
    return this.#entries;
  }

  get memoryBytes(): number {
    return this.#table.byteLength + this.#filters.byteLength + this.#runs.byteLength + this.#pending.byteLength;
  }

  admit(fingerprint: Uint32Array, runningTimeMs: number, horizonMs: number): boolean {
    if (runningTimeMs >= this.#bucketEndMs || runningTimeMs < this.#bucketStartMs || horizonMs !== this.#horizonMs) {
      this.#advance(runningTimeMs, horizonMs);
    }
    const isNew = this.#table.probe(fingerprint) < this.#segments.liveFrom && !this.#isInStore(fingerprint);
    if (isNew) {
      this.#table.place(fingerprint, this.#segments.open);
      this.#segments.openCount++;
      this.#pending.append(fingerprint, this.#bucket);
      this.#bucketEntries++;
      this.#entries++;
    }
    if (this.#sweepSlotsLeft > 0 || this.#table.migrating) this.#housekeep();
    if (this.#table.used >= this.#usedHigh) this.#relieve();
    return isNew;
  }

  checkpoint(epoch: number): StoreOperation[] {
    this.#segments.seal(this.#bucket);
    this.#segments.take();
    return this.#runs.checkpoint(epoch, this.#pending.take(), this.#bucket);
  }

  checkpointCommitted(epoch: number): void {
    this.#runs.committed(epoch);
    this.#pending.settled();
    this.#segments.settled();
    if (!this.#isBusy()) this.#rest();
  }

  checkpointFailed(epoch: number): void {
    this.#runs.failed(epoch);
    this.#pending.failed();
  }

  digest(): string {
    const digest = new FingerprintDigest();
    this.#runs.forEach((words, bucket) => digest.add(words, bucket));
    this.#pending.forEach((words, bucket) => digest.add(words, bucket));
    return digest.toString();
  }

  #isInStore(fingerprint: Uint32Array): boolean {
    this.#asked = fingerprint;
    return this.#filters.find(fingerprint[1] as number, fingerprint[2] as number, this.#runs.bucketMin, this.#confirm);
  }

  readonly #confirm = (bucket: number): boolean => this.#runs.contains(this.#asked, bucket);

  /** A new running hour or horizon. */
  #advance(runningTimeMs: number, horizonMs: number): void {
    assert(runningTimeMs >= this.#bucketStartMs, `running time goes back to ${runningTimeMs} ms`);
    const bucket = Math.floor(runningTimeMs / MS_PER_HOUR);
    if (bucket !== this.#bucket) {
      this.#segments.seal(this.#bucket);
      if (this.#bucketEntries > 0) this.#olderEntries.set(this.#bucket, this.#bucketEntries);
      this.#bucketEntries = this.#olderEntries.get(bucket) ?? 0;
      this.#olderEntries.delete(bucket);
      this.#bucket = bucket;
      this.#bucketStartMs = bucket * MS_PER_HOUR;
      this.#bucketEndMs = this.#bucketStartMs + MS_PER_HOUR;
    }
    this.#horizonMs = horizonMs;
    const bucketMin = bucket - Math.ceil(horizonMs / MS_PER_HOUR);
    if (bucketMin > this.#runs.bucketMin) this.#expireBefore(bucketMin);
  }

  #expireBefore(bucketMin: number): void {
    for (const [bucket, count] of this.#olderEntries) {
      if (bucket >= bucketMin) continue;
      this.#olderEntries.delete(bucket);
      this.#entries -= count;
    }
    this.#segments.expireBefore(bucketMin);
    this.#filters.expireBefore(bucketMin);
    this.#pending.expireBefore(bucketMin);
    this.#runs.expireBefore(bucketMin);
    this.#beginSweep();
  }

  readonly #evicted = (block: number, bits: number, segment: number): void => {
    this.#filters.add(block, bits, this.#segments.bucketOf(segment));
  };

  #isBusy(): boolean {
    return this.#table.migrating || this.#sweepSlotsLeft > 0;
  }

  /** A bounded piece of the migration or sweep under way. */
  #housekeep(): void {
    const { liveFrom, evictThrough } = this.#segments;
    if (this.#table.migrating) {
      if (this.#table.migrate(this.#migrationSlots, liveFrom, evictThrough, this.#evicted)) {
        // What expired or was evicted meanwhile may have been moved before that.
        if (this.#sweepSlotsLeft > 0) this.#beginSweep();
        else this.#rest();
      }
      return;
    }
    this.#table.sweep(HOUSEKEEPING_SLOTS, liveFrom, evictThrough, this.#evicted);
    this.#sweepSlotsLeft -= HOUSEKEEPING_SLOTS;
    if (this.#sweepSlotsLeft <= 0) this.#rest();
  }

  #beginSweep(): void {
    this.#sweepSlotsLeft = this.#table.capacity;
    this.#usedHigh = Math.floor(this.#table.capacity * LOAD_LIMIT);
  }

  #beginMigration(capacity: number): void {
    this.#migrationSlots = Math.ceil(HOUSEKEEPING_SLOTS * Math.max(1, this.#table.capacity / capacity));
    this.#table.beginMigration(capacity);
    this.#usedHigh = Math.floor(capacity * LOAD_LIMIT);
  }

  /** Nothing is under way: makes the table smaller where it is too large for the budget or far too large for its entries. */
  #rest(): void {
    const { capacity, used } = this.#table;
    this.#sweepSlotsLeft = 0;
    this.#usedHigh = Math.floor(capacity * LOAD_HIGH);
    const affordable = Math.floor((this.#memoryBytesMax - this.memoryBytes) / SLOT_BYTES) + capacity;
    const wanted = Math.max(this.#capacityMin, used < capacity * LOAD_SHRINK ? Math.min(affordable, Math.ceil(used / LOAD_LOW)) : affordable);
    if (wanted >= capacity) return;
    if (used <= wanted * LOAD_LOW) this.#beginMigration(wanted);
    else if (this.#segments.evict(used - wanted * LOAD_AFTER_EVICTION)) this.#beginSweep();
  }

  /** The table is full to its mark: grow within the budget, else evict, else (nothing may be evicted) grow all the same. */
  #relieve(): void {
    const { capacity, used } = this.#table;
    if (this.#table.migrating) {
      // Cannot come while a pass takes a tenth of the capacity in admits; kept exact rather than fast.
      this.#migrationSlots = Number.MAX_SAFE_INTEGER;
      this.#housekeep();
      return;
    }
    const affordable = Math.floor((this.#memoryBytesMax - this.memoryBytes) / SLOT_BYTES);
    const grown = Math.min(Math.ceil(capacity * GROWTH), affordable);
    if (used >= capacity * LOAD_LIMIT) this.#beginMigration(Math.max(grown, Math.ceil(capacity * GROWTH)));
    else if (grown >= capacity * GROWTH_MIN) this.#beginMigration(grown);
    else if (this.#segments.evict(used - capacity * LOAD_AFTER_EVICTION)) this.#beginSweep();
    else this.#usedHigh = Math.floor(capacity * LOAD_LIMIT);
  }

  /** Fills memory with the newest of what the store holds; the rest is left there behind the filter. */
  #restore(): void {
    const fingerprint = new Uint32Array(FINGERPRINT_WORDS);
    const resident = new Map<number, number>();
    let spilling = false;
    this.#usedHigh = Math.floor(this.#table.capacity * LOAD_HIGH);
    this.#runs.restore((words, bucket) => {
      const count = words.length / FINGERPRINT_WORDS;
      this.#olderEntries.set(bucket, (this.#olderEntries.get(bucket) ?? 0) + count);
      this.#entries += count;
      while (!spilling && this.#table.used + count >= this.#usedHigh) spilling = !this.#growAtOnce();
      if (spilling) {
        for (let at = 0; at < words.length; at += FINGERPRINT_WORDS) this.#filters.add(words[at + 1] as number, words[at + 2] as number, bucket);
        return;
      }
      const segment = this.#segments.restoredNumber(bucket, this.#runs.bucketMin);
      for (let at = 0; at < words.length; at += FINGERPRINT_WORDS) {
        for (let word = 0; word < FINGERPRINT_WORDS; word++) fingerprint[word] = words[at + word] as number;
        this.#table.probe(fingerprint);
        this.#table.place(fingerprint, segment);
      }
      resident.set(bucket, (resident.get(bucket) ?? 0) + count);
    });
    this.#segments.restore(resident, this.#runs.bucketMin);
    this.#filters.seal();
    this.#rest();
  }

  /** False when the budget for a restore is used up. */
  #growAtOnce(): boolean {
    const capacity = Math.ceil(this.#table.capacity * GROWTH);
    if (capacity * SLOT_BYTES > this.#memoryBytesMax * RESTORE_SHARE) return false;
    this.#beginMigration(capacity);
    this.#table.migrate(Number.MAX_SAFE_INTEGER, this.#segments.liveFrom, this.#segments.evictThrough, this.#evicted);
    this.#usedHigh = Math.floor(capacity * LOAD_HIGH);
    return true;
  }
}
