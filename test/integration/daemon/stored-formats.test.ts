/**
 * Data directories that earlier formats of the program have left.
 *
 * `format-1.tar.gz` is what a daemon of partition format 1 (and dedupe runs of version 1) left when it was killed: twelve of the events below, one of
 * them twice, and two malformed records in its checkpoint; the other twelve, two repeats and a malformed record in its journal alone. Two partitions,
 * segments of 16 MiB, without lake and spare segments.
 */

import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { appsflyerTime, message, type TestDaemon } from '../../support/daemon.ts';
import { useDaemons } from './harness.ts';

const { scratch, started } = useDaemons();
const FIXTURE = resolve(import.meta.dirname, 'format-1.tar.gz');
const BEGUN_MS = Date.parse('2026-11-29T09:01:00Z');
/** What has been kept is still kept, however old it has become. */
const KEPT = { MILLRACE_PARTITIONS: '2', MILLRACE_CELLS_RETENTION_DAYS: '3650', MILLRACE_DEAD_LETTERS_RETENTION_DAYS: '3650' };
const EVENTS = Array.from({ length: 24 }, (_, at) =>
  message({
    appsflyer_id: `1718000000123-${at}`,
    event_name: 'af_purchase',
    event_time: appsflyerTime(BEGUN_MS + at * 1_007 + 318),
    event_value: at % 4 === 0 ? '{}' : `{"n":${at}}`,
    event_revenue_usd: `${at}.25`,
  }),
);

async function send(daemon: TestDaemon, events: readonly Readonly<Record<string, unknown>>[]): Promise<void> {
  for (const event of events) expect((await daemon.push(event)).status).toBe(200);
}

async function totals(daemon: TestDaemon): Promise<unknown> {
  const { rows } = await daemon.get<{ rows: readonly Record<string, unknown>[] }>('/v1/metrics/daily?group_by=none&app_id=com.example.shop&from=2026-11-29&to=2026-11-30');
  return rows.map(({ events, revenue, by_event }) => ({ events, revenue, by_event }));
}

describe('a data directory of format 1', () => {
  it('is taken over and replayed: its results, dead letters and identities stay, in each mode, and it goes on in the new format', { timeout: 120_000 }, async () => {
    expect(spawnSync('tar', ['xzf', FIXTURE, '-C', scratch.path]).status).toBe(0);
    const before = { received: 30, accepted: 24, duplicate: 3, late: 0, rejected: 3 };
    const own = [{ events: 24, revenue: '282.00', by_event: { af_purchase: 24 } }];
    const first = await started({ dataDir: scratch.path, env: KEPT });
    expect((await first.settled(30)).conservation).toEqual(before);
    expect(await totals(first)).toEqual(own);
    const { letters } = await first.get<{ letters: readonly { code: string }[] }>('/v1/dead-letters?state=waiting');
    expect(letters.map(({ code }) => code).sort()).toEqual(['NOT_JSON', 'NOT_JSON', 'NO_APP_ID']);
    const fresh = message({ app_id: 'com.example.fresh', appsflyer_id: '1718000000123-77', event_time: appsflyerTime(Date.now()) });
    await send(first, [...EVENTS, fresh, fresh]);
    expect((await first.settled(56)).conservation).toEqual({ ...before, received: 56, accepted: 25, duplicate: 28 });
    expect(await first.stop()).toBe(0);

    // The second life reads what the first has stored, of both kinds; and the mode changes.
    const second = await started({ dataDir: scratch.path, env: { ...KEPT, MILLRACE_DEDUPE_MODE: 'push+pull-seconds' } });
    await send(second, [...EVENTS, fresh]);
    expect((await second.settled(81)).conservation).toEqual({ ...before, received: 81, accepted: 25, duplicate: 53 });
    await second.kill();
    const third = await started({ dataDir: scratch.path, env: KEPT });
    await send(third, [...EVENTS.slice(0, 3), fresh]);
    expect((await third.settled(85)).conservation).toEqual({ ...before, received: 85, accepted: 25, duplicate: 57 });
    expect(await totals(third)).toEqual(own);
    expect(await third.stop()).toBe(0);
  });
});
