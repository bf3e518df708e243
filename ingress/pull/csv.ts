/** A downloaded report on disk: its rows in pieces, and its lines counted. */

import { createReadStream } from 'node:fs';
import { csvRows, type Cells } from '../../engine/core/csv.ts';

/** Of one row: what the journal would not take is no row. */
const ROW_BYTES_MAX = 1024 * 1024;
const PIECE_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** As {@link csvRows}; quotes that stand where none belong are taken as they are. */
export const reportRows = (file: string): AsyncGenerator<readonly Cells[]> =>
  csvRows({ pieces: createReadStream(file, { highWaterMark: PIECE_BYTES }), rowBytesMax: ROW_BYTES_MAX, strayQuotes: 'keep', lineEnds: 'first' });

/** Lines of a file: at least as many as rows, the header included, and told without parsing. */
export async function countLines(file: string): Promise<number> {
  let lines = 1;
  for await (const piece of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
    const bytes = piece as Buffer;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  }
  return lines;
}
