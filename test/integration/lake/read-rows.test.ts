/** Rows read back from files that the lake's own encoder wrote, and from files that are none. */

import { expect, it } from 'vitest';
import type { CellValue, ColumnType } from '../../../sinks/lake/column-builder.ts';
import { readRows, type RowColumns } from '../../../sinks/lake/index.ts';
import { encodeParquet } from '../../../sinks/lake/parquet.ts';
import { TableBuilder } from '../../../sinks/lake/table-builder.ts';

const COLUMNS: RowColumns = { time: 'at', texts: ['name', 'kind'], micros: 'money', flags: ['late', 'test'], flagsOptional: ['test'] };
const TYPES: readonly (readonly [string, ColumnType])[] = [['at', 'timestamp_micros'], ['name', 'text'], ['kind', 'dictionary'], ['money', 'decimal_micros'], ['late', 'boolean'], ['test', 'boolean'], ['id', 'text']];

function fileOf(rows: readonly (readonly CellValue[])[], types = TYPES): Uint8Array {
  const table = new TableBuilder(types.map(([name, type]) => ({ name, type })));
  for (const row of rows) table.appendRow([...row]);
  return encodeParquet(table.finish());
}

async function read(file: Uint8Array, refusal: string | null = null): Promise<unknown[]> {
  const rows: unknown[] = [];
  const count = await readRows(file, 'events/one.parquet', COLUMNS, ({ timeMs, micros, texts, flags }) => {
    rows.push([timeMs, ...texts, micros, ...flags]);
    return refusal;
  });
  expect(count).toBe(rows.length);
  return rows;
}

const TIME = Date.UTC(2026, 10, 22, 1, 2, 3, 456);

it('gives every value back exactly: money of either sign, texts of any kind, nulls of money', async () => {
  const rows = [13_610_000, -1_234_567, null, 0, 123_456_789_012_345, -123_456_789_012_345].map((money, index) => [TIME + index, `Grüße ${index}`, ['a', '漢'][index % 2] as string, money, index % 2 === 0, index === 3]);
  expect(await read(fileOf(rows.map((row) => [...row, 'id'])))).toEqual(rows);
  expect(await read(fileOf([]))).toEqual([]);
});

it('takes a flag for false that files of older programs do not have', async () => {
  const without = (values: readonly unknown[]): CellValue[] => values.filter((_, index) => index !== 5) as CellValue[];
  expect(await read(fileOf([without([TIME, 'n', 'k', 1, true, true, 'id'])], TYPES.filter(([name]) => name !== 'test')))).toEqual([[TIME, 'n', 'k', 1, true, false]]);
});

it.each([
  ['is no Parquet', Buffer.from('PAR1 and nothing more'), /events\/one\.parquet of the lake cannot be read/],
  ['is cut off', fileOf([[TIME, 'n', 'k', 1, true, true, 'id']]).slice(0, 200), /events\/one\.parquet of the lake cannot be read/],
  ['lacks a column', fileOf([['n']], [['name', 'text']]), /column at is not there, or of another type/],
  ['has a column of another type', fileOf([[TIME, 'n', 'k', 'x', true, true, 'id']], TYPES.map(([name, type]) => [name, name === 'money' ? 'text' : type] as const)), /column money is not there, or of another type/],
  ['has a row without a text', fileOf([[TIME, null, 'k', 1, true, true, 'id']]), /column name is not there/],
  ['has a row without a time', fileOf([[null, 'n', 'k', 1, true, true, 'id']]), /row 0 has no time/],
])('refuses with its name a file that %s', async (_, file, message) => {
  await expect(read(file)).rejects.toMatchObject({ code: 'SINK_REFUSED', message: expect.stringMatching(message) as string, where: { file: 'events/one.parquet' } });
});

it('says which row is refused, and why', async () => {
  await expect(read(fileOf([[TIME, 'n', 'k', 1, true, true, 'id']]), 'its time is of another date')).rejects.toThrow(/row 0: its time is of another date/);
});
