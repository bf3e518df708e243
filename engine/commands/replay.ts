/**
 * `millrace replay`: folds the journal of one data directory into a fresh one, as fast as it goes, without a door and without sinks.
 *
 * The same actor threads, merge and live store as in the daemon: what comes out is what an undisturbed daemon would hold, at
 * any thread count. `millrace inspect --state-hash` compares the two.
 */

import { copyFileSync, existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EngineError } from '../core/errors.ts';
import { systemClock } from '../core/clock.ts';
import { offset } from '../core/types.ts';
import { readEraseSecret } from '../erase-secret.ts';
import { FoldEngine } from '../fold-engine.ts';
import { inspectJournal } from '../log/index.ts';
import { directoriesOf, journalsOf, makeDirectory, openDataDirectory, readInstance } from '../runtime/data-directory.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { createLogger } from '../runtime/logger.ts';
import { startProgress } from './progress.ts';
import { loadSettings } from './settings.ts';

const STOP_MS = 60_000;

export async function replay(options: { readonly config?: string; readonly from: string; readonly into: string; readonly threads: number }): Promise<number> {
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
  const log = createLogger('error');
  const directory = await openDataDirectory({ path: target, partitionCount: facts.partitionCount, segmentBytes: facts.segmentBytes, nowMs: systemClock.nowMs() });
  const journalDirectories = journalsOf(source);
  // The newest segments may be empty, begun by a life that ended at once: no partition ever stands at their end.
  const ends = journalDirectories.map((journal) => inspectJournal({ directory: journal }).segments.findLast(({ batches }) => batches > 0)?.endOffset ?? offset(0));
  const end = ends.reduce((sum, one) => sum + one, 0);
  let failure: EngineError | null = null;
  const engine = new FoldEngine({
    settings,
    directory,
    journalDirectories,
    geoDirectory: directoriesOf(source).geoip,
    eraseSecret: readEraseSecret(source),
    sinkNames: [],
    log,
    onReady: () => undefined,
    // No lake: what a slot would hold is told to be spooled, so that outboxes do not pile up.
    onShares: (shares) => {
      for (const share of shares) engine.spooled(share.slot);
    },
    onFatal: (error) => {
      failure = error;
    },
  });
  await engine.start();
  ends.forEach((one, journal) => {
    engine.words.setDurable(journal, one);
  });
  engine.words.wake();
  engine.go(ends);
  const startMs = performance.now();
  const progress = startProgress('replaying', 0);
  try {
    while (!(engine.ready && engine.live.partitionStates().every((partition) => partition.offset >= end))) {
      if (failure !== null) throw failure as EngineError;
      await new Promise((settle) => setTimeout(settle, 20));
      progress.update(engine.live.conservation().received, 'records');
    }
  } catch (error) {
    // Its timers would keep the process alive once the threads have gone.
    await engine.stop(STOP_MS);
    throw error;
  } finally {
    progress.stop();
  }
  const seconds = (performance.now() - startMs) / 1_000;
  const { received } = engine.live.conservation();
  const clean = await engine.stop(STOP_MS);
  await engine.close();
  await directory.release({ clean });
  process.stdout.write(`replayed ${received} records in ${seconds.toFixed(1)} s (${Math.round(received / seconds)} a second) on ${options.threads} actor threads\n`);
  return clean ? exitCodes.ok : exitCodes.failure;
}
