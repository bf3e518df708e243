/**
 * What is common to shadows of both sources (replay-shadow.ts, replay-lake.ts): options read, room made sure of, a copy of the data directory taken and folded to the end of
 * its journal, the whole removed again where anything fails. Design: replay.md.
 *
 * The daemon may run: it is asked for a savepoint, so that old and new results are those of the same records. Nothing of its own is touched.
 */

import { existsSync, rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { spooledState } from '../../sinks/lake/index.ts';
import type { HourSpan } from '../core/replay-span.ts';
import type { Rules } from '../core/rules.ts';
import { EngineError } from '../core/errors.ts';
import { systemClock } from '../core/clock.ts';
import { MS_PER_HOUR } from '../core/types.ts';
import { readEraseSecret } from '../erase-secret.ts';
import { GEO_SETTING } from '../geo-watch.ts';
import { copyJournal, copySynced } from '../log/index.ts';
import { withPipelineFile } from '../pipeline-file.ts';
import { rulesOf } from '../rules-of.ts';
import { SAVEPOINT_FILE, directoriesOf, freeBytes, journalsOf, makeDirectory, openDataDirectory, whileLocked, type InstanceFacts } from '../runtime/data-directory.ts';
import { readGeoFile } from '../runtime/geo-file.ts';
import { bytesOf, copyFolder } from '../runtime/savepoint.ts';
import { makeShadow, removeShadow, shadowPlace, writeShadow, type Shadow, type ShadowPlace } from '../runtime/shadows.ts';
import type { Settings } from '../settings.ts';
import { giveWay, Niceness } from '../threads/niceness.ts';
import { endsOf, foldJournal } from './fold-journal.ts';
import { FORMATS, type Format } from './replay-difference.ts';
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

export interface NewShadow {
  /** The data directory. */
  readonly path: string;
  readonly place: ShadowPlace;
  readonly facts: InstanceFacts;
  /** Of the configuration and the pipeline file, for a fold beside the daemon. */
  readonly settings: Settings;
  readonly asked: HourSpan;
  readonly format: Format;
  /** To be tried. */
  readonly rules: Rules;
  readonly geo: Awaited<ReturnType<typeof readGeoFile>> | null;
  readonly started: Omit<Shadow, 'state' | 'completeFromMs'>;
  readonly folding: Omit<FoldingOptions, 'label' | 'areRulesFixed'>;
  /** Of the lake's spool, when the copy was taken. */
  readonly spooled: Awaited<ReturnType<typeof spooledState>>;
}

export interface ShadowWork {
  readonly source: Shadow['source'];
  /** Before anything is made. */
  readonly check?: (configured: Settings, tried: Settings) => void;
  /** Resolves to the shadow as it is when it is ready; the copy is removed then. */
  readonly make: (shadow: NewShadow) => Promise<Shadow>;
}

/** A second process beside the daemon: what it may take of memory for fingerprints. Chosen. */
const DEDUPE_BYTES_MAX = 256 * 1024 ** 2;
const GIB = 1024 ** 3;

export async function makeNewShadow(options: ShadowOptions, { source, check, make }: ShadowWork): Promise<void> {
  giveWay(Niceness.pool);
  const asked = { fromMs: hourOf('--from', options.from) ?? 0, toMs: hourOf('--to', options.to) ?? Infinity };
  const format = formatOf(options.format);
  const configured = loadSettings(options);
  const tried = options.pipeline === undefined ? configured : withPipelineFile(configured, options.pipeline);
  check?.(configured, tried);
  const path = resolve(configured.data_dir);
  const facts = restingFacts(path);
  const settings = shadowSettings(tried, options.threads, facts);
  const place = shadowPlace(path, options.into);
  await refuseWithoutRoom(path, settings.disk.reserve_bytes);
  const geo = settings.enrichment.geoip_file === '' ? null : await readGeoFile(settings.enrichment.geoip_file, GEO_SETTING);
  const rules = rulesOf(settings, geo?.hash ?? null);
  makeShadow(path, place);
  try {
    await whileLocked(place.path, async () => {
      const started = { version: source === 'lake' ? 2 as const : 1 as const, source, instance: facts.instance, generation: facts.generation, createdAtMs: systemClock.nowMs(), fromMs: asked.fromMs === 0 ? null : asked.fromMs, toMs: asked.toMs === Infinity ? null : asked.toMs, rules, differing: null };
      writeShadow(place, { ...started, state: 'copying', completeFromMs: 0 });
      const spooled = await copyDirectory({ path, place, facts, admin: adminUrl(settings, options.admin) });
      const journals = journalsOf(place.before);
      const folding = { settings, facts, journals, ends: endsOf(journals), eraseSecret: readEraseSecret(path) };
      await fold(place.before, { ...folding, label: 'reading what there is', areRulesFixed: false });
      const shadow = await make({ path, place, facts, settings, asked, format, rules, geo, started, folding, spooled });
      writeShadow(place, shadow);
      rmSync(place.before, { recursive: true, force: true });
    });
  } catch (error) {
    removeShadow(place);
    throw error;
  }
}

function shadowSettings(settings: Settings, threads: number, facts: InstanceFacts): Settings {
  return {
    ...settings,
    partitions: facts.partitionCount,
    threads: { ...settings.threads, actors: threads },
    dedupe: { ...settings.dedupe, memory_bytes_max: Math.min(settings.dedupe.memory_bytes_max, DEDUPE_BYTES_MAX) },
  };
}

/** The copy takes as much as what is copied; what is made of it, at most as much as state and live store again. */
async function refuseWithoutRoom(path: string, reserveBytes: number): Promise<void> {
  const { state, live, spool } = directoriesOf(path);
  let needed = 0;
  for (const folder of [...journalsOf(path), spool, state, live, state, live]) if (existsSync(folder)) needed += await bytesOf(folder);
  const free = freeBytes(path);
  if (free - needed >= reserveBytes) return;
  throw new EngineError('DISK_FULL', `a shadow takes up to ${(needed / GIB).toFixed(1)} GiB, ${(free / GIB).toFixed(1)} are free, and disk.reserve_bytes keeps ${(reserveBytes / GIB).toFixed(1)} of them`, { where: { path }, fix: 'free space, or drop other shadows (millrace replay ls)' });
}

/** By the daemon where it runs, else here while it cannot start. */
async function copyDirectory({ path, place, facts, admin }: { path: string; place: ShadowPlace; facts: InstanceFacts; admin: string }): Promise<NewShadow['spooled']> {
  try {
    return await whileLocked(path, async () => {
      await copyResting(path, place.before, facts);
      return spooledState(directoriesOf(path).spool);
    });
  } catch (error) {
    if (!(error instanceof EngineError && error.code === 'DATA_DIR_LOCKED')) throw error;
    await requestSavepoint(admin, place.before);
    const spool = join(place.before, 'spool');
    const spooled = await spooledState(spool);
    rmSync(join(place.before, SAVEPOINT_FILE));
    rmSync(spool, { recursive: true, force: true });
    return spooled;
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

export interface FoldingOptions {
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

/** The rules at the end of what was folded; null before the first. */
export async function rulesIn(path: string, facts: InstanceFacts): Promise<Rules | null> {
  return (await restingPartition(path, facts, 0))?.rules ?? null;
}

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
