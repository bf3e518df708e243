/** Messages of every shape through the built daemon: what is answered, what counts, and the same again after a kill. */

import { describe, expect, it } from 'vitest';
import { appsflyerTime, message, type TestDaemon } from '../../support/daemon.ts';
import { S2S_PURCHASE, V1_PURCHASE } from '../../unit/appsflyer/messages.ts';
import { useDaemons } from './harness.ts';

const { directory, started } = useDaemons();
const OWN = 'com.example.own';
const FROM = `from=${new Date(Date.now() - 2 * 3_600_000).toISOString()}`;

const s2s = async (daemon: TestDaemon, app: string, changes: object): Promise<number> => {
  const body = { ...S2S_PURCHASE, eventTime: appsflyerTime(Date.now()), ...changes, app_id: undefined };
  const response = await fetch(`${daemon.ingest}/v1/appsflyer/s2s/inappevent/${app}`, { method: 'POST', headers: { authentication: 'key', 'content-type': 'application/json' }, body: JSON.stringify(body) });
  return response.status;
};

/** By app: what is not 0 of the measures that these messages touch. */
async function totals(daemon: TestDaemon): Promise<Record<string, Record<string, unknown>>> {
  const { rows } = await daemon.hourly(`${FROM}&group_by=app_id`);
  const touched = ['installs', 'events', 'conversions', 'revenue_micros', 'unpriced_events'];
  return Object.fromEntries(rows.map((row) => [row['app_id'] as string, Object.fromEntries(touched.map((name) => [name, row[name]] as const).filter(([, value]) => value !== 0 && value !== undefined))]));
}

describe('messages of every shape', () => {
  it('count as documented, S2S copies only for an app that is declared, and the same after a kill', async () => {
    const options = { dataDir: directory('shapes'), env: { MILLRACE_APPS_S2S_AUTHORITATIVE: `${OWN},id7` } };
    const daemon = await started(options);
    // Declared: the copy counts, AppsFlyer's row of it does not, what the SDK sent does.
    expect(await s2s(daemon, OWN, {})).toBe(200);
    expect((await daemon.push(message({ app_id: OWN, event_source: 'S2S', event_revenue_usd: '6' }))).status).toBe(200);
    expect((await daemon.push(message({ app_id: OWN, event_source: 'SDK', event_name: 'level_up' }))).status).toBe(200);
    // Not declared: the other way round; and without a time of its own.
    const again = { eventName: 'again', eventTime: appsflyerTime(Date.now()) };
    expect([await s2s(daemon, 'com.example.shop', {}), await s2s(daemon, 'com.example.shop', { eventTime: undefined }), await s2s(daemon, 'com.example.shop', again)]).toEqual([200, 200, 200]);
    expect((await daemon.push(message({ event_source: 'S2S', event_revenue_usd: '2' }))).status).toBe(200);
    // Push v1 by GET.
    const v1 = new URLSearchParams({ ...(V1_PURCHASE as Record<string, string>), app_id: 'com.example.old', event_time: appsflyerTime(Date.now()).slice(0, 19) });
    expect((await fetch(`${daemon.ingest}/v1/appsflyer/push?${v1.toString()}`)).status).toBe(200);
    // A user in event_value alone, sent twice, the second time in another order.
    const hidden = { app_id: 'id8', event_name: 'install', event_time: appsflyerTime(Date.now()), event_value: '{"params":{"user_id":"u7"}}' };
    for (const body of [hidden, Object.fromEntries(Object.entries(hidden).reverse())]) expect((await daemon.push(body)).status).toBe(200);
    // Nobody's, and no JSON.
    expect(await s2s(daemon, 'id7', { appsflyer_id: '0', customer_user_id: null })).toBe(200);
    const broken = await fetch(`${daemon.ingest}/v1/appsflyer/s2s/inappevent/id7`, { method: 'POST', body: '{"eventName":' });
    expect(broken.status).toBe(400);
    const conservation = { received: 12, accepted: 9, duplicate: 1, late: 0, rejected: 2 };
    expect((await daemon.settled(12)).conservation).toEqual(conservation);
    const expected = {
      [OWN]: { events: 2, conversions: 1, revenue_micros: 6_000_000 },
      'com.example.shop': { events: 1, conversions: 1, revenue_micros: 2_000_000 },
      'com.example.old': { events: 1, conversions: 1, revenue_micros: 11_210_000 },
      id8: { installs: 1 },
    };
    expect(await totals(daemon)).toEqual(expected);
    const { letters } = await daemon.get<{ letters: { code: string; source: string; bytes: string }[] }>('/v1/dead-letters?limit=10');
    expect(letters.map(({ source, code }) => `${source} ${code}`).sort()).toEqual(['s2s NOT_JSON', 's2s NO_IDENTITY']);
    expect(letters.find(({ code }) => code === 'NO_IDENTITY')?.bytes).toMatch(/,"app_id":"id7"}$/);

    await daemon.kill();
    const next = await started(options);
    expect((await next.settled(12)).conservation).toEqual(conservation);
    expect(await totals(next)).toEqual(expected);
    const { records } = await next.get<{ records: { event: { type: string } | null }[] }>('/v1/tail?limit=50');
    expect(records.length).toBeLessThanOrEqual(12);
    // A copy that is sent again is a duplicate, whatever the rules say of it.
    expect(await s2s(next, 'com.example.shop', again)).toBe(200);
    expect((await next.settled(13)).conservation).toMatchObject({ accepted: 9, duplicate: 2 });
  });
});
