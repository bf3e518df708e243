/**
 * The port by which a report of spend leaves the ingress thread: its bytes go to whoever judges and keeps them, and an answer comes back.
 *
 * Ingress knows neither rows nor amounts. It bounds how many reports are on their way, and answers only what it was told.
 */

/** `json`: an array, one object, or lines; `lines`: NDJSON. */
export type BodyFormat = 'json' | 'lines' | 'csv';

export interface CostsRequest {
  /** The whole body, in a buffer of its own, free to be transferred. */
  readonly body: Uint8Array;
  readonly format: BodyFormat;
  /** The query string, without its question mark. */
  readonly query: string;
}

export interface CostsAnswer {
  readonly status: 200 | 400 | 413 | 503;
  /** Code of the body's error; empty for success. */
  readonly code: string;
  readonly body: string;
  /** 0 for none. */
  readonly retryAfterSeconds: number;
}

/** Resolves once the report is durable or refused; a rejection is answered as a fault that a repeat may mend. */
export type CostsPort = (request: CostsRequest) => Promise<CostsAnswer>;

/** Reports on their way from one ingress thread; beyond it the answer is 503. Chosen: the next may be sent while one is being kept. */
export const COSTS_IN_FLIGHT_MAX = 4;
