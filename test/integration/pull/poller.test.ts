/** The poller against a server that behaves as AppsFlyer's, faults included: what it asks for, what enters the journal, and what follows from each answer. */

import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EngineError } from '../../../engine/core/errors.ts';
import type { Poller } from '../../../ingress/pull/index.ts';
import { PullPeer, QUOTA_TEXT, type PullRow } from '../../peers/appsflyer-pull.ts';
import { csvTime, newWorld, runUntil, type World } from './harness.ts';

const APP = 'com.example.shop';
const REPORT = 'in_app_events_report';
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const nowMs = Math.floor(Date.now() / DAY) * DAY + 12 * HOUR;

let peer: PullPeer;
let world: World;

beforeEach(async () => {
  peer = await PullPeer.start();
  world = newWorld(peer, nowMs);
});

afterEach(async () => {
  await peer.stop();
  world.remove();
});

const row = (name: string, timeMs: number, more: PullRow = {}): PullRow => ({ 'Event Time': csvTime(timeMs), 'Event Name': name, 'AppsFlyer ID': '17-1', 'App ID': APP, ...more });
const names = (): string[] => world.records.map((record) => (JSON.parse(record) as { event_name: string }).event_name);
const isRead = (poller: Poller): boolean => poller.figures().jobs.every(({ succeededMs }) => succeededMs > 0);
const trouble = (poller: Poller): string => poller.figures().jobs[0]?.trouble ?? '';
const queries = (): string[] => peer.calls.map(({ query }) => `${query['from']} ${query['to']}`);
const shown = (timeMs: number): string => csvTime(timeMs).slice(0, 16);

describe('a poll', () => {
  it('follows the 302 to another host without the token, and takes every row once', async () => {
    peer.add(APP, REPORT, [row('first', nowMs - 3 * HOUR, { 'Event Value': '{"a":"b, \\"c\\"\n"}' }), row('second', nowMs - HOUR)]);
    const poller = await runUntil(world, peer, isRead);
    expect(names()).toEqual(['second', 'first']);
    expect(JSON.parse(world.records[1] as string)).toEqual({ event_time: csvTime(nowMs - 3 * HOUR), event_name: 'first', event_value: '{"a":"b, \\"c\\"\n"}', appsflyer_id: '17-1', app_id: APP });
    expect([peer.calls[0]?.authorization, peer.tokensLeaked]).toEqual([`Bearer ${peer.token}`, 0]);
    expect(poller.figures().jobs[0]).toMatchObject({ coveredToMs: nowMs, callsLeft: 23, windowsPending: 0, appended: 2, trouble: null });
    expect(queries()).toEqual([`${shown(nowMs - 48 * HOUR)} ${shown(nowMs)}`]);
    expect(readdirSync(world.ports.directory)).toEqual([]);
  });

  it('reads two days again each time, also after a restart, and goes by its schedule', async () => {
    await runUntil(world, peer, isRead);
    world.nowMs += 30 * MINUTE;
    const early = await runUntil(world, peer, () => true);
    expect(early.figures().jobs[0]?.startedMs).toBe(nowMs);
    world.nowMs += 2 * HOUR;
    await runUntil(world, peer, (poller) => poller.figures().jobs[0]?.succeededMs === world.nowMs);
    expect(queries()).toEqual([`${shown(nowMs - 48 * HOUR)} ${shown(nowMs)}`, `${shown(nowMs - 48 * HOUR)} ${shown(nowMs + 150 * MINUTE)}`]);
  });

  it('takes a report with a header alone for one without rows', async () => {
    await runUntil(world, peer, isRead);
    expect([world.records, peer.calls.length]).toEqual([[], 1]);
  });

  it('reads zipped answers', async () => {
    await peer.stop();
    peer = await PullPeer.start({ gzip: true });
    peer.add(APP, REPORT, [row('first', nowMs - 3 * HOUR)]);
    await runUntil(world, peer, isRead);
    expect(names()).toEqual(['first']);
  });

  it('reads reports that grow backwards by time of detection', async () => {
    peer.add(APP, 'detection', [row('install', nowMs - 20 * DAY, { 'Detection Date': csvTime(nowMs - HOUR).slice(0, 10) })]);
    await runUntil(world, peer, isRead, { reports: ['detection'] });
    expect(JSON.parse(world.records[0] as string)).toMatchObject({ event_name: 'install', millrace_kind: 'detection' });
    expect(peer.calls[0]?.query).toMatchObject({ from_detect_time: shown(nowMs - 48 * HOUR), to_detect_time: shown(nowMs) });
  });

  it('keeps rows with another number of cells as malformed records, once', async () => {
    peer.add(APP, REPORT, [row('first', nowMs - 3 * HOUR), row('second', nowMs - 2 * HOUR), row('third', nowMs - HOUR)]);
    peer.faults.push({ kind: 'columns', fromRow: 1, rows: 1 });
    const poller = await runUntil(world, peer, isRead);
    expect(poller.figures().jobs[0]).toMatchObject({ appended: 2, malformed: 1 });
    expect(world.records[1]).toMatch(/^row of in_app_events_report of com\.example\.shop with 83 cells under a header of 84: .*second/);
    expect(() => JSON.parse(world.records[1] as string) as unknown).toThrow();
  });
});

describe('a window whose answer is cut at maximum_rows', () => {
  beforeEach(async () => {
    await peer.stop();
    peer = await PullPeer.start({ columns: ['Event Time', 'Event Name', 'AppsFlyer ID', 'App ID'] });
  });

  it('is halved until nothing is cut, and each row enters once or twice and none never', { timeout: 120_000 }, async () => {
    peer.add(APP, REPORT, Array.from({ length: 260_000 }, (_, index) => row(`e${index}`, nowMs - 40 * HOUR + index * 500)));
    const poller = await runUntil(world, peer, isRead, { maximum_rows: 200_000, calls_at_once: 1 });
    expect(peer.calls.length).toBe(3);
    expect(new Set(names()).size).toBe(260_000);
    expect(world.records.length).toBeLessThan(261_000);
    expect(poller.figures().jobs[0]).toMatchObject({ coveredToMs: nowMs, callsLeft: 21 });
  });

  it('is read as far as it goes where it cannot be halved, and says so', { timeout: 120_000 }, async () => {
    peer.add(APP, REPORT, Array.from({ length: 200_100 }, (_, index) => row(`e${index}`, nowMs - 31 * MINUTE - 30_000)));
    await runUntil(world, peer, isRead, { maximum_rows: 200_000, overlap_hours: 1, calls_at_once: 1 });
    expect(world.records.length).toBeGreaterThanOrEqual(200_000);
    expect(world.logs.some(({ level, text }) => level === 'error' && text.includes('more rows than one answer'))).toBe(true);
  });
});

describe('an answer without rows', () => {
  it('that the calls of the day are spent stops this report until the next day of UTC, and no other', async () => {
    peer.faults.push({ kind: 'answer', status: 400, body: QUOTA_TEXT });
    const poller = await runUntil(world, peer, () => world.logs.some(({ text }) => text.includes('calls of the day are spent')), { reports: [REPORT], calls_at_once: 1 });
    expect(poller.figures().jobs[0]).toMatchObject({ callsLeft: 0 });
    world.nowMs = nowMs + 11 * HOUR;
    await runUntil(world, peer, () => true);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(peer.calls.length).toBe(1);
    world.nowMs = nowMs + 12 * HOUR + 1;
    await runUntil(world, peer, isRead);
    expect(peer.calls[1]?.query['to']).toBe(shown(nowMs));
  });

  it('is no matter once the calls that are set are spent: none follows on that day', async () => {
    const timer = setInterval(() => {
      world.nowMs += 1_000;
    }, 5);
    await runUntil(world, peer, (poller) => peer.calls.length === 2 && poller.figures().jobs[0]?.callsLeft === 0 && world.nowMs > nowMs + 60_000, { calls_per_day: 2, interval_seconds: 1, calls_at_once: 1 });
    clearInterval(timer);
    expect(peer.calls.length).toBe(2);
  });

  it.each([
    [{ status: 400, body: 'Your current subscription package doesn’t include raw data reports' }, /plan does not have this report/],
    [{ status: 404, body: '<html>404</html>', type: 'text/html' }, /knows no such app/],
  ])('of %o switches the report off and tells', async (answer, told) => {
    peer.faults.push({ kind: 'answer', ...answer });
    const poller = await runUntil(world, peer, (running) => trouble(running) !== '');
    expect(trouble(poller)).toMatch(told);
    expect(poller.figures().alarms[0]).toMatch(told);
    world.nowMs += 3 * DAY;
    poller.start();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(peer.calls.length).toBe(1);
    expect(world.logs.filter(({ level }) => level === 'error').length).toBe(1);
  });

  it('of 401 stops everything until there is another token', async () => {
    world.token = 'an-old-one';
    const poller = await runUntil(world, peer, (running) => running.figures().alarms.length > 0, { reports: [REPORT, 'installs_report'], calls_at_once: 1 });
    expect(poller.figures().alarms).toEqual(['pull: AppsFlyer refuses the token: nothing is read until pull.token or the file of pull.token_file holds another one']);
    expect(peer.calls.length).toBe(1);
    expect(JSON.stringify(world.logs)).not.toContain('an-old-one');
    world.token = 'an-old-one';
    setTimeout(() => {
      world.token = peer.token;
    }, 100);
    await runUntil(world, peer, isRead, { reports: [REPORT, 'installs_report'] });
  });

  it('of 403 with a limit is asked again after a minute, any other at the next poll', async () => {
    peer.faults.push({ kind: 'answer', status: 403, body: 'Limit reached for raw data' }, { kind: 'answer', status: 403, body: 'Forbidden: your address is not allowed' });
    const poller = await runUntil(world, peer, (running) => trouble(running) !== '', { calls_at_once: 1 });
    expect([trouble(poller), world.logs.at(-1)?.text]).toEqual([expect.stringMatching(/asks to wait \(403: Limit reached for raw data\)$/), expect.stringMatching(/; again in 60 s$/)]);
    world.nowMs += 61_000;
    const refused = await runUntil(world, peer, (running) => trouble(running) !== '', { calls_at_once: 1 });
    expect([trouble(refused), world.logs.at(-1)?.text]).toEqual([expect.stringMatching(/refuses the call \(403: Forbidden: your address is not allowed\)/), expect.stringMatching(/; again in 4800 s$/)]);
  });

  it('of a window too far back shortens it by a day', async () => {
    peer.faults.push({ kind: 'answer', status: 400, body: 'Raw reports historical lookback is limited to 90 days' });
    await runUntil(world, peer, isRead, { calls_at_once: 1 });
    expect(queries()).toEqual([`${shown(nowMs - 48 * HOUR)} ${shown(nowMs)}`, `${shown(nowMs - 24 * HOUR)} ${shown(nowMs)}`]);
  });

  it('of a limit that is not taken asks for the smaller one', async () => {
    peer.faults.push({ kind: 'answer', status: 400, body: 'Invalid limit type/value' });
    await runUntil(world, peer, isRead, { calls_at_once: 1 });
    expect(peer.calls.map(({ query }) => query['maximum_rows'])).toEqual(['1000000', '200000']);
  });

  it.each([
    [{ kind: 'answer', status: 503, body: '' }],
    [{ kind: 'answer', status: 429, body: 'slow down' }],
    [{ kind: 'reset' }],
    [{ kind: 'cut', afterBytes: 3_000 }],
    [{ kind: 'answer', status: 200, body: '<html>maintenance</html>', type: 'text/html' }],
    [{ kind: 'answer', status: 200, body: '' }],
    [{ kind: 'answer', status: 302, body: '', headers: { location: 'file:///etc/passwd' } }],
  ] as const)('such as %o is asked again later, ever later', async (fault) => {
    peer.add(APP, REPORT, Array.from({ length: 100 }, (_, index) => row(`e${index}`, nowMs - HOUR - index * MINUTE)));
    peer.faults.push(fault, fault, fault);
    const waits: number[] = [];
    for (let attempt = 0; attempt < 3; attempt++) {
      const before = world.logs.length;
      const poller = await runUntil(world, peer, () => world.logs.length > before, { calls_at_once: 1 });
      expect(poller.figures().jobs[0]?.succeededMs).toBe(0);
      waits.push(Number(/again in (\d+) s/.exec(world.logs.at(-1)?.text ?? '')?.[1]));
    }
    // A new process begins with the shortest wait.
    expect(waits).toEqual([10, 10, 10]);
    await runUntil(world, peer, isRead, { calls_at_once: 1 });
    expect([new Set(names()).size, peer.calls.length]).toEqual([100, 4]);
  });

  it('that stands still is given up', async () => {
    peer.add(APP, REPORT, [row('first', nowMs - HOUR)]);
    peer.faults.push({ kind: 'still' });
    await runUntil(world, peer, () => world.logs.some(({ text }) => text.includes('stood still for 1000 ms')), { idle_timeout_seconds: 1, calls_at_once: 1 });
  });
});

describe('what stands in the way of rows', () => {
  it('costs no second call: a report that was fetched is kept until all its rows are durable', async () => {
    peer.add(APP, REPORT, [row('first', nowMs - HOUR)]);
    world.appendFaults.push(...Array.from({ length: 3 }, () => new EngineError('DOOR_CLOSED', 'starting')));
    await runUntil(world, peer, isRead);
    expect([names(), peer.calls.length]).toEqual([['first'], 1]);
  });

  it('is survived: what was broken off in the middle goes on from the same file in the next life', async () => {
    peer.add(APP, REPORT, Array.from({ length: 5_000 }, (_, index) => row(`e${index}`, nowMs - HOUR - index * 1_000)));
    let requests = 0;
    world.onAppend = () => {
      requests++;
    };
    await runUntil(world, peer, () => requests >= 2);
    expect(world.records.length).toBeLessThan(5_000);
    await runUntil(world, peer, isRead);
    expect([new Set(names()).size, peer.calls.length]).toEqual([5_000, 1]);
  });

  it('is a full disk: nothing is asked for until there is room', async () => {
    world.hasRoom = false;
    const poller = await runUntil(world, peer, (running) => trouble(running) !== '');
    expect([trouble(poller).includes('disk is too full'), peer.calls.length]).toEqual([true, 0]);
  });
});

describe('rows older than what dedupe remembers', () => {
  it('are appended only where the lake does not have them', async () => {
    world.lake = new Set(['old-known']);
    peer.add(APP, REPORT, [row('old-known', nowMs - 5 * DAY), row('old-new', nowMs - 5 * DAY), row('fresh', nowMs - HOUR)]);
    world.stateText = JSON.stringify({ version: 1, jobs: { [`${APP}/${REPORT}`]: { coveredToMs: nowMs - 4 * DAY, pending: [], startedMs: 0, succeededMs: 0, day: '', calls: 0, stoppedUntilMs: 0 } }, backfills: {} });
    const poller = await runUntil(world, peer, isRead);
    expect(names()).toEqual(['fresh', 'old-new']);
    expect(poller.figures().jobs[0]).toMatchObject({ appended: 2, known: 1, skipped: 0 });
    expect(world.questions.map(({ eventDate, ids, neededThroughMs }) => [eventDate, ids.length, neededThroughMs])).toEqual([[csvTime(nowMs - 5 * DAY).slice(0, 10), 32, nowMs - 70 * HOUR]]);
  });

  it('wait while the lake cannot be read, without a further call', async () => {
    world.lakeFault = new EngineError('SINK_UNAVAILABLE', 'the bucket is away');
    peer.add(APP, REPORT, [row('old', nowMs - 5 * DAY)]);
    const poller = await runUntil(world, peer, (running) => trouble(running) !== '', { overlap_hours: 24 * 7 });
    expect([trouble(poller).includes('the bucket is away'), world.records]).toEqual([true, []]);
    world.lakeFault = null;
    await runUntil(world, peer, isRead, { overlap_hours: 24 * 7 });
    expect([names(), peer.calls.length]).toEqual([['old'], 1]);
  });

  it('are left out, counted and told of where nobody can tell', async () => {
    world.lake = null;
    peer.add(APP, REPORT, [row('old', nowMs - 5 * DAY), row('fresh', nowMs - HOUR)]);
    const poller = await runUntil(world, peer, isRead, { overlap_hours: 24 * 7 });
    expect([names(), poller.figures().jobs[0]?.skipped]).toEqual([['fresh'], 1]);
    expect(poller.figures().alarms[0]).toMatch(/left out/);
  });

  it('are old from the time when dedupe was switched on, where it was off before', async () => {
    peer.add(APP, REPORT, [row('before', nowMs - 3 * HOUR), row('after', nowMs - HOUR)]);
    world.lake = new Set(['before']);
    await runUntil(world, peer, isRead, {}, { horizonMs: 72 * HOUR, sinceMs: nowMs - 2 * HOUR, rememberedSinceMs: nowMs - 2 * HOUR });
    expect([names(), world.questions[0]?.comparableFromMs]).toEqual([['after'], nowMs - 2 * HOUR]);
  });
});

describe('a back-fill', () => {
  it('reads the days that were asked for, window by window, and is remembered', async () => {
    const fromMs = nowMs - 20 * DAY;
    peer.add(APP, REPORT, Array.from({ length: 200 }, (_, index) => row(`e${index}`, fromMs + index * HOUR)));
    let keys: readonly string[] = [];
    await runUntil(world, peer, (poller) => {
      if (keys.length === 0) keys = poller.backfill({ apps: [], reports: [], fromMs, toMs: fromMs + 9 * DAY });
      return peer.calls.length >= 2;
    }, { calls_at_once: 1 });
    const done = await runUntil(world, peer, (poller) => poller.figures().backfills[0]?.windowsPending === 0, { calls_at_once: 1 });
    expect(done.figures().backfills[0]).toMatchObject({ key: keys[0], windowsDone: 2, rows: 200, waits: null });
    expect(new Set(names()).size).toBe(200);
    // The same words again begin it anew; the lake would know its rows then.
    expect(done.backfill({ apps: [], reports: [], fromMs, toMs: fromMs + 9 * DAY })).toEqual(keys);
  });

  it('leaves the calls of the day to polls, and says what it waits for', async () => {
    world.stateText = JSON.stringify({ version: 1, jobs: { [`${APP}/${REPORT}`]: { coveredToMs: nowMs, pending: [], startedMs: nowMs, succeededMs: nowMs, day: csvTime(nowMs).slice(0, 10), calls: 15, stoppedUntilMs: 0 } }, backfills: {} });
    const poller = await runUntil(world, peer, (running) => {
      if (running.figures().backfills.length === 0) running.backfill({ apps: [], reports: [], fromMs: nowMs - 5 * DAY, toMs: nowMs - 4 * DAY });
      return true;
    });
    expect(poller.figures().backfills[0]?.waits).toBe(`the calls of the day are spent; goes on at ${shown(nowMs + 12 * HOUR)} UTC`);
    expect(peer.calls.length).toBe(0);
  });
});

describe('what the poller remembers', () => {
  it('is refused where it cannot be read, with what to do', async () => {
    world.stateText = '{"version":1';
    await expect(runUntil(world, peer, () => true)).rejects.toMatchObject({ code: 'STATE_CORRUPT' });
  });
});
