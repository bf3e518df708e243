/** Several ingress threads on one port, each with its journal: exact through deaths of the process and of single threads, and as other counts of them come and go. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { faultNamed } from '../../crash/faults/index.ts';
import { crashRun } from '../../crash/run.ts';
import { TestDaemon, message, temporaryDirectory } from '../../support/daemon.ts';
import { Load, expectExact, pause } from '../../support/load.ts';
import { freePort } from '../../support/ports.ts';
import { killOnce } from '../../support/thread-deaths.ts';

/** The other door cannot share a port. */
const isOneDoor = process.env['MILLRACE_TEST_DOOR'] === 'node';

let scratch: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  scratch = temporaryDirectory();
});
afterEach(async () => {
  await TestDaemon.endAll();
  scratch.remove();
});

const open = (ingresses: number, port: number, env: Readonly<Record<string, string>> = {}): Promise<TestDaemon> =>
  TestDaemon.start({ dataDir: scratch.path, env: { MILLRACE_INGEST_PORT: String(port), MILLRACE_THREADS_INGRESS: String(ingresses), MILLRACE_FAULT_INJECTION: 'true', MILLRACE_CHECKPOINT_INTERVAL_MS: '1000', ...env } });

describe.skipIf(isOneDoor)('two ingress threads', () => {
  it('give the totals of the independent model and the state of an undisturbed replay, through kill -9 and changing counts', { timeout: 600_000 }, async () => {
    const lives = ['2', '3', '1', '2'].map((ingresses, life) => ({ MILLRACE_THREADS_INGRESS: ingresses, MILLRACE_THREADS_ACTORS: String(1 + (life % 2)) }));
    const report = await crashRun({ directory: scratch.path, faults: [faultNamed('kill')], times: 5, events: 40_000, eventsPerSecond: 5_000, seed: 21, lives, replayThreads: 3 });
    expect(report.felt['kill']).toBeGreaterThanOrEqual(3);
    expect(report.counted).toBeGreaterThan(30_000);
    expect(report.lakeRows).toBe(report.counted);
  });

  it('share the port, and one that dies is replaced while the other answers', { timeout: 120_000 }, async () => {
    const own = await open(2, await freePort());
    const load = new Load({ url: own.ingest, requestsPerSecond: 100, batch: 10, name: 'doors', campaigns: 20 });
    for (const thread of ['ingress-1', 'ingress', 'ingress-1']) {
      await pause(400);
      await killOnce(own, thread);
    }
    const report = await load.stop();
    expect(report.acknowledged).toBeGreaterThan(1_000);
    await expectExact(own, 'doors', report);
    expect((await own.pipeline()).partitions.every(({ lag_records: lag }) => lag === 0)).toBe(true);
    expect(await own.stop()).toBe(0);
    await expectExact(await open(1, await freePort()), 'doors', report);
  });

  it('refuse the port to a second daemon, of two threads as well', { timeout: 120_000 }, async () => {
    const port = await freePort();
    const own = await open(2, port);
    const other = temporaryDirectory();
    const second = TestDaemon.spawn({ dataDir: other.path, env: { MILLRACE_INGEST_PORT: String(port), MILLRACE_THREADS_INGRESS: '2' }, supervise: false });
    const { code } = await second.exited;
    other.remove();
    expect(code).toBe(3);
    expect((await own.push(message({ appsflyer_id: 'still there' }))).status).toBe(200);
  });

  it('leave a directory that says it holds several journals, and that is read to the end by one', { timeout: 120_000 }, async () => {
    const own = await open(2, await freePort());
    const sent = 60;
    for (let at = 0; at < sent; at++) expect((await own.push(message({ appsflyer_id: `many-${at}` }))).status).toBe(200);
    await own.settled(sent);
    expect(await own.stop()).toBe(0);
    expect(existsSync(join(scratch.path, 'journal-1', 'journal.json'))).toBe(true);
    expect(JSON.parse(readFileSync(join(scratch.path, 'instance.json'), 'utf8'))).toMatchObject({ version: 2 });
    const alone = await open(1, await freePort());
    await alone.settled(sent);
    expect((await alone.push(message({ appsflyer_id: 'one more' }))).status).toBe(200);
    await alone.settled(sent + 1);
    expect(await alone.stop()).toBe(0);
  });
});
