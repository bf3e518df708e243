/** Savepoints of the built daemon: taken under load, restored elsewhere, whole. */

import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MS_PER_DAY } from '../../../engine/core/types.ts';
import { awayFromBoundary } from '../../support/boundaries.ts';
import { message, runCli, type TestDaemon } from '../../support/daemon.ts';
import { Load, conserved, expectExact, pause, totalsOf } from '../../support/load.ts';
import { duckdb } from '../../support/duckdb.ts';
import { SLOT_BYTES } from '../../support/feed.ts';
import { MIB, copyAll, useDaemons } from './harness.ts';

const { directory, refused, scratch, started } = useDaemons();

const generationIn = (directory: string): number => (JSON.parse(readFileSync(join(directory, 'instance.json'), 'utf8')) as { generation: number }).generation;
const sum = (totals: ReadonlyMap<string, { readonly events: number }>): number => [...totals.values()].reduce((events, total) => events + total.events, 0);

describe('a savepoint', () => {
  it.each(['1', '2'])('taken under load and restored elsewhere holds at least what was acknowledged before, and the books balance: %s ingress threads', async (ingresses) => {
    const source = await started({ dataDir: scratch.path, env: { MILLRACE_CHECKPOINT_INTERVAL_MS: '2000', MILLRACE_THREADS_INGRESS: ingresses } });
    const load = new Load({ url: source.ingest, requestsPerSecond: 40, batch: 20, name: 'savepoint' });
    await pause(2_500);
    const before = load.acknowledged;
    const [savepoint, target] = [join(scratch.path, 'savepoint'), join(scratch.path, 'restored')];
    const taken = await runCli(['savepoint', 'take', savepoint, '--admin', source.admin]);
    expect(taken.stderr).toBe('');
    expect(taken.code).toBe(0);
    const atMost = load.acknowledged;
    await pause(300);
    const report = await load.stop();
    expect([...report.refusals, ...report.failures]).toEqual([]);
    await expectExact(source, 'savepoint', report);

    expect((await runCli(['savepoint', 'restore', savepoint, '--into', target])).code).toBe(0);
    expect(generationIn(target)).toBeGreaterThan(generationIn(scratch.path));
    const restored = await started({ dataDir: target });
    let [held, counted] = [0, 0];
    await restored.until(
      async () => {
        const { conservation } = await restored.pipeline();
        expect(conserved(conservation)).toBe(true);
        [held, counted] = [sum(await totalsOf(restored, 'savepoint')), conservation.accepted];
        return held > 0 && held === counted;
      },
      30_000,
      () => `${counted} accepted events in the rows; they hold ${held}`,
    );
    await pause(200);
    expect(sum(await totalsOf(restored, 'savepoint'))).toBe(held);
    expect(held).toBeGreaterThanOrEqual(before);
    // Requests in flight while it was taken may be in it.
    expect(held).toBeLessThanOrEqual(atMost + 64 * 20);

    expect((await restored.push(message({ appsflyer_id: 'after', af_c_id: 'savepoint-after' }))).status).toBe(200);
    await restored.until(async () => (await restored.hourly('campaign_id=savepoint-after')).rows.length === 1, 30_000, 'the restored daemon to count');
    expect(await restored.stop()).toBe(0);
    expect(await source.stop()).toBe(0);
  });

  it('of a quiet daemon gives the same rows, dead letters and dedupe', async () => {
    const source = await started({ dataDir: scratch.path });
    const event = message({ appsflyer_id: 'twice' });
    for (const body of [event, message({ appsflyer_id: 'once' }), '{"broken":']) await source.push(body);
    await source.settled(3);
    const [savepoint, target] = [join(scratch.path, 'savepoint'), join(scratch.path, 'restored')];
    expect((await runCli(['savepoint', 'take', savepoint, '--admin', source.admin])).code).toBe(0);
    const rows = (await source.hourly('')).rows;
    expect(await source.stop()).toBe(0);
    expect((await runCli(['savepoint', 'restore', savepoint, '--into', target])).code).toBe(0);
    const restored = await started({ dataDir: target });
    const comparable = (from: readonly Record<string, unknown>[]): unknown => from.map((row) => ({ ...row, revision: 0 }));
    expect(comparable((await restored.hourly('')).rows)).toEqual(comparable(rows));
    expect((await restored.get<{ letters: { bytes: string }[] }>('/v1/dead-letters')).letters.map((letter) => letter.bytes)).toEqual(['{"broken":']);
    await restored.push(event);
    const { conservation } = await restored.settled(4);
    expect(conservation).toEqual({ received: 4, accepted: 2, duplicate: 1, late: 0, rejected: 1 });
  });

  it('goes on from checkpoints of its own, so that it needs no log of before them', async () => {
    const offsetsIn = async (path: string): Promise<number[]> => {
      const { partitions } = JSON.parse((await runCli(['inspect', '--json'], { MILLRACE_DATA_DIR: path })).stdout) as { partitions: readonly { offset: number }[] };
      return partitions.map(({ offset }) => offset);
    };
    const source = await started({ dataDir: scratch.path, env: { MILLRACE_CHECKPOINT_INTERVAL_MS: '500' } });
    await source.push(message());
    await source.settled(1);
    let covered: number[] = [];
    await source.until(async () => {
      covered = await offsetsIn(scratch.path);
      return covered.length === 32 && covered.every((offset) => offset > 0);
    }, 30_000, 'every partition to have a checkpoint');
    const [savepoint, target] = [join(scratch.path, 'savepoint'), join(scratch.path, 'restored')];
    expect((await runCli(['savepoint', 'take', savepoint, '--admin', source.admin])).code).toBe(0);
    expect(await source.stop()).toBe(0);
    expect((await runCli(['savepoint', 'restore', savepoint, '--into', target])).code).toBe(0);
    const held = await offsetsIn(target);
    expect(held.filter((offset, partition) => offset < (covered[partition] ?? Infinity))).toEqual([]);
    expect(held).toHaveLength(32);
  });

  it('names the files of the lake that were written after it: without them a new life writes every event once', { timeout: 300_000 }, async () => {
    // A slot also ends with its day: here only what is sent may end one.
    await awayFromBoundary(MS_PER_DAY, 90_000);
    const lake = join(scratch.path, 'shared-lake');
    const env = { MILLRACE_LAKE_URL: `file:${lake}`, MILLRACE_LAKE_SLOT_BYTES_MAX: String(16 * MIB), MILLRACE_LAKE_SLOT_MINUTES: '1440' };
    const source = await started({ dataDir: scratch.path, env });
    const written = (): string[] => (existsSync(join(lake, 'events')) ? readdirSync(join(lake, 'events'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.parquet')).sort() : []);
    /** Ends a slot: its files are there afterwards. */
    const fillSlot = async (daemon: TestDaemon, name: string): Promise<void> => {
      const before = written().length;
      for (const half of ['a', 'b']) {
        const events = Array.from({ length: 9 }, (_, at) => message({ appsflyer_id: `${name}-${half}-${at}`, filler: 'x'.repeat(1_000_000) }));
        const answer = await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body: events.map((event) => JSON.stringify(event)).join('\n'), headers: { 'content-type': 'application/x-ndjson' } });
        expect(answer.status).toBe(200);
      }
      await daemon.until(() => written().length > before, 60_000, `the files of slot ${name}; there are ${written().join(', ')}`);
    };
    await fillSlot(source, 'before');
    const kept = written();
    const [savepoint, target] = [join(scratch.path, 'savepoint'), join(scratch.path, 'restored')];
    expect((await runCli(['savepoint', 'take', savepoint, '--admin', source.admin])).code).toBe(0);
    await fillSlot(source, 'lost');
    await fillSlot(source, 'again');
    await source.kill();

    const { stdout } = await runCli(['savepoint', 'restore', savepoint, '--into', target]);
    const last = /first remove the files of its events\/ whose names sort after (\S+) /.exec(stdout)?.[1] ?? '';
    for (const name of written()) if (basename(name) > `${last}-part9999`) rmSync(join(lake, 'events', name));
    expect(written()).toEqual(kept);
    const restored = await started({ dataDir: target, env });
    await fillSlot(restored, 'again');
    expect(await restored.stop()).toBe(0);
    expect(await duckdb(`select count(*)::int as events, count(distinct event_id)::int as ids from read_parquet('${lake}/events/*/*.parquet')`)).toEqual([{ events: 36, ids: 36 }]);
  });

  it('is refused where something is already, and an aborted one cannot be restored', async () => {
    const source = await started({ dataDir: scratch.path });
    const savepoint = join(scratch.path, 'savepoint');
    expect((await runCli(['savepoint', 'take', savepoint, '--admin', source.admin])).code).toBe(0);
    const twice = await runCli(['savepoint', 'take', savepoint, '--admin', source.admin]);
    expect(twice.code).not.toBe(0);
    expect(twice.stderr).toMatch(/exists already/);
    expect(await runCli(['savepoint', 'restore', savepoint, '--into', scratch.path])).toMatchObject({ code: 4, stderr: expect.stringMatching(/exists already/) as unknown });
    rmSync(join(savepoint, 'savepoint.json'));
    expect(await runCli(['savepoint', 'restore', savepoint, '--into', join(scratch.path, 'restored')])).toMatchObject({ code: 4, stderr: expect.stringMatching(/no complete savepoint/) as unknown });
    expect(existsSync(join(scratch.path, 'restored'))).toBe(false);
    const nowhere = await runCli(['savepoint', 'take', '/proc/nowhere/savepoint', '--admin', source.admin]);
    expect(nowhere.code).not.toBe(0);
    expect(nowhere.stderr).toMatch(/cannot be written/);
    expect((await fetch(`${source.admin}/readyz`)).status).toBe(200);
  });

  it('of a journal without its beginning is no replay: it says so and ends', async () => {
    const source = await started({ dataDir: scratch.path, env: { MILLRACE_JOURNAL_BYTES_MAX: String(64 * MIB), MILLRACE_LAKE_SLOT_BYTES_MAX: String(SLOT_BYTES), MILLRACE_CHECKPOINT_INTERVAL_MS: '500' } });
    const firstSegment = (): string | undefined => readdirSync(join(scratch.path, 'journal')).filter((name) => name !== 'journal.json').sort()[0];
    const first = firstSegment();
    for (let request = 0; request < 36; request++) {
      const lines = Array.from({ length: 1_000 }, (_, index) => JSON.stringify(message({ appsflyer_id: `u-${request}-${index}`, af_sub5: 'x'.repeat(1_600) })));
      expect((await fetch(`${source.ingest}/v1/events`, { method: 'POST', body: lines.join('\n'), headers: { 'content-type': 'application/x-ndjson' } })).status).toBe(200);
    }
    await source.until(() => firstSegment() !== first, 60_000, 'the first segment to be used again');
    expect(await source.stop()).toBe(0);
    expect(await runCli(['replay', '--from', scratch.path, '--into', join(scratch.path, 'replayed')])).toMatchObject({ code: 5, stderr: expect.stringMatching(/^millrace: CHECKPOINT_BEFORE_LOG: .*offset 0/m) as unknown });
  });

  it('is not restored or replayed into a place where no directory can be made: 4 and one line', async () => {
    const source = await started({ dataDir: scratch.path });
    const savepoint = join(scratch.path, 'savepoint');
    expect((await runCli(['savepoint', 'take', savepoint, '--admin', source.admin])).code).toBe(0);
    for (const command of [['savepoint', 'restore', savepoint], ['replay', '--from', scratch.path]]) {
      expect(await runCli([...command, '--into', '/proc/nowhere/data'])).toMatchObject({ code: 4, stderr: expect.stringMatching(/^millrace: DATA_DIR_UNUSABLE: .*\/proc\/nowhere.*\n$/) as unknown });
    }
  });

  it('that the end of the daemon cuts off is told as that, and the daemon ends well', async () => {
    const env = { MILLRACE_CHECKPOINT_INTERVAL_MS: '500' };
    let source = await started({ dataDir: scratch.path, env });
    // Rejected records make state files large enough for a copy that takes a while.
    const body = Array.from({ length: 60 }, (_, at) => `${at} ${'x'.repeat(250_000)}`).join('\n');
    for (let request = 0; request < 12; request++) await fetch(`${source.ingest}/v1/events`, { method: 'POST', body: `${body}\n${request}`, headers: { 'content-type': 'application/x-ndjson' } });
    await source.settled(12 * 61);
    // A copy may be whole before the end has come: then the next one is cut off.
    for (let attempt = 0; ; attempt++) {
      const savepoint = join(scratch.path, `savepoint-${attempt}`);
      const taking = runCli(['savepoint', 'take', savepoint, '--admin', source.admin]);
      await source.until(() => existsSync(join(savepoint, 'state')) && readdirSync(join(savepoint, 'state')).length > 0, 30_000, 'the first copy');
      expect(await source.stop()).toBe(0);
      const taken = await taking;
      source = await started({ dataDir: scratch.path, env });
      if (taken.code === 0 && attempt < 5) continue;
      expect(taken).toMatchObject({ code: 1, stderr: expect.stringMatching(/NOT_READY: .*cut off.*ending/) as unknown });
      expect(existsSync(join(savepoint, 'savepoint.json'))).toBe(false);
      break;
    }
  });

  it('itself cannot be started as a data directory', async () => {
    const source = await started({ dataDir: scratch.path });
    const savepoint = join(scratch.path, 'savepoint');
    expect((await runCli(['savepoint', 'take', savepoint, '--admin', source.admin])).code).toBe(0);
    expect((await refused({ dataDir: savepoint })).code).toBe(4);
  });
});

describe('a copy by hand of a running directory', () => {
  it('is refused, whether its daemon still runs or was killed', async () => {
    const path = directory('data');
    const source = await started({ dataDir: path });
    await source.push(message());
    copyAll(path, join(scratch.path, 'copy'));
    await source.kill();
    expect((await refused({ dataDir: join(scratch.path, 'copy') })).code).toBe(4);
    const again = await started({ dataDir: path });
    expect((await again.pipeline()).conservation.received).toBe(1);
  });
});
