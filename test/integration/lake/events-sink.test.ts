import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EngineError } from '../../../engine/core/errors.ts';
import { slotName, type SlotId, type SlotShare } from '../../../engine/core/lake-slot.ts';
import { MS_PER_MINUTE } from '../../../engine/core/types.ts';
import type { SlotFiles } from '../../../sinks/lake/encode-slot.ts';
import { isTemporary } from '../../../sinks/lake/durable-file.ts';
import { EventsSink, type EncodeSlotJob, type EventsSinkOptions } from '../../../sinks/lake/events-sink.ts';
import { FileTarget } from '../../../sinks/lake/file-target.ts';
import { parseSlotName, Spool, spoolFileName, stagingDirectory } from '../../../sinks/lake/spool.ts';
import { writeFileSynced } from '../../../sinks/lake/durable-file.ts';
import { nodeFiles } from '../../../sinks/lake/node-files.ts';
import type { LakeTarget } from '../../../sinks/lake/target.ts';
import { eventually } from '../../peers/redis.ts';

const PARTITIONS = 3;
const START = Date.UTC(2026, 10, 22, 1);
const slotAt = (index: number): SlotId => ({ startMs: START + Math.floor(index / 2) * 15 * MS_PER_MINUTE, part: index % 2 });
const shareOf = (index: number, partition: number, rowCount = 1): SlotShare => ({ partition, slot: slotAt(index), dedupe: 'push-ms', rowCount, entries: Uint8Array.of(partition, 7, 7, 7) });
const sharesOf = (index: number, rowCount = 1): SlotShare[] => Array.from({ length: PARTITIONS }, (_, partition) => shareOf(index, partition, rowCount));

/** Stands in for the pool: one file per slot that names it and the shares' bytes. */
async function writeSlot({ slot, shares, spoolDirectory }: EncodeSlotJob): Promise<SlotFiles> {
  const staging = stagingDirectory(spoolDirectory, slot);
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });
  const bytes = Buffer.from(`${slotName(slot)}:${shares.map((share) => `${share.partition}${share.entries[0]}`).join(',')}`);
  writeFileSynced(nodeFiles.direct, join(staging, spoolFileName(`events/event_date=2026-11-22/${slotName(slot)}-part0000.parquet`)), bytes);
  return { files: 1, bytes: bytes.byteLength, rows: shares.length, undecodable: 0, erased: 0 };
}

describe('slots on their way into events/', () => {
  let root: string;
  let spooled: string[];
  let encoded: string[];
  let warnings: string[];
  const open: EventsSink[] = [];
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'millrace-events-'));
    spooled = [];
    encoded = [];
    warnings = [];
  });
  afterEach(async () => {
    for (const sink of open.splice(0)) await sink.close(2_000);
    rmSync(root, { recursive: true, force: true });
  });

  /** Whole files: one that is being written has a name of its own until it is there. */
  const lake = (): string[] => (existsSync(join(root, 'lake/events')) ? readdirSync(join(root, 'lake/events/event_date=2026-11-22')).filter((name) => !isTemporary(name)).sort() : []);
  const ready = (): string[] => readdirSync(join(root, 'spool/ready')).sort();
  const fileOf = (index: number): string => `${slotName(slotAt(index))}-part0000.parquet`;

  async function start(options: Partial<EventsSinkOptions> = {}): Promise<EventsSink> {
    const sink = new EventsSink({
      target: new FileTarget(`file:${root}/lake`),
      spoolDirectory: join(root, 'spool'),
      spoolBytesMax: 1_000_000,
      partitionCount: PARTITIONS,
      encode: writeSlot,
      onSpooled: (slot) => spooled.push(slotName(slot)),
      warn: (message) => warnings.push(message),
      backoffMinMs: 5,
      backoffMaxMs: 20,
      ...options,
    });
    open.push(sink);
    await sink.open();
    sink.start();
    return sink;
  }
  /** Encodes as it should and remembers what. */
  const counting = (job: EncodeSlotJob): Promise<SlotFiles> => {
    encoded.push(slotName(job.slot));
    return writeSlot(job);
  };
  /** A target that works when `answers` says so. */
  const unsteady = (answers: () => boolean): LakeTarget => {
    const inner = new FileTarget(`file:${root}/lake`);
    return Object.assign(Object.create(inner) as LakeTarget, {
      put: async (name: string, bytes: Uint8Array) => {
        if (!answers()) throw new EngineError('SINK_UNAVAILABLE', 'the lake is away');
        await inner.put(name, bytes);
      },
    });
  };
  const end = async (sink: EventsSink): Promise<void> => {
    open.splice(open.indexOf(sink), 1);
    await sink.close(2_000);
  };

  test('a slot is encoded once every partition has sent its share, in partition order, uploaded, and gone from the spool', async () => {
    const sink = await start();
    for (const share of sharesOf(0).reverse().slice(0, 2)) sink.accept(share);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect({ spooled, lake: lake() }).toEqual({ spooled: [], lake: [] });
    sink.accept(shareOf(0, 0));
    await eventually(() => expect(lake()).toEqual([fileOf(0)]));
    await eventually(() => expect(ready()).toEqual([]));
    expect(spooled).toEqual([slotName(slotAt(0))]);
    expect(readFileSync(join(root, 'lake/events/event_date=2026-11-22', fileOf(0)), 'utf8')).toBe(`${slotName(slotAt(0))}:00,11,22`);
    await eventually(() => expect(sink.health()).toMatchObject({ healthy: true, writes: 1, lagMs: 0, spoolBytes: 0, slotsHeld: 0, cellsWritten: 3 }));
  });

  test('slots are spooled in order, parts of one stretch of time too, whatever order their shares come in', async () => {
    const sink = await start({ encode: counting });
    const shares = [0, 1, 2, 3].flatMap((index) => sharesOf(index));
    const inOrderByPartition = [2, 0, 1].flatMap((partition) => shares.filter((share) => share.partition === partition));
    for (const share of inOrderByPartition) sink.accept(share);
    await eventually(() => expect(lake()).toHaveLength(4));
    expect(encoded).toEqual([0, 1, 2, 3].map((index) => slotName(slotAt(index))));
    expect(spooled).toEqual(encoded);
  });

  test('what waits for upload is rewritten before it goes up, what is being encoded by then included', async () => {
    let isUp = false;
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const sink = await start({ target: unsteady(() => isUp), encode: async (job) => {
      if (encoded.push(slotName(job.slot)) === 2) await held;
      return writeSlot(job);
    } });
    for (const share of [0, 1].flatMap((index) => sharesOf(index))) sink.accept(share);
    await eventually(() => expect(encoded).toHaveLength(2));
    const before = sink.health().spoolBytes;
    const rewritten = sink.rewriteSpooled(async (bytes) => Promise.resolve(Buffer.from(`${Buffer.from(bytes).toString()}+`)));
    await new Promise((resolve) => setTimeout(resolve, 30));
    release();
    expect(await rewritten).toBe(2);
    expect(await sink.rewriteSpooled(async () => Promise.resolve(null))).toBe(0);
    expect(sink.health().spoolBytes).toBeGreaterThan(before + 1);
    isUp = true;
    await eventually(() => expect(lake()).toEqual([fileOf(0), fileOf(1)]));
    for (const index of [0, 1]) expect(readFileSync(join(root, 'lake/events/event_date=2026-11-22', fileOf(index)), 'utf8')).toMatch(/\+$/);
    await eventually(() => expect(sink.health().spoolBytes).toBe(0));
  });

  test('a slot without rows is spooled without a file and without the pool', async () => {
    const sink = await start({ encode: counting });
    for (const share of sharesOf(0, 0)) sink.accept(share);
    for (const share of sharesOf(1)) sink.accept(share);
    await eventually(() => expect(lake()).toEqual([fileOf(1)]));
    expect(spooled).toHaveLength(2);
    expect(encoded).toEqual([slotName(slotAt(1))]);
  });

  test('shares of a spooled slot that come again, also after a restart, are answered at once and written to nobody', async () => {
    const first = await start();
    for (const share of sharesOf(0)) first.accept(share);
    await eventually(() => expect(lake()).toHaveLength(1));
    first.accept(shareOf(0, 1));
    expect(spooled).toHaveLength(2);
    await end(first);
    const second = await start({ encode: counting });
    for (const index of [0, 1]) for (const share of sharesOf(index)) second.accept(share);
    await eventually(() => expect(lake()).toHaveLength(2));
    expect(encoded).toEqual([slotName(slotAt(1))]);
    expect(spooled.filter((name) => name === slotName(slotAt(0)))).toHaveLength(5);
  });

  test('a share that comes twice before its slot is complete counts once', async () => {
    const sink = await start();
    for (const share of [shareOf(0, 0), shareOf(0, 0), shareOf(0, 1), shareOf(0, 1)]) sink.accept(share);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(spooled).toEqual([]);
    sink.accept(shareOf(0, 2));
    await eventually(() => expect(lake()).toHaveLength(1));
  });

  test('while the lake is away slots gather in the spool, partitions are told, and all is uploaded when it is back', async () => {
    let here = false;
    const sink = await start({ target: unsteady(() => here) });
    for (let index = 0; index < 5; index++) for (const share of sharesOf(index)) sink.accept(share);
    await eventually(() => expect(spooled).toHaveLength(5));
    await eventually(() => expect(sink.health()).toMatchObject({ healthy: false, lastError: 'the lake is away' }));
    expect(sink.health().lagMs).toBeGreaterThan(0);
    expect(ready()).toHaveLength(5);
    here = true;
    await eventually(() => expect(ready()).toEqual([]));
    expect(lake()).toHaveLength(5);
    await eventually(() => expect(sink.health()).toMatchObject({ healthy: true, lastError: null, spoolBytes: 0 }));
  });

  test('what is in the spool at a restart is uploaded without any share', async () => {
    const first = await start({ target: unsteady(() => false) });
    for (const share of sharesOf(0)) first.accept(share);
    await eventually(() => expect(spooled).toHaveLength(1));
    await end(first);
    const second = await start({ encode: counting });
    await eventually(() => expect(lake()).toHaveLength(1));
    expect(encoded).toEqual([]);
    await eventually(() => expect(second.health().spoolBytes).toBe(0));
  });

  test('at the spool limit nothing is encoded, the alarm is raised once, and it goes on when uploads make room', async () => {
    let here = false;
    const sink = await start({ target: unsteady(() => here), spoolBytesMax: 40, encode: counting });
    for (let index = 0; index < 6; index++) for (const share of sharesOf(index)) sink.accept(share);
    await eventually(() => {
      expect(sink.health().spoolFull).toBe(true);
      expect(warnings.some((message) => message.includes('at its limit'))).toBe(true);
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(encoded).toHaveLength(2);
    expect(spooled).toHaveLength(2);
    expect(sink.health()).toMatchObject({ healthy: false, slotsHeld: 4 });
    expect(warnings.filter((message) => message.includes('at its limit'))).toHaveLength(1);
    here = true;
    await eventually(() => expect(lake()).toHaveLength(6));
    expect(spooled).toEqual([0, 1, 2, 3, 4, 5].map((index) => slotName(slotAt(index))));
    await eventually(() => expect(sink.health().healthy).toBe(true));
  });

  test('an encoder that fails is repeated with the same shares, and nothing after it overtakes', async () => {
    let failures = 3;
    const sink = await start({
      encode: (job) => (failures-- > 0 ? Promise.reject(new EngineError('DISK_FULL', 'no space left')) : counting(job)),
    });
    for (const index of [0, 1]) for (const share of sharesOf(index)) sink.accept(share);
    await eventually(() => expect(lake()).toHaveLength(2));
    expect(encoded).toEqual([slotName(slotAt(0)), slotName(slotAt(1))]);
    await eventually(() => expect(sink.health()).toMatchObject({ healthy: true, failures: 3 }));
  });

  test('held shares beyond the memory bound wait on disk and come back whole', async () => {
    const sink = await start({ heldBytesMax: 10 });
    const last = 4;
    for (let index = 0; index <= last; index++) for (const share of sharesOf(index).slice(0, 2)) sink.accept(share);
    expect(readdirSync(join(root, 'spool/held'))).toHaveLength(8);
    for (let index = 0; index <= last; index++) sink.accept(shareOf(index, 2));
    await eventually(() => expect(lake()).toHaveLength(last + 1));
    expect(readFileSync(join(root, 'lake/events/event_date=2026-11-22', fileOf(last)), 'utf8')).toContain(':00,11,22');
    expect(readdirSync(join(root, 'spool/held'))).toEqual([]);
  });

  test('a link too slow for several files at once gets them one by one, and several at once again after a slot got through', async () => {
    const inner = new FileTarget(`file:${root}/lake`);
    let uploading = 0;
    let slow = true;
    const atOnce: number[] = [];
    /** Each upload has a share of the link: beside another one it takes longer than a request may. */
    const put = async (name: string, bytes: Uint8Array): Promise<void> => {
      atOnce.push(++uploading);
      try {
        await new Promise((resolve) => setTimeout(resolve, 20));
        if (slow && uploading > 1) throw new EngineError('SINK_UNAVAILABLE', 'no answer within 20 ms', { fix: 'raise the timeout' });
        await inner.put(name, bytes);
      } finally {
        await new Promise((resolve) => setTimeout(resolve, 5));
        uploading--;
      }
    };
    const fourFiles = async (job: EncodeSlotJob): Promise<SlotFiles> => {
      const made = await writeSlot(job);
      const staging = stagingDirectory(job.spoolDirectory, job.slot);
      for (const part of [1, 2, 3]) writeFileSynced(nodeFiles.direct, join(staging, spoolFileName(`events/event_date=2026-11-22/${slotName(job.slot)}-part000${part}.parquet`)), Buffer.from('more'));
      return { ...made, files: 4, bytes: made.bytes + 12 };
    };
    const told: unknown[] = [];
    const sink = await start({ target: Object.assign(Object.create(inner) as LakeTarget, { put }), encode: fourFiles, warn: (_, details) => told.push(details['fix']) });
    for (const share of sharesOf(0)) sink.accept(share);
    await eventually(() => expect(lake()).toHaveLength(4));
    await eventually(() => expect(ready()).toEqual([]));
    expect({ failures: sink.health().failures, told }).toEqual({ failures: 1, told: ['raise the timeout'] });
    expect(Math.max(...atOnce.splice(0))).toBe(4);
    slow = false;
    for (const share of sharesOf(1)) sink.accept(share);
    await eventually(() => expect(lake()).toHaveLength(8));
    expect(Math.max(...atOnce)).toBe(4);
  });

  test('closes in time while the lake hangs', async () => {
    const inner = new FileTarget(`file:${root}/lake`);
    const sink = await start({ target: Object.assign(Object.create(inner) as LakeTarget, { put: () => new Promise<void>(() => undefined) }) });
    for (const share of sharesOf(0)) sink.accept(share);
    await eventually(() => expect(spooled).toHaveLength(1));
    const startedMs = performance.now();
    open.splice(open.indexOf(sink), 1);
    await sink.close(200);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(ready()).toEqual([slotName(slotAt(0))]);
  });

  test('a full disk stops nothing but the lake: the slot is spooled once there is room', async (context) => {
    mkdirSync(join(root, 'spool'));
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', join(root, 'spool')]).status !== 0) return context.skip('no right to mount a tmpfs');
    try {
      const sink = await start();
      fillUp(join(root, 'spool/ballast'));
      for (const share of sharesOf(0)) sink.accept(share);
      await eventually(() => expect(sink.health()).toMatchObject({ healthy: false, lastError: expect.stringMatching(/no space left|ENOSPC/) as string }));
      expect(spooled).toEqual([]);
      rmSync(join(root, 'spool/ballast'));
      await eventually(() => expect(lake()).toEqual([fileOf(0)]));
      await eventually(() => expect(sink.health().healthy).toBe(true));
      await end(sink);
    } finally {
      // Lazily: the sink of a test that fails is still open.
      spawnSync('umount', ['-l', join(root, 'spool')]);
    }
  });
});

describe('the spool over a crash', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'millrace-spool-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const reopened = async (): Promise<Spool> => {
    const spool = new Spool({ directory: root, bytesMax: 1_000 });
    await spool.open();
    return spool;
  };
  const fill = async (spool: Spool, index: number): Promise<void> => {
    const made = await writeSlot({ slot: slotAt(index), shares: sharesOf(index), spoolDirectory: root });
    await spool.commit(slotAt(index), made);
  };

  test('staged files of a slot that was not committed are gone', async () => {
    const spool = await reopened();
    await writeSlot({ slot: slotAt(0), shares: sharesOf(0), spoolDirectory: root });
    expect((await reopened()).covers(slotAt(0))).toBe(false);
    expect(readdirSync(join(root, 'staging'))).toEqual([]);
    expect(await spool.readySlots()).toEqual([]);
  });

  test('a slot that was renamed before its progress was written counts as spooled', async () => {
    const spool = await reopened();
    await fill(spool, 0);
    const before = readFileSync(join(root, 'progress.json'));
    await fill(spool, 1);
    writeFileSync(join(root, 'progress.json'), before);
    const again = await reopened();
    expect(again.progress).toEqual(slotAt(1));
    expect(await again.readySlots()).toEqual([slotAt(0), slotAt(1)]);
    expect(again.bytes).toBe(spool.bytes);
    expect((await reopened()).progress).toEqual(slotAt(1));
  });

  test('a commit that failed after its rename is completed by the repeat, and is not uploaded before', async () => {
    const spool = await reopened();
    mkdirSync(join(root, 'progress.json'));
    await expect(fill(spool, 0)).rejects.toMatchObject({ name: 'EngineError' });
    expect(await spool.readySlots()).toEqual([]);
    rmSync(join(root, 'progress.json'), { recursive: true });
    await fill(spool, 0);
    expect(await spool.readySlots()).toEqual([slotAt(0)]);
    expect(spool.bytes).toBe((await reopened()).bytes);
  });

  test('progress that cannot be read, or is newer than this program, is refused', async () => {
    await fill(await reopened(), 0);
    writeFileSync(join(root, 'progress.json'), '{"version":1,"slot":"yester');
    await expect(reopened()).rejects.toMatchObject({ code: 'STATE_CORRUPT' });
    writeFileSync(join(root, 'progress.json'), '{"version":2,"slot":"x"}');
    await expect(reopened()).rejects.toMatchObject({ code: 'DATA_VERSION' });
  });

  test('slot names are read back, more than 10,000 parts too, and sort by time and part', () => {
    for (const slot of [slotAt(0), slotAt(5), { startMs: START, part: 123_456 }]) expect(parseSlotName(slotName(slot))).toEqual(slot);
    expect(parseSlotName('lost+found')).toBeNull();
  });
});

/** Writes until the file system has no byte left. */
function fillUp(path: string): void {
  const descriptor = openSync(path, 'w');
  try {
    for (;;) writeSync(descriptor, Buffer.alloc(512));
  } catch {
    closeSync(descriptor);
  }
}
