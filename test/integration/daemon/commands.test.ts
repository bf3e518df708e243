/** The commands beside `start`: check, inspect, generate. */

import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { appsflyerPipeline } from '../../../actors/appsflyer/pipeline.ts';
import { PARTITION_TABLES, Partition } from '../../../actors/partition/index.ts';
import { resultSchema } from '../../../engine/core/pipeline.ts';
import { MS_PER_DAY, partitionId } from '../../../engine/core/types.ts';
import { partitionFile } from '../../../engine/runtime/actor-loop.ts';
import { readInstance, type InstanceFacts } from '../../../engine/runtime/data-directory.ts';
import { openStore } from '../../../engine/state/index.ts';
import { LIVE_TABLES, LiveStore } from '../../../sinks/live/index.ts';
import { appsflyerTime, message, runCli } from '../../support/daemon.ts';
import { MIB, useDaemons } from './harness.ts';

const { scratch, started } = useDaemons();

describe('millrace check', () => {
  it('prints the disk that the settings need at a rate, and what to change', async () => {
    const small = await runCli(['check', '--rate', '100000'], { MILLRACE_DATA_DIR: scratch.path });
    expect(small.code).toBe(0);
    expect(small.stdout).toMatch(/journal .*MiB\/s to disk.*keep .* h of the 24 h asked for/);
    expect(small.stdout).toMatch(/disk in all +about .*GiB/);
    expect(small.stdout).toMatch(/the configuration is valid/);
    const large = await runCli(['check', '--rate', '10000000'], { MILLRACE_DATA_DIR: scratch.path });
    expect(large.stdout).toMatch(/warning: .*journal\.retention_hours/);
    expect(readdirSync(scratch.path)).toEqual([]);
  });

  it('refuses what start would refuse, such as a dedupe horizon that Pull outlasts, and warns where rows of Pull are sent in otherwise', async () => {
    expect(await runCli(['check'], { MILLRACE_DATA_DIR: scratch.path, MILLRACE_EMIT_INTERVAL_MS: '0' })).toMatchObject({ code: 2, stderr: expect.stringMatching(/emit\.interval_ms/) as unknown });
    expect(await runCli(['check'], { MILLRACE_DATA_DIR: scratch.path, MILLRACE_DEDUPE_MODE: 'push+pull-seconds' })).toMatchObject({ code: 0, stdout: expect.stringMatching(/identities in 24 h.*warning: dedupe\.horizon_hours is below the 48 h/s) as unknown });
    const pull = { MILLRACE_DATA_DIR: scratch.path, MILLRACE_DEDUPE_MODE: 'push+pull-seconds', MILLRACE_PULL_APPS: 'com.example.shop', MILLRACE_PULL_TOKEN: 'secret' };
    expect(await runCli(['check'], pull)).toMatchObject({ code: 0, stdout: expect.stringMatching(/identities in 72 h/) as unknown });
    expect(await runCli(['check'], { ...pull, MILLRACE_PULL_OVERLAP_HOURS: '73' })).toMatchObject({ code: 2, stderr: expect.stringMatching(/dedupe\.horizon_hours: 72: shorter than the 73 h/) as unknown });
    expect(await runCli(['nonsense'])).toMatchObject({ code: 2 });
  });
});

describe('millrace inspect', () => {
  it('tells of journal and checkpoints beside the running daemon, and changes nothing', async () => {
    const daemon = await started({ dataDir: scratch.path });
    await daemon.push(message());
    await daemon.settled(1);
    const beside = await runCli(['inspect', '--json'], { MILLRACE_DATA_DIR: scratch.path });
    expect(beside.code).toBe(0);
    const report = JSON.parse(beside.stdout) as { instance: string; partitions: unknown[]; journal: object };
    expect(report.instance).toMatch(/^[0-9a-f]{32}$/);
    expect(report.journal).toBeTypeOf('object');
    expect((await daemon.push(message({ appsflyer_id: 'after' }))).status).toBe(200);
    await daemon.settled(2);
    expect(await daemon.stop()).toBe(0);
    const [first, second] = [await runCli(['inspect', '--state-hash'], { MILLRACE_DATA_DIR: scratch.path }), await runCli(['inspect', '--state-hash'], { MILLRACE_DATA_DIR: scratch.path })];
    expect(first.stdout).toMatch(/^[0-9a-f]{64}\n$/);
    expect(second.stdout).toBe(first.stdout);
  });

  it('hashes merged cells as far back as the rules of the directory keep them', async () => {
    const daemon = await started({ dataDir: scratch.path, env: { MILLRACE_CELLS_RETENTION_DAYS: '60', MILLRACE_PARTITIONS: '1' } });
    for (const daysAgo of [0, 50]) await daemon.push(message({ appsflyer_id: `days-${daysAgo}`, event_time: appsflyerTime(Date.now() - daysAgo * MS_PER_DAY) }));
    await daemon.settled(2);
    expect(await daemon.stop()).toBe(0);
    const { stdout } = await runCli(['inspect', '--state-hash'], { MILLRACE_DATA_DIR: scratch.path });
    expect(stdout).toBe(`${await hashOfState(60)}\n`);
    expect(stdout).not.toBe(`${await hashOfState(40)}\n`);
  });

  it('ends with 4 where there is no data directory', async () => {
    expect(await runCli(['inspect'], { MILLRACE_DATA_DIR: join(scratch.path, 'nothing') })).toMatchObject({ code: 4 });
    expect(existsSync(join(scratch.path, 'nothing'))).toBe(false);
  });
});

describe('millrace tail', () => {
  it('shows the last records, of one app or all, and ends with 2 for a question that cannot be', async () => {
    const daemon = await started({ dataDir: scratch.path });
    for (const [at, app] of ['com.one', 'com.two', 'com.one'].entries()) await daemon.push(message({ app_id: app, appsflyer_id: `tail-${at}` }));
    await daemon.settled(3);
    const all = await runCli(['tail', '--admin', daemon.admin, '--limit', '2']);
    expect([all.code, all.stdout.trimEnd().split('\n').map((line) => /app_id=(\S+)/.exec(line)?.[1])]).toEqual([0, ['com.two', 'com.one']]);
    const one = await runCli(['tail', '--admin', daemon.admin, '--app', 'com.two', '--json']);
    expect(JSON.parse(one.stdout)).toMatchObject({ outcome: 'accepted', event: { app_id: 'com.two' } });
    expect(await runCli(['tail', '--admin', daemon.admin, '--limit', '600'])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/limit: "600".*500/) as unknown });
    expect((await fetch(`${daemon.admin}/v1/tail?after=abc`)).status).toBe(400);
  });

  it('follows every record of several threads, each once', async () => {
    const daemon = await started({ dataDir: scratch.path, env: { MILLRACE_THREADS_ACTORS: '3' } });
    let { cursor } = await daemon.get<{ cursor: string }>('/v1/tail');
    const count = 400;
    const sending = (async () => {
      for (let at = 0; at < count; at += 20) await Promise.all(Array.from({ length: 20 }, (_, of) => daemon.push(message({ appsflyer_id: `follow-${at + of}` }))));
    })();
    const seen: string[] = [];
    await daemon.until(
      async () => {
        const page = await daemon.get<{ records: { batch: number; index: number }[]; cursor: string }>(`/v1/tail?limit=50&after=${cursor}`);
        ({ cursor } = page);
        seen.push(...page.records.map(({ batch, index }) => `${batch}.${index}`));
        return seen.length >= count;
      },
      60_000,
      () => `${count} records to be seen; there are ${seen.length}`,
    );
    await sending;
    expect([seen.length, new Set(seen).size]).toEqual([count, count]);
  });
});

describe('millrace generate', () => {
  it('sends what it promises: the totals it expects are the totals of the daemon', async () => {
    const daemon = await started({ dataDir: scratch.path });
    const run = await runCli(['generate', '--url', daemon.ingest, '--rate', '120000', '--count', '3000', '--seed', '7', '--expect', '--garbage', '0.01', '--batch', '20']);
    expect(run.code).toBe(0);
    const expected = JSON.parse(run.stdout) as Expected;
    const { conservation } = await daemon.settled(expected.received);
    const { received, accepted, duplicate, late, rejected } = conservation;
    expect({ received, counted: accepted + late, duplicate, rejected }).toEqual({ received: expected.received, counted: expected.counted, duplicate: expected.duplicate, rejected: expected.rejected });
    let seen: Record<string, number> = {};
    await daemon.until(
      async () => {
        const { rows } = await daemon.hourly('group_by=none&late=include');
        seen = Object.fromEntries(Object.keys(expected.totals).map((measure) => [measure, rows.reduce((sum, row) => sum + Number(row[measure] ?? 0), 0)]));
        return Object.entries(expected.totals).every(([measure, value]) => seen[measure] === value);
      },
      30_000,
      () => `the totals ${JSON.stringify(expected.totals)}; they are ${JSON.stringify(seen)}`,
    );
  });

  it('makes the same messages from the same seed, and refuses nonsense', async () => {
    const args = ['generate', '--dry-run', '--count', '20', '--seed', '3', '--start', '2026-11-22T10:00:00Z'];
    const [first, second] = [await runCli(args), await runCli(args)];
    expect(first.stdout.split('\n').length).toBeGreaterThanOrEqual(20);
    expect(second.stdout).toBe(first.stdout);
    expect(await runCli(['generate', '--start', 'noon'])).toMatchObject({ code: 2 });
    expect(await runCli(['generate', '--rate', '-4'])).toMatchObject({ code: 2 });
  });
});

/** Of every partition in order, then of the live store. */
async function hashOfState(retentionDays: number): Promise<string> {
  const hash = createHash('sha256');
  const facts = readInstance(scratch.path) as InstanceFacts;
  for (let id = 0; id < facts.partitionCount; id++) {
    const store = openStore({ path: join(scratch.path, 'state', partitionFile(id)), tables: PARTITION_TABLES });
    const options = { id: partitionId(id), pipeline: appsflyerPipeline, store, dedupeMemoryBytesMax: MIB, current: new Float64Array(3), isPoison: () => false };
    hash.update(Partition.open({ ...facts, ...options }).stateHash());
    await store.close();
  }
  const store = openStore({ path: join(scratch.path, 'live/live.mdb'), tables: LIVE_TABLES });
  hash.update(await LiveStore.open({ ...facts, store, schema: resultSchema(appsflyerPipeline), retentionDays }).stateHash());
  await store.close();
  return hash.digest('hex');
}

interface Expected {
  readonly received: number;
  /** Accepted or late: which of the two depends on when a message arrives. */
  readonly counted: number;
  readonly duplicate: number;
  readonly rejected: number;
  readonly totals: Readonly<Record<string, number>>;
}
