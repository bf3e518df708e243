/**
 * The state port on LMDB: one file, a few named tables, binary keys and values. The only door to the lmdb package.
 *
 * Guarantees: a commit is one transaction, applied whole or not at all, in call order; reads see the last settled commit; a range
 * sees one snapshot; what is returned is a copy. lmdb's `transactionSync` is never used after opening: a worker that is terminated inside
 * one takes the writer lock with it and hangs the process. The asynchronous batch hands the native writer a complete
 * list of instructions (`batchStartThreshold` keeps it from starting on half a list), so a thread may die at any point.
 *
 * Owned by the thread that opened it. Files, not directories: `p017.mdb` and its `-lock`.
 */

import { closeSync, existsSync, fsyncSync, openSync, statSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { open, type Database, type RootDatabase } from 'lmdb';
import { EngineError, messageOf } from '../core/errors.ts';
import { STORE_KEY_BYTES_MAX, type KeyRange, type OrderedStore, type StoreEntry, type StoreOperation } from '../core/store.ts';
import { assert } from '../core/types.ts';
import { inspectStateFile } from './inspect-file.ts';

export interface StoreOptions {
  /** The file; it and its directory are created. */
  readonly path: string;
  /** Names of the tables. Tables that are not named here stay as they are. */
  readonly tables: readonly string[];
  /** A file at or above this size takes no more values: DISK_FULL. Bytes. */
  readonly bytesMax?: number;
  /** A transaction that has not settled after so long never will: STATE_STUCK. Milliseconds; tests lower it. */
  readonly commitPatienceMs?: number;
}

const BYTES_MAX_DEFAULT = 64 * 1024 ** 3;
/** lmdb starts a batch before its end once this many operations are queued: never. */
const NEVER = 2 ** 30;
/** A disk with less than this beside what a transaction writes counts as full. Chosen: what others may write meanwhile. */
const FULL_MARGIN_BYTES = 4 * 1024 * 1024;
/** Each operation may write a leaf page anew; beyond so many bytes they share theirs. */
const PAGE_BYTES = 4_096;
const PAGES_BYTES_MAX = 64 * 1024 * 1024;
/** After a failed commit lmdb's own close waits for a flush that never comes. Milliseconds. */
const CLOSE_PATIENCE_MS = 1_000;
/** When writing its meta page fails, lmdb never settles the next transaction. Chosen far above any slow disk. */
const COMMIT_PATIENCE_DEFAULT_MS = 120_000;

const ENOSPC = 28;
const EDQUOT = 122;
const MDB_MAP_FULL = -30_792;
const MDB_PANIC = -30_795;

/** Put and removed in one transaction. */
const NOBODYS_KEY = Uint8Array.of(0xff);

const BINARY = { encoding: 'binary', keyEncoding: 'binary', cache: false } as const;

type Table = Database<Uint8Array, Uint8Array>;

/** lmdb's options, those included that its types leave out. */
type RootOptions = Parameters<typeof open>[0] & { readonly batchStartThreshold: number };

let copiesRunning = 0;

/** A store of this thread is being copied: the thread must not be terminated, nor the process exit, which both crash it (SIGSEGV, SIGABRT). */
export const isCopying = (): boolean => copiesRunning > 0;

/** Opens or creates the file, in a directory that exists. Raises STATE_CORRUPT, DATA_VERSION, DISK_FULL or DATA_DIR_UNUSABLE. */
export function openStore(options: StoreOptions): OrderedStore {
  const isNew = !existsSync(options.path);
  inspectStateFile(options.path);
  try {
    const root = open<Uint8Array, Uint8Array>({
      ...BINARY,
      path: options.path,
      noSubdir: true,
      maxDbs: options.tables.length + 8,
      overlappingSync: true,
      eventTurnBatching: false,
      batchStartThreshold: NEVER,
    } as RootOptions);
    const tables = new Map<string, Table>(options.tables.map((name) => [name, root.openDB<Uint8Array, Uint8Array>(name, BINARY)]));
    // Flushed would mean little for a file whose name may be lost.
    if (isNew) syncPath(dirname(options.path));
    return new LmdbStore(options, root, tables, isNew);
  } catch (error) {
    throw openFault(options.path, error);
  }
}

class LmdbStore implements OrderedStore {
  readonly #path: string;
  readonly #root: RootDatabase<Uint8Array, Uint8Array>;
  readonly #tables: ReadonlyMap<string, Table>;
  readonly #bytesMax: number;
  readonly #commitPatienceMs: number;
  /** The end of the commit that was called last; never rejects. */
  #lastCommit: Promise<void> = Promise.resolve();
  #lastFlush: Promise<unknown> = Promise.resolve();
  /** Copies under way; they never reject here. */
  readonly #copies = new Set<Promise<unknown>>();
  #failed = false;
  /** A transaction never settled: no later one would, in this process. */
  #stuck = false;
  #closed: Promise<void> | null = null;
  /** The file has a list of free pages, or no page that could get into one. */
  #hasFreeList: boolean;

  constructor({ path, bytesMax = BYTES_MAX_DEFAULT, commitPatienceMs = COMMIT_PATIENCE_DEFAULT_MS }: StoreOptions, root: RootDatabase<Uint8Array, Uint8Array>, tables: ReadonlyMap<string, Table>, isNew: boolean) {
    this.#hasFreeList = isNew;
    this.#path = path;
    this.#root = root;
    this.#tables = tables;
    this.#bytesMax = bytesMax;
    this.#commitPatienceMs = commitPatienceMs;
  }

  get(table: string, key: Uint8Array): Uint8Array | null {
    try {
      return this.#table(table).getBinary(key) ?? null;
    } catch (error) {
      throw readFault(this.#path, error);
    }
  }

  *range(table: string, range: KeyRange): Generator<StoreEntry> {
    const { from, to, limit, reverse = false } = range;
    // lmdb walks from `start` to `end`; in reverse the exclusive bound is where the walk starts.
    const options = reverse
      ? { reverse, exclusiveStart: true, inclusiveEnd: true, ...(to && { start: to }), ...(from && { end: from }), ...(limit !== undefined && { limit }) }
      : { ...(from && { start: from }), ...(to && { end: to }), ...(limit !== undefined && { limit }) };
    try {
      for (const entry of this.#table(table).getRange(options)) yield entry;
    } catch (error) {
      throw readFault(this.#path, error);
    }
  }

  commit(operations: readonly StoreOperation[]): Promise<void> {
    const done = this.#lastCommit.then(() => this.#commitNow(operations));
    this.#lastCommit = done.catch(() => undefined);
    return done;
  }

  async flushed(): Promise<void> {
    await this.#lastCommit;
    try {
      await this.#lastFlush;
    } catch (error) {
      throw writeFault(this.#path, error, 0);
    }
  }

  async copyTo(path: string): Promise<void> {
    if (this.#closed !== null) throw new EngineError('STATE_WRITE_FAILED', `${path} cannot be written: the store to copy has been closed`, { where: { file: path }, fix: 'take the copy again once the daemon has started' });
    try {
      await this.#counted(this.#root.backup(path, true));
      syncPath(path);
      syncPath(dirname(path));
    } catch (error) {
      throw writeFault(path, error, 0);
    }
  }

  async #counted(copying: Promise<void>): Promise<void> {
    const settled = copying.catch(() => undefined);
    this.#copies.add(settled);
    copiesRunning++;
    try {
      await copying;
    } finally {
      this.#copies.delete(settled);
      copiesRunning--;
    }
  }

  sizeBytes(): number {
    return statSync(this.#path).size;
  }

  close(): Promise<void> {
    this.#closed ??= this.#closeNow();
    return this.#closed;
  }

  async #commitNow(operations: readonly StoreOperation[]): Promise<void> {
    assert(this.#closed === null, 'a commit on a closed store');
    if (operations.length === 0) return;
    const bytes = this.#checkedBytes(operations);
    if (this.#stuck) throw this.#stuckFault();
    if (bytes > 0 && this.sizeBytes() >= this.#bytesMax) {
      throw new EngineError('DISK_FULL', `${this.#path} has reached its limit of ${this.#bytesMax} bytes`, { where: { file: this.#path }, fix: 'shorten retention or horizon, or lower the limits on distinct values' });
    }
    // Not left to lmdb: a write that meets the end of the disk inside it damages the heap of the process (seen with 3.5.6: SIGABRT).
    const needed = bytes + Math.min(PAGES_BYTES_MAX, operations.length * PAGE_BYTES);
    if (isShortOf(this.#path, needed)) throw writeFault(this.#path, Object.assign(new Error('no space is left'), { code: 'ENOSPC' }), needed);
    try {
      if (!this.#hasFreeList) await this.#makeFreeList();
      if (!this.#stuck) await this.#transact(operations);
    } catch (error) {
      this.#failed = true;
      // Whoever looks whether it landed must not see the file as it was before.
      this.#root.resetReadTxn();
      throw writeFault(this.#path, await causeOf(error), bytes);
    }
    this.#failed = this.#stuck;
    if (this.#stuck) throw this.#stuckFault();
    this.#lastFlush = Promise.resolve(this.#root.flushed);
  }

  /**
   * A compact copy has no list of free pages. Where the first transaction in it frees more than fit one page of that list, lmdb 3.5.6 crashes the process
   * (SIGSEGV in mdb_cursor_last, seen from some 500 pages on): one that frees a page or two, and changes nothing, goes before it.
   */
  async #makeFreeList(): Promise<void> {
    const { free } = this.#root.getStats() as { readonly free: { readonly entryCount: number } };
    const [table] = this.#tables.keys();
    if (free.entryCount === 0 && table !== undefined) await this.#transact([{ table, key: NOBODYS_KEY, value: NOBODYS_KEY }, { table, key: NOBODYS_KEY, value: null }]);
    this.#hasFreeList = true;
  }

  async #transact(operations: readonly StoreOperation[]): Promise<void> {
    const batch = this.#root.batch(() => {
      for (const { table, key, value } of operations) {
        if (value === null) void this.#table(table).remove(key);
        else void this.#table(table).put(key, value);
      }
    });
    this.#stuck = !(await settlesWithin(batch, this.#commitPatienceMs));
  }

  #stuckFault(): EngineError {
    return new EngineError('STATE_STUCK', `${this.#path} cannot be written: a transaction has not settled in ${this.#commitPatienceMs} ms`, {
      where: { file: this.#path },
      fix: 'the daemon ends itself and is started again; if this repeats, check the disk and its mount',
    });
  }

  /** Checks every operation before the first is queued, so that a bug applies nothing. Returns the bytes of all values. */
  #checkedBytes(operations: readonly StoreOperation[]): number {
    let bytes = 0;
    for (const { table, key, value } of operations) {
      this.#table(table);
      assert(key.byteLength > 0 && key.byteLength <= STORE_KEY_BYTES_MAX, `a store key has ${key.byteLength} bytes`);
      if (value !== null) bytes += key.byteLength + value.byteLength;
    }
    return bytes;
  }

  async #closeNow(): Promise<void> {
    await this.#lastCommit;
    // A copy reads the map that closing takes away: that ends the process with SIGSEGV. It cannot be cut short; the caller's drain is the bound.
    await Promise.all(this.#copies);
    const closing = Promise.resolve(this.#root.close()).catch(() => undefined);
    if (this.#failed) await settlesWithin(closing, CLOSE_PATIENCE_MS);
    else await closing;
  }

  #table(name: string): Table {
    const table = this.#tables.get(name);
    assert(table !== undefined, `no table ${name} in ${this.#path}`);
    return table;
  }
}

/** True once `promise` has settled well, false after `patienceMs`; rejects as it does. */
async function settlesWithin(promise: Promise<unknown>, patienceMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<false>((settle) => {
    timer = setTimeout(settle, patienceMs, false);
  });
  try {
    return await Promise.race([promise.then(() => true), patience]);
  } finally {
    clearTimeout(timer);
  }
}

/** lmdb rejects with a general error and tells the reason by a second promise. */
async function causeOf(error: unknown): Promise<unknown> {
  const reason = (error as { commitError?: Promise<unknown> }).commitError;
  return reason === undefined ? error : reason.then(() => error).catch((cause: unknown) => cause);
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown } | null)?.code;

/** A short write on a full disk reaches lmdb as EIO: what is left on the file system tells the two apart. */
function diskIsFull(path: string, code: unknown, bytes: number): boolean {
  return code === ENOSPC || code === EDQUOT || code === MDB_MAP_FULL || code === 'ENOSPC' || code === 'EDQUOT' || isShortOf(path, bytes);
}

function isShortOf(path: string, bytes: number): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize < bytes + FULL_MARGIN_BYTES;
  } catch {
    return false;
  }
}

function writeFault(path: string, error: unknown, bytes: number): EngineError {
  const where = { file: path };
  if (hasPanicked(error)) return unusable(path, 'cannot be written', error);
  return diskIsFull(path, codeOf(error), bytes)
    ? new EngineError('DISK_FULL', `${path} cannot be written: the disk is full`, { where, cause: error, fix: 'free space on the file system of data_dir' })
    : new EngineError('STATE_WRITE_FAILED', `${path} cannot be written: ${messageOf(error)}`, { where, cause: error, fix: 'check the disk and its mount' });
}

/** After a failed write of its own bookkeeping lmdb refuses everything, reads too, until the file is opened anew: nothing is damaged. */
const hasPanicked = (error: unknown): boolean => codeOf(error) === MDB_PANIC || /\bMDB_PANIC\b/.test(messageOf(error));

/** What lmdb says of a file itself has a negative code; errors of the system have positive ones, and may pass. */
function unusable(path: string, what: string, error: unknown): EngineError {
  const where = { file: path };
  const code = codeOf(error);
  if (hasPanicked(error)) return new EngineError('STATE_STUCK', `${path} ${what}: ${messageOf(error)}`, { where, cause: error, fix: 'look at the disk under data_dir; the daemon ends itself and is started again' });
  if (typeof code === 'number' && code > 0) return new EngineError('STATE_WRITE_FAILED', `${path} ${what}: ${messageOf(error)}`, { where, cause: error, fix: 'check the disk and its mount' });
  return new EngineError('STATE_CORRUPT', `${path} ${what}: ${messageOf(error)}`, { where, cause: error, fix: 'restore it from a savepoint' });
}

const readFault = (path: string, error: unknown): unknown => (typeof codeOf(error) === 'number' ? unusable(path, 'cannot be read', error) : error);

function openFault(path: string, error: unknown): EngineError {
  return typeof codeOf(error) === 'number' && diskIsFull(path, codeOf(error), 0)
    ? new EngineError('DISK_FULL', `${path} cannot be opened: the disk is full`, { where: { file: path }, cause: error, fix: 'free space on the file system of data_dir' })
    : unusable(path, 'cannot be opened', error);
}

function syncPath(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
