/** What must hold of the lake once everything has settled. */

import { appsflyerPipeline } from '../../actors/appsflyer/pipeline.ts';
import { CellKind } from '../../engine/core/cell.ts';
import { slotName, type SlotShare } from '../../engine/core/lake-slot.ts';
import { readVerdictLog } from '../../engine/core/verdict-log.ts';
import { createRecordCursor, openMergedLookup } from '../../engine/log/index.ts';
import { encodeSlot } from '../../sinks/lake/encode-slot.ts';
import { DEFAULT_EVENTS_BOUNDS } from '../../sinks/lake/events-encoder.ts';
import { HourlySink } from '../../sinks/lake/hourly-sink.ts';
import type { LakeTarget } from '../../sinks/lake/target.ts';
import type { LiveStore } from '../../sinks/live/index.ts';
import type { FaultyDisk } from '../unit/log/faulty-disk.ts';
import { SIMULATED_RESOURCES } from './desk.ts';
import { isWithout, type LakeMemory, type SpooledSlot } from './lake.ts';
import { encodeAsRows, encodeAsText, idsIn, rowsIn } from './lake-text.ts';
import type { People } from './people.ts';

export interface LakeCheck {
  readonly lake: LakeMemory;
  readonly feed: LiveStore;
  readonly disk: FaultyDisk;
  readonly journals: readonly string[];
  /** By journal: what it still holds begins here. */
  readonly oldestOffsets: readonly number[];
  /** Accepted and late records, by the model. */
  readonly counted: number;
}

export async function checkLake(check: LakeCheck): Promise<void> {
  const objects = check.lake.objects();
  checkRows(objects, check);
  checkRewrites(objects, check);
  await checkHours(objects, check.feed);
}

/** Each accepted or late record is one row, but for some of erased people. */
function checkRows(objects: ReadonlyMap<string, Uint8Array>, { counted, lake: { people } }: LakeCheck): void {
  const seen = new Set<string>();
  for (const [name, bytes] of objects) {
    if (!name.startsWith('events/')) continue;
    for (const id of idsIn(bytes)) {
      if (seen.has(id)) throw new Error(`lake: event ${id} is there twice, again in ${name}`);
      seen.add(id);
    }
  }
  if (people !== null) checkPeople(seen, people);
  else if (seen.size !== counted) throw new Error(`lake: ${seen.size} rows, the model has ${counted}`);
}

function checkPeople(seen: ReadonlySet<string>, people: People): void {
  for (const id of seen) if (!people.isCounted(id)) throw new Error(`lake: event ${id} is a row that the model does not have`);
  for (const record of people.records) {
    if (!record.isCounted || people.rowNamesOf(record).some((id) => seen.has(id) || people.mayBeGone(id))) continue;
    throw new Error(`lake: no row of ${record.text}, and nobody who is named there was erased`);
  }
}

/** Every slot whose journal is still there becomes the same files again. */
function checkRewrites(objects: ReadonlyMap<string, Uint8Array>, { lake, disk, journals, oldestOffsets }: LakeCheck): void {
  for (const slot of lake.slots.values()) {
    if (slot.shares.some((share) => isPartlyGone(share, oldestOffsets))) continue;
    for (const [name, bytes] of filesOf(slot, { lake, disk, journals })) {
      const there = objects.get(name);
      if (there === undefined) throw new Error(`lake: ${name} of slot ${slotName(slot.slot)} is not there`);
      if (!isSame(there, bytes, lake.people)) throw new Error(`lake: ${name} of slot ${slotName(slot.slot)} became another file when it was written again`);
    }
  }
}

function isSame(there: Uint8Array, bytes: Uint8Array, people: People | null): boolean {
  if (people === null) return Buffer.from(there).equals(bytes);
  const [whole, left] = [bytes, there].map((file) => rowsIn(file).map((row) => JSON.stringify(row))) as [string[], string[]];
  return isWithout(whole, left, people);
}

const isPartlyGone = (share: SlotShare, oldestOffsets: readonly number[]): boolean => [...readVerdictLog(share.entries)].some(({ journal, batchOffset }) => batchOffset < (oldestOffsets[journal] ?? 0));

function filesOf({ slot, shares, rowsPerFile }: SpooledSlot, { lake, disk, journals }: Pick<LakeCheck, 'lake' | 'disk' | 'journals'>): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const lookup = openMergedLookup({ directories: journals, disk: disk.session() });
  try {
    const bounds = { ...DEFAULT_EVENTS_BOUNDS, rowsPerFile };
    encodeSlot({ slot, shares, pipeline: appsflyerPipeline, resources: SIMULATED_RESOURCES, lookup, cursor: createRecordCursor(), bounds, encodeTable: lake.people === null ? encodeAsText : encodeAsRows, emit: ({ path, bytes }) => files.set(path, bytes) });
  } finally {
    lookup.close();
  }
  return files;
}

/** Each hour of the lake is what a lake that was written just now would hold. */
async function checkHours(objects: ReadonlyMap<string, Uint8Array>, feed: LiveStore): Promise<void> {
  const expected = new Map<string, Uint8Array>();
  const target: LakeTarget = {
    url: 'file:expected',
    put: () => Promise.resolve(),
    putVersioned: (name, bytes) => {
      expected.set(name, bytes);
      return Promise.resolve('written');
    },
    version: () => Promise.resolve(null),
    replace: () => Promise.resolve(true),
    get: () => Promise.resolve(null),
    list: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
  const sink = new HourlySink({ target, instance: feed.instance, intervalMs: 0, cellsPerHourMax: Infinity, encodeTable: (table) => Promise.resolve(encodeAsText(table)), warn: () => undefined, pause: () => Promise.resolve() });
  const starts = new Set<number>();
  for (const kind of [CellKind.hour, CellKind.late]) for (let start = feed.nextWindow(kind, 0); start !== null; start = feed.nextWindow(kind, start + 1)) starts.add(start);
  const cells = [...starts].flatMap((start) => [CellKind.hour, CellKind.late].flatMap((kind) => feed.window(kind, start, null, 1)));
  await sink.write({ cells, mark: feed.latest }, feed);
  for (const [name, bytes] of expected) {
    const there = objects.get(name);
    if (there === undefined) throw new Error(`hours: ${name} is not in the lake`);
    if (!Buffer.from(there).equals(bytes)) throw new Error(`hours: ${name} is not what the live store holds`);
  }
  const written = [...objects.keys()].filter((name) => name.startsWith('hourly/'));
  if (written.length !== expected.size) throw new Error(`hours: ${written.length} objects, the live store has ${expected.size} hours`);
}
