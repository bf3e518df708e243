/**
 * One file of `events/` without the rows of erased users and of purged days: runs in the pool. Only files that have such rows are encoded again.
 *
 * Two steps, for most files have none: the bytes of the columns that may name a user are searched for texts, at the speed of memory, and the
 * rows where one is found are asked about one by one.
 */

import { EngineError, messageOf } from '../../engine/core/errors.ts';
import type { RowGroup, TextPiece } from './parquet.ts';

/** Who is erased, in the words of the lake's columns; the wiring's, for the columns are the pipeline's. */
export interface RowErasure {
  readonly scopeColumn: string;
  readonly timeColumn: string;
  readonly textColumns: readonly string[];
  /** Texts (UTF-8, not empty) of which one is in a text column of each row that may be meant, given between when the rows were received. */
  readonly searched: (fromMs: number, toMs: number) => readonly Buffer[];
  /** The erasure's id, or null for somebody else's row. */
  readonly find: (row: ErasedRow) => string | null;
  /** Whole days that go, by what each row says of its event; null for none. */
  readonly purges: { readonly eventTimeColumn: string; readonly find: (row: { readonly scope: string | null; readonly timeMs: number; readonly receivedAtMs: number }) => string | null } | null;
}

/** Of one row; `texts` are those of the text columns. */
export interface ErasedRow {
  readonly scope: string | null;
  readonly texts: readonly (string | null)[];
  readonly timeMs: number;
}

export interface ErasedFile {
  /** Null where nothing had to go. */
  readonly bytes: Uint8Array | null;
  /** Rows by the id of their erasure. */
  readonly removed: Readonly<Record<string, number>>;
}

/** Raises SINK_REFUSED for what is no file of events/. */
export async function eraseRows(file: Uint8Array, erasure: RowErasure): Promise<ErasedFile> {
  // Loaded here: whoever imports this folder's index on the main thread must not pay for 5 MB of WebAssembly.
  const { readRowGroups, withoutRows } = await import('./parquet.ts');
  const { scopeColumn, timeColumn, textColumns, purges } = erasure;
  const rows: number[] = [];
  const removed: Record<string, number> = {};
  try {
    let first = 0;
    for (const group of readRowGroups(file, [scopeColumn, timeColumn, ...textColumns, ...(purges === null ? [] : [purges.eventTimeColumn])])) {
      const purged = purgedRows(group, erasure);
      for (const row of inOrder(candidates(group, erasure), purged)) {
        const texts = textColumns.map((name) => group.value(name, row));
        const id = purged.get(row) ?? erasure.find({ scope: group.value(scopeColumn, row), texts, timeMs: group.timeMs(timeColumn, row) });
        if (id === null) continue;
        rows.push(first + row);
        removed[id] = (removed[id] ?? 0) + 1;
      }
      first += group.count;
    }
    return { bytes: rows.length === 0 ? null : withoutRows(file, rows), removed };
  } catch (error) {
    throw new EngineError('SINK_REFUSED', `a file of events/ cannot be read: ${messageOf(error)}`, { cause: error, fix: 'look at what wrote it' });
  }
}

/** Rows of purged days, each with its purge. */
function purgedRows(group: RowGroup, { scopeColumn, timeColumn, purges }: RowErasure): ReadonlyMap<number, string> {
  const rows = new Map<number, string>();
  if (purges === null) return rows;
  for (let row = 0; row < group.count; row++) {
    const id = purges.find({ scope: group.value(scopeColumn, row), timeMs: group.timeMs(purges.eventTimeColumn, row), receivedAtMs: group.timeMs(timeColumn, row) });
    if (id !== null) rows.set(row, id);
  }
  return rows;
}

const inOrder = (candidates: readonly number[], purged: ReadonlyMap<number, string>): readonly number[] => (purged.size === 0 ? candidates : [...new Set([...candidates, ...purged.keys()])].sort((left, right) => left - right));

/** Rows where one of the searched texts is, in order. */
function candidates(group: RowGroup, { timeColumn, textColumns, searched }: RowErasure): readonly number[] {
  let [fromMs, toMs] = [Infinity, -Infinity];
  for (let row = 0; row < group.count; row++) {
    const timeMs = group.timeMs(timeColumn, row);
    if (timeMs < fromMs) fromMs = timeMs;
    if (timeMs > toMs) toMs = timeMs;
  }
  const texts = searched(fromMs, toMs);
  if (texts.length === 0) return [];
  const rows = new Set<number>();
  for (const name of textColumns) {
    const piece = group.text(name);
    // Written by another program, with another type: each row is asked about.
    if (piece === null) return Array.from({ length: group.count }, (_, row) => row);
    for (const text of texts) findIn(piece, text, rows);
  }
  return [...rows].sort((left, right) => left - right);
}

function findIn({ offsets, bytes, count }: TextPiece, text: Buffer, rows: Set<number>): void {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = offsets[count] as number;
  for (let at = all.indexOf(text, offsets[0]); at >= 0 && at < end; ) {
    const row = rowAt(offsets, count, at);
    rows.add(row);
    // The next one that is not in this row: a value that repeats within it says nothing new.
    at = all.indexOf(text, Math.max(at + 1, (offsets[row + 1] as number) - text.byteLength + 1));
  }
}

/** The row whose text has the byte. */
function rowAt(offsets: Int32Array, count: number, byte: number): number {
  let [low, high] = [0, count - 1];
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((offsets[middle] as number) <= byte) low = middle;
    else high = middle - 1;
  }
  return low;
}
