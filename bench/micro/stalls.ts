/** A histogram of how long steps took, of fixed size whatever their number: tenths of an octave from a microsecond up. */

const STEPS_PER_OCTAVE = 10;
const OCTAVES = 24;

export interface StallFigures {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p9999Ms: number;
  readonly maxMs: number;
}

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

const rounded = (ms: number): number => Number(ms.toPrecision(3));
