/** Rows of one file of `events/`, read in order: the columns that are asked for, each of the type that it has there. */

import { EngineError, messageOf } from '../../engine/core/errors.ts';
import type { RowGroup } from './parquet.ts';

/** Each text of a dictionary is made once in a group. Chosen: in groups of 1,024 a row takes a tenth longer. */
const ROWS_PER_GROUP = 65_536;

export interface RowColumns {
  readonly time: string;
  readonly texts: readonly string[];
  readonly micros: string;
  readonly flags: readonly string[];
  /** Flags that files of older programs do not have: then false. */
  readonly flagsOptional: readonly string[];
}

/** Reused from row to row. */
export interface RowValues {
  timeMs: number;
  micros: number | null;
  /** In the order of the columns. */
  readonly texts: string[];
  readonly flags: boolean[];
}

/** Raises SINK_REFUSED for what is no file of events/: another type of column, a text, time or flag that is not there. `take` may say why a row cannot be. */
export async function readRows(file: Uint8Array, name: string, columns: RowColumns, take: (row: RowValues) => string | null): Promise<number> {
  // Loaded here: whoever imports this folder's index on the main thread must not pay for 5 MB of WebAssembly.
  const { readRowGroups } = await import('./parquet.ts');
  let count = 0;
  try {
    const { time, texts, micros, flags } = columns;
    for (const group of readRowGroups(file, [time, ...texts, micros, ...flags], ROWS_PER_GROUP)) count += readGroup(group, columns, take);
    return count;
  } catch (error) {
    throw new EngineError('SINK_REFUSED', `${name} of the lake cannot be read: ${messageOf(error)}`, { cause: error, where: { sink: 'lake', file: name }, fix: 'put it back as it was written, or move it away: what it held then keeps what it counted' });
  }
}

function readGroup(group: RowGroup, { time, texts, micros, flags, flagsOptional }: RowColumns, take: (row: RowValues) => string | null): number {
  const timeAt = required(group.times(time), time);
  const textAt = texts.map((name) => required(group.texts(name), name));
  const microsAt = required(group.micros(micros), micros);
  const flagAt = flags.map((name) => group.flags(name) ?? (flagsOptional.includes(name) ? () => false : required(null, name)));
  const row: RowValues = { timeMs: 0, micros: null, texts: texts.map(() => ''), flags: flags.map(() => false) };
  for (let at = 0; at < group.count; at++) {
    row.timeMs = timeAt(at);
    row.micros = microsAt(at);
    if (!Number.isSafeInteger(row.timeMs) || Number.isNaN(row.micros)) throw new Error(`row ${at} has no time, or an amount that is none`);
    for (let index = 0; index < textAt.length; index++) row.texts[index] = required((textAt[index] as (row: number) => string | null)(at), texts[index] as string);
    for (let index = 0; index < flagAt.length; index++) row.flags[index] = required((flagAt[index] as (row: number) => boolean | null)(at), flags[index] as string);
    const refusal = take(row);
    if (refusal !== null) throw new Error(`row ${at}: ${refusal}`);
  }
  return group.count;
}

function required<Value>(value: Value | null, column: string): Value {
  if (value === null) throw new Error(`column ${column} is not there, or of another type`);
  return value;
}
