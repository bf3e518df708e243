/**
 * Columns in, Parquet bytes out: with read-parquet.ts the only door to apache-arrow and parquet-wasm.
 *
 * The columns' own buffers become Arrow vectors without a copy; one copy each is made by the IPC stream, by WebAssembly on taking it and by
 * its reader. Types as read back: VARCHAR, TIMESTAMP in micros adjusted to UTC, DECIMAL(18,6) on INT64, BIGINT, BOOLEAN; zstd level 1. Equal
 * columns give equal bytes. WebAssembly memory never shrinks: run it in a pool thread that ends when idle, never on a long-lived one.
 */

import { Bool, type Data, DataType, Decimal, Dictionary, Field, Int32, Int64, makeData, RecordBatch, Schema, Struct, Table, tableFromIPC, tableToIPC, TimestampMicrosecond, Utf8, Vector } from 'apache-arrow';
import { Compression, EnabledStatistics, Encoding, Table as WasmTable, type WriterProperties, WriterPropertiesBuilder, readParquet, writeParquet } from 'parquet-wasm';
import type { ColumnData, ColumnType, TableData, TextData } from './column-builder.ts';

export const DECIMAL_PRECISION = 18;
export const DECIMAL_SCALE = 6;
const DECIMAL_BITS = 128;
const CREATED_BY = 'millrace';
/** A file of the usual 250,000 rows is one group: 0.7 % fewer bytes than two, at the same CPU; readers share work by file too. */
const ROWS_PER_GROUP_MAX = 262_144;

export const encodeParquet = (table: TableData): Uint8Array => writeParquet(WasmTable.fromIPCStream(arrowStream(table)), writerProperties(table.columns));

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

/** Some columns of one group of rows: what of them a file lacks is null. */
export interface RowGroup {
  readonly count: number;
  /** Null also where the column holds no plain text. */
  text(name: string): TextPiece | null;
  /** Of any column of text. */
  value(name: string, row: number): string | null;
  /** Of a column of times, in epoch milliseconds; NaN for none. */
  timeMs(name: string, row: number): number;
  /** Reads a column of times row by row, in epoch milliseconds; NaN for none. Null where the column is of another type. */
  times(name: string): ((row: number) => number) | null;
  /** Reads a column of text row by row, each distinct text of a dictionary made once. Null where the column is of another type. */
  texts(name: string): ((row: number) => string | null) | null;
  /** Reads a column of DECIMAL(18,6) in micros; NaN for what no number is exact for. Null where the column is of another type. */
  micros(name: string): ((row: number) => number | null) | null;
  /** Reads a column of booleans. Null where the column is of another type. */
  flags(name: string): ((row: number) => boolean | null) | null;
}

/** `rowsPerGroup`: as parquet-wasm has it (1,024) where none is given. Raises what parquet-wasm does for what is no such file. */
export function* readRowGroups(file: Uint8Array, names: readonly string[], rowsPerGroup?: number): Generator<RowGroup> {
  const table = tableFromIPC(readParquet(file, { columns: [...names], ...(rowsPerGroup !== undefined && { batchSize: rowsPerGroup }) }).intoIPCStream());
  for (const batch of table.batches) {
    const column = (name: string): Vector | null => batch.getChild(name);
    yield {
      count: batch.numRows,
      text: (name) => {
        const piece = column(name)?.data[0];
        return piece === undefined || !(piece.type instanceof Utf8) ? null : { offsets: piece.valueOffsets as Int32Array, bytes: piece.values as Uint8Array, count: piece.length };
      },
      value: (name, row) => (column(name)?.get(row) as string | null | undefined) ?? null,
      timeMs: (name, row) => Number((column(name)?.get(row) as number | null | undefined) ?? NaN),
      times: (name) => {
        const times = column(name);
        return times === null || !DataType.isTimestamp(times.type) ? null : (row) => Number((times.get(row) as number | null) ?? NaN);
      },
      texts: (name) => textsOf(column(name)),
      micros: (name) => microsOf(column(name)),
      flags: (name) => {
        const flags = column(name);
        return flags === null || !DataType.isBool(flags.type) ? null : (row) => flags.get(row) as boolean | null;
      },
    };
  }
}

function textsOf(column: Vector | null): ((row: number) => string | null) | null {
  if (column === null) return null;
  if (DataType.isUtf8(column.type)) return (row) => column.get(row) as string | null;
  if (!DataType.isDictionary(column.type) || !DataType.isUtf8(column.type.dictionary as DataType)) return null;
  const [piece] = column.data;
  if (piece === undefined) return () => null;
  const distinct = piece.dictionary as Vector<Utf8>;
  const numbers = piece.values as Int32Array;
  const texts = new Array<string | null | undefined>(distinct.length);
  return (row) => {
    if (!piece.getValid(row)) return null;
    const number = numbers[row] as number;
    return (texts[number] ??= distinct.get(number));
  };
}

/** Two's complement of 128 bits, the lowest word first; what is no safe integer has no exact number. */
function microsOf(column: Vector | null): ((row: number) => number | null) | null {
  if (column === null || !DataType.isDecimal(column.type) || column.type.scale !== DECIMAL_SCALE) return null;
  const [piece] = column.data;
  if (piece === undefined) return () => null;
  const words = piece.values as Uint32Array;
  const stride = column.type.bitWidth / 32;
  return (row) => {
    if (!piece.getValid(row)) return null;
    const at = row * stride;
    const micros = ((words[at + 1] as number) | 0) * 2 ** 32 + (words[at] as number);
    const sign = micros < 0 ? 0xffffffff : 0;
    for (let word = 2; word < stride; word++) if (words[at + word] !== sign) return NaN;
    return Number.isSafeInteger(micros) ? micros : NaN;
  };
}

/** The file without these rows, which rise, in the same encodings; all other rows stay as they are and in their order. May have none left. */
export function withoutRows(file: Uint8Array, rows: readonly number[]): Uint8Array {
  const table = tableFromIPC(readParquet(file).intoIPCStream());
  const kept: RecordBatch[] = [];
  let first = 0;
  let next = 0;
  for (const batch of table.batches) {
    let from = 0;
    for (; next < rows.length && (rows[next] as number) < first + batch.numRows; next++) {
      const at = (rows[next] as number) - first;
      if (at > from) kept.push(batch.slice(from, at));
      from = at + 1;
    }
    if (from < batch.numRows) kept.push(batch.slice(from, batch.numRows));
    first += batch.numRows;
  }
  const columns = table.schema.fields.map(({ name, type }) => ({ name, type: columnTypeOf(type as DataType) }));
  return writeParquet(WasmTable.fromIPCStream(tableToIPC(new Table(table.schema, kept), 'stream')), writerProperties(columns));
}

/** As {@link vectorOf} made it; what another program wrote may have other types, and is written with the writer's defaults. */
function columnTypeOf(type: DataType): ColumnType | null {
  if (DataType.isDictionary(type)) return 'dictionary';
  if (DataType.isUtf8(type)) return 'text';
  if (DataType.isTimestamp(type)) return 'timestamp_micros';
  if (DataType.isDecimal(type)) return 'decimal_micros';
  if (DataType.isInt(type)) return 'integer';
  return DataType.isBool(type) ? 'boolean' : null;
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
function writerProperties(columns: readonly { readonly name: string; readonly type: ColumnType | null }[]): WriterProperties {
  let builder = new WriterPropertiesBuilder()
    .setCompression(Compression.ZSTD)
    .setCreatedBy(CREATED_BY)
    .setDictionaryEnabled(false)
    .setStatisticsEnabled(EnabledStatistics.Chunk)
    .setMaxRowGroupSize(ROWS_PER_GROUP_MAX);
  for (const { name, type } of columns) {
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
