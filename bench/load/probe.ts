/** Measures end to end: sends an event of a campaign of its own and watches Redis until its value is there. */

import { Redis } from 'ioredis';
import { appsflyerTime, message } from '../../test/support/daemon.ts';

const POLL_INTERVAL_MS = 2;
const LOST_AFTER_MS = 10_000;

export interface ProbeResult {
  /** Sent → visible, ascending. */
  readonly latenciesMs: readonly number[];
  /** When each was sent, since the start, with its latency: for the plot. */
  readonly series: readonly (readonly [number, number])[];
  readonly lost: number;
  readonly sent: number;
}

export interface ProbeOptions {
  readonly ingest: string;
  readonly redisPort: number;
  readonly intervalMs: number;
  readonly until: () => boolean;
  /** Event time of each; now, unless told. */
  readonly eventTimeMs?: () => number;
}

export async function probe(options: ProbeOptions): Promise<ProbeResult> {
  const eventTimeMs = options.eventTimeMs ?? Date.now;
  const redis = new Redis({ host: '127.0.0.1', port: options.redisPort });
  const startMs = performance.now();
  const series: [number, number][] = [];
  const waiting = new Map<string, number>();
  let sent = 0;
  let lost = 0;
  const poll = setInterval(() => {
    for (const [campaign, sentMs] of waiting) {
      if (performance.now() - sentMs > LOST_AFTER_MS) {
        waiting.delete(campaign);
        lost++;
        continue;
      }
      void redis.exists(`metrics:hourly:${campaign}`).then((there) => {
        if (there === 1 && waiting.delete(campaign)) series.push([sentMs - startMs, performance.now() - sentMs]);
      });
    }
  }, POLL_INTERVAL_MS);
  while (!options.until()) {
    const campaign = `probe-${process.pid}-${sent++}`;
    const sentMs = performance.now();
    const answer = await fetch(`${options.ingest}/v1/appsflyer/push`, { method: 'POST', body: JSON.stringify(message({ af_c_id: campaign, appsflyer_id: `probe-${sent}`, event_time: appsflyerTime(eventTimeMs()) })) });
    if (answer.status === 200) waiting.set(campaign, sentMs);
    else lost++;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, options.intervalMs - (performance.now() - sentMs))));
  }
  while (waiting.size > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  clearInterval(poll);
  redis.disconnect();
  return { latenciesMs: series.map(([, latency]) => latency).sort((left, right) => left - right), series: series.sort((left, right) => left[0] - right[0]), lost, sent };
}
