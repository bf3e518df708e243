/**
 * A steady stream of events that knows what must come out: every event is new, counts one purchase of one dollar for one of a few
 * campaigns, and is sent until it has its final answer, as AppsFlyer does.
 *
 * What was refused, cut or answered late is told, never thrown: whether it may happen is the test's to judge.
 */

import { messageOf } from '../../engine/core/errors.ts';
import type { TestDaemon } from './daemon.ts';
import { message } from './daemon.ts';

export interface LoadOptions {
  readonly url: string;
  readonly requestsPerSecond: number;
  /** Events per request: 1 for a push each, more for `/v1/events`. */
  readonly batch: number;
  /** Tells the events of several loads apart. */
  readonly name: string;
  readonly campaigns?: number;
}

export interface LoadReport {
  readonly acknowledged: number;
  readonly byCampaign: ReadonlyMap<string, number>;
  /** Answers other than 200, by status; each was sent again. */
  readonly refusals: ReadonlyMap<number, number>;
  /** 503 without a Retry-After, which no client could obey. */
  readonly bareRefusals: number;
  /** Requests without an answer, by reason. */
  readonly failures: ReadonlyMap<string, number>;
  /** Of answered requests, from the moment they were due; milliseconds. */
  readonly latencyMsP99: number;
  readonly latencyMsMax: number;
}

/** What a client beside may have to wait, at most. A shared machine's disk may hold one sync up for seconds, through no fault of the daemon. */
export const LATENCY_MS_P99_MAX = process.env['CI'] === 'true' ? 5_000 : 1_000;

const RETRY_MS = 50;
const REQUEST_TIMEOUT_MS = 30_000;
const IN_FLIGHT_MAX = 64;

export class Load {
  readonly #options: LoadOptions;
  readonly #byCampaign = new Map<string, number>();
  readonly #refusals = new Map<number, number>();
  readonly #failures = new Map<string, number>();
  readonly #latenciesMs: number[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  readonly #running: Promise<void>;
  #stopping = false;
  #made = 0;
  #acknowledged = 0;
  #bareRefusals = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Answers other than 200 so far. */
  get refused(): number {
    return [...this.#refusals.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Sends nothing new, waits for the final answer of everything sent. */
  async stop(): Promise<LoadReport> {
    this.#stopping = true;
    await this.#running;
    await Promise.all(this.#inFlight);
    const sorted = this.#latenciesMs.sort((left, right) => left - right);
    return {
      acknowledged: this.#acknowledged,
      byCampaign: this.#byCampaign,
      refusals: this.#refusals,
      bareRefusals: this.#bareRefusals,
      failures: this.#failures,
      latencyMsP99: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
      latencyMsMax: sorted.at(-1) ?? 0,
    };
  }

  async #run(): Promise<void> {
    const { requestsPerSecond } = this.#options;
    const startMs = performance.now();
    for (let sent = 0; !this.#stopping; sent++) {
      const dueMs = startMs + (sent * 1_000) / requestsPerSecond;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await pause(waitMs);
      while (this.#inFlight.size >= IN_FLIGHT_MAX) await Promise.race(this.#inFlight);
      const work = this.#request().finally(() => {
        this.#inFlight.delete(work);
      });
      this.#inFlight.add(work);
    }
  }

  async #request(): Promise<void> {
    const { url, batch, name, campaigns = 5 } = this.#options;
    const events = Array.from({ length: batch }, () => {
      const number = this.#made++;
      const campaign = `${name}-c${number % campaigns}`;
      return { campaign, body: JSON.stringify(message({ appsflyer_id: `${name}-${number}`, af_c_id: campaign, campaign, event_revenue_usd: '1' })) };
    });
    const path = batch === 1 ? '/v1/appsflyer/push' : '/v1/events';
    const init = { method: 'POST', body: events.map((event) => event.body).join('\n'), headers: { 'content-type': batch === 1 ? 'application/json' : 'application/x-ndjson' } };
    while (!(await this.#attempt(`${url}${path}`, init))) await pause(RETRY_MS);
    this.#acknowledged += batch;
    for (const { campaign } of events) this.#byCampaign.set(campaign, (this.#byCampaign.get(campaign) ?? 0) + 1);
  }

  async #attempt(url: string, init: RequestInit): Promise<boolean> {
    const startMs = performance.now();
    try {
      const response = await fetch(url, { ...init, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
      await response.arrayBuffer();
      this.#latenciesMs.push(performance.now() - startMs);
      if (response.status === 200) return true;
      this.#refusals.set(response.status, (this.#refusals.get(response.status) ?? 0) + 1);
      if (response.headers.get('retry-after') === null) this.#bareRefusals++;
    } catch (error) {
      const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : messageOf(error);
      this.#failures.set(reason, (this.#failures.get(reason) ?? 0) + 1);
    }
    return false;
  }
}

export interface CampaignTotal {
  readonly events: number;
  readonly revenueMicros: number;
}

/** What the daemon shows for the campaigns of one load, over all hours. */
export async function totalsOf(daemon: TestDaemon, name: string): Promise<Map<string, CampaignTotal>> {
  const answer = await daemon.hourly('group_by=campaign_id&late=include');
  const totals = new Map<string, CampaignTotal>();
  for (const row of answer.rows) {
    const campaign = String(row['campaign_id']);
    if (!campaign.startsWith(`${name}-c`)) continue;
    const before = totals.get(campaign) ?? { events: 0, revenueMicros: 0 };
    totals.set(campaign, { events: before.events + Number(row['events']), revenueMicros: before.revenueMicros + Number(row['revenue_micros']) });
  }
  return totals;
}

/** Waits until the daemon shows exactly what was acknowledged; raises with the difference. */
export async function expectExact(daemon: TestDaemon, name: string, report: LoadReport, timeoutMs = 30_000): Promise<void> {
  let seen = '';
  const wanted = comparable(new Map([...report.byCampaign].map(([campaign, events]) => [campaign, { events, revenueMicros: events * 1_000_000 }])));
  await daemon.until(
    async () => {
      seen = comparable(await totalsOf(daemon, name).catch(() => new Map<string, CampaignTotal>()));
      return seen === wanted;
    },
    timeoutMs,
    () => `the totals of ${name} to be ${wanted}; they are ${seen}`,
  );
}

/** Nothing vanished and nothing was made up. */
export function conserved(conservation: { received: number; accepted: number; duplicate: number; late: number; rejected: number }): boolean {
  return conservation.received === conservation.accepted + conservation.duplicate + conservation.late + conservation.rejected;
}

const comparable = (totals: ReadonlyMap<string, CampaignTotal>): string => JSON.stringify([...totals].sort(([left], [right]) => (left < right ? -1 : 1)));

export const pause = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));
