/** Erasures in a lake of real Parquet files: in a directory, with a death at every call of the world, and in a bucket that keeps versions. */

import { CreateBucketCommand, GetObjectCommand, ListObjectVersionsCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LakeUsers, type LakeErasure } from '../../../actors/appsflyer/lake-users.ts';
import { KeyedHash } from '../../../actors/appsflyer/privacy/keyed-hash.ts';
import { systemClock } from '../../../engine/core/clock.ts';
import type { Erasure, Purge } from '../../../engine/core/erasure.ts';
import { decodeControl } from '../../../engine/core/rules.ts';
import { EraseDesk, receiptName } from '../../../engine/erase-desk.ts';
import { newPurgeReceipt, type EraseReceipt } from '../../../engine/erase-receipt.ts';
import { eraseStateIn, writeEraseState } from '../../../engine/erase-state.ts';
import { eraseRows } from '../../../sinks/lake/erase-rows.ts';
import { FileTarget } from '../../../sinks/lake/file-target.ts';
import { encodeParquet } from '../../../sinks/lake/parquet.ts';
import { S3Target } from '../../../sinks/lake/s3-target.ts';
import { TableBuilder } from '../../../sinks/lake/table-builder.ts';
import type { RewritableTarget } from '../../../sinks/lake/target.ts';
import { duckdb } from '../../support/duckdb.ts';
import { describeWithS3, S3_KEYS, startS3 } from '../../peers/s3.ts';

const SECRET = 'ab'.repeat(32);
const PRIVACY_SECRET = 'a secret of the configuration, of enough characters';
const DAY = Date.UTC(2026, 10, 22);
const APP = 'com.example.shop';
/** Log time of every erasure. */
const JOURNALED_MS = DAY + 5 * 86_400_000;

type Row = readonly [user: string | null, app?: string, properties?: string, receivedAtMs?: number, eventTimeMs?: number];

function file(rows: readonly Row[]): Uint8Array {
  const table = new TableBuilder([
    { name: 'event_id', type: 'text' },
    { name: 'user_id', type: 'text' },
    { name: 'app_id', type: 'dictionary' },
    { name: 'event_properties', type: 'text' },
    { name: 'received_at', type: 'timestamp_micros' },
    { name: 'timestamp', type: 'timestamp_micros' },
    { name: 'revenue', type: 'decimal_micros' },
    { name: 'late', type: 'boolean' },
  ]);
  rows.forEach(([user, app = APP, properties = '{}', receivedAtMs = DAY, eventTimeMs = DAY], at) => table.appendRow([`e${at}`, user, app, properties, receivedAtMs, eventTimeMs, at % 3 === 0 ? null : at * 1_000_000, at % 2 === 0]));
  return encodeParquet(table.finish());
}

const erase = (bytes: Uint8Array, erased: readonly LakeErasure[]) => eraseRows(bytes, new LakeUsers({ erased, secrets: [PRIVACY_SECRET], rotationDays: 1 }));
const nameOf = (number: number, day = '2026-11-22'): string => `events/event_date=${day}/20261122T0${number}0000Z-0000-part0000.parquet`;

interface World {
  readonly target: RewritableTarget;
  readonly stateFile: string;
  /** Called before each call of the outer world. */
  readonly before?: () => void;
}

/** A desk whose partitions fold at once what was journaled. */
function deskIn({ target, stateFile, before = () => undefined }: World, journaled: Erasure[]): EraseDesk {
  return new EraseDesk({
    state: eraseStateIn(stateFile),
    secret: SECRET,
    partitions: 2,
    retentionMs: 1_000,
    target,
    events: { rewriteSpooled: async () => (before(), 0) },
    erase: async (bytes, users) => (before(), erase(bytes, users)),
    asker: {
      ask: async <Value>() => {
        before();
        const erasures = journaled.map(({ id }, at) => ({ id, batchSequence: 7 + at, receivedAtMs: JOURNALED_MS, lettersRemoved: 1, isDone: true }));
        return [0, 1].map((partition) => [{ partition, erasures }]) as Value[];
      },
    },
    writeControl: async (bytes) => {
      before();
      const record = decodeControl(bytes);
      if (record.type === 'erase' && !journaled.some(({ id }) => id === record.erasure.id)) journaled.push(record.erasure);
    },
    clock: systemClock,
    log: { info: () => undefined, warn: () => undefined },
  });
}

async function done(desk: EraseDesk, id: string): Promise<EraseReceipt> {
  for (let looks = 0; looks < 500; looks++) {
    const receipt = await desk.receipt(id);
    if (receipt?.done === true) return receipt;
    await new Promise((settle) => setTimeout(settle, 10));
  }
  throw new Error(`erasure ${id} is not done: ${JSON.stringify(await desk.receipt(id))}`);
}

describe('an erasure in the lake', () => {
  let root: string;
  let target: FileTarget;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'millrace-erase-'));
    target = new FileTarget(`file:${root}/lake`);
  });
  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });
  const world = (): World => ({ target, stateFile: join(root, 'erasures.json') });
  const rows = async (columns = 'user_id'): Promise<unknown[]> => (await duckdb(`select ${columns} from read_parquet('${root}/lake/events/**/*.parquet') order by filename, event_id`)).map((row) => (Object.keys(row).length === 1 ? Object.values(row)[0] : Object.values(row)));

  async function fill(): Promise<void> {
    await target.put(nameOf(1), file([['gone'], ['stays'], ['gone'], ['gone', 'id5'], [null]]));
    await target.put(nameOf(2), file([['stays'], ['goner'], ['xgone']]));
    await target.put(nameOf(3, '2026-11-23'), file([['gone']]));
    await target.put(nameOf(4, '2026-11-23'), file([['a', APP, '{"customer_user_id":"gone"}'], ['b', APP, '{"note":"gone"}'], ['c', 'id5', '{"customer_user_id":"gone"}']]));
    await target.put('hourly/event_date=2026-11-22/hour=01/metrics.parquet', Buffer.from('not looked at'));
  }

  it('takes the rows of one user of one app, leaves all others as they are, and an empty file where there was nobody else', async () => {
    await fill();
    const before = await rows('user_id, app_id, event_properties, received_at, revenue, late');
    const desk = deskIn(world(), []);
    desk.start();
    const receipt = await done(desk, await desk.ask({ appId: APP, user: 'gone' }));
    await desk.close(1_000);
    expect(receipt).toMatchObject({ done: true, dead_letters: { removed: 2 }, lake: { files_looked_at: 4, files_rewritten: 3, rows_removed: 4 }, });
    expect(receipt.not_reached.length).toBeGreaterThan(1);
    const isGone = ([user, app, properties]: readonly unknown[]): boolean => app === APP && (user === 'gone' || String(properties).includes('customer_user_id'));
    expect(await rows('user_id, app_id, event_properties, received_at, revenue, late')).toEqual(before.filter((row) => !isGone(row as unknown[])));
    expect(await duckdb(`select count(*)::int as n from read_parquet('${root}/lake/${nameOf(3, '2026-11-23')}')`)).toEqual([{ n: 0 }]);
    expect(JSON.parse(readFileSync(join(root, 'lake', receiptName(receipt.id)), 'utf8'))).toEqual(receipt);
    expect(readFileSync(join(root, 'erasures.json')).includes('gone')).toBe(false);
  });

  it('of days takes their rows of the app, whoever they are of, reads no file of other days, and is no matter to users who are erased', async () => {
    const [day, next] = [Date.UTC(2026, 10, 22), Date.UTC(2026, 10, 23)];
    await target.put(nameOf(1), file([['a', APP, '{}', next, day], ['b', 'id5', '{}', day, day], ['c', APP, '{}', day, next - 1], [null, APP, '{}', day, day + 5]]));
    await target.put(nameOf(2), file([['d', 'id5', '{}', day, day]]));
    await target.put(nameOf(3, '2026-11-23'), file([['e', APP, '{}', day, next], ['gone', APP, '{}', day, next]]));
    const erasure: Purge = { id: '00112233445566aa', scope: APP, days: { fromMs: day, toMs: next }, atMs: DAY };
    const receipt = newPurgeReceipt(erasure, { removed: 3, days: [] }, { retentionMs: 1_000, lakeUrl: target.url });
    writeEraseState(join(root, 'erasures.json'), { open: [{ erasure, sealed: '', isJournaled: false, batchSequence: null, receipt }], done: [], pass: null });
    const journaled: Erasure[] = [];
    const desk = deskIn(world(), journaled);
    // What the daemon journals before its door opens.
    for (const bytes of desk.controls()) {
      const record = decodeControl(bytes);
      if (record.type === 'erase') journaled.push(record.erasure);
    }
    expect(journaled).toEqual([erasure]);
    desk.start();
    expect(desk.controls()).toEqual([]);
    expect(await done(desk, erasure.id)).toMatchObject({ from: '2026-11-22', to: '2026-11-23', cells: { removed: 3 }, dead_letters: { removed: 2 }, lake: { files_looked_at: 2, files_rewritten: 1, rows_removed: 3 } });
    expect(await rows()).toEqual(['b', 'd', 'e', 'gone']);
    const user = await done(desk, await desk.ask({ appId: APP, user: 'gone' }));
    await desk.close(1_000);
    expect(user.lake).toMatchObject({ files_looked_at: 3, rows_removed: 1 });
    expect(await rows()).toEqual(['b', 'd', 'e']);
  });

  it('takes no row that was received after it was journaled, of a user or of purged days', async () => {
    await target.put(nameOf(1), file([['gone', APP, '{}', JOURNALED_MS], ['gone', APP, '{}', JOURNALED_MS + 1], ['x', APP, '{}', JOURNALED_MS + 1]]));
    const erasure: Purge = { id: '00112233445566aa', scope: APP, days: { fromMs: DAY, toMs: DAY + 86_400_000 }, atMs: DAY };
    const journaled: Erasure[] = [];
    const desk = deskIn(world(), journaled);
    desk.start();
    expect(await done(desk, await desk.ask({ appId: APP, user: 'gone' }))).toMatchObject({ lake: { rows_removed: 1 } });
    await desk.close(1_000);
    expect(await rows()).toEqual(['gone', 'x']);
    writeEraseState(join(root, 'erasures.json'), { open: [{ erasure, sealed: '', isJournaled: true, batchSequence: null, receipt: newPurgeReceipt(erasure, { removed: 0, days: [] }, { retentionMs: 1_000, lakeUrl: target.url }) }], done: [], pass: null });
    journaled.push(erasure);
    const next = deskIn(world(), journaled);
    next.start();
    expect(await done(next, erasure.id)).toMatchObject({ lake: { files_looked_at: 1, rows_removed: 0 } });
    await next.close(1_000);
    expect(await rows()).toEqual(['gone', 'x']);
  });

  it('finds users by the hashes of their day under a policy that rotates', async () => {
    const daily = new KeyedHash(Buffer.from(PRIVACY_SECRET), 1);
    const [one, two] = [DAY + 3_600_000, DAY + 86_400_000 + 5] as const;
    await target.put(nameOf(1), file([[daily.of('gone', one), APP, '{}', one], [daily.of('gone', one), APP, '{}', two], [daily.of('gone', two), APP, '{}', two], ['k', APP, `{"user_id":"${daily.of('gone', two)}"}`, two]]));
    const desk = deskIn(world(), []);
    desk.start();
    const receipt = await done(desk, await desk.ask({ appId: APP, user: 'gone' }));
    await desk.close(1_000);
    expect(receipt.lake.rows_removed).toBe(3);
    expect(await rows()).toEqual([daily.of('gone', one)]);
  });

  it('goes on after a death at any call, counts each row once, and serves several users in one walk', { timeout: 60_000 }, async () => {
    for (let deadly = 1; ; deadly++) {
      rmSync(root, { recursive: true, force: true });
      await fill();
      const journaled: Erasure[] = [];
      let calls = 0;
      // From the deadly call on nothing works any more: what a process does that has died.
      const before = (): void => {
        if (++calls >= deadly) throw new Error('dead');
      };
      const dying: RewritableTarget = Object.assign(Object.create(target) as FileTarget, {
        read: async (...args: Parameters<FileTarget['read']>) => (before(), target.read(...args)),
        listAfter: async (...args: Parameters<FileTarget['listAfter']>) => (before(), target.listAfter(...args)),
        // Dead before it, or dead after it and before anybody knows.
        replaceRead: async (...args: Parameters<FileTarget['replaceRead']>) => {
          before();
          const written = await target.replaceRead(...args);
          before();
          return written;
        },
        put: async (...args: Parameters<FileTarget['put']>) => (before(), target.put(...args)),
        get: (...args: Parameters<FileTarget['get']>) => target.get(...args),
      });
      const first = deskIn({ target: dying, stateFile: join(root, 'erasures.json'), before }, journaled);
      const ids = await Promise.all(['gone', 'stays'].map((user) => first.ask({ appId: APP, user }))).catch(() => null);
      first.start();
      const isAlive = await Promise.race([ids === null ? Promise.resolve(false) : Promise.all(ids.map((id) => done(first, id))).then(() => true), new Promise<boolean>((settle) => setInterval(() => calls >= deadly && settle(false), 5).unref())]);
      await first.close(1_000);
      if (isAlive) {
        expect(deadly).toBeGreaterThan(15);
        return;
      }
      if (ids === null) continue;
      const second = deskIn({ target, stateFile: join(root, 'erasures.json') }, journaled);
      second.start();
      const receipts = await Promise.all(ids.map((id) => done(second, id)));
      await second.close(1_000);
      expect(receipts.map(({ lake }) => [lake.rows_removed, lake.files_rewritten]), `dead at call ${deadly}`).toEqual([[4, 3], [2, 2]]);
      expect((await rows()).sort(), `dead at call ${deadly}`).toEqual(['b', 'c', 'gone', 'goner', 'xgone', null].sort());
    }
  });

  it('loses against another writer without losing its rows', async () => {
    await fill();
    let planted = 0;
    const racing: RewritableTarget = Object.assign(Object.create(target) as FileTarget, {
      url: target.url,
      read: (...args: Parameters<FileTarget['read']>) => target.read(...args),
      listAfter: (...args: Parameters<FileTarget['listAfter']>) => target.listAfter(...args),
      put: (...args: Parameters<FileTarget['put']>) => target.put(...args),
      get: (...args: Parameters<FileTarget['get']>) => target.get(...args),
      replaceRead: async (name: string, bytes: Uint8Array, etag: string) => {
        if (planted++ === 0) await target.put(name, file([['gone'], ['stays'], ['new']]));
        return target.replaceRead(name, bytes, etag);
      },
    });
    const desk = deskIn({ target: racing, stateFile: join(root, 'erasures.json') }, []);
    desk.start();
    const receipt = await done(desk, await desk.ask({ appId: APP, user: 'gone' }));
    await desk.close(1_000);
    expect(receipt.lake.rows_removed).toBe(3);
    expect((await rows()).slice(0, 2)).toEqual(['stays', 'new']);
  });
});

describeWithS3('minio', 'an erasure in a bucket', () => {
  it('rewrites what it read, and names the versions that the bucket keeps', { timeout: 60_000 }, async () => {
    const root = mkdtempSync(join(tmpdir(), 'millrace-erase-'));
    const server = await startS3('minio');
    const client = new S3Client({ endpoint: server.endpoint, region: 'us-east-1', credentials: S3_KEYS, forcePathStyle: true });
    const target = new S3Target({ url: `s3://lake/some/where?endpoint=${server.endpoint}&path_style=true`, credentials: S3_KEYS, requestTimeoutMs: 5_000, warn: () => undefined });
    try {
      await client.send(new CreateBucketCommand({ Bucket: 'lake' }));
      await client.send(new PutBucketVersioningCommand({ Bucket: 'lake', VersioningConfiguration: { Status: 'Enabled' } }));
      await target.put(nameOf(1), file([['gone'], ['stays']]));
      await target.put(nameOf(2), file([['stays']]));
      await target.put('costs/x.parquet', Buffer.from('not looked at'));
      expect(await target.listAfter('events/', null, 1)).toEqual([nameOf(1)]);
      expect(await target.listAfter('events/', nameOf(1), 5)).toEqual([nameOf(2)]);
      const desk = deskIn({ target, stateFile: join(root, 'erasures.json') }, []);
      desk.start();
      const receipt = await done(desk, await desk.ask({ appId: APP, user: 'gone' }));
      await desk.close(1_000);
      const [rewritten] = receipt.lake.rewritten;
      expect(receipt.lake).toMatchObject({ files_looked_at: 2, files_rewritten: 1, rows_removed: 1 });
      expect(rewritten).toMatchObject({ name: nameOf(1), rows_removed: 1 });
      const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: 'lake', Prefix: `some/where/${nameOf(1)}` }));
      expect(Versions.filter(({ IsLatest }) => IsLatest !== true).map(({ VersionId }) => VersionId)).toEqual([rewritten?.kept_version]);
      const object = await client.send(new GetObjectCommand({ Bucket: 'lake', Key: `some/where/${nameOf(1)}` }));
      const { bytes } = await erase((await object.Body?.transformToByteArray()) as Uint8Array, [{ id: 'x', appId: APP, user: 'gone' }]);
      expect(bytes).toBeNull();
      const there = await target.read(nameOf(2), 1_000_000);
      expect(await target.replaceRead(nameOf(2), Buffer.from('x'), '"0123"')).toBe(false);
      expect((await target.read(nameOf(2), 1_000_000))?.etag).toBe(there?.etag);
    } finally {
      await target.close();
      client.destroy();
      await server.stop();
      rmSync(root, { recursive: true, force: true });
    }
  });
});
