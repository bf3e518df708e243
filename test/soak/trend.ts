/**
 * Does a measure grow? Told from its samples after the warm-up, so that neither noise nor a sawtooth misleads. Pure.
 *
 * Two slopes: the least-squares line, and the mean difference between moments one period (a day of the sped-up clock) apart, which what
 * fills and empties by the day leaves at 0. The second one judges where two periods were seen, else the first. Its uncertainty is two
 * standard errors, for as many samples as are independent by the autocorrelation of what remains (Bartlett; the formula for a first-order process).
 */

/** Of the mean, in an hour: chosen. A leak of 30 MB in an hour of a daemon of 1.5 GB is seen. */
export const GROWTH_SHARE_MAX = 0.02;
const MS_PER_HOUR = 3_600_000;
/** The last sample comes a moment before the end of its period. */
const PERIODS_SEEN_MIN = 1.9;

export interface Series {
  /** Ms from the start, rising. */
  readonly timesMs: readonly number[];
  readonly values: readonly number[];
}

/** `growing`: more than the limit, and certainly more than nothing. `flat`: certainly not more than the limit. */
export type Verdict = 'flat' | 'growing' | 'unclear';

export interface Trend {
  readonly mean: number;
  readonly min: number;
  readonly max: number;
  /** Units in an hour, by least squares: what is drawn. */
  readonly line: number;
  /** Units in an hour: what is judged, more or less than it by `uncertainty`. */
  readonly slope: number;
  readonly uncertainty: number;
  readonly isDayToDay: boolean;
  readonly verdict: Verdict;
}

export interface TrendOptions {
  readonly periodMs: number;
  /** Less than so many units in an hour are no growth, whatever the mean. */
  readonly grain: number;
}

interface Estimate {
  readonly slope: number;
  readonly uncertainty: number;
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

export function trendOf({ timesMs, values }: Series, { periodMs, grain }: TrendOptions): Trend {
  if (values.length < 3) throw new RangeError('a trend needs three samples at least');
  const mean = meanOf(values);
  const hours = timesMs.map((timeMs) => timeMs / MS_PER_HOUR);
  const line = leastSquares(hours, values);
  const isDayToDay = (timesMs.at(-1) as number) - (timesMs[0] as number) >= PERIODS_SEEN_MIN * periodMs;
  const { slope, uncertainty } = isDayToDay ? periodic(hours, values, periodMs / MS_PER_HOUR) : line;
  const limit = Math.max(grain, GROWTH_SHARE_MAX * Math.abs(mean));
  const verdict = slope > limit && line.slope > limit && slope - uncertainty > 0 ? 'growing' : slope + uncertainty <= limit ? 'flat' : 'unclear';
  return { mean, min: Math.min(...values), max: Math.max(...values), line: line.slope, slope, uncertainty, isDayToDay, verdict };
}

function leastSquares(times: readonly number[], values: readonly number[]): Estimate {
  const timeMean = meanOf(times);
  const valueMean = meanOf(values);
  let product = 0;
  let square = 0;
  for (const [index, time] of times.entries()) {
    product += (time - timeMean) * ((values[index] as number) - valueMean);
    square += (time - timeMean) ** 2;
  }
  const slope = square === 0 ? 0 : product / square;
  const residuals = values.map((value, index) => value - valueMean - slope * ((times[index] as number) - timeMean));
  const spread = Math.sqrt(square / times.length);
  return { slope, uncertainty: spread === 0 ? Infinity : (2 * errorOfMean(residuals)) / spread };
}

function periodic(times: readonly number[], values: readonly number[], period: number): Estimate {
  const slopes: number[] = [];
  for (let early = 0, late = 0; late < times.length; late++) {
    while ((times[late] as number) - (times[early + 1] as number) >= period) early++;
    const apart = (times[late] as number) - (times[early] as number);
    if (apart >= period) slopes.push(((values[late] as number) - (values[early] as number)) / apart);
  }
  const slope = meanOf(slopes);
  return { slope, uncertainty: 2 * errorOfMean(slopes.map((each) => each - slope)) };
}

/** Standard error of a mean, from what the samples are off it, in order. */
function errorOfMean(residuals: readonly number[]): number {
  const count = residuals.length;
  const square = residuals.reduce((sum, residual) => sum + residual ** 2, 0);
  if (square === 0) return 0;
  let product = 0;
  for (let index = 1; index < count; index++) product += (residuals[index - 1] as number) * (residuals[index] as number);
  const correlation = Math.min(0.99, Math.max(0, product / square));
  const independent = Math.max(2, (count * (1 - correlation)) / (1 + correlation));
  return Math.sqrt(square / count / independent);
}
