/** What operators meet: wrong settings, ports and directories that cannot be used, full disks, supervision, the end. One clear line and an exit code each. */

import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statfsSync, writeFileSync, openSync, writeSync, closeSync, readSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestDaemon, message, runCli, temporaryDirectory, type DaemonOptions } from '../../support/daemon.ts';
import { Load, conserved, expectExact, pause } from '../../support/load.ts';
import { freePort } from '../../support/ports.ts';
import { describeWithDisk, smallDisk, type SmallDisk } from '../../support/small-disk.ts';

const MIB = 1024 ** 2;

let scratch: ReturnType<typeof temporaryDirectory>;
const daemons: TestDaemon[] = [];
beforeEach(() => {
  scratch = temporaryDirectory();
});
afterEach(async () => {
  for (const daemon of daemons.splice(0)) await daemon.kill();
  scratch.remove();
});

const spawned = (options: DaemonOptions): TestDaemon => {
  const daemon = TestDaemon.spawn(options);
  daemons.push(daemon);
  return daemon;
};
const started = async (options: DaemonOptions): Promise<TestDaemon> => {
  const daemon = spawned(options);
  await daemon.up();
  return daemon;
};

/** Runs a daemon that cannot start; the error lines it wrote, on either stream. */
async function refused(options: DaemonOptions): Promise<{ code: number | null; lines: string[] }> {
  const daemon = spawned(options);
  const timer = setTimeout(() => daemon.child.kill('SIGKILL'), 20_000);
  const { code } = await daemon.exited;
  clearTimeout(timer);
  await pause(20);
  const fromLog = daemon.logs.filter((line) => line.level >= 50).map((line) => `${line.msg} ${JSON.stringify(line['fix'] ?? '')}`);
  return { code, lines: [...fromLog, ...daemon.stderr.split('\n').filter((line) => line !== '')] };
}

const directory = (name: string): string => {
  const path = join(scratch.path, name);
  mkdirSync(path);
  return path;
};

/** Some acknowledged events and a clean end. */
async function usedDirectory(path: string, count = 200): Promise<void> {
  const daemon = await started({ dataDir: path });
  const body = Array.from({ length: count }, (_, at) => JSON.stringify(message({ appsflyer_id: `before-${at}` }))).join('\n');
  expect((await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body, headers: { 'content-type': 'application/x-ndjson' } })).status).toBe(200);
  await daemon.settled(count);
  expect(await daemon.stop()).toBe(0);
}

describe('a wrong configuration', () => {
  it.each([
    ['an unknown key of the file', 'ingest:\n  prot: 8080\n', {}, /ingest\.prot.*no such setting.*ingest\.port/],
    ['a bad value of the file', 'checkpoint:\n  interval_ms: soon\n', {}, /checkpoint\.interval_ms.*"soon".*MILLRACE_CHECKPOINT_INTERVAL_MS/],
    ['an unknown variable', '', { MILLRACE_INGEST_PROT: '8080' }, /MILLRACE_INGEST_PROT.*no such setting.*MILLRACE_INGEST_PORT/],
    ['a bad value of a variable', '', { MILLRACE_INGEST_PORT: '808080' }, /ingest\.port.*"808080".*65535.*MILLRACE_INGEST_PORT/],
    ['an unknown dimension', 'cells:\n  dimension_limits:\n    colour: 5\n', {}, /cells\.dimension_limits\.colour.*campaign_id/],
    ['a segment that no batch fits', '', { MILLRACE_JOURNAL_SEGMENT_BYTES: '4194304' }, /journal\.segment_bytes.*4194304.*16777216.*MILLRACE_JOURNAL_SEGMENT_BYTES/],
    ['a file that is no YAML', 'ingest: [\n', {}, /millrace\.yaml is no valid YAML/],
  ])('ends with 2 and names key, value and fix: %s', async (_, yaml, env, line) => {
    writeFileSync(join(scratch.path, 'millrace.yaml'), yaml);
    const end = await refused({ dataDir: scratch.path, env });
    expect(end).toEqual({ code: 2, lines: [expect.stringMatching(line)] });
    expect(readdirSync(scratch.path)).toEqual(['millrace.yaml']);
  });

  it('is told by the supervising parent alike, once', async () => {
    const end = await refused({ dataDir: scratch.path, env: { MILLRACE_INGEST_PORT: '-1' }, supervise: true });
    expect(end).toEqual({ code: 2, lines: [expect.stringMatching(/ingest\.port/)] });
  });

  it('includes a partition count that the directory was not made with', async () => {
    await usedDirectory(scratch.path, 1);
    const end = await refused({ dataDir: scratch.path, env: { MILLRACE_PARTITIONS: '8' } });
    expect(end).toEqual({ code: 2, lines: [expect.stringMatching(/partitions.*8.*32/)] });
  });
});

describe('something in use', () => {
  it.each(['MILLRACE_INGEST_PORT', 'MILLRACE_ADMIN_PORT'])('ends with 3 and one line when another process has the port: %s', async (variable) => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        resolve((server.address() as { port: number }).port);
      });
    });
    try {
      const end = await refused({ dataDir: scratch.path, env: { [variable]: String(port) } });
      expect(end).toEqual({ code: 3, lines: [expect.stringMatching(new RegExp(`${port}.*${variable}`))] });
    } finally {
      server.close();
    }
  });

  it('refuses a second daemon on the ports of a first, which does not notice', async () => {
    const first = await started({ dataDir: directory('first') });
    const second = directory('second');
    const ingest = await refused({ dataDir: second, env: { MILLRACE_INGEST_PORT: String(first.ingestPort) } });
    expect(ingest).toEqual({ code: 3, lines: [expect.stringContaining(String(first.ingestPort))] });
    const admin = await refused({ dataDir: second, env: { MILLRACE_ADMIN_PORT: String(first.adminPort) } });
    expect(admin).toEqual({ code: 3, lines: [expect.stringContaining(String(first.adminPort))] });
    expect((await first.push(message())).status).toBe(200);
    await first.settled(1);
  });

  it('refuses a data directory that another daemon holds, and takes it once that one is killed', async () => {
    const first = await started({ dataDir: scratch.path });
    expect(await refused({ dataDir: scratch.path })).toEqual({ code: 3, lines: [expect.stringMatching(/in use by another.*MILLRACE_DATA_DIR/)] });
    await first.kill();
    await started({ dataDir: scratch.path });
  });
});

describe('a data directory that cannot be used', () => {
  it('ends with 4 when it was written by a newer version', async () => {
    const path = directory('data');
    await usedDirectory(path);
    const file = join(path, 'instance.json');
    const facts = JSON.parse(readFileSync(file, 'utf8')) as { version: number };
    writeFileSync(file, JSON.stringify({ ...facts, version: 99 }));
    expect(await refused({ dataDir: path })).toEqual({ code: 4, lines: [expect.stringMatching(/newer Millrace \(format 99.*start the newer version/)] });
  });

  it('ends with 4 when state of another directory was put into it', async () => {
    const [path, other] = [directory('data'), directory('other')];
    await usedDirectory(path);
    await usedDirectory(other);
    cpSync(join(other, 'state'), join(path, 'state'), { recursive: true });
    const end = await refused({ dataDir: path });
    expect(end).toEqual({ code: 4, lines: [expect.stringMatching(/belongs to|another/)] });
  });

  it('ends with 4 when the journal of another directory was put into it', async () => {
    const [path, other] = [directory('data'), directory('other')];
    await usedDirectory(path);
    await usedDirectory(other);
    rmSync(join(path, 'journal'), { recursive: true });
    cpSync(join(other, 'journal'), join(path, 'journal'), { recursive: true });
    expect(await refused({ dataDir: path })).toEqual({ code: 4, lines: [expect.stringMatching(/journal.*(belongs to|another)/i)] });
  });

  it('ends with 4 when instance.json is gone', async () => {
    const path = directory('data');
    await usedDirectory(path);
    rmSync(join(path, 'instance.json'));
    expect(await refused({ dataDir: path })).toEqual({ code: 4, lines: [expect.stringMatching(/no instance\.json/)] });
  });

  it('ends with 4 when it is a copy made by hand while the daemon ran', async () => {
    const path = directory('data');
    const daemon = await started({ dataDir: path });
    cpSync(path, join(scratch.path, 'copy'), { recursive: true, filter: (source) => !source.endsWith('.sock') });
    expect(await refused({ dataDir: join(scratch.path, 'copy') })).toEqual({ code: 4, lines: [expect.stringMatching(/copy of a data directory.*savepoint take/)] });
    expect((await daemon.push(message())).status).toBe(200);
  });

  it('takes a copy made after a clean end', async () => {
    const path = directory('data');
    await usedDirectory(path, 50);
    cpSync(path, join(scratch.path, 'copy'), { recursive: true });
    const copy = await started({ dataDir: join(scratch.path, 'copy') });
    expect((await copy.pipeline()).conservation.received).toBe(50);
  });
});

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
    for (const daemon of daemons.splice(0)) await daemon.kill();
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
      cpSync(other.path, disk.path, { recursive: true });
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
    await daemon.until(async () => (await daemon.push(message({ appsflyer_id: 'refused' }))).status === 503, 5_000, 'the door to refuse');
    const answer = await daemon.push(message({ appsflyer_id: 'refused' }));
    expect(answer.status).toBe(503);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    const readiness = await fetch(`${daemon.admin}/readyz`);
    expect(readiness.status).toBe(503);
    expect(await readiness.text()).toMatch(/disk\.reserve_bytes/);
    expect((await fetch(`${daemon.admin}/healthz`)).status).toBe(200);
    rmSync(join(disk.path, 'ballast'));
    await daemon.until(async () => (await fetch(`${daemon.admin}/readyz`)).status === 200, 5_000, 'readiness to come back');
    const report = await load.stop();
    expect(report.refusals.get(503)).toBeGreaterThan(0);
    expect(report.bareRefusals).toBe(0);
    expect([...report.failures]).toEqual([]);
    await expectExact(daemon, 'reserve', report);
    expect(await daemon.stop()).toBe(0);
  });

  it('that is full to the last byte under load: nothing acknowledged is lost, and it goes on by itself once there is room', { timeout: 120_000 }, async () => {
    disk = smallDisk(160 * MIB);
    const ingestPort = await freePort();
    const daemon = await started({
      dataDir: join(disk.path),
      supervise: true,
      env: { MILLRACE_DISK_RESERVE_BYTES: '0', MILLRACE_INGEST_PORT: String(ingestPort), MILLRACE_CHECKPOINT_INTERVAL_MS: '1000'},
    });
    const load = new Load({ url: daemon.ingest, requestsPerSecond: 20, batch: 100, name: 'full' });
    await pause(500);
    fill(join(disk.path, 'ballast'));
    // Segments that were filled with zeros ahead still take events: use them up.
    const large = Array.from({ length: 10 }, () => JSON.stringify(message({ appsflyer_id: 'large', filler: 'x'.repeat(900_000) }))).join('\n');
    const burst = async (): Promise<number | undefined> => (await fetch(`${daemon.ingest}/v1/events`, { method: 'POST', body: large, headers: { 'content-type': 'application/x-ndjson' } }).catch(() => null))?.status;
    await daemon.until(async () => (await burst()) === 503, 20_000, 'the full disk to be told with 503');
    await pause(3_000);
    rmSync(join(disk.path, 'ballast'));
    await daemon.until(async () => (await daemon.push(message({ appsflyer_id: 'after' })).catch(() => null))?.status === 200, 20_000, 'the door to take events again');
    const report = await load.stop();
    expect(report.bareRefusals).toBe(0);
    await daemon.until(async () => (await fetch(`${daemon.admin}/readyz`).catch(() => null))?.status === 200, 20_000, 'readiness');
    await expectExact(daemon, 'full', report);
    expect(conserved((await daemon.pipeline()).conservation)).toBe(true);
    daemon.child.kill('SIGTERM');
    expect((await daemon.exited).code).toBe(0);
  });
});

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

  it('refuses what start would refuse, and a dedupe horizon that Pull would outlast', async () => {
    expect(await runCli(['check'], { MILLRACE_DATA_DIR: scratch.path, MILLRACE_EMIT_INTERVAL_MS: '0' })).toMatchObject({ code: 2, stderr: expect.stringMatching(/emit\.interval_ms/) as unknown });
    expect(await runCli(['check'], { MILLRACE_DATA_DIR: scratch.path, MILLRACE_DEDUPE_MODE: 'push+pull-seconds' })).toMatchObject({ code: 2, stderr: expect.stringMatching(/dedupe\.horizon_hours.*24.*72/) as unknown });
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

  it('ends with 4 where there is no data directory', async () => {
    expect(await runCli(['inspect'], { MILLRACE_DATA_DIR: join(scratch.path, 'nothing') })).toMatchObject({ code: 4 });
    expect(existsSync(join(scratch.path, 'nothing'))).toBe(false);
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
      10_000,
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

describe('the life of the process', () => {
  it('SIGTERM under load ends with 0 within 10 s and loses nothing acknowledged', async () => {
    const [ingestPort, adminPort] = [await freePort(), await freePort()];
    const env = { MILLRACE_INGEST_PORT: String(ingestPort), MILLRACE_ADMIN_PORT: String(adminPort) };
    const first = await started({ dataDir: scratch.path, env });
    const load = new Load({ url: first.ingest, requestsPerSecond: 40, batch: 20, name: 'drain' });
    await pause(1_500);
    const startMs = performance.now();
    expect(await first.stop()).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(10_000);
    expect(first.logs.some((line) => line.msg === 'stopped' && line['clean'] === true)).toBe(true);
    const second = await started({ dataDir: scratch.path, env });
    const report = await load.stop();
    await expectExact(second, 'drain', report);
    expect(conserved((await second.pipeline()).conservation)).toBe(true);
  });

  it('the supervising parent starts a killed daemon again, on the same data, and ends with 0 on SIGTERM', async () => {
    const [ingestPort, adminPort] = [await freePort(), await freePort()];
    const daemon = await started({ dataDir: scratch.path, supervise: true, env: { MILLRACE_INGEST_PORT: String(ingestPort), MILLRACE_ADMIN_PORT: String(adminPort) } });
    const load = new Load({ url: daemon.ingest, requestsPerSecond: 20, batch: 10, name: 'supervised' });
    for (let death = 0; death < 2; death++) {
      await pause(500);
      const pid = daemon.logs.filter((line) => line.msg === 'millrace is up').at(-1)?.['pid'] as number;
      expect(pid).not.toBe(daemon.child.pid);
      process.kill(pid, 'SIGKILL');
      await daemon.until(() => daemon.logs.filter((line) => line.msg === 'millrace is up').length === death + 2, 30_000, 'the daemon to be up again');
    }
    await daemon.up();
    const report = await load.stop();
    await expectExact(daemon, 'supervised', report);
    expect(daemon.logs.filter((line) => line.msg === 'the daemon died; starting it again')).toHaveLength(2);
    expect(await daemon.stop()).toBe(0);
    expect(await fetch(`${daemon.admin}/healthz`).catch(() => null)).toBeNull();
  });

  it('the daemon ends when its parent is killed, and leaves a clean directory', async () => {
    const daemon = await started({ dataDir: scratch.path, supervise: true });
    const pid = daemon.logs.find((line) => line.msg === 'millrace is up')?.['pid'] as number;
    await daemon.kill();
    const deadline = performance.now() + 12_000;
    while (isAlive(pid) && performance.now() < deadline) await pause(50);
    expect(isAlive(pid)).toBe(false);
    const next = await started({ dataDir: scratch.path });
    expect(await next.stop()).toBe(0);
  });

  it('SIGTERM while it recovers ends with 0', async () => {
    await usedDirectory(scratch.path, 2_000);
    // Supervised, so that a signal also finds a child that cannot handle it yet.
    for (const delayMs of [0, 250, 500, 800]) {
      const daemon = spawned({ dataDir: scratch.path, supervise: true });
      const pid = daemon.child.pid as number;
      await daemon.until(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim() !== '', 10_000, 'the parent to have a child');
      await pause(delayMs);
      expect(await daemon.stop(), `${delayMs} ms after its birth`).toBe(0);
    }
    const last = await started({ dataDir: scratch.path });
    expect((await last.pipeline()).conservation).toMatchObject({ received: 2_000, accepted: 2_000 });
  });
});

interface Expected {
  readonly received: number;
  /** Accepted or late: which of the two depends on when a message arrives. */
  readonly counted: number;
  readonly duplicate: number;
  readonly rejected: number;
  readonly totals: Readonly<Record<string, number>>;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] !== 'Z';
  } catch {
    return false;
  }
}

/** Takes every byte that is left, but for some. */
function fill(file: string, spareBytes = 0): void {
  const handle = openSync(file, 'w');
  const { bavail, bsize } = statfsSync(file);
  for (let left = bavail * bsize - spareBytes; spareBytes > 0 && left > 0; left -= MIB) writeSync(handle, Buffer.alloc(Math.min(MIB, left)));
  if (spareBytes > 0) {
    closeSync(handle);
    return;
  }
  for (let size = MIB; size >= 1; size = Math.floor(size / 16)) {
    const block = Buffer.alloc(size);
    try {
      for (;;) if (writeSync(handle, block) < size) break;
    } catch {
      // Full at this size: go on with smaller pieces.
    }
  }
  closeSync(handle);
}

/** The end of what was written, before the zeros of a preallocated file. */
function dataEnd(file: string): number {
  const bytes = readFileSync(file);
  let end = bytes.byteLength;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}

function flip(file: string, at: number): void {
  const handle = openSync(file, 'r+');
  const byte = Buffer.alloc(1);
  readSync(handle, byte, 0, 1, at);
  byte[0] = (byte[0] as number) ^ 0xff;
  writeSync(handle, byte, 0, 1, at);
  closeSync(handle);
}
