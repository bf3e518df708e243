import { describe, expect, test } from 'vitest';
import type { CellValue, ColumnData, ColumnType } from '../../../sinks/lake/column-builder.ts';
import { createColumnBuilder } from '../../../sinks/lake/column-builder.ts';

const build = (type: ColumnType, values: readonly CellValue[]): ColumnData => {
  const builder = createColumnBuilder('column', type);
  for (const value of values) builder.append(value);
  return builder.finish();
};

const isSet = (column: ColumnData, row: number): boolean => (((column.validity[row >>> 3] as number) >>> (row & 7)) & 1) === 1;
const textAt = (column: ColumnData, row: number): string => {
  const { offsets, bytes } = column.text as NonNullable<ColumnData['text']>;
  return Buffer.from(bytes.subarray(offsets[row], offsets[row + 1])).toString('utf8');
};
const wideAt = (column: ColumnData, row: number, words: 2 | 4): bigint => {
  const values = column.values as Int32Array;
  let whole = BigInt.asIntN(32, BigInt(values[row * words + words - 1] as number));
  for (let word = words - 2; word >= 0; word--) whole = (whole << 32n) | BigInt.asUintN(32, BigInt(values[row * words + word] as number));
  return whole;
};

const TEXTS = ['', 'a', 'Grüße', '漢字', '🎯'.repeat(30), 'x'.repeat(40), 'x'.repeat(41), `${'x'.repeat(39)}é`, 'a\u0000b', 'y'.repeat(70_000)];

describe('a text column', () => {
  test('keeps every text as UTF-8, short, long, ASCII or not, over the growth of its buffers', () => {
    const values = Array.from({ length: 500 }, (_, index) => TEXTS[index % TEXTS.length] as string);
    const column = build('text', values);
    values.forEach((value, row) => expect(textAt(column, row)).toBe(value));
    expect(column.nullCount).toBe(0);
  });

  test('a lone surrogate becomes U+FFFD, alone or in a short or a long text', () => {
    const column = build('text', ['\ud800', 'ab\udc00c', `${'z'.repeat(60)}\ud83d`]);
    expect([0, 1, 2].map((row) => textAt(column, row))).toEqual(['\ufffd', 'ab\ufffdc', `${'z'.repeat(60)}\ufffd`]);
  });

  test('takes bytes as it takes strings, short and long, over the growth of its buffers', () => {
    const source = new DataView(Uint8Array.from(Buffer.from(TEXTS.join(''))).buffer);
    let end = 0;
    const ranges = TEXTS.map((text) => ({ view: source, start: end, end: (end += Buffer.byteLength(text)) }));
    const column = build('text', [...ranges, null, ...TEXTS]);
    TEXTS.forEach((text, row) => {
      expect(textAt(column, row)).toBe(text);
      expect(textAt(column, TEXTS.length + 1 + row)).toBe(text);
    });
    const builder = createColumnBuilder('column', 'text');
    expect(ranges.map((range) => builder.append(range))).toEqual(TEXTS.map((text) => createColumnBuilder('column', 'text').append(text)));
  });

  test('null is neither the empty text nor the text of another row', () => {
    const column = build('text', ['a', null, '', null, 'b']);
    expect([0, 1, 2, 3, 4].map((row) => isSet(column, row))).toEqual([true, false, true, false, true]);
    expect(column.nullCount).toBe(2);
    expect(textAt(column, 4)).toBe('b');
  });
});

describe('a dictionary column', () => {
  test('holds each distinct value once, in order of first sight', () => {
    const column = build('dictionary', ['DE', 'US', null, 'DE', '', 'US']);
    expect([0, 1, 2].map((index) => textAt(column, index))).toEqual(['DE', 'US', '']);
    expect([...(column.values as Int32Array)]).toEqual([0, 1, 0, 0, 2, 1]);
    expect([0, 1, 2, 3, 4, 5].map((row) => isSet(column, row))).toEqual([true, true, false, true, true, true]);
  });

  test('counts the bytes of a value when it is new, and of its index alone when it is not', () => {
    const builder = createColumnBuilder('column', 'dictionary');
    expect([builder.append('campaign'), builder.append('campaign'), builder.append(null)]).toEqual([16, 4, 4]);
  });
});

describe('a column of whole numbers', () => {
  test('writes milliseconds as micros, before 1970 and far from it too', () => {
    const times = [0, -1, 1_763_773_200_123, Date.UTC(1, 0, 1) - 60_000_000_000, Date.UTC(9999, 11, 31)];
    const column = build('timestamp_micros', times);
    times.forEach((time, row) => expect(wideAt(column, row, 2)).toBe(BigInt(time) * 1_000n));
  });

  test('writes micros of money in 128 bits, negative and up to the safe integers', () => {
    const amounts = [0, 1, -1, 13_610_000, -(2 ** 32), 2 ** 32, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
    const column = build('decimal_micros', amounts);
    amounts.forEach((amount, row) => expect(wideAt(column, row, 4)).toBe(BigInt(amount)));
  });

  test.each([0.5, Number.NaN, 2 ** 53])('refuses %d, which is no whole number', (value) => {
    expect(() => build('integer', [value])).toThrow(/no whole number/);
  });
});

test('a boolean column tells true, false and null apart over many bytes', () => {
  const values = Array.from({ length: 1_000 }, (_, row) => [true, false, null][row % 3] as boolean | null);
  const column = build('boolean', values);
  values.forEach((value, row) => {
    expect(isSet(column, row)).toBe(value !== null);
    if (value !== null) expect((((column.values as Uint8Array)[row >>> 3] as number) >>> (row & 7)) & 1).toBe(Number(value));
  });
  expect(column.nullCount).toBe(333);
});

test.each([
  ['text', ['a', null, 'bc']],
  ['dictionary', ['a', null, 'b', 'a']],
  ['integer', [1, null, 3]],
  ['boolean', [true, null, false, true]],
] as const)('a %s column that begins again holds nothing of what was there', (type, values) => {
  const builder = createColumnBuilder('column', type);
  for (let row = 0; row < 1_000; row++) builder.append(values[row % values.length] as CellValue);
  builder.reset();
  for (const value of [...values].reverse()) builder.append(value);
  expect(builder.finish()).toEqual(build(type, [...values].reverse()));
});
