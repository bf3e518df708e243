/** What a lake holds, read with DuckDB and held against the independent model. */

import { join } from 'node:path';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { resultSchema } from '../../engine/core/pipeline.ts';
import type { ModelRow } from '../model/model.ts';
import { duckdb, type Row } from './duckdb.ts';

const { measures } = resultSchema(appsflyerPipeline);

/** Rows of `events/`, and how many different events they are; none while there are no files. */
export async function countEvents(lake: string): Promise<{ rows: number; distinct: number }> {
  const [row] = await rowsOf('count(*)::int as n, count(distinct event_id)::int as d', join(lake, 'events'));
  return { rows: Number(row?.['n'] ?? 0), distinct: Number(row?.['d'] ?? 0) };
}

export interface ExpectedHours {
  /** By campaign and country, late records included. */
  readonly rows: readonly ModelRow[];
  readonly lateRecords: number;
}

/** The first difference between the sums over `hourly/`, late cells included, and the model: every measure to the unit and the micro. Null for none. */
export async function hourlyDifference(lake: string, expected: ExpectedHours): Promise<string | null> {
  const sums = measures.map(({ name, unit }) => `sum(${name})::bigint as ${name}${unit === 'micros' ? `, (1000000 * sum(${decimalOf(name)}))::bigint as ${decimalOf(name)}` : ''}`);
  const found = await rowsOf(`epoch_ms(window_start)::bigint as start_ms, campaign_id, country, sum(records)::bigint as records, coalesce(sum(records) filter (where late), 0)::bigint as late, ${sums.join(', ')}`, join(lake, 'hourly'), 'group by all');
  const rows = new Map(found.map((row) => [`${new Date(Number(row['start_ms'])).toISOString()}|${String(row['campaign_id'])}|${String(row['country'])}`, row]));
  for (const want of expected.rows) {
    const key = `${want.windowStart}|${want.dimensions.campaign_id}|${want.dimensions.country}`;
    const row = rows.get(key);
    if (row === undefined) return `hourly/ has no row for ${key}`;
    if (String(row['records']) !== String(want.records)) return `hourly/ ${key}: records is ${String(row['records'])}, expected ${want.records}`;
    for (const { name, unit } of measures) {
      const value = String(want.measures[name] ?? 0n);
      for (const column of unit === 'micros' ? [name, decimalOf(name)] : [name]) {
        if (String(row[column]) !== value) return `hourly/ ${key}: ${column} is ${String(row[column])}, expected ${value}`;
      }
    }
  }
  if (rows.size !== expected.rows.length) return `hourly/ has ${rows.size} rows, expected ${expected.rows.length}`;
  const late = found.reduce((sum, row) => sum + Number(row['late']), 0);
  return late === expected.lateRecords ? null : `hourly/ has ${late} late records, expected ${expected.lateRecords}`;
}

const decimalOf = (name: string): string => name.slice(0, -'_micros'.length);

async function rowsOf(columns: string, folder: string, rest = ''): Promise<Row[]> {
  try {
    return await duckdb(`select ${columns} from read_parquet('${folder}/**/*.parquet', hive_partitioning = true) ${rest}`);
  } catch (error) {
    if (error instanceof Error && error.message.includes('No files found')) return [];
    throw error;
  }
}
