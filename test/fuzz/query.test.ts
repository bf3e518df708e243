/** Hostile queries: every parameter is answered or refused by name; what is answered is valid JSON or CSV with at most the rows asked for. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../engine/core/errors.ts';
import { CellKind } from '../../engine/core/cell.ts';
import { queryMetrics } from '../../sinks/live/answer.ts';
import { DAY_START_MS, HOUR_MS, merged, name, openLive, output, schema } from '../unit/live/helpers.ts';

const RUNS = 300;
const AWKWARD = ['c1', '=1+1', '-2', '@x', 'a,b', 'a"b', '\n', '\u{1f600}', 'organic', "'", '%00', 'constructor', '__proto__'];

const names = ['from', 'to', 'group_by', 'late', 'sort', 'limit', 'cursor', 'format', ...schema.dimensions, 'unknown', '__proto__', 'constructor'];
const value = fc.oneof(
  fc.string({ maxLength: 30 }),
  fc.constantFrom('', '0', '-1', '1', '10001', '1e3', 'none', 'all', 'include', 'beside', 'csv', 'json', 'campaign_id', '-installs', 'revenue', 'window_start', '2026-11-22', '2026-11-22T01:00Z', '2026-13-45', '9999999999999', '1970-01-01T00:00:00+99:99', ...AWKWARD),
);
const parameters = fc.array(fc.tuple(fc.constantFrom(...names), fc.oneof(value, fc.array(value, { maxLength: 3 }))), { maxLength: 5 });

async function textOf(body: AsyncIterable<unknown>): Promise<string> {
  let text = '';
  for await (const chunk of body) text += String(chunk);
  return text;
}

/** Rows of a CSV text by RFC 4180; null when it is none. */
function csvRows(text: string): string[][] | null {
  const rows: string[][] = [];
  let rest = text;
  let row: string[] = [];
  while (rest !== '') {
    const field = /^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/.exec(rest);
    if (field === null) return null;
    row.push(field[1] ?? field[2] ?? '');
    rest = rest.slice(field[0].length);
    if (field[3] !== ',') {
      rows.push(row);
      row = [];
    }
  }
  return rows;
}

describe('queries', () => {
  it('are answered or refused by name, whatever they ask for', async () => {
    const live = openLive();
    const cells = AWKWARD.flatMap((campaign, index) => [0, 1, 2].map((hour) => merged({ kind: hour === 2 ? CellKind.late : CellKind.hour, windowStartMs: DAY_START_MS + (hour % 2) * HOUR_MS, dimensions: name(campaign, index % 2 === 0 ? 'DE' : 'FR'), measures: [index, -index * 10_000] })));
    await live.apply(output(cells), 1);
    const seen = { answered: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('hourly' as const, 'daily' as const), parameters, async (kind, pairs) => {
        const raw = Object.fromEntries(pairs);
        try {
          const { contentType, body } = await queryMetrics(live, kind, raw);
          const text = await textOf(body);
          seen.answered++;
          const limit = typeof raw['limit'] === 'string' && raw['limit'] !== '' ? Number(raw['limit']) : 10_000;
          if (contentType.startsWith('application/json')) expect((JSON.parse(text) as { rows: unknown[] }).rows.length).toBeLessThanOrEqual(limit);
          else {
            const rows = csvRows(text);
            expect(new Set(rows?.map((row) => row.length)).size).toBe(1);
            // A spreadsheet must not take a name from outside for a formula.
            expect(rows?.slice(1).flat().filter((field) => /^[=@\t\r]/.test(field))).toEqual([]);
          }
        } catch (error) {
          if (!(error instanceof EngineError)) throw error;
          expect(error.code).toBe('QUERY_INVALID');
          seen.refused++;
        }
      }),
      { numRuns: RUNS },
    );
    expect(seen.answered).toBeGreaterThan(RUNS / 20);
    expect(seen.refused).toBeGreaterThan(RUNS / 20);
  });
});
