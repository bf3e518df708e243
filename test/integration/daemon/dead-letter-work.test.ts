/** Dead letters listed, sent again, exported and dropped by the command line, through kills, and as an undisturbed replay has them. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, describe, it } from 'vitest';
import { appsflyerTime, message, runCli, type TestDaemon } from '../../support/daemon.ts';
import { useDaemons } from './harness.ts';

const { scratch, started } = useDaemons();

interface Letter {
  readonly partition: number;
  readonly id: number;
  readonly code: string;
  readonly app_id: string | null;
  readonly state: string;
  readonly retry: { readonly attempts: number; readonly outcome: string; readonly code: string | null } | null;
}

const HOUR_MS = 3_600_000;
/** Too far ahead for a daemon that allows no skew, and fine for one that allows a day. */
const ahead = (user: string, more: object = {}): object => message({ appsflyer_id: user, event_time: appsflyerTime(Date.now() + 2 * HOUR_MS), ...more });
const strict = { MILLRACE_WINDOWS_FUTURE_SKEW_SECONDS: '0' };
const lenient = { MILLRACE_WINDOWS_FUTURE_SKEW_SECONDS: '86400' };

async function send(daemon: TestDaemon, records: readonly (object | string)[]): Promise<void> {
  const body = records.map((record) => (typeof record === 'string' ? record : JSON.stringify(record))).join('\n');
  expect((await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body, headers: { 'content-type': 'application/x-ndjson' } })).status).toBe(200);
}

const cli = (daemon: TestDaemon, ...command: string[]): ReturnType<typeof runCli> => runCli(['dlq', ...command, '--admin', daemon.admin]);
const list = async (daemon: TestDaemon, ...options: string[]): Promise<Letter[]> =>
  (await cli(daemon, 'ls', '--json', ...options)).stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Letter);
const nameOf = ({ partition, id }: Letter): string => `${partition}/${id}`;

async function expectReplayAgrees(): Promise<void> {
  const replayed = join(scratch.path, 'replayed');
  expect((await runCli(['replay', '--from', scratch.path, '--into', replayed, '--threads', '2'])).code).toBe(0);
  const hashes = await Promise.all([scratch.path, replayed].map((path) => runCli(['inspect', '--state-hash'], { MILLRACE_DATA_DIR: path })));
  const [own, other] = hashes.map(({ stdout }) => stdout.trim());
  expect(own).toMatch(/^[0-9a-f]{64}$/);
  expect(other).toBe(own);
}

describe('dead letters', () => {
  it('are found by code, app, state and page, and sent again once: a second time changes nothing', { timeout: 120_000 }, async () => {
    let daemon = await started({ dataDir: scratch.path, env: strict });
    await send(daemon, [ahead('one', { app_id: 'id1' }), ahead('two', { app_id: 'id2' }), '{"app_id":"id1"', message({ event_name: '' }), ahead('three', { app_id: 'id1' })]);
    await daemon.settled(5);
    expect((await list(daemon)).map(({ code }) => code).sort()).toEqual(['FUTURE_EVENT_TIME', 'FUTURE_EVENT_TIME', 'FUTURE_EVENT_TIME', 'NOT_JSON', 'NO_EVENT_NAME']);
    expect((await list(daemon, '--code', 'NOT_JSON,NO_EVENT_NAME')).length).toBe(2);
    expect((await list(daemon, '--app', 'id1')).map(({ app_id: app, state }) => [app, state])).toEqual(Array.from({ length: 3 }, () => ['id1', 'waiting']));
    const pages: Letter[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: { letters: Letter[]; next_cursor: string | null } = await daemon.get(`/v1/dead-letters?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
      pages.push(...page.letters);
      cursor = page.next_cursor;
    }
    expect(pages.map(nameOf)).toEqual((await list(daemon)).map(nameOf));
    expect(await daemon.stop()).toBe(0);

    daemon = await started({ dataDir: scratch.path, env: lenient });
    expect((await cli(daemon, 'retry', '--all', '--dry-run')).stdout).toBe('5 dead letters would be sent again\n');
    expect((await daemon.pipeline()).conservation).toMatchObject({ received: 5, rejected: 5 });
    const first = await cli(daemon, 'retry', '--code', 'FUTURE_EVENT_TIME', '--app', 'id1');
    expect([first.code, first.stdout]).toEqual([0, expect.stringMatching(/2 dead letters sent again: 2 accepted\n$/) as unknown]);
    const rest = await cli(daemon, 'retry', '--all', '--json');
    expect(rest.code).toBe(1);
    expect(JSON.parse(rest.stdout)).toMatchObject({ selected: 3, retried: 3, outcomes: { accepted: 1, rejected: 2, pending: 0 }, rejected: { NOT_JSON: 1, NO_EVENT_NAME: 1 } });
    const counted = { received: 10, accepted: 3, duplicate: 0, late: 0, rejected: 7 };
    expect((await daemon.settled(10)).conservation).toEqual(counted);
    expect((await cli(daemon, 'retry', '--all')).stdout).toBe('0 dead letters sent again: nothing to do\n');
    const named = (await list(daemon, '--app', 'id2')).map(nameOf);
    expect((await cli(daemon, 'retry', ...named)).stdout).toBe(`${named.join()} settled\n0 dead letters sent again: nothing to do; not sent: 1 settled\n`);
    expect((await daemon.pipeline()).conservation).toEqual(counted);
    // An event that comes by itself later is a duplicate of its letter.
    await send(daemon, [ahead('one', { app_id: 'id1' })]);
    expect((await list(daemon, '--state', 'rejected')).map(({ code, retry }) => [code, retry])).toEqual(expect.arrayContaining([['NOT_JSON', expect.objectContaining({ attempts: 1, outcome: 'rejected', code: 'NOT_JSON' })]]));
    expect((await list(daemon, '--state', 'settled')).map(({ retry }) => retry?.outcome)).toEqual(['accepted', 'accepted', 'accepted']);
    expect((await cli(daemon, 'retry', '--state', 'rejected', '--again', '--json')).stdout).toContain('"rejected":2');
    expect(await daemon.stop()).toBe(0);
    await expectReplayAgrees();
  });

  it('are exported byte for byte and dropped for good, also after a kill and in a replay', { timeout: 120_000 }, async () => {
    let daemon = await started({ dataDir: scratch.path, env: strict });
    const garbage = Buffer.from([0x7b, 0xff, 0x00, 0x7d]);
    expect((await fetch(`${daemon.ingest}/v1/appsflyer/push`, { method: 'POST', body: garbage })).status).toBe(400);
    await send(daemon, [ahead('one'), '{"é', ahead('two')]);
    await daemon.settled(4);
    const file = join(scratch.path, 'letters.ndjson');
    expect((await cli(daemon, 'export', file)).stdout).toBe(`4 dead letters in ${file}\n`);
    const exported = readFileSync(file, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as { code: string; bytes?: string; base64?: string });
    expect(exported.filter(({ code }) => code === 'NOT_JSON').map(({ bytes, base64 }) => bytes ?? base64).sort()).toEqual([garbage.toString('base64'), '{"é'].sort());
    expect((await cli(daemon, 'export', file)).code).not.toBe(0);
    expect(existsSync(`${file}.part`)).toBe(false);
    const shown = (await list(daemon, '--code', 'NOT_JSON'))[0] as Letter;
    expect((await cli(daemon, 'show', nameOf(shown))).stdout).toContain('{');
    expect((await cli(daemon, 'drop')).stderr).toContain('say which letters');
    expect((await cli(daemon, 'drop', '--code', 'NOT_JSON', '--dry-run')).stdout).toBe('2 dead letters would be dropped\n');
    expect((await cli(daemon, 'drop', '--code', 'NOT_JSON')).stdout).toBe('2 dead letters dropped\n');
    expect((await list(daemon)).map(({ code }) => code)).toEqual(['FUTURE_EVENT_TIME', 'FUTURE_EVENT_TIME']);
    await daemon.kill();
    daemon = await started({ dataDir: scratch.path, env: lenient });
    expect((await list(daemon)).map(({ code }) => code)).toEqual(['FUTURE_EVENT_TIME', 'FUTURE_EVENT_TIME']);
    expect((await cli(daemon, 'retry', nameOf(shown), '--json')).stdout).toContain('"gone":1');
    expect((await fetch(`${daemon.admin}/metrics`).then((answer) => answer.text()))).toMatch(/^millrace_dead_letters_dropped_total 2$/m);
    expect(await daemon.stop()).toBe(0);
    await expectReplayAgrees();
  });

  it('count once each although the daemon is killed again and again while many are sent again, with dedupe off', { timeout: 300_000 }, async () => {
    const count = 12_000;
    const env = { MILLRACE_DEDUPE_MODE: 'none', MILLRACE_CHECKPOINT_INTERVAL_MS: '300', MILLRACE_THREADS_ACTORS: '2' };
    let daemon = await started({ dataDir: scratch.path, env: { ...env, ...strict } });
    for (let from = 0; from < count; from += 3_000) await send(daemon, Array.from({ length: 3_000 }, (_, at) => ahead(`user-${from + at}`)));
    await daemon.settled(count);
    expect((await daemon.pipeline()).conservation.rejected).toBe(count);
    expect(await daemon.stop()).toBe(0);
    const atKills: number[] = [];
    for (let kill = 1; ; kill++) {
      daemon = await started({ dataDir: scratch.path, env: { ...env, ...lenient } });
      const work = fetch(`${daemon.admin}/v1/dead-letters/retry?all=true`, { method: 'POST' }).then((answer) => answer.text()).catch(() => 'cut off');
      if (kill > 3) {
        expect(JSON.parse(await work)).toMatchObject({ cancelled: false, outcomes: { duplicate: 0, rejected: 0, pending: 0 } });
        break;
      }
      await daemon.until(async () => (await daemon.pipeline()).conservation.accepted >= kill * 2_500, 60_000, 'some letters to be counted');
      await daemon.kill();
      await work;
      atKills.push(kill);
    }
    expect(await fetch(`${daemon.admin}/v1/dead-letters/retry?all=true`, { method: 'POST' }).then((answer) => answer.json())).toMatchObject({ selected: 0, retried: 0 });
    const { conservation } = await daemon.settled(2 * count);
    expect(conservation).toEqual({ received: 2 * count, accepted: count, duplicate: 0, late: 0, rejected: count });
    const { rows } = await daemon.hourly('group_by=none');
    expect(rows.reduce((sum, row) => sum + Number(row['events']), 0)).toBe(count);
    expect(atKills).toEqual([1, 2, 3]);
    expect(await daemon.stop()).toBe(0);
    await expectReplayAgrees();
  });
});
