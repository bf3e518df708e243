/**
 * Parquet bytes in, records of texts out: for reports that come as files. Loaded by the command that needs it alone, for parquet-wasm is heavy.
 *
 * Every value becomes the text that a CSV would have in its place: dates and times as ISO 8601, decimals and integers exactly, doubles as they
 * are written shortest. Null for nulls and for what has no such text (lists, maps, bytes).
 */

import { DataType, tableFromIPC, type Vector } from 'apache-arrow';
import { readParquet } from 'parquet-wasm';

export interface ParquetRecords {
  readonly names: readonly string[];
  readonly rowCount: number;
  /** Cells in the order of the names. */
  readonly records: Iterable<readonly (string | null)[]>;
}

/** `names`: only columns for which it is true are read. Raises whatever parquet-wasm raises for bytes that are no Parquet. */
export function parquetRecords(bytes: Uint8Array, wanted: (name: string) => boolean): ParquetRecords {
  const table = tableFromIPC(readParquet(bytes).intoIPCStream());
  const columns = table.schema.fields.flatMap((field, at) => (wanted(field.name) ? [{ name: field.name, text: textOf(field.type as DataType), vector: table.getChildAt(at) as Vector }] : []));
  return {
    names: columns.map(({ name }) => name),
    rowCount: table.numRows,
    records: (function* (): Generator<(string | null)[]> {
      for (let row = 0; row < table.numRows; row++) {
        yield columns.map(({ vector, text }) => {
          const value = vector.get(row) as unknown;
          return value === null || value === undefined ? null : text(value);
        });
      }
    })(),
  };
}

type Text = (value: unknown) => string | null;

function textOf(type: DataType): Text {
  if (DataType.isDictionary(type)) return textOf(type.dictionary as DataType);
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isInt(type) || DataType.isFloat(type) || DataType.isBool(type)) return String;
  if (DataType.isDate(type) || DataType.isTimestamp(type)) return (value) => isoOf(Number(value));
  if (DataType.isDecimal(type)) return (value) => decimalOf(value as Uint32Array, type.scale);
  return () => null;
}

function isoOf(timeMs: number): string | null {
  return Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : null;
}

/** Words of a two's complement, the lowest first. */
function decimalOf(words: Uint32Array, scale: number): string {
  let unscaled = 0n;
  for (let at = words.length - 1; at >= 0; at--) unscaled = (unscaled << 32n) | BigInt(words[at] as number);
  const bits = BigInt(words.length) * 32n;
  if (unscaled >> (bits - 1n) === 1n) unscaled -= 1n << bits;
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  const sign = unscaled < 0n ? '-' : '';
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
