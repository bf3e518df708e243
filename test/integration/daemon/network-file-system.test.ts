/** Network file systems cannot be mounted here: the kernel's answer is replaced, everything behind it is real. */

import type * as Fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { temporaryDirectory } from '../../support/daemon.ts';

const kernel = vi.hoisted(() => ({ type: 0, below: '' }));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof Fs>();
  return { ...fs, statfsSync: (path: string) => ({ ...fs.statfsSync(path), type: path.endsWith(kernel.below) ? kernel.type : 0xef53 }) };
});
const { openDataDirectory } = await import('../../../engine/runtime/data-directory.ts');
const { exitCodeOf, exitCodes } = await import('../../../engine/runtime/exit-codes.ts');

let scratch: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  scratch = temporaryDirectory();
  kernel.below = '';
});
afterEach(() => {
  scratch.remove();
});

const open = (): ReturnType<typeof openDataDirectory> => openDataDirectory({ path: scratch.path, partitionCount: 4, segmentBytes: 16 * 1024 * 1024, nowMs: 1_800_000_000_000 });

describe('a data directory on a network file system', () => {
  // The kernel's numbers are 32 bits wide; some come out negative.
  it.each([['NFS', 0x6969], ['CIFS', 0xff534d42 | 0], ['SMB2', 0xfe534d42 | 0], ['Ceph', 0x00c36400], ['9p', 0x01021997], ['Lustre', 0x0bd00bd0]])('is refused with 4 and one line: %s', async (name, type) => {
    kernel.type = type;
    const error: unknown = await open().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'DATA_DIR_NETWORK', message: expect.stringContaining(`(${name})`) as unknown, fix: expect.stringMatching(/local disk/) as unknown });
    expect(exitCodeOf(error)).toBe(exitCodes.dataDirectory);
  });

  it.each(['journal', 'state', 'live'])('is refused where only %s in it is mounted or linked from one', async (folder) => {
    Object.assign(kernel, { type: 0x6969, below: `/${folder}` });
    await expect(open()).rejects.toMatchObject({ code: 'DATA_DIR_NETWORK', where: { path: expect.stringMatching(new RegExp(`/${folder}$`)) as unknown } });
  });

  it('is told from a local one', async () => {
    kernel.type = 0xef53;
    const directory = await open();
    expect(directory.created).toBe(true);
    await directory.release({ clean: true });
  });
});
