/**
 * Copies of GeoIP files by hash, in the data directory: what journaled rules name stays there as long as a record may be folded under it.
 *
 * ```
 * geoip/<hash>.mmdb         the file as it was
 * geoip/<hash>.superseded   log time (ms) by which other rules were durable; missing while it is in use
 * ```
 * A copy is whole or not there. One that has been superseded leaves once the oldest record of every journal is younger than that: partitions
 * and lake slots hold their journals back as far as they need to read, so nobody can need it any more. Written by the main thread alone.
 */

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError, messageOf } from '../core/errors.ts';
import type { PlaceLookup } from '../core/rule-resources.ts';
import { nodeDisk } from '../log/index.ts';
import { writeFileAtomically } from './data-directory.ts';
import { openPlaces, type GeoFile } from './geo-file.ts';

const FILE = '.mmdb';
const SUPERSEDED = '.superseded';
const HASH = /^[0-9a-f]{64}$/;

const fileOf = (directory: string, hash: string): string => join(directory, hash + FILE);
const markOf = (directory: string, hash: string): string => join(directory, hash + SUPERSEDED);

/** Keeps a copy, durable on return, and takes it for one in use. Rejects DISK_FULL or DATA_DIR_UNUSABLE. */
export async function adoptGeoFile(directory: string, { hash, bytes }: GeoFile): Promise<void> {
  try {
    rmSync(markOf(directory, hash), { force: true });
    if (await isWhole(directory, hash)) return;
    await writeFile(`${fileOf(directory, hash)}.tmp`, bytes, { flush: true });
    await rename(`${fileOf(directory, hash)}.tmp`, fileOf(directory, hash));
    nodeDisk.syncDirectory(directory);
  } catch (error) {
    const full = (error as NodeJS.ErrnoException).code === 'ENOSPC';
    throw new EngineError(full ? 'DISK_FULL' : 'DATA_DIR_UNUSABLE', `the GeoIP file cannot be copied to ${directory}: ${messageOf(error)}`, { where: { path: directory }, fix: 'free space, or make it writable', cause: error });
  }
}

/** Raises RULE_RESOURCE_MISSING for a copy that is not there or not what its name says. */
export function openGeoCopy(directory: string, hash: string): PlaceLookup {
  const file = fileOf(directory, hash);
  try {
    const bytes = readFileSync(file);
    if (createHash('sha256').update(bytes).digest('hex') !== hash) throw new Error('its content is another one');
    return openPlaces(bytes);
  } catch (error) {
    throw new EngineError('RULE_RESOURCE_MISSING', `the GeoIP file that records of the journal were counted with cannot be read: ${messageOf(error)}`, {
      where: { file },
      fix: `put the GeoIP file with SHA-256 ${hash} there, or restore a savepoint`,
      cause: error,
    });
  }
}

/** Rules that name `current` (null: none) are durable, and log time is past `nowMs`: all others are needed for older records alone. */
export function supersedeOthers(directory: string, current: string | null, nowMs: number): void {
  for (const hash of copies(directory)) {
    if (hash === current || existsSync(markOf(directory, hash))) continue;
    writeFileAtomically(markOf(directory, hash), `${nowMs}\n`);
  }
}

/** Removes what no record from `oldestReceivedAtMs` on was folded with; returns how many. */
export function removeUnneeded(directory: string, oldestReceivedAtMs: number): number {
  const gone = copies(directory).filter((hash) => {
    const mark = markOf(directory, hash);
    return existsSync(mark) && oldestReceivedAtMs > Number(readFileSync(mark, 'utf8'));
  });
  for (const hash of gone) {
    rmSync(fileOf(directory, hash), { force: true });
    rmSync(markOf(directory, hash), { force: true });
  }
  return gone.length;
}

export const countCopies = (directory: string): number => copies(directory).length;

const copies = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith(FILE))
    .map((name) => name.slice(0, -FILE.length))
    .filter((name) => HASH.test(name));

async function isWhole(directory: string, hash: string): Promise<boolean> {
  const file = fileOf(directory, hash);
  return existsSync(file) && createHash('sha256').update(await readFile(file)).digest('hex') === hash;
}
