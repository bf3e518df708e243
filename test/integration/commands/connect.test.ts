/** `millrace connect appsflyer` against a server that behaves as the API's specification says. */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PUSH_CONFIG_TOKEN, startPushConfigPeer, type PushConfigPeer } from '../../peers/appsflyer-push-config.ts';
import { message, runCli, TestDaemon, temporaryDirectory } from '../../support/daemon.ts';

const APP = 'com.example.shop';
const OTHER = { method: 'GET', url: 'https://other.example.com/af?token=their-secret', attributing_entity: 'appsflyer', event_types: ['install'], selected_fields: 'default', enabled: true, their_own: { kept: 1 } };

let peer: PushConfigPeer;
let scratch: { path: string; remove: () => void };
let door: Server;
let url = '';
let doorAnswers = 200;

beforeEach(async () => {
  peer = await startPushConfigPeer();
  scratch = temporaryDirectory();
  doorAnswers = 200;
  door = createServer((request, response) => {
    request.resume();
    response.writeHead(doorAnswers).end();
  });
  await new Promise<void>((settle) => door.listen({ host: '127.0.0.1', port: 0 }, settle));
  url = `http://127.0.0.1:${(door.address() as AddressInfo).port}/v1/appsflyer/push`;
});
afterEach(async () => {
  await peer.stop();
  door.closeAllConnections();
  door.close();
  scratch.remove();
});

async function connect(...more: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const app = more.includes('--app') ? [] : ['--app', APP];
  const result = await runCli(['connect', 'appsflyer', ...app, '--url', url, '--api-base', peer.base, ...more], { APPSFLYER_API_TOKEN: PUSH_CONFIG_TOKEN });
  expect(result.stdout + result.stderr).not.toContain(PUSH_CONFIG_TOKEN);
  expect(result.stdout + result.stderr).not.toContain('their-secret');
  return result;
}

describe('connect appsflyer', () => {
  it('shows the difference, and changes nothing without a yes', async () => {
    peer.configs.set(APP, { endpoints: [OTHER] });
    const dry = await connect('--dry-run');
    expect([dry.code, dry.stderr]).toEqual([0, '']);
    expect(dry.stdout).toContain('app com.example.shop: 1 endpoints, 2 afterwards (at most 6)\n= https://other.example.com/af?token=…  (as it is)\n+ http://127.0.0.1:');
    expect(dry.stdout).toContain('    + method: POST\n');
    expect(dry.stdout).toMatch(/\+ event_types: .*install.*re-engagement/);
    const alone = await connect();
    expect([alone.code, alone.stderr]).toEqual([2, expect.stringContaining('--yes') as string]);
    expect(peer.configs.get(APP)).toEqual({ endpoints: [OTHER] });
    expect(peer.requests.some((request) => !request.startsWith('GET'))).toBe(false);
  });

  it('puts its endpoint beside the others, which stay to the letter, and then has nothing to change', async () => {
    peer.configs.set(APP, { endpoints: [OTHER] });
    const done = await connect('--yes');
    expect([done.code, done.stderr]).toEqual([0, '']);
    const [other, ours] = peer.configs.get(APP)?.endpoints ?? [];
    expect(other).toEqual(OTHER);
    expect(ours).toMatchObject({ method: 'POST', url, attributing_entity: 'appsflyer', enabled: true, selected_inapps: 'all' });
    expect(ours?.event_types).toHaveLength(10);
    expect(ours?.selected_fields).toEqual(expect.arrayContaining(['app_id', 'event_name', 'event_time', 'event_revenue_usd', 'is_primary_attribution', 'af_c_id', 'customer_user_id']));
    // What no figure depends on is not asked for: least of all people's data.
    for (const field of ['ip', 'city', 'user_agent']) expect(ours?.selected_fields).not.toContain(field);
    expect(peer.requests).toContain('POST /validate-url');
    peer.requests.length = 0;
    expect((await connect('--yes')).stdout).toContain('nothing to change');
    expect(peer.requests.some((request) => request.startsWith('PUT'))).toBe(false);
  });

  it('adds to an endpoint at its own address what is lacking, and takes nothing away', async () => {
    peer.configs.set(APP, { endpoints: [{ ...OTHER, url, method: 'GET', enabled: false, selected_fields: ['app_id', 'event_name', 'event_time', 'city'], event_types: ['install'] }] });
    const done = await connect('--yes');
    expect(done.stdout).toContain('~ enabled: false → true');
    expect(done.code).toBe(0);
    const [ours] = peer.configs.get(APP)?.endpoints ?? [];
    expect(ours).toMatchObject({ method: 'GET', enabled: true, their_own: { kept: 1 } });
    expect(ours?.selected_fields).toEqual(expect.arrayContaining(['city', 'media_source']));
    expect(ours?.event_types).toHaveLength(10);
  });

  it('sets up SKAdNetwork at an address of its own, for iOS alone', async () => {
    expect((await connect('--app', 'id1234567890', '--skan', '--yes')).code).toBe(0);
    expect(peer.configs.get('id1234567890')?.endpoints.map((endpoint) => [endpoint.url, endpoint.attributing_entity])).toEqual([[url, 'appsflyer'], [`${url}?entity=skadnetwork`, 'skadnetwork']]);
    expect(await connect('--skan', '--yes')).toMatchObject({ code: 2, stderr: expect.stringContaining('no iOS app') as string });
  });

  it('sets the token that AppsFlyer sends along, out of a file, before the address is tried', async () => {
    const file = join(scratch.path, 'sender');
    writeFileSync(file, 's3cret-for.senders\n');
    const done = await connect('--yes', '--sender-token-file', file, '--sender-token-name', 'X-Millrace');
    expect(done.code).toBe(0);
    expect(done.stdout).not.toContain('s3cret');
    expect(peer.senderTokens.get(APP)).toEqual({ token: 's3cret-for.senders', name: 'X-Millrace' });
    expect(peer.requests.indexOf(`PUT /tokens/app/${APP}`)).toBeLessThan(peer.requests.indexOf('POST /validate-url'));
    writeFileSync(file, 'with/a slash');
    expect(await connect('--yes', '--sender-token-file', file)).toMatchObject({ code: 2, stderr: expect.stringContaining('--sender-token-file') as string });
    expect(await connect('--yes', '--sender-token-name', 'Cookie')).toMatchObject({ code: 2 });
  });

  it('has the built daemon tried, which answers within a second and keeps the test out of every figure', async () => {
    const daemon = await TestDaemon.start({ dataDir: scratch.path });
    try {
      url = `${daemon.ingest}/v1/appsflyer/push`;
      for (const [tests, testMessage] of [[1, '{}'], [2, JSON.stringify(message({ event_name: 'test', appsflyer_id: '1234567890123-1234567' }))]] as const) {
        peer.testMessage = testMessage;
        peer.configs.set(APP, { endpoints: [] });
        const done = await connect('--yes');
        expect([done.code, done.stdout]).toEqual([0, expect.stringMatching(/has called .*: 200\n/) as string]);
        const { conservation } = await daemon.settled(tests);
        expect(conservation).toEqual({ received: tests, accepted: 0, duplicate: 0, late: 0, rejected: tests });
      }
      const startedMs = performance.now();
      expect((await daemon.push(peer.testMessage)).status).toBe(200);
      expect(performance.now() - startedMs).toBeLessThan(1_000);
      await daemon.settled(3);
      expect((await daemon.hourly('group_by=none')).rows).toEqual([]);
      const { letters } = await daemon.get<{ letters: { code: string }[] }>('/v1/dead-letters');
      expect(letters.map(({ code }) => code).sort()).toEqual(['NO_APP_ID', 'TEST_MESSAGE', 'TEST_MESSAGE']);
      expect(await daemon.stop()).toBe(0);
    } finally {
      await TestDaemon.endAll();
    }
  });

  it('leaves the endpoints alone when AppsFlyer cannot reach the address', async () => {
    doorAnswers = 503;
    const failed = await connect('--yes');
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringMatching(/CONNECT_FAILED: .*got 503; the endpoints were not changed/) as string]);
    expect(peer.configs.get(APP)).toEqual({ endpoints: [] });
    expect((await connect('--yes', '--no-validate')).code).toBe(0);
    doorAnswers = 400;
    peer.configs.set(APP, { endpoints: [] });
    expect((await connect('--yes')).stdout).toContain('its test message was malformed (400)');
  });

  it('stops where somebody else changes the configuration meanwhile', async () => {
    peer.before = (method) => {
      if (method === 'POST') peer.configs.set(APP, { endpoints: [OTHER] });
      return undefined;
    };
    const stopped = await connect('--yes');
    expect([stopped.code, stopped.stderr]).toEqual([1, expect.stringContaining('changed by somebody else') as string]);
    expect(peer.configs.get(APP)).toEqual({ endpoints: [OTHER] });
  });

  it('keeps to the limits: six endpoints, addresses of 2,048 characters on ports that are called', async () => {
    peer.configs.set(APP, { endpoints: Array.from({ length: 6 }, (_, at) => ({ ...OTHER, url: `https://other.example.com/${at}` })) });
    expect(await connect('--yes')).toMatchObject({ code: 2, stderr: expect.stringContaining('7 endpoints; AppsFlyer takes 6') as string });
    const at = (address: string): ReturnType<typeof runCli> => runCli(['connect', 'appsflyer', '--app', APP, '--url', address, '--api-base', peer.base, '--yes'], { APPSFLYER_API_TOKEN: PUSH_CONFIG_TOKEN });
    expect((await at(`https://events.example.com/${'x'.repeat(2_048)}`)).stderr).toContain('2048');
    expect((await at('https://events.example.com:8080/v1/appsflyer/push')).stderr).toContain('port 8080');
    expect((await at('ftp://events.example.com/')).code).toBe(2);
  });

  it('tells what AppsFlyer says, tries again what may pass, and never shows the token', async () => {
    const unknown = await connect('--app', 'com.example.other', '--yes');
    expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringMatching(/CONNECT_FAILED: GET \/app\/com.example.other answered 403: UnknownAppid: .*check the app id/) as string]);
    const wrong = await runCli(['connect', 'appsflyer', '--app', APP, '--url', url, '--api-base', peer.base, '--yes'], { APPSFLYER_API_TOKEN: 'another' });
    expect(wrong.stderr).toMatch(/401.*V2 token/);
    let failures = 2;
    peer.before = (method) => (method === 'PUT' && failures-- > 0 ? 503 : undefined);
    expect((await connect('--yes')).code).toBe(0);
    peer.before = () => 500;
    expect((await connect('--yes')).stderr).toContain('seen with Bearer ***');
    const none = await runCli(['connect', 'appsflyer', '--app', APP, '--url', url, '--api-base', peer.base]);
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('APPSFLYER_API_TOKEN') as string]);
    const plain = await runCli(['connect', 'appsflyer', '--app', APP, '--url', url, '--api-base', 'http://hq1.appsflyer.example/api'], { APPSFLYER_API_TOKEN: PUSH_CONFIG_TOKEN });
    expect([plain.code, plain.stderr]).toEqual([2, expect.stringContaining('over https alone') as string]);
  });
});
