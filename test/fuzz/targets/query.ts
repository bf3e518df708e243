/**
 * The query API's answers against a plain filter and sum over the same cells, page by page; and nothing but QUERY_INVALID for the rest.
 *
 * Input: a query string, after one byte that says hourly or daily.
 */

import { CellKind, type MergedCell } from '../../../engine/core/cell.ts';
import { EngineError } from '../../../engine/core/errors.ts';
import { queryMetrics } from '../../../sinks/live/answer.ts';
import type { LiveStore } from '../../../sinks/live/index.ts';
import type { MetricsKind, RawParameters } from '../../../sinks/live/query-parameters.ts';
import { DAY_START_MS, HOUR_MS, merged, name, openLive, output, schema } from '../../unit/live/helpers.ts';
import type { Random } from '../json-bytes.ts';
import { type FuzzTarget, require, requireEqual } from '../target.ts';

const CAMPAIGNS = ['c1', 'c2', '=1+1', 'a,b', 'organic', '__proto__', 'é'];
const COUNTRIES = ['DE', 'FR'];
const PAGES_MAX = 200;

function cells(): MergedCell[] {
  return [CellKind.hour, CellKind.late, CellKind.day].flatMap((kind) =>
    CAMPAIGNS.flatMap((campaign, index) =>
      (kind === CellKind.day ? [0] : [0, 1, 2]).flatMap((hour) =>
        COUNTRIES.map((country, at) => merged({ kind, windowStartMs: DAY_START_MS + hour * HOUR_MS, dimensions: name(campaign, country), records: 1 + hour, measures: [index + at, (index - 2) * 12_345 * (hour + 1)] })),
      ),
    ),
  );
}

/** Makes valid queries mostly; each parameter is spoilt now and then. */
function query(random: Random): Buffer {
  const some = <Item>(items: readonly Item[]): Item[] => items.filter(() => random.below(3) === 0);
  const parameters = new URLSearchParams();
  const put = (key: string, value: string): void => {
    if (random.below(3) === 0) parameters.append(key, random.below(25) === 0 ? random.pick(['', '-1', '%', '1e3', '\u0000', '2026-13-45', '__proto__', '99999999999999999999']) : value);
  };
  put('from', new Date(DAY_START_MS + random.below(4) * HOUR_MS).toISOString());
  put('to', String(DAY_START_MS + (1 + random.below(4)) * HOUR_MS));
  put('campaign_id', random.pick(CAMPAIGNS).replace(',', '\\,'));
  put('country', random.pick(['DE', 'FR', 'DE,FR', 'XX']));
  put('group_by', some(schema.dimensions).join(',') || 'none');
  put('sort', random.pick(['-installs', 'installs', 'revenue', '-revenue_micros,window_start', 'late_records']));
  put('late', random.pick(['include', 'beside']));
  put('limit', String(1 + random.below(9)));
  if (random.below(30) === 0) put(random.pick(['unknown', '__proto__', 'cursor', 'format']), 'x');
  return Buffer.concat([Buffer.of(random.below(2)), Buffer.from(parameters.toString())]);
}

type Row = Readonly<Record<string, unknown>>;

async function rowsOf(live: LiveStore, kind: MetricsKind, raw: RawParameters): Promise<{ rows: Row[]; next: string | undefined }> {
  const { body } = await queryMetrics(live, kind, raw);
  let text = '';
  for await (const chunk of body) text += String(chunk);
  const { rows, next_cursor: next } = JSON.parse(text) as { rows: Row[]; next_cursor?: string };
  return { rows, next };
}

/** Sums by window and group, as text, in any order. */
function expectedRows(all: readonly MergedCell[], kind: MetricsKind, raw: RawParameters): string[] {
  const time = (key: string, fallback: number): number => (raw[key] === undefined ? fallback : /^\d+$/.test(String(raw[key])) ? Number(raw[key]) : Date.parse(String(raw[key])));
  const [from, to] = [time('from', 0), time('to', Infinity)];
  const groups = raw['group_by'] === undefined ? schema.dimensions : raw['group_by'] === 'none' ? [] : String(raw['group_by']).split(',');
  const wanted = (key: string): string[] | null => (raw[key] === undefined ? null : key === 'country' ? String(raw[key]).split(',') : [String(raw[key]).replace('\\,', ',')]);
  const sums = new Map<string, [installs: number, revenue: number, late: number]>();
  for (const cell of all) {
    const values = cell.dimensions.split('\u001f');
    const isLate = cell.kind === CellKind.late;
    if (cell.kind === (kind === 'daily' ? CellKind.hour : CellKind.day)) continue;
    const windowStartMs = kind === 'daily' ? DAY_START_MS : cell.windowStartMs;
    if (windowStartMs < from || windowStartMs >= to) continue;
    if (schema.dimensions.some((dimension, index) => wanted(dimension)?.includes(values[index] as string) === false)) continue;
    const key = JSON.stringify([new Date(windowStartMs).toISOString(), ...groups.map((group) => values[schema.dimensions.indexOf(group)])]);
    const sum = sums.get(key) ?? [0, 0, 0];
    // Late records are in the sums of their day already.
    if (!isLate || (raw['late'] === 'include' && kind === 'hourly')) {
      sum[0] += cell.measures[0] as number;
      sum[1] += cell.measures[1] as number;
    }
    if (isLate) sum[2] += cell.records;
    sums.set(key, sum);
  }
  return [...sums].map(([key, sum]) => `${key} ${sum.join()}`).sort();
}

export function queryTarget(all: readonly MergedCell[] = cells()): FuzzTarget {
  let kept: Promise<LiveStore> | null = null;
  const opened = async (): Promise<LiveStore> => {
    const live = openLive();
    await live.apply(output(cells()), 1);
    return live;
  };
  return {
    name: 'query',
    generate: query,
    async check(input) {
      const live = await (kept ??= opened());
      const kind: MetricsKind = (input[0] ?? 0) % 2 === 0 ? 'hourly' : 'daily';
      const parameters = new URLSearchParams(input.toString('utf8', 1));
      const raw: RawParameters = Object.fromEntries([...new Set(parameters.keys())].map((key) => [key, parameters.getAll(key).length > 1 ? parameters.getAll(key) : (parameters.get(key) as string)]));
      const rows: Row[] = [];
      try {
        let page = await rowsOf(live, kind, raw);
        rows.push(...page.rows);
        // Only of what was made here is the plain reading known: other formats and cursors are the other tests'.
        if (raw['cursor'] !== undefined) return;
        for (let pages = 1; page.next !== undefined; pages++) {
          require(pages < PAGES_MAX && page.rows.length === Number(raw['limit']), 'a page before the last is full, and pages end');
          page = await rowsOf(live, kind, { ...raw, cursor: page.next });
          rows.push(...page.rows);
        }
      } catch (error) {
        if (error instanceof EngineError && error.code === 'QUERY_INVALID') return;
        throw error;
      }
      const groups = raw['group_by'] === undefined ? schema.dimensions : raw['group_by'] === 'none' ? [] : String(raw['group_by']).split(',');
      const found = rows.map((row) => `${JSON.stringify([row['window_start'], ...groups.map((group) => row[group])])} ${[row['installs'], row['revenue_micros'], row['late_records']].join()}`).sort();
      requireEqual(found, expectedRows(all, kind, raw), 'rows against a plain filter');
    },
  };
}
