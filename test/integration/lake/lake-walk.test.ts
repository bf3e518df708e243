/** Hours told from files of a lake in a directory: whole ones, and ones of which a file was lost. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ROW_DIMENSIONS } from '../../../actors/appsflyer/lake-rows.ts';
import { appsflyerPipeline as pipeline } from '../../../actors/appsflyer/pipeline.ts';
import { RowFold, totalsUnder } from '../../../actors/appsflyer/row-fold.ts';
import type { CellChange } from '../../../engine/commands/lake-hour.ts';
import { walkLake, type LakeFindings } from '../../../engine/commands/lake-walk.ts';
import { lakeSource } from '../../../engine/commands/replay-lake.ts';
import { CellKind, type MergedCell } from '../../../engine/core/cell.ts';
import { resultSchema } from '../../../engine/core/pipeline.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import { MS_PER_DAY, MS_PER_HOUR } from '../../../engine/core/types.ts';
import { createEventsEncoder, DEFAULT_EVENTS_BOUNDS } from '../../../sinks/lake/events-encoder.ts';
import { FileTarget } from '../../../sinks/lake/file-target.ts';
import { encodeParquet } from '../../../sinks/lake/parquet.ts';
import type { CellSource } from '../../../sinks/live/index.ts';
import { PURCHASE } from '../../unit/appsflyer/messages.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-walk-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const NOON = Date.UTC(2026, 4, 3, 12);
const SLOT = { startMs: NOON + MS_PER_HOUR, part: 0 };
const COUNTED = new Set(['af_purchase']);
const schema = resultSchema(pipeline);
const conversions = schema.measures.findIndex(({ name }) => name === 'conversions');

const timeText = (timeMs: number): string => new Date(timeMs).toISOString().replace('T', ' ').replace('Z', '');

/** Writes one event a row, two to a file, and returns what was counted of them. */
function lakeOf(events: readonly (readonly [name: string, timeMs: number])[]): CellSource {
  const fold = new RowFold({ names: COUNTED, isAsked: () => true, cellsMax: 1_000 });
  const encoder = createEventsEncoder({
    columns: pipeline.lakeColumns,
    slot: SLOT,
    bounds: { ...DEFAULT_EVENTS_BOUNDS, rowsPerFile: 2 },
    encodeTable: encodeParquet,
    emit: ({ path, bytes }) => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), bytes);
    },
  });
  for (const [name, timeMs] of events) {
    const bytes = Buffer.from(JSON.stringify({ ...PURCHASE, event_name: name, event_time: timeText(timeMs) }));
    const event = pipeline.decode(bytes, 0, bytes.byteLength, RecordSource.push, 0);
    if (typeof event === 'string') throw new Error(event);
    encoder.append(event, { eventId: 'x', late: false, receivedAtMs: timeMs }, timeMs);
    fold.add({ eventType: event.eventType, eventName: name, timeMs, revenueMicros: event.revenueMicros, isPrimary: true, isTest: false, dimensions: ROW_DIMENSIONS.map((_, index) => (pipeline.dimensions[index] as (typeof pipeline.dimensions)[number]).of(event)) }, false);
  }
  encoder.finish();
  const cells = fold.hours.flatMap((hour) =>
    [...fold.cells(CellKind.hour, hour)].map(([dimensions, cell]): MergedCell => ({ kind: CellKind.hour, windowStartMs: hour, dimensions, ...totalsUnder(cell, COUNTED), revision: 1, final: true, updatedAtMs: NOON })),
  );
  return {
    schema,
    finalUpToMs: NOON + MS_PER_DAY,
    watermarkMs: 0,
    asOfMs: 0,
    nextWindow: (kind, fromMs) => cells.filter((one) => one.kind === kind && one.windowStartMs >= fromMs).map(({ windowStartMs }) => windowStartMs).sort((left, right) => left - right)[0] ?? null,
    newestWindow: () => null,
    windowPages: (kind, windowStartMs) => [cells.filter((one) => one.kind === kind && one.windowStartMs === windowStartMs)],
  };
}

async function walked(live: CellSource, { fromMs = 0 } = {}): Promise<{ findings: LakeFindings; changes: unknown[] }> {
  const changes: CellChange[] = [];
  const target = new FileTarget(`file:${root}`);
  const findings = await walkLake({
    live,
    target,
    asked: { fromMs, toMs: Infinity },
    spooled: { through: SLOT, uploadedThroughMs: SLOT.startMs },
    current: COUNTED,
    tried: new Set(['af_level']),
    take: (some) => Promise.resolve(void changes.push(...some)),
    progress: () => undefined,
  });
  return { findings, changes: changes.map(({ before, after }) => [before.windowStartMs, before.measures[conversions], after.measures[conversions], after.breakdown]) };
}

const file = (day: string, part: number): string => `events/event_date=${day}/20260503T130000Z-0000-part000${part}.parquet`;
const EVENTS = [['af_purchase', NOON], ['af_purchase', NOON + 1], ['af_level', NOON + 2], ['af_level', NOON + 3], ['af_purchase', NOON + MS_PER_HOUR], ['af_level', NOON + MS_PER_DAY - 1]] as const;

describe('hours told from the lake', () => {
  it('are what their rows count, over files and dates', async () => {
    const { findings, changes } = await walked(lakeOf(EVENTS));
    expect(changes).toEqual([[NOON, 2, 2, { af_level: 2 }], [NOON + MS_PER_HOUR, 1, 0, null], [NOON + MS_PER_DAY - MS_PER_HOUR, 0, 1, { af_level: 1 }]]);
    expect(findings).toMatchObject({ rows: 6, files: 4, missing: [], disagreeing: 0, keptFromMs: NOON });
    expect([...findings.leftOut]).toEqual([]);
    expect((await walked(lakeOf(EVENTS), { fromMs: NOON + 2 * MS_PER_HOUR })).findings).toMatchObject({ rows: 1, files: 1 });
  });

  it('keep what they counted of rows that a lost file had, which is told with its name', async () => {
    const live = lakeOf(EVENTS);
    rmSync(join(root, file('2026-05-03', 0)));
    const { findings, changes } = await walked(live);
    expect(changes[0]).toEqual([NOON, 2, 4, { af_level: 2, af_purchase: 2 }]);
    expect(findings).toMatchObject({ missing: [file('2026-05-03', 0)], disagreeing: 1 });
    expect(findings.disagreement.get('conversions')).toEqual([2, 0]);
    const { remarks, reach } = lakeSource(findings, 'x');
    expect(remarks.join('\n')).toMatch(/1 files that the lake must have had are missing.*part0000\.parquet\nin 1 of the compared cells .*\n(.*\n)* {2}conversions of them: 2 counted, 0 by the rows/);
    expect(reach).toMatch(/hours are kept from 2026-05-03T12:00:00\.000Z on; the lake gave 4 rows of 3 files, up to slot x/);
  });

  it('end at a row of another date, and at one of a type that is none', async () => {
    const live = lakeOf([['af_purchase', NOON], ['af_purchase', NOON + MS_PER_DAY]]);
    const { bytes } = (await new FileTarget(`file:${root}`).read(file('2026-05-04', 0), 1_000_000)) ?? { bytes: Buffer.alloc(0) };
    writeFileSync(join(root, file('2026-05-03', 0)), bytes);
    await expect(walked(live)).rejects.toMatchObject({ code: 'SINK_REFUSED', message: expect.stringMatching(/part0000\.parquet of the lake cannot be read: row 0: its time is of another date/) as string });
  });
});
