/** What a daemon refuses to start with, its configuration aside: ports and directories in use, directories that cannot be used. One clear line and an exit code each. */

import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openStore } from '../../../engine/state/index.ts';
import { LIVE_TABLES, hasIdentity } from '../../../sinks/live/index.ts';
import { TestDaemon, message } from '../../support/daemon.ts';
import { canUnshare, OTHER_NETWORK } from '../../support/namespaces.ts';
import { copyAll, useDaemons } from './harness.ts';

const { scratch, directory, started, refused, usedDirectory } = useDaemons();

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

  it.skipIf(!canUnshare)('refuses it to a daemon in another container as well (needs the right to unshare)', async () => {
    const first = await started({ dataDir: scratch.path });
    expect(await refused({ dataDir: scratch.path, wrap: OTHER_NETWORK })).toEqual({ code: 3, lines: [expect.stringMatching(/in use by another.*MILLRACE_DATA_DIR/)] });
    expect((await first.push(message())).status).toBe(200);
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

  it('ends with 4 when the live store is gone: hours that only it holds would be missing without a word', async () => {
    const path = directory('data');
    await usedDirectory(path);
    rmSync(join(path, 'live'), { recursive: true });
    const refusal = { code: 4, lines: [expect.stringMatching(/live\.mdb.*savepoint/)] };
    expect(await refused({ dataDir: path })).toEqual(refusal);
    expect(await refused({ dataDir: path })).toEqual(refusal);
  });

  it('takes a new one that was killed before anything was counted', async () => {
    const path = directory('data');
    const first = TestDaemon.spawn({ dataDir: path, env: { MILLRACE_CHECKPOINT_INTERVAL_MS: '200' } });
    await first.until(() => first.logs.some(({ msg }) => msg === 'the journal is open'), 60_000, 'the journal to be open');
    await first.kill();
    const live = openStore({ path: join(path, 'live', 'live.mdb'), tables: LIVE_TABLES });
    expect(hasIdentity(live)).toBe(true);
    await live.close();
    const second = await started({ dataDir: path });
    expect((await second.push(message())).status).toBe(200);
    await second.settled(1);
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
    copyAll(path, join(scratch.path, 'copy'));
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
