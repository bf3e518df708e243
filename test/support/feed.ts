/**
 * Generated messages, garbage and resends among them, sent at a steady rate as long as a run lasts; the independent model gets each once.
 *
 * Every message is sent until it has a final answer (200 or 400), as AppsFlyer does: what the model says is what the daemon must show.
 */

import { createGenerator } from '../../actors/appsflyer/generate/index.ts';
import { Sender, type Sendable } from '../../engine/commands/sender.ts';
import { Model, type ModelSummary } from '../model/model.ts';
import { message } from './daemon.ts';
import { pause } from './load.ts';

export interface FeedOptions {
  readonly url: string;
  readonly seed: number;
  readonly eventsPerSecond: number;
  /** Events per request of `/v1/events`; those that cannot stand in a batch go alone. */
  readonly batch: number;
  /** Keeps every message, for {@link Feed.sendAllAgain}. */
  readonly keep: boolean;
}

const IN_FLIGHT_MAX = 16;
const STEP_MS = 5;
/** What a door that was closed for a while has left undone beyond this is not made up for. */
const BACKLOG_MS_MAX = 1_000;
/** Journal bytes that end a slot of the lake, at the least that can be set. */
export const SLOT_BYTES = 16 * 1024 * 1024;
const CLOSING_REQUESTS = 3;
const CLOSING_RECORDS = 7;
const CLOSING_BYTES = 1_000_000;

export class Feed {
  readonly #options: FeedOptions;
  readonly #model = new Model();
  readonly #sender: Sender;
  readonly #kept: Sendable[] = [];
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;
  #stopping = false;
  #failure: unknown = null;
  made = 0;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#sender = new Sender({ url: options.url, inFlightMax: IN_FLIGHT_MAX, batch: options.batch, signal: this.#abort.signal });
    this.#running = this.#run().catch((error: unknown) => {
      this.#failure = error;
    });
  }

  get acknowledged(): number {
    return this.#sender.acknowledged;
  }

  /** Requests that got no final answer and went again: refused, reset or not answered. */
  get resent(): number {
    return this.#sender.resent;
  }

  get summary(): ModelSummary {
    return this.#model.summarise();
  }

  /** Resolves once so many messages are made; raises what has ended the feed. */
  async until(made: number): Promise<void> {
    while (this.made < made) {
      if (this.#failure !== null) throw this.#failure as Error;
      await pause(STEP_MS);
    }
  }

  /** Makes no more, and resolves once every message has its final answer. Raises after the limit. */
  async finish(limitMs = 120_000): Promise<void> {
    this.#stopping = true;
    await this.#running;
    if (this.#failure !== null) throw this.#failure as Error;
    await this.#limited(this.#sender.finish(), limitMs);
    await this.#limited(this.#closeSlot(), limitMs);
  }

  /** The same messages once more: to a daemon that may not have all of them. Needs `keep`. */
  async sendAllAgain(limitMs = 120_000): Promise<void> {
    const { url, batch } = this.#options;
    const sender = new Sender({ url, inFlightMax: IN_FLIGHT_MAX, batch, signal: this.#abort.signal });
    // As many of those in one request would be refused.
    const large = new Sender({ url, inFlightMax: 1, batch: CLOSING_RECORDS, signal: this.#abort.signal });
    const all = async (): Promise<void> => {
      for (const kept of this.#kept) await (kept.body.length < CLOSING_BYTES ? sender : large).send(kept);
      await sender.finish();
      await large.finish();
    };
    await this.#limited(all(), limitMs);
  }

  /** Of a run that has failed: nothing is tried any more. */
  end(): void {
    this.#stopping = true;
    this.#abort.abort();
  }

  async #run(): Promise<void> {
    const generator = createGenerator({ seed: this.#options.seed, ratePerMinute: this.#options.eventsPerSecond * 60, startMs: Date.now(), garbageShare: 0.01, resendShare: 0.03, followsClock: true });
    let startMs = performance.now();
    let sinceStart = 0;
    while (!this.#stopping) {
      const due = ((performance.now() - startMs) / 1_000) * this.#options.eventsPerSecond;
      if (sinceStart >= due) await pause(STEP_MS);
      else if (due - sinceStart > (BACKLOG_MS_MAX / 1_000) * this.#options.eventsPerSecond) [startMs, sinceStart] = [performance.now(), 0];
      else {
        const made = generator.next(Date.now());
        sinceStart++;
        await this.#deliver(this.#sender, made);
      }
    }
  }

  async #deliver(sender: Sender, made: Sendable): Promise<void> {
    this.#model.deliver({ body: made.body, method: made.method, receivedAtMs: Date.now() });
    if (this.#options.keep) this.#kept.push({ body: made.body, method: made.method });
    this.made++;
    await sender.send(made);
  }

  /** One event and its repeats, so large that the slot of all that went before ends: the lake need not be waited for by the clock. */
  async #closeSlot(): Promise<void> {
    const sender = new Sender({ url: this.#options.url, inFlightMax: 1, batch: CLOSING_RECORDS, signal: this.#abort.signal });
    const body = JSON.stringify(message({ appsflyer_id: 'closing', af_c_id: 'closing', filler: 'x'.repeat(CLOSING_BYTES) }));
    for (let record = 0; record < CLOSING_REQUESTS * CLOSING_RECORDS; record++) await this.#deliver(sender, { body, method: 'POST' });
    await sender.finish();
  }

  async #limited(work: Promise<void>, limitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        this.end();
        reject(new Error(`not everything was acknowledged within ${limitMs} ms: ${this.#sender.acknowledged} of ${this.made}; last seen: ${this.#sender.lastProblem}`));
      }, limitMs);
    });
    await Promise.race([work, limit]).finally(() => {
      clearTimeout(timer);
    });
  }
}
