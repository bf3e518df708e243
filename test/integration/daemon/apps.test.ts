/** Lists of apps, through the built daemon: unknown apps are quarantined, test apps counted apart, and a replay judges each record by the rules of its day. */

import { join } from 'node:path';
import { expect, it } from 'vitest';
import { message, runCli, type TestDaemon } from '../../support/daemon.ts';
import { useDaemons } from './harness.ts';

const { scratch, directory, started } = useDaemons();

const SHOP = 'com.example.shop';
const QA = 'com.example.shop.qa';
const STRANGER = 'com.example.stranger';

async function rowsOf(daemon: TestDaemon): Promise<Record<string, unknown>> {
  const { rows } = await daemon.hourly('group_by=app_id&limit=100');
  return Object.fromEntries(rows.map((row) => [String(row['app_id']), { installs: row['installs'], events: row['events'], conversions: row['conversions'], revenue: row['revenue'], test: row['test_records'] }]));
}

async function sendAll(daemon: TestDaemon, series: string): Promise<void> {
  for (const app of [SHOP, QA, STRANGER]) {
    expect((await daemon.push(message({ app_id: app, appsflyer_id: `${series}-1`, event_revenue_usd: '2.5' }))).status).toBe(200);
    expect((await daemon.push(message({ app_id: app, appsflyer_id: `${series}-1`, event_name: 'install' }))).status).toBe(200);
  }
}

it('unknown apps are dead letters with their bytes, test apps count apart, and the lists hold from their offset on, in a replay too', async () => {
  const dataDir = directory('data');
  const listed = await started({ dataDir, env: { MILLRACE_APPS_KNOWN: SHOP, MILLRACE_APPS_TEST: QA } });
  await sendAll(listed, '1');
  const { conservation } = await listed.settled(6);
  expect(conservation).toEqual({ received: 6, accepted: 4, duplicate: 0, late: 0, rejected: 2 });
  const first = { [SHOP]: { installs: 1, events: 1, conversions: 1, revenue: '2.50', test: 0 }, [QA]: { installs: 0, events: 0, conversions: 0, revenue: '0.00', test: 2 } };
  expect(await rowsOf(listed)).toEqual(first);
  expect((await listed.hourly('group_by=none')).rows[0]).toMatchObject({ installs: 1, events: 1, revenue: '2.50', test_records: 2 });
  const letters = await listed.get<{ dead_letters?: unknown[] }>('/v1/dead-letters');
  const told = JSON.stringify(letters);
  expect(told.match(/UNKNOWN_APP/g)).toHaveLength(2);
  expect(told).toContain(STRANGER);
  await listed.until(async () => /^millrace_rejected_total\{.*code="UNKNOWN_APP".*\} 2$/m.test(await (await fetch(`${listed.admin}/metrics`)).text()), 10_000, 'the rejected to be told by code');
  expect(await listed.stop()).toBe(0);

  const open = await started({ dataDir });
  expect(await rowsOf(open)).toEqual(first);
  await sendAll(open, '2');
  await open.settled(12);
  const after = { [SHOP]: { installs: 2, events: 2, conversions: 2, revenue: '5.00', test: 0 }, [QA]: { installs: 1, events: 1, conversions: 1, revenue: '2.50', test: 2 }, [STRANGER]: { installs: 1, events: 1, conversions: 1, revenue: '2.50', test: 0 } };
  expect(await rowsOf(open)).toEqual(after);
  expect(await open.stop()).toBe(0);

  const again = join(scratch.path, 'again');
  expect((await runCli(['replay', '--from', dataDir, '--into', again, '--threads', '2'])).code).toBe(0);
  const hashOf = async (path: string): Promise<string> => (await runCli(['inspect', '--state-hash'], { MILLRACE_DATA_DIR: path })).stdout.trim();
  expect(await hashOf(again)).toMatch(/^[0-9a-f]{64}$/);
  expect(await hashOf(again)).toBe(await hashOf(dataDir));
});
