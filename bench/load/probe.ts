/** Measures end to end: sends an event of a campaign of its own and watches Redis until its value is there. */

import { Redis } from 'ioredis';
import { appsflyerTime, message } from '../../test/support/daemon.ts';

const POLL_INTERVAL_MS = 2;
/** Asked for at once, in turns: hundreds that wait would otherwise load Redis more than the daemon does. So one of n is asked for every n / 4 milliseconds. */
const ASKED_AT_ONCE_MAX = 8;
/** From the end of the load: what is not there by then is lost. Before it, late is late, and stands in the latencies. */
const LOST_AFTER_MS = 60_000;

export interface ProbeResult {
  /** Sent → visible, ascending. */
  readonly latenciesMs: readonly number[];
  /** When each was sent, since the start, with its latency: for the plot. */
  readonly series: readonly (readonly [number, number])[];
  /** Acknowledged, and not in Redis a minute after the load ended. */
  readonly lost: number;
  /** Acknowledged. */
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
  /** Answered with anything but 200: nobody promised to show it. */
  let refused = 0;
  let lost = 0;
  const poll = setInterval(() => {
    for (const [campaign, sentMs] of [...waiting].slice(0, ASKED_AT_ONCE_MAX)) {
      // To the end of the turn.
      waiting.delete(campaign);
      waiting.set(campaign, sentMs);
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
    else refused++;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, options.intervalMs - (performance.now() - sentMs))));
  }
  const endMs = performance.now();
  while (waiting.size > 0 && performance.now() - endMs < LOST_AFTER_MS) await new Promise((resolve) => setTimeout(resolve, 20));
  clearInterval(poll);
  lost += waiting.size;
  redis.disconnect();
  return { latenciesMs: series.map(([, latency]) => latency).sort((left, right) => left - right), series: series.sort((left, right) => left[0] - right[0]), lost, sent: sent - refused };
}
