import { describe, expect, it } from 'vitest';
import { DedupeTable, FREE } from '../../../actors/partition/dedupe-table.ts';

/** Spread over the table by the first word. */
const fingerprint = (n: number): Uint32Array => Uint32Array.of(Math.imul(n, 0x9e3779b1) >>> 0, n, ~n >>> 0, 7);
const nothingLeaves = (): void => {
  throw new Error('nothing is evicted here');
};

describe('the table of fingerprints', () => {
  it('moves no more slots at a time than it is told while it grows, and forgets nothing', () => {
    const capacity = 1_000;
    const table = new DedupeTable(capacity);
    const count = 600;
    for (let n = 0; n < count; n++) {
      table.probe(fingerprint(n));
      table.place(fingerprint(n), 1);
    }
    table.beginMigration(1_600);
    for (let piece = 1; piece <= capacity / 10; piece++) {
      const before = table.used;
      expect(table.migrate(10, 1, 0, nothingLeaves)).toBe(piece === capacity / 10);
      expect(table.used - before).toBeLessThanOrEqual(10);
      for (const n of [0, 1, piece, count - 1]) expect(table.probe(fingerprint(n))).toBe(1);
    }
    expect([table.migrating, table.used]).toEqual([false, count]);
    expect(table.probe(fingerprint(count))).toBe(FREE);
  });
});
