/**
 * `millrace replay promote | drop | ls`: what becomes of a shadow. Promoting needs the daemon stopped: replay.md says why, and what is kept.
 */

import { existsSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import type { LiveStore } from '../../sinks/live/index.ts';
import { deltaBetween, isNothing, sumOfDeltas, type TotalsDelta } from '../core/cell-difference.ts';
import { CellKind, type CellName } from '../core/cell.ts';
import { EngineError } from '../core/errors.ts';
import { systemClock } from '../core/clock.ts';
import { comparedSpan, type HourSpan } from '../core/replay-span.ts';
import { MS_PER_DAY } from '../core/types.ts';
import { readEraseSecret } from '../erase-secret.ts';
import { GEO_SETTING } from '../geo-watch.ts';
import { unpromotable } from '../promotable-rules.ts';
import { Restatement } from '../restatement.ts';
import { rulesOf } from '../rules-of.ts';
import { journalsOf, whileLocked, type InstanceFacts } from '../runtime/data-directory.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { readGeoFile } from '../runtime/geo-file.ts';
import { decidePromotion, finishPromotion, isPromotionPending } from '../runtime/promotion.ts';
import { bytesOf } from '../runtime/savepoint.ts';
import { noShadow, readShadow, removeShadow, shadowNames, shadowPlace, type Shadow, type ShadowPlace } from '../runtime/shadows.ts';
import type { Settings } from '../settings.ts';
import { endsOf, openLive } from './fold-journal.ts';
import { differingIn, hoursOf } from './replay-difference.ts';
import { fold } from './new-shadow.ts';
import { refuseUncleanEnd, refuseUnlessAtEnd, refuseWithoutSpace, restingFacts } from './resting-directory.ts';
import { loadSettings } from './settings.ts';

const MIB = 1024 ** 2;

export async function promoteShadow(name: string, options: { readonly config?: string | undefined }): Promise<number> {
  const settings = loadSettings(options);
  const path = resolve(settings.data_dir);
  const place = shadowPlace(path, name);
  return whileLocked(path, () => {
    finishPromotion(path);
    return promoteLocked(path, place, settings);
  });
}

async function promoteLocked(path: string, place: ShadowPlace, configured: Settings): Promise<number> {
  const { shadow, facts } = readyShadow(path, place);
  const settings: Settings = { ...configured, partitions: facts.partitionCount, threads: { ...configured.threads, actors: 1 } };
  await refuseOtherRules(settings, shadow);
  const former = await refuseUnlessAtEnd(path, facts);
  const others = former === null ? [] : unpromotable(former, shadow.rules);
  if (others.length > 0) {
    throw new EngineError('CONFIG_INVALID', `${place.name} cannot be promoted: ${others.join(', ')} would reject or tell apart other records, whose verdicts a promotion leaves as they were`, { fix: 'set it in the configuration for records to come, and send rejected ones again with millrace dlq retry' });
  }
  await refuseWithoutSpace(path, { reserveBytes: settings.disk.reserve_bytes, what: 'promoting' });
  return whileLocked(place.path, async () => {
    const isFromLake = shadow.source === 'lake';
    if (!isFromLake) await catchUp(path, place, { settings, facts });
    rmSync(place.next, { recursive: true, force: true });
    const restatement = await Restatement.open({ path, facts, retentionDays: settings.cells.retention_days, next: place.next, nowMs: systemClock.nowMs() });
    const hours = await restateSpan({ former: isFromLake ? place.former : path, after: place.after }, { facts, retentionDays: settings.cells.retention_days, restatement, span: comparedSpan({ fromMs: shadow.fromMs ?? 0, toMs: shadow.toMs ?? Infinity }, shadow.completeFromMs), isThereOnly: isFromLake });
    const files = await restatement.close();
    if (restatement.cells === 0) {
      rmSync(place.next, { recursive: true, force: true });
      process.stdout.write(`nothing differs between ${place.name} and what is in use: nothing was changed\n`);
      return exitCodes.ok;
    }
    const generation = Math.max(systemClock.nowMs(), facts.generation + 1);
    decidePromotion(path, { version: 1, from: `shadows/${place.name}/next`, files, instance: { ...facts, generation } });
    finishPromotion(path);
    process.stdout.write(`promoted ${place.name}: ${restatement.cells} cells of ${hours} hours and their days, generation ${generation}\n`);
    return exitCodes.ok;
  });
}

function readyShadow(path: string, place: ShadowPlace): { readonly shadow: Shadow; readonly facts: InstanceFacts } {
  const shadow = readShadow(place);
  const facts = restingFacts(path);
  if (shadow?.state !== 'ready') throw new EngineError('DATA_DIR_UNUSABLE', `the shadow ${place.name} was never finished`, { where: { path: place.path }, fix: `remove it with millrace replay drop ${place.name} and make it again` });
  if (shadow.instance !== facts.instance || shadow.generation !== facts.generation) {
    throw new EngineError('DATA_DIR_FOREIGN', `the shadow ${place.name} was made of another generation of the data directory`, { where: { path: place.path }, fix: `drop it and make it again: what it was compared with is no more` });
  }
  refuseUncleanEnd(path);
  return { shadow, facts };
}

/** Or the records after the promotion would count by other rules than those before it. */
async function refuseOtherRules(settings: Settings, shadow: Shadow): Promise<void> {
  const geo = settings.enrichment.geoip_file === '' ? null : await readGeoFile(settings.enrichment.geoip_file, GEO_SETTING);
  const configured = rulesOf(settings, geo?.hash ?? null);
  const names = [...differing({ ...configured, domain: null }, { ...shadow.rules, domain: null }), ...differing(configured.domain as object, shadow.rules.domain as object)];
  if (names.length === 0) return;
  throw new EngineError('CONFIG_INVALID', `the configuration does not have the rules of the shadow: ${names.join(', ')}`, { fix: 'put what its pipeline file says into the configuration first, or drop the shadow' });
}

const differing = (left: object, right: object): string[] => {
  const [one, other] = [left, right] as Record<string, unknown>[];
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].filter((key) => JSON.stringify(one?.[key]) !== JSON.stringify(other?.[key])).sort();
};

/** Folds what came since the shadow was made. */
async function catchUp(path: string, place: ShadowPlace, { settings, facts }: { settings: Settings; facts: InstanceFacts }): Promise<void> {
  const journals = journalsOf(path);
  try {
    await fold(place.after, { settings, facts, journals, ends: endsOf(journals), eraseSecret: readEraseSecret(path), label: 'folding what came since', areRulesFixed: true });
  } catch (error) {
    if (!(error instanceof EngineError && error.code === 'CHECKPOINT_BEFORE_LOG')) throw error;
    throw new EngineError('CHECKPOINT_BEFORE_LOG', `the journal no longer holds what came after the shadow ${place.name} was made`, { where: { path: place.path }, cause: error, fix: `drop it and make it again, and promote it within journal.retention_hours` });
  }
}

interface SpanOptions {
  readonly facts: InstanceFacts;
  readonly retentionDays: number;
  readonly restatement: Restatement;
  readonly span: HourSpan;
  /** Cells that have expired since the shadow was made are left alone. */
  readonly isThereOnly: boolean;
}

/** Hours of the span become those of the shadow; a day changes by what its hours and late cells changed by. Returns the hours that differed. */
async function restateSpan(sides: { readonly former: string; readonly after: string }, { facts, retentionDays, restatement, span, isThereOnly }: SpanOptions): Promise<number> {
  const before = openLive(sides.former, facts, retentionDays);
  const after = openLive(sides.after, facts, retentionDays);
  const isWanted = (name: CellName): boolean => !isThereOnly || restatement.holds(name);
  let hours = 0;
  const day = { startMs: 0, deltas: new Map<string, TotalsDelta>() };
  const endDay = async (): Promise<void> => {
    const corrections = [...day.deltas].filter(([, delta]) => !isNothing(delta)).map(([dimensions, delta]) => ({ kind: CellKind.day, windowStartMs: day.startMs, dimensions, delta }));
    await restatement.correct(corrections.filter(isWanted));
    day.deltas.clear();
  };
  try {
    for (const hour of hoursOf([before.live, after.live] satisfies LiveStore[], span)) {
      const cells = differingIn(before.live, after.live, hour).cells.filter(isWanted);
      if (cells.length === 0) continue;
      hours++;
      const dayStartMs = Math.floor(hour / MS_PER_DAY) * MS_PER_DAY;
      if (dayStartMs !== day.startMs) await endDay();
      day.startMs = dayStartMs;
      const corrections = cells.map((cell) => ({ kind: cell.kind, windowStartMs: hour, dimensions: cell.dimensions, delta: deltaBetween(cell.before, cell.after) }));
      for (const { dimensions, delta } of corrections) {
        const sum = day.deltas.get(dimensions);
        day.deltas.set(dimensions, sum === undefined ? delta : sumOfDeltas(sum, delta));
      }
      await restatement.correct(corrections);
    }
    await endDay();
  } finally {
    await before.store.close();
    await after.store.close();
  }
  return hours;
}

export async function dropShadow(name: string, options: { readonly config?: string | undefined }): Promise<number> {
  const path = resolve(loadSettings(options).data_dir);
  const place = shadowPlace(path, name);
  // One whose promotion was cut off after it was decided is still to be used.
  if (isPromotionPending(path)) await whileLocked(path, () => Promise.resolve(finishPromotion(path)));
  if (!existsSync(place.path)) throw noShadow(place);
  await whileLocked(place.path, () => Promise.resolve(removeShadow(place)));
  process.stdout.write(`dropped ${name}\n`);
  return exitCodes.ok;
}

export async function listShadows(options: { readonly config?: string | undefined; readonly json: boolean }): Promise<number> {
  const path = resolve(loadSettings(options).data_dir);
  for (const name of shadowNames(path)) {
    const place = shadowPlace(path, name);
    const shadow = readableShadow(place);
    const facts = { name, state: shadow === 'damaged' ? shadow : (shadow?.state ?? 'unfinished'), bytes: await bytesOf(place.path), ...timesOf(shadow === 'damaged' ? null : shadow) };
    const cells = facts.differing_cells === null ? '' : `, ${facts.differing_cells} cells differed`;
    process.stdout.write(options.json ? `${JSON.stringify(facts)}\n` : `${name}  ${facts.state}  ${Math.ceil(facts.bytes / MIB)} MiB  made ${facts.created_at ?? '?'}${facts.source === 'lake' ? ' from the lake' : ''}, hours ${facts.from ?? 'from the first'} to ${facts.to ?? 'the last'}${cells}\n`);
  }
  return exitCodes.ok;
}

/** One that cannot be read must not hide the others. */
function readableShadow(place: ShadowPlace): Shadow | 'damaged' | null {
  try {
    return readShadow(place);
  } catch (error) {
    if (error instanceof EngineError) return 'damaged';
    throw error;
  }
}

const timesOf = (shadow: Shadow | null): { source: Shadow['source'] | null; created_at: string | null; from: string | null; to: string | null; differing_cells: number | null } => ({
  source: shadow?.source ?? null,
  created_at: timeText(shadow?.createdAtMs),
  from: timeText(shadow?.fromMs),
  to: timeText(shadow?.toMs),
  differing_cells: shadow?.differing ?? null,
});

const timeText = (timeMs: number | null | undefined): string | null => (timeMs === null || timeMs === undefined ? null : new Date(timeMs).toISOString());
