/**
 * The durable local folder between the encoder and the lake: what is in it survives everything, and the journal's need ends there.
 *
 * ```
 * staging/<slot>/<file>   being written by a pool thread; worth nothing          progress.json   every slot up to and including this one
 * ready/<slot>/<file>     whole slots, waiting for upload                                        is or was in ready/
 * held/                   shares pushed out of memory (held-shares.ts)
 * ```
 * A slot becomes ready by one rename of its folder, after its files and their names are on disk; then progress moves. A crash between the
 * two is mended at open, from the folders: so a slot's files come from one encoding, never from two with different cuts. A copy that
 * reads progress.json before ready/ (savepoints do, by name) is consistent. Object names are percent-encoded into file names. Main thread.
 */

import { join } from 'node:path';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { slotName, type SlotId } from '../../engine/core/lake-slot.ts';
import { assert } from '../../engine/core/types.ts';
import { DurableFolders, isMissing, isTemporary, systemCode, writeDurably } from './durable-file.ts';
import type { Files } from './files.ts';
import { nodeFiles } from './node-files.ts';

const READY = 'ready';
const STAGING = 'staging';
export const HELD = 'held';
/** Worth nothing after a restart: a copy may leave them out. */
export const SPOOL_SCRATCH: readonly string[] = [STAGING, HELD];
const PROGRESS_FILE = 'progress.json';
const PROGRESS_VERSION = 1;

export interface SpooledFile {
  /** The object's name in the lake. */
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
}

export const stagingDirectory = (spoolDirectory: string, slot: SlotId): string => join(spoolDirectory, STAGING, slotName(slot));
export const spoolFileName = (objectName: string): string => encodeURIComponent(objectName);

export const compareSlots = (a: SlotId, b: SlotId): number => a.startMs - b.startMs || a.part - b.part;

/** Reads back what `slotName` wrote; null for any other name. */
export function parseSlotName(name: string): SlotId | null {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-(\d{4,9})$/.exec(name);
  if (parts === null) return null;
  const [year, month, day, hour, minute, second, part] = parts.slice(1).map(Number) as [number, number, number, number, number, number, number];
  return { startMs: Date.UTC(year, month - 1, day, hour, minute, second), part };
}

export class Spool {
  readonly directory: string;
  readonly bytesMax: number;
  readonly #files: Files;
  #progress: SlotId | null = null;
  /** A failed write of it may be on disk all the same. */
  #isProgressAhead = false;
  #bytes = 0;

  constructor(options: { readonly directory: string; readonly bytesMax: number; readonly files?: Files }) {
    this.directory = options.directory;
    this.bytesMax = options.bytesMax;
    this.#files = options.files ?? nodeFiles;
  }

  /** Every slot up to and including this one is spooled; null before the first. */
  get progress(): SlotId | null {
    return this.#progress;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** No further slot may be encoded until uploads have made room. One slot may go past the limit. */
  get full(): boolean {
    return this.#bytes >= this.bytesMax;
  }

  covers(slot: SlotId): boolean {
    return this.#progress !== null && compareSlots(slot, this.#progress) <= 0;
  }

  /** Reads what is there and removes what a crash left half done. Raises DATA_DIR_UNUSABLE, DATA_VERSION or STATE_CORRUPT. */
  async open(): Promise<void> {
    try {
      await this.#files.removeTree(join(this.directory, STAGING));
      await this.#files.removeTree(join(this.directory, HELD));
      const folders = new DurableFolders(this.#files, this.directory);
      for (const folder of [READY, STAGING, HELD]) await folders.make(join(this.directory, folder));
      this.#progress = await readSpoolProgress(this.directory, this.#files);
      this.#bytes = 0;
      const slots = await this.#slotFolders();
      // Whoever renamed them may have died before the names were on disk, and once progress covers a slot nobody keeps it but this folder.
      if (slots.some((slot) => !this.covers(slot))) await this.#files.syncFolder(join(this.directory, READY));
      for (const slot of slots) {
        for (const file of await this.files(slot)) this.#bytes += file.sizeBytes;
        if (!this.covers(slot)) await this.#advance(slot);
      }
    } catch (error) {
      if (error instanceof EngineError) throw error;
      throw new EngineError('DATA_DIR_UNUSABLE', `the lake's spool cannot be used: ${messageOf(error)}`, { cause: error, where: { directory: this.directory } });
    }
  }

  /** Makes the staged files of `slot` ready and moves progress; with no rows there is no folder. Raises DISK_FULL or DATA_DIR_UNUSABLE. */
  async commit(slot: SlotId, staged: { readonly files: number; readonly bytes: number }): Promise<void> {
    assert(!this.covers(slot), `slot ${slotName(slot)} is spooled once`);
    await this.#guard(async () => {
      if (staged.files > 0) {
        const staging = stagingDirectory(this.directory, slot);
        const ready = join(this.directory, READY, slotName(slot));
        await this.#files.syncFolder(staging);
        // Left by an attempt that failed after its rename; not covered yet, so nothing of it was uploaded.
        await this.#takeBackProgress();
        await this.#files.removeTree(ready);
        await this.#files.rename(staging, ready);
        await this.#files.syncFolder(join(this.directory, READY));
      }
      await this.#advance(slot);
      this.#bytes += staged.bytes;
    });
  }

  /** Spooled slots that wait for upload, oldest first. */
  async readySlots(): Promise<SlotId[]> {
    return (await this.#slotFolders()).filter((slot) => this.covers(slot));
  }

  /** Files of a ready slot that are not uploaded yet, by name. */
  async files(slot: SlotId): Promise<SpooledFile[]> {
    const folder = join(this.directory, READY, slotName(slot));
    const files: SpooledFile[] = [];
    for (const entry of (await this.#files.list(folder)).sort()) {
      if (isTemporary(entry)) continue;
      const path = join(folder, entry);
      files.push({ name: decodeURIComponent(entry), path, sizeBytes: (await this.#files.look(path)).sizeBytes });
    }
    return files;
  }

  /** The content of a spooled file; null when it has been uploaded and removed meanwhile. */
  async read(file: SpooledFile): Promise<Uint8Array | null> {
    return this.#files.read(file.path).catch((error: unknown) => {
      if (isMissing(error)) return null;
      throw error;
    });
  }

  /** Puts other bytes in the place of a file's, whole or not at all. Nothing may upload it meanwhile. Raises DISK_FULL or DATA_DIR_UNUSABLE. */
  async replace(file: SpooledFile, bytes: Uint8Array): Promise<void> {
    await this.#guard(() => writeDurably(this.#files, file.path, bytes));
    this.#bytes += bytes.byteLength - file.sizeBytes;
  }

  /** After its upload. Need not be durable: a file that comes back is uploaded again, over itself. */
  async remove(file: SpooledFile): Promise<void> {
    await this.#files.unlink(file.path).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
    this.#bytes -= file.sizeBytes;
  }

  /** After the last file's upload. */
  async removeSlot(slot: SlotId): Promise<void> {
    await this.#files.removeTree(join(this.directory, READY, slotName(slot)));
  }

  /** Removes what a commit left that failed after its rename: its shares are held, and it would be found by the next life as it is. While nothing is committed. */
  async removeUncommitted(): Promise<void> {
    await this.#guard(() => this.#takeBackProgress());
    for (const slot of await this.#slotFolders()) if (!this.covers(slot)) await this.removeSlot(slot);
  }

  /** From now on nothing that was removed comes back with a power cut. While no file is removed. */
  async confirmRemovals(): Promise<void> {
    const ready = join(this.directory, READY);
    for (const slot of await this.readySlots()) await this.#files.syncFolder(join(ready, slotName(slot)));
    await this.#files.syncFolder(ready);
  }

  async #slotFolders(): Promise<SlotId[]> {
    const slots: SlotId[] = [];
    for (const name of await this.#files.list(join(this.directory, READY))) {
      const slot = parseSlotName(name);
      if (slot === null) throw new EngineError('STATE_CORRUPT', `${name} in the lake's spool is no slot`, { where: { directory: join(this.directory, READY) }, fix: 'move it away' });
      slots.push(slot);
    }
    return slots.sort(compareSlots);
  }

  async #advance(slot: SlotId): Promise<void> {
    this.#isProgressAhead = true;
    await this.#writeProgress(slot);
    this.#isProgressAhead = false;
    this.#progress = slot;
  }

  /** It must not cover a slot whose folder is about to go: partitions would be told that its rows are safe. */
  async #takeBackProgress(): Promise<void> {
    if (!this.#isProgressAhead) return;
    await this.#writeProgress(this.#progress);
    this.#isProgressAhead = false;
  }

  async #writeProgress(slot: SlotId | null): Promise<void> {
    const path = join(this.directory, PROGRESS_FILE);
    if (slot !== null) return writeDurably(this.#files, path, Buffer.from(`${JSON.stringify({ version: PROGRESS_VERSION, slot: slotName(slot) })}\n`));
    await this.#files.removeTree(path);
    await this.#files.syncFolder(this.directory);
  }

  async #guard(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      throw spoolError(error, this.directory);
    }
  }
}

/** The slot up to which all is or was in a spool's `ready/`; null before the first. Raises DATA_VERSION or STATE_CORRUPT. */
export async function readSpoolProgress(spoolDirectory: string, files: Files = nodeFiles): Promise<SlotId | null> {
  const path = join(spoolDirectory, PROGRESS_FILE);
  const bytes = await files.read(path).catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw error;
  });
  return bytes === null ? null : parseProgress(bytes, path);
}

/** Records received before are in the lake, if they are rows at all; epoch ms. */
export const uploadedThrough = (progress: SlotId, oldestReady: SlotId | undefined): number => Math.min(progress.startMs, oldestReady?.startMs ?? Infinity);

/** How far a spool that nobody writes, or the copy of one, has come: rows of slots up to `through` are in the lake or wait for upload. */
export async function spooledState(spoolDirectory: string, files: Files = nodeFiles): Promise<{ readonly through: SlotId | null; readonly uploadedThroughMs: number }> {
  const through = await readSpoolProgress(spoolDirectory, files);
  if (through === null) return { through, uploadedThroughMs: 0 };
  const waiting = await files.list(join(spoolDirectory, READY)).catch((error: unknown): string[] => {
    if (isMissing(error)) return [];
    throw error;
  });
  const [oldest] = waiting.map(parseSlotName).filter((slot) => slot !== null).sort(compareSlots);
  return { through, uploadedThroughMs: uploadedThrough(through, oldest) };
}

/** Of what the file at `path` holds. Raises DATA_VERSION or STATE_CORRUPT. */
export function parseProgress(bytes: Uint8Array, path: string): SlotId {
  const { version, slot } = progressOf(Buffer.from(bytes).toString('utf8'));
  if (version > PROGRESS_VERSION) throw new EngineError('DATA_VERSION', `the lake's spool is of version ${version}, newer than this program`, { where: { file: path }, fix: 'run the newer program' });
  const parsed = parseSlotName(slot);
  if (parsed === null) throw new EngineError('STATE_CORRUPT', `${PROGRESS_FILE} of the lake's spool is unreadable`, { where: { file: path }, fix: 'restore it from a savepoint; without it, slots that were uploaded are written again over themselves' });
  return parsed;
}

/** Full or not: both are tried again. */
export function spoolError(error: unknown, directory: string): EngineError {
  if (error instanceof EngineError) return error;
  const full = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(systemCode(error));
  const fix = full ? 'free space on the file system of the data directory' : 'look at the file system of the data directory';
  return new EngineError(full ? 'DISK_FULL' : 'DATA_DIR_UNUSABLE', `the lake's spool cannot be written: ${messageOf(error)}`, { cause: error, where: { directory }, fix });
}

function progressOf(text: string): { version: number; slot: string } {
  try {
    const parsed = JSON.parse(text) as { version?: unknown; slot?: unknown } | null;
    return { version: Number(parsed?.version ?? 0), slot: typeof parsed?.slot === 'string' ? parsed.slot : '' };
  } catch {
    return { version: 0, slot: '' };
  }
}
