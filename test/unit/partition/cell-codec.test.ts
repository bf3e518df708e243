/** What a checkpoint writes is what the general encoder would have written: older programs read it, and it reads what they wrote. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CellKind, cellStoreKey, DIMENSION_SEPARATOR, type CellName } from '../../../engine/core/cell.ts';
import { pack, unpack } from '../../../engine/core/codec.ts';
import { CellCodec } from '../../../actors/partition/cell-codec.ts';
import { CellSlots } from '../../../actors/partition/cell-slots.ts';
import { CellTable } from '../../../actors/partition/cell-table.ts';
import { PackWriter } from '../../../actors/partition/pack-writer.ts';
import { SeriesTable } from '../../../actors/partition/series-table.ts';
import type { StoredCell } from '../../../actors/partition/stored-cell.ts';
import { NONE, ValueTable } from '../../../actors/partition/value-table.ts';
import { newStore } from './harness.ts';

const number = fc.oneof(fc.integer({ min: -300, max: 300 }), fc.integer({ min: -70_000, max: 70_000 }), fc.integer(), fc.maxSafeInteger(), fc.double({ noNaN: true }), fc.constantFrom(0, 2 ** 31, 2 ** 32, 2 ** 32 - 1, -(2 ** 31), -(2 ** 31) - 1)).map((value) => (value === 0 ? 0 : value));
/** Of ASCII and of anything, about the lengths at which the head of a text grows. */
const text = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.tuple(fc.constantFrom('a', 'é', '日', '😀'), fc.constantFrom(10, 11, 16, 31, 32, 64, 85, 86, 127, 128, 255, 256)).map(([unit, times]) => unit.repeat(times)),
);
const count = fc.integer({ min: 1, max: 2 ** 40 });
const breakdown = fc.oneof(fc.constant(null), fc.dictionary(text, count, { minKeys: 1, maxKeys: 20 }));
const cells = fc.record({ revision: count, records: count, measures: fc.array(number, { minLength: 19, maxLength: 19 }), breakdown, times: fc.tuple(count, count), texts: fc.tuple(text, text) });

describe('a stored cell', () => {
  it('has the key and the value that the general encoder makes, and is read back as it was', () => {
    const shape = { measures: Array.from({ length: 19 }, (_, index) => `m${index}`), labels: ['a', 'b'] };
    const codec = new CellCodec(shape, []);
    fc.assert(
      fc.property(cells, fc.constantFrom(CellKind.day, CellKind.late), fc.integer({ min: 0, max: 2 ** 48 - 2 }), fc.tuple(text, text), (cell, kind, windowStartMs, dimensions) => {
        const names = cell.breakdown === null ? null : Object.keys(cell.breakdown);
        const stored: StoredCell = {
          revision: cell.revision,
          records: cell.records,
          measures: cell.measures,
          breakdownNames: names,
          breakdownCounts: names === null ? null : names.map((name) => cell.breakdown?.[name] as number),
          labelTimesMs: cell.times,
          labelTexts: cell.texts,
        };
        const values = new ValueTable();
        const slots = new CellSlots({ values, measureCount: 19, labelCount: 2 });
        const table = new CellTable({ store: newStore(), codec, slots, series: new SeriesTable(values, 2), dimensionCount: 2 });
        const slot = table.cell(kind, windowStartMs, dimensions);
        expect(slot).not.toBe(NONE);
        slots.fill(slot, stored);
        const name: CellName = { kind, windowStartMs, dimensions: dimensions.join(DIMENSION_SEPARATOR) };
        const { key, value } = codec.encode(table, slot);
        expect(Buffer.from(key)).toEqual(Buffer.from(cellStoreKey(name)));
        expect(Buffer.from(value)).toEqual(Buffer.from(pack([0, stored.revision, stored.records, stored.measures, stored.breakdownNames, stored.breakdownCounts, stored.labelTimesMs, stored.labelTexts])));
        expect(codec.decode(name, value)).toEqual(stored);
        expect(slots.read(slot)).toEqual(stored);
      }),
    );
  });
});

describe('a writer of many values', () => {
  it('leaves what it gave out alone, however much follows, and takes values larger than its chunks', () => {
    const writer = new PackWriter();
    const written = Array.from({ length: 500 }, (_, index) => {
      const own = 'x'.repeat(index === 77 ? 60_000 : (index * 37) % 3_000);
      writer.begin();
      writer.array(2);
      writer.text(own);
      writer.number(index);
      return { own, index, bytes: writer.end() };
    });
    for (const { own, index, bytes } of written) expect(unpack(bytes)).toEqual([own, index]);
  });
});
