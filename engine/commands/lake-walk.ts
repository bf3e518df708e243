/**
 * Goes through the dates of a live store and the rows that the lake has of them, file by file, and asks of each hour what other conversion events make of
 * it (lake-hour.ts). Memory: one file, the cells of one date's rows, and the counted cells of one hour. Reads alone.
 */

import { LAKE_ROW_COLUMNS, ROW_FLAGS, ROW_TEXTS, type LakeRow } from '../../actors/appsflyer/lake-rows.ts';
import { RowFold } from '../../actors/appsflyer/row-fold.ts';
import { eventFilesOf, readEventFile, readRows, type RewritableTarget, type RowValues } from '../../sinks/lake/index.ts';
import type { CellSource } from '../../sinks/live/index.ts';
import { CellKind, type MergedCell } from '../core/cell.ts';
import type { SlotId } from '../core/lake-slot.ts';
import { isInSpan, type HourSpan } from '../core/replay-span.ts';
import { dateOf, MS_PER_DAY, MS_PER_HOUR } from '../core/types.ts';
import { answerHour, type CellChange, type CellGap, type HourCells, type LeftOut } from './lake-hour.ts';
import { cellsByDimensions, hoursOf } from './replay-difference.ts';

/** Of the rows of one date. Chosen: about 500 MB. */
const CELLS_MAX = 1_000_000;
const { length: TEXTS } = ROW_TEXTS;
const IS_LATE = ROW_FLAGS.indexOf('late');
const IS_PRIMARY = ROW_FLAGS.indexOf('is_primary');
const IS_TEST = ROW_FLAGS.indexOf('is_test');

export interface LakeWalk {
  /** What was counted; at least all rows of slots up to `through`. */
  readonly live: CellSource;
  readonly target: RewritableTarget;
  readonly asked: HourSpan;
  readonly spooled: { readonly through: SlotId | null; readonly uploadedThroughMs: number };
  /** Conversion events. */
  readonly current: ReadonlySet<string>;
  readonly tried: ReadonlySet<string>;
  /** Called for hours that change. */
  readonly take: (changes: readonly CellChange[]) => Promise<void>;
  readonly progress: (rows: number) => void;
}

/** What was found on the way. */
export class LakeFindings {
  rows = 0;
  files = 0;
  /** Start of the first hour that was asked for and is kept; null for none. */
  keptFromMs: number | null = null;
  /** Of slots that the counted cells may not have yet. */
  laterFiles = 0;
  readonly missing: string[] = [];
  readonly foreign: string[] = [];
  readonly compared = new Set<number>();
  readonly leftOut = new Map<number, LeftOut>();
  /** Cells of which the rows count something else than what was counted. */
  disagreeing = 0;
  readonly disagreement = new Map<string, [counted: number, rows: number]>();

  note(gaps: readonly CellGap[]): void {
    this.disagreeing += gaps.length;
    for (const { figure, before, after } of gaps.flatMap(({ figures }) => figures)) {
      const sum = this.disagreement.get(figure) ?? [0, 0];
      this.disagreement.set(figure, [sum[0] + before, sum[1] + after]);
    }
  }
}

/** Rejects SINK_UNAVAILABLE or SINK_REFUSED with the object's name, and OUT_OF_RESOURCES for a date of too many cells. */
export async function walkLake(walk: LakeWalk): Promise<LakeFindings> {
  const findings = new LakeFindings();
  let hours: number[] = [];
  for (const hour of hoursOf([walk.live], walk.asked)) {
    findings.keptFromMs ??= hour;
    if (hours[0] !== undefined && dayOf(hours[0]) !== dayOf(hour)) {
      await walkDate(walk, hours, findings);
      hours = [];
    }
    hours.push(hour);
  }
  if (hours.length > 0) await walkDate(walk, hours, findings);
  return findings;
}

const dayOf = (timeMs: number): number => Math.floor(timeMs / MS_PER_DAY);

async function walkDate(walk: LakeWalk, hours: readonly number[], findings: LakeFindings): Promise<void> {
  const { live, asked } = walk;
  const day = dayOf(hours[0] as number);
  const names = new Set([...walk.current, ...walk.tried]);
  for (const hour of hours) for (const cell of cellsOf(live, hour)) for (const name of Object.keys(cell.breakdown ?? {})) names.add(name);
  const fold = new RowFold({ names, isAsked: (hour) => isInSpan(asked, hour), cellsMax: CELLS_MAX });
  await readDate(walk, { day, fold, findings });
  for (const hour of hours) {
    const [counted, late] = [cellsByDimensions(live, CellKind.hour, hour), cellsByDimensions(live, CellKind.late, hour)];
    const answer = answerHour({
      hour: { counted, rows: fold.cells(CellKind.hour, hour) },
      late: { counted: late, rows: fold.cells(CellKind.late, hour) },
      isFinal: hour + MS_PER_HOUR <= live.finalUpToMs,
      isWritten: closedAtMs(counted) <= walk.spooled.uploadedThroughMs,
      current: walk.current,
      tried: walk.tried,
    });
    if (answer.leftOut !== null) {
      findings.leftOut.set(hour, answer.leftOut);
      continue;
    }
    findings.compared.add(hour);
    findings.note(answer.gaps);
    if (answer.changes.length > 0) await walk.take(answer.changes);
  }
  const kept = new Set(hours);
  for (const hour of fold.hours) if (!kept.has(hour)) findings.leftOut.set(hour, 'unkept');
}

async function readDate({ target, spooled, progress }: LakeWalk, { day, fold, findings }: { readonly day: number; readonly fold: RowFold; readonly findings: LakeFindings }): Promise<void> {
  const files = await eventFilesOf(target, dateOf(day * MS_PER_DAY), spooled.through);
  findings.missing.push(...files.missing);
  findings.foreign.push(...files.foreign);
  findings.laterFiles += files.later;
  const row: { -readonly [Key in keyof LakeRow]: LakeRow[Key] } = { eventType: '', eventName: '', timeMs: 0, revenueMicros: null, isPrimary: false, isTest: false, dimensions: [] };
  const take = ({ timeMs, micros, texts, flags }: RowValues): string | null => {
    if (dayOf(timeMs) !== day) return 'its time is of another date';
    [row.eventType = '', row.eventName = ''] = texts;
    row.timeMs = timeMs;
    row.revenueMicros = micros;
    row.isPrimary = flags[IS_PRIMARY] as boolean;
    row.isTest = flags[IS_TEST] as boolean;
    row.dimensions = texts.slice(TEXTS);
    return fold.add(row, flags[IS_LATE] as boolean) ? null : `event_type ${JSON.stringify(row.eventType.slice(0, 80))} is none that this program knows`;
  };
  for (const name of files.names) {
    const bytes = await readEventFile(target, name);
    if (bytes === null) {
      findings.missing.push(name);
      continue;
    }
    findings.rows += await readRows(bytes, name, LAKE_ROW_COLUMNS, take);
    findings.files++;
    progress(findings.rows);
  }
}

/** No later than this were its records received: a cell is written as final once. One that was corrected since says a later time. */
function closedAtMs(counted: HourCells['counted']): number {
  let closedMs = Infinity;
  for (const { updatedAtMs } of counted.values()) closedMs = Math.min(closedMs, updatedAtMs);
  return closedMs === Infinity ? 0 : closedMs;
}

function* cellsOf(live: CellSource, hour: number): Generator<MergedCell> {
  for (const kind of [CellKind.hour, CellKind.late]) for (const page of live.windowPages(kind, hour, null)) yield* page;
}
