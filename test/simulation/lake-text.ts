/**
 * What stands for Parquet in the simulation. Two forms: ids and one digest of all columns; and, in stories with erasures, rows that tell whose they are, so that
 * single rows can go, as eraseRows does it to a real file.
 */

import { createHash } from 'node:crypto';
import { LakeUsers, type LakeErasure } from '../../actors/appsflyer/lake-users.ts';
import type { ColumnData, TableData } from '../../sinks/lake/column-builder.ts';
import type { ErasedFile } from '../../sinks/lake/index.ts';

/** A digest over all columns of the row makes it complete. */
export type TextRow = readonly [id: string, app: string | null, user: string | null, properties: string | null, receivedAtMs: number, timeMs: number, digest: string];

const MICROS_PER_MS = 1_000n;
const DIGEST_DIGITS = 8;

/** The ids of the rows, where there are any, and a digest of every column. */
export function encodeAsText(table: TableData): Uint8Array {
  const ids = table.columns.find(({ name }) => name === 'event_id')?.text ?? null;
  const rows = ids === null ? [] : Array.from({ length: table.rowCount }, (_, row) => Buffer.from(ids.bytes.subarray(ids.offsets[row], ids.offsets[row + 1])).toString());
  const hash = createHash('sha1').update(String(table.rowCount));
  for (const { name, nullCount, validity, values, text } of table.columns) {
    hash.update(`${name} ${nullCount}`).update(validity);
    if (values !== null) hash.update(values);
    if (text !== null) hash.update(text.offsets).update(text.bytes);
  }
  return Buffer.from(JSON.stringify({ digest: hash.digest('hex'), rows: table.rowCount, ids: rows }));
}

/** A table of `events/` row by row; any other as {@link encodeAsText}. */
export function encodeAsRows(table: TableData): Uint8Array {
  const named = new Map(table.columns.map((column) => [column.name, column]));
  const of = (name: string): ColumnData => named.get(name) as ColumnData;
  if (!named.has('event_id')) return encodeAsText(table);
  const rows = Array.from({ length: table.rowCount }, (_, row): TextRow => {
    const cells = table.columns.map((column) => cellOf(column, row));
    const digest = createHash('sha1').update(JSON.stringify(cells)).digest('hex').slice(0, DIGEST_DIGITS);
    return [cellOf(of('event_id'), row) ?? '', cellOf(of('app_id'), row), cellOf(of('user_id'), row), cellOf(of('event_properties'), row), timeOf(of('received_at'), row), timeOf(of('timestamp'), row), digest];
  });
  return fileOf(rows);
}

/** Raises where a file is torn. */
export const idsIn = (bytes: Uint8Array): string[] => parsed(bytes).ids;

/** Of a file that {@link encodeAsRows} wrote. Raises where it is torn. */
export const rowsIn = (bytes: Uint8Array): readonly TextRow[] => parsed(bytes).people ?? [];

/** As eraseRows: rows are asked about where one of the searched texts is in them. */
export function eraseText(file: Uint8Array, erased: readonly LakeErasure[]): ErasedFile {
  const { searched, find } = new LakeUsers({ erased, secrets: [], rotationDays: 1 });
  const rows = rowsIn(file);
  const times = rows.map(([, , , , receivedAtMs]) => receivedAtMs);
  const texts = searched(Math.min(...times), Math.max(...times)).map((text) => text.toString());
  const removed: Record<string, number> = {};
  const left = rows.filter(([, scope, user, properties, timeMs]) => {
    if (!texts.some((text) => user?.includes(text) === true || properties?.includes(text) === true)) return true;
    const id = find({ scope, texts: [user, properties], timeMs });
    if (id !== null) removed[id] = (removed[id] ?? 0) + 1;
    return id === null;
  });
  return { bytes: left.length === rows.length ? null : fileOf(left), removed };
}

export const fileOf = (rows: readonly TextRow[]): Uint8Array => Buffer.from(JSON.stringify({ ids: rows.map(([id]) => id), people: rows }));

function parsed(bytes: Uint8Array): { readonly ids: string[]; readonly people?: readonly TextRow[] } {
  const text = Buffer.from(bytes).toString();
  try {
    return JSON.parse(text) as { ids: string[]; people?: readonly TextRow[] };
  } catch {
    throw new Error(`lake: a file of events/ cannot be read: ${text.slice(0, 40)}`);
  }
}

/** Null where there is no value; what is no text in hex digits. */
function cellOf({ validity, values, text, type }: ColumnData, row: number): string | null {
  if (((validity[row >>> 3] as number) & (1 << (row & 7))) === 0) return null;
  if (text !== null) {
    const at = values === null ? row : ((values as Int32Array)[row] as number);
    return Buffer.from(text.bytes.subarray(text.offsets[at], text.offsets[at + 1])).toString();
  }
  const bytes = Buffer.from((values as Uint8Array).buffer, (values as Uint8Array).byteOffset, (values as Uint8Array).byteLength);
  if (type === 'boolean') return String(((bytes[row >>> 3] as number) >>> (row & 7)) & 1);
  const width = type === 'decimal_micros' ? 16 : 8;
  return bytes.toString('hex', row * width, (row + 1) * width);
}

const timeOf = ({ values }: ColumnData, row: number): number => Number(Buffer.from((values as Uint8Array).buffer, (values as Uint8Array).byteOffset + row * 8, 8).readBigInt64LE() / MICROS_PER_MS);
