import { describe, expect, it } from 'vitest';
import { appsflyerPipeline } from '../../../actors/appsflyer/pipeline.ts';
import { journalSource, printDifference, type DifferenceOptions, type Format } from '../../../engine/commands/replay-difference.ts';
import { CellKind, DIMENSION_SEPARATOR, type MergedCell } from '../../../engine/core/cell.ts';
import { resultSchema } from '../../../engine/core/pipeline.ts';
import { MS_PER_HOUR } from '../../../engine/core/types.ts';
import type { CellSource } from '../../../sinks/live/index.ts';

const TEN = 1_795_168_800_000;
const schema = resultSchema(appsflyerPipeline);
const events = schema.measures.findIndex(({ name }) => name === 'events');

const cell = (hour: number, campaign: string, count: number, kind: CellKind = CellKind.hour): MergedCell => ({
  kind,
  windowStartMs: TEN + hour * MS_PER_HOUR,
  dimensions: [campaign, ...schema.dimensions.slice(1).map(() => 'd')].join(DIMENSION_SEPARATOR),
  records: count,
  measures: schema.measures.map((_, index) => (index === events ? count : 0)),
  breakdown: null,
  labels: [],
  revision: 1,
  final: false,
  updatedAtMs: 0,
});

const storeOf = (...cells: readonly MergedCell[]): CellSource => ({
  schema,
  finalUpToMs: 0,
  watermarkMs: 0,
  asOfMs: 0,
  nextWindow: (kind, fromMs) => cells.filter((one) => one.kind === kind && one.windowStartMs >= fromMs).map(({ windowStartMs }) => windowStartMs).sort((left, right) => left - right)[0] ?? null,
  newestWindow: () => null,
  windowPages: (kind, windowStartMs) => [cells.filter((one) => one.kind === kind && one.windowStartMs === windowStartMs)],
});

async function printed(format: Format, changes: Partial<DifferenceOptions> = {}): Promise<{ text: string; differing: number }> {
  let text = '';
  const before = storeOf(cell(1, 'b', 1), cell(1, 'same', 4), cell(0, 'x', 2), cell(2, 'gone', 3), cell(1, 'b', 2, CellKind.late));
  const after = storeOf(cell(1, 'b', 3), cell(1, 'same', 4), cell(0, 'x', 9), cell(1, '=new', 1));
  const everything = { fromMs: 0, toMs: Infinity };
  const compared = { fromMs: TEN + MS_PER_HOUR, toMs: Infinity };
  const source = journalSource({ after, asked: everything, compared, completeFromMs: TEN + MS_PER_HOUR });
  const differing = await printDifference({ before, after, compared, source, limit: 10, format, write: (part) => (text += part), warn: () => undefined, ...changes });
  return { text, differing };
}

describe('the difference by cell', () => {
  it('is of the compared hours, in the order of hour, kind and dimensions, and names what is left out', async () => {
    const { text, differing } = await printed('json');
    expect(differing).toBe(4);
    const { summary, cells } = JSON.parse(text) as { summary: object; cells: { window_start: string; kind: string; campaign_id: string; changes: object }[] };
    expect(cells.map(({ window_start, kind, campaign_id, changes }) => [window_start.slice(11, 16), kind, campaign_id, changes])).toEqual([
      ['11:00', 'hour', '=new', { records: [0, 1], events: [0, 1] }],
      ['11:00', 'hour', 'b', { records: [1, 3], events: [1, 3] }],
      ['11:00', 'late', 'b', { records: [2, 0], events: [2, 0] }],
      ['12:00', 'hour', 'gone', { records: [3, 0], events: [3, 0] }],
    ]);
    const ten = new Date(TEN).toISOString();
    expect(summary).toEqual({
      compared_cells: 5,
      differing_cells: 4,
      printed_cells: 4,
      from: new Date(TEN + MS_PER_HOUR).toISOString(),
      to: null,
      journal_complete_from: new Date(TEN + MS_PER_HOUR).toISOString(),
      left_out: { hours: 1, first: ten, last: ten },
      totals: { events: [6, 4], records: [6, 4] },
    });
  });

  it('is counted whole and printed up to the limit', async () => {
    const { text, differing } = await printed('table', { limit: 1 });
    expect(differing).toBe(4);
    const lines = text.split('\n');
    expect(lines[0]).toMatch(/^2026-11-20T11:00:00\.000Z campaign_id==new app_id=d .*: records 0 → 1, events 0 → 1$/);
    expect(lines[1]).toBe('… and 3 more (--limit)');
    expect(lines[2]).toBe('4 of 5 cells differ');
    expect(text).toMatch(/the journal is complete from 2026-11-20T11:00:00\.000Z on\nleft out, .*: 1 hours, /);
  });

  it('has a line of CSV for each figure, and nothing that a spreadsheet would run', async () => {
    const lines = (await printed('csv')).text.trimEnd().split('\n');
    expect(lines[0]).toBe(`window_start,kind,${schema.dimensions.join(',')},figure,before,after`);
    expect(lines).toHaveLength(9);
    expect(lines[2]).toBe(`2026-11-20T11:00:00.000Z,hour,'=new,d,d,d,d,d,d,events,0,1`);
  });

  it('is nothing where an end is set before it', async () => {
    expect((await printed('json', { compared: { fromMs: TEN + MS_PER_HOUR, toMs: TEN + MS_PER_HOUR } })).differing).toBe(0);
  });
});
