/**
 * `millrace replay --source lake --into NAME`: what other conversion events make of all hours that the live store keeps, told from the rows of the lake, as a
 * shadow that is compared, promoted and dropped like one of the journal. Design and limits: replay.md.
 */

import { mkdirSync } from 'node:fs';
import { DEFAULT_CONVERSION_EVENTS, parseAppsflyerRules, type AppsflyerRulesData } from '../../actors/appsflyer/rules.ts';
import { openLakeTarget } from '../../sinks/lake/index.ts';
import type { CellSource, LiveStore } from '../../sinks/live/index.ts';
import { cellMapKey, type CellKind, type MergedCell } from '../core/cell.ts';
import { EngineError } from '../core/errors.ts';
import { slotName } from '../core/lake-slot.ts';
import { emptyConservation } from '../core/record.ts';
import { namesIn } from '../runtime/config.ts';
import { directoriesOf } from '../runtime/data-directory.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { writeShadow, type Shadow } from '../runtime/shadows.ts';
import type { Settings } from '../settings.ts';
import { openLive } from './fold-journal.ts';
import { LEFT_OUT, type CellChange, type LeftOut } from './lake-hour.ts';
import { walkLake, type LakeFindings } from './lake-walk.ts';
import { makeNewShadow, rulesIn, type NewShadow, type ShadowOptions } from './new-shadow.ts';
import { startProgress } from './progress.ts';
import { isoHour, printDifference, type ReplaySource } from './replay-difference.ts';

/** Cells of one transaction. */
const CELLS_PER_WRITE = 5_000;
/** Names that are told; all are counted. */
const NAMES_TOLD_MAX = 20;
const TRIABLE = 'metrics.conversion_events';

export async function replayFromLake(options: ShadowOptions): Promise<number> {
  const { pipeline } = options;
  const check = (configured: Settings, tried: Settings): void => {
    if (pipeline !== undefined) refuseOtherRules(pipeline, configured, tried);
  };
  await makeNewShadow(options, { source: 'lake', check, make: (made) => compareWithLake(made, options.limit) });
  return exitCodes.ok;
}

/** Whatever else the file changes would have to be judged by what the lake's rows do not say. */
function refuseOtherRules(pipeline: string, configured: Settings, tried: Settings): void {
  const [one, other] = [configured, tried] as unknown as Readonly<Record<string, Readonly<Record<string, unknown>>>>[];
  const others = namesIn(pipeline)
    .flatMap(([section, names]) => names.map((name) => ({ section, name })))
    .filter(({ section, name }) => JSON.stringify(one?.[section]?.[name]) !== JSON.stringify(other?.[section]?.[name]))
    .map(({ section, name }) => `${section}.${name}`)
    .filter((name) => name !== TRIABLE);
  if (others.length === 0) return;
  throw new EngineError('CONFIG_INVALID', `${others.join(', ')}: the rows of the lake do not carry what it takes to try this`, { where: { file: pipeline }, fix: `replay from the journal (without --source lake), or leave in the file ${TRIABLE} alone` });
}

async function compareWithLake({ path, place, facts, settings, started, asked, format, rules, spooled }: NewShadow, limit: number): Promise<Shadow> {
  const shadow: Shadow = { ...started, state: 'folding', completeFromMs: 0 };
  writeShadow(place, shadow);
  for (const side of [place.former, place.after]) mkdirSync(directoriesOf(side).live, { recursive: true });
  const current = (await rulesIn(place.before, facts))?.domain;
  const stores = [place.before, place.former, place.after].map((side) => openLive(side, facts, settings.cells.retention_days));
  const [before, former, after] = stores.map(({ live }) => live) as [LiveStore, LiveStore, LiveStore];
  const target = await openLakeTarget(settings.lake, { dataDirectory: path, warn: (message) => process.stderr.write(`${message}\n`) });
  const progress = startProgress('reading the lake', 0);
  try {
    const findings = await walkLake({
      live: before,
      target,
      asked,
      spooled,
      current: conversionEvents(current),
      tried: conversionEvents(rules.domain),
      take: async (changes) => {
        await write(former, changes, 'before');
        await write(after, changes, 'after');
      },
      progress: (rows) => {
        progress.update(rows, 'rows');
      },
    });
    progress.stop();
    const source = lakeSource(findings, spooled.through === null ? null : slotName(spooled.through));
    const differing = await printDifference({ before, after: overlaid(before, after), compared: asked, source, limit, format, write: (text) => process.stdout.write(text), warn: (text) => process.stderr.write(text) });
    return { ...shadow, state: 'ready', differing };
  } finally {
    progress.stop();
    for (const { store } of stores) await store.close();
    await target.close();
  }
}

/** As events have them. Nothing else of the rules is asked for: what they name, such as a GeoIP file, need not be there any more. */
const conversionEvents = (domain: unknown): ReadonlySet<string> =>
  parseAppsflyerRules({ conversionEvents: (domain as AppsflyerRulesData | null | undefined)?.conversionEvents ?? DEFAULT_CONVERSION_EVENTS }).conversionEvents;

/** Cells of the hours that differ: the shadow holds these alone, as they were and as they become. */
async function write(live: LiveStore, changes: readonly CellChange[], side: keyof CellChange): Promise<void> {
  for (let from = 0; from < changes.length; from += CELLS_PER_WRITE) {
    const changed = changes.slice(from, from + CELLS_PER_WRITE).map((change) => change[side]);
    // Nothing is final, and no time passes, in a store that is a list of cells.
    await live.apply({ changed, settledSequences: new Map(), finalUpToMs: 0, watermarkMs: -1, counters: emptyConservation(), partitions: live.partitionStates() }, changed[0]?.updatedAtMs ?? 0);
  }
}

/** The cells of `base`, those that `changed` has as they are there. */
function overlaid(base: LiveStore, changed: LiveStore): CellSource {
  return {
    schema: base.schema,
    finalUpToMs: base.finalUpToMs,
    watermarkMs: base.watermarkMs,
    asOfMs: base.asOfMs,
    nextWindow: (kind, fromMs) => base.nextWindow(kind, fromMs),
    newestWindow: (kind) => base.newestWindow(kind),
    windowPages: function* (kind: CellKind, windowStartMs: number, resultKey: string | null): Generator<readonly MergedCell[]> {
      const others = new Map([...changed.windowPages(kind, windowStartMs, resultKey)].flat().map((cell) => [cellMapKey(cell), cell]));
      for (const page of base.windowPages(kind, windowStartMs, resultKey)) yield page.map((cell) => others.get(cellMapKey(cell)) ?? cell);
    },
  };
}

/** How far the lake reaches, and where its rows and what was counted part. */
export function lakeSource(findings: LakeFindings, through: string | null): ReplaySource {
  const { rows, files, keptFromMs, laterFiles, missing, foreign, compared, leftOut, disagreeing, disagreement } = findings;
  const reasons = new Map<LeftOut, number>();
  for (const reason of leftOut.values()) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const figures = [...disagreement].sort(([left], [right]) => (left < right ? -1 : 1));
  return {
    isCompared: (hour) => compared.has(hour),
    leftOut: [...leftOut.keys()].sort((left, right) => left - right),
    leftOutBecause: [...reasons].map(([reason, hours]) => `${LEFT_OUT[reason]} (${hours})`).join('; '),
    reach: `${keptFromMs === null ? 'no hour of them is kept' : `hours are kept from ${isoHour(keptFromMs)} on`}; the lake gave ${rows} rows of ${files} files, ${through === null ? 'no slot is written yet' : `up to slot ${through}`}`,
    facts: {
      lake: {
        rows,
        files,
        kept_from: keptFromMs === null ? null : isoHour(keptFromMs),
        through,
        later_files: laterFiles,
        missing_files: missing.length,
        foreign_files: foreign.length,
        left_out: Object.fromEntries(reasons),
        left_out_hours: Object.fromEntries([...leftOut].slice(0, NAMES_TOLD_MAX).map(([hour, reason]) => [isoHour(hour), reason])),
        disagreeing_cells: disagreeing,
        disagreement: Object.fromEntries(figures),
      },
    },
    remarks: [
      ...named('files that the lake must have had are missing, and their rows keep what they counted', missing),
      ...named('files of events/ are not named as this program names them, and were not read', foreign),
      ...(disagreeing === 0 ? [] : [`in ${disagreeing} of the compared cells the rows do not count what was counted: rows are erased, lost or not written yet, or the conversion events were others`]),
      ...figures.map(([figure, [counted, inRows]]) => `  ${figure} of them: ${counted} counted, ${inRows} by the rows`),
    ],
  };
}

const named = (what: string, names: readonly string[]): string[] => (names.length === 0 ? [] : [`${names.length} ${what}: ${names.slice(0, NAMES_TOLD_MAX).join(', ')}${names.length > NAMES_TOLD_MAX ? ' …' : ''}`]);
