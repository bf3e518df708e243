/**
 * `millrace replay --from DIR --into DIR`: folds the journal of one data directory into a fresh one.
 *
 * The same actor threads, merge and live store as in the daemon: what comes out is what an undisturbed daemon would hold, at
 * any thread count. `millrace inspect --state-hash` compares the two. A name in place of the second directory makes a shadow (replay-shadow.ts, replay-lake.ts).
 */

import { copyFileSync, existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EngineError } from '../core/errors.ts';
import { systemClock } from '../core/clock.ts';
import { readEraseSecret } from '../erase-secret.ts';
import { directoriesOf, journalsOf, makeDirectory, openDataDirectory, readInstance } from '../runtime/data-directory.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import type { Shadow } from '../runtime/shadows.ts';
import { endsOf, foldJournal } from './fold-journal.ts';
import type { ShadowOptions } from './new-shadow.ts';
import { replayFromLake } from './replay-lake.ts';
import { replayIntoShadow } from './replay-shadow.ts';
import { loadSettings } from './settings.ts';

export interface ReplayOptions extends Omit<ShadowOptions, 'into'> {
  readonly into?: string;
  readonly source: string;
}

/** A value with a slash is a directory; a name makes a shadow of the configuration's own data directory. */
export async function replay(options: ReplayOptions): Promise<number> {
  const { into, from } = options;
  if (into === undefined) throw new EngineError('CONFIG_INVALID', 'replay: --into is missing', { fix: 'give the name of a shadow, or a directory with a slash in it' });
  const isFromLake = sourceOf(options.source) === 'lake';
  if (!into.includes('/')) return isFromLake ? replayFromLake({ ...options, into }) : replayIntoShadow({ ...options, into });
  if (from === undefined) throw new EngineError('CONFIG_INVALID', 'replay: --from is missing', { fix: 'name the data directory whose journal is to be folded' });
  if (options.pipeline !== undefined || options.to !== undefined || isFromLake) throw new EngineError('CONFIG_INVALID', 'replay: --pipeline, --to and --source lake go with a shadow', { fix: 'give --into a name without a slash' });
  return replayIntoDirectory({ config: options.config, from, into, threads: options.threads });
}

function sourceOf(text: string): Shadow['source'] {
  if (text === 'journal' || text === 'lake') return text;
  throw new EngineError('CONFIG_INVALID', `--source ${text}: use journal or lake`);
}

async function replayIntoDirectory(options: { readonly config?: string | undefined; readonly from: string; readonly into: string; readonly threads: number }): Promise<number> {
  const source = resolve(options.from);
  const target = resolve(options.into);
  const facts = readInstance(source);
  if (facts === null) throw new EngineError('DATA_DIR_FOREIGN', `${source} is no data directory: name one with --from`);
  if (existsSync(join(target, 'instance.json'))) throw new EngineError('DATA_DIR_UNUSABLE', `${target} holds a data directory already: name a fresh one with --into`);
  makeDirectory(target);
  copyFileSync(join(source, 'instance.json'), join(target, 'instance.json'));
  if (existsSync(join(source, 'poison.json'))) copyFileSync(join(source, 'poison.json'), join(target, 'poison.json'));

  const settings = { ...loadSettings(options), partitions: facts.partitionCount };
  settings.threads = { ...settings.threads, actors: options.threads };
  const directory = await openDataDirectory({ path: target, partitionCount: facts.partitionCount, segmentBytes: facts.segmentBytes, nowMs: systemClock.nowMs() });
  const journalDirectories = journalsOf(source);
  const { received, seconds, clean } = await foldJournal({ settings, directory, journalDirectories, ends: endsOf(journalDirectories), geoDirectory: directoriesOf(source).geoip, eraseSecret: readEraseSecret(source), label: 'replaying' });
  await directory.release({ clean });
  process.stdout.write(`replayed ${received} records in ${seconds.toFixed(1)} s (${Math.round(received / seconds)} a second) on ${options.threads} actor threads\n`);
  return clean ? exitCodes.ok : exitCodes.failure;
}
