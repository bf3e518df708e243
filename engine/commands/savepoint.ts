/** `millrace savepoint take | restore`: asks the daemon for a savepoint; makes a data directory from one. */

import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { readSpoolProgress } from '../../sinks/lake/index.ts';
import type { SavepointLine } from '../admin-savepoint.ts';
import { EngineError } from '../core/errors.ts';
import { systemClock } from '../core/clock.ts';
import { slotName, type SlotId } from '../core/lake-slot.ts';
import { copySynced, nodeDisk } from '../log/index.ts';
import { SAVEPOINT_FILE, journalsOf, makeDirectory, readInstance, writeFileAtomically } from '../runtime/data-directory.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { copyFolder, SAVEPOINT_EXTRAS } from '../runtime/savepoint.ts';
import { postForLines, toldError } from './admin-client.ts';
import { startProgress } from './progress.ts';
import { adminUrl, loadSettings } from './settings.ts';

const MIB = 1024 ** 2;

export async function takeSavepoint(directory: string, options: { readonly config?: string; readonly admin?: string }): Promise<number> {
  const { bytes, directory: made } = await requestSavepoint(adminUrl(loadSettings(options), options.admin), resolve(directory));
  process.stdout.write(`savepoint of ${bytes} bytes in ${made}\n`);
  return exitCodes.ok;
}

/** Has the daemon at `base` write one, and shows it grow. `directory` is absolute and does not exist yet. Rejects what the daemon says against it. */
export async function requestSavepoint(base: string, directory: string): Promise<{ readonly directory: string; readonly bytes: number }> {
  const query = new URLSearchParams({ directory, progress: 'true' });
  const url = `${base}/v1/savepoints?${query.toString()}`;
  let last: SavepointLine | null = null;
  const progress = startProgress('copying', 0);
  try {
    for await (const line of postForLines<SavepointLine>(url)) {
      last = line;
      if ('copied' in line) progress.update(Math.round(line.copied / MIB), 'MiB');
    }
  } finally {
    progress.stop();
  }
  if (last === null || 'copied' in last) throw new EngineError('NOT_READY', `${url} has ended without a savepoint`, { fix: 'look into the log of the daemon' });
  if ('error' in last) throw toldError(last.error);
  return last;
}

/** The copy gets a higher generation: sinks then refuse the daemon it was taken from. */
export async function restoreSavepoint(directory: string, into: string): Promise<number> {
  const source = resolve(directory);
  const target = resolve(into);
  if (!existsSync(join(source, SAVEPOINT_FILE))) {
    throw new EngineError('DATA_DIR_FOREIGN', `${source} is no complete savepoint (${SAVEPOINT_FILE} is missing)`, { fix: 'name a directory that `millrace savepoint take` has finished' });
  }
  if (existsSync(target)) throw new EngineError('DATA_DIR_UNUSABLE', `${target} exists already`, { fix: 'name a directory that does not exist yet' });
  const facts = readInstance(source);
  if (facts === null) throw new EngineError('DATA_DIR_FOREIGN', `${source} holds no instance.json`);
  const spooledUpTo = await readSpoolProgress(join(source, 'spool'));
  makeDirectory(target);
  for (const part of [...journalsOf(source).map((journal) => basename(journal)), 'state', 'live', 'spool', 'geoip']) {
    if (!existsSync(join(source, part))) continue;
    mkdirSync(join(target, part));
    await copyFolder(join(source, part), join(target, part));
  }
  for (const extra of ['poison.json', ...SAVEPOINT_EXTRAS]) if (existsSync(join(source, extra))) await copySynced(join(source, extra), join(target, extra));
  const taken = JSON.parse(readFileSync(join(source, SAVEPOINT_FILE), 'utf8')) as { generation: number };
  const generation = Math.max(systemClock.nowMs(), facts.generation + 1, taken.generation + 1);
  // Written last: without it the copy is refused as incomplete.
  writeFileAtomically(join(target, 'instance.json'), `${JSON.stringify({ ...facts, generation }, null, 2)}\n`);
  rmSync(join(target, SAVEPOINT_FILE), { force: true });
  nodeDisk.syncDirectory(target);
  process.stdout.write(`restored into ${target}, generation ${generation}\n${lakeAdvice(spooledUpTo)}\n`);
  return exitCodes.ok;
}

/** Later slots are written again from here, with other events where the lives differ: left there, the former life's files would hold events twice. */
function lakeAdvice(spooledUpTo: SlotId | null): string {
  const files = spooledUpTo === null ? 'what the old daemon wrote to its events/' : `the files of its events/ whose names sort after ${slotName(spooledUpTo)}`;
  return `a savepoint holds no lake: to go on with the old one, first remove ${files} (written after the savepoint, or written again)`;
}
