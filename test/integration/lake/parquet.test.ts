import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LakeColumn } from '../../../engine/core/pipeline.ts';
import { MS_PER_DAY } from '../../../engine/core/types.ts';
import type { CellValue, ColumnType } from '../../../sinks/lake/column-builder.ts';
import { createEventsEncoder, DEFAULT_EVENTS_BOUNDS } from '../../../sinks/lake/events-encoder.ts';
import { encodeParquet } from '../../../sinks/lake/parquet.ts';
import { TableBuilder } from '../../../sinks/lake/table-builder.ts';
import { benchLake, benchMessages } from '../../../bench/micro/lake.ts';
import { duckdb, type Row } from '../../support/duckdb.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-parquet-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** One column by type, written and read back. */
async function roundTrip(type: ColumnType, values: readonly CellValue[], select = 'value'): Promise<unknown[]> {
  const table = new TableBuilder([{ name: 'value', type }]);
  for (const value of values) table.appendRow([value]);
  const file = join(directory, `${type}.parquet`);
  writeFileSync(file, encodeParquet(table.finish()));
  return (await duckdb(`select ${select} as value from '${file}'`)).map((row) => row['value']);
}

describe('what DuckDB reads of a file', () => {
  test('texts: empty, null, unicode, NUL, long, in order', async () => {
    const values = ['', null, 'Grüße', '漢字', '🎯', 'a\u0000b', 'x'.repeat(100_000), null, '{"a":"\\"b\\""}'];
    expect(await roundTrip('text', values)).toEqual(values);
    expect(await roundTrip('dictionary', [...values, ...values])).toEqual([...values, ...values]);
  });

  test.each(['text', 'dictionary', 'timestamp_micros', 'decimal_micros', 'integer', 'boolean'] as const)('a %s column of nulls alone', async (type) => {
    expect(await roundTrip(type, [null, null, null])).toEqual([null, null, null]);
  });

  test('a dictionary of 50,000 distinct values, past the size at which the writer gives up on one', async () => {
    const values = Array.from({ length: 50_000 }, (_, row) => `campaign with a rather long name, number ${row}`);
    expect(await roundTrip('dictionary', values)).toEqual(values);
  });

  test('money to the micro, negative and beyond 32 bits, and its exact sum', async () => {
    const values = [13_610_000, -1_234_567, null, 0, 1, 123_456_789_012_345, -123_456_789_012_345];
    expect(await roundTrip('decimal_micros', values)).toEqual(['13.610000', '-1.234567', null, '0.000000', '0.000001', '123456789.012345', '-123456789.012345']);
    expect(await roundTrip('decimal_micros', values, 'sum(value)')).toEqual(['12.375434']);
  });

  test('whole numbers up to the safe ones', async () => {
    const values = [0, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, null];
    expect(await roundTrip('integer', values)).toEqual(values.map((value) => (value === null ? null : String(value))));
  });

  test('times in UTC, to the millisecond, before 1970 too', async () => {
    const values = [Date.UTC(2026, 10, 22, 1, 2, 3, 456), -1, Date.UTC(1, 0, 1), null];
    expect(await roundTrip('timestamp_micros', values, 'epoch_us(value)')).toEqual(['1795309323456000', '-1000', String(Date.UTC(1, 0, 1) * 1_000), null]);
  });

  test('booleans with nulls between them', async () => {
    const values = Array.from({ length: 100 }, (_, row) => [true, null, false][row % 3] as boolean | null);
    expect(await roundTrip('boolean', values)).toEqual(values);
  });

  test('the declared types: VARCHAR, UTC micros, DECIMAL(18,6), BIGINT, BOOLEAN; zstd; dictionaries where values repeat', async () => {
    const table = new TableBuilder((['text', 'dictionary', 'timestamp_micros', 'decimal_micros', 'integer', 'boolean'] as const).map((type) => ({ name: type, type })));
    for (let row = 0; row < 1_000; row++) table.appendRow([`id-${row}`, `campaign-${row % 3}`, row, row, row, true]);
    const file = join(directory, 'types.parquet');
    writeFileSync(file, encodeParquet(table.finish()));
    const described = await duckdb(`describe select * from '${file}'`);
    expect(described.map((row) => row['column_type'])).toEqual(['VARCHAR', 'VARCHAR', 'TIMESTAMP WITH TIME ZONE', 'DECIMAL(18,6)', 'BIGINT', 'BOOLEAN']);
    const schema = await duckdb(`select name, logical_type from parquet_schema('${file}')`);
    expect(schema.find((row) => row['name'] === 'timestamp_micros')?.['logical_type']).toMatch(/isAdjustedToUTC=1.*MICROS=MicroSeconds/);
    const chunks = await duckdb(`select path_in_schema as name, compression, encodings from parquet_metadata('${file}')`);
    const encodingsOf = (name: string): unknown => chunks.find((row) => row['name'] === name)?.['encodings'];
    expect(chunks.every((row) => row['compression'] === 'ZSTD')).toBe(true);
    expect(encodingsOf('dictionary')).toMatch(/DICTIONARY/);
    expect(encodingsOf('text')).not.toMatch(/DICTIONARY/);
  });

  test('every cell of a file of several row groups and pages, nulls anywhere', async () => {
    // More rows than a group has; a text column of several pages; a dictionary that one group gives up and another keeps; a day of times and a thousand years.
    const rows = 270_000;
    const types = ['text', 'dictionary', 'timestamp_micros', 'decimal_micros', 'integer', 'boolean'] as const;
    const start = Date.UTC(2026, 10, 22);
    const cell = (row: number, column: number): string | number | boolean | null => {
      if (column > 0 && (Math.imul(row, 40_503 + column) >>> 7) % 9 === 0) return null;
      const mixed = Math.imul(row + 1, 0x9e3779b1 + column) >>> 0;
      switch (types[column] ?? 'boolean') {
        case 'text':
          return mixed % 50 === 0 ? '' : `${mixed.toString(16)}-é-${'x'.repeat(mixed % 23)}`;
        case 'dictionary':
          return row < 130_000 ? `campaign ${mixed % 300}` : `campaign with a rather long name, number ${row}`;
        case 'timestamp_micros':
          return row < 262_144 ? start + (mixed % 86_400_000) : start - (mixed % 1_000) * 365 * 86_400_000;
        case 'decimal_micros':
          return (mixed % 5 === 0 ? -1 : 1) * (mixed % 20_000_000);
        case 'integer':
          return row % 1_000 === 0 ? Number.MIN_SAFE_INTEGER : mixed;
        case 'boolean':
          return mixed % 3 === 0;
      }
    };
    const table = new TableBuilder(types.map((type) => ({ name: type, type })));
    for (let row = 0; row < rows; row++) table.appendRow(types.map((_, column) => cell(row, column)));
    const file = join(directory, 'whole.parquet');
    writeFileSync(file, encodeParquet(table.finish()));
    const found = await duckdb(`select text, dictionary, epoch_ms(timestamp_micros) as t, (decimal_micros * 1000000)::bigint as m, "integer" as i, "boolean" as b from '${file}'`);
    expect(found).toHaveLength(rows);
    const textOrNull = (value: ReturnType<typeof cell>): string | null => (value === null ? null : String(value));
    for (let row = 0; row < rows; row++) {
      const expected = { text: cell(row, 0), dictionary: cell(row, 1), t: textOrNull(cell(row, 2)), m: textOrNull(cell(row, 3)), i: textOrNull(cell(row, 4)), b: cell(row, 5) };
      const is = found[row] as Row;
      if (is['text'] !== expected.text || is['dictionary'] !== expected.dictionary || is['t'] !== expected.t || is['m'] !== expected.m || is['i'] !== expected.i || is['b'] !== expected.b) expect({ row, ...is }).toEqual({ row, ...expected });
    }
    const groups = await duckdb(`select path_in_schema as name, row_group_id as id, encodings, stats_null_count as nulls from parquet_metadata('${file}') order by 1, 2`);
    const encodingsOf = (name: string): string[] => groups.filter((group) => group['name'] === name).map((group) => String(group['encodings']).replace(/^RLE, /, ''));
    expect(encodingsOf('text')).toEqual(['DELTA_LENGTH_BYTE_ARRAY', 'DELTA_LENGTH_BYTE_ARRAY']);
    expect(encodingsOf('dictionary')).toEqual([expect.stringContaining('RLE_DICTIONARY'), expect.stringContaining('RLE_DICTIONARY')]);
    expect(encodingsOf('timestamp_micros')).toEqual(['DELTA_BINARY_PACKED', 'DELTA_BINARY_PACKED']);
    // What a reader leaves out by its bounds must not be there.
    for (const [column, value] of [['dictionary', "'campaign 7'"], ['decimal_micros', '-19.999999'], ['boolean', 'false']] as const) {
      const counted = await duckdb(`select count(*) filter (where "${column}" = ${value}) as by_row, (select count(*) from '${file}' where "${column}" = ${value}) as by_bounds from '${file}'`);
      expect(counted[0]?.['by_bounds']).toBe(counted[0]?.['by_row']);
    }
  });

  test('equal columns give equal bytes', () => {
    const bytes = (): Uint8Array => {
      const table = new TableBuilder([{ name: 'a', type: 'text' }, { name: 'b', type: 'dictionary' }]);
      for (let row = 0; row < 10_000; row++) table.appendRow([`id-${row}`, row % 7 === 0 ? null : `c-${row % 5}`]);
      return encodeParquet(table.finish());
    };
    expect(Buffer.compare(bytes(), bytes())).toBe(0);
  });
});

describe('the files of a slot as a data set', () => {
  interface TestEvent {
    readonly id: number;
    readonly timeMs: number;
  }
  const COLUMNS: readonly LakeColumn<TestEvent>[] = [
    { name: 'event_id', type: 'text', of: (event) => `e${event.id}` },
    { name: 'campaign_id', type: 'dictionary', of: (event) => (event.id % 5 === 0 ? null : `kampagne-ü-${event.id % 3}`) },
    { name: 'timestamp', type: 'timestamp_micros', of: (event) => event.timeMs },
    { name: 'revenue', type: 'decimal_micros', of: (event) => (event.id % 2 === 0 ? null : event.id * 10 + 1) },
    { name: 'late', type: 'boolean', of: (_, context) => context.late },
  ];
  const DAY = Date.UTC(2026, 10, 22);
  const SLOT = { startMs: DAY, part: 0 };

  test('hive partitions are the UTC dates of the events, every row is there once, in order within its file', async () => {
    const events = Array.from({ length: 3_000 }, (_, id): TestEvent => ({ id, timeMs: DAY + (id % 3) * MS_PER_DAY + id }));
    const encoder = createEventsEncoder({
      columns: COLUMNS,
      slot: SLOT,
      bounds: { ...DEFAULT_EVENTS_BOUNDS, rowsPerFile: 400 },
      encodeTable: encodeParquet,
      emit: ({ path, bytes }) => {
        mkdirSync(dirname(join(directory, path)), { recursive: true });
        writeFileSync(join(directory, path), bytes);
      },
    });
    for (const event of events) encoder.append(event, { eventId: '', late: event.id % 10 === 0, receivedAtMs: 0 }, event.timeMs);
    encoder.finish();
    const source = `read_parquet('${directory}/events/*/*.parquet', hive_partitioning = true, filename = true)`;
    const byDate = await duckdb(`select event_date::varchar as date, count(*) as rows, count(distinct filename) as files, sum(revenue) as revenue, bool_and(date_trunc('day', "timestamp") = event_date) as matches
      from ${source} group by 1 order by 1`);
    const revenueOf = (remainder: number): string => (events.filter(({ id }) => id % 3 === remainder && id % 2 === 1).reduce((sum, { id }) => sum + id * 10 + 1, 0) / 1e6).toFixed(6);
    expect(byDate).toEqual([0, 1, 2].map((day): Row => ({ date: `2026-11-${22 + day}`, rows: '1000', files: '3', revenue: revenueOf(day), matches: true })));
    const rows = await duckdb(`select event_id, campaign_id, late from ${source} order by filename, file_row_number`);
    expect(rows).toHaveLength(3_000);
    expect(rows.slice(0, 3)).toEqual([
      { event_id: 'e0', campaign_id: null, late: true },
      { event_id: 'e3', campaign_id: 'kampagne-ü-0', late: false },
      { event_id: 'e6', campaign_id: 'kampagne-ü-0', late: false },
    ]);
    expect(new Set(rows.map((row) => row['event_id'])).size).toBe(3_000);
  });
});

test('the bench encodes all of its rows', () => {
  expect(benchLake(benchMessages(500), 2_000)).toMatchObject({ rows: 2_000 });
});
