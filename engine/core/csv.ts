/**
 * Rows out of CSV text (RFC 4180) that comes in pieces: the only door to csv-parse.
 *
 * Memory is bounded by one piece and one row, however many rows there are; a byte order mark and blank lines are passed over, rows may have
 * any number of cells. What cannot be read to its end, and a row beyond the limit, ends the reading with CsvFault.
 */

import { parse, type Parser } from 'csv-parse';
import { messageOf } from './errors.ts';

export type Cells = readonly string[];

/** This is no CSV that can be read to its end. */
export class CsvFault extends Error {
  override readonly name = 'CsvFault';
}

export interface CsvOptions {
  /** UTF-8; each is read before the next is asked for. */
  readonly pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly rowBytesMax: number;
  /** Quotes that stand where none belong: `keep` takes them as they are, `refuse` takes them for damage. */
  readonly strayQuotes: 'keep' | 'refuse';
  /** A line ends as the first one does, or each in any of the three ways. */
  readonly lineEnds: 'first' | 'any';
}

/** Rows in order, the header first, those that end in one piece together. Rejects with CsvFault, or with what reading the pieces raises. */
export async function* csvRows({ pieces, rowBytesMax, strayQuotes, lineEnds }: CsvOptions): AsyncGenerator<readonly Cells[]> {
  let rows: Cells[] = [];
  const parser = parse({
    bom: true,
    relax_column_count: true,
    relax_quotes: strayQuotes === 'keep',
    record_delimiter: lineEnds === 'any' ? ['\r\n', '\n', '\r'] : [],
    skip_empty_lines: true,
    max_record_size: rowBytesMax,
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
    for await (const piece of pieces) {
      await written(parser, piece);
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
