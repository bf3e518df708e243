/**
 * Does a measure grow? Told from its samples after the warm-up, so that neither noise nor a sawtooth misleads. Pure.
 *
 * Two slopes are taken: the least-squares line, and the median difference between moments one period (a day of the sped-up clock) apart,
 * which what fills and empties by the day leaves at 0; in a run of less than two periods, between the first and the last third. Growing is what
 * rises in both, by more than a share of its mean in an hour and by more than its grain.
 */

/** Of the mean, in an hour: chosen. A leak of 30 MB in an hour of a daemon of 1.5 GB is seen. */
export const GROWTH_SHARE_MAX = 0.02;

export interface Series {
  /** Ms from the start, rising. */
  readonly timesMs: readonly number[];
  readonly values: readonly number[];
}

export interface Trend {
  readonly mean: number;
  readonly min: number;
  readonly max: number;
  /** Units in an hour: the least-squares line. */
  readonly slope: number;
  /** Units in an hour: from one period to the next. */
  readonly periodic: number;
  readonly verdict: 'flat' | 'growing';
}

export interface TrendOptions {
  readonly periodMs: number;
  /** Less than so many units in an hour are no growth, whatever the mean. */
  readonly grain: number;
}

const MS_PER_HOUR = 3_600_000;

export function trendOf({ timesMs, values }: Series, { periodMs, grain }: TrendOptions): Trend {
  if (values.length < 3) throw new RangeError('a trend needs three samples at least');
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const slope = leastSquares(timesMs, values) * MS_PER_HOUR;
  const periodic = periodicSlope(timesMs, values, periodMs) * MS_PER_HOUR;
  const limit = Math.max(grain, GROWTH_SHARE_MAX * Math.abs(mean));
  return { mean, min: Math.min(...values), max: Math.max(...values), slope, periodic, verdict: slope > limit && periodic > limit ? 'growing' : 'flat' };
}

function leastSquares(times: readonly number[], values: readonly number[]): number {
  const timeMean = times.reduce((sum, time) => sum + time, 0) / times.length;
  const valueMean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let product = 0;
  let square = 0;
  for (const [index, time] of times.entries()) {
    product += (time - timeMean) * ((values[index] as number) - valueMean);
    square += (time - timeMean) ** 2;
  }
  return square === 0 ? 0 : product / square;
}

function periodicSlope(times: readonly number[], values: readonly number[], periodMs: number): number {
  const spanMs = (times.at(-1) as number) - (times[0] as number);
  // The last sample comes a moment before the end of its period.
  if (spanMs < 1.9 * periodMs) {
    const third = Math.floor(values.length / 3);
    return (median(values.slice(-third)) - median(values.slice(0, third))) / ((2 / 3) * spanMs);
  }
  const slopes: number[] = [];
  for (let early = 0, late = 0; late < times.length; late++) {
    while ((times[late] as number) - (times[early + 1] as number) >= periodMs) early++;
    const apartMs = (times[late] as number) - (times[early] as number);
    if (apartMs >= periodMs) slopes.push(((values[late] as number) - (values[early] as number)) / apartMs);
  }
  return median(slopes);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
