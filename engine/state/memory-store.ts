/**
 * The state port in memory, for unit tests and simulation: the same semantics as the file, and the faults a file can have.
 *
 * A commit is *committed* when its promise resolves and *flushed* when {@link MemoryStore.flushed} has; a power loss takes
 * back what was not flushed, whole transactions at a time.
 */

import { EngineError, type ErrorCode } from '../core/errors.ts';
import { STORE_KEY_BYTES_MAX, type KeyRange, type OrderedStore, type StoreEntry, type StoreOperation } from '../core/store.ts';
import { assert } from '../core/types.ts';

export interface MemoryStore extends OrderedStore {
  /** The next commit rejects with this code and applies nothing; or all of it, as one whose sync fails does. */
  failNextCommit(code: ErrorCode, how?: 'refused' | 'landed'): void;
  /** Of the transactions since the last flush the first `kept` survive, none unless told; the file has no others to offer. */
  powerLoss(kept?: (transactions: number) => number): void;
  /** An independent copy of what is committed, or of that only which is flushed. */
  fork(what?: 'committed' | 'flushed'): MemoryStore;
}

export const memoryStore = (tables: readonly string[]): MemoryStore => new MemoryTables(new Map(tables.map((name) => [name, new MemoryTable()])));

interface Undo {
  readonly table: string;
  readonly key: string;
  readonly before: Uint8Array | null;
}

/** One byte per character, so that text order is byte order. */
const textOf = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');

class MemoryTable {
  readonly values = new Map<string, Uint8Array>();
  /** Keys in order; null after a change of the key set. */
  #sorted: string[] | null = null;

  put(key: string, value: Uint8Array | null): void {
    if (value === null ? this.values.has(key) : !this.values.has(key)) this.#sorted = null;
    if (value === null) this.values.delete(key);
    else this.values.set(key, value);
  }

  keys({ from, to, limit = Infinity, reverse = false }: KeyRange): string[] {
    this.#sorted ??= [...this.values.keys()].sort();
    const low = from === undefined ? 0 : lowerBound(this.#sorted, textOf(from));
    const high = to === undefined ? this.#sorted.length : lowerBound(this.#sorted, textOf(to));
    const keys = this.#sorted.slice(low, Math.max(low, high));
    if (reverse) keys.reverse();
    return keys.slice(0, limit);
  }
}

class MemoryTables implements MemoryStore {
  readonly #tables: ReadonlyMap<string, MemoryTable>;
  /** What undoes each commit since the last flush, oldest first. */
  #undo: Undo[][] = [];
  #fault: { readonly code: ErrorCode; readonly how: 'refused' | 'landed' } | null = null;
  #lastCommit: Promise<void> = Promise.resolve();

  constructor(tables: ReadonlyMap<string, MemoryTable>) {
    this.#tables = tables;
  }

  get(table: string, key: Uint8Array): Uint8Array | null {
    return this.#table(table).values.get(textOf(key))?.slice() ?? null;
  }

  *range(table: string, range: KeyRange): Generator<StoreEntry> {
    const { values } = this.#table(table);
    const snapshot = this.#table(table).keys(range).map((key) => [key, values.get(key) as Uint8Array] as const);
    for (const [key, value] of snapshot) yield { key: new Uint8Array(Buffer.from(key, 'latin1')), value: value.slice() };
  }

  commit(operations: readonly StoreOperation[]): Promise<void> {
    const done = this.#lastCommit.then(() => {
      this.#apply(operations);
    });
    this.#lastCommit = done.catch(() => undefined);
    return done;
  }

  async flushed(): Promise<void> {
    await this.#lastCommit;
    this.#undo = [];
  }

  async copyTo(): Promise<void> {
    throw new EngineError('STATE_WRITE_FAILED', 'a store in memory has no file to copy', { fix: 'use fork()' });
  }

  sizeBytes(): number {
    let bytes = 0;
    for (const { values } of this.#tables.values()) for (const [key, value] of values) bytes += key.length + value.byteLength;
    return bytes;
  }

  async close(): Promise<void> {
    await this.#lastCommit;
  }

  failNextCommit(code: ErrorCode, how: 'refused' | 'landed' = 'refused'): void {
    this.#fault = { code, how };
  }

  powerLoss(kept: (transactions: number) => number = () => 0): void {
    const lost = this.#undo.slice(kept(this.#undo.length)).reverse();
    for (const changes of lost) for (const { table, key, before } of changes.reverse()) this.#table(table).put(key, before);
    this.#undo = [];
  }

  fork(what: 'committed' | 'flushed' = 'committed'): MemoryStore {
    const tables = new Map<string, MemoryTable>();
    for (const [name, { values }] of this.#tables) {
      const copy = new MemoryTable();
      for (const [key, value] of values) copy.put(key, value.slice());
      tables.set(name, copy);
    }
    if (what === 'flushed') for (const changes of this.#undo.slice().reverse()) for (const { table, key, before } of changes.slice().reverse()) (tables.get(table) as MemoryTable).put(key, before);
    return new MemoryTables(tables);
  }

  #apply(operations: readonly StoreOperation[]): void {
    const fault = this.#fault;
    this.#fault = null;
    if (fault?.how === 'refused') throw new EngineError(fault.code, 'a fault was asked for');
    for (const { table, key, value } of operations) {
      this.#table(table);
      assert(key.byteLength > 0 && key.byteLength <= STORE_KEY_BYTES_MAX, `a store key has ${key.byteLength} bytes`);
      assert(value === null || value instanceof Uint8Array, 'a store value is bytes');
    }
    const changes: Undo[] = [];
    this.#undo.push(changes);
    for (const { table, key, value } of operations) {
      const text = textOf(key);
      changes.push({ table, key: text, before: this.#table(table).values.get(text) ?? null });
      this.#table(table).put(text, value === null ? null : value.slice());
    }
    if (fault !== null) throw new EngineError(fault.code, 'a fault was asked for, after all was written');
  }

  #table(name: string): MemoryTable {
    const table = this.#tables.get(name);
    assert(table !== undefined, `no table ${name}`);
    return table;
  }
}

/** Index of the first key at or after `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
