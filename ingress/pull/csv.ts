/**
 * Rows out of a CSV file, in pieces: the only door to csv-parse.
 *
 * Memory is bounded by one piece of the file and one row, however many rows there are. Quotes that stand where none belong are taken as they are;
 * a row beyond the limit ends the reading with CsvFault.
 */

import { createReadStream } from 'node:fs';
import { parse, type Parser } from 'csv-parse';
import { messageOf } from '../../engine/core/errors.ts';

/** Of one row: what the journal would not take is no row. */
const ROW_BYTES_MAX = 1024 * 1024;
const PIECE_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

export type Cells = readonly string[];

/** This is no CSV that can be read to its end. */
export class CsvFault extends Error {
  override readonly name = 'CsvFault';
}

/** Rows in the order of the file, the header first, those of one piece of the file together. Rejects with CsvFault, or with what reading the file raises. */
export async function* csvRows(file: string): AsyncGenerator<readonly Cells[]> {
  let rows: Cells[] = [];
  const parser = parse({
    bom: true,
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    max_record_size: ROW_BYTES_MAX,
    on_record: (cells: Cells) => {
      rows.push(cells);
      return null;
    },
  });
  let fault: Error | null = null;
  parser.on('error', (error) => {
    fault = error;
  });
  parser.resume();
  const take = (): readonly Cells[] => {
    if (fault !== null) throw new CsvFault(messageOf(fault), { cause: fault });
    const taken = rows;
    rows = [];
    return taken;
  };
  try {
    for await (const piece of createReadStream(file, { highWaterMark: PIECE_BYTES })) {
      await written(parser, piece as Uint8Array);
      const taken = take();
      if (taken.length > 0) yield taken;
    }
    await ended(parser);
    const taken = take();
    if (taken.length > 0) yield taken;
  } finally {
    parser.destroy();
  }
}

const written = (parser: Parser, piece: Uint8Array): Promise<void> =>
  new Promise((resolve) => {
    parser.write(piece, () => {
      resolve();
    });
  });

const ended = (parser: Parser): Promise<void> =>
  new Promise((resolve) => {
    parser.once('error', () => {
      resolve();
    });
    parser.once('end', () => {
      resolve();
    });
    parser.end();
  });

/** Lines of a file: at least as many as rows, the header included, and told without parsing. */
export async function countLines(file: string): Promise<number> {
  let lines = 1;
  for await (const piece of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
    const bytes = piece as Buffer;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  }
  return lines;
}
