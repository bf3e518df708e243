/** Damaged journals and disks that are read-only, full or fill up: nothing acknowledged is lost, nothing is cut that was proved durable. */

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { TestDaemon, message } from '../../support/daemon.ts';
import { fill } from '../../support/fill.ts';
import { Load, conserved, expectExact, pause } from '../../support/load.ts';
import { freePort } from '../../support/ports.ts';
import { describeWithDisk, smallDisk, type SmallDisk } from '../../support/small-disk.ts';
import { MIB, copyAll, dataEnd, flip, useDaemons } from './harness.ts';

const { directory, started, refused, usedDirectory } = useDaemons();

describe('a damaged journal', () => {
  const contents = (journal: string): string => JSON.stringify(readdirSync(journal).map((name) => [name, readFileSync(join(journal, name)).toString('base64')]));
  const dataSegment = (journal: string): string => {
    const files = readdirSync(journal).filter((name) => name.endsWith('.segment') && !name.startsWith('spare')).map((name) => join(journal, name));
    return files.sort((left, right) => dataEnd(right) - dataEnd(left))[0] as string;
  };

  it('ends with 5 and nothing is cut when a later batch proves that the damaged one was durable', async () => {
    const path = directory('data');
    await usedDirectory(path, 500);
    // The second life proves the batches of the first.
    await (await started({ dataDir: path })).stop();
    const journal = join(path, 'journal');
    flip(dataSegment(journal), Math.floor(dataEnd(dataSegment(journal)) / 2));
    // Without state there is no checkpoint that would prove it too.
    for (const part of ['state', 'live']) rmSync(join(path, part), { recursive: true });
    const segment = dataSegment(journal);
    const before = readFileSync(segment).subarray(0, dataEnd(segment));
    // The door may open before an actor comes to the damage: what it takes until then comes behind.
    const end = await refused({ dataDir: path });
    expect({ ...end, lines: end.lines.slice(0, 1) }).toEqual({ code: 5, lines: [expect.stringMatching(/acknowledged.* is damaged.*nothing was cut/)] });
    expect(readFileSync(segment).subarray(0, before.byteLength).equals(before)).toBe(true);
  });

  it('ends with 5 and nothing is cut when a checkpoint proves that the damaged batch was durable', async () => {
    const path = directory('data');
    await usedDirectory(path, 500);
    const journal = join(path, 'journal');
    flip(dataSegment(journal), Math.floor(dataEnd(dataSegment(journal)) / 2));
    const before = contents(journal);
    expect(await refused({ dataDir: path })).toEqual({ code: 5, lines: [expect.stringMatching(/checkpoint covers offset/)] });
    expect(contents(journal) === before).toBe(true);
  });

  it('ends with 5 when the journal is shorter than what checkpoints cover', async () => {
    const path = directory('data');
    await usedDirectory(path);
    rmSync(join(path, 'journal'), { recursive: true });
    const end = await refused({ dataDir: path });
    expect(end).toEqual({ code: 5, lines: [expect.stringMatching(/checkpoint/i)] });
  });
});

describeWithDisk('a disk', () => {
  let disk: SmallDisk | null = null;
  afterEach(async () => {
    await TestDaemon.endAll();
    disk?.remove();
    disk = null;
  });

  it('that is read-only: 4 and one line', async () => {
    disk = smallDisk(4 * MIB);
    mkdirSync(join(disk.path, 'data'));
    disk.readOnly();
    expect(await refused({ dataDir: join(disk.path, 'data') })).toEqual({ code: 4, lines: [expect.stringMatching(/cannot be used.*read-only.*MILLRACE_DATA_DIR/)] });
  });

  it.each([0, 256 * 1024, 640 * 1024])('that is full but for %i bytes: 4 and one line', async (spare) => {
    disk = smallDisk(8 * MIB);
    writeFileSync(join(disk.path, 'ballast'), Buffer.alloc(8 * MIB - spare - 64 * 1024));
    if (spare === 0) fill(join(disk.path, 'rest'));
    mkdirSync(join(disk.path, 'data'));
    expect(await refused({ dataDir: join(disk.path, 'data'), env: { MILLRACE_DISK_RESERVE_BYTES: '0' } })).toEqual({ code: 4, lines: [expect.stringMatching(/full.*free space/)] });
  });

  it('that is another one than that of a copied directory: the copy is refused all the same', async () => {
    // The root of every file system has the same inode number.
    const other = smallDisk(200 * MIB);
    disk = smallDisk(200 * MIB);
    try {
      const daemon = await started({ dataDir: other.path });
      copyAll(`${other.path}/.`, disk.path);
      expect(await refused({ dataDir: disk.path })).toEqual({ code: 4, lines: [expect.stringMatching(/copy of a data directory/)] });
      await daemon.kill();
    } finally {
      other.remove();
    }
  });

  it('that fills up below the reserve: the door refuses until there is room, and what was acknowledged is counted', async () => {
    disk = smallDisk(160 * MIB);
    const daemon = await started({ dataDir: join(disk.path), env: { MILLRACE_DISK_RESERVE_BYTES: String(64 * MIB) } });
    const load = new Load({ url: daemon.ingest, requestsPerSecond: 20, batch: 10, name: 'reserve' });
    await pause(500);
    fill(join(disk.path, 'ballast'), 32 * MIB);
    await daemon.until(async () => (await daemon.push(message({ appsflyer_id: 'refused' }))).status === 503, 30_000, 'the door to refuse');
    const answer = await daemon.push(message({ appsflyer_id: 'refused' }));
    expect(answer.status).toBe(503);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    const readiness = await fetch(`${daemon.admin}/readyz`);
    expect(readiness.status).toBe(503);
    expect(await readiness.text()).toMatch(/disk\.reserve_bytes/);
    expect((await fetch(`${daemon.admin}/healthz`)).status).toBe(200);
    await daemon.until(() => load.refused > 0, 30_000, 'the load to be refused');
    rmSync(join(disk.path, 'ballast'));
    await daemon.until(async () => (await fetch(`${daemon.admin}/readyz`)).status === 200, 30_000, 'readiness to come back');
    const report = await load.stop();
    expect(report.refusals.get(503)).toBeGreaterThan(0);
    expect(report.bareRefusals).toBe(0);
    expect([...report.failures]).toEqual([]);
    await expectExact(daemon, 'reserve', report);
    expect(await daemon.stop()).toBe(0);
  });

  it('that is full to the last byte under load: nothing acknowledged is lost, and it goes on by itself once there is room', { timeout: 300_000 }, async () => {
    disk = smallDisk(160 * MIB);
    const ingestPort = await freePort();
    const daemon = await started({
      dataDir: join(disk.path),
      supervise: true,
      env: { MILLRACE_DISK_RESERVE_BYTES: '0', MILLRACE_INGEST_PORT: String(ingestPort), MILLRACE_CHECKPOINT_INTERVAL_MS: '1000'},
    });
    const load = new Load({ url: daemon.ingest, requestsPerSecond: 20, batch: 100, name: 'full' });
    await pause(500);
    const isFullDiskTold = (): boolean => daemon.logs.some((line) => line['code'] === 'DISK_FULL');
    // Stores begin no transaction near the end of the disk; those under way still have room, and only then the last byte goes.
    fill(join(disk.path, 'ballast'), 3 * MIB);
    await daemon.until(isFullDiskTold, 60_000, 'the full disk to be met by a store');
    fill(join(disk.path, 'rest'));
    // Segments that were filled with zeros ahead still take events: use them up.
    const large = Array.from({ length: 10 }, () => JSON.stringify(message({ appsflyer_id: 'large', filler: 'x'.repeat(900_000) }))).join('\n');
    const burst = async (): Promise<number | undefined> => (await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body: large, headers: { 'content-type': 'application/x-ndjson' } }).catch(() => null))?.status;
    await daemon.until(async () => (await burst()) === 503, 60_000, 'the full disk to be told with 503');
    await pause(3_000);
    for (const file of ['ballast', 'rest']) rmSync(join(disk.path, file));
    await daemon.until(async () => (await daemon.push(message({ appsflyer_id: 'after' })).catch(() => null))?.status === 200, 60_000, 'the door to take events again');
    const report = await load.stop();
    expect(report.bareRefusals).toBe(0);
    await daemon.until(async () => (await fetch(`${daemon.admin}/readyz`).catch(() => null))?.status === 200, 60_000, 'readiness');
    await expectExact(daemon, 'full', report);
    expect(conserved((await daemon.pipeline()).conservation)).toBe(true);
    const complaint = () => daemon.logs.find((line) => line.msg === 'checkpoints cannot be written; they are tried again');
    await daemon.until(() => complaint() !== undefined, 60_000, 'failed checkpoints to be told');
    expect(complaint()).toMatchObject({ level: 50, thread: expect.any(Number) as number, failures: expect.any(Number) as number });
    // Not even tried: what lmdb does at the end of a disk damages the process.
    expect(daemon.stderr).not.toMatch(/No space left|corrupted/);
    expect(daemon.logs.filter((line) => line.msg.startsWith('the daemon died'))).toEqual([]);
    daemon.child.kill('SIGTERM');
    expect((await daemon.exited).code).toBe(0);
  });
});
