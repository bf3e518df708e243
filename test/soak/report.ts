/** What a soak found, as verdicts, as a table to print and as the data of its page. */

import { MEASURES, type Measure } from './measures.ts';
import type { Sample, SoakResult } from './soak.ts';
import { GROWTH_SHARE_MAX, trendOf, type Trend } from './trend.ts';

export interface Judged {
  readonly measure: Measure;
  /** Null where the run was too short, or the measure has no figures. */
  readonly trend: Trend | null;
  readonly first: number;
  readonly last: number;
}

export interface SoakReport {
  readonly result: SoakResult;
  readonly judged: readonly Judged[];
  /** LMDB files that grow, each by itself. */
  readonly growingStores: readonly string[];
  readonly ok: boolean;
}

const STORE_GRAIN_BYTES = 1024 ** 2;

export function judge(result: SoakResult): SoakReport {
  const { plan, samples } = result;
  const { judgedFromMs } = plan;
  const counted = judgedFromMs === null ? [] : samples.filter(({ atMs }) => atMs >= judgedFromMs);
  const trendIn = (of: (sample: Sample) => number | undefined, grain: number): Trend | null => {
    const points = counted.map((sample) => ({ atMs: sample.atMs, value: of(sample) })).filter((point): point is { atMs: number; value: number } => point.value !== undefined && Number.isFinite(point.value));
    return points.length < 3 ? null : trendOf({ timesMs: points.map(({ atMs }) => atMs), values: points.map(({ value }) => value) }, { periodMs: plan.dayMs, grain });
  };
  const judged = MEASURES.map((measure) => ({
    measure,
    trend: trendIn(({ values }) => values[measure.name], measure.grain),
    first: samples[0]?.values[measure.name] ?? NaN,
    last: samples.at(-1)?.values[measure.name] ?? NaN,
  }));
  const growingStores = Object.keys(samples.at(-1)?.stores ?? {}).filter((name) => trendIn(({ stores }) => stores[name], STORE_GRAIN_BYTES)?.verdict === 'growing');
  const grows = growingStores.length > 0 || judged.some(({ measure, trend }) => measure.judged && trend?.verdict === 'growing');
  return { result, judged, growingStores, ok: !grows && result.faults.length === 0 };
}

export function format(value: number, unit: Measure['unit']): string {
  if (!Number.isFinite(value)) return '-';
  if (unit === 'bytes') return `${(value / 1024 ** 2).toFixed(1)} MiB`;
  const text = Math.abs(value) >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
  return `${text}${unit === 'count' ? '' : ` ${unit}`}`;
}

export const HEADINGS = ['measure', 'at first', 'at last', 'mean', 'least', 'most', 'line, per hour', 'judged, per hour', 'more or less', 'verdict'] as const;

export function tableOf({ judged }: SoakReport): string[][] {
  return judged.map(({ measure, trend, first, last }) => {
    const { name, unit } = measure;
    const shown = (value: number | undefined): string => (value === undefined ? '-' : format(value, unit));
    const verdict = !measure.judged ? '' : (trend?.verdict ?? 'not judged');
    return [name, format(first, unit), format(last, unit), shown(trend?.mean), shown(trend?.min), shown(trend?.max), shown(trend?.line), shown(trend?.slope), shown(trend?.uncertainty), verdict];
  });
}

/** Sentences on the run as a whole. */
export function summaryOf({ result, growingStores }: SoakReport): string[] {
  const { options, plan, sent, conservation, hoursCompared, faults, samples } = result;
  const seconds = (samples.at(-1)?.atMs ?? 0) / 1_000;
  const acknowledged = sent.fresh + sent.repeats + sent.damaged;
  return [
    `${(seconds / 60).toFixed(1)} minutes at ${options.speedup} times the clock's speed (${((seconds * options.speedup) / 86_400).toFixed(2)} days), door ${result.door}, dedupe horizon ${options.horizonHours} h`,
    `asked for ${options.ratePerSecond} records/s, acknowledged ${(acknowledged / seconds).toFixed(0)}/s: ${acknowledged} records (${sent.fresh} fresh, ${sent.repeats} repeats, ${sent.damaged} damaged); ${sent.requestsSkipped} requests not made because the rate was not reached, ${sent.refused} refused, ${sent.broken} broken, ${sent.resent} sent again`,
    `counted: ${JSON.stringify(conservation)}; ${hoursCompared} hours compared by campaign and country`,
    plan.judgedFromMs === null ? 'growth is not judged: the run is too short for what is kept to reach its limits' : `growth is judged from minute ${(plan.judgedFromMs / 60_000).toFixed(1)} (${plan.daysJudged === 0 ? 'less than a day' : `${plan.daysJudged} whole ${plan.daysJudged === 1 ? 'day' : 'days'}`} of the clock), ${plan.daysJudged > 1 ? 'from each moment to the same one of the day before' : 'by the line'}: growing is more than ${GROWTH_SHARE_MAX * 100} % of the mean in an hour; unclear is what such a run cannot tell`,
    growingStores.length === 0 ? 'no LMDB file by itself grows' : `LMDB files that grow: ${growingStores.join(', ')}`,
    ...(faults.length === 0 ? ['every total is exact'] : faults.slice(0, 20).map((fault) => `FAULT: ${fault}`)),
  ];
}

export function printable(report: SoakReport): string {
  const table = [[...HEADINGS], ...tableOf(report)];
  const widths = HEADINGS.map((_, column) => Math.max(...table.map((row) => (row[column] as string).length)));
  const lines = table.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number))).join('  '));
  return `${lines.join('\n')}\n\n${summaryOf(report).join('\n')}\n${report.ok ? 'OK' : 'NOT OK'}\n`;
}
