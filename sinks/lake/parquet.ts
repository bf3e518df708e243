/**
 * Columns in, Parquet bytes out: with read-parquet.ts the only door to apache-arrow and parquet-wasm.
 *
 * The columns' own buffers become Arrow vectors without a copy; one copy each is made by the IPC stream, by WebAssembly on taking it and by
 * its reader. Types as read back: VARCHAR, TIMESTAMP in micros adjusted to UTC, DECIMAL(18,6) on INT64, BIGINT, BOOLEAN; zstd level 1. Equal
 * columns give equal bytes. WebAssembly memory never shrinks: run it in a pool thread that ends when idle, never on a long-lived one.
 */

import { Bool, type Data, Decimal, Dictionary, Field, Int32, Int64, makeData, RecordBatch, Schema, Struct, Table, tableFromIPC, tableToIPC, TimestampMicrosecond, Utf8, Vector } from 'apache-arrow';
import { Compression, EnabledStatistics, Encoding, Table as WasmTable, type WriterProperties, WriterPropertiesBuilder, readParquet, writeParquet } from 'parquet-wasm';
import type { ColumnData, TableData, TextData } from './column-builder.ts';

export const DECIMAL_PRECISION = 18;
export const DECIMAL_SCALE = 6;
const DECIMAL_BITS = 128;
const CREATED_BY = 'millrace';
/** A file of the usual 250,000 rows is one group: 0.7 % fewer bytes than two, at the same CPU; readers share work by file too. */
const ROWS_PER_GROUP_MAX = 262_144;

export const encodeParquet = (table: TableData): Uint8Array => writeParquet(WasmTable.fromIPCStream(arrowStream(table)), writerProperties(table));

/** Texts of `count` rows: those of row i are the UTF-8 bytes from `offsets[i]` to `offsets[i + 1]`. */
export interface TextPiece {
  readonly offsets: Int32Array;
  readonly bytes: Uint8Array;
  readonly count: number;
}

/** One column of a file, without its rows of null. Raises what parquet-wasm does for what is no such file. */
export function* readTextColumn(file: Uint8Array, name: string): Generator<TextPiece> {
  const table = tableFromIPC(readParquet(file, { columns: [name] }).intoIPCStream());
  const column = table.getChild(name);
  if (column === null) throw new Error(`the file has no column ${name}`);
  for (const piece of column.data) {
    if (!(piece.type instanceof Utf8)) throw new Error(`column ${name} is of type ${String(piece.type)}`);
    yield { offsets: piece.valueOffsets as Int32Array, bytes: piece.values as Uint8Array, count: piece.length };
  }
}

/** The table as an Arrow IPC stream of one record batch. */
export function arrowStream(table: TableData): Uint8Array {
  const children = table.columns.map((column, index) => vectorOf(column, table.rowCount, index));
  const schema = new Schema(table.columns.map((column, index) => new Field(column.name, (children[index] as Data).type, true)));
  const rows = makeData({ type: new Struct(schema.fields), length: table.rowCount, nullCount: 0, children });
  return tableToIPC(new Table([new RecordBatch(schema, rows)]), 'stream');
}

/**
 * Dictionaries only where values repeat: trying one on ids costs half of the encoder's time, to be given up in the end. Lengths apart from the
 * text halve the time zstd spends on ids (they hide from its matcher what does not repeat) at 3 % fewer bytes (bench/micro/lake.ts).
 * The writer looks up the text of every row of a dictionary column, though Arrow has it as a number: 75 ns a cell, until arrow-rs keeps the
 * numbers (its issue 10465). Without dictionaries it is more still, and a row has 64 bytes and more in place of 54.
 */
function writerProperties(table: TableData): WriterProperties {
  let builder = new WriterPropertiesBuilder()
    .setCompression(Compression.ZSTD)
    .setCreatedBy(CREATED_BY)
    .setDictionaryEnabled(false)
    .setStatisticsEnabled(EnabledStatistics.Chunk)
    .setMaxRowGroupSize(ROWS_PER_GROUP_MAX);
  for (const { name, type } of table.columns) {
    if (type === 'dictionary' || type === 'decimal_micros') builder = builder.setColumnDictionaryEnabled(name, true);
    if (type === 'timestamp_micros' || type === 'integer') builder = builder.setColumnEncoding(name, Encoding.DELTA_BINARY_PACKED);
    if (type === 'text') builder = builder.setColumnEncoding(name, Encoding.DELTA_LENGTH_BYTE_ARRAY).setColumnStatisticsEnabled(name, EnabledStatistics.None);
  }
  return builder.build();
}

/** `id` names the dictionary in the stream; it only has to differ from column to column. */
function vectorOf(column: ColumnData, length: number, id: number): Data {
  const { nullCount } = column;
  const validity = nullCount === 0 ? {} : { nullBitmap: column.validity };
  switch (column.type) {
    case 'text': {
      const { offsets, bytes } = column.text as TextData;
      return makeData({ type: new Utf8(), length, nullCount, ...validity, valueOffsets: offsets, data: bytes });
    }
    case 'dictionary': {
      const { offsets, bytes } = column.text as TextData;
      const distinct = makeData({ type: new Utf8(), length: offsets.length - 1, nullCount: 0, valueOffsets: offsets, data: bytes });
      const type = new Dictionary(new Utf8(), new Int32(), id);
      return makeData({ type, length, nullCount, ...validity, data: column.values as Int32Array, dictionary: new Vector([distinct]) });
    }
    case 'timestamp_micros':
      return makeData({ type: new TimestampMicrosecond('UTC'), length, nullCount, ...validity, data: wide(column) });
    case 'integer':
      return makeData({ type: new Int64(), length, nullCount, ...validity, data: wide(column) });
    case 'decimal_micros': {
      const words = column.values as Int32Array;
      const data = new Uint32Array(words.buffer, words.byteOffset, words.length);
      return makeData({ type: new Decimal(DECIMAL_SCALE, DECIMAL_PRECISION, DECIMAL_BITS), length, nullCount, ...validity, data });
    }
    case 'boolean':
      return makeData({ type: new Bool(), length, nullCount, ...validity, data: column.values as Uint8Array });
  }
}

function wide(column: ColumnData): BigInt64Array {
  const words = column.values as Int32Array;
  return new BigInt64Array(words.buffer, words.byteOffset, words.length / 2);
}
