import { describe, expect, it } from 'vitest';
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
