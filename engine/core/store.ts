/**
 * The state port: a transactional ordered key-value store with a few tables. LMDB implements it (engine/state); a simulator can.
 */

/** A key range, `from` inclusive, `to` exclusive, by unsigned byte order. */
export interface KeyRange {
  readonly from?: Uint8Array;
  readonly to?: Uint8Array;
  readonly limit?: number;
  readonly reverse?: boolean;
}

/** One write of a transaction; `value: null` removes the key. The store takes the arrays: do not change them afterwards. */
export interface StoreOperation {
  readonly table: string;
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

export interface StoreEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Keys are at most {@link STORE_KEY_BYTES_MAX} bytes. Reads see the latest commit that has settled. */
export interface OrderedStore {
  /** A copy of the value, or null. */
  get(table: string, key: Uint8Array): Uint8Array | null;
  /** Entries in key order, copies; the iteration sees one snapshot. */
  range(table: string, range: KeyRange): Iterable<StoreEntry>;
  /**
   * One transaction, all or nothing. Resolves when it is *committed* (visible to readers, survives the death of the process).
   * Commits apply in call order. Rejects STATE_WRITE_FAILED or DISK_FULL, and then nothing was applied; STATE_STUCK when it never settled, and
   * then no other will: only a new process can tell what was applied.
   */
  commit(operations: readonly StoreOperation[]): Promise<void>;
  /** Resolves when everything committed before the call is *flushed* (survives power loss). Rejects STATE_WRITE_FAILED or DISK_FULL. */
  flushed(): Promise<void>;
  /** A compacted copy of one consistent snapshot, at a path that does not exist yet. Rejects STATE_WRITE_FAILED or DISK_FULL. */
  copyTo(path: string): Promise<void>;
  /** Bytes of the file as it stands on disk. */
  sizeBytes(): number;
  /** After the commits and copies under way. Later ones are refused. */
  close(): Promise<void>;
}

/** LMDB's limit as the lmdb package sets it up. */
export const STORE_KEY_BYTES_MAX = 1_978;
