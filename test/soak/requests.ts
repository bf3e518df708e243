/**
 * The requests of a soak: fresh records, repeats of records from up to nearly the whole dedupe horizon ago, late ones, and a few that
 * must be rejected. Request i is a pure function of i and of the times at which it and the repeated ones were made.
 *
 * Only acknowledged records are repeated: whatever the order in which two requests arrive, the repeat is the second of the two.
 */

import type { Ledger } from './ledger.ts';
import { damageRecord, templateIndexOf, timeBytes, writeRecord, type Template } from './templates.ts';

const MS_PER_MINUTE = 60_000;
/** How far the event times of late records lie back: beyond the hour's end and the allowed lateness, and within the day's retention. */
const LATE_MS_MIN = 70 * MS_PER_MINUTE;
export const LATE_MS_MAX = 180 * MS_PER_MINUTE;
/** Events happened a little before they are sent; the sped-up clocks of two processes differ by less. */
const EVENT_AGE_MS = 20_000;
/** One record in so many requests is damaged. */
const REQUESTS_PER_DAMAGED = 10;
/** Half of the repeats are of the last requests, as of a sender that missed an answer; the others of any in the horizon. */
const RECENT_REQUESTS = 200;
/** Share of the horizon that is looked back over. */
const HORIZON_SHARE = 0.9;

export interface SoakRequest {
  readonly index: number;
  readonly madeAtMs: number;
  readonly body: Buffer;
  readonly length: number;
  readonly fresh: number;
  readonly repeats: number;
  readonly damaged: number;
}

export interface RequestMakerOptions {
  readonly templates: readonly Template[];
  readonly recordsPerRequest: number;
  readonly horizonMs: number;
  /** Requests in a horizon, and as many times to remember. */
  readonly requestsRemembered: number;
}

/** A number from 0 to 1 that depends on `index` and `draw` alone. */
function share(index: number, draw: number): number {
  let mixed = Math.imul(index ^ Math.imul(draw + 1, 0x9e3779b1), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
}

export class RequestMaker {
  readonly #options: RequestMakerOptions;
  /** When a request was made, by its index modulo the length; 0 until it is acknowledged. */
  readonly #acknowledgedAtMs: Float64Array;
  readonly #bytesMax: number;

  constructor(options: RequestMakerOptions) {
    this.#options = options;
    this.#acknowledgedAtMs = new Float64Array(options.requestsRemembered);
    this.#bytesMax = options.recordsPerRequest * (Math.max(...options.templates.map(({ bytes }) => bytes.byteLength)) + 1);
  }

  newBody(): Buffer {
    return Buffer.allocUnsafe(this.#bytesMax);
  }

  /** Fills `body`, which must not be in use. */
  make(index: number, nowMs: number, body: Buffer): SoakRequest {
    const { recordsPerRequest } = this.#options;
    const madeAtMs = Math.floor(nowMs);
    this.#acknowledgedAtMs[index % this.#acknowledgedAtMs.length] = 0;
    const usual = timeBytes(madeAtMs - EVENT_AGE_MS);
    const late = timeBytes(madeAtMs - lateBy(index));
    const damaged = index % REQUESTS_PER_DAMAGED === 0 ? 1 : 0;
    const repeated = [this.#repeatable(index, madeAtMs, 0), this.#repeatable(index, madeAtMs, 1)];
    let length = 0;
    let repeats = 0;
    for (let position = 0; position < recordsPerRequest; position++) {
      const start = length;
      const source = position < 2 ? (repeated[position] as Repeatable | null) : null;
      // Where nothing can be repeated yet, a fresh record stands in its place.
      const number = source?.number ?? index * recordsPerRequest + position;
      const template = this.#options.templates[templateIndexOf(number)] as Template;
      length = writeRecord(body, length, template, number, source?.time ?? (position === 2 ? late : usual));
      if (source !== null) repeats++;
      if (position === recordsPerRequest - 1 && damaged === 1) damageRecord(body, start, template);
      body[length++] = 0x0a;
    }
    return { index, madeAtMs, body, length, fresh: recordsPerRequest - repeats - damaged, repeats, damaged };
  }

  /** Everything in it is durable now: it counts, and may be repeated. */
  acknowledged(request: SoakRequest, ledger: Ledger): void {
    const { recordsPerRequest } = this.#options;
    const { index, madeAtMs, repeats, damaged } = request;
    this.#acknowledgedAtMs[index % this.#acknowledgedAtMs.length] = madeAtMs;
    const counts = ledger.at(madeAtMs - EVENT_AGE_MS);
    // The repeats, both or none, take the first places; a damaged record takes the last.
    for (let position = repeats; position < recordsPerRequest - damaged; position++) {
      const template = templateIndexOf(index * recordsPerRequest + position);
      if (position === 2) ledger.add(ledger.at(madeAtMs - lateBy(index)), template);
      else ledger.add(counts, template);
    }
    ledger.acknowledge(request);
  }

  /** A fresh record of an acknowledged request, never one of the first places: those may be repeats themselves. */
  #repeatable(index: number, nowMs: number, draw: number): Repeatable | null {
    const { recordsPerRequest, horizonMs } = this.#options;
    const remembered = this.#acknowledgedAtMs.length;
    // The first ones have none to look back on, and both are wanted or none.
    if (index < RECENT_REQUESTS * 2) return null;
    const reach = draw === 0 ? RECENT_REQUESTS : Math.min(index, remembered - 1);
    for (let attempt = 0; attempt < 64; attempt++) {
      const other = index - 1 - Math.floor(share(index, draw * 64 + attempt) * reach);
      const madeAtMs = other < 0 ? 0 : (this.#acknowledgedAtMs[other % remembered] as number);
      if (madeAtMs === 0 || nowMs - madeAtMs > horizonMs * HORIZON_SHARE) continue;
      // Places 2 to the last but one: 2 is the late one.
      const position = 2 + Math.floor(share(index, draw * 64 + attempt + 1_000) * (recordsPerRequest - 3));
      return { number: other * recordsPerRequest + position, time: timeBytes(madeAtMs - (position === 2 ? lateBy(other) : EVENT_AGE_MS)) };
    }
    throw new Error('no acknowledged request within the horizon to repeat');
  }
}

interface Repeatable {
  readonly number: number;
  readonly time: Buffer;
}

const lateBy = (index: number): number => Math.floor(LATE_MS_MIN + share(index, 7) * (LATE_MS_MAX - LATE_MS_MIN));
