import { once } from 'node:events';
import { createRequire } from 'node:module';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../../engine/state/index.ts';
import { holdWriterLock } from '../../support/lock-holder.ts';
import { describeWithDisk, smallDisk, type SmallDisk } from '../../support/small-disk.ts';
import { key, storeSuite } from '../../unit/state/store-suite.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-state-'));
let files = 0;
const nextPath = (): string => join(root, `s${files++}.mdb`);
const TABLES = ['a', 'b'];

afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

storeSuite('a store on LMDB', async () => openStore({ path: nextPath(), tables: TABLES }));

describe('a state file', () => {
  it('holds after reopening what was committed', async () => {
    const path = nextPath();
    const first = openStore({ path, tables: TABLES });
    await first.commit([{ table: 'a', key: key(1), value: key(7) }]);
    await first.flushed();
    await first.close();
    const second = openStore({ path, tables: [...TABLES, 'later'] });
    expect([second.get('a', key(1))?.[0], second.get('later', key(1))]).toEqual([7, null]);
    await second.close();
  });

  it('is copied compactly and consistently while commits go on', async () => {
    const path = nextPath();
    const copy = join(root, 'copies', 'savepoint.mdb');
    mkdirSync(join(root, 'copies'));
    const store = openStore({ path, tables: TABLES });
    const write = (version: number) => store.commit(Array.from({ length: 2_000 }, (_, at) => ({ table: 'a', key: key(at >>> 8, at & 255), value: new Uint8Array(200).fill(version) })));
    await write(1);
    let copying = true;
    const copied = store.copyTo(copy).finally(() => {
      copying = false;
    });
    let version = 1;
    while (copying) await write(++version);
    await copied;
    const reopened = openStore({ path: copy, tables: TABLES });
    const values = new Set([...reopened.range('a', {})].map((entry) => entry.value[0]));
    expect(values.size).toBe(1);
    expect(statSync(copy).size).toBeLessThan(statSync(path).size);
    await Promise.all([store.close(), reopened.close()]);
  });

  it('takes a first transaction that replaces all of it, also as a compact copy', async () => {
    const path = nextPath();
    const copy = nextPath();
    const replace = (version: number) => Array.from({ length: 20_000 }, (_, at) => ({ table: 'a', key: key(at >>> 8, at & 255), value: new Uint8Array(200).fill(version) }));
    const store = openStore({ path, tables: TABLES });
    await store.commit(replace(1));
    await store.copyTo(copy);
    await store.close();
    const copied = openStore({ path: copy, tables: TABLES });
    await copied.commit(replace(2));
    expect(new Set([...copied.range('a', {})].map((entry) => entry.value[0]))).toEqual(new Set([2]));
    await copied.close();
  });

  it('is closed after a copy that is under way, which is whole, and gives no more', async () => {
    const path = nextPath();
    const copies = join(root, 'last-copies');
    mkdirSync(copies);
    const store = openStore({ path, tables: TABLES });
    await store.commit(Array.from({ length: 20_000 }, (_, at) => ({ table: 'a', key: key(at >>> 8, at & 255), value: new Uint8Array(4_000).fill(7) })));
    const copied = store.copyTo(join(copies, 'whole.mdb'));
    const closed = store.close();
    await expect(store.copyTo(join(copies, 'none.mdb'))).rejects.toMatchObject({ code: 'STATE_WRITE_FAILED' });
    await Promise.all([copied, closed]);
    const reopened = openStore({ path: join(copies, 'whole.mdb'), tables: TABLES });
    expect([...reopened.range('a', {})]).toHaveLength(20_000);
    await reopened.close();
  });

  it('takes no more values at its limit of bytes, but takes removals', async () => {
    const store = openStore({ path: nextPath(), tables: TABLES, bytesMax: 1_000_000 });
    await store.commit([{ table: 'a', key: key(1), value: new Uint8Array(1_200_000) }]);
    await expect(store.commit([{ table: 'a', key: key(2), value: key(1) }])).rejects.toMatchObject({ code: 'DISK_FULL' });
    await store.commit([{ table: 'a', key: key(1), value: null }]);
    expect(store.get('a', key(1))).toBeNull();
    await store.close();
  });

  it('is whole where the pages that it lacks at its end are free, and is not where one of them is in use', async () => {
    const path = nextPath();
    const store = openStore({ path, tables: TABLES });
    await store.commit([{ table: 'a', key: key(1), value: key(1) }]);
    await store.commit([{ table: 'a', key: key(2), value: new Uint8Array(400_000) }]);
    await store.commit([{ table: 'a', key: key(2), value: null }]);
    // Until the last pages that are in use lie among those that became free.
    for (let round = 0; round < 8; round++) await store.commit([{ table: 'a', key: key(3), value: key(3) }]);
    await store.close();
    const bytes = readFileSync(path);
    const ended = nextPath();
    writeFileSync(ended, bytes.subarray(0, bytes.byteLength - 90 * 4_096));
    const opened = openStore({ path: ended, tables: TABLES });
    expect([...opened.range('a', {})].map(({ value }) => value[0])).toEqual([1, 3]);
    await opened.commit([{ table: 'a', key: key(4), value: new Uint8Array(300_000).fill(4) }]);
    await opened.close();
    const again = openStore({ path: ended, tables: TABLES });
    expect([...again.range('a', {})].map(({ value }) => value[0])).toEqual([1, 3, 4]);
    await again.close();
    const cut = nextPath();
    writeFileSync(cut, bytes.subarray(0, 16_384));
    expect(() => openStore({ path: cut, tables: TABLES })).toThrowError(expect.objectContaining({ code: 'STATE_CORRUPT' }));
  });

  // lmdb itself ends the process on each of these.
  it('is refused when it is no state file, of another version, or cut short', async () => {
    const foreign = nextPath();
    writeFileSync(foreign, Buffer.alloc(16_384, 'no database '));
    expect(() => openStore({ path: foreign, tables: TABLES })).toThrowError(expect.objectContaining({ code: 'STATE_CORRUPT' }));

    const path = nextPath();
    const store = openStore({ path, tables: TABLES });
    await store.commit([{ table: 'a', key: key(1), value: new Uint8Array(100_000) }]);
    await store.close();
    const bytes = readFileSync(path);
    const short = nextPath();
    writeFileSync(short, bytes.subarray(0, 8_192));
    expect(() => openStore({ path: short, tables: TABLES })).toThrowError(expect.objectContaining({ code: 'STATE_CORRUPT' }));
    const newer = nextPath();
    bytes.writeUInt32LE(3, 28);
    writeFileSync(newer, bytes);
    expect(() => openStore({ path: newer, tables: TABLES })).toThrowError(expect.objectContaining({ code: 'DATA_VERSION' }));
  });

  it('is created anew where its creation was cut off', async () => {
    const path = nextPath();
    writeFileSync(path, Buffer.alloc(4_096));
    const store = openStore({ path, tables: TABLES });
    await store.commit([{ table: 'a', key: key(1), value: key(1) }]);
    expect(store.get('a', key(1))?.[0]).toBe(1);
    await store.close();
  });
});

describe('a transaction that never settles', () => {
  it('is told by a code that no repeat mends, now and from then on', async () => {
    const path = nextPath();
    const store = openStore({ path, tables: TABLES, commitPatienceMs: 2_000 });
    await store.commit([{ table: 'a', key: key(1), value: key(1) }]);
    const holder = await holdWriterLock(path);
    const write = () => store.commit([{ table: 'a', key: key(2), value: key(2) }]);
    await expect(write()).rejects.toMatchObject({ code: 'STATE_STUCK', retryable: false });
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await expect(write()).rejects.toMatchObject({ code: 'STATE_STUCK', retryable: false });
    expect(store.get('a', key(1))?.[0]).toBe(1);
    await store.close();
  });
});

describeWithDisk('a full disk', () => {
  let disk: SmallDisk;
  beforeAll(() => {
    disk = smallDisk(9 * 1024 ** 2);
  });
  afterAll(() => {
    disk.remove();
  });

  it('rejects DISK_FULL, applies nothing, and works again once there is room', async () => {
    const path = join(disk.path, 'p000.mdb');
    const store = openStore({ path, tables: TABLES });
    const ballast = join(disk.path, 'ballast');
    writeFileSync(ballast, Buffer.alloc(4_000_000));
    const big = () => store.commit([{ table: 'a', key: key(1), value: key(1) }, { table: 'a', key: key(2), value: new Uint8Array(1_500_000) }]);
    await expect(big()).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(store.get('a', key(1))).toBeNull();
    rmSync(ballast);
    await big();
    await store.flushed();
    expect(store.get('a', key(2))?.byteLength).toBe(1_500_000);
    await store.close();
  });

  it('refuses to create a file where there is no room for it', () => {
    const ballast = join(disk.path, 'ballast');
    try {
      writeFileSync(ballast, Buffer.alloc(10_000_000));
    } catch {
      // Full is what was wanted.
    }
    expect(() => openStore({ path: join(disk.path, 'p002.mdb'), tables: TABLES })).toThrowError(expect.objectContaining({ code: 'DISK_FULL' }));
    rmSync(ballast);
  });

  it('says so before the last byte is met: what lmdb does there damages the process', async () => {
    const store = openStore({ path: join(disk.path, 'p003.mdb'), tables: TABLES });
    const ballast = join(disk.path, 'ballast');
    const { bavail, bsize } = statfsSync(disk.path);
    writeFileSync(ballast, Buffer.alloc(bavail * bsize - 2 * 1024 * 1024));
    const small = () => store.commit([{ table: 'a', key: key(1), value: key(1) }]);
    for (let attempt = 0; attempt < 3; attempt++) await expect(small()).rejects.toMatchObject({ code: 'DISK_FULL' });
    rmSync(ballast);
    await small();
    await store.close();
  });

  it('closes in bounded time after a commit has failed', async () => {
    const store = openStore({ path: join(disk.path, 'p001.mdb'), tables: TABLES });
    await expect(store.commit([{ table: 'a', key: key(1), value: new Uint8Array(10_000_000) }])).rejects.toMatchObject({ code: 'DISK_FULL' });
    await store.close();
  });
});

describe('a thread that is terminated while it commits', () => {
  const script = join(root, 'worker', 'terminated-writer.mjs');
  const worker = (path: string) => new Worker(script, { workerData: { path } });

  // A worker of Node 20 reads no TypeScript: the sources are bundled for it.
  beforeAll(async () => {
    await build({
      configFile: false,
      logLevel: 'silent',
      build: {
        ssr: fileURLToPath(new URL('./terminated-writer.ts', import.meta.url)),
        outDir: join(root, 'worker'),
        target: 'node20',
        rollupOptions: {
          external: ['lmdb'],
          output: { format: 'es', entryFileNames: 'terminated-writer.mjs', paths: { lmdb: pathToFileURL(createRequire(import.meta.url).resolve('lmdb')).href } },
        },
      },
    });
  });

  it('leaves whole transactions, every acknowledged one among them, to the thread that opens the file next', async () => {
    const path = nextPath();
    let acknowledged = 0;
    for (let round = 0; round < 12; round++) {
      const writer = worker(path);
      const problems: string[] = [];
      await new Promise<void>((settle, reject) => {
        // After none to three of its commits, at some point of the next.
        let commitsLeft = round % 4;
        const terminateSoon = (): void => void setTimeout(settle, (round * 7) % 20);
        writer.on('error', reject);
        writer.on('message', (message: { opened?: number; torn?: boolean; version?: number }) => {
          if (message.torn === true) problems.push('torn');
          if (message.opened !== undefined && message.opened < acknowledged) problems.push(`lost ${acknowledged}, found ${message.opened}`);
          if (message.version !== undefined) {
            acknowledged = message.version;
            commitsLeft--;
          }
          if (commitsLeft === 0) terminateSoon();
        });
      });
      await writer.terminate();
      expect(problems).toEqual([]);
    }
    expect(acknowledged).toBeGreaterThanOrEqual(18);
  });
});
