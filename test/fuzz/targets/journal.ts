/**
 * A journal whose files were damaged: what is read was written, in order and without a gap, or the damage is named. One stretch of damage may cost the records
 * that it touches at the very end; if any other is missing, the loss was kept silent.
 *
 * Input: damages of 6 bytes each: file, kind, place (2), length, value. Opening such a journal takes milliseconds.
 */

import { EngineError } from '../../../engine/core/errors.ts';
import { offset } from '../../../engine/core/types.ts';
import { FaultyDisk } from '../../unit/log/faulty-disk.ts';
import { commitTexts, DIRECTORY, open, readAll, texts } from '../../unit/log/journal-fixture.ts';
import { type FuzzTarget, require } from '../target.ts';

const EXPECTED = ['JOURNAL_CORRUPT', 'DATA_VERSION', 'DATA_DIR_FOREIGN', 'CHECKPOINT_BEYOND_LOG', 'CHECKPOINT_BEFORE_LOG', 'CONFIG_INVALID'];
const DAMAGE_BYTES = 6;
const LENGTH_UNIT = 24;
/** Frame, index and header before a record's text, and its filling behind: what damage may touch to cost it. */
const [FRAME_BEFORE, FRAME_BEHIND] = [160, 8];
const written = Array.from({ length: 40 }, (_, index) => `#${index} `.padEnd(200 + ((index * 1_237) % 4_000), 'x'));
const KINDS = ['bit', 'zeros', 'noise', 'cut', 'grow', 'copy', 'gone', 'swap', 'stray'] as const;
const LOCAL: readonly string[] = ['bit', 'zeros', 'noise'];

interface Damage {
  readonly path: string;
  readonly kind: (typeof KINDS)[number];
  readonly start: number;
  readonly end: number;
}

async function pristineJournal(): Promise<FaultyDisk> {
  const disk = new FaultyDisk();
  for (const part of [written.slice(0, 25), written.slice(25)]) {
    const { writer } = await open(disk, { sparesMax: 1 });
    await commitTexts(writer, ...part);
    await writer.close();
  }
  return disk;
}

function apply(disk: FaultyDisk, input: Buffer, at: number): Damage | null {
  const paths = disk.paths.filter((each) => each.startsWith(DIRECTORY));
  if (paths.length === 0) return null;
  const [file, kindByte, high, low, lengthByte, value] = input.subarray(at, at + DAMAGE_BYTES) as unknown as [number, number, number, number, number, number];
  const path = paths[file % paths.length] as string;
  const kind = KINDS[kindByte % KINDS.length] as (typeof KINDS)[number];
  const bytes = disk.bytesOf(path);
  const start = Math.floor(((high * 256 + low) / 65_536) * bytes.byteLength);
  const end = Math.min(bytes.byteLength, kind === 'bit' ? start + 1 : start + 1 + lengthByte * LENGTH_UNIT);
  const damage = { path, kind, start, end };
  if (kind === 'gone') {
    disk.unlink(path);
    disk.syncDirectory(DIRECTORY);
  } else if (kind === 'cut') disk.resize(path, start);
  else if (kind === 'grow') disk.resize(path, bytes.byteLength + lengthByte * LENGTH_UNIT);
  else if (kind === 'swap' || kind === 'stray') {
    // The whole contents of another segment, under this one's name.
    const other = disk.bytesOf(paths[value % paths.length] as string);
    const copy = Buffer.from(bytes);
    disk.resize(path, other.byteLength);
    other.copy(disk.bytesOf(path));
    if (kind === 'swap' && other !== bytes) {
      const otherPath = paths[value % paths.length] as string;
      disk.resize(otherPath, copy.byteLength);
      copy.copy(disk.bytesOf(otherPath));
    }
  } else if (bytes.byteLength === 0) return null;
  else if (kind === 'bit') bytes[start] = (bytes[start] as number) ^ (1 << value % 8);
  else if (kind === 'copy') bytes.copyWithin(start, Math.floor((value / 256) * bytes.byteLength), Math.floor((value / 256) * bytes.byteLength) + end - start);
  else for (let index = start; index < end; index++) bytes[index] = kind === 'zeros' ? 0 : (value * (index + 1)) & 0xff;
  return damage;
}

/** Whether the damage touches the record or what frames it. */
function touches({ path, start, end }: Damage, text: string, pristine: FaultyDisk): boolean {
  const bytes = pristine.bytesOf(path);
  const at = bytes.indexOf(text);
  return at >= 0 && start < at + text.length + FRAME_BEHIND && end > at - FRAME_BEFORE;
}

export type ReadJournal = (disk: FaultyDisk) => Promise<readonly string[]>;

const readJournal: ReadJournal = async (disk) => {
  const { writer, recovery } = await open(disk);
  return texts(readAll(disk, writer.durableOffset, { from: recovery.oldestOffset > 0 ? recovery.oldestOffset : offset(0) }));
};

/** `read`: for planted bugs. */
export function journalTarget(read: ReadJournal = readJournal): FuzzTarget {
  let kept: Promise<FaultyDisk> | null = null;
  return {
    name: 'journal',
    generate(random) {
      const count = 1 + (random.below(2) === 0 ? 0 : random.below(4));
      return Buffer.from(Array.from({ length: count * DAMAGE_BYTES }, () => random.below(256)));
    },
    async check(input) {
      const pristine = await (kept ??= pristineJournal());
      const disk = pristine.clone();
      const damages: Damage[] = [];
      for (let at = 0; at + DAMAGE_BYTES <= input.byteLength; at += DAMAGE_BYTES) {
        const damage = apply(disk, input, at);
        if (damage !== null) damages.push(damage);
      }
      let found: readonly string[];
      try {
        found = await read(disk);
      } catch (error) {
        if (error instanceof EngineError && EXPECTED.includes(error.code)) return;
        throw error;
      }
      const first = found.length === 0 ? 0 : written.indexOf(found[0] as string);
      require(first >= 0 && found.every((text, index) => text === written[first + index]), `read what was not written, or not in order: ${found.map((text) => text.slice(0, 4)).join(' ')}`);
      const only = damages.length === 1 ? (damages[0] as Damage) : null;
      if (damages.length > 0 && (only === null || !LOCAL.includes(only.kind))) return;
      const missing = written.filter((text) => !found.includes(text));
      require(missing.every((text) => only !== null && touches(only, text, pristine)), `${missing.length} records are missing and nobody says so: ${missing.map((text) => text.slice(0, 4)).join(' ')}`);
    },
  };
}
