/**
 * `millrace replay --into NAME`: folds the journal of the configuration's data directory again, under the rules that are configured or that a file
 * gives, into a shadow beside the live state, and prints how cells differ. Design and limits: replay.md.
 */

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { PARTITION_TABLES, seedOperations } from '../../actors/partition/index.ts';
import { writeIdentity } from '../../sinks/live/index.ts';
import { resultSchema } from '../core/pipeline.ts';
import { completeFromMs, comparedSpan } from '../core/replay-span.ts';
import type { Rules } from '../core/rules.ts';
import { EngineError } from '../core/errors.ts';
import { MS_PER_DAY, partitionId } from '../core/types.ts';
import { inspectJournal, type SegmentReport } from '../log/index.ts';
import { partitionFile } from '../runtime/actor-loop.ts';
import { directoriesOf, makeDirectory, writeFileAtomically, type InstanceFacts } from '../runtime/data-directory.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { adoptGeoFile } from '../runtime/geo-files.ts';
import { writeShadow, type Shadow, type ShadowPlace } from '../runtime/shadows.ts';
import { openStore } from '../state/index.ts';
import { openLive } from './fold-journal.ts';
import { fold, makeNewShadow, rulesIn, type NewShadow, type ShadowOptions } from './new-shadow.ts';
import { journalSource, printDifference } from './replay-difference.ts';

export async function replayIntoShadow(options: ShadowOptions): Promise<number> {
  await makeNewShadow(options, { source: 'journal', make: (made) => foldAgain(made, options.limit) });
  return exitCodes.ok;
}

async function foldAgain(made: NewShadow, limit: number): Promise<Shadow> {
  const { place, facts, rules, geo, started, folding } = made;
  const { journals } = folding;
  makeAfter(place, facts);
  if (geo !== null) await adoptGeoFile(directoriesOf(place.after).geoip, geo);
  const shadow: Shadow = { ...started, state: 'folding', completeFromMs: completeFromMs(restsOf(journals), Math.max(rules.futureSkewMs, (await rulesIn(place.before, facts))?.futureSkewMs ?? 0)) };
  writeShadow(place, shadow);
  await seed(place.after, { rules, facts, journals });
  await fold(place.after, { ...folding, label: 'folding', areRulesFixed: true });
  return { ...shadow, state: 'ready', differing: await compare(made, shadow.completeFromMs, limit) };
}

/** An empty data directory of the same instance. */
function makeAfter({ before, after }: ShadowPlace, facts: InstanceFacts): void {
  for (const folder of [after, directoriesOf(after).geoip]) mkdirSync(folder);
  writeFileAtomically(join(after, 'instance.json'), `${JSON.stringify(facts, null, 2)}\n`);
  if (existsSync(join(before, 'poison.json'))) writeFileAtomically(join(after, 'poison.json'), readFileSync(join(before, 'poison.json')));
}

/** Every partition begins with the first batch that is left, under the rules to be tried. */
async function seed(after: string, { rules, facts, journals }: { rules: Rules; facts: InstanceFacts; journals: readonly string[] }): Promise<void> {
  const { state, live } = directoriesOf(after);
  for (const folder of [state, live]) makeDirectory(folder);
  const oldest = journals.map(oldestOf);
  const offsets = oldest.map(({ startOffset }) => startOffset);
  const nextSequence = oldest.reduce((sum, { firstSequence }) => sum + firstSequence, 0);
  const runningTimeMs = Math.max(...oldest.map((segment) => segment.runningTimeMs));
  const seedOne = async (id: number): Promise<void> => {
    const store = openStore({ path: join(state, partitionFile(id)), tables: PARTITION_TABLES });
    await store.commit(seedOperations({ id: partitionId(id), partitionCount: facts.partitionCount, instance: facts.instance, pipeline: appsflyerPipeline, rules, generation: facts.generation, offsets, nextSequence, runningTimeMs }));
    await store.close();
  };
  // Nothing of it is worth anything before the fold has ended: no sync is waited for.
  for (let id = 0; id < facts.partitionCount; id++) await seedOne(id);
  const { store } = openLive(after, facts, rules.cellRetentionMs / MS_PER_DAY);
  await writeIdentity(store, { schema: resultSchema(appsflyerPipeline), ...facts });
  await store.close();
}

async function compare({ place, facts, settings, asked, format }: NewShadow, completeFrom: number, limit: number): Promise<number> {
  const before = openLive(place.before, facts, settings.cells.retention_days);
  const after = openLive(place.after, facts, settings.cells.retention_days);
  const compared = comparedSpan(asked, completeFrom);
  try {
    const source = journalSource({ after: after.live, asked, compared, completeFromMs: completeFrom });
    return await printDifference({ before: before.live, after: after.live, compared, source, limit, format, write: (text) => process.stdout.write(text), warn: (text) => process.stderr.write(text) });
  } finally {
    await before.store.close();
    await after.store.close();
  }
}

const oldestOf = (journal: string): SegmentReport => {
  const [oldest] = inspectJournal({ directory: journal }).segments;
  if (oldest === undefined) throw new EngineError('JOURNAL_CORRUPT', `${journal} has no segment`, { where: { directory: journal }, fix: 'start the daemon once' });
  return oldest;
};

const restsOf = (journals: readonly string[]): { readonly isWhole: boolean; readonly firstReceivedAtMs: number }[] => journals.map(oldestOf).map(({ firstSequence, firstReceivedAtMs }) => ({ isWhole: firstSequence === 0, firstReceivedAtMs }));
