/** The copy that a savepoint makes of a directory in use: what moves or goes while it is read. */

import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../engine/core/clock.ts';
import type { OrderedStore } from '../../../engine/core/store.ts';
import type { Offset } from '../../../engine/core/types.ts';
import { openJournal } from '../../../engine/log/index.ts';
import { Asker } from '../../../engine/runtime/asker.ts';
import { openDataDirectory, type DataDirectory } from '../../../engine/runtime/data-directory.ts';
import { writeSavepoint, type SavepointParts } from '../../../engine/runtime/savepoint.ts';

const FILES_PER_SLOT = 200;

let scratch: string;
let directory: DataDirectory;
let durable: Offset;
beforeEach(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'millrace-savepoint-'));
  directory = await openDataDirectory({ path: join(scratch, 'data'), partitionCount: 4, segmentBytes: 16 * 1024 ** 2, nowMs: 1 });
  writeFileSync(join(directory.spool, 'progress.json'), '{}');
  const { instance, partitionCount, segmentBytes, journals } = directory;
  const { writer } = await openJournal({ directory: journals[0] as string, instance, partitionCount, segmentBytes, clock: systemClock, publish: () => undefined });
  await writer.commit();
  durable = writer.durableOffset;
  await writer.close();
});
afterEach(async () => {
  await directory.release({ clean: true });
  rmSync(scratch, { recursive: true });
});

const live = { copyTo: (path: string) => Promise.resolve(writeFileSync(path, 'live')) } as unknown as OrderedStore;

const parts = (): SavepointParts => ({ directory, asker: new Asker(() => []), live, durableOffsets: () => [durable], spoolScratch: ['staging', 'held'], pin: () => () => undefined, nowMs: 5 });

function fillSlot(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (let file = 0; file < FILES_PER_SLOT; file++) writeFileSync(join(folder, `part${file}`), 'rows');
}

describe('a savepoint', () => {
  it('is taken whole while the uploader takes a folder of the spool away', async () => {
    const ready = join(directory.spool, 'ready');
    fillSlot(join(ready, 'slot-1'));
    fillSlot(join(ready, 'slot-2'));
    const target = join(scratch, 'savepoint');
    const watch = setInterval(() => {
      if (existsSync(join(target, 'spool/ready/slot-1/part1'))) rmSync(join(ready, 'slot-2'), { recursive: true, force: true });
    }, 1);
    await writeSavepoint(target, parts()).finally(() => {
      clearInterval(watch);
    });
    expect(existsSync(join(ready, 'slot-2'))).toBe(false);
    expect(readdirSync(join(target, 'spool/ready/slot-1'))).toHaveLength(FILES_PER_SLOT);
    expect(existsSync(join(target, 'savepoint.json'))).toBe(true);
  });

  it('leaves out what a restart of the spool throws away', async () => {
    for (const folder of ['ready', 'staging', 'held']) fillSlot(join(directory.spool, folder, 'slot-1'));
    const target = join(scratch, 'savepoint');
    await writeSavepoint(target, parts());
    expect(readdirSync(join(target, 'spool')).sort()).toEqual(['progress.json', 'ready']);
  });
});
