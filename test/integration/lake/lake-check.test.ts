/** The check that the exact runs make of `hourly/` finds what it is there for: one planted fault each. */

import { mkdtempSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { appsflyerPipeline } from '../../../actors/appsflyer/pipeline.ts';
import { createGenerator } from '../../../actors/appsflyer/generate/index.ts';
import { CellKind, DIMENSION_SEPARATOR, type MergedCell } from '../../../engine/core/cell.ts';
import { resultSchema } from '../../../engine/core/pipeline.ts';
import { encodeTable } from '../../../sinks/lake/encode-slot.ts';
import { FileTarget } from '../../../sinks/lake/file-target.ts';
import { HourlySink, hourlyPath } from '../../../sinks/lake/hourly-sink.ts';
import { MemoryFeed, TEST_INSTANCE, cellOf } from '../../conformance/memory-feed.ts';
import { Model } from '../../model/model.ts';
import { hourlyDifference } from '../../support/lake-check.ts';

const schema = resultSchema(appsflyerPipeline);
const model = new Model();
const generator = createGenerator({ seed: 5, startMs: Date.UTC(2026, 10, 22, 1) });
for (let count = 0; count < 3_000; count++) model.deliver(generator.next());
const expected = { rows: model.summarise().byHourCampaignCountry, lateRecords: 0 };
const cells = model.rows('hour').map((row): MergedCell =>
  cellOf({
    kind: CellKind.hour,
    windowStartMs: Date.parse(row.windowStart),
    dimensions: schema.dimensions.map((name) => (row.dimensions as Record<string, string>)[name]).join(DIMENSION_SEPARATOR),
    records: Number(row.records),
    measures: schema.measures.map(({ name }) => Number(row.measures[name] ?? 0n)),
  }),
);

describe('the check of hourly/ against the model', () => {
  let lake: string;
  beforeEach(() => {
    lake = mkdtempSync(join(tmpdir(), 'millrace-lake-check-'));
  });
  afterEach(() => rmSync(lake, { recursive: true, force: true }));

  const write = async (written: readonly MergedCell[]): Promise<void> => {
    const feed = new MemoryFeed(schema);
    feed.put(...written);
    const sink = new HourlySink({ target: new FileTarget(`file:${lake}`), instance: TEST_INSTANCE, intervalMs: 0, cellsPerHourMax: 100_000, encodeTable, warn: () => undefined, pause: () => Promise.resolve() });
    await sink.write(feed.changedSince(0, 1_000_000), feed);
  };
  /** All cells, the first that has something of the measure with one more of it. */
  const withOneMore = (measure: string): MergedCell[] => {
    const index = schema.measures.findIndex(({ name }) => name === measure);
    const at = cells.findIndex((cell) => cell.measures[index] !== 0);
    expect(at).toBeGreaterThanOrEqual(0);
    return cells.map((cell, each) => (each === at ? { ...cell, measures: cell.measures.map((sum, place) => (place === index ? sum + 1 : sum)) } : cell));
  };

  test('finds nothing where every sum is right, be a record late or not', async () => {
    await write(cells);
    expect(await hourlyDifference(lake, expected)).toBeNull();
    rmSync(lake, { recursive: true });
    const [first, ...rest] = cells as [MergedCell, ...MergedCell[]];
    await write([{ ...first, kind: CellKind.late }, ...rest]);
    expect(await hourlyDifference(lake, { ...expected, lateRecords: first.records })).toBeNull();
    expect(await hourlyDifference(lake, expected)).toBe(`hourly/ has ${first.records} late records, expected 0`);
  });

  test.each(['installs', 'events', 'revenue_micros', 'secondary_revenue_micros'])('finds one too many of %s', async (measure) => {
    await write(withOneMore(measure));
    expect(await hourlyDifference(lake, expected)).toMatch(new RegExp(`: ${measure} is -?\\d+, expected -?\\d+$`));
  });

  test('finds a cell that is missing, one that is too many, and an hour that is gone', async () => {
    await write(cells.slice(1));
    expect(await hourlyDifference(lake, expected)).toMatch(/no row for|records is/);
    rmSync(lake, { recursive: true });
    const [first] = cells as [MergedCell, ...MergedCell[]];
    await write([...cells, { ...first, dimensions: schema.dimensions.map(() => 'nowhere').join(DIMENSION_SEPARATOR) }]);
    expect(await hourlyDifference(lake, expected)).toMatch(/rows, expected/);
    unlinkSync(join(lake, hourlyPath(first.windowStartMs)));
    expect(await hourlyDifference(lake, expected)).toMatch(/no row for/);
  });
});
