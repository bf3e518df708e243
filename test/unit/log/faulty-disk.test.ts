import { describe, expect, it } from 'vitest';
import { diskError, FaultyDisk } from './faulty-disk.ts';

const PATH = '/data/file';
const TEXT = Buffer.from('text');
/** A power cut that keeps nothing of what was not synced. */
const keepsNothing = (): number => 0;

describe('the faulty disk', () => {
  it('forgets what a failed sync was to write, and calls the pages clean', () => {
    const disk = new FaultyDisk();
    const file = disk.session().open(PATH, 'create');
    disk.syncDirectory('/data');
    file.write(TEXT, 0, TEXT.byteLength, 0);
    disk.fault = (operation) => (operation === 'sync' ? diskError('EIO') : null);
    expect(() => {
      file.sync();
    }).toThrow('EIO');
    disk.fault = null;
    file.sync();
    disk.powerCut(keepsNothing);
    expect(disk.bytesOf(PATH).byteLength).toBe(0);
  });

  it('lets the sync of a thread that is gone do nothing: what another has written since is still to be synced', async () => {
    const disk = new FaultyDisk();
    let isAlive = true;
    const before = disk.session(() => isAlive).open(PATH, 'create');
    disk.syncDirectory('/data');
    let endDelay = (): void => undefined;
    disk.delay = () => new Promise((resolve) => (endDelay = resolve));
    const late = before.syncAsync();
    isAlive = false;
    const after = disk.session().open(PATH, 'readwrite');
    after.write(TEXT, 0, TEXT.byteLength, 0);
    endDelay();
    await expect(late).rejects.toThrow('EBADF');
    after.sync();
    disk.powerCut(keepsNothing);
    expect(disk.bytesOf(PATH)).toEqual(TEXT);
  });
});
