/** One day, pushed with retries and then read again by Pull: each event counts once, whatever dies in between. */

import { describe, expect, it } from 'vitest';
import { Dice } from '../../support/dice.ts';
import { appsflyerTime, message, TestDaemon } from '../../support/daemon.ts';
import { pullRowOf } from '../../simulation/pull-rows.ts';
import { useDaemons } from './harness.ts';

const { scratch } = useDaemons();
const PROGRAM = 'test/integration/daemon/pulling-child.js';
const PUSH = { MILLRACE_PARTITIONS: '4', MILLRACE_CHECKPOINT_INTERVAL_MS: '300' };
const WITH_PULL = { ...PUSH, MILLRACE_DEDUPE_MODE: 'push+pull-seconds', MILLRACE_DEDUPE_HORIZON_HOURS: '72' };
const EVENTS = 1_200;
const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;

/** Seconds apart for each user, so that seconds tell them apart. */
function dayOfEvents(nowMs: number): string[] {
  const startMs = nowMs - DAY_MS + 60_000;
  return Array.from({ length: EVENTS }, (_, at) =>
    JSON.stringify(
      message({
        appsflyer_id: `1718000000123-${at % 150}`,
        event_name: at % 3 === 0 ? 'af_purchase' : 'level_up',
        event_time: appsflyerTime(startMs + at * 70 * SECOND_MS + ((at * 377) % 1_000)),
        event_value: at % 4 === 0 ? '{}' : `{"af_revenue":"${at}.50","text":"a \\"quoted\\", word"}`,
        is_primary_attribution: at % 5 !== 0,
        ...(at % 3 === 0 && { event_revenue_usd: `${at}.50` }),
      }),
    ),
  );
}

/** Sends until it is answered, over deaths: `send` is asked again after each. */
class Lives {
  #daemon: TestDaemon | null = null;
  #env: Readonly<Record<string, string>>;
  deaths = 0;

  constructor(env: Readonly<Record<string, string>>) {
    this.#env = env;
  }

  async with(env: Readonly<Record<string, string>>): Promise<void> {
    await this.#daemon?.stop();
    this.#daemon = null;
    this.#env = env;
  }

  async daemon(): Promise<TestDaemon> {
    this.#daemon ??= await TestDaemon.start({ dataDir: scratch.path, env: this.#env, program: PROGRAM });
    return this.#daemon;
  }

  async send(send: (daemon: TestDaemon) => Promise<boolean>, dies: boolean): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const daemon = await this.daemon();
      const sent = send(daemon).catch(() => false);
      if (dies && attempt === 0) {
        await daemon.kill();
        this.#daemon = null;
        this.deaths++;
      }
      if (await sent) return;
    }
  }
}

const pushed = (lines: readonly string[]) => async (daemon: TestDaemon): Promise<boolean> => {
  if (lines.length === 1) return (await daemon.push(lines[0] as string)).status === 200;
  return (await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body: lines.join('\n'), headers: { 'content-type': 'application/x-ndjson' } })).status === 200;
};

const pulled = (rows: readonly string[]) => ({ child }: TestDaemon): Promise<boolean> =>
  new Promise((resolve) => {
    child.once('message', (answer: { accepted?: number }) => {
      resolve(answer.accepted === rows.length);
    });
    child.once('exit', () => {
      resolve(false);
    });
    child.send([...rows]);
  });

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, at) => items.slice(at * size, (at + 1) * size));
}

interface Totals {
  readonly events: number;
  readonly revenueMicros: number;
}

async function totals(daemon: TestDaemon, nowMs: number): Promise<Totals> {
  const from = new Date(nowMs - 2 * DAY_MS).toISOString();
  const { rows } = await daemon.get<{ rows: Record<string, number>[] }>(`/v1/metrics/daily?group_by=none&from=${from}`);
  const sum = (name: string): number => rows.reduce((total, row) => total + (row[name] ?? 0), 0);
  return { events: sum('events'), revenueMicros: sum('revenue_micros') + sum('secondary_revenue_micros') };
}

interface DedupeAnswer {
  readonly mode: string;
  readonly horizon_hours: number;
  readonly entries: number;
  readonly differing_repeats: number;
}

/** Of the requests of each part, those in which the daemon is killed. */
const KILLED_IN_PUSH = 9;
const KILLED_IN_PULL = [3, 17];

const dedupeOf = async (daemon: TestDaemon): Promise<DedupeAnswer> => (await daemon.pipeline())['dedupe'] as DedupeAnswer;

/** A second of an app of its own, in which two of three events are told apart by milliseconds alone. */
async function pushWithinOneSecond(lives: Lives, secondMs: number): Promise<void> {
  await lives.send(pushed([318, 400, 400, 318].map((ms) => JSON.stringify(message({ app_id: 'com.example.other', event_time: appsflyerTime(secondMs + ms) })))), false);
}

/** The same twenty events, whose users the two name by different fields. */
async function nameUsersByUnlikeFields(lives: Lives, secondMs: number): Promise<void> {
  const event = (at: number, appsflyerId: string | undefined): string => JSON.stringify(message({ app_id: 'com.example.unlike', appsflyer_id: appsflyerId, customer_user_id: `u-${at}`, event_time: appsflyerTime(secondMs) }));
  const all = Array.from({ length: 20 }, (_, at) => at);
  await lives.send(pushed(all.map((at) => event(at, undefined))), false);
  await lives.send(pulled(all.map((at) => pullRowOf(event(at, `1718-${at}`)).toString())), false);
}

describe('a day that is pushed, with retries, and then comes again by Pull', () => {
  it('counts once, exactly, with kills in between; what seconds make one and users that are named by unlike fields are told', { timeout: 120_000 }, async () => {
    const nowMs = Date.now();
    const events = dayOfEvents(nowMs);
    const dice = new Dice(6);
    const lives = new Lives(PUSH);
    const expected = {
      events: events.filter((text) => (JSON.parse(text) as { is_primary_attribution: boolean }).is_primary_attribution).length,
      revenueMicros: events.reduce((sum, text) => sum + Math.round(Number((JSON.parse(text) as { event_revenue_usd?: string }).event_revenue_usd ?? 0) * 1e6), 0),
    };
    // A third of it is sent twice, as by a sender that missed an answer.
    for (const [at, lines] of chunks(events, 60).entries()) {
      await lives.send(pushed(lines), at === KILLED_IN_PUSH);
      if (dice.chance(1 / 3)) await lives.send(pushed(lines), false);
    }
    await lives.send(pushed([events[7] as string]), false);
    await lives.with(WITH_PULL);
    const rows = events.map((text) => pullRowOf(text).toString());
    expect(rows[0]).toMatch(/"event_time":"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d","event_value":""/);
    // The overlap of reports: each row comes twice.
    for (const [at, lines] of chunks([...rows, ...rows], 100).entries()) await lives.send(pulled(lines), KILLED_IN_PULL.includes(at));
    for (const lines of chunks(events.slice(-120), 60)) await lives.send(pushed(lines), false);
    expect(lives.deaths).toBe(1 + KILLED_IN_PULL.length);
    const daemon = await lives.daemon();
    const { accepted, late, duplicate, received, rejected } = (await daemon.settled(3 * EVENTS + 120)).conservation;
    expect([accepted + late, rejected, received - duplicate]).toEqual([EVENTS, 0, EVENTS]);
    await daemon.until(async () => (await totals(daemon, nowMs)).events === expected.events, 30_000, 'all events');
    expect(await totals(daemon, nowMs)).toEqual(expected);
    await daemon.until(async () => (await dedupeOf(daemon)).entries === EVENTS, 30_000, 'the figures of dedupe');
    expect(await dedupeOf(daemon)).toEqual({ mode: 'push+pull-seconds', horizon_hours: 72, entries: EVENTS, differing_repeats: 0 });

    const secondMs = Math.floor(nowMs / SECOND_MS) * SECOND_MS - 5 * SECOND_MS;
    await pushWithinOneSecond(lives, secondMs);
    await nameUsersByUnlikeFields(lives, secondMs);
    await daemon.until(async () => (await dedupeOf(daemon)).differing_repeats === 2, 30_000, 'the repeats that differ');
    expect(await (await fetch(`${daemon.admin}/metrics`)).text()).toMatch(/^millrace_dedupe_differing_repeats_total 2$/m);
    const alarm = /^app com\.example\.unlike: Push names its users by customer_user_id, Pull by appsflyer_id, .* select appsflyer_id among the fields of the Push API$/;
    await daemon.until(async () => ((await daemon.pipeline())['alarms'] as string[]).some((text) => alarm.test(text)), 30_000, 'the alarm');
    expect(await daemon.stop()).toBe(0);
  });
});
