/** A store in memory for the dedupe tests: applies commits at once, answers copies, counts what is read. */

import type { KeyRange, OrderedStore, StoreEntry, StoreOperation } from '../../../engine/core/store.ts';

const compareKeys = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b);

export class DedupeTestStore implements OrderedStore {
  readonly #tables = new Map<string, Map<string, StoreEntry>>();
  gets = 0;

  get(table: string, key: Uint8Array): Uint8Array | null {
    this.gets++;
    return this.#tables.get(table)?.get(Buffer.from(key).toString('latin1'))?.value.slice() ?? null;
  }

  *range(table: string, { from, to, limit, reverse }: KeyRange): Iterable<StoreEntry> {
    const entries = [...(this.#tables.get(table)?.values() ?? [])]
      .filter(({ key }) => (from === undefined || compareKeys(key, from) >= 0) && (to === undefined || compareKeys(key, to) < 0))
      .sort((a, b) => compareKeys(a.key, b.key) * (reverse === true ? -1 : 1));
    for (const { key, value } of entries.slice(0, limit)) yield { key: key.slice(), value: value.slice() };
  }

  async commit(operations: readonly StoreOperation[]): Promise<void> {
    this.apply(operations);
  }

  apply(operations: readonly StoreOperation[]): void {
    for (const { table, key, value } of operations) {
      const entries = this.#tables.get(table) ?? new Map<string, StoreEntry>();
      this.#tables.set(table, entries);
      const name = Buffer.from(key).toString('latin1');
      if (value === null) entries.delete(name);
      else entries.set(name, { key: key.slice(), value: value.slice() });
    }
  }

  keyCount(table: string): number {
    return this.#tables.get(table)?.size ?? 0;
  }

  async flushed(): Promise<void> {}

  async copyTo(): Promise<void> {}

  sizeBytes(): number {
    return 0;
  }

  async close(): Promise<void> {}
}
