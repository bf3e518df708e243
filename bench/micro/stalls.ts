/** How long steps took, and how long the garbage collector. */

import { PerformanceObserver } from 'node:perf_hooks';

const STEPS_PER_OCTAVE = 10;
const OCTAVES = 24;

const rounded = (ms: number): number => Number(ms.toPrecision(3));

export interface StallFigures {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p9999Ms: number;
  readonly maxMs: number;
}

/** A histogram of fixed size, whatever the number of steps: tenths of an octave from a microsecond up. */
export class Stalls {
  readonly #counts = new Float64Array(STEPS_PER_OCTAVE * OCTAVES);
  #count = 0;
  #maxMs = 0;

  add(tookMs: number): void {
    const step = Math.floor(Math.log2(Math.max(1, tookMs * 1_000)) * STEPS_PER_OCTAVE);
    (this.#counts[Math.min(this.#counts.length - 1, step)] as number)++;
    this.#count++;
    if (tookMs > this.#maxMs) this.#maxMs = tookMs;
  }

  figures(): StallFigures {
    return { count: this.#count, p50Ms: this.#at(0.5), p99Ms: this.#at(0.99), p9999Ms: this.#at(0.9999), maxMs: rounded(this.#maxMs) };
  }

  /** The upper bound of the step in which the share is reached. */
  #at(share: number): number {
    let sum = 0;
    for (let step = 0; step < this.#counts.length; step++) {
      sum += this.#counts[step] as number;
      if (sum >= this.#count * share) return rounded(Math.min(this.#maxMs, 2 ** ((step + 1) / STEPS_PER_OCTAVE) / 1_000));
    }
    return rounded(this.#maxMs);
  }
}


/** Steps this long are remembered one by one, and so many of them at most. Chosen. */
const LONG_MS = 1;
const LONG_STEPS_MAX = 100_000;

/** The garbage collector's pauses of this thread, and the longest step without its part in it. */
export class Pauses {
  readonly #pauses: { readonly startMs: number; readonly tookMs: number }[] = [];
  readonly #steps: { readonly startMs: number; readonly tookMs: number }[] = [];
  readonly #observer = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) this.#pauses.push({ startMs: startTime, tookMs: duration });
  });
  #shortMaxMs = 0;

  constructor() {
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  add(startMs: number, tookMs: number): void {
    if (tookMs < LONG_MS) this.#shortMaxMs = Math.max(this.#shortMaxMs, tookMs);
    else if (this.#steps.length < LONG_STEPS_MAX) this.#steps.push({ startMs, tookMs });
  }

  /** Ends the observation. */
  figures(): { readonly gcCount: number; readonly gcMs: number; readonly gcMaxMs: number; readonly longestBesideGcMs: number } {
    this.#observer.disconnect();
    const beside = this.#steps.map(({ startMs, tookMs }) => tookMs - this.#pauses.filter((pause) => pause.startMs >= startMs && pause.startMs < startMs + tookMs).reduce((sum, pause) => sum + pause.tookMs, 0));
    return {
      gcCount: this.#pauses.length,
      gcMs: Math.round(this.#pauses.reduce((sum, { tookMs }) => sum + tookMs, 0)),
      gcMaxMs: rounded(Math.max(0, ...this.#pauses.map(({ tookMs }) => tookMs))),
      longestBesideGcMs: rounded(Math.max(this.#shortMaxMs, ...beside)),
    };
  }
}
