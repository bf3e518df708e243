/**
 * `millrace replay --into NAME`: folds the journal of the configuration's data directory again, under the rules that are configured or that a file
 * gives, into a shadow beside the live state, and prints how cells differ. Design and limits: replay.md.
 *
 * The daemon may run: it is asked for a savepoint, so that old and new results are those of the same records. Nothing of its own is touched.
 */

import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { PARTITION_TABLES, seedOperations } from '../../actors/partition/index.ts';
import { writeIdentity } from '../../sinks/live/index.ts';
import { resultSchema } from '../core/pipeline.ts';
import { completeFromMs, comparedSpan, type HourSpan } from '../core/replay-span.ts';
import type { Rules } from '../core/rules.ts';
import { EngineError } from '../core/errors.ts';
import { systemClock } from '../core/clock.ts';
import { MS_PER_DAY, MS_PER_HOUR, partitionId } from '../core/types.ts';
import { readEraseSecret } from '../erase-secret.ts';
import { GEO_SETTING } from '../geo-watch.ts';
import { copyJournal, copySynced, inspectJournal, type SegmentReport } from '../log/index.ts';
import { withPipelineFile } from '../pipeline-file.ts';
import { rulesOf } from '../rules-of.ts';
import { partitionFile } from '../runtime/actor-loop.ts';
import { SAVEPOINT_FILE, directoriesOf, freeBytes, journalsOf, makeDirectory, openDataDirectory, whileLocked, writeFileAtomically, type InstanceFacts } from '../runtime/data-directory.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { readGeoFile } from '../runtime/geo-file.ts';
import { adoptGeoFile } from '../runtime/geo-files.ts';
import { bytesOf, copyFolder } from '../runtime/savepoint.ts';
import { makeShadow, removeShadow, shadowPlace, writeShadow, type Shadow, type ShadowPlace } from '../runtime/shadows.ts';
import type { Settings } from '../settings.ts';
import { openStore } from '../state/index.ts';
import { giveWay, Niceness } from '../threads/niceness.ts';
import { endsOf, foldJournal, openLive } from './fold-journal.ts';
import { FORMATS, printDifference, type Format } from './replay-difference.ts';
import { restingFacts, restingPartition } from './resting-directory.ts';
import { requestSavepoint } from './savepoint.ts';
import { adminUrl, loadSettings } from './settings.ts';

export interface ShadowOptions {
  readonly config?: string | undefined;
  readonly admin?: string | undefined;
  readonly pipeline?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly into: string;
  readonly threads: number;
  readonly limit: number;
  readonly format: string;
}

/** A second process beside the daemon: what it may take of memory for fingerprints. Chosen. */
const DEDUPE_BYTES_MAX = 256 * 1024 ** 2;
const GIB = 1024 ** 3;

export async function replayIntoShadow(options: ShadowOptions): Promise<number> {
  giveWay(Niceness.pool);
  const asked = { fromMs: hourOf('--from', options.from) ?? 0, toMs: hourOf('--to', options.to) ?? Infinity };
  const format = formatOf(options.format);
  const configured = loadSettings(options);
  const path = resolve(configured.data_dir);
  const facts = restingFacts(path);
  const settings = shadowSettings(configured, options, facts);
  const place = shadowPlace(path, options.into);
  await refuseWithoutRoom(path, settings.disk.reserve_bytes);
  const geo = settings.enrichment.geoip_file === '' ? null : await readGeoFile(settings.enrichment.geoip_file, GEO_SETTING);
  const rules = rulesOf(settings, geo?.hash ?? null);
  makeShadow(path, place);
  try {
    return await whileLocked(place.path, async () => {
      const started = { version: 1 as const, instance: facts.instance, generation: facts.generation, createdAtMs: systemClock.nowMs(), fromMs: asked.fromMs === 0 ? null : asked.fromMs, toMs: asked.toMs === Infinity ? null : asked.toMs, rules, differing: null };
      writeShadow(place, { ...started, state: 'copying', completeFromMs: 0 });
      await copyDirectory({ path, place, facts, admin: adminUrl(settings, options.admin) });
      makeAfter(place, facts);
      if (geo !== null) await adoptGeoFile(directoriesOf(place.after).geoip, geo);
      const journals = journalsOf(place.before);
      const ends = endsOf(journals);
      const folding = { settings, facts, journals, ends, eraseSecret: readEraseSecret(path) };
      await fold(place.before, { ...folding, label: 'reading what there is', areRulesFixed: false });
      const shadow: Shadow = { ...started, state: 'folding', completeFromMs: completeFromMs(restsOf(journals), Math.max(rules.futureSkewMs, (await rulesIn(place.before, facts))?.futureSkewMs ?? 0)) };
      writeShadow(place, shadow);
      await seed(place.after, { rules, facts, journals });
      await fold(place.after, { ...folding, label: 'folding', areRulesFixed: true });
      const differing = await compare(place, facts, { settings, shadow, asked, limit: options.limit, format });
      writeShadow(place, { ...shadow, state: 'ready', differing });
      rmSync(place.before, { recursive: true, force: true });
      return exitCodes.ok;
    });
  } catch (error) {
    removeShadow(place);
    throw error;
  }
}

/** Of the configuration and the file, for a fold beside the daemon. */
function shadowSettings(configured: Settings, { pipeline, threads }: ShadowOptions, facts: InstanceFacts): Settings {
  const settings = pipeline === undefined ? configured : withPipelineFile(configured, pipeline);
  return {
    ...settings,
    partitions: facts.partitionCount,
    threads: { ...settings.threads, actors: threads },
    dedupe: { ...settings.dedupe, memory_bytes_max: Math.min(settings.dedupe.memory_bytes_max, DEDUPE_BYTES_MAX) },
  };
}

/** The copy takes as much as what is copied; what is folded, at most as much as state and live store again. */
async function refuseWithoutRoom(path: string, reserveBytes: number): Promise<void> {
  const { state, live, spool } = directoriesOf(path);
  let needed = 0;
  for (const folder of [...journalsOf(path), spool, state, live, state, live]) if (existsSync(folder)) needed += await bytesOf(folder);
  const free = freeBytes(path);
  if (free - needed >= reserveBytes) return;
  throw new EngineError('DISK_FULL', `a shadow takes up to ${(needed / GIB).toFixed(1)} GiB, ${(free / GIB).toFixed(1)} are free, and disk.reserve_bytes keeps ${(reserveBytes / GIB).toFixed(1)} of them`, { where: { path }, fix: 'free space, or drop other shadows (millrace replay ls)' });
}

/** By the daemon where it runs, else here while it cannot start. */
async function copyDirectory({ path, place, facts, admin }: { path: string; place: ShadowPlace; facts: InstanceFacts; admin: string }): Promise<void> {
  try {
    await whileLocked(path, () => copyResting(path, place.before, facts));
  } catch (error) {
    if (!(error instanceof EngineError && error.code === 'DATA_DIR_LOCKED')) throw error;
    await requestSavepoint(admin, place.before);
    rmSync(join(place.before, SAVEPOINT_FILE));
    rmSync(join(place.before, 'spool'), { recursive: true, force: true });
  }
}

async function copyResting(path: string, target: string, { segmentBytes }: InstanceFacts): Promise<void> {
  const from = directoriesOf(path);
  const to = directoriesOf(target);
  const journals = journalsOf(path);
  const ends = endsOf(journals);
  for (const folder of [target, to.state, to.live, to.geoip, ...journals.map((journal) => join(target, basename(journal)))]) makeDirectory(folder);
  await copyFolder(from.state, to.state);
  await copyFolder(from.live, to.live);
  await copyFolder(from.geoip, to.geoip);
  for (const [number, journal] of journals.entries()) await copyJournal({ from: journal, to: join(target, basename(journal)), durable: ends[number] ?? (0 as never), segmentBytes });
  for (const file of ['poison.json', 'instance.json']) if (existsSync(join(path, file))) await copySynced(join(path, file), join(target, file));
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

interface FoldingOptions {
  readonly settings: Settings;
  readonly facts: InstanceFacts;
  readonly journals: readonly string[];
  readonly ends: ReturnType<typeof endsOf>;
  /** Of the directory whose journal it is. */
  readonly eraseSecret: string | null;
  readonly label: string;
  readonly areRulesFixed: boolean;
}

/** Folds up to the ends of the journals into the directory. Also what brings a shadow up to date before it is promoted. */
export async function fold(path: string, { settings, facts, journals, ends, eraseSecret, label, areRulesFixed }: FoldingOptions): Promise<void> {
  const directory = await openDataDirectory({ path, partitionCount: facts.partitionCount, segmentBytes: facts.segmentBytes, nowMs: systemClock.nowMs() });
  let clean = false;
  try {
    ({ clean } = await foldJournal({ settings, directory, journalDirectories: journals, ends, geoDirectory: directory.geoip, eraseSecret, areRulesFixed, label }));
  } finally {
    await directory.release({ clean });
  }
  if (!clean) throw new EngineError('THREAD_STUCK', `a thread that folded into ${path} did not end`, { where: { path }, fix: 'try again' });
}

async function compare(place: ShadowPlace, facts: InstanceFacts, { settings, shadow, asked, limit, format }: { settings: Settings; shadow: Shadow; asked: HourSpan; limit: number; format: Format }): Promise<number> {
  const before = openLive(place.before, facts, settings.cells.retention_days);
  const after = openLive(place.after, facts, settings.cells.retention_days);
  try {
    return await printDifference({ before: before.live, after: after.live, asked, completeFromMs: shadow.completeFromMs, compared: comparedSpan(asked, shadow.completeFromMs), limit, format, write: (text) => process.stdout.write(text) });
  } finally {
    await before.store.close();
    await after.store.close();
  }
}

/** The rules at the end of what was folded; null before the first. */
async function rulesIn(path: string, facts: InstanceFacts): Promise<Rules | null> {
  return (await restingPartition(path, facts, 0))?.rules ?? null;
}

const oldestOf = (journal: string): SegmentReport => {
  const [oldest] = inspectJournal({ directory: journal }).segments;
  if (oldest === undefined) throw new EngineError('JOURNAL_CORRUPT', `${journal} has no segment`, { where: { directory: journal }, fix: 'start the daemon once' });
  return oldest;
};

const restsOf = (journals: readonly string[]): { readonly isWhole: boolean; readonly firstReceivedAtMs: number }[] => journals.map(oldestOf).map(({ firstSequence, firstReceivedAtMs }) => ({ isWhole: firstSequence === 0, firstReceivedAtMs }));

/** Cells are hours: whatever lies between two could not be compared. */
function hourOf(option: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const zoned = /T.*(Z|[+-]\d\d:?\d\d)$/.test(text) || !text.includes('T') ? text : `${text}Z`;
  const timeMs = Date.parse(zoned);
  if (!Number.isFinite(timeMs) || timeMs % MS_PER_HOUR !== 0) throw new EngineError('CONFIG_INVALID', `${option} ${text}: use a date or a whole hour in UTC, such as 2026-11-01 or 2026-11-01T10:00Z`);
  return timeMs;
}

function formatOf(text: string): Format {
  if ((FORMATS as readonly string[]).includes(text)) return text as Format;
  throw new EngineError('CONFIG_INVALID', `--format ${text}: use one of ${FORMATS.join(', ')}`);
}
