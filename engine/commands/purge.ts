/**
 * `millrace purge`: takes whole UTC days of an app out of results, dead letters and the lake, with a receipt.
 *
 * The cells go here, with the daemon stopped, as a promotion corrects them: all or nothing, under a new generation. In the same step the purge
 * is put among the erasures under way; the next start journals it before its door opens, and the daemon does the rest (actors/partition/purge.md).
 */

import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { APP_ID_LENGTH_MAX } from '../../actors/appsflyer/apps.ts';
import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import type { LiveStore } from '../../sinks/live/index.ts';
import { deltaBetween } from '../core/cell-difference.ts';
import { CellKind, DIMENSION_SEPARATOR, type MergedCell } from '../core/cell.ts';
import { systemClock } from '../core/clock.ts';
import { dimensionValue } from '../core/dimension-value.ts';
import type { Purge } from '../core/erasure.ts';
import { EngineError } from '../core/errors.ts';
import { resultSchema } from '../core/pipeline.ts';
import { dateOf, MS_PER_DAY, MS_PER_HOUR } from '../core/types.ts';
import { newErasureId } from '../erase-desk.ts';
import { newPurgeReceipt, type PurgedCells, type PurgedDay } from '../erase-receipt.ts';
import { readEraseState, refuseBeyondMax, writeEraseState } from '../erase-state.ts';
import { Restatement } from '../restatement.ts';
import { whileLocked, type InstanceFacts } from '../runtime/data-directory.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { decidePromotion, finishPromotion, PURGING_FOLDER } from '../runtime/promotion.ts';
import { ERASE_STATE_FILE } from '../runtime/savepoint.ts';
import type { Settings } from '../settings.ts';
import { printReceipt } from './erase.ts';
import { openLive } from './fold-journal.ts';
import { refuseUncleanEnd, refuseUnlessAtEnd, refuseWithoutSpace, restingFacts } from './resting-directory.ts';
import { loadSettings } from './settings.ts';

export interface PurgeOptions {
  readonly config?: string;
  readonly admin?: string;
  readonly app?: string;
  readonly from?: string;
  readonly to?: string;
  readonly receipt?: string;
  readonly wait: boolean;
  readonly dryRun: boolean;
}

const DATE = /^\d{4}-\d\d-\d\d$/;
/** Chosen: more than cells and most lakes are kept for. */
const DAYS_MAX = 400;

const schema = resultSchema(appsflyerPipeline);
const APP_INDEX = schema.dimensions.indexOf('app_id');

export async function purge(options: PurgeOptions): Promise<number> {
  const settings = loadSettings(options);
  if (options.receipt !== undefined) return printReceipt(options.receipt, { ...options, label: 'purging' });
  const { scope, days } = meantBy(options);
  const path = resolve(settings.data_dir);
  return whileLocked(path, async () => {
    finishPromotion(path);
    const facts = restingFacts(path);
    refuseUncleanEnd(path);
    await refuseUnlessAtEnd(path, facts);
    const asked: Purge = { id: newErasureId(), scope, days, atMs: systemClock.nowMs() };
    if (!options.dryRun) return purgeLocked(path, { facts, settings, asked });
    const cells = await purgeCells(path, { facts, settings, asked, take: () => Promise.resolve() });
    print({ app_id: scope, from: dateOf(days.fromMs), to: dateOf(days.toMs), cells });
    return exitCodes.ok;
  });
}

interface PurgeWork {
  readonly facts: InstanceFacts;
  readonly settings: Settings;
  readonly asked: Purge;
}

async function purgeLocked(path: string, { facts, settings, asked }: PurgeWork): Promise<number> {
  const state = readEraseState(join(path, ERASE_STATE_FILE));
  refuseBeyondMax(state);
  await refuseWithoutSpace(path, { reserveBytes: settings.disk.reserve_bytes, what: 'a purge' });
  const next = join(path, PURGING_FOLDER, 'next');
  mkdirSync(join(path, PURGING_FOLDER));
  const restatement = await Restatement.open({ path, facts, retentionDays: settings.cells.retention_days, next, nowMs: asked.atMs });
  const cells = await purgeCells(path, {
    facts,
    settings,
    asked,
    take: (found) => restatement.correct(found.map((cell) => ({ kind: cell.kind, windowStartMs: cell.windowStartMs, dimensions: cell.dimensions, delta: deltaBetween(cell, null) }))),
  });
  const files = await restatement.close();
  const receipt = newPurgeReceipt(asked, cells, { retentionMs: settings.journal.retention_hours * MS_PER_HOUR, lakeUrl: settings.lake.url });
  writeEraseState(join(next, ERASE_STATE_FILE), { ...state, open: [...state.open, { erasure: asked, sealed: '', isJournaled: false, batchSequence: null, receipt }] });
  // The daemon goes on with it only where the cells have gone: both or neither.
  decidePromotion(path, { version: 1, from: `${PURGING_FOLDER}/next`, files: [...files, ERASE_STATE_FILE], instance: { ...facts, generation: Math.max(systemClock.nowMs(), facts.generation + 1) } });
  finishPromotion(path);
  print(receipt);
  process.stderr.write(`${cells.removed} cells have gone; start the daemon, which takes dead letters and rows of the lake, and then: millrace purge --receipt ${asked.id} --wait\n`);
  return exitCodes.ok;
}

const print = (value: object): void => {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
};

/** Raises CONFIG_INVALID. */
function meantBy({ app = '', from = '', to = '' }: PurgeOptions): Pick<Purge, 'scope' | 'days'> {
  if (app === '' || app.length > APP_ID_LENGTH_MAX) throw new EngineError('CONFIG_INVALID', `say which app is meant: --app <app_id>, of 1 to ${APP_ID_LENGTH_MAX} characters, or --receipt <id> of a purge that was asked for`);
  const days = { fromMs: dayOf('--from', from), toMs: dayOf('--to', to) };
  if (days.toMs <= days.fromMs || days.toMs - days.fromMs > DAYS_MAX * MS_PER_DAY) throw new EngineError('CONFIG_INVALID', `--to ${to} is not 1 to ${DAYS_MAX} days after --from ${from}`, { fix: '--to is the first day that stays' });
  return { scope: dimensionValue(app), days };
}

function dayOf(option: string, text: string): number {
  const dayMs = DATE.test(text) ? Date.parse(text) : NaN;
  // Dates such as the 30th of February are read as another day.
  if (Number.isNaN(dayMs) || dateOf(dayMs) !== text) throw new EngineError('CONFIG_INVALID', `${option}: ${JSON.stringify(text.slice(0, 40))} is no day`, { fix: 'give a day in UTC, such as 2026-11-01' });
  return dayMs;
}

interface PurgeCellsOptions extends PurgeWork {
  /** Cells of one window. */
  readonly take: (cells: readonly MergedCell[]) => Promise<void>;
}

/** Goes through the app's cells of the days. Memory: those of one window. */
async function purgeCells(path: string, { facts, settings, asked: { scope, days }, take }: PurgeCellsOptions): Promise<PurgedCells> {
  const { live, store } = openLive(path, facts, settings.cells.retention_days);
  const tally = new Map<string, { cells: number; records: number; sums: bigint[] }>();
  try {
    for (const kind of Object.values(CellKind)) {
      for (const cells of windowsOf(live, kind, { scope, days })) {
        const [first] = cells;
        if (first === undefined) continue;
        const date = dateOf(first.windowStartMs);
        const day = tally.get(date) ?? { cells: 0, records: 0, sums: schema.measures.map(() => 0n) };
        tally.set(date, day);
        day.cells += cells.length;
        // A day is its hours and their late cells.
        if (kind === CellKind.day) for (const cell of cells) addTo(day, cell);
        await take(cells);
      }
    }
  } finally {
    await store.close();
  }
  const all = [...tally].sort(([left], [right]) => (left < right ? -1 : 1)).map(([date, { cells, records, sums }]): PurgedDay => ({ date, cells, records, sums: named(sums) }));
  return { removed: all.reduce((sum, { cells }) => sum + cells, 0), days: all };
}

/** The app's cells, window by window. */
function* windowsOf(live: LiveStore, kind: CellKind, { scope, days }: Pick<Purge, 'scope' | 'days'>): Generator<readonly MergedCell[]> {
  for (let start = live.nextWindow(kind, days.fromMs); start !== null && start < days.toMs; start = live.nextWindow(kind, start + 1)) {
    yield [...live.windowPages(kind, start, null)].flatMap((page) => page.filter(({ dimensions }) => dimensions.split(DIMENSION_SEPARATOR)[APP_INDEX] === scope));
  }
}

function addTo(day: { records: number; sums: bigint[] }, { records, measures }: MergedCell): void {
  day.records += records;
  day.sums = day.sums.map((sum, index) => sum + BigInt(measures[index] ?? 0));
}

const named = (sums: readonly bigint[]): PurgedDay['sums'] =>
  Object.fromEntries(schema.measures.map(({ name }, index): [string, bigint] => [name, sums[index] ?? 0n]).filter(([, sum]) => sum !== 0n).map(([name, sum]) => [name, Number.isSafeInteger(Number(sum)) ? Number(sum) : String(sum)]));
