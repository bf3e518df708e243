/** Folds what a journal holds into a data directory, as fast as it goes, without a door and without sinks; and opens what came of it. */

import { join } from 'node:path';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { LIVE_TABLES, LiveStore } from '../../sinks/live/index.ts';
import type { EngineError } from '../core/errors.ts';
import { resultSchema } from '../core/pipeline.ts';
import type { OrderedStore } from '../core/store.ts';
import { offset, type Offset } from '../core/types.ts';
import { FoldEngine } from '../fold-engine.ts';
import { inspectJournal } from '../log/index.ts';
import { directoriesOf, type DataDirectory, type InstanceFacts } from '../runtime/data-directory.ts';
import { createLogger } from '../runtime/logger.ts';
import type { Settings } from '../settings.ts';
import { openStore } from '../state/index.ts';
import { startProgress } from './progress.ts';

const STOP_MS = 60_000;

export interface FoldOptions {
  readonly settings: Settings;
  /** Held by the caller, who releases it. */
  readonly directory: DataDirectory;
  readonly journalDirectories: readonly string[];
  /** By journal: where the fold ends. */
  readonly ends: readonly Offset[];
  readonly geoDirectory: string;
  /** Of the directory whose journal it is. */
  readonly eraseSecret: string | null;
  /** The rules of the checkpoints hold for every record. */
  readonly areRulesFixed?: boolean;
  readonly label: string;
}

export interface Folded {
  readonly received: number;
  readonly seconds: number;
  /** All threads have left in time, and saved what they had. */
  readonly clean: boolean;
}

/** Ends of journals that nobody writes. The newest segments may be empty, begun by a life that ended at once: no partition ever stands at their end. */
export const endsOf = (journalDirectories: readonly string[]): Offset[] =>
  journalDirectories.map((journal) => inspectJournal({ directory: journal }).segments.findLast(({ batches }) => batches > 0)?.endOffset ?? offset(0));

/** Rejects what the fold raises; the threads have then ended. */
export async function foldJournal({ settings, directory, journalDirectories, ends, geoDirectory, eraseSecret, areRulesFixed = false, label }: FoldOptions): Promise<Folded> {
  const end = ends.reduce((sum, one) => sum + one, 0);
  let failure: EngineError | null = null;
  const engine = new FoldEngine({
    settings,
    directory,
    journalDirectories,
    geoDirectory,
    eraseSecret,
    areRulesFixed,
    sinkNames: [],
    log: createLogger('error'),
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
  const progress = startProgress(label, 0);
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
  return { received, seconds, clean };
}

/** The live store of a data directory that nobody runs. */
export function openLive(path: string, facts: InstanceFacts, retentionDays: number): { readonly live: LiveStore; readonly store: OrderedStore } {
  const store = openStore({ path: join(directoriesOf(path).live, 'live.mdb'), tables: LIVE_TABLES });
  const live = LiveStore.open({ store, schema: resultSchema(appsflyerPipeline), instance: facts.instance, generation: facts.generation, partitionCount: facts.partitionCount, retentionDays });
  return { live, store };
}
