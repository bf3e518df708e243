/**
 * Latency histogram with fixed bounds, cheap enough for the hot path and plain enough to cross threads.
 *
 * Counts are cumulative over the life of the process, as Prometheus wants them.
 */

/** Upper bounds of the buckets, milliseconds; one more bucket holds what lies above. Chosen: 100 µs to 10 s in steps of 2 to 2.5. */
export const LATENCY_BOUNDS_MS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000] as const;

export interface HistogramSnapshot {
  readonly counts: readonly number[];
  readonly sumMs: number;
  readonly count: number;
  readonly maxMs: number;
}

export class LatencyHistogram {
  readonly #counts = new Array<number>(LATENCY_BOUNDS_MS.length + 1).fill(0);
  #sumMs = 0;
  #count = 0;
  #maxMs = 0;

  record(latencyMs: number, times = 1): void {
    let bucket = 0;
    while (bucket < LATENCY_BOUNDS_MS.length && latencyMs > (LATENCY_BOUNDS_MS[bucket] as number)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] as number) + times;
    this.#sumMs += latencyMs * times;
    this.#count += times;
    if (latencyMs > this.#maxMs) this.#maxMs = latencyMs;
  }

  snapshot(): HistogramSnapshot {
    return { counts: this.#counts.slice(), sumMs: this.#sumMs, count: this.#count, maxMs: this.#maxMs };
  }
}

/** Upper bound of the bucket in which the quantile lies; the maximum for the last bucket. */
export function quantileMs(snapshot: HistogramSnapshot, quantile: number): number {
  const rank = quantile * snapshot.count;
  let seen = 0;
  for (let bucket = 0; bucket < snapshot.counts.length; bucket++) {
    seen += snapshot.counts[bucket] as number;
    if (seen >= rank && seen > 0) return Math.min(LATENCY_BOUNDS_MS[bucket] ?? snapshot.maxMs, snapshot.maxMs);
  }
  return 0;
}
