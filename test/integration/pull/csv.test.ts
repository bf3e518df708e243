import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CsvFault, type Cells } from '../../../engine/core/csv.ts';
import { countLines, reportRows } from '../../../ingress/pull/csv.ts';

describe('rows of a CSV file', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-csv-'));
    file = join(directory, 'report.csv');
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  async function rowsOf(content: string | Uint8Array): Promise<Cells[]> {
    writeFileSync(file, content);
    const rows: Cells[] = [];
    for await (const piece of reportRows(file)) rows.push(...piece);
    return rows;
  }

  it.each([
    ['a,b\n1,2\n', [['a', 'b'], ['1', '2']]],
    ['\ufeffa,b\r\n1,2', [['a', 'b'], ['1', '2']]],
    ['a,b\n\n1,"x ""y"", z\nw"\n', [['a', 'b'], ['1', 'x "y", z\nw']]],
    ['a,b\n1\n1,2,3\n', [['a', 'b'], ['1'], ['1', '2', '3']]],
    ['a,b\nx"y,"z"w\n', [['a', 'b'], ['x"y', '"z"w']]],
    ['', []],
  ])('%j are what they should be', async (content, rows) => {
    expect(await rowsOf(content)).toEqual(rows);
  });

  it('are what was written, whatever stood in them', async () => {
    const cell = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.constantFrom('{"a":"b,c"}', '""', '\r\n', ',', ' '));
    const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 20 }), async (rows) => {
        // A file whose text begins with a byte order mark is read without it.
        expect(await rowsOf(rows.map((cells) => `${cells.map(quote).join(',')}\n`).join(''))).toEqual(rows.map((cells) => cells.map((text) => Buffer.from(text).toString('utf8'))));
      }),
      { numRuns: 200 },
    );
  });

  it('come from any bytes, or are refused: nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2_000 }), async (bytes) => {
        const outcome = await rowsOf(bytes).catch((error: unknown) => error);
        expect(Array.isArray(outcome) || outcome instanceof CsvFault).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('end where a quote is never closed, and where one row is larger than a record may be', async () => {
    await expect(rowsOf('a,b\n1,"2\n')).rejects.toThrow(CsvFault);
    await expect(rowsOf(`a,b\n1,"${'x'.repeat(3 * 1024 * 1024)}"\n`)).rejects.toThrow(CsvFault);
    await expect(rowsOf(`a,b\n1,"${'x\n,'.repeat(1024 * 1024)}`)).rejects.toThrow(CsvFault);
  });

  it('are at most as many as its lines', async () => {
    writeFileSync(file, 'a,b\n1,"x\ny"\n1,2');
    expect(await countLines(file)).toBe(4);
  });
});
