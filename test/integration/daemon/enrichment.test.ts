import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { message, runCli, temporaryDirectory, TestDaemon } from '../../support/daemon.ts';
import { duckdb } from '../../support/duckdb.ts';
import { cityRecord, mmdb } from '../../support/mmdb.ts';

/** GeoIP and privacy across the whole daemon: door, journal, fold, reload, restart, replay, lake. */

const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1';
const SECRETS = 'first-secret-0123456789abcdef0123456789abcdef';
let directory: ReturnType<typeof temporaryDirectory>;
let data: string;
let file: string;

beforeEach(() => {
  directory = temporaryDirectory();
  data = join(directory.path, 'data');
  mkdirSync(data);
  file = join(directory.path, 'geo.mmdb');
});

afterEach(async () => {
  await TestDaemon.endAll();
  directory.remove();
});

/** A new file in its place, as an updater puts it there. */
function place(country: string, city: string): void {
  writeFileSync(`${file}.new`, mmdb([{ network: '192.0.2.0/24', record: cityRecord({ country, continent: 'EU', state: 'X1', city }) }]));
  renameSync(`${file}.new`, file);
}

const start = (env: Readonly<Record<string, string>>): Promise<TestDaemon> => TestDaemon.start({ dataDir: data, env });

let user = 0;
const lacking = (fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> =>
  message({ country_code: undefined, device_category: undefined, appsflyer_id: `1718000000123-${++user}`, ip: '192.0.2.44', user_agent: IPHONE, ...fields });

const countries = async (daemon: TestDaemon): Promise<unknown> => (await daemon.hourly('group_by=country,device&sort=country')).rows.map((row) => [row['country'], row['device'], row['events']]);
const copies = (): string[] => readdirSync(join(data, 'geoip')).filter((name) => name.endsWith('.mmdb'));
const events = async (columns: string): Promise<unknown[]> => await duckdb(`select ${columns} from read_parquet('${data}/lake/events/*/*.parquet') order by received_at, user_id`);

test('fills in what is missing, goes on with a new file without a restart, and replays and encodes each record with the file of its day', async () => {
  place('FR', 'Lyon');
  const env = { MILLRACE_ENRICHMENT_GEOIP_FILE: file, MILLRACE_ENRICHMENT_USER_AGENT: 'true', MILLRACE_ENRICHMENT_RELOAD_INTERVAL_SECONDS: '1' };
  let daemon = await start(env);
  await daemon.push(lacking());
  await daemon.push(lacking({ country_code: 'DE', device_category: 'tablet' }));
  await daemon.settled(2);
  expect(await countries(daemon)).toEqual([['DE', 'tablet', 1], ['FR', 'phone', 1]]);

  place('CH', 'Geneva');
  await daemon.until(() => daemon.logs.some(({ msg }) => msg.startsWith('the GeoIP file is in use')), 20_000, 'the new file to be in use');
  await daemon.push(lacking());
  await daemon.settled(3);
  expect(await countries(daemon)).toEqual([['CH', 'phone', 1], ['DE', 'tablet', 1], ['FR', 'phone', 1]]);
  expect(copies()).toHaveLength(2);
  // The change of rules has ended a slot.
  await daemon.until(() => existsSync(join(data, 'lake', 'events')), 30_000, 'the first slot in the lake');

  // What is there in place of a file says nothing and stops nothing.
  writeFileSync(file, 'not a database');
  await daemon.until(() => daemon.logs.some(({ msg }) => msg.startsWith('the GeoIP file cannot be followed')), 20_000, 'the damaged file to be told');
  await daemon.push(lacking());
  await daemon.settled(4);
  expect(await countries(daemon)).toEqual([['CH', 'phone', 2], ['DE', 'tablet', 1], ['FR', 'phone', 1]]);
  await daemon.kill();

  place('IT', 'Rome');
  daemon = await start(env);
  await daemon.push(lacking());
  await daemon.settled(5);
  expect(await countries(daemon)).toEqual([['CH', 'phone', 2], ['DE', 'tablet', 1], ['FR', 'phone', 1], ['IT', 'phone', 1]]);
  await daemon.until(async () => (await events('country').catch(() => [])).length === 4, 60_000, 'the slots before the restart in the lake');
  expect(await events('country, city, region, state, device, os_version, browser, enriched')).toEqual([
    { country: 'FR', city: 'Lyon', region: 'EU', state: 'X1', device: 'phone', os_version: '17.5.1', browser: 'Mobile Safari', enriched: 'country,device,region,state,city,os_version,browser' },
    { country: 'DE', city: 'Lyon', region: 'EU', state: 'X1', device: 'tablet', os_version: '17.5.1', browser: 'Mobile Safari', enriched: 'region,state,city,os_version,browser' },
    { country: 'CH', city: 'Geneva', region: 'EU', state: 'X1', device: 'phone', os_version: '17.5.1', browser: 'Mobile Safari', enriched: 'country,device,region,state,city,os_version,browser' },
    { country: 'CH', city: 'Geneva', region: 'EU', state: 'X1', device: 'phone', os_version: '17.5.1', browser: 'Mobile Safari', enriched: 'country,device,region,state,city,os_version,browser' },
  ]);
  expect(await daemon.stop()).toBe(0);

  const again = join(directory.path, 'again');
  const replayed = await runCli(['replay', '--from', data, '--into', again, '--threads', '2']);
  expect(replayed).toMatchObject({ code: 0 });
  const hashes = await Promise.all([data, again].map((path) => runCli(['inspect', '--state-hash'], { MILLRACE_DATA_DIR: path })));
  expect(hashes[0]?.stdout).toMatch(/^[0-9a-f]{64}\n$/);
  expect(hashes[1]?.stdout).toBe(hashes[0]?.stdout);

  // Without the file of the first day nobody can say what was counted.
  rmSync(join(data, 'geoip'), { recursive: true });
  const lost = await runCli(['replay', '--from', data, '--into', join(directory.path, 'lost'), '--threads', '1']);
  expect(lost.code).toBe(5);
  expect(lost.stderr).toContain('RULE_RESOURCE_MISSING');
});

test('refuses a start with a GeoIP file that is none, by name', async () => {
  writeFileSync(file, 'not a database');
  const daemon = TestDaemon.spawn({ dataDir: directory.path, env: { MILLRACE_ENRICHMENT_GEOIP_FILE: file } });
  expect((await daemon.exited).code).toBe(2);
  await daemon.closed;
  expect(JSON.stringify(daemon.logs) + daemon.stderr).toContain('enrichment.geoip_file');
});

test('hides personal fields in the lake and on the admin port, under the secret of the day, and changes no total', async () => {
  const personal = { customer_user_id: 'u-1', event_value: '{"email":"anna@example.com","af_content_id":"sku-7"}', event_revenue_usd: '13.61', city: 'Lyon' };
  const policy = { MILLRACE_PRIVACY_FIELDS: 'user_id=hash,ip=truncate,city=drop,event_value.email=hash', MILLRACE_PRIVACY_SECRETS: SECRETS };
  let daemon = await start(policy);
  const first = message({ ...personal, ip: '192.0.2.44' });
  await daemon.push(first);
  await daemon.push(first);
  await daemon.push(message({ ...personal, app_id: undefined }));
  await daemon.push('{"customer_user_id":"u-1"');
  await daemon.settled(4);
  expect((await daemon.pipeline()).conservation).toMatchObject({ accepted: 1, duplicate: 1, rejected: 2 });
  expect((await daemon.hourly('group_by=none')).rows[0]).toMatchObject({ events: 1, revenue: '13.61' });

  const shown = JSON.stringify([await daemon.get('/v1/tail'), await daemon.get('/v1/dead-letters')]);
  expect(shown).toContain('192.0.2.0');
  expect(shown).toContain('withheld');
  for (const hidden of ['u-1', 'anna@', '192.0.2.44', 'Lyon', '4500123456789012345']) expect(shown).not.toContain(hidden);
  await daemon.kill();

  // Another secret: what was received before is hashed with the one before, which follows it.
  daemon = await start({ ...policy, MILLRACE_PRIVACY_SECRETS: `second-${SECRETS},${SECRETS}` });
  await daemon.push(message({ ...personal, event_name: 'af_second' }));
  await daemon.settled(5);
  await daemon.kill();

  // No policy: another slot, and a secret is not needed for it.
  daemon = await start({ MILLRACE_PRIVACY_SECRETS: `second-${SECRETS},${SECRETS}` });
  await daemon.push(message({ ...personal, event_name: 'af_third' }));
  await daemon.settled(6);
  await daemon.kill();
  daemon = await start({ MILLRACE_ENRICHMENT_USER_AGENT: 'true', MILLRACE_PRIVACY_SECRETS: `second-${SECRETS},${SECRETS}` });
  await daemon.until(async () => (await events('user_id').catch(() => [])).length === 3, 60_000, 'three rows in the lake');
  const rows = (await events('event_name, user_id, city, event_properties')) as { event_name: string; user_id: string; city: string | null; event_properties: string }[];
  const byName = Object.fromEntries(rows.map((row) => [row.event_name, row]));
  expect(byName['af_third']).toMatchObject({ user_id: '1718000000123-4500123456789012345', city: 'Lyon', event_properties: personal.event_value });
  for (const name of ['af_purchase', 'af_second']) {
    expect(byName[name]?.user_id).toMatch(/^[0-9a-f]{32}$/);
    expect(byName[name]?.city).toBeNull();
    expect(byName[name]?.event_properties).toMatch(/^\{"email":"[0-9a-f]{32}","af_content_id":"sku-7"\}$/);
  }
  expect(byName['af_purchase']?.user_id).not.toBe(byName['af_second']?.user_id);
});

test('keeps records for the lake whose secret is gone, until it is back', async () => {
  const policy = { MILLRACE_PRIVACY_FIELDS: 'user_id=hash' };
  let daemon = await start({ ...policy, MILLRACE_PRIVACY_SECRETS: SECRETS });
  await daemon.push(message());
  await daemon.settled(1);
  await daemon.kill();
  daemon = await start({ ...policy, MILLRACE_PRIVACY_SECRETS: `second-${SECRETS}` });
  await daemon.until(() => daemon.logs.some((line) => JSON.stringify(line).includes('privacy.secrets')), 30_000, 'the missing secret to be told');
  expect(existsSync(join(data, 'lake', 'events'))).toBe(false);
  await daemon.kill();
  daemon = await start({ ...policy, MILLRACE_PRIVACY_SECRETS: `second-${SECRETS},${SECRETS}` });
  await daemon.until(async () => (await events('user_id').catch(() => [])).length === 1, 60_000, 'the row in the lake');
});
