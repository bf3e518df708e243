/**
 * Sends generated messages to a door, bounded in flight, and sends again what got no final answer, as AppsFlyer does, only sooner.
 *
 * 2xx and 400 are final (400: malformed, and kept as a dead letter). 5xx, 429, a reset or no connection is not: the same bytes go again, so
 * that a message may be received twice and counted once. Any other answer says that the address or the size is wrong, and ends the run.
 */

import { EngineError, messageOf } from '../core/errors.ts';

export interface Sendable {
  readonly body: string;
  readonly method: 'POST' | 'GET';
}

export interface SenderOptions {
  readonly url: string;
  /** Of every request: a credential, where the door wants one. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly inFlightMax: number;
  /** POST bodies gathered into one NDJSON request of /v1/events; 1 for a request each. */
  readonly batch: number;
  /** Attempts per message are not limited; the run is, by this signal. */
  readonly signal: AbortSignal;
}

const RETRY_MS = 200;
const REQUEST_TIMEOUT_MS = 15_000;

export class Sender {
  readonly #options: SenderOptions;
  readonly #inFlight = new Set<Promise<void>>();
  #batch: string[] = [];
  #failure: Error | null = null;
  acknowledged = 0;
  refused = 0;
  resent = 0;
  lastProblem = '';

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Resolves once there is room for the next message. Rejects CONFIG_INVALID once a message was refused for good. */
  async send(message: Sendable): Promise<void> {
    const { batch } = this.#options;
    // A body with a line break would be two records of a batch; a GET push has a form of its own.
    if (batch > 1 && message.method === 'POST' && !message.body.includes('\n')) {
      this.#batch.push(message.body);
      if (this.#batch.length < batch) return;
      await this.#launch(this.#batchRequest());
      return;
    }
    await this.#launch(this.#single(message));
  }

  /** Sends what is gathered and resolves when everything has its final answer. Rejects as {@link send} does. */
  async finish(): Promise<void> {
    if (this.#batch.length > 0) await this.#launch(this.#batchRequest());
    await Promise.all(this.#inFlight);
    if (this.#failure !== null) throw this.#failure;
  }

  async #launch(work: Promise<void>): Promise<void> {
    const tracked = work
      .catch((error: unknown) => {
        this.#failure ??= error instanceof Error ? error : new Error(messageOf(error));
      })
      .finally(() => {
        this.#inFlight.delete(tracked);
      });
    this.#inFlight.add(tracked);
    if (this.#inFlight.size >= this.#options.inFlightMax) await Promise.race(this.#inFlight);
    if (this.#failure !== null) throw this.#failure;
  }

  #single(message: Sendable): Promise<void> {
    const url = `${this.#options.url}/v1/appsflyer/push`;
    return message.method === 'GET' ? this.#untilFinal(`${url}?${message.body}`, {}, 1) : this.#untilFinal(url, { method: 'POST', body: message.body, headers: { 'content-type': 'application/json' } }, 1);
  }

  #batchRequest(): Promise<void> {
    const records = this.#batch;
    this.#batch = [];
    return this.#untilFinal(`${this.#options.url}/v1/events`, { method: 'POST', body: records.join('\n'), headers: { 'content-type': 'application/x-ndjson' } }, records.length);
  }

  async #untilFinal(url: string, init: RequestInit, records: number): Promise<void> {
    for (let attempt = 0; !this.#options.signal.aborted && this.#failure === null; attempt++) {
      if (attempt > 0) {
        this.resent++;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
      try {
        const response = await fetch(url, { ...init, headers: { ...(init.headers as Record<string, string> | undefined), ...this.#options.headers }, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
        const answer = await response.text();
        if (response.ok || response.status === 400) {
          this.acknowledged += records;
          if (!response.ok) this.refused += records;
          return;
        }
        if (response.status < 500 && response.status !== 429) throw refusedForGood(url, response.status, answer);
        this.lastProblem = `answered ${response.status}`;
      } catch (error) {
        if (error instanceof EngineError) throw error;
        this.lastProblem = error instanceof Error && error.cause instanceof Error ? error.cause.message : messageOf(error);
      }
    }
  }
}

function refusedForGood(url: string, status: number, answer: string): EngineError {
  const fix = status === 413 ? 'send fewer records at once with --batch' : status === 401 || status === 403 ? 'give the configuration of that daemon with --config: its first token is sent' : 'give the ingest address of a daemon with --url';
  return new EngineError('CONFIG_INVALID', `${url.split('?')[0]} answered ${status}: ${wordsOf(answer)}`, { fix });
}

/** The message of an answer in our own shape; of any other, its beginning. */
function wordsOf(answer: string): string {
  try {
    return (JSON.parse(answer) as { error: { message: string } }).error.message;
  } catch {
    return answer.slice(0, 200);
  }
}
