import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CopyObjectCommand, CreateBucketCommand, DeleteObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CellKind } from '../../../engine/core/cell.ts';
import { EngineError } from '../../../engine/core/errors.ts';
import { MS_PER_HOUR } from '../../../engine/core/types.ts';
import { encodeTable } from '../../../sinks/lake/encode-slot.ts';
import { FileTarget } from '../../../sinks/lake/file-target.ts';
import { HOURLY_SINK_NAME, hourlyPath, HourlySink, type HourlySinkOptions } from '../../../sinks/lake/hourly-sink.ts';
import { S3Target } from '../../../sinks/lake/s3-target.ts';
import type { LakeTarget, ObjectVersion } from '../../../sinks/lake/target.ts';
import { SinkWriter } from '../../../sinks/sink-writer.ts';
import { cellOf, joined, MemoryFeed, TEST_INSTANCE } from '../../conformance/memory-feed.ts';
import { sinkConformance, type SeenHour, type SinkSystem } from '../../conformance/sink.ts';
import { eventually } from '../../peers/redis.ts';
import { describeWithS3, S3_KEYS, startFaultProxy, startS3, type S3Server } from '../../peers/s3.ts';
import { duckdb } from '../../support/duckdb.ts';

const HOUR = Date.UTC(2026, 10, 22, 1);

const sinkOn = (target: LakeTarget, options: Partial<HourlySinkOptions> = {}): HourlySink =>
  new HourlySink({ target, instance: TEST_INSTANCE, intervalMs: 0, cellsPerHourMax: 10_000, encodeTable, warn: () => undefined, pause: () => Promise.resolve(), ...options });

/** Reads what an hour's object says of a campaign; one content is asked of DuckDB once. */
function hourReader(scratch: string): (bytes: Uint8Array | null, campaign: string) => Promise<SeenHour | null> {
  let known = Buffer.alloc(0);
  let seen = new Map<unknown, SeenHour>();
  return async (bytes, campaign) => {
    if (bytes === null) return null;
    if (!known.equals(bytes)) {
      known = Buffer.from(bytes);
      const file = join(scratch, 'read.parquet');
      writeFileSync(file, bytes);
      const rows = await duckdb(`select campaign_id, max(generation) as generation, sum(revision)::bigint as revision, sum(installs)::bigint as total from '${file}' group by 1`);
      seen = new Map(rows.map((row) => [row['campaign_id'], { generation: Number(row['generation']), revision: Number(row['revision']), total: Number(row['total']) }]));
    }
    return seen.get(campaign) ?? null;
  };
}

async function startDirectory(): Promise<SinkSystem> {
  const root = mkdtempSync(join(tmpdir(), 'millrace-hourly-'));
  const lake = join(root, 'lake');
  const reader = new FileTarget(`file:${lake}`);
  const seenIn = hourReader(root);
  let failing = false;
  return {
    keysFailTogether: true,
    createSink: () => sinkOn(new FileTarget(`file:${lake}`), { encodeTable: (table) => (failing ? Promise.reject(new Error('no memory')) : encodeTable(table)) }),
    readHour: async (key, hour) => seenIn(await reader.get(hourlyPath(hour), 10_000_000), key),
    forget: async () => rmSync(lake, { recursive: true, force: true }),
    copy: async () => {
      const copy = join(root, 'copy');
      cpSync(lake, copy, { recursive: true });
      return async () => {
        renameSync(lake, `${lake}-lost`);
        renameSync(copy, lake);
      };
    },
    goAway: async () => {
      mkdirSync(lake, { recursive: true });
      renameSync(lake, `${lake}-away`);
      writeFileSync(lake, '');
    },
    comeBack: async () => {
      unlinkSync(lake);
      renameSync(`${lake}-away`, lake);
    },
    refuse: async (key) => {
      failing = key !== null;
    },
    stop: async () => rmSync(root, { recursive: true, force: true }),
  };
}

sinkConformance('the hourly sink on a directory', startDirectory);

describeWithS3('minio', 'the hourly sink in a bucket', () => {
  let server: S3Server;
  let admin: S3Client;
  let systems = 0;
  beforeAll(async () => {
    server = await startS3('minio');
    admin = new S3Client({ endpoint: server.endpoint, region: 'us-east-1', credentials: S3_KEYS, forcePathStyle: true });
    await admin.send(new CreateBucketCommand({ Bucket: 'lake' }));
  });
  afterAll(async () => {
    admin.destroy();
    await server.stop();
  });

  sinkConformance('MinIO', async (): Promise<SinkSystem> => {
    const prefix = `system-${systems++}`;
    const proxy = await startFaultProxy(server.endpoint);
    const scratch = mkdtempSync(join(tmpdir(), 'millrace-hourly-'));
    const seenIn = hourReader(scratch);
    const targetAt = (endpoint: string): S3Target =>
      new S3Target({ url: `s3://lake/${prefix}?endpoint=${endpoint}&path_style=true`, credentials: S3_KEYS, requestTimeoutMs: 30_000, warn: () => undefined });
    const target = targetAt(proxy.endpoint);
    const reader = targetAt(server.endpoint);
    const keys = async (): Promise<string[]> => {
      const { Contents } = await admin.send(new ListObjectsV2Command({ Bucket: 'lake', Prefix: `${prefix}/` }));
      return (Contents ?? []).flatMap(({ Key }) => Key ?? []);
    };
    return {
      keysFailTogether: true,
      createSink: () => sinkOn(target),
      readHour: async (key, hour) => seenIn(await reader.get(hourlyPath(hour), 10_000_000), key),
      forget: async () => {
        for (const Key of await keys()) await admin.send(new DeleteObjectCommand({ Bucket: 'lake', Key }));
      },
      copy: async () => {
        const held = await keys();
        const copyKey = (key: string): string => key.replace(prefix, `${prefix}-copy`);
        for (const key of held) await admin.send(new CopyObjectCommand({ Bucket: 'lake', Key: copyKey(key), CopySource: `lake/${key}` }));
        return async () => {
          for (const Key of await keys()) if (!held.includes(Key)) await admin.send(new DeleteObjectCommand({ Bucket: 'lake', Key }));
          // By name the marker comes last, so that the lake is not fed again while it is being restored.
          for (const Key of held) await admin.send(new CopyObjectCommand({ Bucket: 'lake', Key, CopySource: `lake/${copyKey(Key)}` }));
        };
      },
      goAway: async () => {
        proxy.decide = () => ({ type: 'reset' });
      },
      comeBack: async () => {
        proxy.decide = () => ({ type: 'pass' });
      },
      refuse: async (key) => {
        proxy.decide = (method, path) => (key !== null && method === 'PUT' && path.includes('hourly') ? { type: 'answer', status: 503, code: 'SlowDown' } : { type: 'pass' });
      },
      stop: async () => {
        await Promise.all([target.close(), reader.close(), proxy.stop()]);
        rmSync(scratch, { recursive: true, force: true });
      },
    };
  });
});

describe('the objects of hourly/', () => {
  let root: string;
  let target: CountingTarget;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'millrace-hourly-'));
    target = new CountingTarget(`file:${root}`);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  /** Remembers what was written under a version. */
  class CountingTarget extends FileTarget {
    readonly written: { readonly name: string; readonly revision: bigint }[] = [];

    putMs = 0;

    override async putVersioned(name: string, bytes: Uint8Array, version: ObjectVersion): Promise<'written' | 'refused'> {
      await sleep(this.putMs);
      const outcome = await super.putVersioned(name, bytes, version);
      if (outcome === 'written') this.written.push({ name, revision: version.revision });
      return outcome;
    }
  }

  const cell = (kind: CellKind, hour: number, campaign: string, installs: number, micros: number, more: object = {}) =>
    cellOf({ kind, windowStartMs: HOUR + hour * MS_PER_HOUR, dimensions: joined(campaign, 'com.app', 'facebook', 'DE', 'phone'), measures: [installs, 1, micros], records: installs, ...more });

  test('hold a row per cell with dimensions, labels, measures, money as micros and decimal, the breakdown and whether it is final', async () => {
    const feed = new MemoryFeed();
    feed.generation = 7;
    feed.put(cell(CellKind.hour, 0, 'c-ü', 3, -13_610_001, { breakdown: { b: 2, a: 1 }, revision: 5, final: true, labels: [{ timeMs: 1, text: 'Sommer' }, { timeMs: 1, text: 'name' }] }));
    feed.put(cell(CellKind.day, 0, 'c-ü', 99, 0));
    await sinkOn(target).write(feed.changedSince(0, 100), feed);
    const rows = await duckdb(`select *, epoch_ms(window_start)::bigint as start, event_date::varchar as date, hour::int as hour_number from read_parquet('${root}/hourly/*/*/*.parquet', hive_partitioning = true)`);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({
      start: String(HOUR),
      date: '2026-11-22',
      hour_number: 1,
      late: false,
      campaign_id: 'c-ü',
      app_id: 'com.app',
      country: 'DE',
      campaign: 'Sommer',
      campaign_id_kind: 'name',
      records: '3',
      installs: '3',
      revenue_micros: '-13610001',
      revenue: '-13.610001',
      by_event: '{"a":1,"b":2}',
      revision: '5',
      generation: '7',
      final: true,
    });
  });

  test('a day is the sum of its hours and their late cells, to the unit and the micro', async () => {
    const feed = new MemoryFeed();
    for (let hour = 0; hour < 5; hour++) {
      feed.put(cell(CellKind.hour, hour, 'a', hour + 1, 1_000_001 * hour), cell(CellKind.late, hour, 'a', 10, -3));
    }
    await sinkOn(target).write(feed.changedSince(0, 100), feed);
    const sums = await duckdb(`select late, sum(installs)::bigint as installs, sum(revenue) as revenue from read_parquet('${root}/hourly/*/*/*.parquet') group by late order by late`);
    expect(sums).toEqual([
      { late: false, installs: '15', revenue: '10.000010' },
      { late: true, installs: '50', revenue: '-0.000015' },
    ]);
  });

  test('a late record alone rewrites its hour whole', async () => {
    const feed = new MemoryFeed();
    const sink = sinkOn(target);
    feed.put(cell(CellKind.hour, 0, 'a', 1, 0, { revision: 4 }), cell(CellKind.hour, 1, 'a', 1, 0));
    await sink.write(feed.changedSince(0, 100), feed);
    const mark = feed.latest;
    feed.put(cell(CellKind.late, 0, 'a', 1, 0, { revision: 9 }));
    await sink.write(feed.changedSince(mark, 100), feed);
    expect(target.written.at(-1)).toEqual({ name: hourlyPath(HOUR), revision: 13n });
    expect(target.written).toHaveLength(3);
    expect(await duckdb(`select count(*)::int as rows from '${root}/${hourlyPath(HOUR)}'`)).toEqual([{ rows: 2 }]);
  });

  test('an hour is written once for many batches of changes that it holds already', async () => {
    const feed = new MemoryFeed();
    const sink = sinkOn(target);
    await sink.open();
    for (let index = 0; index < 100; index++) feed.put(cell(CellKind.hour, index % 3, `c-${index}`, 1, 0));
    for (let mark = 0; mark < feed.latest; ) {
      const changed = feed.changedSince(mark, 10);
      await sink.write(changed, feed);
      mark = changed.mark;
    }
    expect(target.written).toHaveLength(3);
    feed.put(cell(CellKind.hour, 1, 'c-1', 2, 0, { revision: 2 }));
    await sink.write(feed.changedSince(100, 10), feed);
    expect(target.written).toHaveLength(4);
  });

  test('a write that takes several timeouts settles in the end, and writes no quiet hour twice, though others change all the time', async () => {
    const feed = new MemoryFeed();
    for (let hour = 0; hour < 30; hour++) feed.put(cell(CellKind.hour, hour, 'quiet', 1, 0));
    target.putMs = 100;
    const writer = new SinkWriter({ sink: sinkOn(target), feed, timings: { attemptTimeoutMs: 300, backoffMinMs: 10, backoffMaxMs: 20 } });
    let revision = 0;
    const busy = setInterval(() => feed.put(cell(CellKind.hour, 30, 'busy', 1, 0, { revision: ++revision })), 3);
    try {
      writer.start();
      await eventually(() => expect(feed.settledMark(HOURLY_SINK_NAME)).toBeGreaterThan(30));
    } finally {
      clearInterval(busy);
      await writer.close(1_000);
    }
    expect(writer.health().failures).toBeGreaterThan(1);
    expect(target.written.filter(({ name }) => name !== hourlyPath(HOUR + 30 * MS_PER_HOUR))).toHaveLength(30);
  });

  test('an hour with too many cells is refused with the fix, not cut', async () => {
    const feed = new MemoryFeed();
    for (let index = 0; index < 11; index++) feed.put(cell(CellKind.hour, 0, `c-${index}`, 1, 0));
    await expect(sinkOn(target, { cellsPerHourMax: 10 }).write(feed.changedSince(0, 100), feed)).rejects.toMatchObject({
      code: 'SINK_REFUSED',
      fix: expect.stringContaining('hourly_cells_max') as string,
    });
    expect(target.written).toEqual([]);
  });

  test('an hour with too many cells keeps no other hour from the lake, and costs nothing at each repeat', async () => {
    const feed = new MemoryFeed();
    for (let index = 0; index < 50; index++) feed.put(cell(CellKind.hour, 0, `c-${index}`, 1, 0));
    feed.put(cell(CellKind.hour, 1, 'a', 1, 0), cell(CellKind.hour, 2, 'a', 1, 0));
    let reads = 0;
    const window = feed.window.bind(feed);
    feed.window = (kind, windowStartMs, resultKey, limit) => {
      if (windowStartMs === HOUR) reads++;
      return window(kind, windowStartMs, resultKey, limit);
    };
    const writer = new SinkWriter({ sink: sinkOn(target, { cellsPerHourMax: 10 }), feed, timings: { cellsPerWriteMax: 5, backoffMinMs: 5, backoffMaxMs: 10 } });
    try {
      writer.start();
      await eventually(() => expect(target.written.map(({ name }) => name).sort()).toEqual([1, 2].map((hour) => hourlyPath(HOUR + hour * MS_PER_HOUR))));
      feed.put(cell(CellKind.hour, 2, 'a', 2, 0, { revision: 2 }));
      await eventually(() => expect(target.written).toHaveLength(3));
      const { failures } = writer.health();
      await eventually(() => expect(writer.health().failures).toBeGreaterThan(failures + 3));
    } finally {
      await writer.close(1_000);
    }
    expect(target.written).toHaveLength(3);
    expect(reads).toBe(2);
    expect(writer.health()).toMatchObject({ healthy: false, settledMark: 0, lastError: expect.stringContaining(hourlyPath(HOUR)) as string });
  });

  test('an hour with too many cells is tried again no sooner than the interval', async () => {
    const feed = new MemoryFeed();
    for (let index = 0; index < 11; index++) feed.put(cell(CellKind.hour, 0, `c-${index}`, 1, 0));
    await expect(sinkOn(target, { cellsPerHourMax: 10, intervalMs: 60_000 }).write(feed.changedSince(0, 100), feed)).rejects.toMatchObject({ retryAfterMs: 60_000 });
  });

  test('a lake that was emptied between two writes is noticed when it is next marked, and its quiet hours are written again', async () => {
    const feed = new MemoryFeed();
    const sink = sinkOn(target);
    await sink.open();
    feed.put(cell(CellKind.hour, 0, 'quiet', 1, 0));
    await sink.write(feed.changedSince(0, 10), feed);
    await sink.mark({ instance: TEST_INSTANCE, generation: 1, settled: 1 });
    rmSync(root, { recursive: true });
    feed.put(cell(CellKind.hour, 1, 'busy', 1, 0));
    await sink.write(feed.changedSince(1, 10), feed);
    await expect(sink.mark({ instance: TEST_INSTANCE, generation: 1, settled: 2 })).rejects.toMatchObject({ code: 'SINK_REFUSED', retryable: true });
    expect(await sink.open()).toBeNull();
    await sink.mark({ instance: TEST_INSTANCE, generation: 1, settled: 0 });
    await sink.write(feed.changedSince(0, 10), feed);
    await sink.mark({ instance: TEST_INSTANCE, generation: 1, settled: 2 });
    expect(await duckdb(`select count(*)::int as rows from read_parquet('${root}/hourly/*/*/*.parquet')`)).toEqual([{ rows: 2 }]);
  });

  test('a lake that went away and came back as an older copy with the same marker gets what the copy lacks', async () => {
    const feed = new MemoryFeed();
    const sink = sinkOn(target);
    await sink.open();
    feed.put(cell(CellKind.hour, 0, 'a', 1, 0));
    await sink.write(feed.changedSince(0, 10), feed);
    await sink.mark({ instance: TEST_INSTANCE, generation: 1, settled: 1 });
    cpSync(root, `${root}-copy`, { recursive: true });
    feed.put(cell(CellKind.hour, 0, 'a', 2, 0, { revision: 2 }), cell(CellKind.hour, 1, 'b', 1, 0));
    await sink.write(feed.changedSince(1, 10), feed);
    rmSync(root, { recursive: true });
    renameSync(`${root}-copy`, root);
    expect(await sink.open()).toMatchObject({ settled: 1 });
    await sink.write(feed.changedSince(1, 10), feed);
    await sink.mark({ instance: TEST_INSTANCE, generation: 1, settled: feed.latest });
    expect(await duckdb(`select sum(installs)::int as installs from read_parquet('${root}/hourly/*/*/*.parquet')`)).toEqual([{ installs: 3 }]);
    // And nothing is written that is there.
    const { length } = target.written;
    await sink.open();
    await sink.write(feed.changedSince(1, 10), feed);
    expect(target.written).toHaveLength(length);
  });

  test('a marker that arrived though its writing failed is no sign of another lake', async () => {
    const feed = new MemoryFeed();
    const sink = sinkOn(target);
    await sink.open();
    await sink.mark({ instance: TEST_INSTANCE, generation: 1, settled: 0 });
    feed.put(cell(CellKind.hour, 0, 'a', 1, 0));
    await sink.write(feed.changedSince(0, 10), feed);
    const replace = target.replace.bind(target);
    target.replace = async (name, bytes, condition) => {
      await replace(name, bytes, condition);
      throw new EngineError('SINK_UNAVAILABLE', 'the answer was lost');
    };
    await expect(sink.mark({ instance: TEST_INSTANCE, generation: 1, settled: 1 })).rejects.toMatchObject({ code: 'SINK_UNAVAILABLE' });
    target.replace = replace;
    expect(await sink.open()).toMatchObject({ settled: 1 });
    await sink.write(feed.changedSince(0, 10), feed);
    expect(target.written).toHaveLength(1);
  });

  test('another instance in the same lake is told of once', async () => {
    const warnings: string[] = [];
    await sinkOn(target, { instance: 'f'.repeat(32) }).mark({ instance: 'f'.repeat(32), generation: 1, settled: 1 });
    const sink = sinkOn(target, { warn: (message) => warnings.push(message) });
    expect(await sink.open()).toBeNull();
    await sink.open();
    expect(warnings).toHaveLength(1);
  });

  test('a marker that is no marker counts as none', async () => {
    await target.put(`millrace/marker-${TEST_INSTANCE}.json`, Buffer.from('{"instance":"x","settled":"9"}'));
    expect(await sinkOn(target).open()).toBeNull();
  });
});
