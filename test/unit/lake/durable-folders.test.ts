import { describe, expect, it } from 'vitest';
import { DurableFolders, writeDurably } from '../../../sinks/lake/durable-file.ts';
import { faultyFiles } from '../../simulation/faulty-files.ts';
import { diskError, FaultyDisk } from '../log/faulty-disk.ts';

const ROOT = '/lake';
const FOLDER = `${ROOT}/hourly/event_date=2026-11-22`;
const FILE = `${FOLDER}/metrics.parquet`;
/** A power cut that keeps nothing of what was not synced. */
const keepsNothing = (): number => 0;

function setUp() {
  const disk = new FaultyDisk();
  const files = faultyFiles(disk, () => true, () => false);
  files.direct.makeFolders(ROOT);
  disk.syncDirectory('/');
  return { disk, files };
}

describe('a folder of the lake', () => {
  it('survives a power cut with the file in it', async () => {
    const { disk, files } = setUp();
    await new DurableFolders(files, ROOT).make(FOLDER);
    await writeDurably(files, FILE, Buffer.from('rows'));
    disk.powerCut(keepsNothing);
    expect(disk.paths).toContain(FILE);
  });

  it('is not taken for durable because it is there: the sync of its name failed before', async () => {
    const { disk, files } = setUp();
    const folders = new DurableFolders(files, ROOT);
    disk.fault = (operation) => (operation === 'syncDirectory' ? diskError('EIO') : null);
    await expect(folders.make(FOLDER)).rejects.toThrow('EIO');
    disk.fault = null;
    await folders.make(FOLDER);
    await writeDurably(files, FILE, Buffer.from('rows'));
    disk.powerCut(keepsNothing);
    expect(disk.paths).toContain(FILE);
  });

  it('is not taken for durable because it is there: who made it died before the sync', async () => {
    const { disk, files } = setUp();
    files.direct.makeFolders(FOLDER);
    await new DurableFolders(files, ROOT).make(FOLDER);
    await writeDurably(files, FILE, Buffer.from('rows'));
    disk.powerCut(keepsNothing);
    expect(disk.paths).toContain(FILE);
  });

  it('is not taken for durable where the root was made, its name could not be synced, and the next sync failed as well', async () => {
    const { disk, files } = setUp();
    const root = '/srv-lake';
    const folders = new DurableFolders(files, root);
    let left = 3;
    disk.fault = (operation) => ((operation === 'syncDirectory' || operation === 'unlink') && left-- > 0 ? diskError('EIO') : null);
    await expect(folders.make(root)).rejects.toThrow('EIO');
    await expect(folders.make(root)).rejects.toThrow('EIO');
    await folders.make(root);
    await writeDurably(files, `${root}/file`, Buffer.from('rows'));
    disk.powerCut(keepsNothing);
    expect(disk.paths).toContain(`${root}/file`);
  });

  it.each(['EACCES', 'EPERM'])('may stand in a root whose parent says %s', async (code) => {
    const { disk, files } = setUp();
    disk.fault = (operation, path) => (operation === 'syncDirectory' && path === '/' ? diskError(code) : null);
    await new DurableFolders(files, ROOT).make(FOLDER);
    expect(disk.folders('open', FOLDER).look(FOLDER)).toBe('folder');
  });
});
