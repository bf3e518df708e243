/** What the ingress counts: plain numbers since its start, cheap to raise, in a shape that can be sent to another thread. */

import { LatencyHistogram, type HistogramSnapshot } from '../engine/core/histogram.ts';
import type { BatcherStats } from './batcher.ts';

export interface IngressStats extends BatcherStats {
  /** Answers by route and status: `requests.push['200']`. */
  readonly requests: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** What was not received, by the code in its answer: everything but 2xx and the 400 of a journaled record; connections too. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Records appended, by route; of requests that failed afterwards too. */
  readonly records: Readonly<Record<string, number>>;
  /** Those of them that the door saw to be malformed. */
  readonly recordsMalformed: number;
  /** Bytes of the records appended. */
  readonly recordBytes: number;
  /** Requests whose sender went away before its answer. */
  readonly aborted: number;
  readonly inFlightRequests: number;
  readonly inFlightBytes: number;
  /** Null when the door cannot tell. */
  readonly connections: number | null;
  /** Epoch ms; null without TLS. */
  readonly certificateExpiresAtMs: number | null;
  /** From a request's last byte to its answer; requests with records only. */
  readonly ackLatency: HistogramSnapshot;
}

export class IngressCounters {
  readonly ackLatency = new LatencyHistogram();
  readonly #requests = new Map<string, Map<number, number>>();
  readonly #refusals = new Map<string, number>();
  readonly #records = new Map<string, number>();
  recordsMalformed = 0;
  recordBytes = 0;
  aborted = 0;

  answered(route: string, status: number, code: string): void {
    let statuses = this.#requests.get(route);
    if (statuses === undefined) {
      statuses = new Map<number, number>();
      this.#requests.set(route, statuses);
    }
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (code !== '' && status !== 400) this.refused(code);
  }

  refused(code: string): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1);
  }

  appended(route: string, bytes: number, malformed: boolean): void {
    this.#records.set(route, (this.#records.get(route) ?? 0) + 1);
    this.recordBytes += bytes;
    if (malformed) this.recordsMalformed++;
  }

  snapshot(): Pick<IngressStats, 'requests' | 'refusals' | 'records' | 'recordsMalformed' | 'recordBytes' | 'aborted' | 'ackLatency'> {
    return {
      requests: Object.fromEntries([...this.#requests].map(([route, statuses]) => [route, Object.fromEntries(statuses)])),
      refusals: Object.fromEntries(this.#refusals),
      records: Object.fromEntries(this.#records),
      recordsMalformed: this.recordsMalformed,
      recordBytes: this.recordBytes,
      aborted: this.aborted,
      ackLatency: this.ackLatency.snapshot(),
    };
  }
}
