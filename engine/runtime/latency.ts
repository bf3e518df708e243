/**
 * End-to-end latency: from a record's `receivedAt` to its visibility in the live store and in each sink.
 *
 * One entry per merge, not per event: the oldest record of the merge stands for all, so the figure is an upper bound.
 * Entries a sink has not settled yet are bounded; while it is down the oldest ones give way.
 */

import { LatencyHistogram, type HistogramSnapshot } from '../core/histogram.ts';

interface Waiting {
  readonly change: number;
  readonly receivedAtMs: number;
}

const WAITING_MAX = 4_096;

export class LatencyTracker {
  readonly #histograms = new Map<string, LatencyHistogram>();
  readonly #waiting = new Map<string, Waiting[]>();

  constructor(sinks: readonly string[]) {
    this.#histograms.set('live', new LatencyHistogram());
    for (const sink of sinks) {
      this.#histograms.set(sink, new LatencyHistogram());
      this.#waiting.set(sink, []);
    }
  }

  /** The live store holds change `change`, whose oldest record came in at `receivedAtMs`. */
  stored(change: number, receivedAtMs: number, nowMs: number): void {
    this.#histograms.get('live')?.record(Math.max(0, nowMs - receivedAtMs));
    for (const waiting of this.#waiting.values()) {
      waiting.push({ change, receivedAtMs });
      if (waiting.length > WAITING_MAX) waiting.splice(0, WAITING_MAX / 2);
    }
  }

  settled(sink: string, mark: number, nowMs: number): void {
    const waiting = this.#waiting.get(sink);
    const histogram = this.#histograms.get(sink);
    if (waiting === undefined || histogram === undefined) return;
    let done = 0;
    while (done < waiting.length && (waiting[done] as Waiting).change <= mark) {
      histogram.record(Math.max(0, nowMs - (waiting[done] as Waiting).receivedAtMs));
      done++;
    }
    waiting.splice(0, done);
  }

  snapshots(): ReadonlyMap<string, HistogramSnapshot> {
    return new Map([...this.#histograms].map(([name, histogram]) => [name, histogram.snapshot()]));
  }
}
