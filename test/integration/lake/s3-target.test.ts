import { CreateBucketCommand, HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { eventFilesOf } from '../../../sinks/lake/event-files.ts';
import { S3Target } from '../../../sinks/lake/s3-target.ts';
import type { LakeTarget, ObjectVersion } from '../../../sinks/lake/target.ts';
import { describeWithS3, S3_KEYS, startFaultProxy, startS3, type Fault, type FaultProxy, type S3Peer, type S3Server } from '../../peers/s3.ts';

const BUCKET = 'lake';
/** For tests that are not about it: a shared machine may be slow. */
const PATIENCE_MS = 30_000;
const HOUR = 'hourly/event_date=2026-11-22/hour=01/metrics.parquet';
const version = (revision: number, generation = 1): ObjectVersion => ({ generation, revision: BigInt(revision) });
const text = (value: string): Uint8Array => Buffer.from(value);

interface Bench {
  readonly server: S3Server;
  readonly proxy: FaultProxy;
  readonly admin: S3Client;
}

async function startBench(peer: S3Peer): Promise<Bench> {
  const server = await startS3(peer);
  const admin = new S3Client({ endpoint: server.endpoint, region: 'us-east-1', credentials: S3_KEYS, forcePathStyle: true });
  await admin.send(new CreateBucketCommand({ Bucket: BUCKET }));
  return { server, admin, proxy: await startFaultProxy(server.endpoint) };
}

/** The suite that both servers pass. `prefix` keeps the tests apart. */
function targetSuite(peer: S3Peer): void {
  let bench: Bench;
  let prefix = '';
  const warnings: string[] = [];
  const targets: LakeTarget[] = [];
  const open = (options: { keys?: typeof S3_KEYS; bucket?: string; requestTimeoutMs?: number; query?: string } = {}): S3Target => {
    const target = new S3Target({
      url: `s3://${options.bucket ?? BUCKET}/${prefix}?endpoint=${bench.proxy.endpoint}&path_style=true${options.query ?? ''}`,
      credentials: options.keys ?? S3_KEYS,
      requestTimeoutMs: options.requestTimeoutMs ?? PATIENCE_MS,
      warn: (message) => warnings.push(message),
    });
    targets.push(target);
    return target;
  };
  /** On the server itself, past the proxy. */
  const openDirectly = (): S3Target => {
    const target = new S3Target({ url: `s3://${BUCKET}/${prefix}?endpoint=${bench.server.endpoint}&path_style=true`, credentials: S3_KEYS, requestTimeoutMs: PATIENCE_MS, warn: () => undefined });
    targets.push(target);
    return target;
  };
  const read = async (target: LakeTarget, name = HOUR): Promise<string | null> => {
    const bytes = await target.get(name, 1_000_000);
    return bytes === null ? null : Buffer.from(bytes).toString();
  };
  /** The fault meets the next `count` requests of the method. */
  const inject = (method: string, fault: Fault, count = 1): void => {
    let left = count;
    bench.proxy.decide = (seen) => (seen === method && left-- > 0 ? fault : { type: 'pass' });
  };

  /** Keeps the next request of the method from the server until it is released. */
  const hold = (method: string): { readonly arrived: Promise<void>; readonly release: () => void } => {
    let [arrive, release] = [(): void => undefined, (): void => undefined];
    const arrived = new Promise<void>((resolve) => (arrive = resolve));
    const until = new Promise<void>((resolve) => (release = resolve));
    let first = true;
    bench.proxy.decide = (seen) => {
      if (seen !== method || !first) return { type: 'pass' };
      first = false;
      arrive();
      return { type: 'hold', until };
    };
    return { arrived, release };
  };

  beforeAll(async () => {
    bench = await startBench(peer);
  });
  beforeEach(() => {
    prefix = `t-${randomBytes(6).toString('hex')}`;
    bench.proxy.decide = () => ({ type: 'pass' });
    bench.proxy.seen.length = 0;
    warnings.length = 0;
  });
  afterAll(async () => {
    for (const target of targets) await target.close();
    bench.admin.destroy();
    await bench.proxy.stop();
    await bench.server.stop();
  });

  test('puts, overwrites, reads, lists under its prefix, and finds what is not there missing', async () => {
    const target = open();
    expect(await read(target)).toBeNull();
    await target.put(HOUR, text('one'));
    await target.put(HOUR, text('two'));
    await target.put('millrace/marker-a.json', text('{}'));
    expect(await read(target)).toBe('two');
    expect(await target.list('millrace/marker-', 10)).toEqual(['millrace/marker-a.json']);
    expect(await target.list('events/', 10)).toEqual([]);
  });

  test('names the files of one event date, with the part that is missing, and none of another date', async () => {
    const target = open();
    const file = (date: string, part: number): string => `events/event_date=${date}/20261122T010000Z-0000-part000${part}.parquet`;
    for (const name of [file('2026-11-21', 0), file('2026-11-22', 0), file('2026-11-22', 2), file('2026-11-23', 0), HOUR]) await target.put(name, text('x'));
    const files = await eventFilesOf(target, '2026-11-22', { startMs: Date.UTC(2026, 10, 22, 1), part: 0 });
    expect(files).toEqual({ names: [file('2026-11-22', 0), file('2026-11-22', 2)], missing: [file('2026-11-22', 1)], later: 0, foreign: [] });
    expect(await eventFilesOf(target, '2026-11-20', null)).toMatchObject({ names: [] });
  });

  test('stores a file of 20 MB byte for byte', async () => {
    const target = open();
    const bytes = randomBytes(20_000_000);
    await target.put('events/event_date=2026-11-22/big.parquet', bytes);
    const back = await target.get('events/event_date=2026-11-22/big.parquet', 30_000_000);
    expect(Buffer.compare(Buffer.from(back ?? []), bytes)).toBe(0);
    await expect(target.get('events/event_date=2026-11-22/big.parquet', 1_000)).rejects.toMatchObject({ code: 'SINK_REFUSED' });
  });

  test('a higher version replaces, an equal one too, a lower revision or generation is refused', async () => {
    const target = open();
    expect(await target.putVersioned(HOUR, text('5'), version(5))).toBe('written');
    expect(await target.putVersioned(HOUR, text('5 again'), version(5))).toBe('written');
    expect(await target.putVersioned(HOUR, text('4'), version(4))).toBe('refused');
    expect(await target.putVersioned(HOUR, text('9 of old'), version(9, 0))).toBe('refused');
    expect(await read(target)).toBe('5 again');
    expect(await target.putVersioned(HOUR, text('1 of new'), version(1, 2))).toBe('written');
    expect(await read(target)).toBe('1 of new');
    const { Metadata } = await bench.admin.send(new HeadObjectCommand({ Bucket: BUCKET, Key: `${prefix}/${HOUR}` }));
    expect(Metadata).toMatchObject({ 'millrace-generation': '2', 'millrace-revision': '1' });
  });

  test('of two writers that read the same, the older loses whoever comes first', async () => {
    const target = open();
    await target.putVersioned(HOUR, text('1'), version(1));
    // A newer write gets in between the head and the put of the older one.
    const held = hold('PUT');
    const older = target.putVersioned(HOUR, text('2'), version(2));
    await held.arrived;
    expect(await openDirectly().putVersioned(HOUR, text('3'), version(3))).toBe('written');
    held.release();
    expect(await older).toBe('refused');
    expect(await read(target)).toBe('3');
  });

  test('a write that timed out and lands late does not put the older content back', async () => {
    const target = open();
    await target.putVersioned(HOUR, text('1'), version(1));
    const held = hold('PUT');
    await expect(open({ requestTimeoutMs: 3_000 }).putVersioned(HOUR, text('2'), version(2))).rejects.toMatchObject({ code: 'SINK_UNAVAILABLE', message: expect.stringContaining('3000 ms') as string });
    await held.arrived;
    expect(await target.putVersioned(HOUR, text('3'), version(3))).toBe('written');
    held.release();
    await bench.proxy.quiet();
    expect(await read(target)).toBe('3');
  });

  test('a file that timed out and lands late does not put rows back that were taken out since, whether it was new or not', async () => {
    const target = open();
    for (const part of [0, 1]) {
      const name = `events/event_date=2026-11-22/20261122T010000Z-0000-part000${part}.parquet`;
      if (part > 0) await target.put(name, text('of a former life'));
      const held = hold('PUT');
      const late = open({ requestTimeoutMs: 3_000 }).put(name, text('all rows'));
      await expect(late).rejects.toMatchObject({ code: 'SINK_UNAVAILABLE', message: expect.stringContaining('3000 ms') as string });
      await held.arrived;
      await target.put(name, text('all but the erased'));
      held.release();
      await bench.proxy.quiet();
      expect(await read(target, name)).toBe('all but the erased');
    }
  });

  test('a write whose answer was lost is taken as written when it is repeated', async () => {
    const target = open();
    inject('PUT', { type: 'lose_answer' });
    await expect(target.putVersioned(HOUR, text('7'), version(7))).rejects.toMatchObject({ code: 'SINK_UNAVAILABLE' });
    expect(await target.putVersioned(HOUR, text('7'), version(7))).toBe('written');
    expect(await read(target)).toBe('7');
  });

  test.each([
    [500, 'InternalError', 'SINK_UNAVAILABLE'],
    [503, 'SlowDown', 'SINK_UNAVAILABLE'],
    [403, 'AccessDenied', 'SINK_REFUSED'],
  ])('%d %s is one attempt and %s', async (status, code, expected) => {
    const target = open();
    inject('PUT', { type: 'answer', status, code }, 10);
    await expect(target.put(HOUR, text('x'))).rejects.toMatchObject({ name: 'EngineError', code: expected, retryable: true, message: expect.stringContaining(code) as string });
    expect(bench.proxy.seen.filter((line) => line.startsWith('PUT'))).toHaveLength(1);
    bench.proxy.decide = () => ({ type: 'pass' });
    await target.put(HOUR, text('x'));
  });

  test('a body that is cut leaves the object as it was', async () => {
    const target = open();
    await target.put(HOUR, text('whole'));
    // Twice: a server may say before the body comes that something is there, and the file is then sent in its place.
    inject('PUT', { type: 'cut' }, 2);
    await expect(target.put(HOUR, randomBytes(2_000_000))).rejects.toMatchObject({ code: 'SINK_UNAVAILABLE' });
    expect(await read(target)).toBe('whole');
  });

  test('a connection that is reset, and a server that hangs, end within the timeout', async () => {
    const target = open({ requestTimeoutMs: 300 });
    inject('GET', { type: 'reset' });
    await expect(target.get(HOUR, 100)).rejects.toMatchObject({ code: 'SINK_UNAVAILABLE' });
    const held = hold('GET');
    const startedMs = performance.now();
    await expect(target.get(HOUR, 100)).rejects.toMatchObject({
      code: 'SINK_UNAVAILABLE',
      message: expect.stringContaining('300 ms') as string,
      fix: expect.stringContaining('lake.s3_request_timeout_seconds') as string,
    });
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    held.release();
  });

  test('a bucket that is not there is refused with the fix, by every call', async () => {
    const target = open({ bucket: 'nowhere' });
    for (const call of [() => target.put(HOUR, text('x')), () => target.get(HOUR, 9), () => target.list('', 9)]) {
      await expect(call()).rejects.toMatchObject({ code: 'SINK_REFUSED', fix: expect.stringContaining('bucket') as string });
    }
    await expect(target.putVersioned(HOUR, text('x'), version(1))).rejects.toMatchObject({ code: 'SINK_REFUSED' });
  });

  test('an object that somebody else wrote, without a version, is replaced', async () => {
    await bench.admin.send(new PutObjectCommand({ Bucket: BUCKET, Key: `${prefix}/${HOUR}`, Body: 'foreign' }));
    expect(await open().putVersioned(HOUR, text('ours'), version(1))).toBe('written');
  });

  test('a server without conditional writes is written to plainly, and that is said once', async () => {
    const target = open();
    inject('PUT', { type: 'answer', status: 501, code: 'NotImplemented' });
    expect(await target.putVersioned(HOUR, text('1'), version(1))).toBe('written');
    expect(await target.putVersioned(HOUR, text('2'), version(2))).toBe('written');
    expect(await target.putVersioned(HOUR, text('1'), version(1))).toBe('refused');
    expect(warnings).toHaveLength(1);
  });

  test('works with checksums only where they are required', async () => {
    const target = open({ query: '&checksums=when_required' });
    await target.put(HOUR, text('plain'));
    expect(await read(target)).toBe('plain');
  });

  test('a server that was restarted is found again', async () => {
    const target = open();
    await target.put(HOUR, text('before'));
    await bench.server.kill();
    await expect(target.put(HOUR, text('while'))).rejects.toMatchObject({ code: 'SINK_UNAVAILABLE' });
    await bench.server.restart();
    if (peer === 'moto') await bench.admin.send(new CreateBucketCommand({ Bucket: BUCKET }));
    else expect(await read(target)).toBe('before');
    await target.put(HOUR, text('after'));
    expect(await read(target)).toBe('after');
  });

  if (peer === 'minio') {
    test('wrong credentials are refused with the fix', async () => {
      const target = open({ keys: { accessKeyId: S3_KEYS.accessKeyId, secretAccessKey: 'wrong' } });
      await expect(target.put(HOUR, text('x'))).rejects.toMatchObject({ code: 'SINK_REFUSED', fix: expect.stringContaining('credentials') as string });
    });
  }
}

describeWithS3('minio', 'the lake in a bucket of MinIO', () => targetSuite('minio'));
describeWithS3('moto', 'the lake in a bucket of moto_server', () => targetSuite('moto'));
