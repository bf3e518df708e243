import { describe, expect, it } from 'vitest';
import { EventsSink } from '../../../sinks/lake/events-sink.ts';
import { FileTarget } from '../../../sinks/lake/file-target.ts';
import { Spool, spoolFileName, stagingDirectory } from '../../../sinks/lake/spool.ts';
import { faultyFiles } from '../../simulation/faulty-files.ts';
import { diskError, FaultyDisk } from '../log/faulty-disk.ts';

const DIRECTORY = '/data/spool';
const SLOT = { startMs: Date.UTC(2026, 10, 22, 9), part: 0 };
const STAGED = { files: 1, bytes: 4 };
/** A power cut that keeps nothing of what was not synced. */
const keepsNothing = (): number => 0;

async function openSpool(disk: FaultyDisk) {
  const files = faultyFiles(disk, () => true, () => false);
  const spool = new Spool({ directory: DIRECTORY, bytesMax: 1_000, files });
  await spool.open();
  return { files, spool };
}

describe('a slot in the spool', () => {
  it('is durable before it is covered, also where its maker died between the rename and the sync of the name', async () => {
    const disk = new FaultyDisk();
    faultyFiles(disk, () => true, () => false).direct.makeFolders('/data');
    disk.syncDirectory('/');
    const first = await openSpool(disk);
    const staging = stagingDirectory(DIRECTORY, SLOT);
    await first.files.makeFolder(staging);
    await first.files.writeSynced(`${staging}/${spoolFileName('events/one.parquet')}`, Buffer.from('rows'));
    disk.fault = (operation, path) => (operation === 'syncDirectory' && path.endsWith('/ready') ? diskError('EIO') : null);
    await expect(first.spool.commit(SLOT, STAGED)).rejects.toThrow('EIO');
    disk.fault = null;
    disk.processDeath();
    const second = await openSpool(disk);
    expect(second.spool.covers(SLOT)).toBe(true);
    disk.powerCut(keepsNothing);
    const third = await openSpool(disk);
    expect(third.spool.covers(SLOT)).toBe(true);
    expect(await third.spool.files(SLOT)).toMatchObject([{ name: 'events/one.parquet', sizeBytes: STAGED.bytes }]);
  });
});

describe('once the spool has been rewritten, so that nothing in it is older than the reason', () => {
  const share = { partition: 0, slot: SLOT, dedupe: 'push-ms', rowCount: 1, entries: new Uint8Array(0) } as const;

  /** One slot on its way. */
  async function openSink(disk: FaultyDisk): Promise<EventsSink> {
    const files = faultyFiles(disk, () => true, () => false);
    files.direct.makeFolders('/data');
    disk.syncDirectory('/');
    const sink = new EventsSink({
      target: new FileTarget('file:/lake', files),
      spoolDirectory: DIRECTORY,
      spoolBytesMax: 1_000,
      partitionCount: 1,
      files,
      encode: async () => {
        const staging = stagingDirectory(DIRECTORY, SLOT);
        files.direct.makeFolders(staging);
        await files.writeSynced(`${staging}/${spoolFileName('events/one.parquet')}`, Buffer.from('rows'));
        return { ...STAGED, rows: 1, undecodable: 0, erased: 0 };
      },
      onSpooled: () => undefined,
      warn: () => undefined,
      backoffMinMs: 60_000,
    });
    await sink.open();
    sink.start();
    sink.accept(share);
    return sink;
  }
  const until = async (isSo: () => boolean): Promise<void> => {
    for (let turns = 0; !isSo(); turns++) {
      if (turns > 1_000) throw new Error('it does not come to pass');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const rewritten = (sink: EventsSink): Promise<number> => sink.rewriteSpooled(() => Promise.resolve(null));

  it('no file that was uploaded and removed comes back with a power cut, as it was before', async () => {
    const disk = new FaultyDisk();
    const sink = await openSink(disk);
    await until(() => sink.health().settledMark > 0);
    await rewritten(sink);
    disk.powerCut(keepsNothing);
    expect((await (await openSpool(disk)).spool.readySlots()).length).toBe(0);
  });

  it('no slot that was renamed and not committed is found by the next life, as it was before', async () => {
    const disk = new FaultyDisk();
    disk.fault = (operation, path) => (operation === 'rename' && path.endsWith('progress.json.tmp') ? diskError('EIO') : null);
    const sink = await openSink(disk);
    await until(() => sink.health().failures > 0);
    await rewritten(sink);
    disk.fault = null;
    disk.processDeath();
    expect((await openSpool(disk)).spool.covers(SLOT)).toBe(false);
  });

  it('no slot counts as spooled whose folder has gone, where progress was written and nobody knew', async () => {
    const disk = new FaultyDisk();
    disk.fault = (operation, path) => (operation === 'syncDirectory' && path === DIRECTORY && disk.paths.includes(`${DIRECTORY}/progress.json`) ? diskError('EIO') : null);
    const sink = await openSink(disk);
    await until(() => sink.health().failures > 0);
    disk.fault = null;
    await rewritten(sink);
    disk.processDeath();
    expect((await openSpool(disk)).spool.covers(SLOT)).toBe(false);
  });
});
