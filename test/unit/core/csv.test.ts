import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CsvFault, csvRows, type Cells, type CsvOptions } from '../../../engine/core/csv.ts';

async function read(text: string, { pieceBytes = 64 * 1024, ...change }: Partial<CsvOptions> & { readonly pieceBytes?: number } = {}): Promise<readonly Cells[]> {
  const bytes = Buffer.from(text);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.byteLength; at += pieceBytes) pieces.push(bytes.subarray(at, at + pieceBytes));
  const rows: Cells[] = [];
  for await (const some of csvRows({ pieces, rowBytesMax: 1_000, strayQuotes: 'refuse', lineEnds: 'any', ...change })) rows.push(...some);
  return rows;
}

describe('CSV', () => {
  it('gives back what was written, whatever it was and in whatever pieces it comes', async () => {
    const quoted = (field: string): string => `"${field.replaceAll('"', '""')}"`;
    const field = fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', '\r', ' ', 'é') });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { maxLength: 5 }), fc.constantFrom('\n', '\r\n', '\r'), fc.integer({ min: 1, max: 20 }), async (records, lineEnd, pieceBytes) => {
        expect(await read(records.map((fields) => `${fields.map(quoted).join(',')}${lineEnd}`).join(''), { pieceBytes })).toEqual(records);
      }),
    );
  });

  it('has lines that end in several ways, a byte order mark and blank lines', async () => {
    expect(await read('\ufeffa,b\r\n\n1,2\n3,"4\n5"\r6,7')).toEqual([['a', 'b'], ['1', '2'], ['3', '4\n5'], ['6', '7']]);
  });

  it('is refused where a quote does not end, ends too early or stands inside a field, and where a row has no end', async () => {
    for (const text of ['a,"never', 'a,"b"c', 'a,b"c"', `a,"${'x'.repeat(1_100)}"`]) await expect(read(text), text).rejects.toThrow(CsvFault);
    expect(await read('a,b"c"', { strayQuotes: 'keep' })).toEqual([['a', 'b"c"']]);
  });
});
