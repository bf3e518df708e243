/**
 * Damaged journals: whatever is done to the bytes of a journal, opening and reading it either raises what the manual names, or gives batches
 * that were written, in their order and without a gap. It never ends in another error, and never in a loop.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../engine/core/errors.ts';
import { offset } from '../../engine/core/types.ts';
import { FaultyDisk } from '../unit/log/faulty-disk.ts';
import { commitTexts, DIRECTORY, open, readAll, texts } from '../unit/log/journal-fixture.ts';

const RUNS = 150;
const EXPECTED = ['JOURNAL_CORRUPT', 'DATA_VERSION', 'DATA_DIR_FOREIGN', 'CHECKPOINT_BEYOND_LOG', 'CHECKPOINT_BEFORE_LOG', 'CONFIG_INVALID'];

const written = Array.from({ length: 40 }, (_, index) => `${index} `.padEnd(200 + ((index * 1_237) % 4_000), 'x'));

/** A journal of several segments, some of it recycled. */
async function journal(): Promise<FaultyDisk> {
  const disk = new FaultyDisk();
  const first = await open(disk, { sparesMax: 1 });
  await commitTexts(first.writer, ...written.slice(0, 25));
  await first.writer.close();
  const second = await open(disk, { sparesMax: 1 });
  await commitTexts(second.writer, ...written.slice(25));
  await second.writer.close();
  return disk;
}

const damage = fc.record({
  file: fc.nat(),
  kind: fc.constantFrom('bit', 'zeros', 'noise', 'cut', 'grow', 'copy', 'gone'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.integer({ min: 1, max: 6_000 }),
  value: fc.nat(255),
});

function apply(disk: FaultyDisk, { file, kind, at, length, value }: { file: number; kind: string; at: number; length: number; value: number }): void {
  const paths = disk.paths.filter((path) => path.startsWith(DIRECTORY));
  const path = paths[file % paths.length] as string;
  if (kind === 'gone') {
    disk.unlink(path);
    disk.syncDirectory(DIRECTORY);
    return;
  }
  const bytes = disk.bytesOf(path);
  const start = Math.floor(at * bytes.byteLength);
  if (kind === 'cut') disk.resize(path, start);
  else if (kind === 'grow') disk.resize(path, bytes.byteLength + length);
  else if (bytes.byteLength === 0) return;
  else if (kind === 'bit') bytes[Math.min(start, bytes.byteLength - 1)] = (bytes[Math.min(start, bytes.byteLength - 1)] as number) ^ (1 << value % 8);
  else if (kind === 'copy') bytes.copyWithin(start, Math.floor((value / 256) * bytes.byteLength), Math.floor((value / 256) * bytes.byteLength) + length);
  else for (let index = start; index < Math.min(bytes.byteLength, start + length); index++) bytes[index] = kind === 'zeros' ? 0 : (value * (index + 1)) & 0xff;
}

/** The records found, or the code of what was raised. */
async function outcome(disk: FaultyDisk): Promise<string[] | string> {
  try {
    const { writer, recovery } = await open(disk);
    return texts(readAll(disk, writer.durableOffset, { from: recovery.oldestOffset > 0 ? recovery.oldestOffset : offset(0) }));
  } catch (error) {
    if (error instanceof EngineError) return error.code;
    throw error;
  }
}

describe('a journal whose bytes were changed', () => {
  it('gives what was written, without a gap, or says what is wrong', async () => {
    const pristine = await journal();
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 4 }), async (damages) => {
        const disk = pristine.clone();
        for (const each of damages) apply(disk, each);
        const found = await outcome(disk);
        seen.set(typeof found === 'string' ? found : 'read', (seen.get(typeof found === 'string' ? found : 'read') ?? 0) + 1);
        if (typeof found === 'string') expect(EXPECTED).toContain(found);
        else {
          const first = found.length === 0 ? 0 : written.indexOf(found[0] as string);
          expect(first).toBeGreaterThanOrEqual(0);
          expect(found).toEqual(written.slice(first, first + found.length));
        }
      }),
      { numRuns: RUNS },
    );
    // A fuzzer that only ever sees one of the two proves nothing of the other.
    expect(seen.get('read') ?? 0).toBeGreaterThan(0);
    expect(seen.get('JOURNAL_CORRUPT') ?? 0).toBeGreaterThan(RUNS / 10);
  });
});
