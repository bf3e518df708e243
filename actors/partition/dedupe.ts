/**
 * The dedupe index of one partition: which 128-bit fingerprints were seen within the horizon, exactly, at any size.
 *
 * Fingerprints lie in buckets of running hours. One is a repeat when its bucket is at or after the oldest that counts,
 * `running hour - ceil(horizon)`, which only rises; what has been purged, spilled or compacted never matters. The newest lie in memory, in
 * the order of arrival (dedupe-log.ts), behind a table that finds them (dedupe-table.ts). Past the memory budget the oldest settled ones
 * leave it: a filter stays, and its hits are confirmed in the store's sorted runs, so an answer is never a guess. Memory passes the budget
 * only by what no checkpoint has settled yet and by the filter itself (about 2 bytes per fingerprint in the store).
 *
 * All of it lies on pages of one size that the partitions of a thread share (dedupe-pages.ts): an entry takes 16 bytes and 5 to 10 of table;
 * nothing that grows is copied whole, and what is outgrown or expires is there for the next.
 *
 * Hot path: 100 K records a second, at most 500 ns an admission in memory; bench/micro/dedupe.ts. {@link DedupeIndex.admit}: no allocation but of pages, and housekeeping
 * bounded per call. Owned by the partition's actor thread.
 */

import { Found } from '../../engine/core/dedupe-key.ts';
import type { OrderedStore, StoreOperation } from '../../engine/core/store.ts';
import { MS_PER_HOUR, assert } from '../../engine/core/types.ts';
import { FingerprintDigest } from './dedupe-digest.ts';
import { FilterLayers } from './dedupe-filter.ts';
import { FingerprintLog } from './dedupe-log.ts';
import { PagePool } from './dedupe-pages.ts';
import { FINGERPRINT_WORDS } from './dedupe-run.ts';
import { DedupeRuns, type DedupeBounds } from './dedupe-runs.ts';
import { DedupeTable, NUMBER_BITS, PLACE_BYTES } from './dedupe-table.ts';

/** New entries between two pieces of a rewriting, and places rewritten per entry. Derived: it ends before a sixteenth of the table is filled anew. */
const PIECE_ENTRIES = 16;
const REWRITE_PLACES = 16;
const CAPACITY_MIN = 2_048;
/** Used share of the table at which it is rewritten (an absent fingerprint then looks at 13 places, of one cache line or two) ... */
const LOAD_HIGH = 0.8;
/** ... larger, if so much of it is entries that are here, else as large as it is, without the dead ... */
const LOAD_GROW = 0.6;
/** ... and larger against the budget too, if there are so many because they may not leave yet ... */
const LOAD_MUST_GROW = 0.7;
const GROWTH = 1.5;
/** ... and below this share it is made smaller, but not by more than so much at a time, which bounds a piece. */
const LOAD_SHRINK = 0.12;
const LOAD_LOW = 0.4;
const SHRINKAGE_MAX = 8;
/** Pages that may leave memory where one comes: the budget is met again soon after a filter has taken of it. */
const EVICTED_PER_PAGE = 4;
/** Share of the budget that a restore fills; the rest waits for filters and new entries. */
const RESTORE_SHARE = 0.6;
/** Share of the budget that the first filter layer may take, and its bytes per fingerprint. */
const LAYER_SHARE = 1 / 32;
const LAYER_ENTRY_BYTES = 2;
/** Share of all numbers that entries may have: a dead place must have been left out of the table before its number comes again. */
const NUMBERS_SHARE = 1 / 8;

/** What makes a repeat: the same key, or the same but for its variant (engine/core/dedupe-key.ts). */
export const Match = { same: 0, anyVariant: 1 } as const;
export type Match = (typeof Match)[keyof typeof Match];

export interface DedupeIndex {
  /** True when new (and then remembered in the bucket of `runningTimeMs`, which never goes back); false for a repeat within the horizon. */
  admit(fingerprint: Uint32Array, runningTimeMs: number, horizonMs: number, match?: Match): boolean;
  /** The repeat that was found last is of no variant that is remembered. Told alike after any restart, spill or compaction. */
  readonly differs: boolean;
  /** Fingerprints by mode, of states of version 1, lie within the horizon: what is new may be among them. */
  readonly holdsFormer: boolean;
  /** Whether a fingerprint was seen within the horizon; remembers nothing. */
  knows(fingerprint: Uint32Array, runningTimeMs: number, horizonMs: number): boolean;
  /** Running time since when everything that was admitted is remembered. */
  readonly knownFromMs: number;
  /** Fingerprints remembered within the horizon, in memory and store. */
  readonly entries: number;
  /** Those of them that are answered from memory. */
  readonly entriesInMemory: number;
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
  /** Of the thread; one of its own where there is but one index. */
  readonly pages?: PagePool;
}

/** Restores from what the store's last commit holds. Raises STATE_CORRUPT and DATA_VERSION. */
export const openDedupe = (options: DedupeOptions): DedupeIndex => new Dedupe(options);

class Dedupe implements DedupeIndex {
  readonly #memoryBytesMax: number;
  readonly #capacityMin: number;
  readonly #entriesMax: number;
  readonly #pages: PagePool;
  readonly #log: FingerprintLog;
  readonly #table: DedupeTable;
  readonly #filters: FilterLayers;
  readonly #runs: DedupeRuns;

  /** The fingerprint that the filter is asked about, and how it was found so far. */
  #asked: Uint32Array = new Uint32Array(FINGERPRINT_WORDS);
  #found: Found = Found.nowhere;

  #horizonMs = -1;
  /** The running hour, -1 before the first admit, and its bounds. */
  #bucket = -1;
  #bucketStartMs = 0;
  #bucketEndMs = 0;
  #entries = 0;
  /** Entries of the running hour; those of the others by bucket. */
  #bucketEntries = 0;
  #olderEntries = new Map<number, number>();

  /** New entries until the next piece of a rewriting, and its places. */
  #pieceIn = PIECE_ENTRIES;
  #piecePlaces = 0;
  /** Used places at which the table is rewritten. */
  #usedHigh = 0;

  constructor({ store, table, memoryBytesMax, pages = new PagePool(), ...bounds }: DedupeOptions) {
    const numberBits = bounds.numberBits ?? NUMBER_BITS;
    this.#memoryBytesMax = memoryBytesMax;
    this.#capacityMin = bounds.capacityMin ?? CAPACITY_MIN;
    this.#entriesMax = 2 ** numberBits * NUMBERS_SHARE;
    this.#pages = pages;
    this.#log = new FingerprintLog(pages, numberBits);
    this.#table = new DedupeTable(pages, this.#log, this.#capacityMin);
    this.#filters = new FilterLayers(pages, Math.max(512, Math.floor((memoryBytesMax * LAYER_SHARE) / LAYER_ENTRY_BYTES)));
    this.#runs = new DedupeRuns(store, table, bounds);
    this.#restore();
  }

  get entries(): number {
    return this.#entries;
  }

  get entriesInMemory(): number {
    return this.#log.count;
  }

  get memoryBytes(): number {
    return this.#table.byteLength + this.#bytesBesideTable;
  }

  get #bytesBesideTable(): number {
    return this.#log.byteLength + this.#filters.byteLength + this.#runs.byteLength;
  }

  get differs(): boolean {
    return this.#found === Found.otherVariant;
  }

  get holdsFormer(): boolean {
    return this.#runs.holdsFormer;
  }

  get knownFromMs(): number {
    return this.#runs.bucketMin * MS_PER_HOUR;
  }

  admit(fingerprint: Uint32Array, runningTimeMs: number, horizonMs: number, match: Match = Match.same): boolean {
    const found = this.#find(fingerprint, runningTimeMs, horizonMs);
    if (found === Found.same || (found === Found.otherVariant && match === Match.anyVariant)) return false;
    if (this.#log.isPageDue) this.#makeRoom();
    this.#table.place(fingerprint, this.#log.append(fingerprint, this.#bucket));
    this.#bucketEntries++;
    this.#entries++;
    if (--this.#pieceIn === 0) this.#housekeep();
    return true;
  }

  knows(fingerprint: Uint32Array, runningTimeMs: number, horizonMs: number): boolean {
    return this.#find(fingerprint, runningTimeMs, horizonMs) === Found.same;
  }

  checkpoint(epoch: number): StoreOperation[] {
    return this.#runs.checkpoint(epoch, this.#log.take(), this.#bucket);
  }

  checkpointCommitted(epoch: number): void {
    this.#runs.committed(epoch);
    this.#log.settled();
  }

  checkpointFailed(epoch: number): void {
    this.#runs.failed(epoch);
    this.#log.failed();
  }

  digest(): string {
    const digest = new FingerprintDigest();
    this.#runs.forEach((words, bucket) => digest.add(words, bucket));
    this.#log.forEachUnsettled((words, bucket) => digest.add(words, bucket));
    return digest.toString();
  }

  /** In memory and, unless it is there, in the store too: which variants lie where is no matter. */
  #find(fingerprint: Uint32Array, runningTimeMs: number, horizonMs: number): Found {
    if (runningTimeMs >= this.#bucketEndMs || runningTimeMs < this.#bucketStartMs || horizonMs !== this.#horizonMs) {
      this.#advance(runningTimeMs, horizonMs);
    }
    this.#found = this.#table.find(fingerprint);
    if (this.#found === Found.same) return this.#found;
    this.#asked = fingerprint;
    this.#filters.find(fingerprint[1] as number, fingerprint[2] as number, this.#runs.bucketMin, this.#confirm);
    return this.#found;
  }

  readonly #confirm = (bucket: number): boolean => {
    const found = this.#runs.find(this.#asked, bucket);
    if (found > this.#found) this.#found = found;
    return found === Found.same;
  };

  /** A new running hour or horizon. */
  #advance(runningTimeMs: number, horizonMs: number): void {
    assert(runningTimeMs >= this.#bucketStartMs, `running time goes back to ${runningTimeMs} ms`);
    const bucket = Math.floor(runningTimeMs / MS_PER_HOUR);
    if (bucket !== this.#bucket) {
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
    this.#log.expireBefore(bucketMin);
    this.#filters.expireBefore(bucketMin);
    this.#runs.expireBefore(bucketMin);
    if (!this.#table.isRewriting) this.#rest();
  }

  readonly #evicted = (block: number, bits: number, bucket: number): void => {
    this.#filters.add(block, bits, bucket);
  };

  /** Every few new entries: a bounded piece of the rewriting under way, or the next one where it is due. */
  #housekeep(): void {
    this.#pieceIn = PIECE_ENTRIES;
    if (this.#table.isRewriting && this.#table.rewrite(this.#piecePlaces)) this.#rest();
    if (this.#table.used < this.#usedHigh) return;
    // Cannot come while a rewriting ends before a sixteenth is filled anew; kept exact rather than fast.
    if (this.#table.isRewriting && this.#table.rewrite(Number.MAX_SAFE_INTEGER)) this.#rest();
    this.#renew();
  }

  /** Nothing is under way: makes the table smaller where it is far too large for its entries. */
  #rest(): void {
    const { capacity } = this.#table;
    this.#usedHigh = Math.floor(capacity * LOAD_HIGH);
    if (capacity <= this.#capacityMin || this.#log.count >= capacity * LOAD_SHRINK) return;
    this.#beginRewrite(Math.max(this.#capacityMin, Math.ceil(capacity / SHRINKAGE_MAX), Math.ceil(this.#log.count / LOAD_LOW)));
  }

  /** The table is full to its mark: of entries, then it grows; or of dead places. */
  #renew(): void {
    const { capacity } = this.#table;
    const load = this.#log.count / capacity;
    const grows = load >= LOAD_MUST_GROW || (load >= LOAD_GROW && this.#growthFits);
    this.#beginRewrite(grows ? Math.ceil(capacity * GROWTH) : capacity);
  }

  get #growthFits(): boolean {
    return this.#bytesBesideTable + this.#pages.pageBytes + this.#table.capacity * GROWTH * PLACE_BYTES <= this.#memoryBytesMax;
  }

  #beginRewrite(capacity: number): void {
    this.#piecePlaces = PIECE_ENTRIES * Math.ceil(REWRITE_PLACES * Math.max(1, this.#table.capacity / capacity));
    this.#table.beginRewrite(capacity);
    this.#usedHigh = Math.floor(capacity * LOAD_HIGH);
  }

  /** A page is about to be added: within the budget the oldest settled ones leave for it. */
  #makeRoom(): void {
    for (let pages = 0; pages < EVICTED_PER_PAGE && this.#isFull && this.#log.canEvict; pages++) this.#log.evict(this.#evicted);
  }

  get #isFull(): boolean {
    if (this.#bytesBesideTable + this.#pages.pageBytes + this.#table.byteLengthDue > this.#memoryBytesMax || this.#log.count >= this.#entriesMax) return true;
    // A larger table would not fit: fewer entries do with this one.
    return this.#log.count >= this.#table.capacity * LOAD_GROW && !this.#table.isRewriting && !this.#growthFits;
  }

  /** Fills memory with the newest of what the store holds; the rest is left there behind the filter. */
  #restore(): void {
    let spilling = false;
    this.#runs.restore((words, bucket) => {
      const count = words.length / FINGERPRINT_WORDS;
      this.#olderEntries.set(bucket, (this.#olderEntries.get(bucket) ?? 0) + count);
      this.#entries += count;
      const tableBytes = (this.#log.count / LOAD_GROW) * PLACE_BYTES;
      spilling ||= tableBytes + this.#bytesBesideTable > this.#memoryBytesMax * RESTORE_SHARE || this.#log.count + count > this.#entriesMax;
      if (spilling) {
        for (let at = 0; at < words.length; at += FINGERPRINT_WORDS) this.#filters.add(words[at + 1] as number, words[at + 2] as number, bucket);
        return;
      }
      for (let at = 0; at < words.length; at += FINGERPRINT_WORDS) this.#log.prepend(words, at, bucket);
    });
    this.#filters.seal();
    if (this.#log.count > 0) this.#table.enterAll(Math.max(this.#capacityMin, Math.ceil(this.#log.count / LOAD_GROW)));
    this.#rest();
  }
}
