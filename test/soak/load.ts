/**
 * Sends at a fixed rate, whatever the daemon's speed: a request has its time, and its latency counts from then.
 *
 * A request is sent again until it is acknowledged; what is due while all connections are busy waits its turn. Past a backlog of some
 * seconds requests are given up before they are made, and counted: the rate was not reached.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { Connection, type Answer } from './connection.ts';
import type { Ledger } from './ledger.ts';
import type { RequestMaker, SoakRequest } from './requests.ts';

const CONNECTIONS = 16;
const PACE_MS = 4;
const BACKLOG_MS_MAX = 5_000;
const RETRY_MS = 200;

export interface LoadOptions {
  readonly port: number;
  readonly requestsPerSecond: number;
  readonly recordsPerRequest: number;
  readonly maker: RequestMaker;
  readonly ledger: Ledger;
  readonly nowMs: () => number;
}

export class Load {
  readonly #options: LoadOptions;
  readonly #idle: Connection[] = [];
  readonly #all: Connection[] = [];
  readonly #bodies: Buffer[] = [];
  readonly #pending = new Map<number, number>();
  #running = true;
  #next = 0;
  #skipped = 0;
  /** Requests answered 429 or 503, and those whose connection broke: sent again. */
  refused = 0;
  broken = 0;
  /** Requests sent more than once: their records may have been received as often. */
  resent = 0;
  /** Set once the daemon answered what it must never answer. */
  failure: Error | null = null;
  #latenciesMs: number[] = [];

  constructor(options: LoadOptions) {
    this.#options = options;
    for (let index = 0; index < CONNECTIONS; index++) {
      const connection = new Connection(options.port);
      this.#idle.push(connection);
      this.#all.push(connection);
      this.#bodies.push(options.maker.newBody());
    }
  }

  /** Requests that were due and not made. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Of the sped-up clock: all that was made before is acknowledged. */
  get acknowledgedUpToMs(): number {
    return Math.min(this.#options.nowMs(), ...this.#pending.values());
  }

  /** Latencies since it was last asked, ms, sorted. */
  takeLatencies(): number[] {
    const taken = this.#latenciesMs;
    this.#latenciesMs = [];
    return taken.sort((left, right) => left - right);
  }

  /** Resolves after {@link stop}, once all that was sent is acknowledged; rejects with the failure. */
  async run(): Promise<void> {
    const startMs = performance.now();
    const intervalMs = 1_000 / this.#options.requestsPerSecond;
    let due = 0;
    while (this.#running && this.failure === null) {
      const nowMs = performance.now();
      const total = Math.floor((nowMs - startMs) / intervalMs);
      const tooOld = Math.floor((nowMs - startMs - BACKLOG_MS_MAX) / intervalMs);
      if (due < tooOld) {
        this.#skipped += tooOld - due;
        due = tooOld;
      }
      while (due < total && this.#idle.length > 0) this.#launch(startMs + due++ * intervalMs);
      await sleep(PACE_MS);
    }
    while (this.#pending.size > 0 && this.failure === null) await sleep(PACE_MS);
    for (const connection of this.#all) connection.close();
    if (this.failure !== null) throw this.failure;
  }

  stop(): void {
    this.#running = false;
  }

  #launch(dueAtMs: number): void {
    const { maker, nowMs, ledger } = this.#options;
    const connection = this.#idle.pop() as Connection;
    const body = this.#bodies.pop() as Buffer;
    const request = maker.make(this.#next++, nowMs(), body);
    this.#pending.set(request.index, request.madeAtMs);
    this.#untilAcknowledged(connection, request)
      .then(() => {
        this.#latenciesMs.push(performance.now() - dueAtMs);
        maker.acknowledged(request, ledger);
        this.#pending.delete(request.index);
        this.#idle.push(connection);
        this.#bodies.push(body);
      })
      .catch((error: unknown) => {
        this.failure ??= error instanceof Error ? error : new Error(String(error));
      });
  }

  async #untilAcknowledged(connection: Connection, request: SoakRequest): Promise<void> {
    const body = request.body.subarray(0, request.length);
    for (let attempt = 0; this.failure === null; attempt++) {
      if (attempt > 0) this.resent++;
      let answer: Answer;
      try {
        answer = await connection.post('/v1/events', 'application/x-ndjson', body);
      } catch {
        this.broken++;
        await sleep(RETRY_MS);
        continue;
      }
      if (answer.status === 200) return this.#check(answer);
      if (answer.status !== 429 && answer.status !== 503) throw new Error(`the door answered ${answer.status}: ${answer.body.slice(0, 300)}`);
      this.refused++;
      await sleep(RETRY_MS);
    }
  }

  #check({ body }: Answer): void {
    const { received } = JSON.parse(body) as { received: number };
    if (received !== this.#options.recordsPerRequest) throw new Error(`${this.#options.recordsPerRequest} records were sent, the door says: ${body.slice(0, 300)}`);
  }
}
